"""The primitive values of AMQP 1.0, by the bytes that its specification gives them."""

import struct
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model import amqp10, record_headers
from workbench.model.amqp10 import are_values, read
from workbench.model.errors import FormatError
from workbench.model.wire import Wire, decode, encode, field_types, sent_as_is, with_header, without_header

TIME = datetime(2026, 11, 26, 10, 0, 0, 123_000, tzinfo=UTC)
ID = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        (b"\x40", "null", None),
        (b"\x41", "boolean", True),
        (b"\x42", "boolean", False),
        (b"\x56\x01", "boolean", True),
        (b"\x56\x00", "boolean", False),
        (b"\x43", "uint", 0),
        (b"\x52\xff", "uint", 255),
        (b"\x70\xff\xff\xff\xff", "uint", 2**32 - 1),
        (b"\x44", "ulong", 0),
        (b"\x53\x07", "ulong", 7),
        (b"\x80" + b"\xff" * 8, "ulong", 2**64 - 1),
        (b"\x54\xff", "int", -1),
        (b"\x71\x80\x00\x00\x00", "int", -(2**31)),
        (b"\x55\x05", "long", 5),
        (b"\x81" + b"\xff" * 8, "long", -1),
        (b"\x50\x80", "ubyte", 128),
        (b"\x51\x80", "byte", -128),
        (b"\x60\xff\xff", "ushort", 65535),
        (b"\x61\xff\xff", "short", -1),
        (b"\x72" + struct.pack(">f", 1.5), "float", 1.5),
        (b"\x82" + struct.pack(">d", 0.1), "double", 0.1),
        (b"\x73\x00\x00\x00a", "char", "a"),
        (b"\x83" + struct.pack(">q", round(TIME.timestamp() * 1000)), "timestamp", TIME),
        (b"\x83" + struct.pack(">q", 2**62), "timestamp", 2**62),
        (b"\x98" + ID.bytes, "uuid", ID.bytes),
        (b"\xa0\x02\x00\xff", "binary", b"\x00\xff"),
        (b"\xb0\x00\x00\x00\x01\xff", "binary", b"\xff"),
        (b"\xa1\x05hello", "string", "hello"),
        (b"\xb1\x00\x00\x00\x02\xc3\xa9", "string", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (b"\xa3\x02ab", "symbol", "ab"),
        (b"\xb3\x00\x00\x00\x02ab", "symbol", "ab"),
    ],
)
def test_a_value_is_read_with_its_type(data: bytes, name: str, value: object) -> None:
    assert read(data) == (name, value)
    assert type((read(data) or ("", None))[1]) is type(value)
    assert read(data + b"!") is None
    assert len(data) == 1 or read(data[:-1]) is None


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x56\x02", b"\xa1\x01\xff", b"\xa3\x01\xff", b"\xb1\x00", b"\x45", b"\x00"]
)
def test_what_is_no_value_is_not_read(data: bytes) -> None:
    assert read(data) is None


@given(st.binary(max_size=300))
def test_no_bytes_are_a_crash(data: bytes) -> None:
    read(data)


@given(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
    | st.binary(max_size=400)
)
def test_what_is_written_is_read_as_it_was(value: object) -> None:
    found = read(amqp10.write(value))
    assert found is not None and found[1] == value


@pytest.mark.parametrize("value", [2**63, {"a": 1}, [1]])
def test_what_has_no_primitive_type_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="no primitive value"):
        amqp10.write(value)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([b"\xa1\x01a"], True),
        ([b"\xa1\x01a", b"A"], True),
        ([b"T\x05"], True),
        ([b"A"], False),
        ([b"TA"], False),
        ([b"\xa1\x01a", b"hello"], False),
        ([b"\xa1\x01a", None], False),
        ([b"plain"], False),
        ([], False),
    ],
)
def test_headers_are_values_where_all_can_be_and_one_must_be(values: list[bytes | None], found: bool) -> None:
    assert are_values(values) is found


def test_headers_keep_their_bytes_and_are_told_with_their_types() -> None:
    headers: list[record_headers.Header] = [(b"n", b"T\x05"), (b"s", b"\xa1\x01a"), (b"n", b"A"), (b"odd", b"odd")]
    wire = Wire("kafka-2-amqp-1-0", record_headers.write(headers))
    assert decode(wire).headers == (("n", 5), ("s", "a"), ("n", True), ("odd", "odd"))
    assert field_types(wire) == (("n", "int"), ("s", "string"), ("n", "boolean"), ("odd", "bytes"))
    changed = with_header(without_header(wire, "n"), "new", 7)
    assert decode(changed).headers == (("s", "a"), ("odd", "odd"), ("new", 7))
    assert changed.data.endswith(b"\x81" + (7).to_bytes(8, "big"))
    assert sent_as_is(wire, "kafka-2") and not sent_as_is(wire, "amqp-0-9-1")
    assert not sent_as_is(encode(decode(wire)), "kafka-2")
