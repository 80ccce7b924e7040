"""Properties and headers in the bytes in which brokers send them: decode, encode, splice. Needs no driver.

Wire bytes are kept as they arrived and re-sent as those bytes, so that a move changes nothing; what is read from them
is decoded on access. An encoding has a name, which lines and recordings keep, and a module of its own: one more is a
module and a line in `ENCODINGS`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from workbench.model import amqp091, record_headers
from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.manifest import Manifest


class Wire(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Properties and headers in the bytes in which a broker sent them.

    Attributes:
        encoding: How to read `data`: a name in `ENCODINGS`, or one that a newer version knows.
        data: The bytes, untouched.
    """

    encoding: str
    data: bytes


class Encoding(Protocol):
    """How properties and headers are written in bytes. Malformed bytes raise `FormatError`."""

    @property
    def typed(self) -> bool:
        """Whether the values of headers have types; else they are bytes."""
        ...

    @property
    def container(self) -> str:
        """What the bytes are in form, whatever they mean: one that speaks this takes them as they are."""
        ...

    @property
    def properties(self) -> bool:
        """Whether there are properties beside the headers."""
        ...

    def decode(self, data: bytes) -> Content:
        """What the bytes say."""
        ...

    def manifest(self, data: bytes) -> Manifest:
        """What there is, with no value read: see `manifest`."""
        ...

    def encode(self, content: Content) -> bytes:
        """The bytes of what a user wrote; a value that has no form in them raises `FormatError`."""
        ...

    def entries(self, data: bytes) -> Iterator[tuple[str, str, int, int]]:
        """The name, the type in words, the begin and the end of each header; values are not decoded."""
        ...

    def entry(self, name: str, value: Value) -> bytes:
        """The bytes of one header."""
        ...

    def with_entries(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The same bytes with these headers in the place of their own."""
        ...

    def with_last(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The same bytes with further headers, behind their own."""
        ...

    def with_property(self, data: bytes, name: str, value: Value) -> bytes:
        """The same bytes with one property set."""
        ...

    def without_property(self, data: bytes, name: str) -> bytes:
        """The same bytes without one property."""
        ...

    def timestamp(self, data: bytes) -> int | None:
        """See `timestamp`."""
        ...

    def content_claims(self, data: bytes) -> tuple[bytes, bytes]:
        """See `content_claims`."""
        ...

    def claiming_bytes(self, data: bytes) -> bytes:
        """See `claiming_bytes`."""
        ...


OLDEST: Final = "amqp-0-9-1"
"""The encoding that is meant where none is named: older lines have no name for it."""

ENCODINGS: Final[Mapping[str, Encoding]] = {
    OLDEST: amqp091.Amqp091(),
    "kafka-2": record_headers.RecordHeaders(),
    "kafka-2-amqp-1-0": record_headers.RecordHeadersOfAmqp(),
}
"""The encodings by their names."""


def encoding_of(wire: Wire) -> Encoding:
    """How to read a wire.

    Raises:
        FormatError: It is in an encoding that is not known here.
    """
    try:
        return ENCODINGS[wire.encoding]
    except KeyError:
        raise FormatError(f"These headers are encoded as {wire.encoding!r}, which is not known here.") from None


def sent_as_is(wire: Wire, encoding: str) -> bool:
    """Whether a broker that speaks an encoding takes these bytes as they are."""
    known = ENCODINGS.get(wire.encoding)
    return wire.encoding == encoding or (known is not None and known.container == encoding)


def has_properties(wire: Wire) -> bool:
    """Whether properties can stand in these bytes."""
    encoding = ENCODINGS.get(wire.encoding)
    return encoding is not None and encoding.properties


@lru_cache(maxsize=128)
def decode(wire: Wire) -> Content:
    """Headers and properties, read from their wire bytes.

    The cache is small: it serves the reader who asks one event for its headers and then for its properties.

    Raises:
        FormatError: The bytes are malformed, or their encoding is not known.
    """
    return encoding_of(wire).decode(wire.data)


@lru_cache(maxsize=128)
def manifest(wire: Wire) -> Manifest:
    """What properties and headers there are, and of which types, with no value read.

    Raises:
        FormatError: The bytes are malformed, as `decode` finds them, or their encoding is not known.
    """
    return encoding_of(wire).manifest(wire.data)


def encode(content: Content, encoding: str = OLDEST) -> Wire:
    """Wire bytes for headers and properties that a user wrote.

    Raises:
        FormatError: The encoding has no such property, or no type that holds a value without loss.
    """
    return Wire(encoding, ENCODINGS[encoding].encode(content))


def with_header(wire: Wire, name: str, value: Value) -> Wire:
    """The same bytes with one header set: in place of the first of its name, else last. Others of its name go.

    Raises:
        FormatError: The wire is malformed, or cannot hold the value; as `decode` and `encode` say.
    """
    encoding = encoding_of(wire)
    entry = encoding.entry(name, value)
    pieces = []
    for header, _, begin, end in encoding.entries(wire.data):
        if header != name:
            pieces.append(wire.data[begin:end])
        elif entry:
            pieces.append(entry)
            entry = b""
    return _with_entries(wire, [*pieces, entry] if entry else pieces)


def with_last(wire: Wire, headers: Mapping[str, Value]) -> Wire:
    """The same bytes with these headers behind its own. Others of their names go; the values of the rest are not read.

    Raises:
        FormatError: The wire is malformed, or cannot hold a value.
    """
    encoding = encoding_of(wire)
    own = manifest(wire).headers
    for name in headers:
        if name in own:
            wire = without_header(wire, name)
    entries = [encoding.entry(name, value) for name, value in headers.items()]
    return Wire(wire.encoding, encoding.with_last(wire.data, entries))


def without_header(wire: Wire, name: str) -> Wire:
    """The same bytes without the headers of this name.

    With its last header the header table goes too, so that a message to which a header was added is again what it was.
    A wire without the header is returned as it is.

    Raises:
        FormatError: The wire is malformed.
    """
    entries = list(encoding_of(wire).entries(wire.data))
    pieces = [wire.data[begin:end] for header, _, begin, end in entries if header != name]
    if len(pieces) == len(entries):
        return wire
    return _with_entries(wire, pieces)


def with_headers(wire: Wire, headers: Sequence[int | tuple[str, Value]]) -> Wire:
    """The same bytes with these headers in the place of its own.

    Args:
        wire: The bytes.
        headers: In order. A number stands for that one of the wire's own headers, counted from 0, byte for byte.

    Raises:
        FormatError: The wire is malformed or has no header of a number, or cannot hold a value.
    """
    encoding = encoding_of(wire)
    entries = [wire.data[begin:end] for _, _, begin, end in encoding.entries(wire.data)]
    if list(headers) == list(range(len(entries))):
        return wire
    try:
        pieces = [entries[each] if isinstance(each, int) else encoding.entry(*each) for each in headers]
    except IndexError:
        raise FormatError(f"This event holds {len(entries)} headers and no more.") from None
    return _with_entries(wire, pieces)


def with_property(wire: Wire, name: str, value: Value) -> Wire:
    """The same bytes with one property set.

    Raises:
        FormatError: The wire is malformed, has no such property, or cannot hold the value.
    """
    return Wire(wire.encoding, encoding_of(wire).with_property(wire.data, name, value))


def without_property(wire: Wire, name: str) -> Wire:
    """The same bytes without one property.

    Raises:
        FormatError: The wire is malformed, or its encoding has no such property.
    """
    return Wire(wire.encoding, encoding_of(wire).without_property(wire.data, name))


def field_types(wire: Wire) -> tuple[tuple[str, str], ...]:
    """Each header's name and the type it was sent as: `int32`, `timestamp`, `table`… in the order of the headers.

    Raises:
        FormatError: The wire is malformed; nested values are not looked into.
    """
    return tuple((name, kind) for name, kind, _, _ in encoding_of(wire).entries(wire.data))


def timestamp(wire: Wire) -> int | None:
    """The property `timestamp` in milliseconds since 1970 UTC, found without decoding the headers.

    None where it is not set, where the bytes are malformed, and where the milliseconds do not fit 64 bits (a producer
    that sent nanoseconds for seconds).
    """
    encoding = ENCODINGS.get(wire.encoding)
    return None if encoding is None else encoding.timestamp(wire.data)


def content_claims(wire: Wire) -> tuple[bytes, bytes]:
    """The properties `content_type` and `content_encoding`, found without decoding the rest; empty where they are not
    set, cut off where the bytes are malformed."""
    encoding = ENCODINGS.get(wire.encoding)
    return (b"", b"") if encoding is None else encoding.content_claims(wire.data)


def claiming_bytes(wire: Wire) -> bytes:
    """How properties begin, up to the end of what `content_claims` finds: all that begin so claim the same. Empty where
    that cannot be said."""
    encoding = ENCODINGS.get(wire.encoding)
    return b"" if encoding is None else encoding.claiming_bytes(wire.data)


def _with_entries(wire: Wire, entries: Sequence[bytes]) -> Wire:
    return Wire(wire.encoding, encoding_of(wire).with_entries(wire.data, entries))
