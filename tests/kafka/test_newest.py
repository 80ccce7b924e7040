"""The newest events of a topic, and the first ones from a place: held against all that a plain consumer reads."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, admin, connect, make_topic
from tests.kafka.reading import BASE, browse, numbered, publish, wait_until_decided
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.model.start import Beginning, FromEnd, Since

ANY_TIME = {
    "retention_ms": "-1",
    "message_timestamp_after_max_ms": str(2**63 - 1),
    # Times close segments, and one that is deleted and not yet removed misleads Kafka's index of times.
    "segment_ms": str(2**63 - 1),
}
TIMES = st.one_of(st.integers(BASE, BASE + 30), st.sampled_from([0, BASE - 10**9, BASE + 10**9, BASE + 10**12]))


class Written(NamedTuple):
    """Events written to a partition together."""

    partition: int
    times: list[int]
    how: str


class Seen(NamedTuple):
    """An event, as much of it as tells it from others; in the order of time, partition and offset."""

    time: int
    partition: int
    offset: int
    body: bytes | None


@st.composite
def written(draw: st.DrawFn) -> tuple[int, list[Written], dict[int, float]]:
    """How many partitions, what is written to them, and which part of each is deleted afterwards."""
    partitions = draw(st.integers(1, 4))
    how = st.sampled_from(["plain", "plain", "committed", "aborted"])
    some = st.builds(Written, st.integers(0, partitions - 1), st.lists(TIMES, min_size=1, max_size=12), how)
    deleted = st.dictionaries(st.integers(0, partitions - 1), st.floats(0, 1), max_size=2)
    return partitions, draw(st.lists(some, max_size=8)), draw(deleted)


async def fill(kafka: KafkaAddress, address: Address, some: Sequence[Written], deleted: dict[int, float]) -> None:
    plain = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    careful = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"newest-{uuid.uuid4().hex}")
    number = 0
    if any(one.how != "plain" for one in some):
        await careful.start()
    await plain.start()
    try:
        for partition, times, how in some:
            producer = plain if how == "plain" else careful
            if producer is careful:
                await careful.begin_transaction()
            for time in times:
                await (await producer.send(address.name, b"%d" % number, partition=partition, timestamp_ms=time))
                number += 1
            if producer is careful:
                await (careful.commit_transaction() if how == "committed" else careful.abort_transaction())
    finally:
        await plain.stop()
        await careful.stop()
    async with connect(kafka.url) as connector:
        await wait_until_decided(connector, address)
    async with admin(kafka.bootstrap) as client:
        ends = {
            partition: sum(len(each.times) for each in some if each.partition == partition) for partition in deleted
        }
        records = {
            TopicPartition(address.name, partition): RecordsToDelete(before_offset=int(share * ends[partition]))
            for partition, share in deleted.items()
        }
        if records:
            await client.delete_records(records)


async def everything(
    kafka: KafkaAddress, address: Address, partitions: int, time: int
) -> tuple[list[Seen], dict[int, int]]:
    """All that a consumer reads that knows nothing of ours; and the offsets from which on partitions have what was
    written more than ten minutes after a time."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = [TopicPartition(address.name, partition) for partition in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        found = []
        async with asyncio.timeout(30):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    found += [Seen(each.timestamp, each.partition, each.offset, each.value) for each in records]
        late = await consumer.offsets_for_times(dict.fromkeys(places, time + 600_000))
    finally:
        await consumer.stop()
    return sorted(found), {place.partition: behind.offset for place, behind in late.items() if behind}


def in_order(some: Sequence[Seen]) -> list[Seen]:
    """By time, but within a partition by offset: an event counts as no older than those before it."""
    ranked = []
    for partition in {each.partition for each in some}:
        newest = -1
        for each in sorted((one for one in some if one.partition == partition), key=lambda one: one.offset):
            newest = max(newest, each.time)
            ranked.append(((newest, partition, each.offset), each))
    return [each for _, each in sorted(ranked)]


def seen(deliveries: Sequence[Delivery]) -> list[Seen]:
    return [
        Seen(each.event.timestamp or 0, int(each.position.partition), int(each.position.offset), each.event.body)
        for each in deliveries
        if each.position is not None
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(written(), st.integers(1, 40), TIMES)
def test_what_is_newest_is_what_a_plain_consumer_finds_to_be(
    kafka: KafkaAddress, example: tuple[int, list[Written], dict[int, float]], count: int, time: int
) -> None:
    partitions, some, deleted = example

    async def compare() -> None:
        address = await make_topic(kafka.bootstrap, partitions, **ANY_TIME)
        await fill(kafka, address, some, deleted)
        there, late = await everything(kafka, address, partitions, time)
        async with connect(kafka.url) as connector:
            assert seen(await browse(connector, address)) == in_order(there)
            assert seen(await browse(connector, address, FromEnd(count))) == in_order(there[-count:])
            in_time = [each for each in there if each.offset < late.get(each.partition, each.offset + 1)]
            earlier = [each for each in in_time if each.time < time]
            assert seen(await browse(connector, address, FromEnd(count, time))) == in_order(earlier[-count:])
            later = in_order([each for each in there if each.time >= time])
            assert seen(await browse(connector, address, Since(time))) == later
            assert seen(await browse(connector, address, Since(time), count)) == later[:count]
            assert seen(await browse(connector, address, Beginning(), count)) == in_order(there)[:count]
        async with admin(kafka.bootstrap) as client:
            await client.delete_topics([address.name])

    asyncio.run(compare())


async def test_a_quiet_partition_does_not_hide_a_busy_one(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    month = 30 * 86_400_000
    quiet = [Event(None, b"quiet %d" % number, timestamp=BASE - month + number) for number in range(5)]
    await publish(connector, address, quiet, 0)
    await publish(connector, address, numbered(100), 1)
    async with connector.browse(address, FromEnd(3)) as stream:
        found = [each.event.body async for batch in stream for each in batch]
    assert found == [b"event-97", b"event-98", b"event-99"]
    assert str(stream.coverage) == "3 of 105 read from 2 partitions"
    async with connector.browse(address, FromEnd(103)) as stream:
        found = [each.event.body async for batch in stream for each in batch]
    assert found[:4] == [b"quiet 2", b"quiet 3", b"quiet 4", b"event-0"]


async def test_the_newest_of_many_partitions_are_found_without_reading_the_rest(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(50)
    await publish(connector, address, numbered(20_000, size=100), 7)
    for partition in range(0, 50, 5):
        await publish(connector, address, numbered(3, first=-1_000), partition)
    async with connector.browse(address, FromEnd(500)) as stream:
        found = [each.event.timestamp async for batch in stream for each in batch]
    assert found == list(range(BASE + 19_500, BASE + 20_000))
    assert stream.coverage.total == 20_030


async def test_what_is_behind_a_deleted_segment_is_found_by_its_time(kafka: KafkaAddress, topic: MakeTopic) -> None:
    address = await topic(segment_bytes=str(1 << 20))
    async with connect(kafka.url) as connector, admin(kafka.bootstrap) as client:
        # Three segments; what is in the first is deleted, while the segment itself is there for some minutes more.
        await publish(connector, address, numbered(30, size=100_000))
        await client.delete_records({TopicPartition(address.name, 0): RecordsToDelete(before_offset=12)})
        assert await offsets_since(connector, address, BASE + 5) == list(range(12, 30))
        assert await offsets_since(connector, address, BASE + 15) == list(range(15, 30))
        assert await offsets_since(connector, address, BASE + 30) == []


async def offsets_since(connector: KafkaConnector, address: Address, time: int) -> list[int]:
    return [int(seen.position.offset) for seen in await browse(connector, address, Since(time)) if seen.position]
