"""The values of headers and properties as text that people read, and what kind each is."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from workbench.model.content import Value


def value_text(value: Value) -> str:
    """A value as it is shown; `value_to_copy` is for tables and arrays."""
    match value:
        case str():
            return value
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes():
            return key_text(value)
        case datetime():
            return value.isoformat()
        case int() if value.bit_length() > _DECIMAL:
            return hex(value)
        case _:
            return str(value)


_DECIMAL: Final = 14_000
"""Bits of an integer beyond which Python does not write it in decimal digits."""


def key_text(data: bytes) -> str:
    """Bytes as the text they are; in hex where they are none, or an integer."""
    return f"0x{data.hex()}" if integer_in(data) is not None else bytes_text(data)


def bytes_text(data: bytes) -> str:
    """Bytes as the text they are in UTF-8, else in hex."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"0x{data.hex()}"


def integer_in(value: Value) -> int | None:
    """The integer in bytes that are as long as one and hold what no text does: so Spring writes partitions."""
    if not isinstance(value, bytes) or len(value) not in (1, 2, 4, 8) or min(value) > 8:
        return None
    return int.from_bytes(value, signed=True)


def value_to_copy(value: Value) -> str:
    """A value as text, tables and arrays as JSON."""
    nested = isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes)
    return json.dumps(value, default=value_text, ensure_ascii=False) if nested else value_text(value)


def value_type(value: Value) -> str:
    """What kind of value it is, in a word."""
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_NAMES: Final[Sequence[tuple[Any, str]]] = (
    (type(None), "null"),
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (Decimal, "decimal"),
    (str, "string"),
    (bytes, "bytes"),
    (datetime, "timestamp"),
    (Mapping, "table"),
    (Sequence, "array"),
)
