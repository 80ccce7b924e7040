"""The flows on the Trace screen: the stuck ones first, the usual path beside them, and from there into the trace."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from connectors.memory import Broker, QueueSettings
from tests.views.driver import Driver, running, shop
from tests.views.scenes import FACES
from tests.views.test_trace import event
from views import flow_list
from views.app import Opening
from views.trace import Trace
from views.widgets.flow_table import FlowTable
from views.widgets.trace_story import TraceStory
from workbench.connecting.config import Connection
from workbench.model.event import Event
from workbench.operations.saga import held as saga_held

ORDER = ("OrderPlaced", "OrderPaid", "OrderShipped")
STUCK = "order-that-is-stuck"
TOPIC = "orders-events"


def placed(broker: Broker, name: str, *types: str, ago: int = 0) -> None:
    """A flow of events of these types, 100 ms apart, begun so many milliseconds ago."""
    begun = round(time.time() * 1000) - ago
    for number, type in enumerate(types):
        one = msgspec.structs.replace(event(f"{name}-{type}", None, type, name), timestamp=begun + 100 * number)
        broker.append(TOPIC, one, 0)


def orders(broker: Broker) -> None:
    """Orders that were shipped, and one that was not."""
    broker.declare_topic(TOPIC, 1)
    for number in range(9):
        placed(broker, f"order-{number}", *ORDER, ago=600_000)
    placed(broker, STUCK, "OrderPlaced", "OrderPaid", ago=300_000)


@asynccontextmanager
async def listing(size: tuple[int, int] = (120, 36)) -> AsyncIterator[Driver]:
    """The list of flows of two topics that were read just now: one order is stuck, the payments have but one step."""
    async with running(size) as driver:
        orders(driver.broker)
        await driver.press("2", "plus", "enter")
        await driver.shows("1 stuck of 20 flows")
        yield driver


@asynccontextmanager
async def listing_the_demo(size: tuple[int, int] = (120, 36)) -> AsyncIterator[Driver]:
    async with running(size, connections=FACES, opening=Opening(demo=True)) as driver:
        await driver.press("2")
        while "stuck of" not in driver.text:
            await driver.press("plus")
            await driver.shows("Read flows")
            await driver.press("enter")
            await driver.until(lambda: not trace(driver)._flows.is_reading)
            await driver.until_settled()
        yield driver


def trace(driver: Driver) -> Trace:
    screen = driver.app.base_screen
    assert isinstance(screen, Trace)
    return screen


def row(driver: Driver, text: str) -> str:
    return next(line for line in driver.lines if text in line)


async def test_before_anything_is_held_the_screen_says_how_flows_come_there() -> None:
    async with running((120, 36)) as driver:
        await driver.press("2")
        await driver.shows("No event is held yet", "+  reads the flows of topics", "b  reads those of queues")
        await driver.press("enter")
        await driver.shows("No flow is listed")


async def test_topics_are_read_only_after_it_was_said_how_much_that_is() -> None:
    async with running((120, 36)) as driver:
        await driver.press("2", "plus")
        await driver.shows("The events of 1 topic or stream of the last 1 h", "20 at most", "Reading never consumes")
        await driver.press("escape")
        assert driver.app.context.archive.upto == 0
        await driver.press("plus", "enter")
        await driver.until(lambda: driver.app.context.archive.upto == 20)
        await driver.press("plus")
        await driver.shows("of the last 6 h")


async def test_what_is_out_of_a_connections_scope_is_neither_read_nor_traced_and_that_is_said() -> None:
    broker = shop()
    orders(broker)
    broker.declare_topic("other", 1)
    broker.append("other", event("message-9", None, "OrderShipped", STUCK), 0)
    connections = [Connection.parse(f"shop=memory://{broker.name}?scope=orders-*")]
    async with running((120, 36), broker, connections=connections) as driver:
        await driver.press("2", "plus")
        await driver.shows("The events of 1 topic or stream")
        await driver.press("enter")
        await driver.shows("1 stuck of 10 flows", "not seen: 1")
        await driver.press("enter")
        await driver.shows("✖ stuck: no OrderShipped for", "not seen: 1")
        await driver.press("i")
        await driver.shows("limited to orders-* by its scope")


async def test_the_stuck_orders_of_the_demo_come_first_with_what_they_wait_for() -> None:
    async with listing_the_demo() as driver:
        await driver.shows("42 stuck of 107 flows", "Usual path of OrderPlaced", "learned from 106 flows")
        first = driver.one(FlowTable).saga
        assert first is not None and first.missing == "OrderShipped" and first.flow.dead is not None
        assert "no OrderShipped for" in driver.text and "it usually follows OrderPaid within 888 ms" in driver.text
        assert "✖ stuck ■" in row(driver, "2217bead")
        assert "missing for" in row(driver, "✖ OrderShipped")
        await driver.press("G")
        await driver.shows("all that usually comes has come", "● complete")


async def test_enter_follows_a_flow_whose_departure_is_told_there_and_escape_leads_back() -> None:
    async with listing_the_demo() as driver:
        await driver.press("down", "down", "down", "enter", *("plus",) * 4)
        await driver.shows("last seen in kafka/orders-events", "✖ stuck: no PaymentAuthorised for")
        assert "it usually follows StockChanged within 834 ms" in driver.text
        assert driver.one(TraceStory).has_focus
        await driver.press("escape")
        await driver.shows("42 stuck of 107 flows")
        assert driver.one(FlowTable).has_focus and driver.one(FlowTable).cursor_line == 3


@pytest.mark.parametrize(("size", "keys"), [((120, 36), ()), ((80, 24), ("v",))])
async def test_a_usual_step_that_is_missing_stands_where_it_should_be(
    size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    async with listing(size) as driver:
        await driver.press("enter")
        await driver.shows("✖ OrderShipped  missing, usual after 100 ms")
        await driver.press(*keys)
        await driver.until(lambda: driver.one(TraceStory).is_tree == bool(keys))
        lines = list(driver.lines)
        paid, missing = lines.index(row(driver, "● OrderPaid")), lines.index(row(driver, "missing, usual"))
        assert missing == paid + 1
        # It is no event: the cursor stays at those that there are.
        await driver.press("G")
        await driver.until(lambda: lines[paid].split("● OrderPaid")[1] in row(driver, "▌"))
        driver.broker.append(TOPIC, event("late", f"{STUCK}-OrderPaid", "OrderShipped", STUCK), 0)
        await driver.press("f", "plus")
        await driver.hides("missing, usual")
        await driver.shows("● OrderShipped")


async def test_a_flow_that_was_come_to_from_an_event_leads_back_to_the_event() -> None:
    async with running((120, 36)) as driver:
        orders(driver.broker)
        await driver.open(TOPIC, "OrderPaid")
        await driver.press("t")
        await driver.shows(STUCK, "✖ stuck: no OrderShipped for")
        await driver.press("escape")
        await driver.until(lambda: driver.app.base_screen is driver.app.events)


async def test_a_narrow_screen_has_room_for_the_flows_and_the_path() -> None:
    async with listing_the_demo((80, 24)) as driver:
        await driver.shows("42 stuck of 107 flows", "Usual path of OrderPlaced", "missing for")
        assert all(len(line) <= 80 for line in driver.lines)
        assert "PaymentAuthorised" in row(driver, "70cce")


async def test_flows_are_listed_from_any_screen_by_a_key_and_by_the_palette() -> None:
    async with running((120, 36)) as driver:
        orders(driver.broker)
        await driver.open(TOPIC, "OrderPaid")
        await driver.press("L")
        await driver.shows("1 stuck of 10 flows", "no OrderShipped for")
        await driver.press("escape", "5", "colon", "=flows", "enter")
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.shows("1 stuck of 10 flows")


async def test_what_arrives_is_judged_as_it_comes() -> None:
    async with listing() as driver:
        await driver.press("f")
        await driver.shows("● live")
        placed(driver.broker, STUCK, "OrderShipped")
        await driver.shows("0 stuck of 20 flows")
        placed(driver.broker, "order-new", "OrderPlaced")
        # A second passes in which what is usual does not come.
        await driver.shows("1 stuck of 21 flows", "no OrderPaid for")
        await driver.press("f")
        await driver.hides("● live")


async def test_what_was_read_and_is_not_followed_is_named() -> None:
    async with running((120, 36)) as driver:
        orders(driver.broker)
        driver.broker.declare_queue("shipping", QueueSettings())
        driver.broker.send("shipping", event("message-3", None, "ShipOrder", STUCK))
        await driver.press("2", "plus", "enter")
        await driver.shows("1 stuck of 20 flows")
        await driver.press("b", "enter")
        await driver.shows("ShipOrder")
        await driver.press("f")
        await driver.shows("● live", "Not followed: shop/", "more (to follow a queue is not free")
        await driver.press("i")
        await driver.shows("shop/shipping", "not followed: to follow a queue")


async def test_a_flow_whose_time_is_not_over_when_reading_ends_is_under_way() -> None:
    async with running((120, 36)) as driver:
        orders(driver.broker)
        placed(driver.broker, "order-young", "OrderPlaced", ago=-600_000)
        await driver.open(TOPIC, "OrderPaid")
        await driver.press("L")
        await driver.shows("1 stuck of 11 flows", "… under way")
        assert "order-young" in row(driver, "under way")


async def test_the_price_of_queues_is_told_before_they_are_looked_into() -> None:
    async with running((120, 36)) as driver:
        driver.broker.declare_queue("shipping", QueueSettings())
        driver.broker.send("shipping", event("message-3", None, "ShipOrder"))
        await driver.press("2", "b")
        await driver.shows("Look into queues", "will be browsed once", "redelivered")
        await driver.press("escape")
        assert not driver.broker.queues["shipping"].waiting()[0].redelivered
        await driver.press("b", "enter")
        await driver.shows("flows of", "ShipOrder")


async def test_from_how_many_flows_on_a_path_is_learned_is_said_where_there_are_too_few() -> None:
    async with running((120, 36)) as driver:
        driver.broker.declare_topic("few")
        driver.broker.append("few", event("m", None, "OrderPlaced", "only-flow"), 0)
        await driver.open("few", "OrderPlaced")
        await driver.press("L")
        await driver.shows("1 flow of 1 type: 5 whole ones of a type", "only-flow", "· unknown")


async def test_events_without_an_id_are_said_to_be_no_flows() -> None:
    async with running((120, 36)) as driver:
        driver.broker.declare_topic("plain")
        for _ in range(3):
            driver.broker.append("plain", Event(b"k", b"{}"), 0)
        await driver.open("plain", "{}")
        await driver.press("L")
        await driver.shows("None of the 3 events held has a correlation id")


async def test_coverage_says_what_was_read_and_what_was_not() -> None:
    async with listing() as driver:
        await driver.shows("not seen: 2")
        await driver.press("i")
        await driver.shows("What was looked at", "shop/orders", "not free", "shop/payments")


async def test_no_key_of_the_list_changes_the_trace_behind_it() -> None:
    async with listing() as driver:
        await driver.press("enter")
        await driver.shows(f"last seen in shop/{TOPIC}")
        await driver.press("L")
        await driver.shows("stuck of 20 flows")
        await driver.press("x")
        await driver.shows("There is no event here: enter follows the flow.")
        await driver.press("tab", "tab")
        assert driver.one(FlowTable).has_focus


async def test_a_recording_lists_its_flows(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with running() as driver:
        orders(driver.broker)
        await driver.open(TOPIC, "OrderPaid")
        await driver.press("R", "ctrl+u", f"={path}", "enter")
        await driver.shows("● recording")
    async with running((120, 36), opening=Opening(recording=path)) as driver:
        await driver.press("2")
        await driver.shows("of 10 flows", "Usual path of OrderPlaced")
        await driver.press("plus")
        await driver.shows("This is a recording")


async def test_ten_thousand_flows_are_judged_elsewhere_and_the_worst_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow_list, "FEW", 1_000)
    monkeypatch.setattr(saga_held, "FEW", 1_000)
    async with running((120, 36)) as driver:
        driver.broker.declare_topic("many", 1)
        for number in range(10_000):
            driver.broker.append("many", event(f"m-{number}", None, "OrderPlaced", f"many-flow-{number:05}"), 0)
            if number % 100:
                driver.broker.append("many", event(f"n-{number}", None, "OrderPaid", f"many-flow-{number:05}"), 0)
        await driver.press("2", "plus", "enter")
        await driver.shows("of 10,010 flows", "the worst 1,000 listed")
        await driver.press("G")
        assert driver.one(FlowTable).cursor_line == 999


async def test_nothing_that_a_stranger_wrote_is_obeyed() -> None:
    async with running((120, 36)) as driver:
        driver.broker.declare_topic(TOPIC, 1)
        for number in range(6):
            placed(
                driver.broker, f"\x1b[2Jflow\u202e[red]{number}" + "x" * 300, "\x1b[2JOrder\u202e[red]", "Paid\x9b" * 40
            )
        await driver.open(TOPIC, "Order")
        await driver.press("L")
        await driver.shows("Usual path of", "complete")
        assert not {"\x1b", "\u202e", "\x9b"} & set(driver.text)


async def test_of_a_long_path_the_steps_around_the_missing_one_are_shown_with_the_ends_of_their_names() -> None:
    async with running((80, 24)) as driver:
        driver.broker.declare_topic(TOPIC, 1)
        steps = [f"com.example.shop.checkout.very.long.name.Step{number:02}Completed" for number in range(30)]
        for number in range(8):
            placed(driver.broker, f"order-{number}", *steps, ago=600_000)
        placed(driver.broker, STUCK, *steps[:20], ago=300_000)
        await driver.open(TOPIC, "com.example")
        await driver.press("L")
        await driver.shows("1 stuck of 9 flows", "17 earlier", "missing for", "6 later")
        assert "Step20Completed" in row(driver, "missing for")


async def test_reading_is_stopped_by_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running((120, 36)) as driver:
        held = asyncio.Event()
        browse = driver.app.context.browse

        def slow(*arguments: object, **named: object) -> object:
            ingestion = browse(*arguments, **named)  # type: ignore[arg-type]
            wait = ingestion.wait_closed

            async def wait_for_test() -> None:
                await wait()
                await held.wait()

            ingestion.wait_closed = wait_for_test  # type: ignore[method-assign]
            return ingestion

        monkeypatch.setattr(driver.app.context, "browse", slow)
        await driver.press("2", "plus", "enter")
        await driver.shows("reading 0 of 1 endpoint", "esc stop reading")
        await driver.press("plus")
        await driver.shows("escape stops it")
        await driver.press("escape")
        await driver.hides("reading 0 of 1 endpoint")
        assert isinstance(driver.app.base_screen, Trace)
