"""Searching further back than what is held: offered where a query is set, priced, stopped, and led back from."""

import pytest

from tests.views.driver import Driver, payment, running, shop
from workbench.connecting.config_file import ConfigFile
from workbench.model.event import Event


async def opened_on_a_long_topic(driver: Driver, count: int = 3_000) -> None:
    """A topic whose newest 500 events are held; the first of all is no payment."""
    driver.broker.declare_topic("long", 2)
    driver.broker.append("long", Event(b"first", b'{"orderId": "o-first", "total": 4711}'), partition=0)
    for number in range(count):
        driver.broker.append("long", payment(number), partition=number % 2)
    await driver.press("r")
    await driver.open("long")


async def filter_by(driver: Driver, text: str) -> None:
    await driver.press("slash", f"={text}", "enter")


@pytest.mark.parametrize("key", ["s", "enter"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (220, 60)])
async def test_what_is_not_held_is_searched_for_after_saying_what_that_takes(key: str, size: tuple[int, int]) -> None:
    async with running(size) as driver:
        await opened_on_a_long_topic(driver)
        await filter_by(driver, "o-first")
        await driver.shows("No event matches the query", "s or enter searches all that is there.")
        await driver.press(key)
        await driver.shows("Search further back", "3,001 events, about", "some 1 s")
        await driver.press("enter")
        await driver.shows("o-first", "1 found in 3,001")
        assert len(driver.app.events.sequences) == 1
        await driver.press("escape")
        await driver.shows("No event matches the query")


async def test_the_border_offers_the_search_where_a_query_is_set() -> None:
    async with running((160, 40)) as driver:
        await opened_on_a_long_topic(driver)
        assert "searches all that is there" not in driver.text
        await filter_by(driver, "PaymentSettled")
        await driver.shows("s searches all that is there")
        await driver.press("s", "enter")
        await driver.shows("3,000 found in 3,001")
        assert "s searches all that is there" not in driver.text


async def test_only_the_time_that_is_asked_for_is_searched() -> None:
    async with running() as driver:
        await opened_on_a_long_topic(driver)
        driver.broker.append("long", Event(b"old", b"o-first too", timestamp=1_000), partition=1)
        await filter_by(driver, "o-first")
        await driver.press("s", "ctrl+u", "=soon", "enter")
        await driver.shows("Write beginning, -10m, -1h, -2d or 2026-11-23T10:00.")
        await driver.press("ctrl+u", "=-10m", "enter")
        await driver.shows("1 found in")
        assert "o-first too" not in driver.text


async def test_a_search_that_is_left_in_its_dialog_changes_nothing() -> None:
    async with running() as driver:
        await opened_on_a_long_topic(driver)
        await filter_by(driver, "o-first")
        await driver.press("s", "escape")
        await driver.shows("No event matches the query")
        assert "Search further back" not in driver.text


async def test_a_search_shows_how_far_it_is_and_escape_stops_it() -> None:
    # Bytes cannot tell, and all that is decoded is masked, too: it takes its time.
    async with running(config=ConfigFile(masks=("body.id", "~ \\b4[0-9]{15}\\b"))) as driver:
        await opened_on_a_long_topic(driver, 100_000)
        await filter_by(driver, "offset = 200000")
        await driver.press("s", "enter")
        await driver.shows("esc stops", "searching …")
        await driver.press("escape")
        await driver.shows("0 found in", "the search was stopped")


async def test_what_bytes_cannot_tell_is_decoded_and_said_to_be() -> None:
    async with running() as driver:
        await opened_on_a_long_topic(driver)
        await filter_by(driver, "offset = 0 and partition = 0")
        await driver.press("s")
        await driver.shows("all to be decoded, since bytes cannot tell")
        await driver.press("enter")
        await driver.shows("1 found in 3,001")


async def test_a_search_says_why_it_cannot_be_made() -> None:
    async with running(broker=shop()) as driver:
        await driver.open()
        await driver.press("s")
        await driver.shows("Filter the events first")
        await driver.go_to("orders")
        await driver.press("enter", "b")
        await driver.shows("OrderPlaced")
        await filter_by(driver, "nothing")
        await driver.press("s")
        await driver.shows("Only topics and streams can be searched further back")
