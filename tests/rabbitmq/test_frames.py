"""Frames are cut and written exactly, however the network chops them."""

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from connectors.rabbitmq import frames
from connectors.rabbitmq.frames import Answer, Mailbox, Returned, Slicer
from workbench.model.errors import FormatError

NO_PROPERTIES = b"\x00\x00"

messages = st.tuples(
    st.integers(1, 2**63), st.booleans(), st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=300)
)


class Deliver:
    """A delivery as a broker writes it."""

    def __init__(
        self, room: int, tag: int, redelivered: bool, exchange: bytes, key: bytes, body: bytes, channel: int = 7
    ) -> None:
        self.arrival = (tag, redelivered, exchange, key, NO_PROPERTIES, body)
        method = b"".join(
            (
                struct.pack(">HH", 60, 60),
                b"\x03tag",
                struct.pack(">Q?", tag, redelivered),
                bytes([len(exchange)]) + exchange,
                bytes([len(key)]) + key,
            )
        )
        head = struct.pack(">BHI", 1, channel, len(method)) + method + b"\xce"
        self.data = head + b"".join(frames.content(channel, NO_PROPERTIES, body, room + 8))


def slicer() -> tuple[Slicer, Mailbox, list[bytes]]:
    """A slicer with channel 7 open, its mailbox, and the frames that are not for it."""
    others: list[bytes] = []
    made = Slicer(others.append)
    made.mailboxes[7] = Mailbox()
    return made, made.mailboxes[7], others


@given(st.lists(messages, max_size=8), st.integers(1, 80), st.lists(st.integers(0, 5_000), max_size=20))
def test_messages_come_out_whole_wherever_the_bytes_are_cut(
    sent: list[tuple[Any, ...]], room: int, cuts: list[int]
) -> None:
    deliveries = [Deliver(room, *message) for message in sent]
    data = b"".join(delivery.data for delivery in deliveries)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    made, mailbox, others = slicer()
    for begin, end in pairwise(places):
        made.feed(data[begin:end])
    assert mailbox.arrivals == [delivery.arrival for delivery in deliveries]
    assert others == []


@pytest.mark.parametrize("behind", [1, 2], ids=["the announcement", "the properties"])
def test_frames_of_others_come_between_those_of_a_message(behind: int) -> None:
    delivery = Deliver(100, 1, False, b"", b"key", b"body")
    pieces = frames_of(delivery.data)
    heartbeat = struct.pack(">BHI", 8, 0, 0) + b"\xce"
    between = heartbeat + Deliver(100, 9, False, b"", b"", b"another", channel=8).data
    data = b"".join([*pieces[:behind], between, *pieces[behind:]])
    made, mailbox, others = slicer()
    made.mailboxes[8] = Mailbox()
    assert made.feed(data) == {7, 8}
    assert mailbox.arrivals == [delivery.arrival]
    assert [arrival[5] for arrival in made.mailboxes[8].arrivals] == [b"another"]
    assert len(others) == 1


def frames_of(data: bytes) -> list[bytes]:
    """The frames, one by one."""
    found = []
    while data:
        size = 8 + struct.unpack_from(">BHI", data)[2]
        found.append(data[:size])
        data = data[size:]
    return found


@given(st.integers(0, 2**64 - 1), st.booleans(), st.booleans())
def test_confirmations_are_read_as_pika_writes_them(tag: int, multiple: bool, taken: bool) -> None:
    made, mailbox, _ = slicer()
    method = spec.Basic.Ack(tag, multiple) if taken else spec.Basic.Nack(tag, multiple)
    assert made.feed(frame.Method(7, method).marshal()) == {7}
    assert mailbox.answers == [Answer(tag, multiple, taken)]


def test_returned_message_is_read_as_pika_writes_it() -> None:
    made, mailbox, _ = slicer()
    method = frame.Method(7, spec.Basic.Return(312, "NO_ROUTE", "exchange", "key")).marshal()
    made.feed(method + b"".join(frames.content(7, NO_PROPERTIES, b"body", 4_096)))
    assert mailbox.answers == [Returned(312, "NO_ROUTE", b"exchange", b"key", NO_PROPERTIES, b"body")]


def test_other_frames_are_handed_on_whole() -> None:
    made, mailbox, others = slicer()
    sent = [frame.Heartbeat().marshal(), frame.Method(7, spec.Basic.QosOk()).marshal()]
    for byte in b"".join(sent):
        made.feed(bytes([byte]))
    assert others == sent
    assert mailbox.arrivals == []


def test_content_for_a_closed_channel_is_dropped() -> None:
    made, mailbox, others = slicer()
    del made.mailboxes[7]
    made.feed(Deliver(100, 1, False, b"", b"q", b"body").data)
    assert (mailbox.arrivals, others) == ([], [])


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x00\x00\x00\x00\x00\x01A\x00", b"\xff" * 9]
)
def test_what_is_no_amqp_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        slicer()[0].feed(data)


@pytest.mark.parametrize("size", [frames.GREETING - 1, frames.GREETING, frames.GREETING + 1, 3_000_000])
def test_header_beyond_the_negotiated_size_is_read_however_it_is_cut(size: int) -> None:
    made, mailbox, others = slicer()
    made.largest = frames.LARGEST
    first, last = Deliver(100, 1, False, b"", b"q", b"first"), Deliver(100, 3, False, b"", b"q", b"last")
    large = Deliver(100, 2, False, b"", b"q", b"")
    announcement = large.data[: -len(b"".join(frames.content(7, NO_PROPERTIES, b"", 108)))]
    data = b"".join((first.data, announcement, *frames.content(7, bytes(size), b"body", 100), last.data))
    for at in range(0, len(data), 65_536):
        made.feed(data[at : at + 65_536])
    assert mailbox.arrivals == [first.arrival, (2, False, b"", b"q", bytes(size), b"body"), last.arrival]
    assert others == []


def test_frame_beyond_what_may_be_kept_in_memory_ends_reading_before_it_is_kept() -> None:
    made, _, _ = slicer()
    made.largest = frames.LARGEST
    made.feed(struct.pack(">BHI", 2, 7, frames.LARGEST) + b"x")
    made, _, _ = slicer()
    made.largest = frames.LARGEST
    with pytest.raises(frames.FrameTooLarge, match="134,217,729 bytes of headers"):
        made.feed(struct.pack(">BHI", 2, 7, frames.LARGEST + 1) + b"x")


def test_before_a_broker_is_known_to_be_one_large_frames_are_none() -> None:
    with pytest.raises(FormatError):
        slicer()[0].feed(struct.pack(">BHI", 1, 0, frames.GREETING + 1) + b"x")


@given(st.binary(max_size=255), st.binary(max_size=255), st.binary(max_size=400), st.integers(9, 200))
def test_published_message_is_read_by_pika(exchange: bytes, key: bytes, body: bytes, frame_max: int) -> None:
    data = frames.publish_method(3, exchange, key)
    # pika reads the rest of the announcement; exchange and key it would decode as text, which need not be UTF-8.
    assert data[7:].startswith(struct.pack(">HHH", 60, 40, 0) + bytes([len(exchange)]) + exchange)
    data = b"".join(frames.content(3, NO_PROPERTIES, body, frame_max))
    consumed, header = frame.decode_frame(data)
    assert isinstance(header, frame.Header)
    assert header.body_size == len(body)
    fragments = []
    while consumed < len(data):
        assert len(data) - consumed >= 8
        size, piece = frame.decode_frame(data[consumed:])
        assert isinstance(piece, frame.Body)
        assert size <= frame_max
        fragments.append(piece.fragment)
        consumed += size
    assert b"".join(fragments) == body


def test_acknowledgements_are_read_by_pika() -> None:
    data = frames.acknowledgements(3, [1, 2**40])
    tags = []
    while data:
        size, piece = frame.decode_frame(data)
        tags.append(piece.method.delivery_tag)
        data = data[size:]
    assert tags == [1, 2**40]
