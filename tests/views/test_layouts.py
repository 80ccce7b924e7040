"""How the panels of Events lie at each width, alone and together, and what the tree says in its columns."""

from uuid import uuid4

import pytest

from connectors.memory import QueueSettings, embedded_broker
from tests.views.driver import Driver, order, running, shop
from views.widgets.endpoint_tree import EndpointTree
from views.widgets.event_table import EventTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.panel import Panel
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured

PANELS = ("endpoints", "events", "event")


def shown(driver: Driver) -> list[str]:
    return [name for name in PANELS if driver.app.events.query_one(f"#{name}", Panel).region.width]


def tree_line(driver: Driver, name: str) -> str:
    """A line of the tree, as wide as the tree."""
    region = driver.one(EndpointTree).region
    lines = [line[region.x : region.right] for line in driver.lines[region.y : region.bottom]]
    return next(line for line in lines if line[3:].lstrip().startswith(name))


async def test_from_180_columns_three_panels_stand_side_by_side() -> None:
    async with running((180, 40)) as driver:
        await driver.open()
        panels = [driver.app.events.query_one(f"#{name}", Panel).region for name in PANELS]
        assert {region.y for region in panels} == {1}
        assert len({region.height for region in panels}) == 1
        assert [region.right for region in panels] == [panels[1].x, panels[2].x, 180]


async def test_from_100_columns_the_event_lies_below_its_table() -> None:
    async with running((179, 40)) as driver:
        await driver.open()
        endpoints, events, event = (driver.app.events.query_one(f"#{name}", Panel).region for name in PANELS)
        assert endpoints.height == events.height + event.height
        assert (events.x, events.bottom) == (event.x, event.y)


@pytest.mark.parametrize("columns", [100, 200])
async def test_any_panel_can_be_shown_alone_and_all_again(columns: int) -> None:
    async with running((columns, 40)) as driver:
        await driver.open(text="flow-9")
        for name, pane in zip(PANELS, (EndpointTree, EventTable, Inspector), strict=True):
            driver.one(pane).focus()
            await driver.press("z")
            await driver.until(lambda name=name: shown(driver) == [name])  # type: ignore[misc]
            assert driver.app.events.query_one(f"#{name}", Panel).region.width == columns
            await driver.press("z")
            await driver.until(lambda: shown(driver) == list(PANELS))


async def test_alone_the_panel_that_is_gone_to_is_shown() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("z", "enter")
        await driver.until(lambda: shown(driver) == ["event"])
        await driver.press("escape")
        await driver.until(lambda: shown(driver) == ["events"])
        await driver.press("tab", "tab")
        await driver.until(lambda: shown(driver) == ["endpoints"])


async def test_a_narrow_screen_has_nothing_to_zoom() -> None:
    async with running((80, 24)) as driver:
        await driver.press("z")
        await driver.shows("shows one panel at a time")


async def test_depth_and_rate_have_columns_of_their_own_and_quiet_endpoints_no_bars() -> None:
    broker = shop()
    async with running(broker=broker) as driver:
        await driver.until(
            lambda: len(driver.app.context.watches["shop"].rates(driver.app.context.endpoints()[0].address))
        )
        assert tree_line(driver, "payments").split() == ["payments", "20"]
        for number in range(3000):
            broker.publish("placed", order(number))
        await driver.until(lambda: "/s" in tree_line(driver, "orders "))
        busy = tree_line(driver, "orders ").split()
        assert busy[1] == "3.0k" and busy[2].endswith("/s") and set("▁▂▃▄▅▆▇█") & set(busy[3])
        assert tree_line(driver, "payments").index("20") + 1 == tree_line(driver, "orders ").index("3.0k") + 3


async def test_dead_letters_say_where_they_come_from_in_a_line_that_the_cursor_goes_past() -> None:
    async with running() as driver:
        await driver.go_to("orders.dead")
        assert "✖" in tree_line(driver, "orders.dead")
        assert tree_line(driver, "↳ from orders")
        await driver.press("j")
        tree = driver.one(EndpointTree)
        await driver.until(lambda: tree.line is not None and tree.line.address is not None)
        assert tree.line is not None and tree.line.address is not None and tree.line.address.name == "payments"
        await driver.press("k")
        assert tree.line.address.name == "orders.dead"


async def test_the_tree_is_as_wide_as_its_names() -> None:
    broker = embedded_broker("long-names")
    if not broker.queues:
        broker.declare_queue("returns.customer-initiated", QueueSettings())
    async with running((120, 30), broker=broker) as driver:
        narrow = driver.one(EndpointTree).region.width
        await driver.pilot.resize_terminal(220, 30)
        await driver.shows("returns.customer-initiated ")
        assert narrow < driver.one(EndpointTree).region.width


async def test_what_the_tree_is_filtered_by_is_opened_by_enter() -> None:
    async with running() as driver:
        await driver.go_to("orders.dead")
        await driver.press("g", "slash", *"payments", "enter")
        await driver.until(lambda: "▌" in tree_line(driver, "payments"))
        await driver.press("enter")
        await driver.shows("PaymentSettled")


async def test_one_very_long_name_takes_no_room_from_the_events() -> None:
    broker = embedded_broker("one-long-name")
    for name in (*(f"queue-{number}" for number in range(15)), "returns-and-refunds." * 4):
        if name not in broker.queues:
            broker.declare_queue(name, QueueSettings())
    async with running((220, 30), broker=broker) as driver:
        await driver.shows("queue-8")
        endpoints, events, event = (driver.app.events.query_one(f"#{name}", Panel).region.width for name in PANELS)
        assert endpoints == 44
        assert events > 100 and event > 60


async def test_a_wide_tree_says_in_the_line_where_dead_letters_come_from() -> None:
    broker = shop()
    broker.declare_queue("a-queue-with-a-name-that-is-rather-long")
    async with running((200, 40), broker=broker) as driver:
        await driver.press("z")
        await driver.until(lambda: "↳ from orders" in tree_line(driver, "orders.dead"))


async def test_what_is_unfolded_at_the_foot_of_the_tree_comes_into_sight() -> None:
    broker = shop()
    for number in range(40):
        broker.declare_queue(f"queue-{number:02}")
    async with running((120, 24), broker=broker) as driver:
        await driver.shows("queue-00")
        await driver.press("G")
        await driver.shows("groups 1")
        assert "ledger" not in driver.text
        await driver.press("enter")
        await driver.shows("groups 1", "ledger")


async def test_a_third_of_the_screen_shows_names_of_eighteen_letters_whole() -> None:
    broker = embedded_broker("rather-long-names")
    for number in range(10):
        if f"customer-returns-{number}" not in broker.queues:
            broker.declare_queue(f"customer-returns-{number}", QueueSettings())
    async with running((160, 30), broker=broker) as driver:
        await driver.shows("customer-returns-0", "customer-returns-9")


async def test_names_that_begin_alike_are_cut_in_their_middle() -> None:
    broker = embedded_broker("names-alike")
    for end in ("requested", "refused"):
        if f"ours.payments.of.customers.{end}" not in broker.queues:
            broker.declare_queue(f"ours.payments.of.customers.{end}", QueueSettings())
    async with running((100, 30), broker=broker) as driver:
        await driver.until(lambda: tree_line(driver, "ours").split()[0].endswith("refused"))
        assert "…" in tree_line(driver, "ours")


async def test_the_panel_beside_the_tree_tells_about_a_connection_and_a_group() -> None:
    async with running() as driver:
        await driver.press("g")
        await driver.shows("─ Connection", "embedded broker", "2 exchanges", "1 topic", "dead letters  1 in 1 endpoint")
        await driver.press("G", "enter", "G")
        await driver.shows("─ Group", "reads", "shop/payments · lag 6")
        await driver.press("k", "k", "k")
        await driver.shows("─ Endpoint ─")


async def test_an_endpoint_without_events_is_told_about_instead_of_no_event() -> None:
    async with running() as driver:
        await driver.go_to("placed", "exchange")
        await driver.press("enter")
        await driver.until(lambda: driver.one(EventTable).has_focus)
        await driver.shows("─ Endpoint ─", "address", "not read yet")
        await driver.press("l")
        await driver.shows("nothing yet")
        driver.broker.publish("placed", order(9))
        await driver.shows("1 of 1 held", "Body  Headers", "= filter by value")
        await driver.hides("─ Endpoint ─")


async def test_the_keys_of_an_event_stand_in_its_border_as_the_user_has_them() -> None:
    shops = {"shop": Configured(f"memory://{shop().name}")}
    async with running(config=ConfigFile(connections=shops, keys={"zoom": "w"}), connections=["shop"]) as driver:
        await driver.open()
        await driver.until(lambda: "= filter by value  ! exclude it  w zoom" in driver.lines[-3])


async def test_a_group_is_named_in_the_border_and_has_no_query() -> None:
    async with running() as driver:
        await driver.press("G", "enter", "G", "enter")
        await driver.shows("━ group ledger ━", "lag 6 ━", "enter open the event it reads next")
        await driver.hides("type = OrderPlaced")
        await driver.press("slash")
        await driver.shows("type = OrderPlaced")
        await driver.hides("group ledger ━")


async def test_without_a_connection_the_tree_says_what_adds_one() -> None:
    async with running((80, 24), connections=[], connected=False) as driver:
        await driver.shows("No connection yet.", "a adds one, such as amqp://")


async def test_on_a_narrow_screen_the_tree_says_what_to_do_about_a_broker_that_refuses() -> None:
    refused = [Connection.parse("shop=amqp://127.0.0.1:1")]
    async with running((80, 24), connections=refused, connected=False) as driver:
        await driver.shows("Nobody listens at 127.0.0.1:1", "No connection could be made.", "5 says why")


async def test_on_a_narrow_screen_panels_lie_under_rules_and_the_focus_is_seen_in_them() -> None:
    async with running((80, 24)) as driver:
        await driver.press("6")
        await driver.shows("━ Target ━━", "─ Body ──", "─ How many ──")
        await driver.press("escape", "tab")
        await driver.hides("━ Target ━━")


async def test_on_a_narrow_screen_escape_leads_from_a_price_to_the_tree_again() -> None:
    async with running((80, 24)) as driver:
        await driver.go_to("orders")
        await driver.press("enter")
        await driver.shows("b browses, esc cancels")
        await driver.press("escape")
        await driver.until(lambda: driver.one(EndpointTree).has_focus and shown(driver) == ["endpoints"])


async def test_what_to_do_first_is_said_by_how_the_connections_stand() -> None:
    refused = [Connection.parse("shop=amqp://127.0.0.1:1")]
    async with running(connections=refused, connected=False) as driver:
        await driver.shows("No connection could be made.", "5 says why", "Nobody listens at 127.0.0.1:1")
    async with running(connections=[], connected=False) as driver:
        await driver.shows("No connection yet.", "a adds one, such as amqp://")
    broker = embedded_broker(f"nothing-there-{uuid4().hex}")
    async with running(broker=broker) as driver:
        await driver.shows("There is no queue or topic yet,")
        broker.declare_queue("first")
        await driver.shows("Choose an endpoint.")


async def test_an_empty_topic_says_that_what_arrives_is_shown() -> None:
    broker = embedded_broker(f"quiet-{uuid4().hex}")
    broker.declare_topic("quiet", 1)
    async with running(broker=broker) as driver:
        await driver.go_to("quiet")
        await driver.press("enter")
        await driver.shows("Nothing is there yet: what arrives is shown here.")


async def test_what_is_read_on_a_narrow_screen_does_not_begin_at_its_edge() -> None:
    async with running((80, 24)) as driver:
        await driver.press("2")
        await driver.shows("On any event, t does the same.")
        assert " On any event, t does the same." in [line.rstrip() for line in driver.lines]
        await driver.press("3")
        await driver.until(lambda: any(line.startswith(" shop/orders.dead was not read") for line in driver.lines))
