"""Properties and headers as AMQP 0-9-1 has them: `amqp-0-9-1`.

The payload of a basic content header frame behind its body size, that is, property flags and property list (AMQP 0-9-1
specification, 4.2.6.1; field types as RabbitMQ reads and writes them,
https://www.rabbitmq.com/amqp-0-9-1-errata#section_3 and its module rabbit_binary_parser).
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

from workbench.model.content import DEPTH, Content, Headers, Value, text
from workbench.model.content import name as name_of
from workbench.model.errors import FormatError
from workbench.model.manifest import Manifest

NUMBERS: Final = frozenset({"delivery_mode", "priority", "timestamp"})
"""The properties that AMQP has as numbers; a timestamp in seconds since 1970."""


class Amqp091:
    """The encoding: see `workbench.model.wire.Encoding`."""

    typed = True
    container = "amqp-0-9-1"
    properties = True

    def decode(self, data: bytes) -> Content:
        """Headers and properties, read from their bytes.

        Exact but for what a `Value` cannot say: a timestamp outside the years 1 to 9999 is its seconds, an int; a
        header name that is not UTF-8 has its bad bytes written as `\\xNN`; of the names that a nested table repeats,
        the last counts.

        Raises:
            FormatError: The bytes are cut short, hold a type or a property that AMQP does not have, or nest deeper than
                `DEPTH`.
        """
        found: dict[str, Any] = {}
        try:
            flags, offset = _flags(data)
            for name, read in _present(flags):
                found[name], offset = read(data, offset, 0)
        except (struct.error, LookupError) as error:
            raise _format_error(error) from None
        if offset != len(data):
            raise FormatError(_CUT)
        return Content(found.pop("headers", ()), found)

    def manifest(self, data: bytes) -> Manifest:
        """What is there, with no value read. Malformed is what is malformed for `decode`."""
        names = []
        types = 0
        try:
            flags, offset = _before_headers(data)
            if flags & _HEADERS:
                end = offset + 4 + _uint32(data, offset)[0]
                offset += 4
                while offset < end:
                    begin = offset + 1
                    offset = begin + data[offset]
                    names.append(data[begin:offset])
                    bit, size = _SIZES[data[offset]]
                    types |= bit
                    if size:
                        offset += size
                    elif bit & _NESTS:
                        offset = _pass_over(data, offset, 1)
                    else:
                        offset += 5 + _uint32(data, offset + 1)[0]
                if offset != end:
                    raise FormatError(_CUT)
            for size in _sizes_behind_headers(flags):
                offset += size or 1 + data[offset]
        except (struct.error, LookupError) as error:
            raise _format_error(error) from None
        if offset != len(data):
            raise FormatError(_CUT)
        return _manifest(flags, types, *names)

    def encode(self, content: Content) -> bytes:
        """The bytes of headers and properties that a user wrote, each value in AMQP's natural type.

        bool is a boolean; int is 32 bits wide where it fits, else 64; float is a double, Decimal a decimal, str a
        string, bytes are bytes, an aware datetime is a timestamp, None is null, a sequence an array, a mapping a table.

        Raises:
            FormatError: AMQP has no such property, or no type that holds a value without loss: an int beyond 64 bits, a
                decimal beyond 32, a float that is not finite, a time with a fraction of a second, a short string beyond
                255 bytes.
        """
        written = {_flag(name): _property(name, value) for name, value in content.properties.items()}
        if content.headers:
            written[_HEADERS] = _table([_header(name, value) for name, value in content.headers])
        pieces = [written[flag] for flag in sorted(written, reverse=True)]
        return _UINT16.pack(sum(written)) + b"".join(pieces)

    def entries(self, data: bytes) -> Iterator[tuple[str, str, int, int]]:
        """The name, the type, the begin and the end of each header."""
        for flag, begin, end in _spans(data):
            if flag != _HEADERS:
                continue
            offset = begin + 4
            try:
                while offset < end:
                    start = offset
                    offset = start + 1 + data[start]
                    name = name_of(data[start + 1 : offset])
                    kind = data[offset]
                    # What begins with its length is passed over whole, so that nothing can be too deep.
                    offset = _end(data, offset + 1) if kind in b"SxAF" else _READ[kind](data, offset + 1, 0)[1]
                    yield name, _TYPES[chr(kind)][0], start, offset
            except (struct.error, LookupError) as error:
                raise _format_error(error) from None
            if offset != end:
                raise FormatError(_CUT)

    def entry(self, name: str, value: Value) -> bytes:
        """The bytes of one header."""
        return _header(name, value)

    def with_entries(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The same bytes with these headers; without a header table where there are none."""
        return _replace(data, _HEADERS, _table(entries) if entries else None)

    def with_last(self, data: bytes, entries: Sequence[bytes]) -> bytes:
        """The same bytes with further headers; what its own hold is not looked at."""
        try:
            flags, begin = _before_headers(data)
            own = _uint32(data, begin)[0] if flags & _HEADERS else 0
        except (struct.error, IndexError) as error:
            raise _format_error(error) from None
        first = begin + 4 if flags & _HEADERS else begin
        if first + own > len(data):
            raise FormatError(_CUT)
        table = b"".join((data[first : first + own], *entries))
        return b"".join(
            (
                _UINT16.pack(flags | _HEADERS),
                data[2:begin],
                _UINT32.pack(len(table)),
                table,
                data[first + own :],
            )
        )

    def with_property(self, data: bytes, name: str, value: Value) -> bytes:
        """The same bytes with one property set."""
        return _replace(data, _flag(name), _property(name, value))

    def without_property(self, data: bytes, name: str) -> bytes:
        """The same bytes without one property."""
        return _replace(data, _flag(name), None)

    def timestamp(self, data: bytes) -> int | None:
        """The property `timestamp` in milliseconds, found without decoding the headers."""
        if len(data) < 2 or not data[1] & _TIMESTAMP:
            return None
        try:
            flags, offset = _flags(data)
            for name, read in _present(flags):
                if name == "timestamp":
                    break
                offset = _end(data, offset) if name == "headers" else read(data, offset, 0)[1]
            milliseconds = int(_INT64.unpack_from(data, offset)[0]) * 1000
        except (struct.error, IndexError, FormatError):
            return None
        return milliseconds if -(2**63) <= milliseconds < 2**63 else None

    def content_claims(self, data: bytes) -> tuple[bytes, bytes]:
        """The properties `content_type` and `content_encoding`, found without decoding the rest."""
        type = encoding = b""
        offset = 2
        try:
            if data[0] & 0x80:
                end = offset + 1 + data[offset]
                type, offset = data[offset + 1 : end], end
            if data[0] & 0x40:
                encoding = data[offset + 1 : offset + 1 + data[offset]]
        except IndexError:
            pass
        return type, encoding

    def claiming_bytes(self, data: bytes) -> bytes:
        """How the properties begin, up to the end of what `content_claims` finds."""
        if len(data) < 2:
            return b""
        type, encoding = self.content_claims(data)
        end = 2 + bool(data[0] & 0x80) + len(type) + bool(data[0] & 0x40) + len(encoding)
        return data[:end] if len(data) > end else b""


# Reading. A reader takes the bytes, where a value begins and how deep it nests, to the value and where it ends.
# A slice beyond the end is silently short: whoever knows where the end must be compares, so that each step need not.

_Read: TypeAlias = Callable[[bytes, int, int], tuple[Any, int]]

_UINT16: Final = struct.Struct(">H")
_uint16: Final = _UINT16.unpack_from
_UINT32: Final = struct.Struct(">I")
_uint32: Final = _UINT32.unpack_from
_INT64: Final = struct.Struct(">q")
_DECIMAL: Final = struct.Struct(">Bi")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = range(-62_135_596_800, 253_402_300_800)
"""What a `datetime` can say: the years 1 to 9999."""
_CUT: Final = "These AMQP properties cannot be read: they are cut short, or their lengths do not add up."
_DEEP: Final = f"These AMQP properties cannot be read: they nest deeper than {DEPTH} tables and arrays."


def _format_error(error: Exception) -> FormatError:
    if isinstance(error, KeyError):
        return FormatError(f"These AMQP properties cannot be read: {chr(error.args[0])!r} is no field type of AMQP.")
    return FormatError(_CUT)


def _flags(data: bytes) -> tuple[int, int]:
    """The property flags, and where the property list begins. Bit 0 says that another word of flags follows, in which
    AMQP defines nothing; bit 1 means nothing, and RabbitMQ ignores it."""
    (flags,) = _uint16(data)
    offset, more = 2, flags & 1
    while more:
        (word,) = _uint16(data, offset)
        if word & ~1:
            raise FormatError("These AMQP properties cannot be read: there are more than AMQP 0-9-1 has.")
        offset, more = offset + 2, word & 1
    return flags, offset


def _before_headers(data: bytes) -> tuple[int, int]:
    """The property flags, and where the header table begins, or would."""
    flags, offset = _flags(data)
    if flags & _CONTENT_TYPE:
        offset += 1 + data[offset]
    if flags & _CONTENT_ENCODING:
        offset += 1 + data[offset]
    return flags, offset


@lru_cache(maxsize=1024)
def _present(flags: int) -> tuple[tuple[str, _Read], ...]:
    return tuple((name, read) for name, (flag, read) in _PROPERTIES.items() if flags & flag)


def _fixed_size(form: str) -> _Read:
    unpack = struct.Struct(form).unpack_from
    size = struct.calcsize(form)

    def read(data: bytes, offset: int, depth: int) -> tuple[Any, int]:
        return unpack(data, offset)[0], offset + size

    return read


def _read_bool(data: bytes, offset: int, depth: int) -> tuple[bool, int]:
    return data[offset] != 0, offset + 1


def _read_null(data: bytes, offset: int, depth: int) -> tuple[None, int]:
    return None, offset


def _read_decimal(data: bytes, offset: int, depth: int) -> tuple[Decimal, int]:
    scale, unscaled = _DECIMAL.unpack_from(data, offset)
    return Decimal(f"{unscaled}E-{scale}"), offset + 5


def _read_time(data: bytes, offset: int, depth: int) -> tuple[datetime | int, int]:
    (seconds,) = _INT64.unpack_from(data, offset)
    return _EPOCH + timedelta(seconds=seconds) if seconds in _SECONDS else seconds, offset + 8


def _read_short_string(data: bytes, offset: int, depth: int) -> tuple[str | bytes, int]:
    begin = offset + 1
    end = begin + data[offset]
    return text(data[begin:end]), end


def _read_string(data: bytes, offset: int, depth: int) -> tuple[str | bytes, int]:
    end = _end(data, offset)
    return text(data[offset + 4 : end]), end


def _read_bytes(data: bytes, offset: int, depth: int) -> tuple[bytes, int]:
    end = _end(data, offset)
    return data[offset + 4 : end], end


def _read_array(data: bytes, offset: int, depth: int) -> tuple[list[Value], int]:
    if depth == DEPTH:
        raise FormatError(_DEEP)
    end = _end(data, offset)
    offset += 4
    values = []
    while offset < end:
        value, offset = _READ[data[offset]](data, offset + 1, depth + 1)
        values.append(value)
    if offset != end:
        raise FormatError(_CUT)
    return values, end


def _read_headers(data: bytes, offset: int, depth: int) -> tuple[Headers, int]:
    if depth == DEPTH:
        raise FormatError(_DEEP)
    end = _end(data, offset)
    offset += 4
    headers: list[tuple[str, Value]] = []
    while offset < end:
        begin = offset + 1
        offset = begin + data[offset]
        name = name_of(data[begin:offset])
        value, offset = _READ[data[offset]](data, offset + 1, depth + 1)
        headers.append((name, value))
    if offset != end:
        raise FormatError(_CUT)
    return tuple(headers), end


def _read_table(data: bytes, offset: int, depth: int) -> tuple[dict[str, Value], int]:
    headers, end = _read_headers(data, offset, depth)
    return dict(headers), end


def _end(data: bytes, offset: int) -> int:
    """Where something ends that begins with its length in four bytes."""
    end: int = offset + 4 + _UINT32.unpack_from(data, offset)[0]
    return end


_TYPES: Final[Mapping[str, tuple[str, _Read]]] = {
    "t": ("bool", _read_bool),
    "b": ("int8", _fixed_size(">b")),
    "B": ("uint8", _fixed_size(">B")),
    "s": ("int16", _fixed_size(">h")),
    "U": ("int16", _fixed_size(">h")),
    "u": ("uint16", _fixed_size(">H")),
    "I": ("int32", _fixed_size(">i")),
    "i": ("uint32", _fixed_size(">I")),
    "l": ("int64", _fixed_size(">q")),
    "L": ("int64", _fixed_size(">q")),
    "f": ("float32", _fixed_size(">f")),
    "d": ("float64", _fixed_size(">d")),
    "D": ("decimal", _read_decimal),
    "S": ("string", _read_string),
    "x": ("bytes", _read_bytes),
    "A": ("array", _read_array),
    "T": ("timestamp", _read_time),
    "F": ("table", _read_table),
    "V": ("null", _read_null),
}
"""Field types by their letter: the name in words, and the reader. `L` is unsigned in the specification, but RabbitMQ
and its clients take it for signed. Timestamps and a decimal's digits are signed by the specification's text (4.2.5.3,
`time_t`; 4.2.5.5), which its grammar contradicts."""

_READ: Final = {ord(letter): read for letter, (_, read) in _TYPES.items()}

_HEADERS: Final = 1 << 13
_CONTENT_TYPE: Final = 1 << 15
_CONTENT_ENCODING: Final = 1 << 14
_TIMESTAMP: Final = 1 << 6
_TABLE: Final = ord("F")

_PROPERTIES: Final[Mapping[str, tuple[int, _Read]]] = {
    "content_type": (1 << 15, _read_short_string),
    "content_encoding": (1 << 14, _read_short_string),
    "headers": (_HEADERS, _read_headers),
    "delivery_mode": (1 << 12, _fixed_size(">B")),
    "priority": (1 << 11, _fixed_size(">B")),
    "correlation_id": (1 << 10, _read_short_string),
    "reply_to": (1 << 9, _read_short_string),
    "expiration": (1 << 8, _read_short_string),
    "message_id": (1 << 7, _read_short_string),
    "timestamp": (_TIMESTAMP, _read_time),
    "type": (1 << 5, _read_short_string),
    "user_id": (1 << 4, _read_short_string),
    "app_id": (1 << 3, _read_short_string),
    "cluster_id": (1 << 2, _read_short_string),
}
"""The properties by name, in the order of the property list: flag and reader."""


# Passing over: what would be read is checked for being there, and no value is made of it.

_WORDS: Final = sorted({word for word, _ in _TYPES.values()})
_SIZES: Final = {
    kind: (1 << _WORDS.index(_TYPES[chr(kind)][0]), 0 if kind in b"SxAF" else 1 + read(bytes(8), 0, 0)[1])
    for kind, read in _READ.items()
}
"""The bit of each type, for a set of them, and the bytes that its letter and value take; 0: these begin with their
length."""
_NESTS: Final = _SIZES[ord("A")][0] | _SIZES[ord("F")][0]


def _pass_over(data: bytes, offset: int, depth: int) -> int:
    """Where an array or a table ends whose letter is at `offset`."""
    if depth == DEPTH:
        raise FormatError(_DEEP)
    has_names = data[offset] == _TABLE
    end: int = offset + 5 + _uint32(data, offset + 1)[0]
    offset += 5
    while offset < end:
        if has_names:
            offset += 1 + data[offset]
        bit, size = _SIZES[data[offset]]
        if size:
            offset += size
        elif bit & _NESTS:
            offset = _pass_over(data, offset, depth + 1)
        else:
            offset += 5 + _uint32(data, offset + 1)[0]
    if offset != end:
        raise FormatError(_CUT)
    return end


@lru_cache(maxsize=1024)
def _manifest(flags: int, types: int, *names: bytes) -> Manifest:
    """What these property flags, these bits of types and these names of headers say."""
    properties = frozenset(name for name, _ in _present(flags)) - {"headers"}
    words = frozenset(word for number, word in enumerate(_WORDS) if types >> number & 1)
    return Manifest(properties, tuple(map(name_of, names)), words)


@lru_cache(maxsize=1024)
def _sizes_behind_headers(flags: int) -> tuple[int, ...]:
    """The size of each property that is set and comes behind the headers; 0: it begins with its length in a byte."""
    fixed = {"delivery_mode": 1, "priority": 1, "timestamp": 8}
    return tuple(fixed.get(name, 0) for name, _ in _present(flags & (_HEADERS - 1)))


# Splicing: where things lie is found without decoding them, so that whatever they hold stays as it is.


def _spans(data: bytes) -> list[tuple[int, int, int]]:
    """The flag, the begin and the end of each property that is set, the headers among them."""
    spans = []
    try:
        flags, offset = _flags(data)
        for name, read in _present(flags):
            begin = offset
            offset = _end(data, begin) if name == "headers" else read(data, begin, 0)[1]
            spans.append((_PROPERTIES[name][0], begin, offset))
    except (struct.error, IndexError) as error:
        raise _format_error(error) from None
    if offset != len(data):
        raise FormatError(_CUT)
    return spans


def _replace(data: bytes, flag: int, piece: bytes | None) -> bytes:
    """The same bytes with one property, or the header table, in these bytes; without it where they are None."""
    spans = _spans(data)
    flags, begin = _flags(data)
    end = begin
    for other, start, stop in spans:
        if other > flag:
            begin = end = stop
        elif other == flag:
            begin, end = start, stop
    flags = flags & ~flag if piece is None else flags | flag
    return _UINT16.pack(flags) + data[2:begin] + (piece or b"") + data[end:]


# Writing. `_Unfit` says why a value cannot be written; whoever knows its name makes a sentence of it.


class _Unfit(Exception):
    pass


def _flag(name: str) -> int:
    if name in _PROPERTIES and name != "headers":
        return _PROPERTIES[name][0]
    known = ", ".join(name for name in _PROPERTIES if name != "headers")
    raise FormatError(f"{name!r} is not a property of AMQP, which has {known}.")


def _property(name: str, value: Value) -> bytes:
    try:
        match name:
            case "delivery_mode" | "priority":
                if type(value) is int and 0 <= value < 256:
                    return bytes([value])
                raise _Unfit("holds a whole number from 0 to 255")
            case "timestamp":
                # As `decode` gives it: seconds where no datetime can say them.
                if type(value) is int and -(2**63) <= value < 2**63:
                    return _INT64.pack(value)
                if isinstance(value, datetime):
                    return _INT64.pack(_seconds(value))
                raise _Unfit("holds a time")
            case _:
                if isinstance(value, str | bytes):
                    return _short_string(value)
                raise _Unfit("holds text")
    except _Unfit as reason:
        raise FormatError(f"The AMQP property {name!r} {reason}.") from None


def _header(name: str, value: Value) -> bytes:
    try:
        return _header_name(name) + _field(value, 1)
    except _Unfit as reason:
        raise FormatError(f"The AMQP header {name!r} {reason}.") from None


@lru_cache(maxsize=1024)
def _header_name(name: str) -> bytes:
    return _short_string(name)


def _table(entries: Sequence[bytes]) -> bytes:
    return _with_length(b"".join(entries))


def _with_length(data: bytes) -> bytes:
    return _UINT32.pack(len(data)) + data


def _field(value: Value, depth: int) -> bytes:
    if type(value) is str:
        return b"S" + _with_length(_utf8(value))
    match value:
        case None:
            return b"V"
        case bool():
            return b"t\1" if value else b"t\0"
        case int() if -(2**31) <= value < 2**31:
            return b"I" + value.to_bytes(4, "big", signed=True)
        case int() if -(2**63) <= value < 2**63:
            return b"l" + value.to_bytes(8, "big", signed=True)
        case int():
            raise _Unfit("is an integer beyond 64 bits: send it as text")
        case float() if not math.isfinite(value):
            # Erlang has no such number: RabbitMQ 3.10 and 4.0 close the whole connection with 541, INTERNAL_ERROR.
            raise _Unfit(f"is {value}, which RabbitMQ cannot read: send it as text")
        case float():
            return b"d" + struct.pack(">d", value)
        case str():
            return b"S" + _with_length(_utf8(value))
        case bytes():
            return b"x" + _with_length(value)
        case Decimal():
            return b"D" + _decimal(value)
        case datetime():
            return b"T" + _INT64.pack(_seconds(value))
        case Mapping() | Sequence() if depth == DEPTH:
            raise _Unfit(f"nests deeper than {DEPTH} tables and arrays")
        case Mapping():
            fields = [_short_string(name) + _field(item, depth + 1) for name, item in value.items()]
            return b"F" + _with_length(b"".join(fields))
        case Sequence():
            return b"A" + _with_length(b"".join([_field(item, depth + 1) for item in value]))
    raise _Unfit(f"is a {type(value).__name__}, for which AMQP has no type")


def _utf8(characters: str) -> bytes:
    try:
        return characters.encode()
    except UnicodeEncodeError:
        raise _Unfit("holds half of a surrogate pair, which is no character") from None


def _short_string(value: str | bytes) -> bytes:
    data = value if isinstance(value, bytes) else _utf8(value)
    if len(data) > 255:
        raise _Unfit("is or has a name longer than 255 bytes")
    return bytes([len(data)]) + data


def _seconds(time: datetime) -> int:
    if time.utcoffset() is None:
        raise _Unfit("is a time without a zone")
    passed = time - _EPOCH
    if passed.microseconds:
        raise _Unfit("is a time with a fraction of a second, and AMQP has whole seconds")
    return passed.days * 86_400 + passed.seconds


def _decimal(value: Decimal) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or not -256 < exponent < 10:
        raise _Unfit("is a decimal beyond 32 bits and 255 places: send it as text")
    unscaled = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    if sign:
        unscaled = -unscaled
    if not -(2**31) <= unscaled < 2**31:
        raise _Unfit("is a decimal beyond 32 bits and 255 places: send it as text")
    return _DECIMAL.pack(max(-exponent, 0), unscaled)
