"""What every connector must do: one set of tests, run unchanged against every broker.

A broker's module subclasses `ConnectorContract`, says in `kinds` exactly which abilities each kind of endpoint has, and
has a fixture `broker` that is a `BrokerUnderTest`: the broker seen from outside, by other means than the connector.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from uuid import uuid4

import pytest

from tests.contract.samples import Keeps, Keys, doubtful, number_of, same_content, samples, unchanged
from workbench.connecting.config import Connection
from workbench.connecting.connector import Claims, Connector, GroupConnector, Stream
from workbench.connecting.plugins import connect
from workbench.model.address import Address, Namespace
from workbench.model.endpoint import Ability, EndpointKind
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    EndpointNotFound,
    LookRefused,
    PublishRejected,
    Unsupported,
)
from workbench.model.event import Delivery, Event, Position
from workbench.model.receipt import Receipt
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start
from workbench.operations.expect import expect
from workbench.query.query import compile

MANY = 10_000
DEADLINE = 60.0
"""Seconds after which something that must happen has failed to happen."""


@dataclass(frozen=True)
class Kind:
    """What the suite must know of a kind of endpoint.

    Attributes:
        abilities: Exactly those that it claims.
        keeps: How much of properties and headers it keeps.
        keys: Which keys it keeps.
        holds: A look takes the messages and gives them back (a classic or quorum queue); it may have dead letters.
        counts: It counts deliveries, and has a delivery limit (a quorum queue).
        routes: It keeps nothing and hands on by routing key (an exchange).
    """

    abilities: Ability
    keeps: Keeps
    keys: Keys = "none"
    holds: bool = False
    counts: bool = False
    routes: bool = False

    def events(self, count: int) -> Sequence[Event]:
        """So many events that this kind of endpoint can keep in full."""
        return samples(count, self.keeps, self.keys, Ability.TOMBSTONES in self.abilities)


@dataclass(frozen=True)
class Place:
    """An endpoint made for one test.

    Attributes:
        address: The endpoint.
        fed_by: Publish here, and a tail of `address` shows it: for a queue an exchange bound to it by `#`.
        read_at: Browse here to see what was published to `address`: for an exchange a classic queue bound to it.
    """

    address: Address
    fed_by: Address
    read_at: Address


class BrokerUnderTest(Protocol):
    """A broker, seen from outside: nothing here goes through the connector."""

    @property
    def connection(self) -> Connection:
        """A connection that works."""
        ...

    @property
    def intruder(self) -> Connection:
        """The same with the password `wrong-password`."""
        ...

    @property
    def nowhere(self) -> Connection:
        """A connection to where no broker answers."""
        ...

    async def create(
        self,
        kind: EndpointKind,
        *,
        partitions: int = 1,
        pattern: str = "#",
        dead_letters_to: Address | None = None,
        delivery_limit: int | None = None,
    ) -> Place:
        """A new endpoint with a name of its own, ready for use; removed after the test.

        Args:
            kind: One that the broker has.
            partitions: Of a topic.
            pattern: By which an exchange's queue is bound to it.
            dead_letters_to: A queue (through the default exchange) or an exchange, with the dead letters' own keys.
            delivery_limit: Of a quorum queue; None: the broker's default.
        """
        ...

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Let a consumer group commit offsets, by partition. Only where there are groups."""
        ...

    async def inventory(self) -> set[str]:
        """The names of all queues, topics and consumer groups there are, also the temporary ones of connectors."""
        ...


async def publish(
    connector: Connector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish, and return a receipt for each event in the order of the events."""
    async with asyncio.timeout(DEADLINE), connector.publisher(address) as publisher:

        async def send() -> None:
            await publisher.send(events, partition)
            await publisher.finish()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(len(events)))
    return sorted(receipts, key=lambda receipt: receipt.sequence)


async def publish_all(
    connector: Connector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish what the broker must take."""
    receipts = await publish(connector, address, events, partition)
    assert [receipt.error for receipt in receipts if receipt.error] == []
    return receipts


async def read(stream: Stream | Claims, count: int | None = None) -> list[Delivery]:
    """Read a stream to its end, or so many deliveries."""
    seen: list[Delivery] = []
    async with asyncio.timeout(DEADLINE):
        async for batch in stream:
            assert batch, "a batch is never empty"
            seen += batch
            if count is not None and len(seen) >= count:
                break
    return seen


async def browse(
    connector: Connector,
    address: Address,
    start: Start | None = None,
    limit: int | None = None,
    force: bool = False,
) -> list[Delivery]:
    """Browse to the end."""
    async with asyncio.timeout(DEADLINE), connector.browse(address, start, limit, force) as stream:
        return await read(stream)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110  # a broker does not say when it has got there
            await asyncio.sleep(0.02)


async def depth_becomes(connector: Connector, address: Address, depth: int) -> None:
    """Return when an endpoint has this depth."""

    async def reached() -> bool:
        return (await connector.endpoint(address)).depth == depth

    await eventually(reached)


async def inventory_becomes(broker: BrokerUnderTest, names: set[str]) -> None:
    """Return when there is just this at the broker."""

    async def reached() -> bool:
        return await broker.inventory() == names

    await eventually(reached)


def bodies(seen: Sequence[Delivery | Event]) -> list[bytes | None]:
    """What a test tells events apart by."""
    return [(item.event if isinstance(item, Delivery) else item).body for item in seen]


def numbered(count: int, key: bytes | None = b"k", begin: int = 0) -> list[Event]:
    """So many plain events, told apart by their bodies."""
    return [Event(key=key, body=b"event %d" % number) for number in range(begin, begin + count)]


@asynccontextmanager
async def cancelled_on_leaving(doing: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Do something in a task meanwhile, and cancel it in the end; its own error is not lost."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(doing)
        try:
            yield
        finally:
            task.cancel()


def assert_same(kind: Kind, sent: Sequence[Event], receipts: Sequence[Receipt], seen: Sequence[Delivery]) -> None:
    """All events came out once, unchanged, in the order of the endpoint or of each of its partitions."""
    assert len(seen) == len(sent)
    if Ability.PARTITIONS in kind.abilities:
        places = [receipt.position for receipt in receipts]
        assert {delivery.position for delivery in seen} == set(places)
        events = dict(zip(places, sent, strict=True))
        for ordered in by_partition(seen).values():
            offsets = [int(delivery.position.offset) for delivery in ordered if delivery.position]
            assert offsets == sorted(offsets)
        pairs = [(events[delivery.position], delivery.event) for delivery in seen]
    else:
        pairs = list(zip(sent, (delivery.event for delivery in seen), strict=True))
    tombstones = Ability.TOMBSTONES in kind.abilities
    assert [got.body for _, got in pairs] == [put.body if tombstones else put.body or b"" for put, _ in pairs]
    if Ability.KEYS in kind.abilities:
        assert [got.key for _, got in pairs] == [put.key for put, _ in pairs]
    if kind.keys == "any":
        assert [got.timestamp for _, got in pairs] == [put.timestamp for put, _ in pairs]
    for put, got in pairs:
        assert same_content(kind.keeps, put, got), f"{put!r} came out as {got!r}"


def by_partition(seen: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    """The deliveries of each partition, in the order seen."""
    partitions = defaultdict[str, list[Delivery]](list)
    for delivery in seen:
        assert delivery.position is not None
        partitions[delivery.position.partition].append(delivery)
    return partitions


needs = pytest.mark.needs
"""Selects the kinds of endpoint that a test is for: `needs(Ability.SEEK, lacks=Ability.GROUPS, holds=True)`."""


class ConnectorContract:
    """The tests. A subclass adds `kinds`, and the fixture `broker`."""

    kinds: ClassVar[Mapping[EndpointKind, Kind]]

    def missing(self, broker: BrokerUnderTest, kind: EndpointKind) -> Address:
        """The address of an endpoint that does not exist."""
        namespace: Namespace = "exchange" if self.kinds[kind].routes else "queue"
        return Address(broker.connection.name, f"contract-missing-{uuid4().hex}", namespace)

    # Endpoints

    async def test_all_endpoints_are_listed_by_name(self, broker: BrokerUnderTest) -> None:
        made = {kind: (await broker.create(kind)).address for kind in self.kinds}
        async with connect(broker.connection) as connector:
            listed = await connector.endpoints()
        kinds = {endpoint.address: endpoint.kind for endpoint in listed}
        assert {address: kinds.get(address) for address in made.values()} == {made[kind]: kind for kind in made}
        assert len(kinds) == len(listed)
        names = [endpoint.address.name for endpoint in listed]
        assert names == sorted(names)

    async def test_endpoint_claims_what_is_expected_of_its_kind(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            endpoint = await connector.endpoint(place.address)
            listed = {entry.address: entry for entry in await connector.endpoints()}[place.address]
        assert (endpoint.address, endpoint.kind) == (place.address, kind)
        assert endpoint.abilities == listed.abilities == self.kinds[kind].abilities
        partitions = 3 if Ability.PARTITIONS in self.kinds[kind].abilities else None
        assert endpoint.partitions == listed.partitions == partitions

    @needs(Ability.BROWSE)
    async def test_depth_becomes_what_was_published(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            await depth_becomes(connector, place.address, 0)
            await publish_all(connector, place.address, numbered(25, key=None))
            await depth_becomes(connector, place.address, 25)

    async def test_listed_depths_become_what_was_published(self, broker: BrokerUnderTest) -> None:
        browsable = [kind for kind, known in self.kinds.items() if Ability.BROWSE in known.abilities]
        places = [(await broker.create(kind)).address for kind in browsable]
        async with connect(broker.connection) as connector:
            for place in places:
                await publish_all(connector, place, numbered(25))

            async def reached() -> bool:
                depths = {endpoint.address: endpoint.depth for endpoint in await connector.endpoints()}
                return [depths[place] for place in places] == [25] * len(places)

            await eventually(reached)

    async def test_missing_endpoint_is_not_found(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await connector.endpoint(self.missing(broker, kind))
        assert await broker.inventory() == before

    @needs(holds=True)
    async def test_dead_letters_link_both_queues(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        dead = await broker.create("classic queue")
        place = await broker.create(kind, dead_letters_to=dead.address)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).dead_letters_to == (dead.address,)
            assert (await connector.endpoint(dead.address)).dead_letters_of == (place.address,)

    @needs(holds=True)
    async def test_dead_letters_through_an_exchange_link_both_queues(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        dead = await broker.create("classic queue")
        place = await broker.create(kind, dead_letters_to=dead.fed_by)
        async with connect(broker.connection) as connector:
            listed = {endpoint.address: endpoint for endpoint in await connector.endpoints()}
        assert listed[place.address].dead_letters_to == (dead.fed_by, dead.address)
        assert place.address in listed[dead.fed_by].dead_letters_of
        assert place.address in listed[dead.address].dead_letters_of

    @needs(holds=True)
    async def test_look_that_takes_and_gives_back_has_a_price(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.sentence

    @needs(Ability.BROWSE, holds=False)
    async def test_look_at_a_log_is_free(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.sentence == ""

    @needs(counts=True)
    async def test_delivery_limit_is_part_of_the_price(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, delivery_limit=7)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.limit == 7

    # Publishing

    @needs(Ability.PUBLISH)
    async def test_every_event_gets_one_receipt(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector, connector.publisher(place.address) as publisher:
            async with asyncio.timeout(DEADLINE):
                await publisher.send(numbered(10))
                await publisher.send(numbered(1))
                await publisher.finish()
                batches = [batch async for batch in publisher.receipts()]
        assert all(batches)
        assert sorted(receipt.sequence for batch in batches for receipt in batch) == list(range(11))

    @needs(Ability.PUBLISH)
    async def test_publishing_nothing_is_answered_by_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            assert await publish(connector, place.address, []) == []

    @needs(Ability.PUBLISH | Ability.BROWSE)
    async def test_rules_refuse_what_would_not_arrive_and_tell_what_changes(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = doubtful(place.address)
        arrived: dict[int, Event] = {}
        refused: set[int] = set()
        async with connect(broker.connection) as connector:
            rules = await connector.rules(place.address)
            for number, event in enumerate(events):
                [receipt] = await publish(connector, place.address, [event])
                if receipt.error:
                    refused.add(number)
            for delivery in await browse(connector, place.address):
                arrived[number_of(delivery.event)] = delivery.event
        for number, event in enumerate(events):
            finding = rules.examine(event)
            same = number not in refused and unchanged(event, arrived[number])
            if finding.refusal:
                assert not same, (finding, event)
            else:
                assert number not in refused, (finding, event)
                assert same == (not finding.changes), (finding, event, arrived[number])

    @needs(Ability.PUBLISH)
    async def test_rules_of_a_missing_endpoint_are_not_found(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await connector.rules(self.missing(broker, kind))

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_receipts_say_where_events_landed(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        events = self.kinds[kind].events(100)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            seen = await browse(connector, place.address)
        landed = {delivery.position: delivery.event.body for delivery in seen}
        assert [landed[receipt.position] for receipt in receipts] == bodies(events)

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_equal_keys_land_in_one_partition(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            for _ in range(3):
                await publish_all(connector, place.address, numbered(5, key=b"1001"))
            assert len(by_partition(await browse(connector, place.address))) == 1

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_partition_can_be_chosen(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            for partition in (2, 0):
                receipts = await publish(connector, place.address, numbered(5), partition)
                assert [receipt.position for receipt in receipts] == [
                    Position(str(partition), str(offset)) for offset in range(5)
                ]

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_partition_that_does_not_exist_is_refused(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, place.address, numbered(2), partition=3)
            assert [type(receipt.error) for receipt in receipts] == [PublishRejected] * 2
            await publish_all(connector, place.address, numbered(2))

    @needs(Ability.PUBLISH, lacks=Ability.PARTITIONS)
    async def test_partition_cannot_be_chosen_where_there_are_none(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector, connector.publisher(place.address) as publisher:
            with pytest.raises(Unsupported):
                await publisher.send(numbered(1), partition=0)

    @needs(Ability.PUBLISH, routes=True)
    async def test_unroutable_event_is_rejected_and_the_others_are_not(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind, pattern="orders.*")
        events = [Event(key=key, body=key) for key in (b"orders.placed", b"lost.entirely", b"orders.paid")]
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, place.address, events)
            await depth_becomes(connector, place.read_at, 2)
            seen = await browse(connector, place.read_at)
        assert [receipt.error is None for receipt in receipts] == [True, False, True]
        sentence = str(receipts[1].error)
        assert place.address.name in sentence
        assert "lost.entirely" in sentence
        assert bodies(seen) == [b"orders.placed", b"orders.paid"]

    @needs(Ability.PUBLISH, routes=True)
    async def test_exchange_hands_on_everything(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = self.kinds[kind].events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            seen = await browse(connector, place.read_at)
        assert_same(self.kinds[kind], events, receipts, seen)
        assert {delivery.exchange for delivery in seen} == {place.address.name}

    @needs(Ability.PUBLISH)
    async def test_publishing_to_a_missing_endpoint_creates_nothing(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await publish(connector, self.missing(broker, kind), numbered(1))
        assert await broker.inventory() == before

    @needs(Ability.PUBLISH)
    async def test_cancelled_publishing_leaves_the_beginning_in_order(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = numbered(5_000)
        answered = asyncio.Event()

        async def publish_on() -> None:
            async with connector.publisher(place.address) as publisher, asyncio.TaskGroup() as group:
                group.create_task(publisher.send(events))
                async for _ in publisher.receipts():
                    answered.set()

        async with connect(broker.connection) as connector:
            async with cancelled_on_leaving(publish_on()), asyncio.timeout(DEADLINE):
                await answered.wait()
            last = Event(key=b"k", body=b"the last")
            await publish_all(connector, place.address, [last])

            async def arrived() -> bool:
                return last.body in bodies(await browse(connector, place.read_at))

            await eventually(arrived)
            *seen, end = bodies(await browse(connector, place.read_at))
        assert end == last.body
        assert 0 < len(seen) <= len(events)
        assert seen == bodies(events)[: len(seen)]

    # Browsing

    @needs(Ability.BROWSE | Ability.PUBLISH)
    async def test_browse_is_complete(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        events = self.kinds[kind].events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            async with asyncio.timeout(DEADLINE), connector.browse(place.address) as stream:
                seen = await read(stream)
                coverage = stream.coverage
        assert stream.interruption is None
        assert_same(self.kinds[kind], events, receipts, seen)
        assert (coverage.read, coverage.gaps) == (MANY, ())
        assert {delivery.address for delivery in seen} == {place.address}

    @needs(Ability.BROWSE | Ability.PARTITIONS)
    async def test_coverage_names_the_offsets_read(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=2)
        async with connect(broker.connection) as connector:
            await publish(connector, place.address, numbered(7), partition=1)
            async with asyncio.timeout(DEADLINE), connector.browse(place.address) as stream:
                await read(stream)
                spans = {span.partition: (span.start, span.end) for span in stream.coverage.spans}
        assert spans == {"0": ("0", "0"), "1": ("0", "7")}

    @needs(Ability.BROWSE)
    async def test_browse_of_nothing_ends(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            assert await browse(connector, place.address) == []

    @needs(Ability.BROWSE)
    async def test_browse_shows_no_more_than_its_limit(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(30)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            assert bodies(await browse(connector, place.address, limit=10)) == bodies(events[:10])
            assert bodies(await browse(connector, place.address, limit=31)) == bodies(events)

    @needs(Ability.BROWSE | Ability.PARTITIONS)
    async def test_limit_is_for_all_partitions_together(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, self.kinds[kind].events(60))
            assert len(await browse(connector, place.address, limit=10)) == 10

    @needs(Ability.BROWSE)
    async def test_browse_ends_where_the_endpoint_ended_on_entering(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = numbered(5)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with connector.browse(place.address) as stream:
                await publish_all(connector, place.address, numbered(5, begin=5))
                assert bodies(await read(stream)) == bodies(events)

    @needs(Ability.BROWSE)
    async def test_looking_twice_shows_the_same(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        events = self.kinds[kind].events(500)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            first = await browse(connector, place.address)
            second = await browse(connector, place.address)
            await depth_becomes(connector, place.address, 500)
        if Ability.PARTITIONS in self.kinds[kind].abilities:
            assert {seen.position: seen.event for seen in first} == {seen.position: seen.event for seen in second}
        else:
            assert bodies(second) == bodies(first)

    @needs(Ability.BROWSE)
    async def test_look_that_is_left_early_takes_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(3_000)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with connector.browse(place.address) as stream:
                await read(stream, count=1)
            await depth_becomes(connector, place.address, len(events))
            assert bodies(await browse(connector, place.address)) == bodies(events)

    @needs(Ability.BROWSE, holds=True)
    async def test_look_at_some_gives_them_back_before_the_others(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = numbered(10)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            assert len(await browse(connector, place.address, limit=4)) == 4
            await depth_becomes(connector, place.address, 10)
            assert bodies(await browse(connector, place.address)) == bodies(events)

    @needs(Ability.BROWSE, holds=True)
    async def test_look_marks_as_redelivered(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            looks = [await browse(connector, place.address) for _ in range(2)]
        assert [{delivery.redelivered for delivery in look} for look in looks] == [{False}, {True}]

    @needs(Ability.BROWSE, counts=True)
    async def test_look_counts_as_a_delivery(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            looks = [await browse(connector, place.address) for _ in range(3)]
        assert [{delivery.attempt for delivery in look} for look in looks] == [{0}, {1}, {2}]

    @needs(Ability.BROWSE, counts=True)
    async def test_look_is_refused_before_it_could_lose_a_message(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind, delivery_limit=8)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            assert bodies(await browse(connector, place.address)) == bodies(numbered(5))
            with pytest.raises(LookRefused):
                for _ in range(9):
                    await browse(connector, place.address)
            await depth_becomes(connector, place.address, 5)

    @needs(Ability.BROWSE, counts=True)
    async def test_forced_looks_lose_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, delivery_limit=2)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            for _ in range(7):
                seen = await browse(connector, place.address, force=True)
                assert set(bodies(seen)) == set(bodies(numbered(5)))
                await depth_becomes(connector, place.address, 5)

    @needs(Ability.BROWSE)
    async def test_cancelled_browse_takes_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(3_000)
        begun = asyncio.Event()

        async def look() -> None:
            async with connector.browse(place.address) as stream:
                async for _ in stream:
                    begun.set()
                    await asyncio.Event().wait()

        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with cancelled_on_leaving(look()), asyncio.timeout(DEADLINE):
                await begun.wait()
            await depth_becomes(connector, place.address, len(events))
            assert bodies(await browse(connector, place.address)) == bodies(events)

    @needs(Ability.BROWSE)
    async def test_browse_can_be_cancelled_at_any_step(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(600)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            before = await broker.inventory()
            for steps in (0, 1, 2, 4, 8, 16, 64, 256):
                async with cancelled_on_leaving(browse(connector, place.address)):
                    for _ in range(steps):
                        await asyncio.sleep(0)
            await depth_becomes(connector, place.address, len(events))
            assert bodies(await browse(connector, place.address)) == bodies(events)
            await inventory_becomes(broker, before)

    @needs(Ability.BROWSE)
    async def test_browse_of_a_missing_endpoint_creates_nothing(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await browse(connector, self.missing(broker, kind))
        assert await broker.inventory() == before

    @needs(lacks=Ability.BROWSE)
    async def test_browse_is_unsupported_where_nothing_is_kept(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address)

    # Tailing

    @needs(Ability.TAIL)
    async def test_tail_is_complete(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        events = self.kinds[kind].events(MANY)
        async with connect(broker.connection) as connector, connector.tail(place.address) as stream:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(publish_all(connector, place.fed_by, events))
                seen = await read(stream, MANY)
            coverage = stream.coverage
            assert stream.interruption is None
        assert_same(self.kinds[kind], events, publishing.result(), seen)
        assert coverage.read == MANY
        assert {delivery.address for delivery in seen} == {place.address}

    @needs(Ability.TAIL)
    async def test_tail_begins_now(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.fed_by, numbered(5))
            async with connector.tail(place.address) as stream:
                await publish_all(connector, place.fed_by, numbered(5, begin=5))
                assert bodies(await read(stream, 5)) == bodies(numbered(5, begin=5))

    @needs(Ability.TAIL | Ability.BROWSE)
    async def test_tail_takes_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(20)
        async with connect(broker.connection) as connector:
            async with connector.tail(place.address) as stream:
                await publish_all(connector, place.fed_by, events)
                await read(stream, len(events))
            seen = await browse(connector, place.address)
        assert bodies(seen) == bodies(events)
        assert not any(delivery.redelivered for delivery in seen)

    @needs(Ability.TAIL)
    async def test_two_tails_see_the_same(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(20)
        async with (
            connect(broker.connection) as connector,
            connector.tail(place.address) as one,
            connector.tail(place.address) as other,
        ):
            await publish_all(connector, place.fed_by, events)
            assert bodies(await read(one, 20)) == bodies(await read(other, 20)) == bodies(events)

    @needs(Ability.TAIL, holds=True)
    async def test_tail_of_a_queue_says_what_it_cannot_see(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector, connector.tail(place.address) as stream:
            coverage = stream.coverage
        assert not coverage.complete
        assert "messages published straight to the queue" in [gap.what for gap in coverage.gaps]

    @needs(Ability.TAIL, holds=True)
    async def test_nothing_can_be_ruled_out_in_a_tapped_queue(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            tail = {place.address: connector.tail(place.address)}
            found = await expect(tail, compile("body.id = 1"), count=1, seconds=0.1)
        assert not found.matches
        assert not found.coverage[place.address].complete

    @needs(Ability.TAIL, routes=True)
    async def test_tail_shows_the_part_of_an_exchange_that_is_asked_for(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        keys = (b"orders.placed", b"payments.declined", b"orders.paid")
        async with (
            connect(broker.connection) as connector,
            connector.tail(place.address, pattern="orders.*") as stream,
        ):
            await publish_all(connector, place.address, [Event(key=key, body=key) for key in keys])
            assert bodies(await read(stream, 2)) == [b"orders.placed", b"orders.paid"]

    @needs(Ability.TAIL)
    async def test_cancelled_tail_leaves_nothing_behind(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        before = await broker.inventory()
        entered = asyncio.Event()

        async def follow() -> None:
            async with connector.tail(place.address) as stream:
                entered.set()
                await read(stream)

        async with connect(broker.connection) as connector:
            async with cancelled_on_leaving(follow()), asyncio.timeout(DEADLINE):
                await entered.wait()
            await inventory_becomes(broker, before)
            async with connector.tail(place.address) as stream:
                await publish_all(connector, place.fed_by, numbered(1))
                assert bodies(await read(stream, 1)) == bodies(numbered(1))

    @needs(Ability.TAIL)
    async def test_tail_can_be_cancelled_at_any_step(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        before = await broker.inventory()

        async def follow() -> None:
            async with connector.tail(place.address) as stream:
                await read(stream)

        async with connect(broker.connection) as connector:
            for steps in (0, 1, 2, 4, 8, 16, 64, 256):
                async with cancelled_on_leaving(follow()):
                    for _ in range(steps):
                        await asyncio.sleep(0)
            await inventory_becomes(broker, before)

    @needs(Ability.TAIL)
    async def test_tail_of_a_missing_endpoint_creates_nothing(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                async with connector.tail(self.missing(broker, kind)):
                    pass
        assert await broker.inventory() == before

    # Where to begin

    @needs(Ability.SEEK)
    async def test_browse_from_the_beginning(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(10))
            assert bodies(await browse(connector, place.address, Beginning())) == bodies(numbered(10))

    @needs(Ability.SEEK)
    async def test_browse_from_the_end_shows_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(10))
            assert await browse(connector, place.address, Latest()) == []

    @needs(Ability.SEEK)
    async def test_browse_of_the_last_ones(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(10))
            assert bodies(await browse(connector, place.address, FromEnd(3))) == bodies(numbered(3, begin=7))
            assert bodies(await browse(connector, place.address, FromEnd(99))) == bodies(numbered(10))

    @needs(Ability.SEEK | Ability.PARTITIONS)
    async def test_last_ones_are_the_newest_of_all_partitions(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind, partitions=3)
        now = time.time_ns() // 1_000_000
        events = [Event(b"k", b"event %d" % number, timestamp=now - 1_000 + number) for number in range(30)]
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events[20:25], partition=0)
            await publish_all(connector, place.address, events[:20], partition=1)
            await publish_all(connector, place.address, events[25:], partition=2)
            for count in (0, 3, 7, 12, 30, 99):
                expected = bodies(events[30 - min(count, 30) :])
                assert bodies(await browse(connector, place.address, FromEnd(count))) == expected
            before = FromEnd(7, before=now - 1_000 + 22)
            assert bodies(await browse(connector, place.address, before)) == bodies(events[15:22])
            async with connector.browse(place.address, FromEnd(7)) as stream:
                await read(stream)
            assert str(stream.coverage) == "7 of 30 read from 3 partitions"
            async with connector.tail(place.address, FromEnd(7)) as stream:
                await publish_all(connector, place.address, [Event(b"k", b"more")], partition=1)
                assert {*bodies(await read(stream, 8))} == {*bodies([*events[23:], Event(body=b"more")])}

    @needs(Ability.SEEK)
    async def test_browse_from_a_position(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(10))
            position = (await browse(connector, place.address))[4].position
            assert position is not None
            assert bodies(await browse(connector, place.address, At(position))) == bodies(numbered(6, begin=4))

    @needs(Ability.SEEK | Ability.PARTITIONS)
    async def test_position_reads_its_partition_alone(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            for partition in range(3):
                await publish(connector, place.address, numbered(10), partition)
            seen = await browse(connector, place.address, At(Position("1", "7")))
        assert [delivery.position for delivery in seen] == [Position("1", str(offset)) for offset in (7, 8, 9)]

    @needs(Ability.SEEK | Ability.PARTITIONS)
    async def test_position_in_a_missing_partition_is_unsupported(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind, partitions=3)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, At(Position("3", "0")))

    @needs(Ability.SEEK)
    async def test_browse_since_a_time_misses_nothing(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = self.kinds[kind].events(10)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            assert bodies(await browse(connector, place.address, Since(0))) == bodies(events)

    @needs(Ability.SEEK | Ability.PARTITIONS)
    async def test_browse_since_a_time_begins_with_the_first_event_of_that_time(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = self.kinds[kind].events(10)
        begin, end = events[0].timestamp, events[-1].timestamp
        assert begin is not None
        assert end is not None
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            assert bodies(await browse(connector, place.address, Since(begin + 4))) == bodies(events[4:])
            assert await browse(connector, place.address, Since(end + 1)) == []

    @needs(Ability.SEEK | Ability.GROUPS)
    async def test_browse_of_what_a_group_has_not_read(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=2)
        group = f"contract-{uuid4().hex}"
        async with connect(broker.connection) as connector:
            for partition in range(2):
                await publish(connector, place.address, numbered(10), partition)
            await broker.commit(group, place.address, {0: 7, 1: 10})
            seen = await browse(connector, place.address, OfGroup(group))
        assert [delivery.position for delivery in seen] == [Position("0", str(offset)) for offset in (7, 8, 9)]

    @needs(Ability.GROUPS)
    async def test_a_group_is_listed_down_to_its_partitions(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, partitions=2)
        name = f"contract-{uuid4().hex}"
        async with connect(broker.connection) as connector:
            assert isinstance(connector, GroupConnector)
            for partition in range(2):
                await publish(connector, place.address, numbered(10), partition)
            await broker.commit(name, place.address, {0: 7, 1: 10})
            group = await connector.group(name)
            assert name in [each.name for each in await connector.groups()]
            unread = await browse(connector, place.address, OfGroup(name))
            with pytest.raises(EndpointNotFound):
                await connector.group(f"contract-{uuid4().hex}")
        assert [(each.partition, each.committed, each.end, each.lag) for each in group.partitions] == [
            ("0", "7", "10", 3),
            ("1", "10", "10", 0),
        ]
        assert {each.address for each in group.partitions} == {place.address}
        assert group.lag == 3
        assert [each.oldest_unread for each in group.partitions] == [unread[0].event.timestamp, None]

    @needs(Ability.SEEK | Ability.GROUPS)
    async def test_unknown_group_is_unsupported(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, OfGroup(f"contract-{uuid4().hex}"))
        assert await broker.inventory() == before

    @needs(Ability.SEEK | Ability.TAIL)
    async def test_tail_from_the_beginning_goes_on_with_what_arrives(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            async with connector.tail(place.address, Beginning()) as stream:
                assert bodies(await read(stream, 5)) == bodies(numbered(5))
                await publish_all(connector, place.address, numbered(5, begin=5))
                assert bodies(await read(stream, 5)) == bodies(numbered(5, begin=5))

    @needs(Ability.SEEK | Ability.TAIL)
    async def test_tail_from_the_last_ones_goes_on_with_what_arrives(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            async with connector.tail(place.address, FromEnd(2)) as stream:
                await publish_all(connector, place.address, numbered(5, begin=5))
                assert bodies(await read(stream, 7)) == bodies(numbered(7, begin=3))

    @needs(lacks=Ability.SEEK)
    async def test_place_to_begin_is_unsupported_where_nothing_is_a_log(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, Beginning())
            with pytest.raises(Unsupported):
                async with connector.tail(place.address, Beginning()):
                    pass

    # Claiming

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_claim_is_complete_and_what_is_settled_is_gone(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        events = self.kinds[kind].events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            async with connector.claim(place.address) as claims:
                seen = await read(claims)
                outcomes = await claims.settle(range(MANY))
                assert claims.coverage.read == MANY
            assert_same(self.kinds[kind], events, receipts, seen)
            assert [(outcome.sequence, outcome.error) for outcome in outcomes] == [(at, None) for at in range(MANY)]
            assert await browse(connector, place.address) == []

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_what_is_not_settled_comes_back_in_order(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(10)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with connector.claim(place.address) as claims:
                assert bodies(await read(claims)) == bodies(events)
                await depth_becomes(connector, place.address, 0)
                outcomes = [*await claims.settle([4, 0]), *await claims.settle([9])]
            assert [(outcome.sequence, outcome.error) for outcome in outcomes] == [(4, None), (0, None), (9, None)]
            await depth_becomes(connector, place.address, 7)
            left = [event for number, event in enumerate(events) if number not in (0, 4, 9)]
            assert bodies(await browse(connector, place.address)) == bodies(left)

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_claim_takes_no_more_than_its_limit(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(10)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with connector.claim(place.address, limit=4) as claims:
                assert bodies(await read(claims)) == bodies(events[:4])
                await depth_becomes(connector, place.address, 6)
            await depth_becomes(connector, place.address, 10)
            assert bodies(await browse(connector, place.address)) == bodies(events)

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_cancelled_claim_gives_everything_back(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind)
        events = numbered(3_000)
        begun = asyncio.Event()

        async def hold() -> None:
            async with connector.claim(place.address) as claims:
                async for _ in claims:
                    begun.set()
                    await asyncio.Event().wait()

        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with cancelled_on_leaving(hold()), asyncio.timeout(DEADLINE):
                await begun.wait()
            await depth_becomes(connector, place.address, len(events))
            assert bodies(await browse(connector, place.address)) == bodies(events)

    @needs(Ability.CLAIM, counts=True)
    async def test_claims_lose_nothing_to_the_delivery_limit(self, broker: BrokerUnderTest, kind: EndpointKind) -> None:
        place = await broker.create(kind, delivery_limit=2)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            for _ in range(7):
                async with connector.claim(place.address) as claims:
                    assert set(bodies(await read(claims))) == set(bodies(numbered(5)))
                await depth_becomes(connector, place.address, 5)

    @needs(Ability.CLAIM)
    async def test_claim_of_a_missing_endpoint_creates_nothing(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                async with connector.claim(self.missing(broker, kind)):
                    pass
        assert await broker.inventory() == before

    @needs(lacks=Ability.CLAIM)
    async def test_claim_is_unsupported_where_nothing_is_given_up(
        self, broker: BrokerUnderTest, kind: EndpointKind
    ) -> None:
        place = await broker.create(kind)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                async with connector.claim(place.address):
                    pass

    # Getting in

    async def test_wrong_password_is_refused_and_not_repeated(self, broker: BrokerUnderTest) -> None:
        with pytest.raises(AccessRefused) as refusal:
            async with asyncio.timeout(DEADLINE), connect(broker.intruder) as connector:
                await connector.endpoints()
        assert "wrong-password" not in str(refusal.value)

    async def test_nobody_listening_is_a_lost_connection(self, broker: BrokerUnderTest) -> None:
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(DEADLINE), connect(broker.nowhere) as connector:
                await connector.endpoints()
