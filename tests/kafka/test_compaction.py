"""Compacted topics: tombstones, offsets without an event, and what is gone at the end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka import AIOKafkaProducer

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.kafka.conftest import DEADLINE, MakeTopic, connect, make_topic
from tests.kafka.reading import browse, by_partition, publish, wait_until_decided
from tests.kafka.test_scan import scan
from workbench.model.address import Address
from workbench.model.event import Event, Position
from workbench.model.start import At, FromEnd, Start

T = TypeVar("T")

COMPACTED = {
    "cleanup_policy": "compact",
    "min_cleanable_dirty_ratio": "0.0001",
    "segment_ms": "100",
    "delete_retention_ms": "0",
    "min_compaction_lag_ms": "0",
    "max_compaction_lag_ms": "100",
}


async def offsets(connector: KafkaConnector, address: Address, start: Start | None = None) -> list[int]:
    """The offsets that hold an event."""
    return by_partition(await browse(connector, address, start))["0"]


async def compact(connector: KafkaConnector, address: Address, below: int) -> None:
    """Return when fewer events than so many are left."""
    async with asyncio.timeout(DEADLINE):
        while len(await offsets(connector, address)) >= below:
            # A segment is compacted when it is closed, and an event closes it when it is old enough.
            await publish(connector, address, [Event(b"tick", b"tick")])
            await asyncio.sleep(0.3)


async def undisturbed(
    connector: KafkaConnector, address: Address, look: Callable[[], Awaitable[T]]
) -> tuple[list[int], T]:
    """The offsets that are left, and what a look found while compaction took none of them away."""
    async with asyncio.timeout(DEADLINE):
        left = await offsets(connector, address)
        while True:
            found = await look()
            before, left = left, await offsets(connector, address)
            if before == left:
                return left, found


async def test_offsets_without_an_event_are_neither_missed_nor_counted(own_kafka: Kafka) -> None:
    address = await make_topic(own_kafka.bootstrap, 1, **COMPACTED)
    async with connect(own_kafka.url) as connector:
        await compact_and_look(connector, address)


async def compact_and_look(connector: KafkaConnector, address: Address) -> None:
    for round_ in range(4):
        await publish(connector, address, [Event(b"key-%d" % key, b"%d" % round_) for key in range(100)])
    await publish(connector, address, [Event(b"key-%d" % key, None) for key in range(0, 100, 10)])
    await compact(connector, address, below=200)
    async with connector.browse(address) as stream:
        found = [delivery async for batch in stream for delivery in batch]
    assert stream.coverage.complete
    newest = {delivery.event.key: delivery.event.body for delivery in found}
    assert {key: newest.get(key) for key in newest if key != b"tick"} == {
        b"key-%d" % key: b"3" for key in range(100) if key % 10
    } | {key: None for key in newest if newest[key] is None}
    left, last = await undisturbed(connector, address, lambda: offsets(connector, address, FromEnd(20)))
    assert last == left[-20:]
    # What compaction has taken away once does not come back.
    hole = Position("0", str(max(offset for offset in range(left[-1]) if offset not in left)))
    left, after = await undisturbed(connector, address, lambda: offsets(connector, address, At(hole)))
    assert after == [offset for offset in left if offset > int(hole.offset)]
    left, (hits, coverage) = await undisturbed(connector, address, lambda: scan(connector, [address], b"key-7"))
    held = [delivery.position for delivery in found if b"key-7" in (delivery.event.key or b"")]
    assert [delivery.position for delivery in hits] == [at for at in held if at and int(at.offset) in left]
    assert coverage.complete


async def test_marks_of_transactions_are_not_counted(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=address.name)
    await producer.start()
    try:
        for number in range(30):
            await producer.begin_transaction()
            await (await producer.send(address.name, b"%d" % number, b"k"))
            await (producer.abort_transaction() if number % 3 == 2 else producer.commit_transaction())
    finally:
        await producer.stop()
    await wait_until_decided(connector, address)
    kept = [b"%d" % number for number in range(30) if number % 3 != 2]
    for count in (1, 5, 19, 20, 21, 1000):
        found = [delivery.event.body for delivery in await browse(connector, address, FromEnd(count))]
        assert found == kept[-count:]
    assert await browse(connector, address, FromEnd(0)) == []
