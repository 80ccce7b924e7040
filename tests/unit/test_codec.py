import gzip
import json
import zlib

import cbor2
import cramjam
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile import deliveries
from workbench.decode.codec import text_of
from workbench.decode.compression import OPENED
from workbench.decode.json_text import lay_out_json, tokens
from workbench.decode.layout import Reading, lay_out
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.wire import encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def reading(body: bytes | None, content_type: str = "", content_encoding: str = "", limit: int = 65536) -> Reading:
    claims = {"content_type": content_type, "content_encoding": content_encoding}
    written = Content((), {name: value for name, value in claims.items() if value})
    return lay_out(Event(body=body, written=written), limit)


@given(JSON)
def test_json_laid_out_is_the_same_json(value: object) -> None:
    text = lay_out_json(json.dumps(value), 10_000_000).text
    assert json.dumps(json.loads(text)) == json.dumps(value)


@given(JSON, st.integers(0, 200))
@example({'0"': None}, 5)
@example({"0\\": None}, 4)
def test_json_cut_anywhere_is_still_json_so_far(value: object, place: int) -> None:
    text = json.dumps(value)
    lay_out_json(text[:place], 1000, cut=place < len(text))


@given(st.text('[]{},:"\\ \n01.e-+tfn' + "aul"))
def test_json_is_what_another_reader_takes_for_json(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    try:
        list(tokens(text))
        assert valid
    except FormatError:
        assert not valid


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"id":12345678901234567890123}', '{\n  "id": 12345678901234567890123\n}'),
        (b'{"a":1.10,"b":1e400}', '{\n  "a": 1.10,\n  "b": 1e400\n}'),
        (b'{"a":[],"b":{}}', '{\n  "a": [],\n  "b": {}\n}'),
        (b'["\\u00e9"]', '[\n  "\\u00e9"\n]'),
    ],
)
def test_json_keeps_every_digit_and_escape(body: bytes, text: str) -> None:
    assert reading(body) == Reading("JSON", text, len(body))


def test_keys_that_repeat_are_shown_and_named() -> None:
    found = reading(b'{"a":1,"a":2}')
    assert found.text == '{\n  "a": 1,\n  "a": 2\n}'
    assert found.notes == ("keys more than once: a",)


def test_a_key_that_repeats_with_escapes_is_one_key() -> None:
    assert reading(b'{"a":1,"\\u0061":2}').notes == ("keys more than once: a",)


def test_not_a_number_is_shown_and_named() -> None:
    assert reading(b'{"a":NaN}').notes == ("NaN or Infinity, which JSON does not have",)


def test_broken_json_is_text_and_says_where_it_breaks() -> None:
    assert reading(b'{"a":\n1,}', "application/json") == Reading(
        "text", '{"a":\n1,}', 9, False, ("claims to be JSON and is not JSON at line 2, column 3",)
    )


def test_null_empty_and_text_are_told_apart() -> None:
    assert [reading(body).format for body in (None, b"", b"x")] == ["null", "empty", "text"]


def compressed(data: bytes) -> list[tuple[str, bytes]]:
    return [
        ("gzip", gzip.compress(data, mtime=0)),
        ("zlib", zlib.compress(data)),
        ("zstd", bytes(cramjam.zstd.compress(data))),
        ("lz4", bytes(cramjam.lz4.compress(data))),
        ("snappy", bytes(cramjam.snappy.compress(data))),
    ]


@pytest.mark.parametrize(("name", "body"), compressed(b'{"a":1}'))
def test_a_compressed_body_is_opened_and_named(name: str, body: bytes) -> None:
    assert reading(body) == Reading("JSON", '{\n  "a": 1\n}', len(body), False, (name,))


@pytest.mark.parametrize(("name", "body"), compressed(b" " * 20_000_000))
def test_a_bomb_stops_at_the_limit(name: str, body: bytes) -> None:
    found = reading(body, limit=100)
    assert found.truncated
    assert found.size == len(body)
    assert found.notes == (name, f"{name}: more than {OPENED:,} bytes inside")


@pytest.mark.parametrize(("name", "body"), compressed(bytes(n * n % 251 for n in range(5000))))
def test_a_damaged_compressed_body_is_shown_as_far_as_it_goes(name: str, body: bytes) -> None:
    found = reading(body[:40] + b"\xff" * 20)
    assert found.notes in ((f"begins like {name} and cannot be opened",), (name, f"{name}, cut short"), ())


def test_bare_snappy_is_opened_only_where_it_is_claimed() -> None:
    body = bytes(cramjam.snappy.compress_raw(b"plain words"))
    assert reading(body, content_encoding="snappy").text == "plain words"
    assert reading(body).notes == ()


def test_layers_are_taken_off_one_by_one() -> None:
    assert reading(gzip.compress(bytes(cramjam.zstd.compress(b"[1]")))).notes == ("gzip", "zstd")


def test_a_claim_that_is_not_true_is_named() -> None:
    assert reading(b"plain", content_encoding="gzip") == Reading(
        "text", "plain", 5, False, ("claims to be gzip and is not",)
    )


def test_a_content_encoding_that_is_a_charset_means_nothing() -> None:
    assert reading(b"plain", content_encoding="utf-8").notes == ()


def test_message_pack_is_recognised() -> None:
    found = reading(msgspec.msgpack.encode({"id": 2**64 - 1, "raw": b"\xff"}))
    assert (found.format, found.text) == ("MessagePack", '{\n  "id": 18446744073709551615,\n  "raw": 0xff\n}')


def test_cbor_is_recognised() -> None:
    found = reading(cbor2.dumps({"id": 2**70, "list": [None, True]}))
    assert (found.format, found.text) == ("CBOR", f'{{\n  "id": {2**70},\n  "list": [\n    null,\n    true\n  ]\n}}')


def test_a_small_value_is_message_pack_only_where_it_is_claimed() -> None:
    assert reading(b"\xc3", "application/msgpack").text == "true"
    assert reading(b"\xc3").format == "hex"


def test_what_claims_to_be_message_pack_and_is_not_is_shown_as_it_is() -> None:
    found = reading(b"plain", "application/msgpack")
    assert (found.format, found.text) == ("text", "plain")
    assert found.notes[0].startswith("claims to be MessagePack and is not")


def test_the_frame_of_a_schema_registry_is_named() -> None:
    assert reading(b'\0\0\0\0\x2a{"a":1}') == Reading("JSON", '{\n  "a": 1\n}', 12, False, ("schema 42",))
    assert reading(b"\0\0\0\0\x2a\x02\x10payments").notes == ("schema 42",)


def test_bytes_are_shown_in_hex_beside_their_characters() -> None:
    assert reading(b"\xff\x00abc").text == "00000000  ff 00 61 62 63                                    ..abc"


def test_text_with_a_few_bad_bytes_stays_text() -> None:
    body = b"a long text that is fine but for \xff and goes on for a good while after it"
    found = reading(body)
    assert "but for \\xff and" in found.text
    assert found.notes == ("not valid UTF-8",)


def test_a_charset_that_is_claimed_is_used() -> None:
    assert reading("café".encode("latin-1"), "text/plain; charset=ISO-8859-1").text == "café"


def test_a_codec_that_is_no_charset_is_not_used() -> None:
    assert reading(b"plain", "text/plain; charset=zlib_codec").text == "plain"


def test_the_claims_of_kafka_are_headers() -> None:
    event = Event(body=b"\xc3", written=Content((("Content-Type", b"application/msgpack"),)))
    assert lay_out(event).text == "true"


def test_the_claims_of_amqp_are_properties() -> None:
    event = Event(body=b"\xc3", wire=encode(Content((), {"content_type": "application/msgpack"})))
    assert lay_out(event).text == "true"


def test_a_long_string_is_shown_as_far_as_there_is_room() -> None:
    found = reading(b'{"a":"' + b"x" * 1_000_000 + b'"}', limit=50)
    assert found.text.startswith('{\n  "a": "xxxx') and len(found.text) == 50
    assert found.truncated


def test_a_text_is_given_as_it_was_written_out_of_compression_and_frame() -> None:
    text = '{"a":1.10,\n "b" : "é"}'
    packed = gzip.compress(b"\0\0\0\0\x2a" + text.encode())
    for body in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), packed):
        assert text_of(Event(body=body), 1000) == (text, False)
    assert text_of(Event(body=b'["\xc3\xa9"]'), 3) == ('["', True)
    assert text_of(Event(body=None), 1000) == ("", False)


@pytest.mark.parametrize("limit", [1, 10, 1000, 65536])
def test_no_hostile_body_is_shown_beyond_the_limit(limit: int) -> None:
    for name, delivery in deliveries():
        found = lay_out(delivery.event, limit)
        assert len(found.text) <= max(limit, 78), name
        assert found.size == len(delivery.event.body or b""), name
