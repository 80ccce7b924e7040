"""Queries made of values: how they are written, and how they join what is asked already."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.errors import FormatError, QueryError
from workbench.query.condition import LONGEST, Condition, contains, equals, join_conditions, path_text
from workbench.query.grammar import conjuncts, parse


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


TYPE, KEY, SIZE = equals("type", "a"), equals("key", "k"), equals("size", 1)


def test_conditions_are_joined_and_none_doubles() -> None:
    assert join_conditions("", TYPE) == "type = a"
    assert join_conditions("type = a", TYPE) == "type = a"
    assert join_conditions("type=a", TYPE) == "type=a"
    assert join_conditions("type = a and key = k", KEY) == "type = a and key = k"
    assert join_conditions("type = a", KEY) == "type = a and key = k"
    assert join_conditions("type = a or key = k", SIZE) == "(type = a or key = k) and size = 1"
    assert join_conditions("one two", SIZE) == "one two and size = 1"
    assert join_conditions("type != a", TYPE, excluded=True) == "type != a"
    with pytest.raises(QueryError):
        join_conditions("type =", KEY)


def test_what_is_joined_asks_for_both() -> None:
    assert parse(join_conditions("a or b", KEY)) == parse("(a or b) and key = k")


@pytest.mark.parametrize(
    ("query", "changed"),
    [
        ("type = a", "type != a"),
        ("type=a", "type != a"),
        ("one type='a'two", "one type != a two"),
        ("size = 1 and type = a and key = k", "size = 1 and type != a and key = k"),
        ("(size = 1 and type = a)", "(size = 1 and type != a)"),
        ("type = a and type = a", "type != a and type != a"),
        ("type = a and type != a", "type != a and type != a"),
        ("type = a or key = k", "(type = a or key = k) and type != a"),
        ("type = b", "type = b and type != a"),
    ],
)
def test_what_is_excluded_is_not_asked_for_any_more(query: str, changed: str) -> None:
    assert join_conditions(query, TYPE, excluded=True) == changed
    assert join_conditions(join_conditions(query, TYPE, excluded=True), TYPE, excluded=True) == changed


def test_what_was_excluded_is_asked_for() -> None:
    assert join_conditions("size = 1 and type != a", TYPE) == "size = 1 and type = a"
    assert join_conditions("not body contains 'a b'", contains("body", "a b")) == "body contains 'a b'"


VALUES = st.sampled_from(["a", "b", "it's", "two words", "", "(", "x\ny"])
CONDITIONS = st.builds(equals, st.sampled_from(["type", "key", "body.a", "body.'b c'"]), VALUES)
QUERIES = st.sampled_from(
    [
        "",
        " ",
        "a",
        "one 'two'",
        "a or b",
        "(a and type = a)",
        "not (key = b or a)",
        "type=a key!=b",
        "type='a'key!='b''c'",
    ]
)


@given(QUERIES, st.lists(st.tuples(CONDITIONS, st.booleans()), min_size=1, max_size=8))
def test_whatever_is_pointed_at_one_after_the_other_the_last_is_asked_for_once(
    query: str, steps: list[tuple[Condition, bool]]
) -> None:
    for condition, excluded in steps:
        query = join_conditions(query, condition, excluded)
        wanted, opposite = (condition.lacks, condition.has) if excluded else condition
        # Spaces and quotes do not matter in these.
        asked = [re.sub("[ ']", "", query[begin:end]) for _, begin, end in conjuncts(query)]
        assert re.sub("[ ']", "", wanted) in asked and re.sub("[ ']", "", opposite) not in asked
        assert join_conditions(query, condition, excluded) == query
