"""A body laid out for people to read: JSON and binary values indented, text as it is, other bytes in hex digits.

Only as much of it is laid out as is shown. The text is a stranger's still: it goes to a terminal a line at a time,
through `display.visible`.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final, Literal

import msgspec

from workbench.decode.charset import utf8_text
from workbench.decode.codec import DEPTH, decode
from workbench.decode.compression import MARKED
from workbench.decode.content_type import Binary, content_type
from workbench.decode.json_text import lay_out_json
from workbench.model.errors import FormatError
from workbench.model.event import Event

Format = Literal["JSON", "text", "hex", "null", "empty"] | Binary

SHOWN: Final = 64 * 1024
"""Characters laid out unless the caller wants more or fewer."""
_HEX_LINE: Final = 78


class Reading(msgspec.Struct, frozen=True):
    """A body made readable.

    Attributes:
        format: What it turned out to be, inside any compression.
        text: Lines to read; not yet fit for a terminal.
        size: Bytes of the body as it came.
        truncated: Whether `text` is only the beginning.
        notes: What to know about it, a phrase each: `gzip`, `schema 42`, `not valid UTF-8`; they may quote the body.
    """

    format: Format
    text: str
    size: int
    truncated: bool = False
    notes: tuple[str, ...] = ()


def lay_out(event: Event, limit: int = SHOWN) -> Reading:
    """A body laid out for people.

    Args:
        event: Its body is read; its properties and headers are asked what it claims to be.
        limit: At most so many characters of text.
    """
    if not event.body:
        return Reading("null", "", 0) if event.body is None else Reading("empty", "", 0)
    size = len(event.body)
    # No charset takes more than eight bytes for a character.
    decoded = decode(event, max(8 * limit, SHOWN))
    data = decoded.data
    notes = decoded.layers + decoded.complaints
    if decoded.format is not None:
        written, truncated = _write_out(decoded.value, limit)
        return Reading(decoded.format, written, size, truncated, notes)
    said = content_type(event)
    if MARKED.intersection(said.encodings) and not decoded.layers and not decoded.complaints:
        notes = (f"claims to be {', '.join(said.encodings)} and is not",)
    head, cut = data[: 4 * limit + 3], len(data) > 4 * limit + 3 or not decoded.whole
    text, valid = utf8_text(head, cut)
    if text is None:
        lines = max(limit // _HEX_LINE, 1) * 16
        return Reading("hex", _hex(data[:lines]), size, len(data) > lines or not decoded.whole, notes)
    if not valid:
        notes = (*notes, "not valid UTF-8")
    if said.format == "JSON" or text.lstrip(" \t\n\r")[:1] in ("{", "[", '"'):
        try:
            layout = lay_out_json(text, limit, cut)
        except FormatError as error:
            if said.format == "JSON":
                notes = (*notes, f"claims to be JSON and is {error}")
        else:
            if layout.repeated:
                notes = (*notes, f"keys more than once: {', '.join(layout.repeated[:5])}")
            if layout.not_numbers:
                notes = (*notes, "NaN or Infinity, which JSON does not have")
            return Reading("JSON", layout.text, size, layout.truncated, notes)
    return Reading("text", text[:limit], size, cut or len(text) > limit, notes)


def _hex(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {plain}")
    return "\n".join(lines)


def _write_out(value: Any, limit: int) -> tuple[str, bool]:
    """Values laid out as JSON would be, with what JSON cannot say written in its own way; and whether that was cut."""
    pieces: list[str] = []
    length = 0
    for piece in _pieces(value, 0):
        pieces.append(piece[: limit - length])
        length += len(piece)
        if length > limit:
            return "".join(pieces), True
    return "".join(pieces), False


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if depth == DEPTH:
        yield "…"
    elif isinstance(value, Mapping):
        yield from _members("{}", ((f"{_scalar(key)}: ", item) for key, item in value.items()), depth)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from _members("[]", (("", item) for item in value), depth)
    elif hasattr(value, "tag") and hasattr(value, "value"):
        yield f"tag {value.tag} "
        yield from _pieces(value.value, depth + 1)
    else:
        yield _scalar(value)


def _members(marks: str, members: Iterator[tuple[str, Any]], depth: int) -> Iterator[str]:
    indent = "  " * (depth + 1)
    separator = marks[0]
    for name, item in members:
        yield f"{separator}\n{indent}{name}"
        yield from _pieces(item, depth + 1)
        separator = ","
    yield f"\n{indent[2:]}{marks[1]}" if separator == "," else marks


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            try:
                return str(value)
            except ValueError:
                # Python refuses to write an int of more than 4,300 digits in tens, for the time that takes.
                return hex(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return f"0x{value.hex()}"
        case date():
            return value.isoformat()
        case msgspec.msgpack.Ext():
            return f"extension {value.code} 0x{bytes(value.data).hex()}"
        case _:
            return str(value)
