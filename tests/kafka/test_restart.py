"""The broker is killed and comes back in the middle of things: nothing is missed, nothing comes twice."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from connectors.kafka import KafkaConnector, retry
from tests.brokers.kafka import Kafka
from tests.kafka.conftest import DEADLINE, admin, connect, make_topic
from tests.kafka.reading import BASE, browse, by_partition, lag_becomes, numbered, publish
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost
from workbench.model.event import Delivery
from workbench.model.receipt import Receipt
from workbench.model.start import Beginning

EVENTS = 40_000
SIZE = 250
"""Ten megabytes: many times what is asked for at once."""


@pytest.fixture
async def connector(own_kafka: Kafka) -> AsyncIterator[KafkaConnector]:
    async with connect(own_kafka.url) as connected:
        yield connected


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a broker as long as it takes to start on a busy machine."""
    monkeypatch.setattr(retry, "_SECONDS", DEADLINE)


@pytest.fixture
async def filled(own_kafka: Kafka, connector: KafkaConnector) -> Address:
    """A topic of 3 partitions with numbered events."""
    address = await make_topic(own_kafka.bootstrap, 3)
    await publish(connector, address, numbered(EVENTS, size=SIZE))
    return address


async def restart(own_kafka: Kafka) -> None:
    """Kill it, and bring it back."""
    await asyncio.to_thread(own_kafka.kill)
    await asyncio.to_thread(own_kafka.start)


def times(deliveries: list[Delivery]) -> list[int]:
    return [(delivery.event.timestamp or 0) - BASE for delivery in deliveries]


@pytest.mark.usefixtures("patient")
async def test_browse_goes_on_at_the_next_offset(own_kafka: Kafka, connector: KafkaConnector, filled: Address) -> None:
    async with connector.browse(filled) as stream, asyncio.TaskGroup() as group:
        found = [*await anext(stream)]
        await asyncio.to_thread(own_kafka.kill)
        group.create_task(asyncio.to_thread(own_kafka.start))
        async for batch in stream:
            found += batch
    assert times(found) == list(range(EVENTS))
    assert stream.coverage.complete
    assert stream.coverage.notes == ("the connection was lost once and taken up again where it was",)


@pytest.mark.usefixtures("patient")
async def test_tail_says_that_it_is_cut_off_and_goes_on(own_kafka: Kafka, connector: KafkaConnector) -> None:
    address = await make_topic(own_kafka.bootstrap, 2)
    async with connector.tail(address) as stream:
        await publish(connector, address, numbered(100))
        found: list[Delivery] = []
        while len(found) < 100:
            found += await anext(stream)
        await asyncio.to_thread(own_kafka.kill)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(anext(stream))
            while not stream.coverage.gaps:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            [gap] = stream.coverage.gaps
            assert "trying again" in gap.reason
            assert str(own_kafka.bootstrap) in gap.reason
            lost = stream.interruption
            assert lost is not None
            assert lost.reason.rstrip(".") in gap.reason
            assert lost.retry_at >= lost.since
            await asyncio.to_thread(own_kafka.start)
            async with connect(own_kafka.url) as other:
                await publish(other, address, numbered(100, first=100))
            found += await waiting
        while len(found) < 200:
            found += await anext(stream)
        assert stream.interruption is None
        assert stream.coverage.complete
    assert sorted(times(found)) == list(range(200))


@pytest.mark.usefixtures("patient")
async def test_what_was_lost_while_the_program_stood_still_is_missing_since_then(
    own_kafka: Kafka, connector: KafkaConnector
) -> None:
    address = await make_topic(own_kafka.bootstrap)
    async with connector.tail(address) as stream:
        began = time.time_ns() // 1_000_000
        await publish(connector, address, numbered(1))
        await anext(stream)
        stopped = time.time_ns() // 1_000_000
        # The event loop stands still. The answer that comes meanwhile is no sign of life when it is read.
        time.sleep(4)  # noqa: ASYNC251
        own_kafka.kill()
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            waiting = group.create_task(anext(stream))
            while not (lost := stream.interruption):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(own_kafka.start)
            await publish(connector, address, numbered(1, first=1))
            assert times([*await waiting]) == [1]
    assert began <= lost.since <= stopped


@pytest.mark.usefixtures("patient")
async def test_scan_goes_on_at_the_next_offset(own_kafka: Kafka, connector: KafkaConnector, filled: Address) -> None:
    # So that there are many answers, and the kill comes between them.
    async with connector.scan([filled], [[b"event-"]]) as stream, asyncio.TaskGroup() as group:
        stream._fetching._size = 300_000
        found = [*await anext(stream)]
        await asyncio.to_thread(own_kafka.kill)
        group.create_task(asyncio.to_thread(own_kafka.start))
        async for batch in stream:
            found += batch
    assert sorted(times(found)) == list(range(EVENTS))
    assert stream.coverage.complete
    assert stream.progress.share == 1


@pytest.mark.usefixtures("patient")
async def test_publishing_neither_loses_nor_doubles_nor_reorders(own_kafka: Kafka, connector: KafkaConnector) -> None:
    address = await make_topic(own_kafka.bootstrap, 3)
    async with connector.publisher() as publisher, asyncio.TaskGroup() as group:
        for first in range(0, EVENTS, 500):
            if first == EVENTS // 4:
                group.create_task(restart(own_kafka))
            await publisher.send(address, numbered(500, first=first, size=SIZE))
            await asyncio.sleep(0.005)
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    assert not any(receipt.error for receipt in receipts)
    assert sorted(receipt.sequence for receipt in receipts) == list(range(EVENTS))
    found = await browse(connector, address)
    assert times(found) == list(range(EVENTS))
    places = {delivery.position: time for delivery, time in zip(found, times(found), strict=True)}
    assert all(places[receipt.position] == receipt.sequence for receipt in receipts if receipt.position)


async def test_what_was_on_its_way_when_the_broker_is_gone_for_good_is_told_as_not_known(
    own_kafka: Kafka, connector: KafkaConnector
) -> None:
    address = await make_topic(own_kafka.bootstrap, 3)
    receipts: list[Receipt] = []
    try:
        async with connector.publisher() as publisher:
            await publisher.send(address, numbered(1))
            await publisher.flush()
            await asyncio.to_thread(own_kafka.kill)
            await publisher.send(address, numbered(500, first=1))
            with pytest.raises(ConnectionLost):
                await publisher.finish()
            with pytest.raises(ConnectionLost):
                async for some in publisher.receipts():
                    receipts += some
    finally:
        await asyncio.to_thread(own_kafka.start)
    assert sorted(receipt.sequence for receipt in receipts) == list(range(501))
    assert (receipts[0].error, receipts[0].state) == (None, "settled")
    unanswered = receipts[1:]
    # What was never sent is refused for certain; of the rest nobody knows.
    assert all(receipt.error is not None for receipt in unanswered)
    assert {receipt.state for receipt in unanswered} <= {"unknown", "settled"}


@pytest.mark.usefixtures("patient")
async def test_a_transactional_copy_is_exactly_once(
    own_kafka: Kafka, connector: KafkaConnector, filled: Address
) -> None:
    target, ledger = await make_topic(own_kafka.bootstrap, 2), f"kafka-tests-move-{uuid.uuid4().hex}"
    settled = 0
    async with (
        connector.transaction(ledger) as transaction,
        transaction.publisher() as publisher,
        transaction.claim(filled, "move") as claims,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(publisher_receipts(publisher))
        async for batch in claims:
            await publisher.send(target, [delivery.event for delivery in batch])
            # What a target takes is asked for with its first events.
            if settled == 0:
                group.create_task(restart(own_kafka))
            outcomes = await claims.settle(range(settled, settled + len(batch)))
            assert not any(outcome.error for outcome in outcomes)
            settled += len(batch)
            await asyncio.sleep(0.05)
        await publisher.finish()
    assert settled == EVENTS
    assert sorted(times(await everything(connector, target))) == list(range(EVENTS))
    await lag_becomes(connector, ledger, 0)


async def publisher_receipts(publisher: object) -> None:
    async for _ in publisher.receipts():  # type: ignore[attr-defined]
        pass


async def everything(connector: KafkaConnector, address: Address) -> list[Delivery]:
    """What is there when the last transaction is in sight."""
    async with asyncio.timeout(DEADLINE):
        while True:
            async with connector.browse(address) as stream:
                found = [delivery async for batch in stream for delivery in batch]
            if stream.coverage.complete:
                return found
            await asyncio.sleep(0.05)


async def test_lists_work_again_when_the_broker_is_back(
    own_kafka: Kafka, connector: KafkaConnector, filled: Address
) -> None:
    before = await connector.endpoints()
    await asyncio.to_thread(own_kafka.kill)
    with pytest.raises(ConnectionLost, match="nobody listens there"):
        await connector.endpoints()
    await asyncio.to_thread(own_kafka.start)
    assert [endpoint.address for endpoint in await connector.endpoints()] == [each.address for each in before]
    assert (await connector.endpoint(filled)).depth == EVENTS


async def test_a_read_of_what_retention_deletes_meanwhile_says_what_is_missing(
    own_kafka: Kafka, connector: KafkaConnector, filled: Address
) -> None:
    async with connector.tail(filled, Beginning()) as stream:
        async with admin(own_kafka.bootstrap) as client:
            await client.delete_records({TopicPartition(filled.name, 0): RecordsToDelete(before_offset=5_000)})
        found: list[Delivery] = []
        async with asyncio.timeout(DEADLINE):
            while len(found) < EVENTS - 5_000:
                found += await anext(stream)
    assert by_partition(found)["0"][0] == 5_000
    assert [(gap.what, gap.reason) for gap in stream.coverage.gaps] == [
        ("partition 0, offsets 0 to 4999", "deleted before it was read")
    ]
