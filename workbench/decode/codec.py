"""Body bytes → what everybody reads: text in UTF-8, the values of MessagePack or CBOR, or bytes; and that laid out.

`decode` is the one decoding. The inspector, queries, facts, masks and drafts all read what it says, so that a body
means the same to all of them: out of compression and a registry's frame, and whatever charset its text is in. What a
body claims to be (content type, content encoding) is tried first and never believed: the bytes decide. However large,
deep or compressed a body is, only as much of it is touched as is shown. The text is a stranger's still: it goes to a
terminal a line at a time, through `display.shown`.
"""

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, Literal, NamedTuple

import msgspec

from workbench.decode.charset import Charset, python_codec, readable, transcode
from workbench.decode.compression import MARKED, OPENED, UNMARKED, decompress, detect
from workbench.decode.json_text import lay_out
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.wire import claiming_bytes, content_claims

Binary = Literal["MessagePack", "CBOR"]
Format = Literal["JSON", "text", "hex", "null", "empty"] | Binary

SHOWN: Final = 64 * 1024
"""Characters laid out unless the caller wants more or fewer."""
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
        charset: The charset that its content type names, or its content encoding, as it is written; empty where neither
            does.
        encodings: The compressed forms that its content encoding names, in small letters, in their order.
    """

    format: Literal["JSON"] | Binary | None = None
    charset: str = ""
    encodings: tuple[str, ...] = ()

    @property
    def hiding(self) -> bool:
        """Whether a body of which this is true may say what its bytes do not spell, even if they begin as a text."""
        return (
            self.format in _VALUES
            or not UNMARKED.keys().isdisjoint(self.encodings)
            or (python_codec(self.charset) or "utf-8") != "utf-8"
        )


class Decoded(msgspec.Struct, frozen=True):
    """A body as everybody reads it.

    Attributes:
        data: The text in UTF-8, without a byte order mark; or what is no text, out of its compression and frame.
        format: What `value` was written in; None: it is text or bytes.
        value: The values of MessagePack or CBOR.
        whole: False where there is more inside, or where it breaks off.
        layers: What was taken off, outermost first: `gzip`, `schema 42`, `UTF-16LE with a byte order mark`.
        complaints: What was wrong with it.
        charset: How the text was written; None: in UTF-8, or it is none.
    """

    data: bytes
    format: Binary | None = None
    value: Any = None
    whole: bool = True
    layers: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    charset: Charset | None = None


def decode(event: Event, most: int | None = None) -> Decoded:
    """What a body says.

    Up to three layers of compression are taken off, then a schema registry's frame, then the charset. gzip, zlib, zstd,
    lz4 and snappy frames are known by their first bytes; bare snappy, Brotli and bare DEFLATE by the event's content
    encoding.

    Args:
        event: Its body is read; its properties and headers are asked what it claims to be.
        most: Bytes of a text in another charset that are read at most; None: all.
    """
    if not opaque(event):
        return Decoded(event.body or b"")
    said = claims(event)
    found = _unpack(event.body or b"", said)
    data, complaints = found.data, found.complaints
    for name in _formats(said, data):
        try:
            return msgspec.structs.replace(found, format=name, value=values(name, data), complaints=complaints)
        except FormatError as error:
            if said.format == name:
                complaints = (*complaints, str(error))
    codec = python_codec(said.charset) if said.charset else "utf-8"
    if codec is None:
        complaints = (*complaints, f"the charset {said.charset[:40]} is not known")
    cut = most is not None and len(data) > most
    text = transcode(data[:most] if cut else data, codec or "utf-8", found.whole and not cut)
    if text is None:
        return msgspec.structs.replace(found, complaints=complaints)
    if not text.valid:
        complaints = (*complaints, f"not valid {text.charset.codec}")
    return Decoded(
        text.data,
        whole=found.whole and not cut,
        layers=(*found.layers, text.charset.name),
        complaints=complaints,
        charset=text.charset,
    )


def query_value(event: Event) -> object:
    """The body as queries and facts read it: text in UTF-8 and other bytes as they are, or the values of a MessagePack
    or CBOR body; None for a null body."""
    if not event.body or not opaque(event):
        return event.body
    decoded = decode(event)
    return decoded.data if decoded.format is None else decoded.value


def opaque(event: Event) -> bool:
    """Whether a body may say what its bytes do not spell, so that searching its bytes proves nothing.

    So it is with all that does not begin as JSON or a text does: compressed forms with a mark, schema registry frames,
    byte order marks, MessagePack and CBOR maps (gzip 1f, zlib 78, zstd 28, LZ4 04, snappy frames ff, registry frames
    00, marks from ef or 00, maps and arrays from 80); and with what properties or headers say of the rest. Of what is
    not opaque `decode` says just its bytes.
    """
    body = event.body
    if not body:
        return False
    if body[0] not in _TEXT_BEGINNINGS:
        return True
    wire = event.wire
    if wire is None:
        written = event.written
        for name, _ in written.headers:
            # This runs for every event that is looked at, and hardly a name is as long as one of these.
            if len(name) in _CLAIMING_LENGTHS and name.lower() in _CLAIMING:
                return claims(event).hiding
        return bool(written.properties) and not _CLAIMING.isdisjoint(written.properties) and claims(event).hiding
    return _hiding(*content_claims(wire)) or (b"content" in wire.data.lower() and claims(event).hiding)


def find_opaque(events: Iterable[Event]) -> list[int]:
    """Which of these events are `opaque`, counted from 0. What one event claims as its neighbour does is read once."""
    found: list[int] = []
    harmless, encoding = b"", ""
    for index, event in enumerate(events):
        body, wire = event.body, event.wire
        if (
            wire is not None
            and harmless
            and body
            and body[0] in _TEXT_BEGINNINGS
            and wire.encoding == encoding
            and wire.data.startswith(harmless)
            and b"content" not in wire.data.lower()
        ):
            continue
        if opaque(event):
            found.append(index)
        elif body and wire is not None:
            harmless, encoding = claiming_bytes(wire), wire.encoding
    return found


def read(event: Event, limit: int = SHOWN) -> Reading:
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
    said = claims(event)
    if MARKED.intersection(said.encodings) and not decoded.layers and not decoded.complaints:
        notes = (f"claims to be {', '.join(said.encodings)} and is not",)
    head, cut = data[: 4 * limit + 3], len(data) > 4 * limit + 3 or not decoded.whole
    text, valid = _text(head, cut)
    if text is None:
        lines = max(limit // _HEX_LINE, 1) * 16
        return Reading("hex", _hex(data[:lines]), size, len(data) > lines or not decoded.whole, notes)
    if not valid:
        notes = (*notes, "not valid UTF-8")
    if said.format == "JSON" or text.lstrip(" \t\n\r")[:1] in ("{", "[", '"'):
        try:
            layout = lay_out(text, limit, cut)
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


def text_of(event: Event, limit: int) -> tuple[str, bool]:
    """The text of a body that `read` calls JSON or text, as it was written; and whether that is only the beginning.

    Args:
        event: Its body is read.
        limit: At most so many bytes of its text in UTF-8 are.
    """
    decoded = decode(event, 4 * limit)
    cut = len(decoded.data) > limit or not decoded.whole
    return _text(decoded.data[:limit], cut)[0] or "", cut


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
    return _claims(found["type"][:200], found["encoding"][:200])


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
_TYPE_NAMES: Final = frozenset(
    ("content_type", "content-type", "contenttype", "rbs2-content-type", "nservicebus.contenttype")
)
"""These and the next hold `content` in any case, which `opaque` relies on."""
_ENCODING_NAMES: Final = frozenset(("content_encoding", "content-encoding", "contentencoding", "rbs2-content-encoding"))
_CLAIMING: Final = _TYPE_NAMES | _ENCODING_NAMES
_CLAIMING_LENGTHS: Final = frozenset(map(len, _CLAIMING))
_TEXT_BEGINNINGS: Final = frozenset({*b"\t\n\r", *range(0x20, 0x7F)} - {*b"(x"})


@lru_cache(1024)
def _claims(type: str, encoding: str) -> Claims:
    from email.message import Message

    header = Message()
    header["content-type"] = " ".join(type.split())
    kind = header.get_content_type() if type else ""
    named: Literal["JSON"] | Binary | None = None
    if kind.endswith(("/json", "+json")):
        named = "JSON"
    elif kind.endswith(("/msgpack", "/x-msgpack", "/vnd.msgpack", "+msgpack")):
        named = "MessagePack"
    elif kind.endswith(("/cbor", "+cbor")):
        named = "CBOR"
    said = header.get_param("charset")
    charset = said if isinstance(said, str) else ""
    # Several are listed with commas, as HTTP has it, or with the colons of Spring; and some write a charset there, as
    # Spring and Celery do.
    encodings = [each.strip().lower() for each in encoding.replace(":", ",").split(",")]
    compressed = tuple(each for each in encodings if each in MARKED or each in UNMARKED)
    if not charset:
        charset = next((each for each in encodings if each not in compressed and python_codec(each)), "")
    return Claims(named, charset, compressed)


@lru_cache(1024)
def _hiding(type: bytes, encoding: bytes) -> bool:
    return _claims(type.decode("latin-1")[:200], encoding.decode("latin-1")[:200]).hiding


# What is around it.

_LAYERS: Final = 3


def _unpack(body: bytes, said: Claims) -> Decoded:
    """The body out of its compression and its schema registry's frame."""
    data, whole = body, True
    layers: list[str] = []
    complaints: list[str] = []
    unmarked = [name for name in said.encodings if name in UNMARKED]
    for _ in range(_LAYERS):
        name = detect(data)
        inside = decompress(name, data) if name else None
        # Two bytes of zlib's begin many a body that is not zlib at all.
        if name and not inside and name != "zlib":
            complaints.append(f"begins like {name} and cannot be opened")
        while not inside and unmarked:
            # HTTP names the outermost last.
            claimed = unmarked.pop()
            name = UNMARKED[claimed]
            inside = decompress(name, data)
            if not inside:
                complaints.append(f"claims to be {claimed} and is not")
        if not name or not inside:
            break
        if name == "zlib" and "deflate" in unmarked:
            unmarked.remove("deflate")
        data, whole = inside
        layers.append(name)
        if not whole:
            complaints.append(
                f"{name}: more than {len(data):,} bytes inside" if len(data) >= OPENED else f"{name}, cut short"
            )
            break
    schema = _schema(data)
    if schema is not None:
        layers.append(f"schema {schema}")
        data = data[5:]
    return Decoded(data, whole=whole, layers=tuple(layers), complaints=tuple(complaints))


def _schema(data: bytes) -> int | None:
    """The schema's number in the frame that Confluent's serializers write: a zero byte and four of the number."""
    number = int.from_bytes(data[1:5])
    framed = len(data) > 5 and data[0] == 0 and 0 < number < 1 << 24
    return number if framed and not data.startswith(codecs.BOM_UTF32_BE) else None


# Text.


def _text(head: bytes, cut: bool) -> tuple[str | None, bool]:
    """The text of a body's beginning, None where it is none, and whether it is valid UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    try:
        text = decoder.decode(head, not cut)
        return (text, True) if readable(text) else (None, True)
    except UnicodeError:
        text = head.decode("utf-8", "backslashreplace")
        broken = len(text) - len(head.decode("utf-8", "ignore"))
        # Each bad byte is written in four characters: a few spoil a text, many are no text.
        return (text, False) if broken // 4 * 20 < len(head) and readable(text) else (None, False)


_HEX_LINE: Final = 78


def _hex(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 16):
        row = data[start : start + 16]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {plain}")
    return "\n".join(lines)


# MessagePack and CBOR.


def _formats(said: Claims, data: bytes) -> Sequence[Binary]:
    """What bytes may be besides text, as an event says or, of what is no text, as they begin: only maps and arrays, for
    any byte is a small number to both."""
    if said.format == "MessagePack" or said.format == "CBOR":
        return (said.format,)
    first = data[0] if data else 0
    if said.format or not (0x80 <= first <= 0xBF or 0xD9 <= first <= 0xDF):
        return ()
    text, valid = _text(data[:SHOWN], True)
    if text is not None and valid:
        return ()
    if first <= 0x9F or 0xDC <= first <= 0xDF:
        return ("MessagePack",)
    if 0xA1 <= first <= 0xBB or first == 0xBF or data.startswith(b"\xd9\xd9\xf7"):
        return ("CBOR",)
    return ()


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
