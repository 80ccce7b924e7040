"""Where a browse or a tail begins in a log."""

import time

import pytest

from tests.contract.steps import browse, filled, numbered, publish, publish_all, read
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import Unsupported
from workbench.model.event import Event, Position
from workbench.model.start import At, Beginning, FromEnd, Latest, Since


class StartingContract(Contract):
    """The tests."""

    @needs(placed=True)
    async def test_browse_from_the_beginning(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(10)) as (connector, address):
            assert kind.bodies(await browse(connector, address, Beginning())) == kind.bodies(numbered(10))

    @needs(placed=True)
    async def test_browse_from_the_end_shows_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(10)) as (connector, address):
            assert await browse(connector, address, Latest()) == []

    @needs(Ability.FROM_END)
    async def test_browse_of_the_last_ones(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(10)) as (connector, address):
            assert kind.bodies(await browse(connector, address, FromEnd(3))) == kind.bodies(numbered(3, begin=7))
            assert kind.bodies(await browse(connector, address, FromEnd(99))) == kind.bodies(numbered(10))

    @needs(Ability.FROM_END | Ability.PARTITIONS, times="published")
    async def test_last_ones_are_the_newest_of_all_partitions(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        now = time.time_ns() // 1_000_000
        events = [Event(b"k", b"event %d" % number, timestamp=now - 1_000 + number) for number in range(30)]
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events[20:25], partition=0)
            await publish_all(connector, place.address, events[:20], partition=1)
            await publish_all(connector, place.address, events[25:], partition=2)
            for count in (0, 3, 7, 12, 30, 99):
                expected = kind.bodies(events[30 - min(count, 30) :])
                assert kind.bodies(await browse(connector, place.address, FromEnd(count))) == expected
            before = FromEnd(7, before=now - 1_000 + 22)
            assert kind.bodies(await browse(connector, place.address, before)) == kind.bodies(events[15:22])
            async with connector.browse(place.address, FromEnd(7)) as stream:
                await read(stream)
            assert str(stream.coverage) == "7 of 30 read from 3 partitions"
            async with connector.tail(place.address, FromEnd(7)) as stream:
                await publish_all(connector, place.address, [Event(b"k", b"more")], partition=1)
                assert {*kind.bodies(await read(stream, 8))} == {*kind.bodies([*events[23:], Event(body=b"more")])}

    @needs(Ability.BY_POSITION)
    async def test_browse_from_a_position(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with filled(broker, kind, numbered(10)) as (connector, address):
            position = (await browse(connector, address))[4].position
            assert position is not None
            seen = await browse(connector, address, At(position))
        assert kind.bodies(seen) == kind.bodies(numbered(6, begin=4))

    @needs(Ability.BY_POSITION | Ability.PARTITIONS)
    async def test_position_reads_its_partition_alone(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        places: dict[int, list[Position]] = {}
        async with connect(broker.connection) as connector:
            for partition in range(3):
                receipts = await publish(connector, place.address, numbered(10), partition)
                places[partition] = [receipt.position for receipt in receipts if receipt.position is not None]
            seen = await browse(connector, place.address, At(places[1][7]))
        assert [delivery.position for delivery in seen] == places[1][7:]

    @needs(Ability.BY_POSITION | Ability.PARTITIONS)
    async def test_position_in_a_missing_partition_is_unsupported(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, At(Position("3", "0")))

    @needs(Ability.BY_TIME)
    async def test_browse_since_a_time_misses_nothing(self, broker: BrokerUnderTest, kind: Kind) -> None:
        events = kind.events(10)
        async with filled(broker, kind, events) as (connector, address):
            assert kind.bodies(await browse(connector, address, Since(0))) == kind.bodies(events)

    @needs(Ability.BY_TIME, times="arrival")
    async def test_browse_since_an_arrival_shows_what_arrived_then_and_later(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        async with filled(broker, kind, numbered(10)) as (connector, address):
            seen = await browse(connector, address)
            since = seen[4].event.timestamp
            assert since is not None
            later = [delivery for delivery in seen if (delivery.event.timestamp or 0) >= since]
            assert kind.bodies(await browse(connector, address, Since(since))) == kind.bodies(later)

    @needs(Ability.BY_TIME | Ability.PARTITIONS, times="published")
    async def test_browse_since_a_time_begins_with_the_first_event_of_that_time(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        events = kind.events(10)
        begin, end = events[0].timestamp, events[-1].timestamp
        assert begin is not None
        assert end is not None
        async with connect(broker.connection) as connector:
            await publish_all(connector, place.address, events)
            assert kind.bodies(await browse(connector, place.address, Since(begin + 4))) == kind.bodies(events[4:])
            assert await browse(connector, place.address, Since(end + 1)) == []

    @needs(Ability.TAIL, placed=True)
    async def test_tail_from_the_beginning_goes_on_with_what_arrives(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with (
            filled(broker, kind, numbered(5)) as (connector, address),
            connector.tail(address, Beginning()) as stream,
        ):
            assert kind.bodies(await read(stream, 5)) == kind.bodies(numbered(5))
            await publish_all(connector, address, numbered(5, begin=5))
            assert kind.bodies(await read(stream, 5)) == kind.bodies(numbered(5, begin=5))

    @needs(Ability.FROM_END | Ability.TAIL)
    async def test_tail_from_the_last_ones_goes_on_with_what_arrives(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with (
            filled(broker, kind, numbered(5)) as (connector, address),
            connector.tail(address, FromEnd(2)) as stream,
        ):
            await publish_all(connector, address, numbered(5, begin=5))
            assert kind.bodies(await read(stream, 7)) == kind.bodies(numbered(7, begin=3))

    @needs(lacks=Ability.BY_TIME, placed=True)
    async def test_time_to_begin_is_unsupported_where_there_are_positions_alone(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, Since(0))

    @needs(lacks=Ability.FROM_END, placed=True)
    async def test_last_ones_are_unsupported_where_nothing_counts_them(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, FromEnd(3))

    @needs(placed=False)
    async def test_place_to_begin_is_unsupported_where_nothing_is_a_log(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            with pytest.raises(Unsupported):
                await browse(connector, place.address, Beginning())
            with pytest.raises(Unsupported):
                async with connector.tail(place.address, Beginning()):
                    pass
