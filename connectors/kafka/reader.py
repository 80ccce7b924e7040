"""Browsing and tailing a topic: committed events in batches, merged by time, and what they covered."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self

from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.fetching import Chunk, Fetching, Share
from connectors.kafka.records import Batch, committed, deliveries
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Interruption, Span

_SIZE = 1 << 20
"""Bytes asked for at once: decoded in some milliseconds, which is how long the event loop stands still."""
_BATCH = 2_000


class Queue(Share):
    """A share, and what was fetched of it and not yet shown: the times to merge by, and the events."""

    __slots__ = ("chunks",)

    def __init__(self, partition: Partition, start: int, end: int | None, leader: int) -> None:
        super().__init__(partition, start, end, leader)
        self.chunks: deque[tuple[list[int], list[Delivery]]] = deque()

    @property
    def shown(self) -> int:
        """The offset behind the last event that was shown."""
        if self.chunks and (position := self.chunks[0][1][0].position):
            return int(position.offset)
        return self.next if self.end is None else min(self.next, self.end)

    def add(self, found: list[Delivery]) -> None:
        """Append what was fetched."""
        if found:
            # Within a partition the order of offsets rules, so an event counts as no older than those before it.
            newest = self.chunks[-1][0][-1] if self.chunks else 0
            times = list(accumulate([each.event.timestamp or each.time[0] for each in found], max, initial=newest))
            self.chunks.append((times[1:], found))

    def take(self, until: int | None) -> tuple[list[int], list[Delivery]]:
        """Remove what is not younger than `until`, or everything."""
        times: list[int] = []
        found: list[Delivery] = []
        while self.chunks:
            chunk_times, chunk = self.chunks[0]
            cut = len(chunk) if until is None else bisect_right(chunk_times, until)
            if cut == 0:
                break
            times += chunk_times[:cut]
            found += chunk[:cut]
            if cut < len(chunk):
                self.chunks[0] = (chunk_times[cut:], chunk[cut:])
                break
            self.chunks.popleft()
        return times, found


class TopicStream:
    """Events of one topic, in batches; iterating again after an error goes on where it stopped."""

    def __init__(
        self,
        cluster: Cluster,
        address: Address,
        shares: Iterable[Queue],
        *,
        limit: int | None = None,
        grows: bool = False,
        gaps: Iterable[Gap] = (),
    ) -> None:
        """Nothing is asked for before it is iterated over.

        Args:
            cluster: Where the topic is.
            address: The topic.
            shares: What to read of it.
            limit: How many events at most.
            grows: Whether a partition that is added to the topic later is read, too.
            gaps: What is known not to be seen.
        """
        self._address = address
        self._shares = {share.partition: share for share in shares}
        self._limit = limit
        # One chunk in hand is enough to show while the next is on its way.
        self._fetching = Fetching(
            cluster,
            self._shares.values(),
            size=_SIZE,
            wanted=lambda share: len(self._shares[share.partition].chunks) < 2,
            grow=self._grown if grows else None,
        )
        self._fetching.gaps += gaps
        self._ready: deque[list[Delivery]] = deque()
        self._read = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        if self._limit is not None and self._read >= self._limit:
            raise StopAsyncIteration
        while not self._ready:
            if all(share.finished and not share.chunks for share in self._shares.values()):
                raise StopAsyncIteration
            now = time.time_ns() // 1_000_000
            for chunk in await self._fetching.chunks():
                self._shares[chunk.share.partition].add(self._decoded(chunk, now))
            self._sort()
        batch = self._ready.popleft()
        if self._limit is not None and len(batch) > (left := self._limit - self._read):
            self._ready.appendleft(batch[left:])
            batch = batch[:left]
        self._read += len(batch)
        return batch

    @property
    def coverage(self) -> Coverage:
        """What was handed over, and what is missing."""
        gaps, notes = interruptions(self._fetching)
        spans = [
            Span(str(partition[1]), str(share.start), str(max(share.start, self.reached(partition))))
            for partition, share in sorted(self._shares.items())
        ]
        return Coverage(self._read, tuple(spans), gaps, notes)

    @property
    def interruption(self) -> Interruption | None:
        """Why a broker cannot be reached at the moment, and when it is tried again."""
        return self._fetching.patience.interruption

    def reached(self, partition: Partition) -> int:
        """The offset behind all of a partition that was handed over, with what is never shown behind it."""
        share = self._shares[partition]
        number = str(partition[1])
        waiting = (each.position for batch in self._ready for each in batch if each.position)
        return min((int(each.offset) for each in waiting if each.partition == number), default=share.shown)

    def close(self) -> None:
        """Let all connections go."""
        self._fetching.close()

    def _grown(self, partition: Partition, leader: int) -> Queue:
        self._shares[partition] = Queue(partition, 0, None, leader)
        return self._shares[partition]

    def _decoded(self, chunk: Chunk, now: int) -> list[Delivery]:
        number, end = str(chunk.share.partition[1]), chunk.share.end
        events: list[Delivery] = []
        for batch in committed(chunk.fetched):
            try:
                events += deliveries(batch, self._address, number, chunk.start, end, now)
            except FormatError as error:
                self._fetching.gaps.append(damaged(chunk.share.partition, batch, error))
        return events

    def _sort(self) -> None:
        """Move to the output what no partition can still bring something older than."""
        shares = self._shares.values()
        bound: int | None = None
        for share in shares:
            if share.end is not None and not share.finished:
                if not share.chunks:
                    return
                newest = share.chunks[-1][0][-1]
                bound = newest if bound is None else min(bound, newest)
        taken = [share.take(bound) for share in shares if share.chunks]
        times = [each for some, _ in taken for each in some]
        merged = [each for _, some in taken for each in some]
        if len(taken) > 1:
            merged = [merged[index] for index in sorted(range(len(times)), key=times.__getitem__)]
        self._ready.extend(merged[index : index + _BATCH] for index in range(0, len(merged), _BATCH))


def damaged(partition: Partition, batch: Batch, error: FormatError) -> Gap:
    """The gap where a batch cannot be read."""
    return Gap(f"partition {partition[1]}, offsets {batch.base} to {batch.next - 1}", f"damaged: {error}")


def interruptions(fetching: Fetching) -> tuple[tuple[Gap, ...], tuple[str, ...]]:
    """What is missing, and what else to know, as the gaps and notes of a coverage."""
    gaps, notes, patience = tuple(fetching.gaps), (), fetching.patience
    if now := patience.interruption:
        at = time.strftime("%H:%M:%S", time.localtime(now.since / 1000))
        return (*gaps, Gap(f"what came since {at}", f"{now.reason.rstrip('.')}; trying again")), notes
    if patience.interruptions:
        times = "once" if patience.interruptions == 1 else f"{patience.interruptions} times"
        return gaps, (f"the connection was lost {times} and taken up again where it was",)
    return gaps, notes
