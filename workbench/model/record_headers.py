"""The headers of a Kafka record in their bytes (magic 2, https://kafka.apache.org/documentation/#recordheader).

A count, then names and values, each behind its length; numbers are zigzag varints. Names are bytes that most clients
take for UTF-8, and that some let be anything.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from workbench.model.errors import FormatError

Header: TypeAlias = tuple[bytes, bytes | None]
"""A name and a value, as they travel."""

_CUT = "These Kafka headers cannot be read: they are cut short, or their lengths do not add up."


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
