"""The pages of the inspector: whatever is folded, unfolded and resized, rows stay those of their values."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.memory.demo import frameworks, story
from tests.unit import strategies
from views.widgets.inspector import listing
from views.widgets.inspector.inspector import TABS
from views.widgets.inspector.page import Page, Tab
from views.widgets.inspector.tabs import page
from workbench.decode.codec import query_value
from workbench.decode.display import cells, visible
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.query.query import Reading

READING = Reading(Conventions.load([]).facts, query_value)
WIDTHS = st.integers(24, 120)
"""Below, a single character may not fit that is spelled out."""

texts = st.text(max_size=30) | st.sampled_from(
    ["word " * 60, "x" * 900, "line\n" * 20, "日本語" * 100, "\ud800", "\\" * 40]
)
documents = st.recursive(
    texts | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
bodies = documents.map(lambda value: json.dumps(value).encode())


def delivered(event: Event) -> Delivery:
    return Delivery(event, Address("kafka", "orders"), 1_795_600_800_000)


def failed(body: bytes) -> Event:
    cause = frameworks.Cause("flow-1", "m-0")
    event = frameworks.spring_kafka("Paid", "k", {}, "m-1", cause, 1_795_600_800_000)
    dead = frameworks.dead_in_spring_kafka(event, story.NO_ACCOUNT, "payments", 1, 2, "ledger")
    return Event(dead.key, body, None, Content(dead.headers, dead.properties))


events = (
    strategies.deliveries
    | bodies.map(lambda body: delivered(Event(b"k", body)))
    | bodies.map(lambda body: delivered(failed(body)))
    | st.lists(st.tuples(texts, texts), max_size=6).map(
        lambda each: delivered(Event(b"k", b"{}", None, Content(tuple(each))))
    )
)


def read(made: Page) -> None:
    while not made.complete:
        made.read_on()


def drawn(made: Page, width: int) -> list[str]:
    """All rows; each fits, and is one of those that belong together with it."""
    rows: list[str] = []
    while len(rows) < made.rows:
        together = made.extent(len(rows))
        assert together.start == len(rows) < together.stop <= made.rows
        for row in together:
            assert made.extent(row) == together
            text = "".join(visible(piece.text).ljust(piece.width) for piece in made.row(row))
            # A letter of two cells does not fit one; headings and what is said of what is folded are cut where they
            # are drawn.
            assert cells(text) <= width + 1 or len(together) == 1 or "▸ " in text
            rows.append(text)
    return rows


@pytest.fixture(scope="module", params=["as long as it is quick", "row by row"], autouse=True)
def pace(request: pytest.FixtureRequest) -> Iterator[None]:
    """How much of a line that is unfolded is made at first, and then at once."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "row by row":
            patched.setattr(listing, "_AT_FIRST", 3)
            patched.setattr(listing, "_AT_ONCE", -1)
        yield


@settings(max_examples=150, deadline=None)
@given(events, st.sampled_from(TABS), st.lists(st.tuples(st.integers(0, 400), WIDTHS), max_size=6))
def test_rows_stay_those_of_their_values(delivery: Delivery, tab: Tab, steps: list[tuple[int, int]]) -> None:
    made = page(tab, delivery, READING.facts(delivery))
    made.resize(80)
    read(made)
    drawn(made, 80)
    for number, width in steps:
        made.toggle(number % made.rows)
        made.cursor = made.extent(number % made.rows).start
        copied = made.text_to_copy(made.cursor)
        made.resize(width)
        read(made)
        # The cursor stays on its value.
        assert made.extent(made.cursor).start == made.cursor
        if tab in ("Headers", "Facts"):
            assert made.text_to_copy(made.cursor) == copied
        drawn(made, width)


@settings(max_examples=100, deadline=None)
@given(bodies, st.sampled_from(["o", "word", "\n", "日本", "x" * 50, "line"]), WIDTHS)
def test_what_is_found_is_drawn_in_the_row_that_is_gone_to(body: bytes, text: str, width: int) -> None:
    delivery = delivered(failed(body))
    made = page("Body", delivery, READING.facts(delivery))
    made.resize(width)
    read(made)
    for place in list(made.places(text))[:40]:
        while (row := made.row_of(place)) is None:
            made.read_on()
        assert any(0 <= piece.place <= place <= piece.place + len(piece.text) for piece in made.row(row))


def test_values_are_the_same_however_wide_it_is() -> None:
    value: Any = {"a": "word " * 100, "b": ["x" * 500], "c": "one\ntwo"}
    delivery = delivered(Event(b"k", json.dumps(value).encode()))
    for width in (20, 40, 80, 200):
        made = page("Body", delivery, READING.facts(delivery))
        made.resize(width)
        read(made)
        row = 1
        while row < made.rows:
            if "a" in "".join(piece.text for piece in made.row(row)) and made.text_to_copy(row) == value["a"]:
                made.toggle(row)
                read(made)
                shown = drawn(made, width)[row : made.extent(row).stop]
                assert "".join("".join(shown).split()) == '"a":"' + "word" * 100 + '",'
                break
            row = made.extent(row).stop
        else:
            raise AssertionError("the value is not there")


@settings(max_examples=50, deadline=None)
@given(bodies, bodies, st.lists(st.integers(0, 400), min_size=1, max_size=4), WIDTHS)
def test_the_cursor_stays_on_its_value_while_more_of_those_above_is_made(
    body: bytes, other: bytes, numbers: list[int], width: int
) -> None:
    delivery = delivered(failed(b"[%s, %s, 1]" % (body, other)))
    made = page("Body", delivery, READING.facts(delivery))
    made.resize(width)
    read(made)
    for number in numbers:
        made.toggle(number % made.rows)
        made.cursor = made.extent(made.rows - 2).start
        copied = made.text_to_copy(made.cursor)
        read(made)
        assert made.text_to_copy(made.cursor) == copied
        assert made.cursor == made.extent(made.cursor).start


def test_of_a_million_characters_that_are_unfolded_only_some_are_laid_out_at_once() -> None:
    text = "日本語の" * 250_000
    delivery = delivered(Event(b"k", json.dumps({"a": text, "b": 1}).encode()))
    made = page("Body", delivery, READING.facts(delivery))
    made.resize(80)
    read(made)
    folded = made.rows
    made.toggle(2)
    assert folded - 10 < made.rows < 250
    read(made)
    shown = "".join("".join(piece.text for piece in made.row(row)).strip() for row in made.extent(2))
    assert shown == f'"a": "{text}",'
    made.toggle(2)
    assert made.rows == folded
