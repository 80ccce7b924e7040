"""Claiming: what is settled is gone, and what is not comes back."""

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
    drain,
    eventually,
    filled,
    numbered,
    publish_all,
    read,
)
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound, Unsupported


class ClaimingContract(Contract):
    """The tests."""

    @needs(Ability.CLAIM | Ability.REMOVE, whole=True)
    async def test_claim_is_complete_and_what_is_settled_is_gone(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        events = kind.events(MANY)
        async with connect(broker.connection) as connector:
            receipts = await publish_all(connector, place.address, events)
            async with connector.claim(place.address, "move") as claims:
                seen = await read(claims)
                outcomes = await claims.settle(range(len(seen)))
                assert claims.coverage.read == MANY
            assert_same(kind, events, receipts, seen)
            assert [(outcome.sequence, outcome.error) for outcome in outcomes] == [(at, None) for at in range(MANY)]
            assert await browse(connector, place.address) == []

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_claims_in_rounds_take_everything(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(30)
        async with filled(broker, kind, events) as (connector, address):
            assert kind.bodies(await drain(connector, address)) == kind.bodies(events)

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_what_is_not_settled_comes_back_in_order(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(10)
        async with filled(broker, kind, events) as (connector, address):
            async with connector.claim(address, "move") as claims:
                seen = await read(claims)
                assert kind.bodies(seen) == kind.bodies(events)
                await depth_becomes(connector, kind, address, 0)
                outcomes = [*await claims.settle([4, 0]), *await claims.settle([9])]
            assert [(outcome.sequence, outcome.error) for outcome in outcomes] == [(4, None), (0, None), (9, None)]
            await depth_becomes(connector, kind, address, 7)
            left = [delivery for number, delivery in enumerate(seen) if number not in (0, 4, 9)]
            assert kind.bodies(await browse(connector, address)) == kind.bodies(left)

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_claim_takes_no_more_than_its_limit(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = numbered(10)
        async with filled(broker, kind, events) as (connector, address):
            async with connector.claim(address, "move", limit=4) as claims:
                assert_first(kind, 4, events, await read(claims))
                await depth_becomes(connector, kind, address, 6)
            await assert_holds(connector, kind, address, events)

    @needs(Ability.CLAIM | Ability.REMOVE, whole=True)
    async def test_cancelled_claim_gives_everything_back(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        events = numbered(3_000)
        begun = asyncio.Event()

        async def hold() -> None:
            async with connector.claim(place.address, "move") as claims:
                async for _ in claims:
                    begun.set()
                    await asyncio.Event().wait()

        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            async with cancelled_on_leaving(hold()), asyncio.timeout(DEADLINE):
                await begun.wait()
            await assert_holds(connector, kind, place.address, events)

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_claim_that_destroys_settles_like_one_that_moves(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(3)) as (connector, address):
            async with connector.claim(address, "destroy") as claims:
                seen = await read(claims)
                outcomes = await claims.settle(range(len(seen)))
            assert [(outcome.error, outcome.state) for outcome in outcomes] == [(None, "settled")] * 3
            assert await browse(connector, address) == []

    @needs(Ability.CLAIM | Ability.REMOVE)
    async def test_nothing_is_settled_twice(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(5)) as (connector, address):
            async with connector.claim(address, "move") as claims:
                assert len(await read(claims)) == 5
                await claims.settle([1, 3])
                for wrong in ([1], [0, 0], [5], [-1]):
                    with pytest.raises(ValueError, match="settled before, or never claimed"):
                        await claims.settle(wrong)
                await claims.settle([0, 2, 4])
            assert await browse(connector, address) == []

    @needs(Ability.CLAIM | Ability.REMOVE, leases=True)
    async def test_lost_lease_is_seen_before_what_it_held_is_settled(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(5)) as (connector, address):
            async with connector.claim(address, "move") as claims:
                seen = await read(claims)
                assert [outcome.error for outcome in await claims.settle([1])] == [None]
                assert claims.lapsed == set()
                await broker.lapse(address)

                async def lapsed() -> bool:
                    return claims.lapsed == {0, 2, 3, 4}

                await eventually(lapsed)
                [outcome] = await claims.settle([2])
                assert (outcome.sequence, outcome.error is None, outcome.state) == (2, False, "settled")
            await depth_becomes(connector, kind, address, 4)
            assert kind.bodies(await browse(connector, address)) == kind.bodies([seen[0], *seen[2:]])

    @needs(Ability.CLAIM | Ability.REMOVE, leases=False)
    async def test_nothing_lapses_where_there_are_no_leases(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with (
            filled(broker, kind, numbered(5)) as (connector, address),
            connector.claim(address, "destroy") as claims,
        ):
            await read(claims)
            await claims.settle([1])
            assert claims.lapsed == set()

    @needs(Ability.CLAIM, counts=True)
    async def test_claims_lose_nothing_to_the_delivery_limit(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, delivery_limit=2)
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, numbered(5))
            for _ in range(7):
                async with connector.claim(place.address, "move") as claims:
                    assert set(kind.bodies(await read(claims))) == set(kind.bodies(numbered(5)))
                await depth_becomes(connector, kind, place.address, 5)

    @needs(Ability.CLAIM)
    async def test_claim_of_a_missing_endpoint_creates_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                async with connector.claim(self.missing(broker, kind), "move"):
                    pass
        assert await broker.inventory() == before

    @needs(lacks=Ability.CLAIM)
    async def test_claim_is_unsupported_where_nothing_is_given_up(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                async with connector.claim(place.address, "move"):
                    pass
