"""Claims by ledger, and publishing and settling in one transaction."""

import asyncio
import tracemalloc
import uuid
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, connect
from tests.kafka.reading import browse, lag_becomes, numbered, publish
from workbench.connecting.connector import Claims, GroupConnector, LedgerConnector, ScanConnector
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, EndpointNotFound, Unsupported
from workbench.model.event import Delivery


def new_ledger() -> str:
    return f"kafka-tests-move-{uuid.uuid4().hex}"


async def claimed(claims: Claims) -> list[Delivery]:
    return [delivery async for batch in claims for delivery in batch]


async def committed(connector: KafkaConnector, ledger: str) -> dict[str, str | None]:
    return {each.partition: each.committed for each in (await connector.group(ledger)).partitions}


def numbers(deliveries: Sequence[Delivery]) -> list[bytes]:
    return sorted(delivery.event.body or b"" for delivery in deliveries)


async def shown(connector: KafkaConnector, address: Address, count: int) -> list[Delivery]:
    """What is there, once it is so much: brokers let readers see a decided transaction a moment later."""
    async with asyncio.timeout(20):
        while len(found := await browse(connector, address)) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def test_a_ledger_stands_before_the_first_event_that_is_not_settled(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address, ledger = await topic(), new_ledger()
    await publish(connector, address, numbered(10))
    async with connector.transaction(ledger) as transaction, transaction.claim(address, "move") as claims:
        assert len(await claimed(claims)) == 10
        assert [outcome.error for outcome in await claims.settle([0, 1])] == [None, None]
        assert await committed(connector, ledger) == {"0": "2"}
        [held_back] = await claims.settle([3])
        assert "Offset 2 of partition 0 comes first" in str(held_back.error)
        assert await committed(connector, ledger) == {"0": "2"}
        assert [outcome.error for outcome in await claims.settle([2])] == [None]
        assert await committed(connector, ledger) == {"0": "4"}
    assert (await connector.group(ledger)).lag == 6


async def test_the_next_claim_goes_on_where_the_ledger_stands(connector: KafkaConnector, topic: MakeTopic) -> None:
    address, ledger = await topic(3), new_ledger()
    await publish(connector, address, numbered(300))
    seen: list[Delivery] = []
    for limit in (100, 150, None):
        async with connector.transaction(ledger) as transaction, transaction.claim(address, "move", limit) as claims:
            found = await claimed(claims)
            outcomes = await claims.settle(range(len(found)))
            assert not any(outcome.error for outcome in outcomes)
            seen += found
    assert len(seen) == len({delivery.position for delivery in seen}) == 300
    group = await connector.group(ledger)
    assert (group.lag, group.state) == (0, "Empty")
    async with connector.transaction(ledger) as transaction, transaction.claim(address, "move") as claims:
        assert await claimed(claims) == []


async def test_the_plan_is_named_in_the_ledger(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, ledger = await topic(), new_ledger()
    await publish(connector, address, numbered(1))
    async with connector.transaction(ledger) as transaction, transaction.claim(address, "move") as claims:
        await claimed(claims)
        await claims.settle([0])
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=ledger, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(address.name, 0)])
        assert await consumer.committed(TopicPartition(address.name, 0)) == 1
    finally:
        await consumer.stop()


async def test_a_sequence_is_settled_once(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic()
    await publish(connector, address, numbered(2))
    async with connector.transaction(new_ledger()) as transaction, transaction.claim(address, "move") as claims:
        await claimed(claims)
        await claims.settle([0])
        for wrong in ([0], [1, 1], [2], [-1]):
            with pytest.raises(ValueError, match="settled before, or never claimed"):
                await claims.settle(wrong)


async def test_a_claim_without_a_ledger_or_a_topic_is_refused(connector: KafkaConnector, topic: MakeTopic) -> None:
    with pytest.raises(Unsupported, match="name a ledger"):
        async with connector.claim(await topic(), "move"):
            pass
    async with connector.transaction(new_ledger()) as transaction:
        with pytest.raises(EndpointNotFound):
            async with transaction.claim(Address("kafka", "kafka-tests-nowhere"), "move"):
                pass
        with pytest.raises(Unsupported, match="keeps its events"):
            async with transaction.claim(await topic(), "destroy"):
                pass


async def test_publishing_and_settling_are_one(connector: KafkaConnector, topic: MakeTopic) -> None:
    source, target, ledger = await topic(2), await topic(2), new_ledger()
    await publish(connector, source, numbered(1_000))
    async with (
        connector.transaction(ledger) as transaction,
        transaction.publisher() as publisher,
        transaction.claim(source, "move") as claims,
    ):
        found = await claimed(claims)
        for begin in (0, 500):
            await publisher.send(target, [delivery.event for delivery in found[begin : begin + 500]])
            await publisher.flush()
            assert len(await browse(connector, target)) == begin
            outcomes = await claims.settle(range(begin, begin + 500))
            assert not any(outcome.error for outcome in outcomes)
            await shown(connector, target, begin + 500)
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    assert len(receipts) == 1_000
    assert numbers(await shown(connector, target, len(found))) == numbers(found)
    await lag_becomes(connector, ledger, 0)


async def test_what_is_not_settled_is_undone(connector: KafkaConnector, topic: MakeTopic) -> None:
    source, target, ledger = await topic(), await topic(), new_ledger()
    await publish(connector, source, numbered(20))
    async with (
        connector.transaction(ledger) as transaction,
        transaction.publisher() as publisher,
        transaction.claim(source, "move", 10) as claims,
    ):
        found = await claimed(claims)
        await publisher.send(target, [delivery.event for delivery in found])
        await publisher.flush()
        await claims.settle(range(10))
        await publisher.send(target, numbered(5, first=500))
        await publisher.flush()
    assert numbers(await shown(connector, target, len(found))) == numbers(found)
    assert await committed(connector, ledger) == {"0": "10"}


async def test_a_second_run_fences_out_the_first(kafka: KafkaAddress, topic: MakeTopic) -> None:
    async with connect(kafka.url) as one, connect(kafka.url) as other:
        source, target, ledger = await topic(), await topic(), new_ledger()
        await publish(one, source, numbered(10))
        async with (
            one.transaction(ledger) as first,
            first.publisher() as stale,
            first.claim(source, "move") as claims,
        ):
            found = await claimed(claims)
            await stale.send(target, [delivery.event for delivery in found])
            await stale.flush()
            async with (
                other.transaction(ledger) as second,
                second.publisher() as fresh,
                second.claim(source, "move") as again,
            ):
                await fresh.send(target, [delivery.event for delivery in await claimed(again)])
                await fresh.flush()
                assert not any(outcome.error for outcome in await again.settle(range(10)))
            outcomes = await claims.settle(range(10))
            assert all("was taken over" in str(outcome.error) for outcome in outcomes)
            with pytest.raises(ConnectorError, match="was taken over"):
                await stale.send(target, numbered(1))
                await stale.finish()
        assert numbers(await shown(one, target, 10)) == numbers(found)


async def test_publishers_share_one_transaction_and_each_other_s_partitions(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    source, targets, ledger = await topic(), [await topic(), await topic()], new_ledger()
    await publish(connector, source, numbered(10))
    async with (
        connector.transaction(ledger) as transaction,
        transaction.publisher() as one,
        transaction.publisher() as other,
        transaction.claim(source, "move") as claims,
    ):
        found = await claimed(claims)
        for number, delivery in enumerate(found):
            await (one, other)[number % 2].send(targets[number % 3 // 2], [delivery.event])
        assert not any(outcome.error for outcome in await claims.settle(range(10)))
    there = [*await shown(connector, targets[0], 7), *await shown(connector, targets[1], 3)]
    assert numbers(there) == numbers(found)


async def test_a_transaction_outlives_its_publishers_and_its_claims(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    source, target, ledger = await topic(2), await topic(2), new_ledger()
    await publish(connector, source, numbered(30))
    moved: list[Delivery] = []
    async with connector.transaction(ledger) as transaction:
        for _ in range(3):
            async with transaction.claim(source, "move", 10) as claims:
                found = await claimed(claims)
                async with transaction.publisher() as publisher:
                    await publisher.send(target, [delivery.event for delivery in found[:5]])
                    await publisher.finish()
                    receipts = [receipt async for some in publisher.receipts() for receipt in some]
                assert [(receipt.error, receipt.state) for receipt in receipts] == [(None, "pending")] * 5
                async with transaction.publisher() as publisher:
                    await publisher.send(target, [delivery.event for delivery in found[5:]])
                    await publisher.finish()
                assert len(await browse(connector, target)) == len(moved)
                outcomes = await claims.settle(range(10))
                assert [(outcome.error, outcome.state) for outcome in outcomes] == [(None, "settled")] * 10
                moved += found
                await shown(connector, target, len(moved))
    assert numbers(await browse(connector, target)) == numbers(moved)
    await lag_becomes(connector, ledger, 0)


async def test_what_an_abandoned_publisher_had_sent_disturbs_no_other(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    source, target, ledger = await topic(), await topic(), new_ledger()
    await publish(connector, source, numbered(10))
    async with connector.transaction(ledger) as transaction, transaction.claim(source, "move") as claims:
        found = await claimed(claims)
        with pytest.raises(RuntimeError, match="changed my mind"):
            async with transaction.publisher() as publisher:
                await publisher.send(target, numbered(5_000, first=100))
                raise RuntimeError("changed my mind")
        async with transaction.publisher() as publisher:
            await publisher.send(target, [delivery.event for delivery in found])
            await publisher.finish()
        assert not any(outcome.error for outcome in await claims.settle(range(10)))
    async with asyncio.timeout(20):
        while not {*numbers(found)} <= {*numbers(await browse(connector, target))}:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_claims_remember_nothing_of_what_is_settled(connector: KafkaConnector, topic: MakeTopic) -> None:
    source, ledger = await topic(3), new_ledger()
    await publish(connector, source, numbered(50_000, size=20))
    async with connector.transaction(ledger) as transaction, transaction.claim(source, "move") as claims:
        done, looked, most = 0, 0, 0
        tracemalloc.start()
        async for batch in claims:
            outcomes = await claims.settle(range(done, done + len(batch)))
            assert not any(outcome.error for outcome in outcomes)
            done += len(batch)
            del batch, outcomes
            if done < looked + 5_000:
                continue
            looked = done
            of_claims = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/ledger_claims.py")])
            most = max(most, sum(each.size for each in of_claims.statistics("filename")))
        tracemalloc.stop()
    assert done == 50_000
    # Of all 50,000 it would be some megabytes.
    assert most < 1_000_000


def test_the_connector_follows_the_protocols_of_logs() -> None:
    made = connect("kafka://localhost")
    grouped: GroupConnector = made
    scanned: ScanConnector = made
    ledgers: LedgerConnector = made
    assert grouped and scanned and ledgers
