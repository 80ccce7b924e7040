"""How the embedded broker is published to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

import msgspec

from connectors.memory.broker import Broker
from connectors.memory.exchanges import Exchange
from connectors.memory.logs import Topic
from connectors.memory.queues import Queue
from connectors.memory.streams import BATCH, require_running
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, PublishRejected, Unsupported
from workbench.model.event import Event
from workbench.model.receipt import Receipt

Find: TypeAlias = Callable[[Address], Queue | Topic | Exchange]
"""The endpoint at an address, or an `EndpointNotFound`."""


class MemoryPublisher:
    """Publishes to the endpoints of the embedded broker, and keeps the receipts until they are asked for."""

    def __init__(self, broker: Broker, find: Find) -> None:
        self._broker = broker
        self._find = find
        self._sent = 0
        self._receipts: list[Receipt] = []
        self._finished = False
        self._answered = asyncio.Event()

    async def send(self, address: Address, events: Sequence[Event], partition: str | None = None) -> None:
        """Publish events."""
        for number, event in enumerate(events):
            if number % BATCH == 0:
                await asyncio.sleep(0)
                require_running(self._broker)
            try:
                receipt = self._publish(self._sent, address, self._find(address), event, partition)
            except ConnectorError as error:
                receipt = Receipt(self._sent, error=error)
            self._sent += 1
            self._receipts.append(receipt)
            self._answered.set()

    async def finish(self) -> None:
        """No more will be sent."""
        self._finished = True
        self._answered.set()

    @property
    def obstacle(self) -> str | None:
        """Nothing keeps it from taking events."""
        return None

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

    def _publish(
        self, sequence: int, address: Address, found: Queue | Topic | Exchange, event: Event, partition: str | None
    ) -> Receipt:
        match found:
            case Topic() as topic:
                number, offset = self._broker.append(topic.name, event, partition_of(address, topic, partition))
                return Receipt(sequence, topic.position(number, offset))
            case _ if partition is not None:
                raise _no_partitions(address)
            case Queue() as queue:
                if queue.settings.keeps_keys:
                    self._broker.send(queue.name, event)
                else:
                    self._broker.publish("", msgspec.structs.replace(event, key=queue.name.encode()))
                return Receipt(sequence, id=queue.id_of(queue.last_place))
            case Exchange() as exchange:
                self._broker.publish(exchange.name, event)
                return Receipt(sequence)


class PendingPublisher(MemoryPublisher):
    """A publisher whose events wait until a transaction is decided.

    Attributes:
        pending: Adds an event to those that wait: its topic and its partition.
    """

    def __init__(self, broker: Broker, find: Find, pending: Callable[[str, Event, int | None], None]) -> None:
        super().__init__(broker, find)
        self._pending = pending

    def _publish(
        self, sequence: int, address: Address, found: Queue | Topic | Exchange, event: Event, partition: str | None
    ) -> Receipt:
        if not isinstance(found, Topic) or found.kind != "topic":
            raise Unsupported(f"{address} takes part in no transaction: only topics do.")
        self._pending(found.name, event, partition_of(address, found, partition))
        return Receipt(sequence, state="pending")


def partition_of(address: Address, topic: Topic, partition: str | None) -> int | None:
    """The number of a partition; None leaves it to the topic.

    Raises:
        Unsupported: A stream has none.
        PublishRejected: There is none of this name.
    """
    if partition is None:
        return None
    if not topic.partitioned:
        raise _no_partitions(address)
    if partition not in topic.labels:
        raise PublishRejected(f"Topic {topic.name!r} has no partition {partition}.")
    return topic.labels.index(partition)


def _no_partitions(address: Address) -> Unsupported:
    return Unsupported(f"{address} has no partitions: publish without choosing one.")
