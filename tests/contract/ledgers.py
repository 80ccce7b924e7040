"""Ledgers: how far a log is dealt with, and what is published in one with that."""

from uuid import uuid4

import pytest

from tests.contract.steps import browse, eventually, numbered, publish_all, read, receipts_of
from tests.contract.under_test import BrokerUnderTest, Contract, Kind, bodies, needs
from workbench.connecting.connector import Connector, LedgerConnector
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported


class LedgersContract(Contract):
    """The tests."""

    @needs(Ability.CLAIM, lacks=Ability.REMOVE)
    async def test_ledger_goes_on_behind_what_was_settled(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place, ledger = await broker.create(kind.name), new_ledger()
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            await publish_all(connector, place.address, numbered(10))
            seen = []
            for limit in (4, 4, None, None):
                async with (
                    connector.transaction(ledger) as transaction,
                    transaction.claim(place.address, "move", limit) as claims,
                ):
                    taken = await read(claims)
                    outcomes = await claims.settle(range(len(taken)))
                    assert claims.lapsed == frozenset()
                assert [(outcome.error, outcome.state) for outcome in outcomes] == [(None, "settled")] * len(taken)
                seen.append(bodies(taken))
            assert bodies(await browse(connector, place.address)) == bodies(numbered(10))
        assert seen == [bodies(numbered(4)), bodies(numbered(4, begin=4)), bodies(numbered(2, begin=8)), []]

    @needs(Ability.CLAIM, lacks=Ability.REMOVE)
    async def test_what_a_ledger_has_not_settled_is_claimed_again(self, broker: BrokerUnderTest, kind: Kind) -> None:
        place, ledger = await broker.create(kind.name), new_ledger()
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            await publish_all(connector, place.address, numbered(5))
            async with connector.transaction(ledger) as transaction:
                async with transaction.claim(place.address, "move") as claims:
                    await read(claims)
                    await claims.settle([0, 1])
                async with transaction.claim(place.address, "move") as claims:
                    assert bodies(await read(claims)) == bodies(numbered(3, begin=2))

    @needs(Ability.CLAIM, lacks=Ability.REMOVE)
    async def test_log_is_claimed_in_a_transaction_and_for_a_copy_alone(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        place = await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            with pytest.raises(Unsupported):
                async with connector.claim(place.address, "move"):
                    pass
            async with connector.transaction(new_ledger()) as transaction:
                with pytest.raises(Unsupported):
                    async with transaction.claim(place.address, "destroy"):
                        pass
                with pytest.raises(EndpointNotFound):
                    async with transaction.claim(self.missing(broker, kind), "move"):
                        pass

    @needs(Ability.ATOMIC)
    async def test_what_is_published_counts_when_claims_are_settled(self, broker: BrokerUnderTest, kind: Kind) -> None:
        source, target = await broker.create(kind.name), await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            await publish_all(connector, source.address, numbered(5))
            async with (
                connector.transaction(new_ledger()) as transaction,
                transaction.claim(source.address, "move") as claims,
            ):
                taken = [delivery.event for delivery in await read(claims)]
                async with transaction.publisher() as publisher:
                    receipts = await receipts_of(publisher, target.address, taken)
                assert [(receipt.error, receipt.state) for receipt in receipts] == [(None, "pending")] * 5
                assert await browse(connector, target.address) == []
                # The publisher is gone; what it was given is not.
                outcomes = await claims.settle(range(5))
                assert [(outcome.error, outcome.state) for outcome in outcomes] == [(None, "settled")] * 5
            await becomes(connector, target.address, 5)
            assert bodies(await browse(connector, target.address)) == bodies(numbered(5))

    @needs(Ability.ATOMIC)
    async def test_what_is_published_and_never_settled_is_undone(self, broker: BrokerUnderTest, kind: Kind) -> None:
        source, target, ledger = await broker.create(kind.name), await broker.create(kind.name), new_ledger()
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            await publish_all(connector, source.address, numbered(5))
            async with connector.transaction(ledger) as transaction, transaction.publisher() as publisher:
                await receipts_of(publisher, target.address, numbered(5))
            async with (
                connector.transaction(ledger) as transaction,
                transaction.claim(source.address, "move") as claims,
            ):
                await read(claims)
                await claims.settle(range(5))
            await publish_all(connector, target.address, numbered(1, begin=5))
            await becomes(connector, target.address, 1)
            assert bodies(await browse(connector, target.address)) == bodies(numbered(1, begin=5))

    @needs(Ability.ATOMIC)
    async def test_who_opens_a_ledger_fences_out_who_had_it(self, broker: BrokerUnderTest, kind: Kind) -> None:
        source, target, ledger = await broker.create(kind.name), await broker.create(kind.name), new_ledger()
        async with connect(broker.connection) as connector, connect(broker.connection) as other:
            assert isinstance(connector, LedgerConnector) and isinstance(other, LedgerConnector)
            await publish_all(connector, source.address, numbered(5))
            async with connector.transaction(ledger) as late, late.claim(source.address, "move") as claims:
                await read(claims)
                async with late.publisher() as publisher:
                    await receipts_of(publisher, target.address, numbered(5))
                async with (
                    other.transaction(ledger) as transaction,
                    transaction.claim(source.address, "move") as others,
                ):
                    assert len(await read(others)) == 5
                    outcomes = await claims.settle(range(5))
                    assert all(isinstance(outcome.error, ConnectorError) for outcome in outcomes)
                    assert [outcome.error for outcome in await others.settle(range(5))] == [None] * 5
            assert await browse(connector, target.address) == []

    @needs(Ability.CLAIM, lacks=Ability.REMOVE | Ability.ATOMIC)
    async def test_transaction_publishes_nothing_where_the_broker_has_none(
        self, broker: BrokerUnderTest, kind: Kind
    ) -> None:
        await broker.create(kind.name)
        async with connect(broker.connection) as connector:
            assert isinstance(connector, LedgerConnector)
            async with connector.transaction(new_ledger()) as transaction:
                with pytest.raises(Unsupported):
                    async with transaction.publisher():
                        pass


def new_ledger() -> str:
    """The name of a ledger that nobody has."""
    return f"contract-{uuid4().hex}"


async def becomes(connector: Connector, address: Address, count: int) -> None:
    """Return when so many events are there: brokers may show what was decided a moment later."""

    async def reached() -> bool:
        return len(await browse(connector, address)) == count

    await eventually(reached)
