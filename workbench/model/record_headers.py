"""The headers of a Kafka record in their bytes (magic 2, https://kafka.apache.org/documentation/#recordheader).

The encoding `kafka-2`, kept only where a name is not UTF-8: all others text says as well. A count, then names and
values, each behind its length; numbers are zigzag varints. Names are bytes that most clients take for UTF-8, and that
some let be anything.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from workbench.model import amqp10
from workbench.model.content import Content, Value, text
from workbench.model.content import name as name_of
from workbench.model.errors import FormatError
from workbench.model.manifest import Manifest

Header: TypeAlias = tuple[bytes, bytes | None]
"""A name and a value, as they travel."""

_CUT = "These Kafka headers cannot be read: they are cut short, or their lengths do not add up."


class RecordHeaders:
    """The encoding: see `workbench.model.wire.Encoding`."""

    typed = False
    container = "kafka-2"
    properties = False

    def decode(self, data: bytes) -> Content:
        """The headers; a name that is not UTF-8 has its bad bytes written as `\\xNN`."""
        return Content(tuple([(name_of(name), self._value_of(value)) for name, value in read(data)]))

    def _value_of(self, value: bytes | None) -> Value:
        return None if value is None else text(value)

    def manifest(self, data: bytes) -> Manifest:
        """The names of the headers; what their values are is not looked at."""
        return Manifest(frozenset(), tuple([name_of(name) for name, _ in read(data)]), frozenset())

    def encode(self, content: Content) -> bytes:
        """The bytes of headers; properties have no place."""
        for name in content.properties:
            raise FormatError(_NO_PROPERTY.format(name))
        return join_headers([self.entry(name, value) for name, value in content.headers])

    def entries(self, data: bytes) -> Iterator[tuple[str, str, int, int]]:
        """The name, the type, the begin and the end of each header."""
        for raw, value, begin, end in spans(data):
            kind = "null" if value is None else "string" if isinstance(text(value), str) else "bytes"
            yield name_of(raw), kind, begin, end

    def entry(self, name: str, value: Value) -> bytes:
        """The bytes of one header."""
        try:
            held = value.encode() if isinstance(value, str) else value
            if isinstance(held, bytes | None):
                return entry(name.encode(), held)
        except UnicodeEncodeError:
            reason = "holds half of a surrogate pair, which is no character"
        else:
            reason = f"is a {type(value).__name__}, and Kafka's headers are bytes"
        raise FormatError(f"The Kafka header {name!r} {reason}.")

    def with_entries(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The bytes of these headers."""
        return join_headers(entries)

    def with_last(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The same bytes with further headers; what its own hold is not looked at."""
        try:
            count, begin = varint(data, 0)
        except IndexError:
            raise FormatError(_CUT) from None
        return _varint_bytes(count + len(entries)) + data[begin:] + b"".join(entries)

    def with_property(self, data: bytes, name: str, value: Value) -> bytes:
        """There are no properties."""
        raise FormatError(_NO_PROPERTY.format(name))

    def without_property(self, data: bytes, name: str) -> bytes:
        """The same bytes: there are no properties."""
        return data

    def timestamp(self, data: bytes) -> int | None:
        """None: there are no properties."""
        return None

    def content_claims(self, data: bytes) -> tuple[bytes, bytes]:
        """Empty: there are no properties."""
        return b"", b""

    def claiming_bytes(self, data: bytes) -> bytes:
        """Empty: there are no properties."""
        return b""


class RecordHeadersOfAmqp(RecordHeaders):
    """The same bytes, of which each value is a value of AMQP 1.0 (`amqp10.py`)."""

    def entries(self, data: bytes) -> Iterator[tuple[str, str, int, int]]:
        """The name, the type, the begin and the end of each header."""
        for raw, value, begin, end in spans(data):
            yield name_of(raw), (amqp10.read(value or b"") or ("bytes",))[0], begin, end

    def entry(self, name: str, value: Value) -> bytes:
        """The bytes of one header."""
        return super().entry(name, amqp10.write(value))

    def _value_of(self, value: bytes | None) -> Value:
        found = None if value is None else amqp10.read(value)
        return super()._value_of(value) if found is None else found[1]


_NO_PROPERTY = "Kafka has no properties: {!r} has no place."


def read(data: bytes) -> list[Header]:
    """The headers that these bytes are.

    Raises:
        FormatError: They are cut short, or something is behind them.
    """
    return [(name, value) for name, value, _, _ in spans(data)]


def spans(data: bytes) -> list[tuple[bytes, bytes | None, int, int]]:
    """The headers that these bytes are, and where each begins and ends.

    Raises:
        FormatError: They are cut short, or something is behind them.
    """
    try:
        found, end = _spans_from(data, 0)
    except IndexError:
        raise FormatError(_CUT) from None
    if end != len(data):
        raise FormatError(_CUT)
    return found


def read_from(data: bytes, position: int) -> tuple[list[Header], int]:
    """The headers that begin at a position, and where they end.

    Raises:
        FormatError: A length is none.
        IndexError: They are cut short.
    """
    found, end = _spans_from(data, position)
    return [(name, value) for name, value, _, _ in found], end


def _spans_from(data: bytes, position: int) -> tuple[list[tuple[bytes, bytes | None, int, int]], int]:
    found = []
    count, position = varint(data, position)
    for _ in range(count):
        begin = position
        name, position = field(data, position)
        value, position = field(data, position)
        if name is None:
            raise FormatError(_CUT)
        found.append((name, value, begin, position))
    return found, position


def write(headers: Iterable[Header]) -> bytes:
    """The bytes of headers."""
    return join_headers([entry(name, value) for name, value in headers])


def entry(name: bytes, value: bytes | None) -> bytes:
    """The bytes of one header."""
    held = _varint_bytes(-1) if value is None else _varint_bytes(len(value)) + value
    return _varint_bytes(len(name)) + name + held


def join_headers(entries: Sequence[bytes]) -> bytes:
    """The bytes of headers that were written one by one."""
    return _varint_bytes(len(entries)) + b"".join(entries)


def field(data: bytes, position: int) -> tuple[bytes | None, int]:
    """Some bytes behind their length, None where that is -1; and where they end.

    Raises:
        FormatError: The length is none.
        IndexError: They are cut short.
    """
    size, position = varint(data, position)
    if size < -1:
        raise FormatError(_CUT)
    if size == -1:
        return None, position
    if position + size > len(data):
        raise IndexError
    return data[position : position + size], position + size


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint, and where it ends.

    Raises:
        FormatError: It is longer than 64 bits.
        IndexError: It is cut short.
    """
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise FormatError(_CUT)


def _varint_bytes(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
