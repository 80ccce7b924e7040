"""What occurs in events, for completing a query."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.decode.codec import query_value
from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.query.query import Reading, compile
from workbench.query.vocabulary import FEW, Vocabulary

READING = Reading(Conventions.load([]).facts, query_value)


def seen(body: Any = None, **headers: str) -> Delivery:
    data = None if body is None else json.dumps(body).encode()
    return Delivery(Event(None, data, None, Content(tuple(headers.items()))), Address("kafka", "payments"), 0)


def test_names_and_paths_are_known_most_frequent_first() -> None:
    words = Vocabulary([seen({"a": {"b": [{"c": 1}]}}, retry="3"), seen(retry="4"), seen({"a b": 1})], READING)
    assert words.paths == ["header.retry", "body.a", "body.a.b", "body.a.b[]", "body.a.b[].c", "body.'a b'"]


def test_values_are_known_where_there_are_few() -> None:
    events = [seen({"id": number, "currency": "EUR"}, type="Paid") for number in range(FEW + 2)]
    words = Vocabulary([*events, seen({"currency": "USD"})], READING)
    assert words.values("type") == ["Paid"]
    assert words.values("body.currency") == ["EUR", "USD"]
    assert words.values("body.id") == ()
    assert words.values("endpoint") == ["payments"]


def test_what_is_masked_is_not_known() -> None:
    reading = Reading(Conventions.load([]).facts, query_value, Masking(["body.card"]).apply)
    assert Vocabulary([seen({"card": "4111"})], reading).values("body.card") != ["4111"]


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text(max_size=9), max_size=5))
def test_every_path_is_a_field_that_exists(body: dict[str, Any]) -> None:
    delivery = seen(body, type="Paid")
    for path in Vocabulary([delivery], READING).paths:
        assert compile(f"{path} exists", 0, READING).matches(delivery)
