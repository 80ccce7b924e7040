import re
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit import strategies
from tests.unit.strategies import Header, Sent, sent, short, with_length
from workbench.model.content import DEPTH, Content, Value, text
from workbench.model.errors import FormatError
from workbench.model.wire import (
    Wire,
    decode,
    encode,
    field_types,
    manifest,
    timestamp,
    with_header,
    with_last,
    with_property,
    without_header,
    without_property,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ONE_HEADER = encode(Content((("retry", 3),)))
NAMES = st.sampled_from(["x-death", "a", "workbench-move", ""])


def exactly(value: object) -> str:
    """A text that tells apart what == does not (1, 1.0 and True; 0.0 and -0.0) and equates what it does not (NaN)."""
    return repr(value)


def wire(data: bytes) -> Wire:
    return Wire("amqp-0-9-1", data)


def table(*entries: bytes) -> Wire:
    return wire(b"\x20\0" + with_length(b"".join(entries)))


def nested(levels: int, letter: bytes) -> Wire:
    name = short(b"n") if letter == b"F" else b""
    field = b"V"
    for level in range(levels):
        field = letter + with_length((name if level else b"") + field if level else b"")
    return table(short(b"deep") + field)


# Reading


@given(sent)
def test_everything_a_client_can_send_is_read_exactly(message: Sent) -> None:
    assert exactly(decode(message.wire)) == exactly(message.content)


@given(sent)
def test_what_was_read_can_be_written_and_says_the_same(message: Sent) -> None:
    content = decode(message.wire)
    try:
        rewritten = encode(content)
    except FormatError as error:
        # No broker sends these: RabbitMQ cannot read them.
        assert "RabbitMQ cannot read" in str(error)
        return
    assert exactly(decode(rewritten)) == exactly(content)


@given(sent, st.data())
def test_bytes_cut_short_are_refused(message: Sent, data: st.DataObject) -> None:
    whole = message.wire.data
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(FormatError, match="cut short"):
        decode(wire(cut))


@given(st.binary() | st.binary().map(lambda data: b"\x20\0" + with_length(data)))
def test_any_bytes_are_read_or_refused_in_a_sentence(data: bytes) -> None:
    for read in (decode, field_types, lambda bad: with_header(bad, "a", 1), lambda bad: without_property(bad, "type")):
        try:
            read(wire(data))
        except FormatError as error:
            assert str(error).startswith("These AMQP properties cannot be read: ")


def test_bytes_behind_the_last_property_are_refused() -> None:
    with pytest.raises(FormatError, match="lengths do not add up"):
        decode(wire(b"\0\0\0"))


def test_a_length_that_leaves_its_table_is_refused() -> None:
    inner = short(b"s") + b"S\0\0\0\x05ab"
    with pytest.raises(FormatError, match="lengths do not add up"):
        decode(table(short(b"t") + b"F" + with_length(inner), short(b"u") + b"V"))


def test_an_unknown_field_type_is_refused_by_its_letter() -> None:
    with pytest.raises(FormatError, match="'q' is no field type"):
        decode(table(short(b"a") + b"q"))


def test_a_property_that_amqp_does_not_have_is_refused() -> None:
    with pytest.raises(FormatError, match="more than AMQP"):
        decode(wire(b"\0\x01\x80\0" + short(b"?")))


def test_flags_may_go_on_in_further_words_that_set_nothing() -> None:
    assert decode(wire(b"\x80\x01\0\x01\0\0" + short(b"text/plain"))).properties == {"content_type": "text/plain"}


def test_the_flag_that_means_nothing_is_ignored() -> None:
    assert decode(wire(b"\0\x02")) == Content()


@pytest.mark.parametrize("letter", [b"F", b"A"])
def test_nesting_is_read_as_deep_as_allowed(letter: bytes) -> None:
    [(_, value)] = decode(nested(DEPTH - 1, letter)).headers
    for _ in range(DEPTH - 2):
        value = value["n"] if isinstance(value, dict) else value[0]  # type: ignore[index]
    assert value in ({}, [])


@pytest.mark.parametrize("letter", [b"F", b"A"])
@pytest.mark.parametrize("levels", [DEPTH, 10_000])
def test_deeper_nesting_is_refused(letter: bytes, levels: int) -> None:
    with pytest.raises(FormatError, match="deeper than 100"):
        decode(nested(levels, letter))


def test_header_order_and_duplicates_are_kept() -> None:
    entries = [short(name) + b"b" + bytes([number]) for number, name in enumerate([b"b", b"a", b"b"])]
    assert decode(table(*entries)).headers == (("b", 0), ("a", 1), ("b", 2))


def test_a_name_that_is_not_utf_8_has_its_bad_bytes_spelled_out() -> None:
    assert decode(table(short(b"caf\xe9") + b"V")).headers == (("caf\\xe9", None),)


def test_text_that_is_not_utf_8_is_bytes() -> None:
    assert decode(table(short(b"a") + b"S" + with_length(b"caf\xe9"))).headers == (("a", b"caf\xe9"),)
    assert (text(b"caf\xe9"), text("café".encode())) == (b"caf\xe9", "café")


def test_a_time_beyond_the_year_9999_is_its_seconds() -> None:
    # Many a producer sends milliseconds where AMQP means seconds.
    sent_at = 1_795_428_202_123
    assert decode(table(short(b"at") + b"T" + sent_at.to_bytes(8, "big"))).headers == (("at", sent_at),)


# Writing


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (True, b"t\x01"),
        (-(2**31), b"I\x80\0\0\0"),
        (2**31, b"l\0\0\0\0\x80\0\0\0"),
        (-0.0, b"d\x80" + bytes(7)),
        (Decimal("-1.50"), b"D\x02" + struct.pack(">i", -150)),
        (Decimal("2E3"), b"D\x00" + struct.pack(">i", 2000)),
        ("é", b"S\0\0\0\x02\xc3\xa9"),
        (b"\xff", b"x\0\0\0\x01\xff"),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), b"T" + bytes(8)),
        (None, b"V"),
        ([1, "a"], b"A\0\0\0\x0bI\0\0\0\x01S\0\0\0\x01a"),
        ({"a": None}, b"F\0\0\0\x03\x01aV"),
    ],
)
def test_each_value_is_written_in_its_natural_type(value: Value, field: bytes) -> None:
    assert encode(Content((("n", value),))) == table(short(b"n") + field)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**63, "beyond 64 bits"),
        (Decimal("21474836.48"), "beyond 32 bits"),
        (Decimal("1E-256"), "255 places"),
        (Decimal("NaN"), "decimal"),
        (float("nan"), "nan, which RabbitMQ cannot read"),
        (float("-inf"), "-inf, which RabbitMQ cannot read"),
        (NOON.replace(tzinfo=None), "without a zone"),
        (NOON.replace(microsecond=1), "fraction of a second"),
        ("\ud800", "surrogate"),
        (deep(DEPTH), "deeper than 100"),
        (deep(100_000), "deeper than 100"),
        ({"a" * 256: 1}, "255 bytes"),
        (object(), "is a object"),
    ],
)
def test_what_amqp_cannot_hold_is_refused_by_the_headers_name(value: Any, reason: str) -> None:
    with pytest.raises(FormatError, match=f"AMQP header 'n' .*{reason}"):
        encode(Content((("n", value),)))


@given(strategies.written)
def test_whatever_a_user_writes_is_read_back_or_refused(content: Content) -> None:
    headers = Content(content.headers)
    try:
        wire = encode(headers)
    except FormatError:
        return
    read = decode(wire)
    # AMQP has no room for a time's zone, nor for a decimal's exponent above 0: the same moment and number come back.
    assert [name for name, _ in read.headers] == [name for name, _ in headers.headers]
    assert encode(read) == wire


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("content-type", "a", "'content-type' is not a property of AMQP, which has content_type"),
        ("headers", "a", "'headers' is not a property"),
        ("priority", 256, "'priority' holds a whole number from 0 to 255"),
        ("priority", True, "'priority' holds a whole number"),
        ("expiration", 60_000, "'expiration' holds text"),
        ("timestamp", "now", "'timestamp' holds a time"),
        ("message_id", "é" * 128, "255 bytes"),
    ],
)
def test_a_property_that_cannot_be_is_refused_by_its_name(name: str, value: Value, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        encode(Content((), {name: value}))


# Splicing


def others(headers: list[Header], name: str) -> list[Header]:
    return [header for header in headers if header.name != name]


@given(sent, NAMES)
def test_removing_a_header_leaves_all_other_bytes(message: Sent, name: str) -> None:
    headers = list(message.headers or ())
    left = others(headers, name)
    expected = message if left == headers else message._replace(headers=left or None)
    assert without_header(message.wire, name) == expected.wire


@given(sent, NAMES, strategies.int64)
def test_setting_a_header_leaves_all_other_bytes(message: Sent, name: str, value: int) -> None:
    headers = list(message.headers or ())
    entry = Header(name, encode(Content(((name, value),))).data[6:], value)
    first = next((number for number, header in enumerate(headers) if header.name == name), len(headers))
    expected = [*others(headers[:first], name), entry, *others(headers[first:], name)]
    assert with_header(message.wire, name, value) == message._replace(headers=expected).wire


@given(sent, st.dictionaries(NAMES, strategies.int64, min_size=1, max_size=2))
def test_headers_put_last_leave_all_other_bytes_and_replace_those_of_their_names(
    message: Sent, headers: dict[str, int]
) -> None:
    kept = [header for header in message.headers or () if header.name not in headers]
    entries = [Header(name, encode(Content(((name, value),))).data[6:], value) for name, value in headers.items()]
    assert with_last(message.wire, headers) == message._replace(headers=[*kept, *entries]).wire


@given(sent)
def test_a_header_added_and_removed_leaves_the_message_as_it_was(message: Sent) -> None:
    name = "workbench-move"
    if message.headers == []:
        message = message._replace(headers=None)
    assert without_header(with_header(message.wire, name, "1/1"), name) == message.wire


@given(sent, st.sampled_from([name for name in strategies.PROPERTIES if name != "headers"]), st.data())
def test_setting_and_removing_a_property_leaves_all_other_bytes(message: Sent, name: str, data: st.DataObject) -> None:
    field = data.draw(strategies.property_fields(name))
    assert (
        with_property(message.wire, name, field.value)
        == message._replace(properties={**message.properties, name: field}).wire
    )
    left = {other: field for other, field in message.properties.items() if other != name}
    assert without_property(message.wire, name) == message._replace(properties=left).wire


def test_what_nests_too_deep_to_be_read_can_still_be_spliced() -> None:
    message = nested(10_000, b"F")
    assert without_header(with_header(message, "a", 1), "a") == message
    assert field_types(message) == (("deep", "table"),)


def test_a_property_that_amqp_does_not_have_cannot_be_spliced() -> None:
    with pytest.raises(FormatError, match="'topic' is not a property"):
        with_property(ONE_HEADER, "topic", "a")
    with pytest.raises(FormatError, match="'headers' is not a property"):
        without_property(ONE_HEADER, "headers")


def test_further_words_of_flags_outlive_a_splice() -> None:
    message = wire(b"\x80\x01\0\0" + short(b"text/plain"))
    assert with_property(message, "type", "a") == wire(b"\x80\x21\0\0" + short(b"text/plain") + short(b"a"))


# Inspecting


@given(sent)
def test_a_manifest_has_the_names_and_types_of_all_that_is_there(message: Sent) -> None:
    found = manifest(message.wire)
    assert found.headers == tuple(header.name for header in message.headers or ())
    assert found.types == {kind for _, kind in field_types(message.wire)}
    assert found.properties == decode(message.wire).properties.keys()


@given(sent, st.data())
def test_a_manifest_is_refused_of_what_cannot_be_read(message: Sent, data: st.DataObject) -> None:
    whole = bytearray(message.wire.data)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=2)):
        whole[place] = data.draw(st.integers(0, 255))
    damaged = wire(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    try:
        content = decode(damaged)
    except FormatError as error:
        with pytest.raises(FormatError, match=re.escape(str(error))):
            manifest(damaged)
    else:
        assert manifest(damaged).headers == tuple(name for name, _ in content.headers)


@pytest.mark.parametrize("letter", [b"F", b"A"])
@pytest.mark.parametrize(("levels", "refused"), [(DEPTH - 1, False), (DEPTH, True)])
def test_a_manifest_looks_as_deep_as_is_read(letter: bytes, levels: int, refused: bool) -> None:
    deep = nested(levels, letter)
    if refused:
        with pytest.raises(FormatError, match="deeper than 100"):
            manifest(deep)
    else:
        assert manifest(deep).headers == ("deep",)


def test_a_manifest_of_kafkas_headers_has_their_names() -> None:
    headers = encode(Content((("a", "1"), ("b", None), ("a", b"2"))), "kafka-2")
    assert manifest(headers).headers == ("a", "b", "a")
    assert not manifest(headers).properties


@given(sent)
def test_every_header_has_a_type(message: Sent) -> None:
    assert [name for name, _ in field_types(message.wire)] == [header.name for header in message.headers or ()]


@pytest.mark.parametrize(
    ("letter", "size", "name"),
    [
        ("t", 1, "bool"),
        ("b", 1, "int8"),
        ("B", 1, "uint8"),
        ("s", 2, "int16"),
        ("u", 2, "uint16"),
        ("I", 4, "int32"),
        ("i", 4, "uint32"),
        ("l", 8, "int64"),
        ("f", 4, "float32"),
        ("d", 8, "float64"),
        ("D", 5, "decimal"),
        ("S", 4, "string"),
        ("x", 4, "bytes"),
        ("A", 4, "array"),
        ("T", 8, "timestamp"),
        ("F", 4, "table"),
        ("V", 0, "null"),
    ],
)
def test_types_are_named_in_words(letter: str, size: int, name: str) -> None:
    assert field_types(table(short(b"a") + letter.encode() + bytes(size))) == (("a", name),)


@given(sent)
def test_the_timestamp_is_found_without_decoding(message: Sent) -> None:
    stamp = decode(message.wire).properties.get("timestamp")
    if isinstance(stamp, datetime):
        stamp = round((stamp - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    milliseconds = None if stamp is None else int(str(stamp)) * 1000
    fits = milliseconds is not None and -(2**63) <= milliseconds < 2**63
    assert timestamp(message.wire) == (milliseconds if fits else None)


@given(st.binary())
def test_malformed_bytes_have_no_timestamp_and_raise_nothing(data: bytes) -> None:
    timestamp(wire(data))
    timestamp(wire(b"\xff\xfc" + data))
