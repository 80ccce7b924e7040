"""A million events in 12 partitions, under all compressions, in and out of transactions, compacted: none is missed."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from aiokafka import AIOKafkaProducer

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import Kafka
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import numbered, publish
from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.event import Event

COUNT = 1_000_000
ABORTED = range(COUNT, COUNT + 30_000)
VERSIONS = 20
"""Of twenty events one has the key of its predecessor."""
NEEDLE = b"#4711"


def key(number: int) -> bytes:
    return b"key-%d" % (number - (number % VERSIONS == 1))


def body(number: int) -> bytes:
    return b'{"number":"#%d","text":"%s"}' % (number, b"lorem ipsum dolor sit amet " * 3)


def events(numbers: Iterable[int]) -> list[Event]:
    return [Event(key(number), body(number)) for number in numbers]


def parts(numbers: range, size: int) -> Iterator[range]:
    return (numbers[begin : begin + size] for begin in range(0, len(numbers), size))


async def compressed(broker: Kafka, address: Address, folder: Path, numbers: range, codec: str) -> None:
    """Written by kcat."""
    file = folder / codec
    file.write_bytes(b"".join(b"%s\t%s\n" % (key(number), body(number)) for number in numbers))
    command = ["kcat", "-P", "-b", broker.bootstrap, "-t", address.name, "-K", "\t", "-z", codec, "-l", str(file)]
    # Kafka's own rule for keys, so that all versions of a key are in one partition, whoever wrote them.
    options = ["-X", "topic.partitioner=murmur2_random", "-X", "enable.idempotence=true"]
    await asyncio.to_thread(subprocess.run, [*command, *options], check=True)


async def in_transactions(connector: KafkaConnector, broker: Kafka, address: Address, numbers: range) -> None:
    """Written by the connector, and every other time undone."""
    source = await make_topic(broker.bootstrap)
    await publish(connector, source, numbered(10))
    undone = parts(ABORTED[: len(ABORTED) // 2], 3_000)
    ledger = f"million-{uuid.uuid4().hex}"
    for some in parts(numbers, len(numbers) // 5):
        async with (
            connector.transaction(ledger) as transaction,
            transaction.publisher() as publisher,
            transaction.claim(source, "move", 1) as claims,
        ):
            assert len(await anext(claims)) == 1
            await publisher.send(address, events(some))
            [outcome] = await claims.settle([0])
            assert not outcome.error
            await publisher.send(address, events(next(undone)))
            await publisher.flush()


async def compressed_in_transactions(broker: Kafka, address: Address, numbers: range) -> None:
    """Written by aiokafka's producer, and every other time undone."""
    undone = parts(ABORTED[len(ABORTED) // 2 :], 3_750)
    for codec, some in zip(("gzip", "snappy", "lz4", "zstd"), parts(numbers, len(numbers) // 4), strict=True):
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap,
            transactional_id=f"million-{codec}",
            compression_type=codec,
            max_batch_size=100_000,
        )
        await producer.start()
        for batch, commit in ((some, True), (next(undone), False)):
            await producer.begin_transaction()
            for number in batch:
                await producer.send(address.name, body(number), key(number))
            await (producer.commit_transaction() if commit else producer.abort_transaction())
        await producer.stop()


async def numbers_of(stream: Stream) -> AsyncIterator[int]:
    """The numbers in the order seen; offsets ascend in each partition."""
    last: dict[str, int] = {}
    async for batch in stream:
        for delivery in batch:
            assert delivery.position is not None
            offset = int(delivery.position.offset)
            assert offset > last.get(delivery.position.partition, -1)
            last[delivery.position.partition] = offset
            text = delivery.event.body or b""
            number = int(text[text.index(b"#") + 1 : text.index(b'"', 12)])
            assert (delivery.event.key, text) == (key(number), body(number))
            yield number


async def everything(connector: KafkaConnector, address: Address) -> list[int]:
    """All that is there, once the last transaction is decided in the eyes of readers, too."""
    while True:
        async with connector.browse(address) as stream:
            found = [number async for number in numbers_of(stream)]
            if stream.coverage.complete:
                return found
            assert all("still open" in gap.reason for gap in stream.coverage.gaps)


async def test_a_million_events_are_browsed_and_scanned_complete(own_kafka: Kafka, tmp_path: Path) -> None:
    address = await make_topic(
        own_kafka.bootstrap,
        12,
        cleanup_policy="compact",
        segment_bytes="2000000",
        min_cleanable_dirty_ratio="0.001",
        max_compaction_lag_ms="1000",
    )
    async with connect(own_kafka.url) as connector:
        await publish(connector, address, events(range(200_000)))
        for index, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
            begin = 200_000 + index * 150_000
            await compressed(own_kafka, address, tmp_path, range(begin, begin + 150_000), codec)
        await in_transactions(connector, own_kafka, address, range(800_000, 950_000))
        await compressed_in_transactions(own_kafka, address, range(950_000, COUNT))

        before, found = [0], await everything(connector, address)
        async with asyncio.timeout(90):
            while len(found) != len(before) or len(found) == COUNT:
                await asyncio.sleep(0.5)
                before, found = found, await everything(connector, address)

        assert len(set(found)) == len(found), "none twice"
        assert max(found) < COUNT, "none of an aborted transaction"
        replaced = set(range(0, COUNT, VERSIONS))
        assert set(range(COUNT)) - set(found) <= replaced, "none missed but what compaction may remove"
        assert len(found) < COUNT, "compaction was at work"

        async with connector.scan([address], [[NEEDLE]]) as stream:
            hits = [number async for number in numbers_of(stream)]
            assert stream.coverage.complete
            assert stream.progress.share == 1
        assert sorted(hits) == sorted(number for number in found if NEEDLE in body(number))
