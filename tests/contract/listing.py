"""Endpoints: what there is, and what each says of itself."""

import pytest

from tests.contract.steps import depth_becomes, eventually, numbered, publish_all
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.guard import Guarded
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import EndpointNotFound


class ListingContract(Contract):
    """The tests."""

    async def test_all_endpoints_are_listed_by_name(self, broker: BrokerUnderTest) -> None:
        made = {(await broker.create(kind.name)).address: kind.name for kind in self.kinds}
        async with connect(broker.connection) as connector:
            listed = await connector.endpoints()
        kinds = {endpoint.address: endpoint.kind for endpoint in listed}
        assert {address: kinds.get(address) for address in made} == made
        assert len(kinds) == len(listed)
        names = [endpoint.address.name for endpoint in listed]
        assert names == sorted(names)

    async def test_endpoint_claims_what_is_expected_of_its_kind(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            endpoint = await connector.endpoint(place.address)
            listed = {entry.address: entry for entry in await connector.endpoints()}[place.address]
        assert (endpoint.address, endpoint.kind, endpoint.family) == (place.address, kind.name, kind.family)
        assert endpoint.abilities == listed.abilities == kind.abilities
        partitions = 3 if Ability.PARTITIONS in kind.abilities else None
        assert endpoint.partitions == listed.partitions == partitions

    @needs(Ability.BROWSE)
    async def test_depth_becomes_what_was_published(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            await depth_becomes(connector, kind, place.address, 0)
            await publish_all(connector, place.address, numbered(25, key=None))
            await depth_becomes(connector, kind, place.address, 25)

    async def test_listed_depths_become_what_was_published(self, broker: BrokerUnderTest) -> None:
        browsable = [kind for kind in self.kinds if Ability.BROWSE in kind.abilities]
        places = [(await broker.create(kind.name)).address for kind in browsable]
        expected = [25 if kind.countable else None for kind in browsable]
        async with connect(broker.connection) as connector:
            for place in places:
                await publish_all(connector, place, numbered(25))

            async def reached() -> bool:
                depths = {endpoint.address: endpoint.depth for endpoint in await connector.endpoints()}
                return [depths[place] for place in places] == expected

            await eventually(reached)

    @needs(Ability.BROWSE, family="queue", countable=True)
    async def test_what_a_listed_queue_holds_is_told_at_once_when_it_is_asked_for(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = (await broker.create(kind.name)).address
        async with Guarded(connect(broker.connection), broker.connection) as connector:
            await publish_all(connector, place, numbered(25))
            listed = [each for each in await connector.endpoints() if each.address == place]
            [now] = await connector.recount(listed)
        assert isinstance(now, Endpoint) and now.depth == 25

    async def test_missing_endpoint_is_not_found(self, broker: BrokerUnderTest, kind: Kind) -> None:
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(EndpointNotFound):
                await connector.endpoint(self.missing(broker, kind))
        assert await broker.inventory() == before

    @needs(dead_letters=True)
    async def test_dead_letters_link_both_queues(self, broker: BrokerUnderTest, kind: Kind) -> None:
        dead = await broker.create(kind.name)
        place = await broker.create(kind.name, dead_letters_to=dead.address)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).dead_letters_to == (dead.address,)
            assert (await connector.endpoint(dead.address)).dead_letters_of == (place.address,)

    @needs(dead_letters=True, tapped=True)
    async def test_dead_letters_through_an_exchange_link_both_queues(self, broker: BrokerUnderTest, kind: Kind) -> None:
        dead = await broker.create(kind.name)
        place = await broker.create(kind.name, dead_letters_to=dead.fed_by)
        async with connect(broker.connection) as connector:
            listed = {endpoint.address: endpoint for endpoint in await connector.endpoints()}
        assert listed[place.address].dead_letters_to == (dead.fed_by, dead.address)
        assert place.address in listed[dead.fed_by].dead_letters_of
        assert place.address in listed[dead.address].dead_letters_of

    @needs(Ability.BROWSE, free=False)
    async def test_look_that_is_not_free_has_a_price(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.sentence

    @needs(Ability.BROWSE, free=True)
    async def test_look_that_is_free_has_none(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.sentence == ""

    @needs(counts=True, holds=True)
    async def test_delivery_limit_is_part_of_the_price(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, delivery_limit=7)
        async with connect(broker.connection) as connector:
            assert (await connector.endpoint(place.address)).cost.limit == 7
