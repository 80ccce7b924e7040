"""The primitive values of AMQP 1.0, one at a time, as a service passes them on in its own bytes.

Event Hubs hands the application properties of an AMQP producer to Kafka's consumers as headers, each value encoded as
AMQP has it: a constructor, which is a byte, and the value behind it (OASIS AMQP 1.0, part 1, 1.6).
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

from workbench.model.errors import FormatError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS: Final = range(-62_135_596_800_000, 253_402_300_800_000)
"""What a `datetime` can say: the years 1 to 9999."""

_Read: TypeAlias = Callable[[bytes], Any]


def read(data: bytes) -> tuple[str, Any] | None:
    """The type's name and the value that these bytes are; None where they are no single primitive value.

    A timestamp outside the years 1 to 9999 is its milliseconds; a UUID is its 16 bytes. Decimals and characters beyond
    ASCII are not read.
    """
    if not data or (form := _FORMS.get(data[0])) is None:
        return None
    name, size, reader = form
    begin = 1
    if size < 0:  # the value is behind its length, in so many bytes
        begin = 1 - size
        if len(data) < begin:
            return None
        size = int.from_bytes(data[1:begin], "big")
    if len(data) != begin + size:
        return None
    try:
        return name, reader(data[begin:])
    except ValueError:
        return None


def are_values(values: Iterable[bytes | None]) -> bool:
    """Whether the headers of one event are values of AMQP: each can be one, and one at least can be nothing else.

    A short text may look like a value: `A` is what AMQP writes for true.
    """
    certain = False
    for value in values:
        if value is None or read(value) is None:
            return False
        certain = certain or not _is_text(value)
    return certain


def write(value: object) -> bytes:
    """The bytes of a value, in AMQP's natural type: int is a long, float a double.

    Raises:
        FormatError: AMQP has no primitive type for it, or it is too large.
    """
    match value:
        case None:
            return b"\x40"
        case bool():
            return b"\x41" if value else b"\x42"
        case int() if -(2**63) <= value < 2**63:
            return b"\x81" + value.to_bytes(8, "big", signed=True)
        case float():
            return b"\x82" + struct.pack(">d", value)
        case str():
            return _behind_length(0xA1, value.encode())
        case bytes():
            return _behind_length(0xA0, value)
        case datetime():
            return b"\x83" + ((value - _EPOCH) // timedelta(milliseconds=1)).to_bytes(8, "big", signed=True)
    raise FormatError(f"AMQP 1.0 has no primitive value for a {type(value).__name__} like this one.")


def _behind_length(constructor: int, data: bytes) -> bytes:
    if len(data) < 256:
        return bytes((constructor, len(data))) + data
    return bytes((constructor + 0x10,)) + len(data).to_bytes(4, "big") + data


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _unsigned(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _real(form: str) -> _Read:
    return lambda data: struct.unpack(form, data)[0]


def _truth(data: bytes) -> bool:
    if data not in (b"\0", b"\1"):
        raise ValueError(data)
    return data == b"\1"


def _time(data: bytes) -> datetime | int:
    milliseconds = _signed(data)
    return _EPOCH + timedelta(milliseconds=milliseconds) if milliseconds in _MILLISECONDS else milliseconds


def _character(data: bytes) -> str:
    return data.lstrip(b"\0").decode("ascii")


_FORMS: Final[Mapping[int, tuple[str, int, _Read]]] = {
    0x40: ("null", 0, lambda data: None),
    0x41: ("boolean", 0, lambda data: True),
    0x42: ("boolean", 0, lambda data: False),
    0x43: ("uint", 0, _unsigned),
    0x44: ("ulong", 0, _unsigned),
    0x50: ("ubyte", 1, _unsigned),
    0x51: ("byte", 1, _signed),
    0x52: ("uint", 1, _unsigned),
    0x53: ("ulong", 1, _unsigned),
    0x54: ("int", 1, _signed),
    0x55: ("long", 1, _signed),
    0x56: ("boolean", 1, _truth),
    0x60: ("ushort", 2, _unsigned),
    0x61: ("short", 2, _signed),
    0x70: ("uint", 4, _unsigned),
    0x71: ("int", 4, _signed),
    0x72: ("float", 4, _real(">f")),
    0x73: ("char", 4, _character),
    0x80: ("ulong", 8, _unsigned),
    0x81: ("long", 8, _signed),
    0x82: ("double", 8, _real(">d")),
    0x83: ("timestamp", 8, _time),
    0x98: ("uuid", 16, bytes),
    0xA0: ("binary", -1, bytes),
    0xA1: ("string", -1, lambda data: data.decode()),
    0xA3: ("symbol", -1, lambda data: data.decode("ascii")),
    0xB0: ("binary", -4, bytes),
    0xB1: ("string", -4, lambda data: data.decode()),
    0xB3: ("symbol", -4, lambda data: data.decode("ascii")),
}
"""Types by their constructor: the name, the bytes of the value, or below 0 those of its length, and the reader."""
