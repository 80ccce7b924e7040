"""One decoding: a body means the same to the inspector, queries, facts and masks, however it is written."""

import gzip
import json
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cbor2
import cramjam
import msgspec
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.hostile import deliveries
from workbench.cli import stdio
from workbench.cli.event_output import EventOutput, EventPrinter
from workbench.decode.codec import decode, query_value, text_of
from workbench.decode.compression import OPENED
from workbench.decode.content_type import find_opaque, opaque
from workbench.decode.layout import lay_out
from workbench.decode.preview import preview
from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content, Headers
from workbench.model.event import Delivery, Event
from workbench.model.wire import Wire, content_claims, encode
from workbench.query.query import Reading, compile, quote
from workbench.store import batch
from workbench.store.batch import Chunk, candidates, pack, slice_delivery
from workbench.store.search import select

READING: Final = Reading(Conventions.load([]).facts, query_value)
ENVELOPE: Final = {
    "messageId": "00000000-0000-0000-0000-00000000aaaa",
    "conversationId": "00000000-0000-0000-0000-00000000cccc",
    "correlationId": "00000000-0000-0000-0000-00000000bbbb",
    "messageType": ["urn:message:Shop:OrderPlaced"],
    "message": {"orderId": 7, "city": "Zürich"},
}


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


CHARSETS: Final[dict[str, tuple[str, Callable[[str], bytes]]]] = {
    "UTF-8": ("", str.encode),
    "UTF-8 with a mark": ("", lambda text: text.encode("utf-8-sig")),
    "UTF-16": ("", lambda text: text.encode("utf-16")),
    "UTF-16BE with a mark": ("", lambda text: b"\xfe\xff" + text.encode("utf-16-be")),
    "UTF-16LE": ("utf-16", lambda text: text.encode("utf-16-le")),
    "UTF-16BE": ("UTF-16", lambda text: text.encode("utf-16-be")),
    "UTF-16LE by its name": ("utf-16le", lambda text: text.encode("utf-16-le")),
    "UTF-32": ("", lambda text: text.encode("utf-32")),
    "UTF-32BE with a mark": ("", lambda text: b"\0\0\xfe\xff" + text.encode("utf-32-be")),
    "UTF-32LE": ("utf-32", lambda text: text.encode("utf-32-le")),
    "Latin-1": ("ISO-8859-1", lambda text: text.encode("latin-1")),
    "Windows": ("windows-1252", lambda text: text.encode("cp1252")),
    "Japanese": ("Shift_JIS", lambda text: text.encode("shift_jis")),
    "Chinese": ("gb18030", lambda text: text.encode("gb18030")),
    "a mainframe's": ("ibm037", lambda text: text.encode("cp037")),
}
PACKINGS: Final[dict[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "nothing": ("", bytes),
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "gzip, not named": ("", lambda data: gzip.compress(data, mtime=0)),
    "zlib": ("deflate", zlib.compress),
    "bare DEFLATE": ("deflate", deflated),
    "zstd": ("zstd", lambda data: bytes(cramjam.zstd.compress(data))),
    "lz4": ("", lambda data: bytes(cramjam.lz4.compress(data))),
    "snappy frames": ("", lambda data: bytes(cramjam.snappy.compress(data))),
    "bare snappy": ("Snappy", lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "Brotli": ("br", lambda data: bytes(cramjam.brotli.compress(data))),
    "Brotli in gzip": ("br, gzip", lambda data: gzip.compress(bytes(cramjam.brotli.compress(data)), mtime=0)),
    "gzip in Brotli": ("gzip, br", lambda data: bytes(cramjam.brotli.compress(gzip.compress(data, mtime=0)))),
    "a registry's frame": ("", lambda data: b"\0\0\0\0\x2a" + data),
}


def written(text: str, charset: str, packing: str = "nothing", wire: bool = False, more: Headers = ()) -> Event:
    """A text as a producer sends it, with what it says of it in AMQP's properties or in headers as Kafka has them."""
    named, encoded = CHARSETS[charset]
    encoding, packed = PACKINGS[packing]
    said = {"content_type": f"application/json; charset={named}" if named else "application/json"}
    if encoding:
        said["content_encoding"] = encoding
    body = packed(encoded(text))
    if wire:
        return Event(None, body, encode(Content(more, said)))
    headers = tuple((name.replace("_", "-"), value) for name, value in said.items())
    return Event(None, body, written=Content((*headers, *more)))


def seen(event: Event) -> Delivery:
    return Delivery(event, Address("broker", "orders"), 0)


names = st.sampled_from(["orderId", "größe", "a", "名", "correlationId"])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(st.sampled_from("abé名€~/\"\\ x0'"), max_size=6)
)
objects = st.dictionaries(
    names, st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)),
    max_size=4,
)  # fmt: skip


@st.composite
def queries(draw: st.DrawFn, value: Any) -> str:
    """A query that often is about something in the value."""
    found = [(path, each) for path, each in _paths(value) if path]
    path, each = draw(st.sampled_from(found)) if found else (("a",), 1)
    place = "body" + "".join(f"[{step}]" if isinstance(step, int) else f".{quote(step)}" for step in path)
    text = quote(each if isinstance(each, str) and each else json.dumps(each, ensure_ascii=False))
    plain = quote(str(draw(st.sampled_from(["é", "名", "x", "7", "a€"]))))
    asked = (
        *(f"{place} = {text}", f"{place} exists", f"not {place} exists", f"{place} != {text}", text, plain),
        *(f"body ~ {plain}", f"body contains {plain}", f"correlation = {text}", f"{place} = {text} or {plain}"),
    )
    return draw(st.sampled_from(asked))


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    found = [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        found += _paths(item, (*path, step))
    return found


@settings(max_examples=600, deadline=None)
@given(
    st.data(),
    objects,
    st.sampled_from(list(CHARSETS)),
    st.sampled_from(list(PACKINGS)),
    st.booleans(),
    st.booleans(),
)
def test_a_query_finds_the_same_however_the_body_is_written_also_by_its_bytes(
    data: st.DataObject, value: dict[str, Any], charset: str, packing: str, wire: bool, escaped: bool
) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    try:
        # A word is looked for in headers too: both have all that one of them says there.
        said = (("said", f"; charset={CHARSETS[charset][0]} content-encoding content_encoding {PACKINGS[packing][0]}"),)
        event = written(text, charset, packing, wire, said)
        assume(CHARSETS["UTF-8"][1](text) == CHARSETS[charset][1](text) or decode(event).data.decode() == text)
    except UnicodeEncodeError:
        # This charset does not have its characters.
        return
    query = compile(data.draw(queries(value)), 0, READING)
    plain, other = seen(written(text, "UTF-8", wire=wire, more=said)), seen(event)
    assert query.matches(other) == query.matches(plain), query.text
    # What is stored is found by its bytes first, and those may exclude nothing that matches.
    chunk = Chunk(0, array("I", [1]), [other], [batch.encode(other)])
    assert len(select(chunk, None, query, 0).sequences) == 8 * query.matches(other)
    row = pack(chunk)
    ends, hidden = array("I", row.ends), array("I", row.opaque)
    found = [
        index
        for index in candidates(row.deliveries, ends, hidden, query.needles)
        if query.matches(batch.decode(slice_delivery(row.deliveries, ends, index)))
    ]
    assert found == [0] * query.matches(other)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("wire", [False, True], ids=["headers", "properties"])
def test_everybody_reads_the_same(charset: str, packing: str, wire: bool) -> None:
    text = json.dumps(ENVELOPE, ensure_ascii=False)
    if charset == "Japanese":
        text = text.replace("ü", "u")
    event, plain = written(text, charset, packing, wire), written(text, "UTF-8", wire=wire)
    assert lay_out(event).format == "JSON"
    assert lay_out(event).text == lay_out(plain).text
    assert text_of(event, 10_000) == (text, False)
    assert preview(event).replace(" ", "") == text.replace(" ", "")
    assert query_value(event) == text.encode()
    assert READING.facts(seen(event)) == READING.facts(seen(plain))
    assert READING.facts(seen(event)).correlation == ENVELOPE["conversationId"]
    masked = Masking(["body.message.orderId"]).apply(seen(event)).event
    assert masked.body != event.body
    for question in ("body.message.orderId = 7", "correlation exists", "type ~ OrderPlaced", "OrderPlaced"):
        assert compile(question, 0, READING).matches(seen(event)), question


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_mask_leaves_a_text_in_its_charset(charset: str) -> None:
    event = written('{"card": "4111", "x": "a"}', charset)
    found = Masking(["body.card"]).apply(seen(event)).event
    assert decode(found).data == b'{"card": "****", "x": "a"}'
    assert found.body == CHARSETS[charset][1]('{"card": "****", "x": "a"}')
    assert Masking([r"~ \d{4}"]).apply(seen(event)).event.body == found.body


async def test_a_table_shows_the_text(tmp_path: Path) -> None:
    with (tmp_path / "table").open("w") as file:
        await EventPrinter(EventOutput("table"), READING, to=file).write(
            [seen(written('{"city": "Zürich"}', "UTF-16", "gzip"))]
        )
        await stdio.drain_all()
    assert '{"city":"Zürich"}' in (tmp_path / "table").read_text()


def test_the_values_of_message_pack_and_cbor_are_facts_and_paths() -> None:
    for body in (msgspec.msgpack.encode(ENVELOPE), cbor2.dumps(ENVELOPE), gzip.compress(cbor2.dumps(ENVELOPE))):
        assert READING.facts(seen(Event(None, body))).correlation == ENVELOPE["conversationId"]
        assert compile("body.message.city = 'Zürich'", 0, READING).matches(seen(Event(None, body)))


def test_what_claims_to_be_cbor_is_read_so_though_it_begins_as_a_text_does() -> None:
    event = Event(None, cbor2.dumps("hello"), written=Content((("content-type", "application/cbor"),)))
    assert lay_out(event).text == '"hello"'
    assert query_value(event) == "hello"
    assert opaque(event)


def test_a_charset_that_is_not_true_is_not_believed() -> None:
    for named in ("utf-16", "utf-32", "ibm037"):
        event = Event(None, b'{"a": 1}', written=Content((("content-type", f"application/json; charset={named}"),)))
        assert query_value(event) == b'{"a": 1}'


def test_a_charset_that_is_not_known_is_named() -> None:
    event = Event(None, b"\xffplain", written=Content((("content-type", "text/plain; charset=klingon"),)))
    assert "the charset klingon is not known" in lay_out(event).notes


def test_a_charset_in_the_content_encoding_counts_as_spring_and_celery_write_it() -> None:
    for encoding in ("utf-16", "gzip:UTF-16", "gzip, utf-16"):
        body = "Zürich".encode("utf-16-le")
        packed = gzip.compress(body) if "gzip" in encoding else body
        assert lay_out(Event(None, packed, written=Content((), {"content_encoding": encoding}))).text == "Zürich"


def test_characters_that_are_none_are_replaced_and_named() -> None:
    body = ("a long text " * 10).encode("utf-16") + b"\0\xd8" + "and on".encode("utf-16-le")
    found = lay_out(Event(None, body))
    assert found.format == "text"
    assert "not valid utf-16-le" in found.notes


@given(st.binary(max_size=60), st.sampled_from(["", *(name for name, _ in CHARSETS.values() if name), "br", "deflate"]))
@example(b"(\xb5/\xfd", "")
def test_whatever_is_not_opaque_is_just_its_bytes(body: bytes, said: str) -> None:
    claims = {"content_type": f"text/plain; charset={said}", "content_encoding": said}
    event = Event(None, body, written=Content((), claims))
    in_wire = Event(None, body, encode(Content((), claims)))
    assert query_value(event) == query_value(in_wire)
    assert opaque(event) == opaque(in_wire)
    if not opaque(event):
        assert query_value(event) == body


@given(st.text(max_size=20), st.text(max_size=20))
def test_claims_in_a_wire_are_found_without_decoding_it(type: str, encoding: str) -> None:
    wire = encode(Content((("a", 1),), {"content_type": type, "content_encoding": encoding, "app_id": "x"}))
    assert content_claims(wire) == (type.encode(), encoding.encode())


_SOME_CONTENT = st.builds(
    Content,
    st.sampled_from([(), (("Content-Encoding", "gzip"),), (("a", "content"),), (("correlation_id", "1"),)]),
    st.sampled_from(
        [
            {},
            {"content_type": "application/json"},
            {"content_type": "application/jsonx", "app_id": "x"},
            {"content_type": "text/plain; charset=utf-16"},
            {"content_encoding": "br"},
            {"content_type": "application/json", "content_encoding": "utf-8"},
            {"content_type": "application/json", "content_encoding": "deflate"},
            {"message_id": "m"},
        ]
    ),
)


_BODIES = st.sampled_from([b"{}", b"text", b"\x1f\x8b", b"", None])


@given(st.lists(st.tuples(_BODIES, _SOME_CONTENT, st.integers(0, 30) | st.none())))
def test_opaque_bodies_are_found_among_others_as_alone(some: list[tuple[bytes | None, Content, int | None]]) -> None:
    events = [Event(None, body, written=content) for body, content, _ in some]
    for body, content, cut in some:
        wire = encode(content)
        events.append(Event(None, body, Wire(wire.encoding, wire.data[:cut])))
    assert find_opaque(events) == [index for index, event in enumerate(events) if opaque(event)]


def test_no_hostile_wire_is_too_much() -> None:
    for _, delivery in deliveries():
        opaque(delivery.event)
        decode(delivery.event, 1000)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"", mtime=0) * 500_000),
        ("gzip", gzip.compress(bytes(50_000_000), mtime=0)),
        ("gzip", gzip.compress(gzip.compress(gzip.compress(bytes(1 << 28), mtime=0), mtime=0), mtime=0)),
        ("br", bytes(cramjam.brotli.compress(bytes(50_000_000)))),
        ("deflate", deflated(bytes(50_000_000))),
        ("snappy", bytes(cramjam.snappy.compress_raw(bytes(50_000_000)))),
        ("zstd", bytes(cramjam.zstd.compress(b"", level=1)) * 500_000),
        ("lz4", bytes(cramjam.lz4.compress(bytes(50_000_000)))),
    ],
    ids=["empty gzip files", "gzip", "gzip in gzip", "Brotli", "DEFLATE", "bare snappy", "empty zstd frames", "lz4"],
)
def test_no_bomb_opens_to_more_than_the_limit(encoding: str, body: bytes) -> None:
    event = Event(None, body, written=Content((), {"content_encoding": encoding}))
    assert len(decode(event).data) <= max(OPENED, len(body))
    assert len(lay_out(event).text) <= 65_536
