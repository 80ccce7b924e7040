"""The pages of the inspector: whatever is folded, unfolded and resized, rows stay those of their values."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.memory.demo import frameworks, story
from tests.unit import strategies
from views.widgets.inspector.inspector import TABS
from views.widgets.inspector.page import Page
from views.widgets.inspector.tabs import Tab, page
from workbench.decode.codec import query_value
from workbench.decode.display import cells, visible
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.query.query import Reading

READING = Reading(Conventions.builtin().facts, query_value)
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


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=200, deadline=None)
@given(bodies, st.sampled_from(["o", "word", "\n", "日本", "x" * 50, "line"]), WIDTHS)
def test_what_is_found_is_drawn_in_the_row_that_is_gone_to(body: bytes, text: str, width: int) -> None:
    delivery = delivered(failed(body))
    made = page("Body", delivery, READING.facts(delivery))
    made.resize(width)
    read(made)
    for place in list(made.places(text))[:40]:
        row = made.row_of(place)
        assert row is not None and any(
            0 <= piece.place <= place <= piece.place + len(piece.text) for piece in made.row(row)
        )


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
                shown = drawn(made, width)[row : made.extent(row).stop]
                assert "".join("".join(shown).split()) == '"a":"' + "word" * 100 + '",'
                break
            row = made.extent(row).stop
        else:
            raise AssertionError("the value is not there")
