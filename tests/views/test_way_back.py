"""One escape leads back from a flow, from several endpoints in one table, and from a filter; the footer says where."""

from connectors.memory import Broker, QueueSettings
from tests.views.driver import Driver, address, order, payment, running, shop
from views.events import Events
from views.trace import Trace
from views.widgets.endpoint_tree import EndpointTree
from views.widgets.event_table import EventTable
from views.widgets.query_bar import QueryBar


def broker_of_all_kinds() -> Broker:
    broker = shop()
    broker.declare_queue("log", QueueSettings("stream"))
    return broker


async def mark(driver: Driver, *names: str) -> None:
    """Mark endpoints in the tree, and open them."""
    for name in names:
        await driver.go_to(name) if "exchange:" not in name else await driver.go_to(f"shop/{name}")
        await driver.press("space")
    await driver.press("enter")


async def test_an_exchange_and_a_topic_are_tailed_into_one_table() -> None:
    broker = shop()
    async with running((160, 40), broker=broker) as driver:
        await mark(driver, "exchange:placed", "payments")
        await driver.shows("k19", "● live")
        broker.publish("placed", order(77))
        broker.append("payments", payment(78), partition=0)
        await driver.shows("flow-77", "k78")
        assert driver.app.events._sources.is_live(address("payments"))


async def test_a_queue_and_a_stream_are_opened_together_and_what_is_not_live_says_why() -> None:
    broker = broker_of_all_kinds()
    async with running((160, 40), broker=broker) as driver:
        await mark(driver, "orders.dead", "log")
        await driver.shows("shop/orders.dead")
        addresses = driver.app.events._sources.addresses
        assert len(addresses) == 2
        for one in addresses:
            live = driver.app.events._sources.is_live(one)
            said = any(str(one) in each.sentence and "is not live" in each.sentence for each in driver.app.messages)
            assert live != said, one


async def test_one_escape_leads_back_from_endpoints_that_were_opened_together() -> None:
    async with running((160, 40)) as driver:
        await driver.open()
        await mark(driver, "payments", "orders.dead")
        await driver.until(lambda: len(driver.app.events._sources.addresses) == 2)
        await driver.until(lambda: "esc back" in driver.lines[-1])
        await driver.press("escape")
        await driver.until(lambda: driver.app.events._sources.addresses == [address("payments")])
        assert driver.one(EventTable).has_focus


async def test_one_escape_leads_back_from_trace() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("t")
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.until(lambda: "esc go back" in driver.lines[-1])
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.base_screen, Events))
        assert driver.one(EventTable).has_focus


async def test_one_escape_leads_back_from_a_flow_to_what_was_shown_with_its_filter() -> None:
    async with running((160, 40)) as driver:
        await driver.open()
        await driver.press("slash", "=body.id > 3", "enter", "t")
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.press("o")
        await driver.shows("everything held", "2 of ")
        await driver.press("escape")
        await driver.shows("shop/payments", "16 of 20")
        assert driver.one(QueryBar).value == "body.id > 3"


async def test_one_escape_clears_a_filter() -> None:
    async with running((160, 40)) as driver:
        await driver.open()
        await driver.press("slash", "=body.id > 3", "enter")
        await driver.shows("16 of 20")
        await driver.until(lambda: "esc clear the filter" in driver.lines[-1])
        await driver.press("escape")
        await driver.shows("20 of 20")
        assert driver.one(EventTable).has_focus


async def test_a_look_that_did_not_read_all_says_so_in_the_border_and_where_nothing_matches() -> None:
    broker = shop()
    for number in range(900):
        broker.publish("placed", order(number))
    async with running((160, 40), broker=broker) as driver:
        await driver.go_to("orders")
        await driver.press("b", "b")
        await driver.until(lambda: "500 of 903 read" in driver.lines[1])
        await driver.press("slash", "=type = Nothing", "enter")
        await driver.shows("No event matches the query among the 500 of 903 read.")


async def test_the_footer_says_what_escape_does_and_it_does_just_that() -> None:
    async with running((220, 40)) as driver:
        await driver.press("slash")
        await driver.until(lambda: "enter to the list  esc show all endpoints" in driver.lines[-1])
        await driver.press("=orders", "enter")
        await driver.until(lambda: "esc show all endpoints" in driver.lines[-1])
        await driver.press("escape")
        await driver.shows("quorum")
        assert driver.one(EndpointTree).has_focus
        await driver.until(lambda: "esc" not in driver.lines[-1])
        await driver.open()
        await driver.press("enter")
        await driver.until(lambda: "esc back" in driver.lines[-1])
        await driver.press("escape")
        assert driver.one(EventTable).has_focus
        await driver.until(lambda: "esc stop" in driver.lines[-1])
        await driver.press("escape")
        await driver.until(lambda: "esc back" in driver.lines[-1])
        await driver.press("escape")
        assert driver.one(EndpointTree).has_focus
