"""Tailing: all that arrives is shown, and nothing of it is taken."""

import asyncio

import pytest

from tests.contract.steps import (
    DEADLINE,
    MANY,
    assert_same,
    browse,
    cancelled_on_leaving,
    inventory_becomes,
    numbered,
    publish_all,
    read,
)
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound
from workbench.model.event import Event
from workbench.operations.expect import expect
from workbench.query.query import compile


class TailingContract(Contract):
    """The tests."""

    @needs(Ability.TAIL)
    async def test_tail_is_complete(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        events = kind.events(MANY)
        async with connect(broker.connection) as connector, connector.tail(place.address) as stream:
            async with asyncio.TaskGroup() as group:
                publishing = group.create_task(publish_all(connector, place.fed_by, events))
                seen = await read(stream, MANY)
            coverage = stream.coverage
            assert stream.interruption is None
        assert_same(kind, events, publishing.result(), seen)
        assert coverage.read == MANY
        assert {delivery.address for delivery in seen} == {place.address}

    @needs(Ability.TAIL)
    async def test_tail_begins_now(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.fed_by, numbered(5))
            async with connector.tail(place.address) as stream:
                await publish_all(connector, place.fed_by, numbered(5, begin=5))
                assert kind.bodies(await read(stream, 5)) == kind.bodies(numbered(5, begin=5))

    @needs(Ability.TAIL | Ability.BROWSE)
    async def test_tail_takes_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        events = numbered(20)
        async with connect(broker.connection) as connector:
            async with connector.tail(place.address) as stream:
                await publish_all(connector, place.fed_by, events)
                await read(stream, len(events))
            seen = await browse(connector, place.address)
        assert kind.bodies(seen) == kind.bodies(events)
        assert not any(delivery.redelivered for delivery in seen)

    @needs(Ability.TAIL)
    async def test_two_tails_see_the_same(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        events = numbered(20)
        async with (
            connect(broker.connection) as connector,
            connector.tail(place.address) as one,
            connector.tail(place.address) as other,
        ):
            await publish_all(connector, place.fed_by, events)
            assert kind.bodies(await read(one, 20)) == kind.bodies(await read(other, 20)) == kind.bodies(events)

    @needs(Ability.TAIL, tapped=True)
    async def test_tail_of_a_queue_says_what_it_cannot_see(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector, connector.tail(place.address) as stream:
            coverage = stream.coverage
        assert not coverage.complete
        assert "messages published straight to the queue" in [gap.what for gap in coverage.gaps]

    @needs(Ability.TAIL, tapped=True)
    async def test_nothing_can_be_ruled_out_in_a_tapped_queue(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            tail = {place.address: connector.tail(place.address)}
            found = await expect(tail, compile("body.id = 1"), count=1, seconds=0.1)
        assert not found.matches
        assert not found.coverage[place.address].complete

    @needs(Ability.TAIL, family="routes")
    async def test_tail_shows_the_part_of_an_exchange_that_is_asked_for(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        keys = (b"orders.placed", b"payments.declined", b"orders.paid")
        async with (
            connect(broker.connection) as connector,
            connector.tail(place.address, pattern="orders.*") as stream,
        ):
            await publish_all(connector, place.address, [Event(key=key, body=key) for key in keys])
            assert kind.bodies(await read(stream, 2)) == [b"orders.placed", b"orders.paid"]

    @needs(Ability.TAIL)
    async def test_cancelled_tail_leaves_nothing_behind(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
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
                assert kind.bodies(await read(stream, 1)) == kind.bodies(numbered(1))

    @needs(Ability.TAIL)
    async def test_tail_can_be_cancelled_at_any_step(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
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
    async def test_tail_of_a_missing_endpoint_creates_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                async with connector.tail(self.missing(broker, kind)):
                    pass
        assert await broker.inventory() == before
