"""Body bytes → something to read: JSON, text, MessagePack, CBOR or hex, out of compression and a registry's frame.

What a body claims to be (content type, content encoding) is tried first and never believed: the bytes decide. However
large, deep or compressed a body is, only as much of it is touched as is shown. The text is a stranger's still: it goes
to a terminal a line at a time, through `display.shown`.
"""

import codecs
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from email.message import Message
from io import BytesIO
from typing import Any, Final, Literal, NamedTuple

import msgspec

from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.reading.json_text import laid_out
from workbench.reading.needles import opaque

Binary = Literal["MessagePack", "CBOR"]
Format = Literal["JSON", "text", "hex", "null", "empty"] | Binary

SHOWN: Final = 64 * 1024
"""Characters laid out unless the caller wants more or fewer."""
OPENED: Final = 4 * 1024 * 1024
"""Bytes taken out of a compressed body, and the largest MessagePack or CBOR that is decoded: these two cannot be read
in part."""
_LAYERS: Final = 3
_DEPTH: Final = 100


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


class Claims(NamedTuple):
    """What an event says of its body.

    Attributes:
        format: The format that its content type names; None for all others.
        charset: The charset that its content type names, as it is written; empty where it names none.
        encoding: Its content encoding, as it is written; empty where it says nothing.
    """

    format: Literal["JSON"] | Binary | None = None
    charset: str = ""
    encoding: str = ""


class Opened(msgspec.Struct, frozen=True):
    """A body without its compression and its schema registry's frame.

    Attributes:
        data: What was inside; at most `OPENED` bytes where it was compressed.
        whole: False where there is more inside, or where it breaks off.
        layers: What was taken off, outermost first: `gzip`, `schema 42`.
        complaints: What was wrong with it.
    """

    data: bytes
    whole: bool = True
    layers: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


def read(event: Event, limit: int = SHOWN) -> Reading:
    """A body laid out for people.

    Args:
        event: Its body is read; its properties and headers are asked what it claims to be.
        limit: At most so many characters of text.
    """
    if not event.body:
        return Reading("null", "", 0) if event.body is None else Reading("empty", "", 0)
    said = claims(event)
    kind = said.format
    size = len(event.body)
    opened = open_body(event.body, said.encoding)
    notes = opened.layers + opened.complaints
    data = opened.data
    if kind in _VALUES or (kind is None and not _is_text(data[:limit])):
        for name in (kind,) if kind == "MessagePack" or kind == "CBOR" else _sniffed(data):
            try:
                written, truncated = _written(values(name, data), limit)
                return Reading(name, written, size, truncated, notes)
            except FormatError as error:
                if kind:
                    notes = (*notes, str(error))
    head, cut = data[: 4 * limit + 3], len(data) > 4 * limit + 3 or not opened.whole
    text, valid = _decoded(head, said.charset, cut)
    if text is None:
        lines = max(limit // _HEX_LINE, 1) * 16
        return Reading("hex", _hex(data[:lines]), size, len(data) > lines or not opened.whole, notes)
    if not valid:
        notes = (*notes, "not valid UTF-8")
    if kind == "JSON" or text.lstrip(" \t\n\r")[:1] in ("{", "[", '"'):
        try:
            layout = laid_out(text.removeprefix("\ufeff"), limit, cut)
        except FormatError as error:
            if kind == "JSON":
                notes = (*notes, f"claims to be JSON and is {error}")
        else:
            if layout.repeated:
                notes = (*notes, f"keys more than once: {', '.join(layout.repeated[:5])}")
            if layout.not_numbers:
                notes = (*notes, "NaN or Infinity, which JSON does not have")
            return Reading("JSON", layout.text, size, layout.truncated, notes)
    return Reading("text", text[:limit], size, cut or len(text) > limit, notes)


def text_of(event: Event, limit: int) -> tuple[str, bool]:
    """The text of a body that `read` calls JSON or text, as it was written; and whether that is only the beginning.

    Args:
        event: Its body is read.
        limit: At most so many bytes of it are.
    """
    said = claims(event)
    opened = open_body(event.body or b"", said.encoding)
    cut = len(opened.data) > limit or not opened.whole
    text, _ = _decoded(opened.data[:limit], said.charset, cut)
    return (text or "").removeprefix("\ufeff"), cut


def queried(event: Event) -> object:
    """The body as a query reads it: bytes, or the tree of a MessagePack or CBOR body; out of compression and frame.

    A body that begins as text does is what it is: see `needles.opaque`.
    """
    if not event.body or not opaque(event):
        return event.body
    said = claims(event)
    data = open_body(event.body, said.encoding).data
    if said.format in _VALUES or not _is_text(data[:SHOWN]):
        for name in (said.format,) if said.format == "MessagePack" or said.format == "CBOR" else _sniffed(data):
            with suppress(FormatError):
                return values(name, data)
    return data


def open_body(body: bytes, encoding: str = "") -> Opened:
    """Take off what is around a body: up to three layers of compression, then a schema registry's frame.

    gzip, zlib, zstd, lz4 and snappy frames are known by their first bytes; bare snappy only where `encoding` says so.

    Args:
        body: The bytes as they came.
        encoding: What the event says of its compression, such as `gzip`; empty where it says nothing.
    """
    data, whole = body, True
    layers: list[str] = []
    complaints: list[str] = []
    encoding = encoding.lower()
    for _ in range(_LAYERS):
        name = next((name for name, begin in _BEGINNINGS if data.startswith(begin)), None)
        if name is None and encoding == "snappy" and not layers:
            name = "bare snappy"
        if name is None:
            if encoding in _CLAIMED and not layers:
                complaints.append(f"claims to be {encoding} and is not")
            break
        inside = _OPEN[name](data)
        if inside is None:
            # Two bytes of zlib's begin many a body that is not zlib at all.
            if name != "zlib":
                complaints.append(f"begins like {name} and cannot be opened")
            break
        data, whole = inside
        layers.append(name)
        if not whole:
            complaints.append(
                f"{name}: more than {len(data):,} bytes inside" if len(data) >= OPENED else f"{name}, cut short"
            )
            break
    if (schema := _schema(data)) is not None:
        layers.append(f"schema {schema}")
        data = data[5:]
    return Opened(data, whole, tuple(layers), tuple(complaints))


def claims(event: Event) -> Claims:
    """What an event says of its body, in its properties and headers; a stranger's word."""
    try:
        content = event.content
    except FormatError:
        return Claims()
    found = {"type": "", "encoding": ""}
    for name, value in (*content.properties.items(), *content.headers[:1000]):
        key = name.lower()
        what = "type" if key in _TYPE_NAMES else "encoding" if key in _ENCODING_NAMES else None
        if what and not found[what] and isinstance(value, str | bytes):
            found[what] = value if isinstance(value, str) else value.decode("latin-1")
    header = Message()
    header["content-type"] = " ".join(found["type"][:200].split())
    kind = header.get_content_type() if found["type"] else ""
    charset = header.get_param("charset")
    named: Literal["JSON"] | Binary | None = None
    if kind.endswith(("/json", "+json")):
        named = "JSON"
    elif kind.endswith(("/msgpack", "/x-msgpack", "/vnd.msgpack", "+msgpack")):
        named = "MessagePack"
    elif kind.endswith(("/cbor", "+cbor")):
        named = "CBOR"
    return Claims(named, charset if isinstance(charset, str) else "", found["encoding"].strip())


def values(format: Binary, data: bytes) -> Any:
    """What MessagePack or CBOR holds, as Python values. Ints are exact; a map that repeats a key keeps the last.

    Raises:
        FormatError: It is not that, or is larger than `OPENED`, or nests deeper than the decoders go.
    """
    if len(data) > OPENED:
        raise FormatError(f"{format} of {len(data):,} bytes, which is too large to decode")
    try:
        if format == "MessagePack":
            return msgspec.msgpack.decode(data)
        # Few need it, and it takes a while to load.
        import cbor2

        stream = BytesIO(data)
        try:
            value = cbor2.CBORDecoder(stream, max_depth=_DEPTH, read_size=1).decode()
        except cbor2.CBORError as error:
            raise FormatError(f"claims to be CBOR and is not ({error})") from None
        if stream.tell() != len(data):
            raise FormatError("claims to be CBOR, and goes on behind it")
        return value
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError) as error:
        raise FormatError(f"claims to be {format} and is not ({error})") from None


# What a body claims.

_VALUES: Final[tuple[Binary, ...]] = ("MessagePack", "CBOR")
_CLAIMED: Final = frozenset(("gzip", "deflate", "zlib", "zstd", "lz4"))
_TYPE_NAMES: Final = frozenset(
    ("content_type", "content-type", "contenttype", "rbs2-content-type", "nservicebus.contenttype")
)
_ENCODING_NAMES: Final = frozenset(("content_encoding", "content-encoding", "contentencoding", "rbs2-content-encoding"))


# Compression.

_Inside = tuple[bytes, bool] | None
"""What was inside and whether that is all of it; None where it is not what it looked like."""

_BEGINNINGS: Final = (
    ("gzip", b"\x1f\x8b\x08"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("snappy", b"\xff\x06\x00\x00sNaPpY"),
    *(("zlib", bytes((0x78, level))) for level in (0x01, 0x5E, 0x9C, 0xDA)),
)


def _zlib(data: bytes) -> _Inside:
    # 32 more than the largest window: gzip or zlib, whichever it begins like.
    out = b""
    while data and len(out) <= OPENED:
        decompressor = zlib.decompressobj(32 + zlib.MAX_WBITS)
        try:
            out += decompressor.decompress(data, OPENED + 1 - len(out))
        except zlib.error:
            return (out[:OPENED], False) if out else None
        if not decompressor.eof:
            return (out[:OPENED], False) if out else None
        # A gzip file may be several, one behind the other.
        data = decompressor.unused_data
    return out[:OPENED], len(out) <= OPENED


def _cramjam(name: str, function: str) -> Callable[[bytes], _Inside]:
    def opened(data: bytes) -> _Inside:
        import cramjam

        # It writes into what it is given and fails when that is full; the mark at the end tells whether it got there.
        mark = os.urandom(16)
        out = bytearray(OPENED) + mark
        try:
            size = getattr(getattr(cramjam, name), function)(data, out)
        except cramjam.DecompressionError:
            return (bytes(out[:OPENED]), False) if out[OPENED:] != mark else None
        return bytes(out[: min(size, OPENED)]), size <= OPENED

    return opened


_OPEN: Final[Mapping[str, Callable[[bytes], _Inside]]] = {
    "gzip": _zlib,
    "zlib": _zlib,
    "zstd": _cramjam("zstd", "decompress_into"),
    "lz4": _cramjam("lz4", "decompress_into"),
    "snappy": _cramjam("snappy", "decompress_into"),
    "bare snappy": _cramjam("snappy", "decompress_raw_into"),
}


def _schema(data: bytes) -> int | None:
    """The schema's number in the frame that Confluent's serializers write: a zero byte and four of the number."""
    number = int.from_bytes(data[1:5])
    return number if len(data) > 5 and data[0] == 0 and 0 < number < 1 << 24 else None


# Text.


def _is_text(head: bytes) -> bool:
    return _decoded(head, "", True)[0] is not None


def _decoded(head: bytes, charset: str, cut: bool) -> tuple[str | None, bool]:
    """The text of a body's beginning, None where it is none, and whether it is valid in its encoding."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    name = _text_encoding(charset)
    decoder = codecs.getincrementaldecoder(name)("strict")
    try:
        text = decoder.decode(head, not cut)
        return (text, True) if _readable(text) else (None, True)
    except UnicodeError:
        text = head.decode(name, "backslashreplace")
        broken = len(text) - len(head.decode(name, "ignore"))
        # Each bad byte is written in four characters: a few spoil a text, many are no text.
        return (text, False) if broken // 4 * 20 < len(head) and _readable(text) else (None, False)


def _text_encoding(charset: str) -> str:
    try:
        found = codecs.lookup(charset or "utf-8")
    except (LookupError, ValueError):
        return "utf-8"
    # Python also knows codecs that are no charsets, such as zlib, and some that are not meant for strangers.
    named = found.name
    return (
        named if named.startswith(("utf-", "iso8859", "cp", "latin", "koi8", "shift", "euc", "gb", "big5")) else "utf-8"
    )


def _readable(text: str) -> bool:
    head = text[: 4 * SHOWN]
    if "\0" in head:
        return False
    controls = sum(head.count(chr(code)) for code in range(1, 32) if code not in (9, 10, 13, 27))
    return controls * 10 <= len(head)


_HEX_LINE: Final = 78


def _hex(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {plain}")
    return "\n".join(lines)


# MessagePack and CBOR.


def _sniffed(data: bytes) -> Sequence[Binary]:
    """What bytes that are no text may be: only maps and arrays, for any byte is a small number to both."""
    first = data[0] if data else 0
    if 0x80 <= first <= 0x9F or 0xDC <= first <= 0xDF:
        return ("MessagePack",)
    if 0xA1 <= first <= 0xBB or first == 0xBF or data.startswith(b"\xd9\xd9\xf7"):
        return ("CBOR",)
    return ()


def _written(value: Any, limit: int) -> tuple[str, bool]:
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
    if depth == _DEPTH:
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
