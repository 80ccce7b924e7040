"""A publisher of a cluster's topics: events in, and a receipt for each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from connectors.kafka.pipeline import Pipeline, refuse
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, ConnectorError, PublishRejected
from workbench.model.event import Event
from workbench.model.receipt import Receipt

_BREATH = 512
"""Events taken before the event loop runs again."""


class ClusterPublisher:
    """One who puts events into a pipeline, alone or beside others."""

    def __init__(self, pipeline: Pipeline, topic_of: Callable[[Address], str]) -> None:
        """See `open`."""
        self._pipeline = pipeline
        self._topic_of = topic_of
        self._count = 0
        self._receipts: asyncio.Queue[list[Receipt] | None] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def open(cls, pipeline: Pipeline, topic_of: Callable[[Address], str]) -> AsyncIterator["ClusterPublisher"]:
        """A publisher that may leave before the pipeline ends.

        Args:
            pipeline: What carries its events.
            topic_of: The name of the topic at an address; raises `EndpointNotFound` where there can be none.
        """
        publisher = cls(pipeline, topic_of)
        pipeline.owners.add(publisher)
        try:
            yield publisher
        finally:
            pipeline.abandon(publisher)

    async def send(self, address: Address, events: Sequence[Event], partition: str | None = None) -> None:
        """Put events into batches, in order; returns when the window has room for more."""
        first, self._count = self._count, self._count + len(events)
        try:
            target = await self._pipeline.target(self._topic_of(address))
        except ConnectorError as error:
            if isinstance(error, ConnectionLost) or self._pipeline.failure:
                raise
            refuse(self, range(first, self._count), error)
            return
        number = None if partition is None else int(partition) if partition.isdecimal() else -1
        if number is not None and number not in target.lanes:
            why = f"Topic {target.topic} has partitions 0 to {max(target.lanes)}: there is no {partition}."
            refuse(self, range(first, self._count), PublishRejected(why))
            return
        for begin in range(0, len(events), _BREATH):
            await self._pipeline.room()
            if target.failure:
                refuse(self, range(first + begin, first + len(events)), target.failure)
                return
            some = events[begin : begin + _BREATH]
            for lane, (numbers, chosen) in target.by_lane(some, first + begin, number).items():
                self._pipeline.put(self, lane, numbers, chosen)
        await self._pipeline.room()

    async def finish(self) -> None:
        """No more will be sent: returns when all events are answered for."""
        try:
            await self.flush()
        except ConnectorError:
            self.end()
            raise
        self.end()

    async def flush(self) -> None:
        """Return when all events that were sent are answered for.

        Raises:
            ConnectorError: Nothing can be published any more.
        """
        await self._pipeline.flush(self)

    def take_receipts(self, receipts: list[Receipt]) -> None:
        """Keep receipts until they are asked for."""
        self._receipts.put_nowait(receipts)

    def end(self) -> None:
        """Let the receipts end."""
        self._receipts.put_nowait(None)

    @property
    def obstacle(self) -> str | None:
        """A broker of Kafka slows its producers, and stops none."""
        return None

    async def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of each event; ends after `finish`."""
        while (receipts := await self._receipts.get()) is not None:
            yield receipts
        # Whoever asks again is told the same.
        self.end()
        if self._pipeline.failure:
            raise self._pipeline.failure
