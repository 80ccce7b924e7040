"""Properties and headers are kept as the bytes they are, for every AMQP field type."""

import struct

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import Rabbit
from tests.rabbitmq.doing import browse, publish_all
from workbench.model.event import Event
from workbench.model.wire import Wire, field_types

FIELDS = {
    "array": b"A" + struct.pack(">I", 5) + b"I" + struct.pack(">i", 7),
    "bool": b"t\x01",
    "bytes": b"x" + struct.pack(">I", 2) + b"\x00\xff",
    "decimal": b"D" + struct.pack(">BI", 2, 12_345),
    "double": b"d" + struct.pack(">d", 0.1),
    "float": b"f" + struct.pack(">f", 0.1),
    "int16": b"s" + struct.pack(">h", -32_768),
    "int32": b"I" + struct.pack(">i", -(2**31)),
    "int64": b"l" + struct.pack(">q", -(2**63)),
    "int8": b"b" + struct.pack(">b", -128),
    "nothing": b"V",
    "table": b"F" + struct.pack(">I", 7) + b"\x01f" + b"f" + struct.pack(">f", 1.5),
    "text": b"S" + struct.pack(">I", 4) + b"\xff\xfe\x00a",
    "time": b"T" + struct.pack(">Q", 1_763_920_000),
    "uint16": b"u" + struct.pack(">H", 65_535),
    "uint32": b"i" + struct.pack(">I", 2**32 - 1),
    "uint8": b"B" + struct.pack(">B", 255),
}


def wire(*names: str) -> Wire:
    """A header table of these fields; sorted, for RabbitMQ 4 sorts."""
    table = b"".join(bytes([len(name)]) + name.encode() + FIELDS[name] for name in sorted(names))
    return Wire("amqp-0-9-1", b"\x20\x00" + struct.pack(">I", len(table)) + table)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_field_of_every_type_comes_out_as_its_bytes(rabbit: Rabbit, kind: str, name: str) -> None:
    queue = rabbit.queue(kind)
    sent = Event(body=b"x", wire=wire(name))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, [sent])
        (seen,) = await browse(connector, queue)
    assert seen.event.wire == sent.wire


async def test_what_was_read_is_sent_again_as_the_same_bytes(rabbit: Rabbit) -> None:
    source, target = rabbit.queue("quorum"), rabbit.queue("classic")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, source, [Event(body=b"x", wire=wire(*FIELDS))])
        for _ in range(2):
            # The second time the queue has added its delivery count.
            (seen,) = await browse(connector, source)
            await publish_all(connector, target, [seen.event])
        copies = await browse(connector, target)
    assert [copy.event.wire for copy in copies] == [wire(*FIELDS)] * 2
    assert seen.attempt == 1


async def test_message_without_headers_is_without_headers_again_after_a_look(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum")
    sent = Event(body=b"x", wire=Wire("amqp-0-9-1", b"\x90\x00\x01t\x02"))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, [sent])
        looks = [await browse(connector, queue) for _ in range(2)]
    assert [[seen.event.wire for seen in look] for look in looks] == [[sent.wire]] * 2


async def test_offset_of_a_stream_is_the_position_and_no_header(rabbit: Rabbit) -> None:
    stream = rabbit.queue("stream")
    sent = [Event(body=b"%d" % number, wire=Wire("amqp-0-9-1", wire("int32").data)) for number in range(3)]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, stream, sent)
        seen = await browse(connector, stream)
    assert [delivery.position and delivery.position.offset for delivery in seen] == ["0", "1", "2"]
    assert [field_types(delivery.event.wire) for delivery in seen if delivery.event.wire] == [(("int32", "int32"),)] * 3


async def test_text_that_looks_like_a_delivery_count_is_left_alone(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum")
    trap = b"\x10x-delivery-countl" + struct.pack(">q", 19)
    table = b"\x04trapS" + struct.pack(">I", len(trap)) + trap
    sent = Event(body=b"x", wire=Wire("amqp-0-9-1", b"\x20\x00" + struct.pack(">I", len(table)) + table))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, [sent])
        looks = [await browse(connector, queue) for _ in range(2)]
    assert [(seen.attempt, seen.event.wire) for look in looks for seen in look] == [(0, sent.wire), (1, sent.wire)]


async def test_body_larger_than_a_frame_comes_out_whole(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    body = bytes(range(256)) * 4_096 * 4
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, [Event(body=body), Event(body=b""), Event(body=body[1:])])
        seen = await browse(connector, queue)
    assert [delivery.event.body for delivery in seen] == [body, b"", body[1:]]
