"""What an event says of its body in properties and headers, a stranger's word; and whether bytes are what they seem."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from workbench.decode.charset import python_codec
from workbench.decode.compression import MARKED, UNMARKED
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.wire import claiming_bytes, content_claims

Binary = Literal["MessagePack", "CBOR"]


class ContentType(NamedTuple):
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


def content_type(event: Event) -> ContentType:
    """What an event says of its body, in its properties and headers; a stranger's word."""
    try:
        content = event.content
    except FormatError:
        return ContentType()
    found = {"type": "", "encoding": ""}
    for name, value in (*content.properties.items(), *content.headers[:1000]):
        key = name.lower()
        what = "type" if key in _TYPE_NAMES else "encoding" if key in _ENCODING_NAMES else None
        if what and not found[what] and isinstance(value, str | bytes):
            found[what] = value if isinstance(value, str) else value.decode("latin-1")
    return _content_type(found["type"][:200], found["encoding"][:200])


def opaque(event: Event) -> bool:
    """Whether a body may say what its bytes do not spell, so that searching its bytes proves nothing.

    So it is with all that does not begin as JSON or a text does: compressed forms with a mark, schema registry frames,
    byte order marks, MessagePack and CBOR maps (gzip 1f, zlib 78, zstd 28, LZ4 04, snappy frames ff, registry frames
    00, marks from ef or 00, maps and arrays from 80); and with what properties or headers say of the rest. Of what is
    not opaque `codec.decode` says just its bytes.
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
            if len(name) in _CLAIMING_LENGTHS and name.lower() in CLAIMING:
                return content_type(event).hiding
        return bool(written.properties) and not CLAIMING.isdisjoint(written.properties) and content_type(event).hiding
    return _hiding(*content_claims(wire)) or (b"content" in wire.data.lower() and content_type(event).hiding)


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


_VALUES: Final[tuple[Binary, ...]] = ("MessagePack", "CBOR")
_TYPE_NAMES: Final = frozenset(
    ("content_type", "content-type", "contenttype", "rbs2-content-type", "nservicebus.contenttype")
)
"""These and the next hold `content` in any case, which `opaque` relies on."""
_ENCODING_NAMES: Final = frozenset(("content_encoding", "content-encoding", "contentencoding", "rbs2-content-encoding"))
CLAIMING: Final = _TYPE_NAMES | _ENCODING_NAMES
"""The names, in small letters, of the properties and headers that say what a body is."""
_CLAIMING_LENGTHS: Final = frozenset(map(len, CLAIMING))
_TEXT_BEGINNINGS: Final = frozenset({*b"\t\n\r", *range(0x20, 0x7F)} - {*b"(x"})


@lru_cache(1024)
def _content_type(type: str, encoding: str) -> ContentType:
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
    return ContentType(named, charset, compressed)


@lru_cache(1024)
def _hiding(type: bytes, encoding: bytes) -> bool:
    return _content_type(type.decode("latin-1")[:200], encoding.decode("latin-1")[:200]).hiding
