"""Partitioned logs: events that stay where they were appended, read by offset."""

from collections.abc import Sequence
from typing import Final, Literal
from zlib import crc32

import msgspec

from workbench.model.event import Event, Position

LogKind = Literal["topic", "stream", "bare log"]
"""Topics of Kafka have numbered partitions, streams of RabbitMQ none. A bare log has partitions and little else, as a
stream of Kinesis: it keeps a key, a body and the time of arrival, counts nothing and has no consumer groups, and its
offsets ascend and say nothing else."""

_FIRST: Final = 10**20
_STEP: Final = 7
"""Where a bare log's offsets begin and how they ascend: 64 bits do not hold them, and they do not count its events."""


class Partition:
    """One log: the event with offset n is the n-th ever appended, counted from 0."""

    def __init__(self, retention: int | None) -> None:
        self.start = 0
        """The offset of the oldest event still there."""
        self.end = 0
        """The offset that the next event gets."""
        self._events: list[Event] = []
        self._retention = retention

    def append(self, event: Event) -> int:
        """Put an event at the end and return its offset; beyond the retention the oldest goes."""
        offset = self.end
        self._events.append(event)
        self.end += 1
        if self._retention is not None and len(self._events) > self._retention:
            del self._events[0]
            self.start += 1
        return offset

    def read(self, start: int, end: int) -> Sequence[Event]:
        """The events from offset `start`, which is still there, up to before `end`."""
        return self._events[start - self.start : max(end - self.start, 0)]

    def offset_at(self, time: int) -> int:
        """The offset of the first event at or after a time in milliseconds since 1970 UTC; the end if there is none.

        Timestamps need not ascend; the first in the order of the offsets counts, as in Kafka (KIP-79).
        """
        later = (offset for offset, event in enumerate(self._events, self.start) if (event.timestamp or 0) >= time)
        return next(later, self.end)


class Topic:
    """A log in numbered partitions; a stream is one that has no partitions to choose between.

    Attributes:
        name: Its name.
        kind: What it plays.
        partitions: By number; a stream has one.
        labels: What positions call each partition.
        dead_letters_of: The topics whose dead letters come here, where someone has said so: a log itself has no rule.
    """

    def __init__(self, name: str, partitions: int, retention: int | None, kind: LogKind = "topic") -> None:
        self.name = name
        self.kind: LogKind = kind
        self.partitions = tuple(Partition(retention) for _ in range(partitions))
        self.labels = ("",) if kind == "stream" else tuple(map(str, range(partitions)))
        self.dead_letters_of: tuple[str, ...] = ()
        self.published = 0
        """How many events ever came in."""

    @property
    def partitioned(self) -> bool:
        """Whether it has partitions to choose between."""
        return self.kind != "stream"

    @property
    def bare(self) -> bool:
        """Whether it is a bare log."""
        return self.kind == "bare log"

    def position(self, partition: int, offset: int) -> Position:
        """How a place is called outside."""
        return Position(self.labels[partition], str(offset if not self.bare else _FIRST + _STEP * offset))

    def place(self, position: Position) -> tuple[int, int] | None:
        """The partition and offset that a position means; None: there is no such place."""
        if position.partition not in self.labels or not position.offset.isdecimal():
            return None
        offset = int(position.offset)
        if self.bare:
            offset = max(-(-(offset - _FIRST) // _STEP), 0)
        number = self.labels.index(position.partition)
        return number, min(offset, self.partitions[number].end)

    @property
    def depth(self) -> int:
        """How many events are still there."""
        return sum(partition.end - partition.start for partition in self.partitions)

    def append(self, event: Event, partition: int | None, now: int) -> tuple[int, int]:
        """Append an event and return its partition and offset.

        Args:
            event: Gets the time of appending if it has none. A bare log keeps no more of it than it can.
            partition: None: equal keys go to the same partition, events without a key to each in turn.
            now: In milliseconds since 1970 UTC.

        Raises:
            IndexError: There is no such partition.
        """
        if partition is None:
            chosen = self.published if event.key is None else crc32(event.key)
            partition = chosen % len(self.partitions)
        elif partition not in range(len(self.partitions)):
            raise IndexError(partition)
        self.published += 1
        if self.bare:
            event = Event(event.key or b"", event.body, timestamp=now, timestamp_type="append")
        elif event.timestamp is None:
            event = msgspec.structs.replace(event, timestamp=now, timestamp_type="append")
        return partition, self.partitions[partition].append(event)
