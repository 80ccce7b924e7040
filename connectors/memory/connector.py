"""The embedded broker behind the connector protocol."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Self

import msgspec

from connectors.memory.broker import Broker, embedded_broker
from connectors.memory.endpoints import endpoint_of, of_exchange, of_queue, of_topic, readers_of
from connectors.memory.exchanges import Binding, Exchange
from connectors.memory.groups import group as group_of
from connectors.memory.logs import Topic
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.queue_browse import QueueClaims, QueueLook, QueuePass
from connectors.memory.queue_peek import QueuePeek
from connectors.memory.queues import Queue, QueueSettings
from connectors.memory.start_offsets import first_number, selection, start_offsets
from connectors.memory.streams import Changes, LogReading, Tap, require_running
from connectors.memory.transaction import MemoryTransaction
from workbench.connecting.check import Step, step
from workbench.connecting.config import Connection
from workbench.connecting.connector import Purpose
from workbench.model.address import Address, Namespace
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import AccessRefused, ConfigError, EndpointNotFound, LookRefused, Unsupported
from workbench.model.event import Event
from workbench.model.groups import Group
from workbench.model.look import Gap
from workbench.model.route import Route
from workbench.model.start import Beginning, Latest, Start, Window, check_start
from workbench.model.target_rules import Rules
from workbench.model.wording import quantity

if TYPE_CHECKING:
    from connectors.memory.log_scan import LogScan

TAP_LENGTH = 100_000
"""Messages that a tap keeps when they arrive faster than they are read; then the oldest are dropped, and counted."""

MARGIN = 5
"""Deliveries that a look leaves to a message before its limit: others deliver it as well."""

_tap_numbers = count(1)


class MemoryConnector:
    """A connection to the embedded broker that `memory://NAME` names; several share one broker.

    Attributes:
        embedded: There is no network between us and this broker, so nobody else's work can be disturbed.
        options: Those that its URL may have.
    """

    embedded = True
    options: ClassVar[Sequence[str]] = ()

    def __init__(self, connection: Connection) -> None:
        connection.known_options(*MemoryConnector.options)
        ((name, port), *others) = connection.hosts
        if port or others or connection.path:
            raise ConfigError(f"{connection.name}: an embedded broker has nothing but a name: write memory://NAME.")
        self._connection = connection
        self._broker_name = name

    async def __aenter__(self) -> Self:
        broker = self._broker
        user, password = self._connection.user, self._connection.password
        if broker.users and (user is None or password is None or broker.users.get(user) != password.reveal()):
            raise AccessRefused(
                f"{self._connection.name}: the embedded broker {broker.name!r} does not know this user and password."
            )
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Nothing is left open."""

    async def check(self) -> AsyncIterator[Step]:
        """There is one step: being let in."""

        async def entered() -> str:
            async with self:
                return f"the embedded broker {self._broker_name!r}"

        yield await step("memory", entered)

    def description(self) -> str:
        """It has no version of its own."""
        return "embedded broker"

    async def endpoints(self) -> Sequence[Endpoint]:
        """All queues, exchanges and topics by name; without taps and the default exchange."""
        broker, name = self._broker, self._connection.name
        broker.observe()
        sources, bound = broker.dead_letter_sources(), broker.bound_queues()
        queues = [
            of_queue(broker, name, each, sources, bound)
            for each in broker.queues.values()
            if not each.settings.exclusive
        ]
        exchanges = [of_exchange(broker, name, exchange) for exchange in broker.exchanges.values()]
        topics = [of_topic(broker, name, topic) for topic in broker.topics.values()]
        return sorted((*queues, *exchanges, *topics), key=lambda endpoint: endpoint.address)

    async def endpoint(self, address: Address) -> Endpoint:
        """One endpoint as it is now.

        Raises:
            EndpointNotFound: There is none of this name.
        """
        broker = self._broker
        broker.observe()
        found = self._find(address)
        readers = readers_of(broker, found) if isinstance(found, Queue) else ()
        return msgspec.structs.replace(self._endpoint(found), readers=readers)

    async def rules(self, address: Address) -> Rules:
        """What an endpoint can hold: a topic all of an event, a queue no null body, and few a key."""
        can = (await self.endpoint(address)).abilities
        found = self._find(address)
        bare = isinstance(found, Topic) and found.bare
        return Rules(
            address,
            "this broker",
            null_bodies=Ability.TOMBSTONES in can,
            properties=Ability.PROPERTIES in can,
            keys=Ability.KEYS in can,
            headers=not bare,
            times=not bare,
        )

    async def route(self, address: Address, event: Event) -> Route:
        """Who gets an event that is published to an exchange: see `workbench.connecting.connector.RoutingConnector`."""
        self._find(address)
        queues = self._broker.route(address.name, event.key or b"", event.headers)
        return Route(tuple(self._address(queue.name) for queue in queues if not queue.settings.exclusive))

    @asynccontextmanager
    async def browse(
        self, address: Address, start: Start | None = None, limit: int | None = None, force: bool = False
    ) -> AsyncIterator[QueueLook | QueuePeek | LogReading]:
        """Look at a queue or read a topic, up to where it ends on entering.

        Raises:
            EndpointNotFound: There is none of this name.
            Unsupported: It is an exchange, or a queue and `start` is given.
            LookRefused: A message has no more than `MARGIN` deliveries left, and `force` was not given.
        """
        broker = self._broker
        broker.observe()
        found = self._find(address)
        check_start(self._endpoint(found), start)
        match found:
            case Topic() as topic:
                ends = {number: partition.end for number, partition in enumerate(topic.partitions)}
                starts = start_offsets(broker, address, topic, start or Beginning())
                among = selection(topic, start)
                yield LogReading(broker, topic, address, starts, ends, limit, among=among)
            case Queue() as queue if queue.settings.numbered:
                yield QueuePeek(broker, queue, address, first_number(queue, start), queue.last_place, limit)
            case Queue() as queue:
                if not force:
                    _must_survive(address, queue, limit)
                through = QueuePass(broker, queue.name, address, limit)
                try:
                    yield QueueLook(through)
                finally:
                    through.close()
            case _:
                raise Unsupported(
                    f"{address} is an exchange, which keeps nothing: tail it, or browse a queue behind it."
                )

    @asynccontextmanager
    async def scan(
        self, addresses: Sequence[Address], needles: Sequence[Sequence[bytes]], window: Window
    ) -> AsyncIterator["LogScan"]:
        """Find the events of topics that hold the needles, up to where they end on entering.

        Raises:
            EndpointNotFound: There is none of one of the names.
            Unsupported: One is no topic, or there is nothing to look for.
        """
        from connectors.memory.log_scan import LogScan
        from workbench.decode.byte_search import Needles

        topics = {}
        for address in addresses:
            found = self._find(address)
            if not isinstance(found, Topic) or Ability.SCAN not in self._endpoint(found).abilities:
                raise Unsupported(f"{address} cannot be searched by bytes: browse it.")
            topics[address] = found
        if not topics or not needles or not all(group and all(group) for group in needles):
            raise Unsupported("A search needs something to look for, and somewhere.")
        yield LogScan(self._broker, topics, Needles(needles), window)

    @asynccontextmanager
    async def claim(self, address: Address, purpose: Purpose, limit: int | None = None) -> AsyncIterator[QueueClaims]:
        """Hold what waits in a queue, for either purpose.

        Raises:
            EndpointNotFound: There is none of this name.
            Unsupported: It is no queue.
        """
        broker = self._broker
        broker.observe()
        queue = self._find(address)
        if not isinstance(queue, Queue):
            raise Unsupported(
                f"{address} is no queue and gives nothing up: name a ledger to say how far one has got, or browse it."
            )
        through = QueuePass(broker, queue.name, address, limit)
        try:
            yield QueueClaims(through, address)
        finally:
            through.close()

    @asynccontextmanager
    async def tail(
        self, address: Address, start: Start | None = None, pattern: str | None = None
    ) -> AsyncIterator[Tap | QueuePeek | LogReading]:
        """Read a topic on and on, or tap an exchange or the exchanges that a queue is bound to.

        Raises:
            EndpointNotFound: There is none of this name.
            Unsupported: It is the default exchange; or not a topic, and `start` is given; or `pattern` is, and there
                are no keys to choose by.
        """
        broker = self._broker
        found, start = self._find(address), None if start == Latest() else start
        check_start(self._endpoint(found), start)
        if pattern is not None and (not isinstance(found, Exchange) or found.type not in ("direct", "topic")):
            raise Unsupported(f"{address} has no routing keys to choose by: tail it without a pattern.")
        with Changes.of(broker) as changes:
            if isinstance(found, Topic):
                starts, among = start_offsets(broker, address, found, start or Latest()), selection(found, start)
                yield LogReading(broker, found, address, starts, changes=changes, among=among)
                return
            if isinstance(found, Queue) and found.settings.numbered:
                yield QueuePeek(broker, found, address, first_number(found, start or Latest()), changes=changes)
                return
            bindings, gaps = self._tap_bindings(address, found, pattern)
            tap = broker.declare_queue(
                f"workbench.tap-{next(_tap_numbers)}", QueueSettings(max_length=TAP_LENGTH, exclusive=True)
            )
            consumer = broker.consume(tap.name)
            try:
                for exchange, binding in bindings:
                    exchange.bindings.append(msgspec.structs.replace(binding, queue=tap.name))
                yield Tap(broker, consumer, address, changes, gaps)
            finally:
                consumer.close()

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[MemoryPublisher]:
        """A pipeline into the endpoints; the broker answers at once."""
        publisher = MemoryPublisher(self._broker, self._find)
        try:
            yield publisher
        finally:
            await publisher.finish()

    @asynccontextmanager
    async def transaction(self, ledger: str) -> AsyncIterator[MemoryTransaction]:
        """What is published and how far the ledger is, decided together: see `MemoryTransaction`."""
        async with MemoryTransaction.open(self._broker, ledger, self._find) as transaction:
            yield transaction

    async def groups(self) -> Sequence[Group]:
        """All consumer groups that have committed an offset, by name."""
        broker = self._broker
        return [group_of(broker, self._connection.name, name) for name in sorted(broker.committed)]

    async def group(self, name: str) -> Group:
        """One of them."""
        broker = self._broker
        if name not in broker.committed:
            raise EndpointNotFound(f"There is no consumer group {name!r} on {self._connection.name}.")
        return group_of(broker, self._connection.name, name)

    async def seek(self, group: str, address: Address, offsets: Mapping[str, str | None]) -> None:
        """Commit offsets in a group's name, which has no members."""
        broker, topic = self._broker, self._find(address)
        if not isinstance(topic, Topic) or Ability.GROUPS not in self._endpoint(topic).abilities:
            raise Unsupported(f"{address} is read by no consumer groups.")
        if members := broker.members.get(group):
            raise Unsupported(
                f"Group {group} has {quantity(len(members), 'member')}: stop them first, they would commit over it."
            )
        for partition, offset in offsets.items():
            broker.commit(group, topic.name, topic.labels.index(partition), None if offset is None else int(offset))

    @property
    def _broker(self) -> Broker:
        return require_running(embedded_broker(self._broker_name))

    def _find(self, address: Address) -> Queue | Topic | Exchange:
        broker = self._broker
        if address.namespace == "exchange":
            found: Queue | Topic | Exchange | None = broker.exchanges.get(address.name)
            if not address.name:
                found = Exchange("", "direct")
        else:
            found = broker.queues.get(address.name) or broker.topics.get(address.name)
        if found is None:
            raise EndpointNotFound(f"There is no {address}: `workbench ls {address.connection}` shows what there is.")
        return found

    def _address(self, name: str, namespace: Namespace = "queue") -> Address:
        return Address(self._connection.name, name, namespace)

    def _endpoint(self, found: Queue | Topic | Exchange) -> Endpoint:
        return endpoint_of(self._broker, self._connection.name, found)

    def _tap_bindings(
        self, address: Address, found: Queue | Exchange, pattern: str | None
    ) -> tuple[list[tuple[Exchange, Binding]], tuple[Gap, ...]]:
        """The bindings of a tap, and what it will not see."""
        if isinstance(found, Queue):
            exchanges = self._broker.exchanges.values()
            bindings = [(at, bound) for at in exchanges for bound in at.bindings if bound.queue == found.name]
            if not bindings:
                raise Unsupported(f"{address} is bound to no exchange, so nothing can be tapped: browse it.")
            straight = Gap("messages published straight to the queue", "a tap sees what comes through an exchange")
            return bindings, (straight,)
        if not found.name:
            raise Unsupported("Nothing can be bound to the default exchange: tail a queue or another exchange.")
        if pattern is not None:
            return [(found, Binding("", pattern.encode()))], ()
        if found.type == "direct":
            others = Gap(
                "messages whose routing key is not bound to any queue", "a tap of a direct exchange names keys"
            )
            return [(found, Binding("", key)) for key in {bound.key for bound in found.bindings}], (others,)
        return [(found, Binding("", b"#"))], ()


def _must_survive(address: Address, queue: Queue, limit: int | None) -> None:
    used = max((message.returns for message in queue.waiting()[:limit]), default=0)
    if queue.limit is not None and used + MARGIN >= queue.limit:
        raise LookRefused(
            f"{address} holds a message that was delivered {used} times and is given up after {queue.limit}: browsing"
            " on could lose it. Raise the delivery limit (-1 is none), or force the look."
        )
