"""What arrives at the embedded broker: taps; and what its topics hold."""

import asyncio
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final, Self

from connectors.memory.broker import Broker, Consumer
from connectors.memory.logs import Topic
from connectors.memory.queues import Message, Queue
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, EndpointNotFound
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Span
from workbench.model.wording import quantity

BATCH = 500
"""Deliveries handed over at once, at most."""


def require_running(broker: Broker) -> Broker:
    """The broker, if it runs.

    Raises:
        ConnectionLost: It was stopped.
    """
    if not broker.running:
        raise ConnectionLost(f"The embedded broker {broker.name!r} was stopped: start it and connect again.")
    return broker


def of_queue(broker: Broker, queue: Queue, message: Message, address: Address) -> Delivery:
    """A message as it is delivered from a queue."""
    return Delivery(
        queue.event_for_consumer(message),
        address,
        broker.clock(),
        exchange=message.exchange,
        redelivered=message.redelivered,
        attempt=message.returns if queue.settings.counts else None,
        id=queue.id_of(message.place),
    )


class Changes:
    """Wakes whoever waits for a broker to change."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._event = asyncio.Event()

    @classmethod
    @contextmanager
    def of(cls, broker: Broker) -> Iterator[Self]:
        """Watch a broker while the context is open."""
        changes = cls(broker)
        broker.watchers.add(changes._event.set)
        try:
            yield changes
        finally:
            broker.watchers.remove(changes._event.set)

    async def wait(self) -> None:
        """Return after the next change, or when a message is due to expire: it may be dead-lettered to here."""
        self._event.clear()
        due = self._broker.due()
        try:
            async with asyncio.timeout(None if due is None else max(due[0] - self._broker.clock(), 0) / 1000):
                await self._event.wait()
        except TimeoutError:
            self._broker.observe()


class Tap:
    """What arrives at an exclusive queue that is bound as another queue, or to an exchange."""

    interruption: Final = None
    """A stopped broker is an error at once."""

    def __init__(
        self, broker: Broker, consumer: Consumer, address: Address, changes: Changes, gaps: tuple[Gap, ...]
    ) -> None:
        self._broker = broker
        self._consumer = consumer
        self._address = address
        self._changes = changes
        self._gaps = gaps
        self._read = 0

    @property
    def coverage(self) -> Coverage:
        """What was read, what cannot be seen by a tap, and what was dropped because nobody read on."""
        gaps = self._gaps
        if dropped := self._consumer.queue.dropped:
            gaps = (*gaps, Gap(quantity(dropped, "message"), "arrived faster than they were read"))
        return Coverage(self._read, gaps=gaps)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        while True:
            await asyncio.sleep(0)
            require_running(self._broker)
            taken = self._consumer.take(BATCH)
            if taken:
                self._consumer.acknowledge(taken)
                self._read += len(taken)
                return [of_queue(self._broker, self._consumer.queue, message, self._address) for message in taken]
            await self._changes.wait()


class LogReading:
    """The events of a topic from some offsets on, those of all partitions merged by time.

    Args:
        broker: Where the topic is.
        topic: What to read.
        address: Under which address.
        starts: The first offset to read, by partition; partitions that are missing are not read.
        ends: Where to stop, by partition; None: go on for ever, waiting for `changes`.
        limit: At most so many events; None: all.
        changes: Wakes a reading that goes on for ever.
        among: Whether an event is to be seen, by its time, its partition and its offset.
    """

    interruption: Final = None
    """A stopped broker is an error at once."""

    def __init__(
        self,
        broker: Broker,
        topic: Topic,
        address: Address,
        starts: Mapping[int, int],
        ends: Mapping[int, int] | None = None,
        limit: int | None = None,
        changes: Changes | None = None,
        among: Callable[[int, int, int], bool] = lambda time, number, offset: True,
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._address = address
        self._starts = starts
        self._next = dict(starts)
        self._ends = ends
        self._limit = limit
        self._changes = changes
        self._among = among
        self._depth = topic.depth
        self._read = 0
        self._gaps: tuple[Gap, ...] = ()

    @property
    def coverage(self) -> Coverage:
        """What was read, by partition, and what retention had removed."""
        spans = []
        for number, at in self._next.items():
            start, end = self._topic.position(number, self._starts[number]), self._topic.position(number, at)
            spans.append(Span(start.partition, start.offset, end.offset))
        total = None if self._ends is None or self._topic.bare else self._depth
        return Coverage(self._read, tuple(spans), self._gaps, total=total)

    def reached(self, partition: str) -> int:
        """The offset behind all of a partition that was handed over."""
        return self._next[self._topic.labels.index(partition)]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        while True:
            await asyncio.sleep(0)
            require_running(self._broker).observe()
            if self._broker.topics.get(self._topic.name) is not self._topic:
                raise EndpointNotFound(f"{self._address} was deleted.")
            batch = self._take()
            if batch:
                return batch
            if self._changes is None:
                raise StopAsyncIteration
            await self._changes.wait()

    def _take(self) -> Sequence[Delivery]:
        room = BATCH if self._limit is None else min(BATCH, self._limit - self._read)
        merged = heapq.merge(
            *(self._next_deliveries(number) for number in self._next), key=lambda seen: seen[0].time[0]
        )
        batch = []
        for delivery, number, offset in islice(merged, room):
            self._next[number] = offset + 1
            batch.append(delivery)
        self._read += len(batch)
        return batch

    def _next_deliveries(self, number: int) -> Iterator[tuple[Delivery, int, int]]:
        partition = self._topic.partitions[number]
        start = self._next[number]
        if start < partition.start:
            first, last = self._topic.position(number, start), self._topic.position(number, partition.start - 1)
            gone = f"offsets {int(first.offset):,} to {int(last.offset):,} of partition {number}"
            self._gaps = (*self._gaps, Gap(gone, "no longer kept"))
            start = self._next[number] = partition.start
        end = partition.end if self._ends is None else self._ends[number]
        now = self._broker.clock()
        for begin in range(start, end, BATCH):
            for offset, event in enumerate(partition.read(begin, min(begin + BATCH, end)), begin):
                if self._among(event.timestamp or 0, number, offset):
                    yield Delivery(event, self._address, now, self._topic.position(number, offset)), number, offset
