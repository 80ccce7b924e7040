"""How the embedded broker is published to."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from connectors.memory.broker import Broker
from connectors.memory.logs import Topic
from connectors.memory.streams import BATCH, answering
from workbench.model.address import Address
from workbench.model.errors import PublishRejected, Unsupported
from workbench.model.event import Event, Position
from workbench.model.receipt import Receipt


class MemoryPublisher:
    """Publishes to one endpoint of the embedded broker, and keeps the receipts until they are asked for."""

    def __init__(self, broker: Broker, address: Address, topic: Topic | None) -> None:
        self._broker = broker
        self._address = address
        self._topic = topic
        self._sent = 0
        self._receipts: list[Receipt] = []
        self._finished = False
        self._answered = asyncio.Event()

    async def send(self, events: Sequence[Event], partition: int | None = None) -> None:
        """Publish events.

        Raises:
            Unsupported: A partition is given, and this is no topic.
            EndpointNotFound: It was deleted.
        """
        if partition is not None and (self._topic is None or self._topic.kind == "stream"):
            raise Unsupported(f"{self._address} has no partitions: publish without choosing one.")
        for number, event in enumerate(events):
            if number % BATCH == 0:
                await asyncio.sleep(0)
                answering(self._broker)
            self._receipts.append(self._publish(event, partition))
            self._answered.set()

    async def finish(self) -> None:
        """No more will be sent."""
        self._finished = True
        self._answered.set()

    async def receipts(self) -> AsyncIterator[Sequence[Receipt]]:
        """What became of each event, in the order sent."""
        while True:
            await self._answered.wait()
            self._answered.clear()
            receipts, self._receipts = self._receipts, []
            if receipts:
                yield receipts
            if self._finished and not self._receipts:
                self._answered.set()
                return

    def _publish(self, event: Event, partition: int | None) -> Receipt:
        sequence = self._sent
        try:
            if self._topic is not None:
                number, offset = self._broker.append(self._address.name, event, partition)
                receipt = Receipt(sequence, Position(self._topic.labels[number], str(offset)))
            else:
                exchange = self._address.name if self._address.namespace == "exchange" else ""
                if self._address.namespace == "queue":
                    event = msgspec.structs.replace(event, key=self._address.name.encode())
                self._broker.publish(exchange, event)
                receipt = Receipt(sequence)
        except PublishRejected as error:
            receipt = Receipt(sequence, error=error)
        self._sent += 1
        return receipt
