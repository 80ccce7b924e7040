"""Searching the topics of the embedded broker: each event that is there is looked at, a batch at a time."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final, Self

from connectors.memory.broker import Broker
from connectors.memory.logs import Topic
from connectors.memory.streams import BATCH, require_running
from workbench.decode.byte_search import Needles
from workbench.decode.content_type import opaque
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.model.look import Coverage, Gap, Progress, Span
from workbench.model.start import Window


class _Share:
    """A partition, and how far it is searched."""

    def __init__(self, address: Address, topic: Topic, number: int) -> None:
        self.address = address
        self.topic = topic
        self.number = number
        self.partition = topic.partitions[number]
        self.start = self.next = self.partition.start
        self.end = self.partition.end

    @property
    def span(self) -> Span:
        start, end = (self.topic.position(self.number, offset) for offset in (self.start, self.next))
        return Span(start.partition, start.offset, end.offset)


class LogScan:
    """The events of topics that hold needles, one partition after the other. Time is looked at in each event, for the
    times of a partition need not ascend."""

    interruption: Final = None
    """A stopped broker is an error at once."""

    def __init__(self, broker: Broker, topics: Mapping[Address, Topic], needles: Needles, window: Window) -> None:
        """
        Args:
            broker: Where the topics are.
            topics: What to search, by address.
            needles: What for.
            window: The times that events may have.
        """
        self._broker = broker
        self._needles = needles
        self._window = window
        self._shares = [
            _Share(address, topic, number)
            for address, topic in topics.items()
            for number in range(len(topic.partitions))
        ]
        self._gaps: dict[Address, tuple[Gap, ...]] = dict.fromkeys(topics, ())
        self._begun = time.monotonic()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        done = sum(share.next - share.start for share in self._shares)
        return Progress(done, sum(share.end - share.start for share in self._shares), time.monotonic() - self._begun)

    @property
    def coverage(self) -> Coverage:
        """What was searched of all together."""
        each = self.coverages.values()
        progress = self.progress
        spans, gaps = [span for one in each for span in one.spans], [gap for one in each for gap in one.gaps]
        return Coverage(progress.done, tuple(spans), tuple(gaps), total=progress.total)

    @property
    def coverages(self) -> Mapping[Address, Coverage]:
        """The same of each topic."""
        found = {}
        for address, gaps in self._gaps.items():
            mine = [share for share in self._shares if share.address == address]
            done, total = (
                sum(share.next - share.start for share in mine),
                sum(share.end - share.start for share in mine),
            )
            found[address] = Coverage(done, tuple(share.span for share in mine), gaps, total=total)
        return found

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        for share in self._shares:
            while share.next < share.end:
                await asyncio.sleep(0)
                require_running(self._broker)
                if found := self._search(share):
                    return found
        raise StopAsyncIteration

    def _search(self, share: _Share) -> Sequence[Delivery]:
        """Look at the next events of a partition."""
        if share.next < share.partition.start:
            last = min(share.partition.start, share.end) - 1
            what = f"offsets {share.next:,} to {last:,} of partition {share.number}"
            self._gaps[share.address] += (Gap(what, "no longer kept"),)
            share.next = last + 1
        begin, now = share.next, self._broker.clock()
        share.next = min(begin + BATCH, share.end)
        return [
            Delivery(event, share.address, now, share.topic.position(share.number, offset))
            for offset, event in enumerate(share.partition.read(begin, share.next), begin)
            if self._window.holds(event.timestamp) and self._may_be_meant(event)
        ]

    def _may_be_meant(self, event: Event) -> bool:
        return self._needles.in_event(event) or opaque(event)
