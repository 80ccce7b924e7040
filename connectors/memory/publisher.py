"""How the embedded broker is published to."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from connectors.memory.broker import Broker
from connectors.memory.logs import Topic
from connectors.memory.streams import BATCH, answering
from workbench.model.address import Address
from workbench.model.errors import PublishRejected, Unsupported
from workbench.model.event import Event
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
        if partition is not None and (self._topic is None or not self._topic.partitioned):
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
                receipt = Receipt(sequence, self._topic.position(number, offset))
            else:
                self._broker_takes(event)
                receipt = Receipt(sequence)
        except PublishRejected as error:
            receipt = Receipt(sequence, error=error)
        self._sent += 1
        return receipt

    def _broker_takes(self, event: Event) -> None:
        name = self._address.name
        if self._address.namespace == "exchange":
            self._broker.publish(name, event)
        elif name in self._broker.queues and self._broker.queues[name].settings.keeps_keys:
            self._broker.send(name, event)
        else:
            self._broker.publish("", msgspec.structs.replace(event, key=name.encode()))
