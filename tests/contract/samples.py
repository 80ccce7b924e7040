"""Events that are hard to keep: what connectors are tested with."""

import struct
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from workbench.model.address import Address
from workbench.model.content import Content, Headers, Value
from workbench.model.event import Event
from workbench.model.wire import Wire

Keeps = Literal["wire", "sorted wire", "records", "texts", "nothing"]
"""How much of properties and headers an endpoint keeps: the wire bytes of AMQP; those, but the headers sorted by name
and only the first of each (RabbitMQ 4.0); names and bytes of Kafka's records; texts and whole numbers (AMQP 1.0); or
nothing."""

Keys = Literal["any", "words", "none"]
"""Which keys it keeps: any bytes and null; routing keys; or none as published."""

_BEGIN = time.time_ns() // 1_000_000 - 3_600_000  # an hour ago: no broker takes the future or keeps the distant past


def samples(count: int, keeps: Keeps, keys: Keys, timed: bool, tombstones: bool) -> Sequence[Event]:
    """So many different events, in the order in which to publish them; timestamps ascend by a millisecond each."""
    return [
        Event(
            key=_key(number, keys),
            body=_body(number, tombstones),
            wire=_WIRES[number // 2 % len(_WIRES)] if "wire" in keeps and number % 2 else None,
            written=_CONTENTS[keeps][number % len(_CONTENTS[keeps])],
            timestamp=_BEGIN + number if timed else None,
        )
        for number in range(count)
    ]


_WRITTEN_BY_BROKERS = ("x-delivery-count", "x-stream-offset")


def _key(number: int, keys: Keys) -> bytes | None:
    match keys:
        case "any":
            return (None, b"", b"\xff\xfe\x00", b"key-%d" % (number % 7), "schlüssel".encode())[number % 5]
        case "words":
            return (b"orders.placed", b"orders.paid.eu", b"payments", b"")[number % 4]
        case "none":
            return None


def _body(number: int, tombstones: bool) -> bytes | None:
    if number % 50 == 7:
        return b""
    if number % 50 == 13 and tombstones:
        return None
    return struct.pack(">I", number) + bytes((number + place) % 256 for place in range(number % 300))


def _field(name: bytes, kind: bytes, data: bytes) -> bytes:
    return bytes([len(name)]) + name + kind + data


def _long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


_EVERY_TYPE = (
    _field(b"bool", b"t", b"\x01"),
    _field(b"int8", b"b", struct.pack(">b", -128)),
    _field(b"uint8", b"B", struct.pack(">B", 255)),
    _field(b"int16", b"s", struct.pack(">h", -32_768)),
    _field(b"uint16", b"u", struct.pack(">H", 65_535)),
    _field(b"int32", b"I", struct.pack(">i", -(2**31))),
    _field(b"uint32", b"i", struct.pack(">I", 2**32 - 1)),
    _field(b"int64", b"l", struct.pack(">q", -(2**63))),
    _field(b"float", b"f", struct.pack(">f", 0.1)),
    _field(b"double", b"d", struct.pack(">d", 0.1)),
    _field(b"decimal", b"D", struct.pack(">BI", 2, 12_345)),
    _field(b"text", b"S", _long("grüße\x00\x1b[31m".encode())),
    _field(b"not UTF-8", b"S", _long(b"\xff\xfe")),
    _field(b"bytes", b"x", _long(b"\x00\xff")),
    _field(b"time", b"T", struct.pack(">Q", 1_763_920_000)),
    _field(b"nothing", b"V", b""),
    _field(b"array", b"A", _long(b"t\x00" + b"V" + b"A" + _long(b"") + b"S" + _long(b"last"))),
    _field(b"table", b"F", _long(_field(b"nested", b"F", _long(_field(b"float", b"f", struct.pack(">f", -1.5)))))),
)
_DUPLICATES = (_field(b"again", b"I", struct.pack(">i", 1)), _field(b"again", b"S", _long(b"one")))


def _wires(table: Callable[[Sequence[bytes]], bytes]) -> tuple[Wire, ...]:
    """Content headers of AMQP (its specification, 4.2.6.1), their headers put together by `table`."""
    all_but_user_id = (
        _short(b"application/octet-stream"),
        _short(b"identity"),
        table(_EVERY_TYPE),
        b"\x02\x03",  # delivery mode and priority: quorum queues deliver what is above 4 first
        *map(_short, (b"correlation", b"reply.to", b"3600000", b"message")),  # the third is an expiration
        struct.pack(">Q", 1_763_920_000),
        *map(_short, (b"type", b"application", b"cluster")),
    )
    contents = (
        (0b1111_1111_1110_1100, b"".join(all_but_user_id)),
        (0b0010_0000_0000_0000, table(_EVERY_TYPE)),
        (0b0010_0000_0000_0000, table(_DUPLICATES)),
        (0b0010_0000_0000_0000, table(())),
        (0b1001_0000_0000_0000, _short(b"") + b"\x02"),
        (0b0000_0000_0000_0000, b""),
    )
    return tuple(Wire("amqp-0-9-1", struct.pack(">H", flags) + content) for flags, content in contents)


def _table(fields: Sequence[bytes]) -> bytes:
    return _long(b"".join(fields))


def _sorted_table(fields: Sequence[bytes]) -> bytes:
    first = {field[1 : 1 + field[0]]: field for field in reversed(fields)}
    return _table([first[name] for name in sorted(first)])


_WIRES = _wires(_table)
_SORTED = dict(zip(_WIRES, _wires(_sorted_table), strict=True))
_TEXTS = (
    Content(),
    Content((("text", "grüße"), ("empty", ""), ("number", 2**40)), {"content_type": "text/plain", "message_id": "1"}),
    Content((("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),), {"correlation_id": "7"}),
)
_VALUES = Content(
    (
        ("flag", True),
        ("small", 7),
        ("negative", -(2**40)),
        ("ratio", 0.1),
        ("nothing", None),
        ("bytes", b"\xff\x00"),
        ("list", [1, "two", [True, None]]),
        ("table", {"nested": {"number": 1}}),
        ("time", datetime(2026, 11, 23, 10, 0, tzinfo=UTC)),
    ),
    {"content_type": "application/json", "delivery_mode": 2, "priority": 3, "app_id": "contract"},
)
_CONTENTS: dict[Keeps, tuple[Content, ...]] = {
    "nothing": (Content(),),
    "texts": _TEXTS,
    "wire": (*_TEXTS, _VALUES),
    "sorted wire": (*_TEXTS, _VALUES),
    "records": (
        Content(),
        Content((("text", "grüße"), ("empty", ""), ("nothing", None), ("not UTF-8", b"\xff\x00"))),
        Content((("again", "1"), ("again", "2"), ("", "no name"), ("again", "1"))),
    ),
}


def same_content(keeps: Keeps, sent: Event, seen: Event) -> bool:
    """Whether properties and headers came through: the very bytes where they were sent as bytes."""
    if sent.wire is not None:
        return seen.wire == (sent.wire if keeps == "wire" else _SORTED[sent.wire])
    ours = [header for header in seen.headers if header[0] not in _WRITTEN_BY_BROKERS]
    theirs = list(sent.headers)
    properties = dict(seen.properties)
    if keeps in ("sorted wire", "texts"):
        ours, theirs = (sorted(headers, key=lambda header: header[0]) for headers in (ours, theirs))
    if keeps == "texts" and "delivery_mode" not in sent.properties:
        properties.pop("delivery_mode", None)  # AMQP 1.0 has no message that does not say whether it is durable
    return _typed([ours, properties]) == _typed([theirs, sent.properties])


def _typed(value: Value) -> object:
    """The value in a form in which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {name: _typed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(inner) for inner in value]
    return type(value).__name__, value


def doubtful(address: Address) -> Sequence[Event]:
    """Events that not every endpoint can hold; each has its number in a header or in its body."""
    plain: Headers = (("kept", "as it is"),)
    contents = (
        Content(plain),
        Content((*plain, ("count", 5))),
        Content((*plain, ("share", 0.5))),
        Content((*plain, ("yes", True))),
        Content((*plain, ("price", Decimal("1.5")))),
        Content((*plain, ("list", [1, "a"]))),
        Content((*plain, ("table", {"a": 1}))),
        Content((*plain, ("time", datetime(2026, 11, 23, 10, tzinfo=UTC)))),
        Content((*plain, ("none", None))),
        Content((*plain, ("bytes", b"\xff\x00"))),
        Content((*plain, ("a", "1"), ("a", "2"))),
        Content((*plain, ("x" * 255, "a long name"))),
        Content(plain, {"message_id": "m", "app_id": "a", "type": "T", "content_type": "text/plain"}),
        Content(plain, {"cluster_id": "c"}),
    )
    key = address.name.encode()
    events = [Event(key, b"body", written=content) for content in contents]
    events += [
        Event(key, None, written=Content(plain)),
        Event(key, b"", written=Content(plain)),
        Event(b"another key", b"body", written=Content(plain)),
        Event(key, b"body", written=Content(plain), timestamp=_BEGIN // 1000 * 1000),
        Event(key, b"body", written=Content(plain), timestamp=_BEGIN // 1000 * 1000 + 123),
    ]
    numbered = [
        msgspec.structs.replace(
            event,
            body=b"body %d" % number if event.body else event.body,
            written=Content((*event.written.headers, ("number", str(number))), event.written.properties),
        )
        for number, event in enumerate(events)
    ]
    bare = [Event(key, b"body %d" % len(numbered)), Event(key, b"body %d" % (len(numbered) + 1), timestamp=_BEGIN)]
    return [*numbered, *bare]


def number_of(event: Event, events: Sequence[Event]) -> int:
    """Which of the doubtful events one was; where headers are not kept, that alone has an empty body which had it."""
    numbers = [int(_text(value)) for name, value in event.headers if name == "number"]
    return numbers[0] if numbers else [other.body for other in events].index(event.body)


def unchanged(sent: Event, seen: Event) -> bool:
    """Whether all that was published of an event is there; the order of the headers aside, and bytes that are text."""
    headers = [sorted((name, repr(_text(value))) for name, value in event.headers) for event in (sent, seen)]
    properties = {name: value for name, value in seen.properties.items() if name in sent.properties}
    return (
        headers[0] == headers[1]
        and properties == sent.properties
        and seen.body == sent.body
        and seen.key == sent.key
        and (sent.timestamp is None or seen.timestamp == sent.timestamp)
    )


def _text(value: Value) -> Any:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value
