"""The text of a body, edited in whatever it is written."""

import codecs
import gzip
import json
import zlib

import cramjam
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import bodies, documents, events
from workbench.decode.body_text import editable_text, lines_to_read, with_text
from workbench.decode.codec import decode
from workbench.decode.compression import OPENED
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event


def said(type: str = "", encoding: str = "") -> Content:
    return Content((), {name: each for name, each in (("content_type", type), ("content_encoding", encoding)) if each})


@pytest.mark.parametrize(
    ("body", "content", "opened"),
    [
        (gzip.compress(b'{"a":1}', mtime=0), said(), gzip.decompress),
        (zlib.compress(b'{"a":1}'), said(), zlib.decompress),
        (bytes(cramjam.zstd.compress(b'{"a":1}')), said(), cramjam.zstd.decompress),
        (bytes(cramjam.lz4.compress(b'{"a":1}')), said(), cramjam.lz4.decompress),
        (bytes(cramjam.snappy.compress(b'{"a":1}')), said(), cramjam.snappy.decompress),
        (bytes(cramjam.snappy.compress_raw(b'{"a":1}')), said(encoding="snappy"), cramjam.snappy.decompress_raw),
        (bytes(cramjam.brotli.compress(b'{"a":1}')), said(encoding="br"), cramjam.brotli.decompress),
        (zlib.compress(b'{"a":1}', wbits=-15), said(encoding="deflate"), lambda body: zlib.decompress(body, -15)),
        (
            gzip.compress(gzip.compress(b'{"a":1}', mtime=0), mtime=0),
            said(),
            lambda body: gzip.decompress(gzip.decompress(body)),
        ),
    ],
)
def test_a_compressed_body_is_compressed_again(body: bytes, content: Content, opened: object) -> None:
    event = Event(body=body, written=content)
    assert editable_text(event) == '{"a":1}'
    edited = with_text(event, '{"a":2}').body
    assert bytes(opened(edited)) == b'{"a":2}'  # type: ignore[operator]


@pytest.mark.parametrize(
    ("body", "content", "expected"),
    [
        ("{é}".encode("latin-1"), said("application/json; charset=latin-1"), "{ü}".encode("latin-1")),
        (codecs.BOM_UTF16_LE + "{é}".encode("utf-16-le"), said(), codecs.BOM_UTF16_LE + "{ü}".encode("utf-16-le")),
        (codecs.BOM_UTF8 + b"{}", said(), codecs.BOM_UTF8 + "{ü}".encode()),
        # All ASCII so far: what the event names decides how the first other letter is read.
        (b"{}", said("text/plain; charset=latin-1"), "{ü}".encode("latin-1")),
        (b"{}", said("text/plain; charset=utf-16"), "{ü}".encode()),
        (b"{}", said("application/json"), "{ü}".encode()),
        (gzip.compress("{é}".encode("cp1252"), mtime=0), said("text/plain; charset=cp1252"), None),
    ],
)
def test_a_body_stays_in_its_charset(body: bytes, content: Content, expected: bytes | None) -> None:
    edited = with_text(Event(body=body, written=content), "{ü}")
    assert edited.body == expected if expected is not None else gzip.decompress(edited.body or b"") == b"{\xfc}"


def test_a_character_that_the_charset_lacks_is_refused() -> None:
    event = Event(body="{é}".encode("latin-1"), written=said("text/plain; charset=latin-1"))
    with pytest.raises(FormatError, match="it is in iso8859-1, which cannot hold the new text"):
        with_text(event, "{漢}")


@pytest.mark.parametrize(
    ("body", "content", "reason"),
    [
        (b"\0\0\0\0\x2a" + b'{"a":1}', said(), "it carries the frame of schema 42"),
        (gzip.compress(b"\0\0\0\0\x2a" + b'{"a":1}', mtime=0), said(), "it carries the frame of schema 42"),
        (msgspec.msgpack.encode({"a": 1}), said("application/msgpack"), "it is MessagePack"),
        (b"\xa1aa\x01", said("application/cbor"), "it is CBOR"),
        (b"\xff\xfe\xfd\x00\x01", said(), "it is not text|it is bytes"),
        (b"\0\1\2\3", said(), "it is bytes, and no text"),
        (gzip.compress(b'{"a":1}', mtime=0)[:-9], said(), "gzip, cut short"),
        (gzip.compress(b"x" * (OPENED + 1), mtime=0), said(), "more than"),
        (b"x" * (OPENED + 1), said(), "are not edited here"),
        (b"{\xff\xff}", said("application/json"), "it is not text"),
    ],
)
def test_what_is_no_text_is_refused_with_the_reason(body: bytes, content: Content, reason: str) -> None:
    event = Event(body=body, written=content)
    with pytest.raises(FormatError, match=reason):
        editable_text(event)
    with pytest.raises(FormatError, match=reason):
        with_text(event, "{}")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(FormatError, match="half a character"):
        with_text(Event(body=b"{}"), "\ud800")


def test_no_body_has_an_empty_text_and_can_be_given_one() -> None:
    assert editable_text(Event(body=None)) == editable_text(Event(body=b"")) == ""
    assert with_text(Event(body=None), "é").body == "é".encode()
    assert with_text(Event(body=None), "").body == b""
    assert with_text(Event(body=b""), "").body == b""


@given(events, documents.map(bytes.decode))
def test_a_body_either_reads_as_its_new_text_or_is_refused(event: Event, text: str) -> None:
    try:
        before = editable_text(event)
        edited = with_text(event, text)
    except FormatError:
        return
    assert editable_text(edited) == text
    assert msgspec.structs.replace(edited, body=event.body) == event
    assert with_text(event, before) is event or event.body is None


@given(bodies, st.integers())
def test_an_edited_body_is_in_what_it_was_in(body: bytes, number: int) -> None:
    event = Event(body=body)
    try:
        edited = with_text(event, json.dumps({"number": number}))
    except FormatError:
        return
    assert decode(edited).layers == decode(event).layers


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b'{\r\n\t"a": 1}\n', b'{\n    "a": 1}\n'),
        (gzip.compress(b'{"a":1}', mtime=0), b'{"a":1}'),
        (b"an order\x1b]0;x\x07", "an order␛]0;x".encode() + b"\\u{7}"),
        (b"\xff\x00\x1b[31m", b"00000000  ff 00 1b 5b 33 31 6d" + b" " * 29 + b"...[31m"),
        (None, b""),
    ],
)
def test_a_body_is_read_as_visible_characters(body: bytes | None, lines: bytes) -> None:
    assert lines_to_read(Event(None, body)) == lines
