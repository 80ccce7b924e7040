"""What a stranger can write costs bounded memory: bombs, absurd sizes, huge events."""

import struct
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import cramjam
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import KafkaConnector
from connectors.kafka.channel import Bytes, Channel
from connectors.kafka.compression import MOST, decompress
from connectors.kafka.records import batches, deliveries, survey
from tests.brokers.kafka import KafkaAddress
from tests.e2e.command import INSTALLED
from tests.kafka.conftest import MakeTopic, admin
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish
from tests.kafka.test_records import batch
from tests.kafka.test_scan import scan
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.start import Beginning, FromEnd


def xerial(data: bytes) -> bytes:
    """Snappy in blocks, as Java writes it."""
    blocks = [bytes(cramjam.snappy.compress_raw(data[at : at + 32_768])) for at in range(0, len(data), 32_768)]
    return b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + b"".join(struct.pack(">i", len(one)) + one for one in blocks)


CODECS: list[tuple[int, Callable[[bytes], bytes]]] = [
    (1, lambda data: zlib.compress(data, 1, wbits=31)),
    (2, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    (2, xerial),
    (3, lambda data: bytes(cramjam.lz4.compress(data))),
    (4, lambda data: bytes(cramjam.zstd.compress(data))),
]


@pytest.mark.parametrize(("codec", "compress"), CODECS)
@given(data=st.binary(max_size=300), times=st.sampled_from([1, 1_000]), room=st.integers(0, 1_000))
def test_what_was_compressed_comes_out(
    codec: int, compress: Callable[[bytes], bytes], data: bytes, times: int, room: int
) -> None:
    whole, end = decompress(codec, memoryview(compress(data * times)), bytearray(room), 61)
    assert whole[61:end] == data * times


@pytest.mark.parametrize(("codec", "compress"), CODECS)
def test_what_comes_to_too_much_is_not_decompressed(codec: int, compress: Callable[[bytes], bytes]) -> None:
    bomb = memoryview(compress(bytes(MOST + 1)))
    with pytest.raises(FormatError, match="more than 128 MB when it is decompressed"):
        decompress(codec, bomb, bytearray(), 61)


@pytest.mark.parametrize(("codec", "compress"), CODECS)
@given(cut=st.integers(1, 60), noise=st.binary(min_size=1, max_size=60))
def test_damage_is_no_crash(codec: int, compress: Callable[[bytes], bytes], cut: int, noise: bytes) -> None:
    data = compress(b"some events " * 20)
    for damaged in (data[:-cut], data[:cut] + noise, noise):
        try:
            decompress(codec, memoryview(damaged), bytearray(), 61)
        except FormatError as error:
            assert str(error)


def test_a_snappy_block_that_claims_gigabytes_is_refused() -> None:
    with pytest.raises(FormatError, match="more than 128 MB"):
        decompress(2, memoryview(bytes.fromhex("ffffffff0f") + bytes(20)), bytearray(), 61)


@pytest.mark.parametrize("length", [-(2**31), -12, -1, 0, 13, 48])
def test_a_batch_of_an_absurd_length_is_none(length: int) -> None:
    data = bytearray(batch(0, 1))
    struct.pack_into(">i", data, 8, length)
    with pytest.raises(FormatError, match="is none"):
        survey(Bytes(data, 0, len(data)))


@pytest.mark.parametrize("count", [-1, 0, 4, 6, 2**31 - 1])
def test_a_batch_that_claims_another_count_is_damaged(count: int) -> None:
    data = bytearray(batch(0, 5))
    struct.pack_into(">i", data, 57, count)
    [one] = batches(Bytes(data, 0, len(data)))
    with pytest.raises(FormatError):
        deliveries(one._replace(checked=True), Address("kafka", "t"), "0", 0, None, 0)


@pytest.mark.parametrize("size", [-1, 0, 3, 2**31 - 1])
async def test_an_answer_of_an_absurd_size_is_not_waited_for(size: int) -> None:
    channel = Channel(AIOKafkaConnection("127.0.0.1", 1))
    channel.get_buffer(-1)[:] = struct.pack(">i", size)
    channel.buffer_updated(4)
    assert not channel.connected
    assert len(channel.get_buffer(-1)) <= 4


async def write(kafka: KafkaAddress, address: Address, codec: str | None, *bodies: bytes) -> None:
    """A batch for each body."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, compression_type=codec, max_request_size=1 << 30, request_timeout_ms=90_000
    )
    await producer.start()
    try:
        for body in bodies:
            await (await producer.send(address.name, body, partition=0, timestamp_ms=BASE))
    finally:
        await producer.stop()


@pytest.fixture
async def large(kafka: KafkaAddress, topic: MakeTopic) -> AsyncIterator[MakeTopic]:
    """Makes topics that are deleted, for what they hold."""
    made: list[str] = []

    async def make(partitions: int = 1, **config: str) -> Address:
        address = await topic(partitions, max_message_bytes=str(10 << 20), **config)
        made.append(address.name)
        return address

    yield make
    async with admin(kafka.bootstrap) as client:
        await client.delete_topics(made)


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
async def test_a_bomb_is_a_gap_and_hides_nothing_else(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, codec: str
) -> None:
    address = await topic(1)
    await write(kafka, address, codec, b"a needle before", bytes(MOST + 1), b"a needle behind")
    for start in (Beginning(), FromEnd(3)):
        async with connector.browse(address, start) as stream:
            found = [each.event.body async for some in stream for each in some]
        assert found == [b"a needle before", b"a needle behind"]
        [gap] = stream.coverage.gaps
        assert gap.what == "partition 0, offsets 1 to 1"
        assert "more than 128 MB" in gap.reason
    hits, coverage = await scan(connector, [address], b"needle")
    assert [each.event.body for each in hits] == [b"a needle before", b"a needle behind"]
    assert [gap.what for gap in coverage.gaps] == ["partition 0, offsets 1 to 1"]


def peak(*command: str) -> tuple[int, int]:
    """What a command printed, in bytes, and the megabytes it held at most while it printed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        printed, status = 0, ""
        while some := process.stdout.read(1 << 20):
            printed += len(some)
            status = Path(f"/proc/{process.pid}/status").read_text() if len(some) == 1 << 20 else status
    assert process.returncode == 0
    return printed, int(status.split("VmHWM:")[1].split()[0]) >> 10


async def test_large_events_compressed_to_nothing_are_read_a_few_at_a_time(
    kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(1)
    size = 30 << 20
    await write(kafka, address, "zstd", *[bytes([number]) * size for number in range(20)])
    for some in ([], ["--from", "beginning"]):
        printed, held = peak(str(INSTALLED), "browse", "-c", f"k={kafka.url}", address.name, "-o", "body", *some)
        assert printed == 20 * (size + 1)
        assert held < 500


async def test_large_events_of_many_partitions_are_read_a_few_at_a_time(
    connector: KafkaConnector, kafka: KafkaAddress, large: MakeTopic
) -> None:
    address = await large(40)
    for partition in range(40):
        events = [Event(None, bytes(5 << 20), timestamp=BASE + number) for number in range(3)]
        await publish(connector, address, events, partition)
    place = ["-c", f"k={kafka.url}", address.name, "--from", "beginning"]
    printed, held = peak(str(INSTALLED), "browse", *place, "-o", "body")
    assert printed == 120 * ((5 << 20) + 1)
    assert held < 700


async def test_order_is_given_up_where_it_would_cost_too_much_memory_and_that_is_said(
    connector: KafkaConnector, large: MakeTopic
) -> None:
    address = await large(80)
    for partition in range(80):
        events = [Event(None, bytes(5 << 20), timestamp=BASE + number) for number in range(2)]
        await publish(connector, address, events, partition)
    async with connector.browse(address) as stream:
        places = [each.position async for some in stream for each in some]
    assert len(set(places)) == 160
    assert any("order of time" in note for note in stream.coverage.notes)
    assert stream.coverage.complete


async def test_a_few_of_many_events_are_said_to_be_few(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    for partition in range(2):
        await publish(connector, address, numbered(1_000, first=partition * 1_000), partition)
    async with connector.browse(address, limit=10) as stream:
        assert [len(some) async for some in stream] == [10]
    assert str(stream.coverage) == "10 of 2,000 read from 2 partitions"
    assert by_partition(await browse(connector, address, FromEnd(1))) == {"1": [999]}
