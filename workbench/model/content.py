"""What properties and headers say, whatever bytes they travel in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    Value: TypeAlias = bool | int | float | str | bytes | Decimal | datetime | Sequence[Any] | Mapping[str, Any] | None
else:
    # msgspec refuses to decode into a union of several types that it would read from text.
    Value = Any
"""What a header or property can hold, nested to any depth. Text that is not valid UTF-8 is `bytes`."""

Headers: TypeAlias = tuple[tuple[str, Value], ...]
"""Names and values in the order they came, duplicates kept."""

DEPTH: Final = 100
"""How deep tables and arrays may nest. Real headers need three; a stranger's could exhaust the stack."""


class Content(msgspec.Struct, frozen=True, array_like=True):
    """Properties and headers, decoded.

    Attributes:
        headers: The application's own names and values; in order, with duplicates.
        properties: The broker's named fields that an event has set, such as `content_type` or `correlation_id`
            (AMQP basic properties); empty for a broker that has none.
    """

    headers: Headers = ()
    properties: Mapping[str, Value] = {}


def text(data: bytes) -> str | bytes:
    """The text that these bytes are in UTF-8, else the bytes: how a `Value` holds a text whose encoding nobody told."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def name(data: bytes) -> str:
    """A header's name; what is not UTF-8 in it is written as `\\xNN`."""
    return str(data, "utf-8", "backslashreplace")
