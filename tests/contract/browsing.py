"""Browsing: all that is there is shown, and all of it stays."""

import asyncio

import pytest

from tests.contract.steps import (
    DEADLINE,
    MANY,
    assert_first,
    assert_holds,
    assert_same,
    browse,
    cancelled_on_leaving,
    depth_becomes,
    filled,
    inventory_becomes,
    numbered,
    publish,
    publish_all,
    read,
    wait_until_given_back,
)
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound, LookRefused, Unsupported
from workbench.model.event import Position
from workbench.model.start import At


class BrowsingContract(Contract):
    """The tests."""

    @needs(Ability.BROWSE | Ability.PUBLISH, whole=True)
    async def test_browse_is_complete(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        events = kind.events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            async with asyncio.timeout(DEADLINE), connector.browse(place.address) as stream:
                seen = await read(stream)
                coverage = stream.coverage
        assert stream.interruption is None
        assert_same(kind, events, receipts, seen)
        assert (coverage.read, coverage.gaps) == (MANY, ())
        assert {delivery.address for delivery in seen} == {place.address}

    @needs(Ability.BROWSE, whole=False)
    async def test_look_that_does_not_see_all_says_so(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(100)
        async with filled(broker, kind, events) as (connector, address):
            async with asyncio.timeout(DEADLINE), connector.browse(address) as stream:
                seen = await read(stream)
            assert_first(kind, len(seen), events, seen)
            assert 0 < len(seen) < len(events)
            assert not stream.coverage.complete

    @needs(Ability.BROWSE | Ability.PARTITIONS, positions="counted")
    async def test_coverage_names_the_offsets_read(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=2)
        async with connect(broker.connection) as connector:
            await publish(connector, place.address, numbered(7), partition=1)
            async with asyncio.timeout(DEADLINE), connector.browse(place.address) as stream:
                await read(stream)
                spans = {span.partition: (span.start, span.end) for span in stream.coverage.spans}
        assert spans == {"0": ("0", "0"), "1": ("0", "7")}

    @needs(Ability.BROWSE)
    async def test_browse_of_nothing_ends(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            assert await browse(connector, place.address) == []

    @needs(Ability.BROWSE | Ability.BY_POSITION | Ability.PARTITIONS)
    async def test_reading_on_from_where_a_look_ended_shows_what_came_since(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name, partitions=2)
        async with connect(broker.connection) as connector:
            await publish(connector, place.address, numbered(7), partition=1)
            async with asyncio.timeout(DEADLINE), connector.browse(place.address) as stream:
                await read(stream)
            await publish(connector, place.address, numbered(3, begin=7), partition=1)
            (end,) = [span.end for span in stream.coverage.spans if span.partition == "1"]
            since = await browse(connector, place.address, At(Position("1", end)))
        assert kind.bodies(since) == kind.bodies(numbered(3, begin=7))

    @needs(Ability.BROWSE, whole=True)
    async def test_browse_shows_no_more_than_its_limit(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(30)
        async with filled(broker, kind, events) as (connector, address):
            assert_first(kind, 10, events, await browse(connector, address, limit=10))
            await wait_until_given_back(connector, kind, address, len(events))
            assert kind.bodies(await browse(connector, address, limit=31)) == kind.bodies(events)

    @needs(Ability.BROWSE | Ability.PARTITIONS)
    async def test_limit_is_for_all_partitions_together(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, kind.events(60))
            assert len(await browse(connector, place.address, limit=10)) == 10

    @needs(Ability.BROWSE)
    async def test_browse_ends_where_the_endpoint_ended_on_entering(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(5)
        async with filled(broker, kind, events) as (connector, address), connector.browse(address) as stream:
            await publish_all(connector, address, numbered(5, begin=5))
            assert kind.bodies(await read(stream)) == kind.bodies(events)

    @needs(Ability.BROWSE)
    async def test_looking_twice_shows_the_same(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        events = kind.events(500)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            first = await browse(connector, place.address)
            await wait_until_given_back(connector, kind, place.address, 500)
            second = await browse(connector, place.address)
            await depth_becomes(connector, kind, place.address, 500)
        assert kind.bodies(second) == kind.bodies(first)
        assert [seen.position is None for seen in first] == [kind.positions == "none"] * len(first)
        if kind.positions != "none":
            assert {seen.position: seen.event for seen in first} == {seen.position: seen.event for seen in second}
            assert len({seen.position for seen in first}) == len(first)
        assert [seen.id is None for seen in first] == [not kind.named] * len(first)
        if kind.named:
            assert {seen.id: seen.event.body for seen in first} == {seen.id: seen.event.body for seen in second}
            assert len({seen.id for seen in first}) == len(first)
        assert [seen.identity is None for seen in first] == [not kind.named and kind.positions == "none"] * len(first)

    @needs(Ability.BROWSE, whole=True)
    async def test_look_that_is_left_early_takes_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(3_000)
        async with filled(broker, kind, events) as (connector, address):
            async with connector.browse(address) as stream:
                await read(stream, count=1)
            await assert_holds(connector, kind, address, events)

    @needs(Ability.BROWSE, holds=True)
    async def test_look_at_some_gives_them_back_before_the_others(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(10)
        async with filled(broker, kind, events) as (connector, address):
            assert len(await browse(connector, address, limit=4)) == 4
            await assert_holds(connector, kind, address, events)

    @needs(Ability.BROWSE, holds=True)
    async def test_look_marks_as_redelivered(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(5)) as (connector, address):
            looks = [await browse(connector, address)]
            await wait_until_given_back(connector, kind, address, 5)
            looks += [await browse(connector, address)]
        assert [{delivery.redelivered for delivery in look} for look in looks] == [{False}, {True}]

    @needs(Ability.BROWSE, counts=True, holds=True)
    async def test_look_counts_as_a_delivery(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(5)) as (connector, address):
            looks = []
            for _ in range(3):
                looks.append(await browse(connector, address))
                await wait_until_given_back(connector, kind, address, 5)
        assert [{delivery.attempt for delivery in look} for look in looks] == [{0}, {1}, {2}]

    @needs(Ability.BROWSE, counts=True, holds=True)
    async def test_look_is_refused_before_it_could_lose_a_message(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, delivery_limit=8)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            assert kind.bodies(await browse(connector, place.address)) == kind.bodies(numbered(5))
            with pytest.raises(LookRefused):
                for _ in range(9):
                    await wait_until_given_back(connector, kind, place.address, 5)
                    await browse(connector, place.address)
            await depth_becomes(connector, kind, place.address, 5)

    @needs(Ability.BROWSE, counts=True, holds=True)
    async def test_forced_looks_lose_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, delivery_limit=2)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            for _ in range(7):
                seen = await browse(connector, place.address, force=True)
                assert set(kind.bodies(seen)) == set(kind.bodies(numbered(5)))
                await depth_becomes(connector, kind, place.address, 5)

    @needs(Ability.BROWSE | Ability.CLAIM, family="queue", holds=False)
    async def test_look_that_takes_nothing_shows_what_others_hold(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(5)) as (connector, address):
            async with connector.claim(address, "move", limit=2) as claims:
                taken = await read(claims)
                seen = await browse(connector, address)
            assert len(taken) == 2
            assert kind.bodies(seen) == kind.bodies(numbered(5))
            held = [delivery for delivery in seen if delivery.state is not None]
            assert kind.bodies(held) == kind.bodies(taken)

    @needs(Ability.BROWSE, whole=True)
    async def test_cancelled_browse_takes_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
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
            await assert_holds(connector, kind, place.address, events)

    @needs(Ability.BROWSE, whole=True)
    async def test_browse_can_be_cancelled_at_any_step(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(600)
        async with filled(broker, kind, events) as (connector, address):
            before = await broker.inventory()
            for steps in (0, 1, 2, 4, 8, 16, 64, 256):
                async with cancelled_on_leaving(browse(connector, address)):
                    for _ in range(steps):
                        await asyncio.sleep(0)
            await assert_holds(connector, kind, address, events)
            await inventory_becomes(broker, before)

    @needs(Ability.BROWSE)
    async def test_browse_of_a_missing_endpoint_creates_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await browse(connector, self.missing(broker, kind))
        assert await broker.inventory() == before

    @needs(lacks=Ability.BROWSE)
    async def test_browse_is_unsupported_where_nothing_is_kept(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address)
