"""The Trace screen: one flow as lanes or a tree, where it is stuck, and what could not be seen."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input

from connectors.memory import Broker, QueueSettings
from tests.unit.test_trace import named, sighted
from tests.views.driver import Driver, running
from tests.views.scenes import FACES
from views.app import Opening
from views.trace import Trace
from views.widgets.event_table import EventTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.trace_rows import Missing, TraceRows
from views.widgets.trace_story import TraceStory
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.operations.trace.forest import trace

_FROM_THE_BEGINNING = ("plus",) * 4
"""The shop that never changes opened on a day that goes by."""
FLOW = "7f3a90c2-1d5e-4b7a-9c64-0e2f4a5b6c7d"


def event(id: str, cause: str | None, type: str, flow: str = FLOW, body: bytes = b"{}", **more: str) -> Event:
    said = {"message-id": id, "causation-id": cause, "correlation-id": flow, "event-type": type, **more}
    headers = tuple((name, value) for name, value in said.items() if value is not None)
    return Event(id.encode(), body, None, Content(headers))


def placed(broker: Broker) -> None:
    """An order that was placed, paid, and whose shipping waits in a queue."""
    broker.declare_queue("shipping", QueueSettings())
    broker.append("payments", event("message-1", None, "OrderPlaced", body=b'{"orderId": 4711}'), 0)
    broker.append("payments", event("message-2", "message-1", "OrderPaid", body=b'{"orderId": 4711}'), 0)
    broker.send("shipping", event("message-3", "message-2", "ShipOrder"))


@asynccontextmanager
async def tracing(size: tuple[int, int] = (120, 36), seed: str = FLOW) -> AsyncIterator[Driver]:
    async with running(size) as driver:
        placed(driver.broker)
        await driver.press("T", f"={seed}", "enter")
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        yield driver


@asynccontextmanager
async def tracing_a_recording(path: Path) -> AsyncIterator[Driver]:
    async with running() as driver:
        placed(driver.broker)
        await driver.open()
        await driver.press("R", "ctrl+u", f"={path}", "enter")
        await driver.shows("● recording")
    async with running(opening=Opening(recording=path)) as driver:
        await driver.until(lambda: len(driver.app.events.sequences) == 22)
        await driver.press("T", f"={FLOW}", "enter")
        yield driver


def row(driver: Driver, text: str) -> str:
    """The line of the story in which a text is."""
    return next(line for line in driver.lines if text in line)


async def test_a_line_without_room_for_all_of_it_says_so() -> None:
    async with running((80, 24)) as driver:
        placed(driver.broker)
        driver.broker.append("payments", event("message-4", "message-2", "Retried" * 20), 0)
        await driver.press("T", f"={FLOW}", "enter")
        await driver.shows("Retried")
        assert row(driver, "Retried").rstrip().endswith("Retried…")


async def test_a_flow_is_shown_as_lanes_with_what_caused_what() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPlaced", "OrderPaid", "2 events · 1 connection", "last seen in shop/payments")
        assert "● OrderPlaced" in row(driver, "OrderPlaced")


async def test_queues_are_looked_into_only_after_their_price_was_agreed_to() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        assert "ShipOrder" not in driver.text
        await driver.press("b")
        await driver.shows("will be browsed once", "redelivered")
        await driver.press("escape")
        assert not driver.broker.queues["shipping"].waiting()[0].redelivered
        await driver.press("b", "enter")
        await driver.shows("ShipOrder", "held here", "waits in shop/shipping")
        assert re.search(r"└─+▶■ ShipOrder", driver.text)
        assert driver.one(TraceStory).number == 2


async def test_the_event_at_the_cursor_is_shown_in_full_and_escape_leads_back() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("g", "enter")
        await driver.shows("Event 1", '"orderId": 4711')
        await driver.press("escape")
        assert driver.one(TraceStory).has_focus


async def test_a_narrow_screen_shows_a_tree_and_the_event_in_its_place() -> None:
    async with running((80, 24), connections=FACES, opening=Opening(demo=True)) as driver:
        await driver.press("T", "=body.orderId=1103", "enter", *_FROM_THE_BEGINNING)
        await driver.shows("stuck in kafka/payments-dlt")
        assert driver.one(TraceStory).is_tree
        assert "└─■ PaymentAuthorised" in driver.text
        await driver.press("enter")
        await driver.shows("Why it failed")
        assert not driver.one(TraceStory).display or "└─■" not in driver.text
        await driver.press("escape")
        await driver.shows("└─■ PaymentAuthorised")


async def test_a_stuck_order_of_the_demo_is_told_in_the_first_line_and_the_cursor_is_there() -> None:
    async with running((120, 36), connections=FACES, opening=Opening(demo=True)) as driver:
        await driver.press("T", "=body.orderId=1103", "enter", *_FROM_THE_BEGINNING)
        await driver.shows("■ stuck in kafka/payments-dlt for", "Why it failed", "kafka/payments-dlt 0:8")
        story = driver.one(TraceStory)
        assert story.step is not None and str(story.step.address) == "kafka/payments-dlt"
        await driver.press("v")
        await driver.shows("└─■ PaymentAuthorised")
        await driver.press("v")
        await driver.shows("▶■ PaymentAuthorised")


async def test_a_dead_letter_is_traced_from_its_event() -> None:
    async with running((120, 36), connections=FACES, opening=Opening(demo=True)) as driver:
        await driver.open("kafka/payments-dlt", "PaymentAuthoris")
        await driver.press("G", "t", *_FROM_THE_BEGINNING)
        await driver.shows("stuck in kafka/payments-dlt", "▶■ PaymentAuthorised", "OrderPlaced")


async def test_an_event_that_has_no_id_is_traced_by_what_it_points_at() -> None:
    pointer = {"dead-letter-topic": "payments", "dead-letter-partition": "0", "dead-letter-offset": "3"}
    async with running((120, 36)) as driver:
        driver.broker.declare_topic("payments-dlt")
        headers = tuple({**pointer, "dead-letter-reason": "declined"}.items())
        driver.broker.append("payments-dlt", Event(b"k", b"{}", None, Content(headers)))
        await driver.open("payments-dlt", "declined")
        await driver.press("t")
        await driver.shows("stuck in shop/payments-dlt", "declined", "PaymentSettled", "▶■")


async def test_what_is_not_found_says_what_may_be_done() -> None:
    async with tracing(seed="0c9d7a51-0000-4c1e-b3a1-5f0e77d0aa10") as driver:
        await driver.shows("Not found", "further back than 1 h", "looks into 3 queues", "what could not be seen")
        await driver.press("i")
        await driver.shows("What was looked at", "shop/shipping", "not free")
        await driver.press("escape", "plus")
        await driver.shows("further back than 6 h")


async def test_a_value_in_several_places_is_asked_about() -> None:
    async with running((120, 36)) as driver:
        placed(driver.broker)
        driver.broker.append("payments", event("message-9", None, "Restocked", "another-00001", b'{"qty": 4711}'), 0)
        await driver.press("T", "=4711", "enter")
        await driver.shows("stands in several places", "body.orderId  2 events, 1 correlation", "body.qty")
        await driver.press("down", "enter")
        await driver.shows("Restocked", "1 event ·")


async def test_a_trace_is_followed() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("f")
        await driver.shows("● live")
        driver.broker.append("payments", event("message-4", "message-2", "InvoiceIssued"), 1)
        await driver.shows("InvoiceIssued", "3 events ·")
        await driver.press("f")
        await driver.hides("● live")


async def test_recent_ids_are_gone_back_to() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("T", "=flow-3", "enter")
        await driver.shows("PaymentSettled")
        await driver.press("r", "down", "enter")
        await driver.shows("OrderPaid")
        assert driver.one(Input).value == FLOW


async def test_a_copy_is_made_from_a_trace() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("c")
        await driver.shows("As it will be sent")


@pytest.mark.parametrize(
    ("name", "holds"), [("t.ndjson", '"OrderPaid"'), ("t.mmd", "sequenceDiagram"), ("t.json", "resourceSpans")]
)
async def test_a_trace_is_exported(tmp_path: Path, name: str, holds: str) -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("x", "ctrl+u", f"={tmp_path / 't.txt'}", "enter")
        await driver.shows("Its name ends in")
        await driver.press("ctrl+u", f"={tmp_path / name}", "enter")
        await driver.shows("2 events written")
        assert holds in (tmp_path / name).read_text()


async def test_a_recording_is_traced(tmp_path: Path) -> None:
    async with tracing_a_recording(tmp_path / "session.db") as driver:
        await driver.shows("OrderPlaced", "OrderPaid", "2 events ·")


async def test_nothing_that_a_stranger_wrote_is_obeyed() -> None:
    async with running((120, 36)) as driver:
        driver.broker.append("payments", event("message-1", None, "\x1b[2JOrder\u202e[red]"), 0)
        await driver.press("T", f"={FLOW}", "enter")
        await driver.shows("[2JOrder")
        assert "\x1b" not in driver.text and "\u202e" not in driver.text


async def test_an_id_that_a_stranger_wrote_is_shown_in_the_field_and_not_obeyed() -> None:
    async with running((120, 36)) as driver:
        flow = "ab\x1b[2Jcd\u202eef-12345678"
        driver.broker.append("payments", event("message-1", None, "OrderPlaced", flow), 0)
        await driver.open()
        await driver.press("/", "=OrderPlaced", "enter", "t")
        await driver.shows("1 event ·", "[2Jcd")
        assert driver.one(Input).value == flow
        assert "\x1b" not in driver.text and "\u202e" not in driver.text


async def test_queues_are_looked_into_again_only_after_another_question() -> None:
    async with tracing() as driver:
        await driver.press("b", "enter")
        await driver.shows("ShipOrder")
        await driver.press("plus")
        await driver.shows("Search further back", "will be browsed once")
        await driver.press("escape")
        await driver.shows("ShipOrder", "1 h ·")
        await driver.press("plus", "enter")
        await driver.shows("ShipOrder", "6 h ·")


async def test_an_empty_field_is_no_id_to_look_further_back_for() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        driver.one(Input).focus()
        await driver.press("ctrl+u", "escape", "plus")
        await driver.shows("There is nothing to trace")
        await driver.until(lambda: not any(worker.group == "trace" for worker in driver.app.workers))
        assert driver.app.failures == []


async def test_what_cannot_be_followed_says_so(tmp_path: Path) -> None:
    async with tracing_a_recording(tmp_path / "session.db") as driver:
        await driver.shows("OrderPaid")
        await driver.press("f")
        await driver.shows("Nothing that was looked at can be followed.")
        assert "● live" not in driver.text


async def test_the_event_that_is_read_stays_where_it_is_when_others_come() -> None:
    async with tracing() as driver:
        await driver.shows("OrderPaid")
        await driver.press("f", "g", "enter", "down", "down")
        await driver.shows("Event 1", "● live")
        page = driver.one(Inspector).page
        assert page is not None and page.cursor
        cursor = page.cursor
        driver.broker.append("payments", event("message-4", "message-2", "InvoiceIssued"), 1)
        await driver.shows("3 events ·")
        page = driver.one(Inspector).page
        assert page is not None and page.cursor == cursor


async def test_escape_goes_back_to_where_one_came_from() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("t")
        await driver.shows("2 events ·")
        await driver.press("escape")
        await driver.until(lambda: driver.one(EventTable).has_focus)


def test_a_flow_of_thousands_of_events_is_laid_out_and_each_row_drawn_by_itself() -> None:
    chain = [
        sighted(f"k/t{n % 5}", n, headers=named(f"message-{n}", f"message-{n - 1}"), at=f"0:{n}") for n in range(2_000)
    ]
    rows = TraceRows(trace(chain), 120, False)
    assert len(rows.rows) == 2_000
    assert not rows.tree
    assert "".join(piece.text for piece in rows.pieces(1_999)).count("●") == 1


def test_what_is_missing_is_below_all_in_its_lane_and_behind_its_branch_in_a_tree() -> None:
    some = [
        sighted("k/a", 0, headers=named("message-1"), at="0:1"),
        sighted("k/b", 1, headers=named("message-2", "message-1"), at="0:1"),
        sighted("k/c", 2, headers=named("message-3", "message-2"), at="0:2"),
        sighted("k/a", 3, headers=named("message-4", "message-1"), at="0:3"),
    ]
    for place, lane in (("k/c", 2), ("k/elsewhere", 1), ("k/b", 1)):
        missing = Missing("Paid", 1, place, "missing, usual after 1.20 s")
        rows = TraceRows(trace(some), 120, False, missing)
        drawn = ["".join(piece.text for piece in rows.pieces(number)) for number in range(5)]
        assert drawn[4].index("✖ Paid  missing, usual after 1.20 s") == [drawn[0], drawn[1], drawn[2]][lane].index("●")
        assert drawn[3][drawn[1].index("●")] in "│╎"
        assert rows.order == range(4)
        tree = TraceRows(trace(some), 120, True, missing)
        drawn = ["".join(piece.text for piece in tree.pieces(number)) for number in range(5)]
        assert f"└╌✖ Paid  missing, usual after 1.20 s  {place}" in drawn[3]
        assert drawn[3].index("└╌") == drawn[2].index("└─")
        assert [row.kind for row in tree.rows] == ["event", "event", "event", "missing", "event"]
        assert tree.last_row_of(2) == 3 and tree.last_row_of(0) == 0


def test_an_arrow_to_the_left_leads_to_its_lane() -> None:
    some = [
        sighted("k/a", 0, headers=named("message-1"), at="0:1"),
        sighted("k/b", 1, headers=named("message-2", "message-1"), at="0:1"),
        sighted("k/a", 2, headers=named("message-3", "message-2"), at="0:2"),
    ]
    rows = TraceRows(trace(some), 100, False)
    drawn = ["".join(piece.text for piece in rows.pieces(number)) for number in range(3)]
    assert re.search(r"└─+▶●", drawn[1])
    assert re.search(r"●◀─+┘", drawn[2])
    assert TraceRows(trace(some), 40, False).tree


async def test_a_dead_letter_at_the_end_of_a_story_is_moved_from_there() -> None:
    async with tracing() as driver:
        broker = driver.broker
        broker.send("orders", event("message-4", "message-2", "ShipOrder"))
        dying = broker.consume("orders")
        dying.reject([each for each in dying.take(limit=9) if each.event.key == b"message-4"])
        dying.close()
        await driver.press("b", "enter")
        story = driver.one(TraceStory)
        await driver.until(lambda: story.step is not None)
        # The last is the one of which no time is known.
        await driver.press("G", "k")
        await driver.until(lambda: story.step is not None and story.step.delivery.address.name == "orders.dead")
        depth = broker.queues["orders"].depth
        await driver.press("m")
        await driver.shows("(•) 1 selected  in shop/orders.dead")
        await driver.press("enter")
        await driver.shows("1 → shop/orders, where they came from")
        await driver.press("r")
        await driver.shows("1 moved, 0 failed")
        assert broker.queues["orders"].depth == depth + 1
