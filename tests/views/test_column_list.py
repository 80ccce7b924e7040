"""Columns of the event table are chosen from a list."""

from tests.views.driver import Driver, running
from views.widgets.event_table import EventTable


def columns(driver: Driver) -> list[str]:
    return [column.id for column in driver.one(EventTable).columns]


async def test_what_is_held_can_be_chosen_and_found_by_typing() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        await driver.press("C")
        await driver.shows("[x] time", "[ ] attempts", "[ ] header.correlation_id", "[ ] body.total")
        await driver.press(*"total")
        await driver.hides("attempts")
        await driver.press("space", "enter")
        await driver.until(lambda: columns(driver)[-1] == "body.total")
        await driver.shows("19.5")


async def test_the_order_of_the_list_is_that_of_the_table() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        before = columns(driver)
        await driver.press("C", "down", "ctrl+up", "enter")
        await driver.until(lambda: columns(driver) != before)
        assert columns(driver) == [before[1], before[0], *before[2:]]


async def test_a_field_that_is_in_no_list_is_added_by_enter() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        await driver.press("C", *"header.absent")
        await driver.shows("enter adds header.absent.")
        await driver.press("enter")
        await driver.shows("[x] header.absent")
        await driver.press("enter")
        await driver.until(lambda: "header.absent" in columns(driver))


async def test_escape_leaves_the_columns_as_they_were() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        before = columns(driver)
        await driver.press("C", "space", "down", "space", "escape")
        await driver.hides("[x]")
        assert columns(driver) == before


async def test_keys_typed_ahead_go_into_the_list() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        for key in ("C", *"total", "space", "enter"):
            await driver.pilot.press(key)
        await driver.until(lambda: "body.total" in columns(driver))


async def test_a_query_completes_by_what_is_held_and_rows_stay_while_a_word_is_half_written() -> None:
    async with running((140, 45)) as driver:
        await driver.open()
        await driver.press("slash", *"body.to")
        await driver.shows("body.total")
        await driver.press("tab", "= > 3 and type = Pay")
        await driver.shows("PaymentSettled", "20 of 20 held")
        await driver.pilot.pause(0.5)
        assert len(driver.app.events.sequences) == 20
        await driver.press("tab", "enter")
        await driver.shows("body.total > 3 and type = PaymentSettled", "17 of 20 held")
