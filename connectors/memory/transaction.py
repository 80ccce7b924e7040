"""Ledgers of the embedded broker: a consumer group's offsets, decided together with what is published."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from connectors.memory.broker import Broker
from connectors.memory.logs import Topic
from connectors.memory.publisher import Find, MemoryPublisher, PendingPublisher
from connectors.memory.streams import LogReading, require_running
from workbench.connecting.connector import Purpose
from workbench.connecting.ledger_claims import LedgerClaims
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, Unsupported
from workbench.model.event import Event


class MemoryTransaction:
    """One transaction after the other for one ledger; what is published waits here until claims are settled."""

    def __init__(self, broker: Broker, ledger: str, find: Find) -> None:
        self._broker = broker
        self._ledger = ledger
        self._find = find
        self._pending: list[tuple[str, Event, int | None]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, broker: Broker, ledger: str, find: Find) -> AsyncIterator[Self]:
        """A transaction; whoever had this ledger before decides nothing any more."""
        transaction = cls(require_running(broker), ledger, find)
        broker.ledgers[ledger] = transaction
        try:
            yield transaction
        finally:
            if broker.ledgers.get(ledger) is transaction:
                del broker.ledgers[ledger]

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[LedgerClaims]:
        """Go over what the ledger has not dealt with yet.

        Raises:
            EndpointNotFound: There is none of this name.
            Unsupported: It is no topic, or events are to be destroyed.
        """
        topic = self._find(address)
        if not isinstance(topic, Topic) or topic.kind != "topic" or purpose == "destroy":
            raise Unsupported(f"{address} cannot be claimed for this: a ledger keeps the place in a topic, for copies.")
        stands = self._broker.committed_offsets(self._ledger, topic.name)
        starts = {number: max(stands.get(number, 0), part.start) for number, part in enumerate(topic.partitions)}
        ends = {number: part.end for number, part in enumerate(topic.partitions)}

        async def advance(offsets: Mapping[str, int]) -> None:
            self._decide(topic, offsets)

        yield LedgerClaims(LogReading(self._broker, topic, address, starts, ends, limit), advance)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[MemoryPublisher]:
        """A pipeline into topics whose receipts are pending."""

        def wait(topic: str, event: Event, partition: int | None) -> None:
            self._must_own()
            self._pending.append((topic, event, partition))

        yield PendingPublisher(self._broker, self._find, wait)

    def _decide(self, topic: Topic, offsets: Mapping[str, int]) -> None:
        require_running(self._broker)
        self._must_own()
        pending, self._pending = self._pending, []
        for name, event, partition in pending:
            self._broker.append(name, event, partition)
        for label, offset in offsets.items():
            self._broker.commit(self._ledger, topic.name, topic.labels.index(label), offset)

    def _must_own(self) -> None:
        if self._broker.ledgers.get(self._ledger) is not self:
            raise ConnectorError(f"Ledger {self._ledger!r} was taken over: this is being done elsewhere.")
