"""Searching: what holds the bytes is found, and all that was there on entering is searched."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.contract.steps import DEADLINE, numbered, publish_all, read
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, needs
from workbench.connecting.connector import RangeConnector, ScanConnector
from workbench.connecting.plugins import connect
from workbench.model.endpoint import Ability
from workbench.model.errors import EndpointNotFound, Unsupported
from workbench.model.event import Delivery, Event
from workbench.model.ranges import Range, divide
from workbench.model.start import Window


class ScanningContract(Contract):
    """The tests."""

    @needs(Ability.SCAN)
    async def test_scan_finds_what_holds_one_of_each_group_of_needles(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name, partitions=3)
        found = [Event(b"red", b"a circle"), Event(b"k", b'{"what": "blue circle"}'), Event(b"k", b"r\\u0065d circle")]
        others = [Event(b"red", b"a square"), Event(b"k", b"a circle"), *numbered(500)]
        async with connect(broker.connection) as connector:
            assert isinstance(connector, ScanConnector)
            await publish_all(connector, place.address, [*others, *found])
            needles = ((b"red", b"blue"), (b"circle",))
            async with asyncio.timeout(DEADLINE), connector.scan([place.address], needles, Window()) as scan:
                seen = await read(scan)
                assert scan.coverage.complete
                assert (scan.progress.done, scan.progress.total) == (505, 505)
        scanned = {(delivery.event.key, delivery.event.body) for delivery in seen}
        # One that holds the bytes in another way may be found besides, and is for the query to refuse.
        assert {(event.key, event.body) for event in found} <= scanned
        assert not {(event.key, event.body) for event in others} & scanned

    @needs(Ability.SCAN)
    async def test_scan_of_a_missing_endpoint_is_not_found_and_one_for_nothing_unsupported(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert isinstance(connector, ScanConnector)
            with pytest.raises(EndpointNotFound):
                async with connector.scan([self.missing(broker, kind)], ((b"x",),), Window()):
                    pass
            with pytest.raises(Unsupported):
                async with connector.scan([place.address], (), Window()):
                    pass

    @needs(Ability.RANGES)
    async def test_ranges_have_together_what_a_log_has(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place = await broker.create(kind.name, partitions=3)
        async with connect(broker.connection) as connector:
            assert isinstance(connector, RangeConnector)
            await publish_all(connector, place.address, [*numbered(500), Event(b"red", b"a circle")])
            [extent] = await connector.extents([place.address], Window())
            assert (extent.address, extent.gaps) == (place.address, ())
            assert sum(each.size for each in extent.ranges) == 501
            # Events that come later are none of theirs.
            await publish_all(connector, place.address, numbered(100))

            async def found_in(ranges: Sequence[Range], needles: Sequence[Sequence[bytes]]) -> list[Delivery]:
                found = []
                for part in ranges:
                    async with asyncio.timeout(DEADLINE), connector.scan_range(part, needles, Window()) as scan:
                        found += await read(scan)
                        assert scan.coverage.complete
                        assert [int(each.end) for each in scan.coverage.spans] == [part.end]
                return found

            parts = list(divide(extent.ranges, 60))
            assert len(parts) > 8
            everything = await found_in(parts, ())
            assert sorted(each.event.body or b"" for each in everything) == sorted(
                each.body or b"" for each in [*numbered(500), Event(b"red", b"a circle")]
            )
            assert [each.event.body for each in await found_in(parts, ((b"red",),))] == [b"a circle"]
            gone = Range(place.address, "77", 0, 1)
            with pytest.raises(EndpointNotFound):
                await found_in([gone], ())
