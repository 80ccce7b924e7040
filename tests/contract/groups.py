"""Consumer groups: what each has read, and what is left."""

from uuid import uuid4

import pytest

from tests.contract.steps import browse, numbered, publish
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.connector import GroupConnector, SeekConnector
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound, Unsupported
from workbench.model.event import Position
from workbench.model.start import OfGroup


class GroupsContract(Contract):
    """The tests."""

    @needs(Ability.GROUPS)
    async def test_browse_of_what_a_group_has_not_read(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=2)
        group = f"contract-{uuid4().hex}"
        async with connect(broker.connection) as connector:
            for partition in range(2):
                await publish(connector, place.address, numbered(10), partition)
            await broker.commit(group, place.address, {0: 7, 1: 10})
            seen = await browse(connector, place.address, OfGroup(group))
        assert [delivery.position for delivery in seen] == [Position("0", str(offset)) for offset in (7, 8, 9)]

    @needs(Ability.GROUPS)
    async def test_a_group_is_listed_down_to_its_partitions(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=2)
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

    @needs(Ability.GROUPS)
    async def test_unknown_group_is_unsupported(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name)
        before = await broker.inventory()
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, OfGroup(f"contract-{uuid4().hex}"))
        assert await broker.inventory() == before

    @needs(Ability.GROUPS)
    async def test_a_group_goes_on_where_it_is_put(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=2)
        group = f"contract-{uuid4().hex}"
        async with connect(broker.connection) as connector:
            assert isinstance(connector, SeekConnector)
            for partition in range(2):
                await publish(connector, place.address, numbered(10), partition)
            await broker.commit(group, place.address, {0: 7})
            await connector.seek(group, place.address, {"0": "2", "1": "9"})
            found = await connector.group(group)
            assert [(each.partition, each.committed, each.lag) for each in found.partitions] == [
                ("0", "2", 8),
                ("1", "9", 1),
            ]
            with pytest.raises(EndpointNotFound):
                await connector.seek(group, self.missing(broker, kind), {"0": "0"})
