"""The embedded broker behind the connector protocol."""

import heapq
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from itertools import count
from typing import Self

import msgspec

from connectors.memory.broker import Broker, embedded_broker
from connectors.memory.exchanges import Binding, Exchange
from connectors.memory.groups import group as group_of
from connectors.memory.log_scan import LogScan
from connectors.memory.logs import LogKind, Topic
from connectors.memory.publisher import MemoryPublisher
from connectors.memory.queue_browse import QueueClaims, QueueLook, QueuePass
from connectors.memory.queue_peek import QueuePeek
from connectors.memory.queues import Queue, QueueSettings
from connectors.memory.streams import Changes, LogReading, Tap, answering
from connectors.memory.transaction import MemoryTransaction
from workbench.connecting.check import Step, step
from workbench.connecting.config import Connection
from workbench.connecting.connector import Purpose
from workbench.decode.byte_search import Needles
from workbench.model.address import Address, Namespace
from workbench.model.endpoint import Ability, Consumer, Endpoint, LookCost
from workbench.model.errors import AccessRefused, ConfigError, EndpointNotFound, LookRefused, Unsupported
from workbench.model.event import Event, Position
from workbench.model.groups import Group
from workbench.model.look import Gap
from workbench.model.route import Route
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start, Window, check_start
from workbench.model.target_rules import Rules

TAP_LENGTH = 100_000
"""Messages that a tap keeps when they arrive faster than they are read; then the oldest are dropped, and counted."""

MARGIN = 5
"""Deliveries that a look leaves to a message before its limit: others deliver it as well."""

_QUEUE = Ability.BROWSE | Ability.CLAIM | Ability.REMOVE | Ability.PUBLISH | Ability.PROPERTIES
_DEFAULT_EXCHANGE = Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES
_EXCHANGE = Ability.TAIL | _DEFAULT_EXCHANGE
_STARTS = Ability.BY_POSITION | Ability.BY_TIME | Ability.FROM_END
_TOPIC = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.CLAIM
    | Ability.ATOMIC
    | Ability.PUBLISH
    | _STARTS
    | Ability.SCAN
    | Ability.GROUPS
    | Ability.PARTITIONS
    | Ability.KEYS
    | Ability.TOMBSTONES
    | Ability.PROPERTIES
)
_BARE_LOG = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.PUBLISH
    | Ability.BY_POSITION
    | Ability.BY_TIME
    | Ability.PARTITIONS
    | Ability.KEYS
)
_STREAM = Ability.BROWSE | Ability.TAIL | Ability.PUBLISH | _STARTS | Ability.PROPERTIES
_LOGS: Mapping[LogKind, Ability] = {"topic": _TOPIC, "stream": _STREAM, "bare log": _BARE_LOG}
_tap_numbers = count(1)


class MemoryConnector:
    """A connection to the embedded broker that `memory://NAME` names; several share one broker.

    Attributes:
        embedded: There is no network between us and this broker, so nobody else's work can be disturbed.
    """

    embedded = True

    def __init__(self, connection: Connection) -> None:
        connection.known_options()
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
        broker = self._broker
        broker.observe()
        sources, bound = broker.dead_letter_sources(), broker.bound_queues()
        queues = [
            self._of_queue(each, sources, bound) for each in broker.queues.values() if not each.settings.exclusive
        ]
        exchanges = [self._of_exchange(exchange) for exchange in broker.exchanges.values()]
        topics = [self._of_topic(topic) for topic in broker.topics.values()]
        return sorted((*queues, *exchanges, *topics), key=lambda endpoint: endpoint.address)

    async def endpoint(self, address: Address) -> Endpoint:
        """One endpoint as it is now.

        Raises:
            EndpointNotFound: There is none of this name.
        """
        self._broker.observe()
        found = self._find(address)
        readers = self._readers(found) if isinstance(found, Queue) else ()
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
                starts = self._starts(address, topic, start or Beginning())
                among = _among(topic, start)
                yield LogReading(broker, topic, address, starts, ends, limit, among=among)
            case Queue() as queue if queue.settings.numbered:
                yield QueuePeek(broker, queue, address, _first_number(queue, start), queue.last_place, limit)
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
    ) -> AsyncIterator[LogScan]:
        """Find the events of topics that hold the needles, up to where they end on entering.

        Raises:
            EndpointNotFound: There is none of one of the names.
            Unsupported: One is no topic, or there is nothing to look for.
        """
        topics = {}
        for address in addresses:
            found = self._find(address)
            if not isinstance(found, Topic) or Ability.SCAN not in _LOGS[found.kind]:
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
                starts, among = self._starts(address, found, start or Latest()), _among(found, start)
                yield LogReading(broker, found, address, starts, changes=changes, among=among)
                return
            if isinstance(found, Queue) and found.settings.numbered:
                yield QueuePeek(broker, found, address, _first_number(found, start or Latest()), changes=changes)
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

    @property
    def _broker(self) -> Broker:
        return answering(embedded_broker(self._broker_name))

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

    def _endpoint(self, found: Queue | Topic | Exchange) -> Endpoint:
        match found:
            case Queue():
                return self._of_queue(found, self._broker.dead_letter_sources(), self._broker.bound_queues())
            case Topic():
                return self._of_topic(found)
            case _:
                return self._of_exchange(found)

    def _of_queue(self, queue: Queue, sources: Mapping[str, Sequence[str]], bound: Set[str]) -> Endpoint:
        broker = self._broker
        exchange = queue.settings.dead_letter_exchange
        to = [self._address(exchange, "exchange")] if exchange else []
        to += [self._address(target.name) for target in broker.dead_letter_queues(queue)]
        of = sources.get(queue.name, ())
        abilities = _QUEUE
        if queue.name in bound or queue.settings.numbered:
            abilities |= Ability.TAIL
        if queue.settings.numbered:
            abilities |= Ability.BY_POSITION
        if queue.settings.keeps_keys:
            abilities |= Ability.KEYS
        return Endpoint(
            self._address(queue.name),
            queue.settings.kind,
            "queue",
            abilities,
            depth=queue.depth,
            published=queue.published,
            consumers=len(broker.consumers(queue)),
            dead_letters_to=tuple(to),
            dead_letters_of=tuple(map(self._address, of)),
            cost=_look_cost(queue),
            detail=tuple(_details(queue.settings)),
        )

    def _of_exchange(self, exchange: Exchange) -> Endpoint:
        price = LookCost("Copies every message that is seen once more.")
        of = [
            queue.name
            for queue in self._broker.queues.values()
            if exchange.name and queue.settings.dead_letter_exchange == exchange.name
        ]
        return Endpoint(
            self._address(exchange.name, "exchange"),
            "exchange",
            "routes",
            _EXCHANGE if exchange.name else _DEFAULT_EXCHANGE,
            published=exchange.published if exchange.name else None,
            dead_letters_of=tuple(map(self._address, of)),
            cost=price if exchange.name else LookCost(),
            detail=(("type", exchange.type),),
        )

    def _of_topic(self, topic: Topic) -> Endpoint:
        to = [other.name for other in self._broker.topics.values() if topic.name in other.dead_letters_of]
        return Endpoint(
            self._address(topic.name),
            topic.kind,
            "log",
            _LOGS[topic.kind],
            depth=None if topic.bare else topic.depth,
            published=None if topic.bare else topic.published,
            partitions=len(topic.partitions) if topic.partitioned else None,
            dead_letters_to=tuple(map(self._address, to)),
            dead_letters_of=tuple(map(self._address, topic.dead_letters_of)),
            cost=LookCost("Takes from the reads that consumers share.") if topic.bare else LookCost(),
        )

    def _readers(self, queue: Queue) -> tuple[Consumer, ...]:
        found = self._broker.consumers(queue)
        return tuple(Consumer(each.tag, "", each.prefetch, active=True, acknowledges=True) for each in found)

    def _address(self, name: str, namespace: Namespace = "queue") -> Address:
        return Address(self._connection.name, name, namespace)

    def _starts(self, address: Address, topic: Topic, start: Start) -> dict[int, int]:
        partitions = dict(enumerate(topic.partitions))
        match start:
            case Beginning():
                return {number: partition.start for number, partition in partitions.items()}
            case Latest():
                return {number: partition.end for number, partition in partitions.items()}
            case Since(time):
                return {number: partition.offset_at(time) for number, partition in partitions.items()}
            case FromEnd():
                starts = {number: part.end for number, part in partitions.items()}
                for _, number, offset in _newest(topic, start):
                    starts[number] = min(starts[number], offset)
                return starts
            case At(Position(name, offset) as position):
                place = topic.place(position)
                if place is None:
                    raise Unsupported(f"{address} has no place {name}:{offset}; its partitions are {_range(topic)}.")
                return dict([place])
            case OfGroup(group):
                committed = self._broker.committed_offsets(group, topic.name)
                if not committed:
                    raise Unsupported(f"Consumer group {group!r} has committed no offset of {address}.")
                return {number: committed.get(number, part.start) for number, part in partitions.items()}

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


def _among(topic: Topic, start: Start | None) -> Callable[[int, int, int], bool]:
    """Which of a topic's present events a start means, by time, partition and offset."""
    ends = [partition.end for partition in topic.partitions]
    match start:
        case FromEnd():
            newest = {(number, offset) for _, number, offset in _newest(topic, start)}
            return lambda time, number, offset: offset >= ends[number] or (number, offset) in newest
        case Since(since):
            return lambda time, number, offset: offset >= ends[number] or time >= since
        case _:
            return lambda time, number, offset: True


def _newest(topic: Topic, start: FromEnd) -> list[tuple[int, int, int]]:
    """The newest events, by time, partition and offset; in a stream the order of offsets is that of time."""
    ranks = (
        (0 if topic.kind == "stream" else event.timestamp or 0, number, offset)
        for number, part in enumerate(topic.partitions)
        for offset, event in enumerate(part.read(part.start, part.end), part.start)
        if start.before is None or (event.timestamp or 0) < start.before
    )
    return heapq.nlargest(start.count, ranks)


def _first_number(queue: Queue, start: Start | None) -> int:
    """The number of the first message that a start means, in a queue that numbers them."""
    match start:
        case Latest():
            return queue.last_place + 1
        case At(Position(_, number)) if number.isdecimal():
            return int(number)
        case _:
            return 0


def _look_cost(queue: Queue) -> LookCost:
    if queue.settings.numbered:
        return LookCost()
    sentence = "Sets `redelivered`; while the look is open, consumers do not get what it shows."
    if queue.limit is None:
        return LookCost(sentence)
    used = max((message.returns for message in queue.waiting()), default=0)
    return LookCost(f"{sentence} Counts as a delivery: {used} of {queue.limit} are used.", used, queue.limit)


def _must_survive(address: Address, queue: Queue, limit: int | None) -> None:
    used = max((message.returns for message in queue.waiting()[:limit]), default=0)
    if queue.limit is not None and used + MARGIN >= queue.limit:
        raise LookRefused(
            f"{address} holds a message that was delivered {used} times and is given up after {queue.limit}: browsing"
            " on could lose it. Raise the delivery limit (-1 is none), or force the look."
        )


def _details(settings: QueueSettings) -> Iterator[tuple[str, str]]:
    for name in ("message_ttl", "max_length", "lease", "dead_letter_exchange", "dead_letter_routing_key"):
        if (value := getattr(settings, name)) is not None:
            yield name.replace("_", "-"), str(value)


def _range(topic: Topic) -> str:
    return f"0 to {len(topic.partitions) - 1}"
