"""The text of a body, to be edited, and a body with another text, written as the first one was.

A body may be compressed and in another charset: it is taken out of both, and put into both again. What is no text, is
framed by a schema registry or was damaged is never edited as text, and the sentence says why.
"""

import re
from typing import Final

import msgspec

from workbench.decode.charset import Charset, python_codec, utf8_text
from workbench.decode.codec import Decoded, decode
from workbench.decode.compression import OPENED, compress
from workbench.decode.content_type import content_type
from workbench.decode.display import visible
from workbench.model.errors import FormatError
from workbench.model.event import Event

_UNUSUAL: Final = re.compile(rb"[^ -~]")
"""Bytes that are no visible ASCII."""
_UTF8: Final = Charset("utf-8")


def editable_text(event: Event) -> str:
    """The text of a body; empty where there is none or it is null.

    Raises:
        FormatError: It cannot be edited as text; a reason that follows "it", without a full stop.
    """
    return _text(decode(event))


def lines_to_read(event: Event) -> bytes:
    """A body as lines of visible characters, for a program that sends them to the terminal as they are: its text,
    decompressed and in UTF-8, and else its bytes in hex, sixteen in a line."""
    try:
        text = editable_text(event)
    except FormatError:
        body = event.body or b""
        rows = (body[start : start + 16] for start in range(0, len(body), 16))
        lines = [
            f"{16 * row:08x}  {part.hex(' '):47}  {_UNUSUAL.sub(b'.', part).decode()}" for row, part in enumerate(rows)
        ]
    else:
        lines = [visible(line.expandtabs(4)) for line in re.split("\r\n?|\n", text)]
    return "\n".join(lines).encode()


def with_text(event: Event, text: str) -> Event:
    """The event with another text in its body, compressed and encoded as its own was.

    Where the text is its own, the event is returned as it is. Other bytes may spell the same text: what is compressed
    is compressed anew.

    Args:
        event: Its body is text, or there is none.
        text: What its body is to say.

    Raises:
        FormatError: Its body cannot be edited as text, or its charset has no such characters; as `editable_text`.
    """
    found = decode(event)
    if _text(found) == text and event.body is not None:
        return event
    try:
        said = text.encode()
    except UnicodeEncodeError:
        raise FormatError("it would hold half a character, which is no text") from None
    if len(said) > OPENED:
        raise FormatError(f"it would be larger than {OPENED:,} bytes, the most that is edited here")
    layers = found.layers[:-1] if found.charset is not None else found.layers
    for charset in _charsets(event, found):
        body = charset.encode(text)
        if body is None:
            continue
        for layer in reversed(layers):
            body = compress(layer, body)
        edited = msgspec.structs.replace(event, body=body)
        # What others will make of it is what counts, whatever charset the event names.
        again = decode(edited)
        if again.data == said and again.whole and again.format is None:
            return edited
    name = (found.charset or _UTF8).name
    raise FormatError(f"it is in {name}, which cannot hold the new text so that it is read as such")


def _charsets(event: Event, found: Decoded) -> list[Charset]:
    """How its text may be written: as it was or, where it was ASCII alone, in UTF-8 or in what the event names."""
    if found.charset is not None:
        return [found.charset]
    named = python_codec(content_type(event).charset or "utf-8")
    return [_UTF8] if named in (None, "utf-8") else [_UTF8, Charset(named or "utf-8")]


def _text(found: Decoded) -> str:
    if found.format is not None:
        raise FormatError(f"it is {found.format}, which is not edited as text")
    framed = next((layer for layer in found.layers if layer.startswith("schema ")), None)
    if framed is not None:
        raise FormatError(f"it carries the frame of {framed}, which is not edited as text")
    if found.complaints or not found.whole:
        raise FormatError(f"it cannot be read as a whole ({', '.join(found.complaints) or 'there is more of it'})")
    if len(found.data) > OPENED:
        raise FormatError(f"it has {len(found.data):,} bytes, and more than {OPENED:,} are not edited here")
    try:
        text = found.data.decode()
    except UnicodeDecodeError:
        raise FormatError("it is not text in UTF-8 or in a charset that it names") from None
    if text and utf8_text(found.data, False)[0] is None:
        raise FormatError("it is bytes, and no text")
    return text
