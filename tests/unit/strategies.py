"""Hypothesis strategies for events: whatever a broker can send, and whatever a user can write.

AMQP bytes come from an encoder of their own, after the specification's grammar (AMQP 0-9-1, 4.2.1), so that what reads
them is not held against itself.
"""

import codecs
import gzip
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire

PROPERTIES = {
    "content_type": 15,
    "content_encoding": 14,
    "headers": 13,
    "delivery_mode": 12,
    "priority": 11,
    "correlation_id": 10,
    "reply_to": 9,
    "expiration": 8,
    "message_id": 7,
    "timestamp": 6,
    "type": 5,
    "user_id": 4,
    "app_id": 3,
    "cluster_id": 2,
}
"""AMQP's basic properties: the bit of each in the flags."""


class Field(NamedTuple):
    """A field or property: its bytes, and the value that they say."""

    data: bytes
    value: Value


class Header(NamedTuple):
    """A header: its name, the bytes of name and value, and the value."""

    name: str
    data: bytes
    value: Value


class Sent(NamedTuple):
    """A message's properties as a client may send them: the bytes of each by name, and the headers; None: no table."""

    properties: Mapping[str, Field]
    headers: Sequence[Header] | None

    @property
    def wire(self) -> Wire:
        """The bytes altogether."""
        pieces = {PROPERTIES[name]: field.data for name, field in self.properties.items()}
        if self.headers is not None:
            pieces[PROPERTIES["headers"]] = with_length(b"".join(header.data for header in self.headers))
        flags = sum(1 << bit for bit in pieces)
        data = b"".join(pieces[bit] for bit in sorted(pieces, reverse=True))
        return Wire("amqp-0-9-1", flags.to_bytes(2, "big") + data)

    @property
    def content(self) -> Content:
        """What they say."""
        return Content(
            tuple((header.name, header.value) for header in self.headers or ()),
            {name: self.properties[name].value for name in PROPERTIES if name in self.properties},
        )


def with_length(data: bytes) -> bytes:
    """Behind its length in four bytes."""
    return len(data).to_bytes(4, "big") + data


def short(data: bytes) -> bytes:
    """A short string."""
    return bytes([len(data)]) + data


def integers(letter: str, size: int, signed: bool) -> st.SearchStrategy[Field]:
    """Fields of one of the integer types."""
    least, most = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)
    return st.integers(least, most).map(
        lambda number: Field(letter.encode() + number.to_bytes(size, "big", signed=signed), number)
    )


def time(seconds: int) -> datetime | int:
    """What a timestamp of so many seconds says."""
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return seconds


def text(data: bytes) -> str | bytes:
    """What a string of these bytes says."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


texts = st.text(max_size=20).map(str.encode) | st.binary(max_size=8)
names = st.text(max_size=8).map(str.encode) | st.sampled_from([b"x-death", b"\xff", b"time", b"table", b""])
seconds = st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**37), 2**38)

scalars: st.SearchStrategy[Field] = st.one_of(
    st.integers(0, 255).map(lambda octet: Field(b"t" + bytes([octet]), octet != 0)),
    integers("b", 1, True),
    integers("B", 1, False),
    integers("s", 2, True),
    integers("U", 2, True),
    integers("u", 2, False),
    integers("I", 4, True),
    integers("i", 4, False),
    integers("l", 8, True),
    integers("L", 8, True),
    st.floats(width=32).map(lambda number: Field(b"f" + struct.pack(">f", number), number)),
    st.floats().map(lambda number: Field(b"d" + struct.pack(">d", number), number)),
    st.tuples(st.integers(0, 255), st.integers(-(2**31), 2**31 - 1)).map(
        lambda pair: Field(
            b"D" + bytes([pair[0]]) + pair[1].to_bytes(4, "big", signed=True), Decimal(f"{pair[1]}e-{pair[0]}")
        )
    ),
    texts.map(lambda data: Field(b"S" + with_length(data), text(data))),
    texts.map(lambda data: Field(b"x" + with_length(data), data)),
    seconds.map(lambda passed: Field(b"T" + passed.to_bytes(8, "big", signed=True), time(passed))),
    st.just(Field(b"V", None)),
)


def _array(fields: list[Field]) -> Field:
    return Field(b"A" + with_length(b"".join(field.data for field in fields)), [field.value for field in fields])


def _header(pair: tuple[bytes, Field]) -> Header:
    name, field = pair
    return Header(name.decode("utf-8", "backslashreplace"), short(name) + field.data, field.value)


def _table(headers: list[Header]) -> Field:
    return Field(
        b"F" + with_length(b"".join(header.data for header in headers)),
        {header.name: header.value for header in headers},
    )


fields: st.SearchStrategy[Field] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(_array) | st.lists(st.tuples(names, inner).map(_header), max_size=3).map(_table)
    ),
    max_leaves=8,
)
"""AMQP fields of every type."""

sent_headers = st.tuples(names, fields).map(_header)
"""AMQP headers."""

_short_strings = texts.map(lambda data: Field(short(data), text(data)))
_octets = st.integers(0, 255).map(lambda octet: Field(bytes([octet]), octet))
_times = seconds.map(lambda passed: Field(passed.to_bytes(8, "big", signed=True), time(passed)))


def property_fields(name: str) -> st.SearchStrategy[Field]:
    """What an AMQP property of this name can hold."""
    return {"delivery_mode": _octets, "priority": _octets, "timestamp": _times}.get(name, _short_strings)


sent: st.SearchStrategy[Sent] = st.builds(
    Sent,
    st.fixed_dictionaries({}, optional={name: property_fields(name) for name in PROPERTIES if name != "headers"}),
    st.none() | st.lists(sent_headers, max_size=5),
)
"""AMQP property lists."""

int64 = st.integers(-(2**63), 2**63 - 1)

_zones = st.sampled_from([None, UTC, timezone(timedelta(hours=5, minutes=30))])
_datetimes = st.datetimes(timezones=_zones).map(lambda moment: moment.replace(fold=0))

values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        int64,
        st.floats(),
        st.decimals(),
        st.text(max_size=20),
        st.binary(max_size=20),
        _datetimes,
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["json", "text", "base64", "decimal", "time", "float", "table"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=6,
)
"""Header values as a user may write them."""

written: st.SearchStrategy[Content] = st.builds(
    Content,
    st.lists(st.tuples(st.text(max_size=8), values), max_size=4).map(tuple),
    st.dictionaries(st.text(max_size=8), values, max_size=3),
)
"""Headers and properties as a user may write them."""


def _document(value: Any, indent: int | None, compact: bool, escaped: bool) -> bytes:
    separators = (",", ":") if compact else None
    return json.dumps(value, indent=indent, separators=separators, ensure_ascii=escaped).encode()


documents = st.builds(
    _document,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=10,
    ),
    st.none() | st.integers(0, 2),
    st.booleans(),
    st.booleans(),
)
"""JSON as programs write it: compact or not, escaped or not, NaN included."""

_ENVELOPES: Sequence[Callable[[bytes], bytes]] = (
    bytes,
    lambda body: codecs.BOM_UTF8 + body,
    lambda body: body.decode().encode("utf-16"),
    lambda body: gzip.compress(body, mtime=0),
    lambda body: b"\0\0\0\1\2" + body,
)
bodies = st.builds(lambda body, put: put(body), documents, st.sampled_from(_ENVELOPES))
"""JSON as it travels: plain, behind a mark, in UTF-16, compressed, in a registry's frame."""


def said_by(body: bytes) -> tuple[Any] | None:
    """The JSON in such a body as any tool reads it; None where none can without a loss."""
    for begin, opened in ((b"\x1f\x8b", gzip.decompress), (b"\0\0\0\1\2", lambda body: body[5:])):
        if body.startswith(begin):
            body = opened(body)
    text = body.decode("utf-16" if body.startswith(codecs.BOM_UTF16) else "utf-8-sig")

    def constant(name: str) -> Any:
        raise ValueError(name)

    def unique(members: list[tuple[str, Any]]) -> Any:
        if len(dict(members)) < len(members):
            raise ValueError("a key more than once")
        return dict(members)

    try:
        return (json.loads(text, parse_constant=constant, object_pairs_hook=unique),)
    except ValueError:
        return None


events: st.SearchStrategy[Event] = st.builds(
    Event,
    key=st.none() | texts,
    body=st.none() | texts | documents | bodies,
    wire=st.none(),
    written=written,
    timestamp=st.none() | int64,
    timestamp_type=st.sampled_from(["create", "append", "received"]),
) | st.builds(
    Event,
    key=st.none() | texts,
    body=st.none() | texts | documents | bodies,
    wire=sent.map(lambda message: message.wire) | st.binary(max_size=30).map(lambda data: Wire("amqp-0-9-1", data)),
    timestamp=st.none() | int64,
)
"""Events with what a user wrote, or with wire bytes, some of them malformed."""

addresses: st.SearchStrategy[Address] = st.builds(
    Address,
    st.text(min_size=1, max_size=8).filter(lambda name: "/" not in name),
    st.text(min_size=1, max_size=8) | st.sampled_from(["exchange:a", "queue:a", "a/b", "/"]),
    st.sampled_from(["queue", "exchange"]),
)
"""Addresses of queues, topics and exchanges with any name."""

_numbers = st.text(max_size=4) | st.integers(0).map(str) | st.sampled_from(["0", "00", "-1", "٣", "9" * 15, "9" * 16])

deliveries: st.SearchStrategy[Delivery] = st.builds(
    Delivery,
    event=events,
    address=addresses,
    seen_at=int64,
    position=st.none() | st.builds(Position, _numbers, _numbers),
    exchange=st.none() | st.text(max_size=5),
    redelivered=st.none() | st.booleans(),
    attempt=st.none() | st.integers(0, 2**63 - 1),
    id=st.none() | st.text(max_size=5),
    state=st.none() | st.sampled_from(["locked", "scheduled", "deferred"]),
)
"""Events seen anywhere."""
