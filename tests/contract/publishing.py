"""Publishing: each event is answered for, and lands where it says."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from tests.contract.steps import (
    DEADLINE,
    MANY,
    assert_same,
    browse,
    by_partition,
    cancelled_on_leaving,
    eventually,
    numbered,
    publish,
    publish_all,
)
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, bodies, needs
from workbench.connecting.connector import RoutingConnector
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound, PublishRejected, Unsupported
from workbench.model.event import Event


class PublishingContract(Contract):
    """The tests."""

    @needs(Ability.PUBLISH)
    async def test_every_event_gets_one_receipt(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector, connector.publisher() as publisher:
            async with asyncio.timeout(DEADLINE):
                await publisher.send(place.address, numbered(10))
                await publisher.send(place.address, numbered(1))
                await publisher.finish()
                batches = [batch async for batch in publisher.receipts()]
        assert all(batches)
        assert sorted(receipt.sequence for batch in batches for receipt in batch) == list(range(11))

    @needs(Ability.PUBLISH)
    async def test_one_publisher_serves_many_endpoints_and_tells_which_is_missing(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        one, other = await broker.create(kind.name), await broker.create(kind.name)
        targets = [one.address, self.missing(broker, kind), other.address]
        before = await broker.inventory()
        async with connect(broker.connection) as connector, connector.publisher() as publisher:
            async with asyncio.timeout(DEADLINE):
                for first in range(0, 30, 2):
                    await publisher.send(targets[first // 2 % 3], numbered(2, begin=first))
                await publisher.finish()
                receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
            assert sorted(receipt.sequence for receipt in receipts) == list(range(30))
            errors = {receipt.sequence: type(receipt.error) for receipt in receipts if receipt.error}
            assert errors == {number: EndpointNotFound for number in range(30) if number // 2 % 3 == 1}
            assert all(receipt.state == "settled" for receipt in receipts)
            for place, remainder in ((one, 0), (other, 2)):
                events = [event for number, event in enumerate(numbered(30)) if number // 2 % 3 == remainder]

                async def arrived(at: Address = place.read_at, expected: Sequence[Event] = events) -> bool:
                    return kind.bodies(await browse(connector, at)) == kind.bodies(expected)

                await eventually(arrived)
        assert await broker.inventory() == before

    @needs(Ability.PUBLISH)
    async def test_publishing_nothing_is_answered_by_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert await publish(connector, place.address, []) == []

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_receipts_say_where_events_landed(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        events = kind.events(100)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            seen = await browse(connector, place.address)
        landed = {delivery.position: delivery.event.body for delivery in seen}
        assert [landed[receipt.position] for receipt in receipts] == bodies(events)

    @needs(Ability.PUBLISH | Ability.BROWSE)
    async def test_name_in_a_receipt_is_that_of_its_event(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, numbered(5))
            seen = {delivery.id: delivery.event.body for delivery in await browse(connector, place.address)}
        for receipt, event in zip(receipts, numbered(5), strict=True):
            # Not every broker that names events tells who publishes.
            assert receipt.id is None or seen[receipt.id] == event.body

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_equal_keys_land_in_one_partition(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            for _ in range(3):
                await publish_all(connector, place.address, numbered(5, key=b"1001"))
            assert len(by_partition(await browse(connector, place.address))) == 1

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_partition_can_be_chosen(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            for partition in (2, 0):
                receipts = await publish(connector, place.address, numbered(5), partition)
                places = [receipt.position for receipt in receipts if receipt.position is not None]
                assert [place.partition for place in places] == [str(partition)] * 5
                offsets = [int(place.offset) for place in places]
                assert offsets == (list(range(5)) if kind.positions == "counted" else sorted({*offsets}))

    @needs(Ability.PUBLISH | Ability.PARTITIONS)
    async def test_partition_that_does_not_exist_is_refused(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, place.address, numbered(2), partition=3)
            assert [type(receipt.error) for receipt in receipts] == [PublishRejected] * 2
            await publish_all(connector, place.address, numbered(2))

    @needs(Ability.PUBLISH, lacks=Ability.PARTITIONS)
    async def test_partition_cannot_be_chosen_where_there_are_none(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, place.address, numbered(2), 0)
            assert [type(receipt.error) for receipt in receipts] == [Unsupported] * 2
            await publish_all(connector, place.address, numbered(1))

    @needs(Ability.PUBLISH, family="routes")
    async def test_unroutable_event_is_rejected_and_the_others_are_not(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name, pattern="orders.*")
        events = [Event(key=key, body=key) for key in (b"orders.placed", b"lost.entirely", b"orders.paid")]
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, place.address, events)
            seen = await browse(connector, place.read_at)
        assert [receipt.error is None for receipt in receipts] == [True, False, True]
        sentence = str(receipts[1].error)
        assert place.address.name in sentence
        assert "lost.entirely" in sentence
        assert bodies(seen) == [b"orders.placed", b"orders.paid"]

    @needs(Ability.PUBLISH, family="routes")
    async def test_exchange_hands_on_everything(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        events = kind.events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            seen = await browse(connector, place.read_at)
        assert_same(kind, events, receipts, seen)
        assert {delivery.exchange for delivery in seen} == {place.address.name}

    @needs(family="routes")
    async def test_who_would_get_an_event_is_told_before_it_is_published(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name, pattern="order.*")
        async with connect(broker.connection) as connector:
            assert isinstance(connector, RoutingConnector)
            routes = [
                await connector.route(place.address, Event(key, b"")) for key in (b"order.placed", b"order.plced.x")
            ]
            assert [route.endpoints for route in routes] == [(place.read_at,), ()]
            default = Address(place.address.connection, "", "exchange")
            assert (await connector.route(default, Event(place.read_at.name.encode()))).endpoints == (place.read_at,)
            assert (await connector.route(default, Event(uuid4().hex.encode()))).endpoints == ()
            with pytest.raises(EndpointNotFound):
                await connector.route(self.missing(broker, kind), Event(b"order.placed"))

    @needs(Ability.PUBLISH)
    async def test_publishing_to_a_missing_endpoint_creates_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            receipts = await publish(connector, self.missing(broker, kind), numbered(2))
            assert [type(receipt.error) for receipt in receipts] == [EndpointNotFound] * 2
        assert await broker.inventory() == before

    @needs(Ability.PUBLISH, order="arrival")
    async def test_cancelled_publishing_leaves_the_beginning_in_order(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        events = numbered(5_000)
        answered = asyncio.Event()

        async def publish_on() -> None:
            async with connector.publisher() as publisher, asyncio.TaskGroup() as group:
                group.create_task(publisher.send(place.address, events))
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
