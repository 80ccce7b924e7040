"""Queries made of values: how they are written, and how they join what is asked already."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from workbench.model.errors import FormatError, QueryError
from workbench.query.condition import LONGEST, contains, equals, joined, path_text
from workbench.query.grammar import parse


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Zoë", "= Zoë"),
        ("OrderPlaced", "= OrderPlaced"),
        ("two words", "= 'two words'"),
        ("it's", "= 'it''s'"),
        ("", "= ''"),
        ("5", "= '5'"),
        ("true", "= 'true'"),
        ("-10m", "= '-10m'"),
        ("and", "= 'and'"),
        ("a\nb.c", "~ '\\Aa\\nb\\.c\\z'"),
        (5, "= 5"),
        (Decimal("1.10"), "= 1.10"),
        (True, "= true"),
        (None, "= null"),
        (b"text", "= text"),
        (b"\0\0\0\1", "= 0x00000001"),
        (b"\xff", "= 0xff"),
        (datetime(2026, 11, 25, 10, tzinfo=UTC), "= 2026-11-25T10:00:00+00:00"),
    ],
)
def test_a_value_is_written_so_that_it_means_no_more_than_it_is(value: Any, written: str) -> None:
    assert equals("body.a", value).has == f"body.a {written}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": 1}, "go to one of those in it"),
        ([1], "go to one of those in it"),
        (float("nan"), "no number that can be compared"),
        (float("inf"), "no number that can be compared"),
        ("\ud800", "half a character"),
        ("x" * (LONGEST + 1), "1,001 characters"),
        (10**2_000, "2,001 characters"),
    ],
)
def test_what_cannot_be_asked_for_is_said(value: Any, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        equals("body.a", value)


def test_what_excludes_is_the_opposite() -> None:
    assert equals("body.a", 5).lacks == "body.a != 5"
    assert equals("body.a", "x\ny").lacks == "not body.a ~ '\\Ax\\ny\\z'"
    assert contains("body", "a b").lacks == "not body contains 'a b'"


@pytest.mark.parametrize(
    ("where", "steps", "path"),
    [
        ("body", ("customer", "id"), "body.customer.id"),
        ("body", ("items", None, "sku"), "body.items[].sku"),
        ("body", ("a b", "c.d", "it's", ""), "body.'a b'.'c.d'.'it''s'.''"),
        ("header", ("x-death", None, "queue"), "header.x-death[].queue"),
        ("header", ("NServiceBus.MessageId",), "header.NServiceBus.MessageId"),
        ("header", ("a b.c", "d"), "header.'a b.c'.d"),
        ("property", ("type",), "property.type"),
    ],
)
def test_a_path_is_quoted_where_it_must_be(where: Any, steps: Any, path: str) -> None:
    assert path_text(where, steps) == path


def test_a_name_that_cannot_be_typed_has_no_path() -> None:
    with pytest.raises(FormatError, match="cannot be typed"):
        path_text("body", ("a\nb",))


def test_conditions_are_joined_and_none_doubles() -> None:
    assert joined("", "type = a") == "type = a"
    assert joined("type = a", "type = a") == "type = a"
    assert joined("type=a", "type = a") == "type=a"
    assert joined("type = a and key = k", "key = k") == "type = a and key = k"
    assert joined("type = a", "key = k") == "type = a and key = k"
    assert joined("type = a or key = k", "size = 1") == "(type = a or key = k) and size = 1"
    assert joined("one two", "size = 1") == "one two and size = 1"
    assert joined("type != a", "type != a") == "type != a"
    with pytest.raises(QueryError):
        joined("type =", "key = k")


def test_what_is_joined_asks_for_both() -> None:
    assert parse(joined("a or b", "c")) == parse("(a or b) and c")
