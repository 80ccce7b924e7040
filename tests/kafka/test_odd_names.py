"""Names of headers that are not UTF-8: such an event is shown, hides none beside it, and is published as it was."""

import json
import uuid

import pytest
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka import KafkaConnector
from connectors.kafka.channel import Bytes
from connectors.kafka.odd_records import events
from connectors.kafka.record_batch import Pack, Producer
from connectors.kafka.records import batches, deliveries
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, workbench
from tests.kafka.reading import BASE, browse, numbered, publish
from tests.kafka.test_groups import commit
from workbench.decode import ndjson
from workbench.model import record_headers
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.wire import Wire, field_types, with_header, with_headers, without_header

HEADERS = [(b"caf\xe9", b"1"), (b"plain", b"text"), (b"\xff\xfe", None), (b"caf\xe9", b"\xe9"), (b"", b"")]
ODD = Event(b"key", b"odd", Wire("kafka-2", record_headers.write(HEADERS)), timestamp=BASE + 1)


class Nobody:
    """Has events packed, and hears no more of them."""

    def take_receipts(self, receipts: list[Receipt]) -> None:
        pass

    def end(self) -> None:
        pass


async def test_an_event_with_an_odd_name_hides_none_beside_it(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, group = await topic(1), f"kafka-tests-{uuid.uuid4().hex}"
    plain = Event(b"key", b"plain", written=Content((("name", "value"),)), timestamp=BASE)
    await publish(connector, address, [plain, ODD, *numbered(48, first=2)])
    found = await browse(connector, address)
    assert [each.event for each in found] == [plain, ODD, *numbered(48, first=2)]
    assert [each.position and each.position.offset for each in found] == [str(number) for number in range(50)]
    assert found[1].event.headers == (
        ("caf\\xe9", "1"),
        ("plain", "text"),
        ("\\xff\\xfe", None),
        ("caf\\xe9", b"\xe9"),
        ("", ""),
    )
    await commit(kafka, group, address, {0: 1})
    assert (await connector.group(group)).oldest_unread == BASE + 1
    async with connector.scan([address], [[b"odd"]]) as scan:
        assert [each.event async for batch in scan for each in batch] == [ODD]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_an_odd_name_is_found_in_compressed_batches(codec: int) -> None:
    wanted = [ODD, *numbered(100)]
    pack = Pack(1 << 20, transactional=False, owner=Nobody())
    pack.fill(range(len(wanted)), wanted)
    plain = pack.seal(Producer((1, 0)))
    squeezed = plain[:61] + compressed(codec, bytes(plain[61:]))
    squeezed[8:12] = (len(squeezed) - 12).to_bytes(4, "big")
    squeezed[22] |= codec
    squeezed[17:21] = calc_crc32c(bytes(squeezed[21:])).to_bytes(4, "big")
    [batch] = batches(Bytes(squeezed, 0, len(squeezed)))
    found = deliveries(batch, Address("kafka", "t"), "0", 0, None, 0)
    assert [each.event for each in found] == wanted


def compressed(codec: int, data: bytes) -> bytes:
    encode = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}[codec]
    return bytes(encode(data))


async def test_the_time_of_appending_counts_for_an_odd_event_too(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(1, message_timestamp_type="LogAppendTime")
    await publish(connector, address, [ODD, *numbered(1)])
    odd, plain = [each.event for each in await browse(connector, address)]
    assert (odd.timestamp, odd.timestamp_type) == (plain.timestamp, "append")


async def test_a_line_carries_an_odd_name_from_topic_to_topic(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source, target = await topic(1), await topic(1)
    await publish(connector, source, [ODD])
    option = ("-c", f"k={kafka.url}", "--guard", "publish")
    code, lines, _ = await workbench("browse", f"k/{source.name}", "--json", *option)
    assert code == 0
    assert json.loads(lines)["headers"][0] == ["caf\\xe9", "1"]
    file = tmp_path_factory.mktemp("lines") / "events.ndjson"
    file.write_text(lines)
    code, _, errors = await workbench("publish", f"k/{target.name}", "--file", str(file), *option)
    assert (code, errors.count("\n")) == (0, errors.count("\n"))
    assert [each.event for each in await browse(connector, target)] == [ODD]
    for form in ((), ("-o", "table")):
        code, _, errors = await workbench("browse", f"k/{target.name}", *form, *option)
        assert (code, "Traceback" in errors) == (0, False)


_HEADERS = st.lists(st.tuples(st.binary(max_size=200), st.none() | st.binary(max_size=200)), max_size=5)


@given(_HEADERS)
def test_headers_are_what_was_written(headers: list[tuple[bytes, bytes | None]]) -> None:
    wire = Wire("kafka-2", record_headers.write(headers))
    assert record_headers.read(wire.data) == headers
    event = Event(b"k", b"v", wire)
    assert ndjson.decode(ndjson.encode(event)).event == event
    assert with_headers(wire, range(len(headers))) == wire
    assert len(field_types(wire)) == len(event.headers) == len(headers)


@given(st.lists(_HEADERS, min_size=1, max_size=4))
def test_a_batch_is_read_as_it_was_written(all_headers: list[list[tuple[bytes, bytes | None]]]) -> None:
    written = [
        Event(b"k", b"%d" % number, Wire("kafka-2", record_headers.write(headers)), timestamp=BASE + number)
        for number, headers in enumerate(all_headers)
    ]
    pack = Pack(1 << 20, transactional=False, owner=Nobody())
    assert pack.fill(range(len(written)), written) == len(written)
    found = list(events(bytes(pack.seal(Producer((1, 0)))), 7, "create"))
    assert [offset for offset, _ in found] == list(range(7, 7 + len(written)))
    assert [(each.key, each.body, each.timestamp) for _, each in found] == [
        (each.key, each.body, each.timestamp) for each in written
    ]
    assert [each.headers for _, each in found] == [each.headers for each in written]


@given(st.binary(max_size=80))
def test_bytes_that_are_no_headers_are_a_format_error(data: bytes) -> None:
    try:
        headers = record_headers.read(data)
    except FormatError:
        return
    assert record_headers.read(record_headers.write(headers)) == headers


def test_headers_are_set_and_left_out_beside_odd_names() -> None:
    wire = ODD.wire
    assert wire is not None
    changed = with_header(without_header(wire, "caf\\xe9"), "plain", "other")
    assert record_headers.read(changed.data) == [(b"plain", b"other"), (b"\xff\xfe", None), (b"", b"")]
    added = with_header(wire, "new", None)
    assert record_headers.read(added.data) == [*HEADERS, (b"new", None)]
    with pytest.raises(FormatError, match="Kafka's headers are bytes"):
        with_header(wire, "number", 1)
