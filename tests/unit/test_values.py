"""Values as text, and what kind each is."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from workbench.model.content import Value
from workbench.model.values import bytes_text, value_text, value_to_copy, value_type

VALUES: list[tuple[Value, str, str]] = [
    (None, "null", "null"),
    (True, "true", "bool"),
    (4111, "4111", "int"),
    (1.5, "1.5", "float"),
    (Decimal("1.50"), "1.50", "decimal"),
    ("grüße", "grüße", "string"),
    ("grüße".encode(), "grüße", "bytes"),
    (b"\xff\xfe", "0xfffe", "bytes"),
    (b"\0\0\0\x05", "0x00000005", "bytes"),
    (datetime(2026, 11, 23, 10, tzinfo=UTC), "2026-11-23T10:00:00+00:00", "timestamp"),
]


@pytest.mark.parametrize(("value", "text", "kind"), VALUES)
def test_a_value_has_a_text_and_a_kind(value: Value, text: str, kind: str) -> None:
    assert (value_text(value), value_type(value)) == (text, kind)


def test_tables_and_arrays_are_copied_as_json() -> None:
    table = {"times": [datetime(2026, 11, 23, tzinfo=UTC)], "raw": b"\xff", "none": None}
    assert value_to_copy(table) == '{"times": ["2026-11-23T00:00:00+00:00"], "raw": "0xff", "none": null}'
    assert (value_type(table), value_type([1])) == ("table", "array")


def test_bytes_that_could_be_an_integer_are_text_where_nobody_asks_for_one() -> None:
    assert bytes_text(b"\0\0\0\x05") == "\0\0\0\x05"
