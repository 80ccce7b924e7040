"""Body bytes → what everybody reads: text in UTF-8, the values of MessagePack or CBOR, or bytes.

`decode` is the one decoding. The inspector, queries, facts, masks and drafts all read what it says, so that a body
means the same to all of them: out of compression and a registry's frame, and whatever charset its text is in. What a
body claims to be (`content_type`) is tried first and never believed: the bytes decide. However large, deep or
compressed a body is, only as much of it is touched as is asked for.
"""

import codecs
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import msgspec

from workbench.decode.charset import Charset, python_codec, transcode, utf8_text
from workbench.decode.compression import OPENED, UNMARKED, decompress, detect
from workbench.decode.content_type import Binary, ContentType, content_type, opaque
from workbench.model.errors import FormatError
from workbench.model.event import Event

DEPTH: Final = 100
"""Levels to which values nest that are decoded or laid out."""
_HEAD: Final = 64 * 1024
"""Bytes of a body that are looked at to see whether it is a text."""


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
    said = content_type(event)
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


def hides(event: Event) -> bool:
    """Whether a body does say what its bytes do not spell; `opaque` errs on the side of caution and is far cheaper."""
    if not event.body or not opaque(event):
        return False
    decoded = decode(event)
    return decoded.format is not None or decoded.data not in event.body


def text_of(event: Event, limit: int) -> tuple[str, bool]:
    """The text of a body that is laid out as JSON or text, as it was written; and whether that is only its beginning.

    Args:
        event: Its body is read.
        limit: At most so many bytes of its text in UTF-8 are.
    """
    decoded = decode(event, 4 * limit)
    cut = len(decoded.data) > limit or not decoded.whole
    return utf8_text(decoded.data[:limit], cut)[0] or "", cut


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
            value = cbor2.CBORDecoder(stream, max_depth=DEPTH, read_size=1).decode()
        except cbor2.CBORError as error:
            raise FormatError(f"claims to be CBOR and is not ({error})") from None
        if stream.tell() != len(data):
            raise FormatError("claims to be CBOR, and goes on behind it")
        return value
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError) as error:
        raise FormatError(f"claims to be {format} and is not ({error})") from None


# What is around it.

_LAYERS: Final = 3


def _unpack(body: bytes, said: ContentType) -> Decoded:
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


# MessagePack and CBOR.


def _formats(said: ContentType, data: bytes) -> Sequence[Binary]:
    """What bytes may be besides text, as an event says or, of what is no text, as they begin: only maps and arrays, for
    any byte is a small number to both."""
    if said.format == "MessagePack" or said.format == "CBOR":
        return (said.format,)
    first = data[0] if data else 0
    if said.format or not (0x80 <= first <= 0xBF or 0xD9 <= first <= 0xDF):
        return ()
    text, valid = utf8_text(data[:_HEAD], True)
    if text is not None and valid:
        return ()
    if first <= 0x9F or 0xDC <= first <= 0xDF:
        return ("MessagePack",)
    if 0xA1 <= first <= 0xBB or first == 0xBF or data.startswith(b"\xd9\xd9\xf7"):
        return ("CBOR",)
    return ()
