"""What is made of the value that somebody points at: a query that this event meets, exactly, or a sentence why not."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit import strategies
from views.widgets.inspector.inspector import TABS
from views.widgets.inspector.page import NOTHING_HERE, Page
from views.widgets.inspector.tabs import page
from workbench.decode.codec import query_value
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, Position
from workbench.query.condition import Condition
from workbench.query.field import Field
from workbench.query.query import Reading, compile

READING = Reading(Conventions.load([]).facts, query_value)
SEEN = 1_795_600_800_000
CONTAINER = "A query compares single values: go to one of those in it."

names = st.text(max_size=6) | st.sampled_from(
    ["", "a.b", "a b", "it's", '"quoted"', "a[0]", "[]", "größe", "=", "and", "not", "(x)", "a\nb", "\\u0041", "日本"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            *(10**40, -(10**400), 1e308, 5e-324, -0.0, "1", "1.0", "true", "null", "0xff", "-10m", "2026-11-23"),
            *("it's", "a\nb\t\x1b[31m", "", " ", "and", "a.b*c(d)[e]{f}^$|?+\\", "\u202e", "x" * 2_000, "\ud800"),
        ]
    )
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def delivered(event: Event) -> Delivery:
    return Delivery(event, Address("kafka", "orders"), SEEN, Position("3", "42"))


def laid_out(tab: Any, delivery: Delivery) -> Page:
    made = page(tab, delivery, READING.facts(delivery))
    made.resize(80)
    while not made.complete:
        made.read_on()
    return made


def matches(query: str, delivery: Delivery) -> bool:
    return compile(query, SEEN, READING).matches(delivery)


def conditions(made: Page) -> list[Condition | str]:
    """What is made of each row: a condition, or why there is none."""
    found: list[Condition | str] = []
    for row in range(made.rows):
        try:
            found.append(made.condition(row))
        except FormatError as error:
            found.append(str(error))
    return found


def is_refused_for_a_reason(sentence: str) -> bool:
    return sentence in (NOTHING_HERE, CONTAINER) or any(
        reason in sentence
        for reason in (
            "characters that cannot be typed",
            "half a character",
            "a query holds up to",
            "no number that can be compared",
        )
    )


@settings(max_examples=400)
@given(documents, st.booleans())
@example({"a": {"b.c": [{"d e": "x\ny"}]}}, True)
@example([[1.5, "it's"], {"": {"": None}}], False)
def test_the_query_made_of_any_value_of_json_is_met_by_its_event_and_the_other_is_not(
    value: Any, escaped: bool
) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "replace")
    delivery = delivered(Event(b"key", body))
    made = laid_out("Body", delivery)
    for condition in conditions(made):
        if isinstance(condition, str):
            assert is_refused_for_a_reason(condition)
            continue
        assert condition.has.isprintable() and condition.lacks.isprintable()
        assert matches(condition.has, delivery), condition.has
        assert not matches(condition.lacks, delivery), condition.lacks


@settings(max_examples=400)
@given(strategies.deliveries)
def test_whatever_is_made_of_any_row_of_any_event_can_be_typed_and_asked(delivery: Delivery) -> None:
    for tab in TABS:
        made = laid_out(tab, delivery)
        for condition in conditions(made):
            if not isinstance(condition, str):
                assert condition.has.isprintable()
                assert matches(condition.has, delivery) != matches(condition.lacks, delivery)
        for row in range(made.rows):
            try:
                Field(made.path(row))
            except FormatError as error:
                assert str(error).endswith((".", "Raw shows their bytes."))
