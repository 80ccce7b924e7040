"""The list of events on the Events screen: by reason, by query, by column, with what is missing."""

import asyncio

import msgspec

from connectors.memory import Broker
from tests.views.driver import Driver, payment, running, shop
from views.widgets.event_table import EventTable
from views.widgets.reason_line import ReasonLine
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.model.look import Coverage, Gap
from workbench.table.columns import column_of


def failing() -> Broker:
    """The shop, with a topic of dead letters: eight that failed for three reasons."""
    broker = shop()
    broker.declare_topic("payments-dlt", 1)
    for number, reason in enumerate(
        ["card declined"] * 4 + [f"order {number} not found" for number in range(3)] + ["timeout"]
    ):
        headers = (
            ("kafka_dlt-exception-message", f"Listener failed; {reason}"),
            ("kafka_dlt-original-topic", "payments"),
            ("type", "PaymentSettled"),
        )
        broker.append("payments-dlt", Event(b"k", b'{"id":%d}' % number, written=Content(headers)))
    return broker


async def open_failures(driver: Driver) -> EventTable:
    await driver.open("payments-dlt")
    await driver.shows("3 reasons")
    return driver.one(EventTable)


def shown(driver: Driver) -> int:
    return len(driver.app.events.sequences)


async def test_dead_letters_open_with_their_reasons_counted_above_them() -> None:
    async with running(broker=failing()) as driver:
        table = await open_failures(driver)
        await driver.shows("3 reasons in 8 held: 4 card declined · 3 order … not found · 1 timeout")
        assert [column.id for column in table.columns][:2] == ["time", "reason"]
        await driver.open("payments", "PaymentSettled")
        await driver.hides("3 reasons")


async def test_enter_on_a_reason_filters_by_it_and_escape_clears_the_filter() -> None:
    async with running(broker=failing()) as driver:
        table = await open_failures(driver)
        await driver.press("W", "right")
        await driver.shows("enter filter by it", "esc back to the events")
        await driver.press("enter")
        await driver.shows("reason ~", "3 of 8 held", "3 reasons")
        assert table.has_focus
        await driver.press("W", "right", "enter")
        await driver.shows("/ reason = 'Listener failed; timeout'", "1 of 8 held")
        await driver.press("escape")
        await driver.shows("8 of 8 held")
        assert table.has_focus
        await driver.press("W", "escape")
        assert table.has_focus and shown(driver) == 8


async def test_a_click_on_a_reason_filters_by_it_and_another_shows_all() -> None:
    async with running(broker=failing()) as driver:
        await open_failures(driver)
        line = next(line for line in driver.lines if "3 reasons" in line)
        x = line.index("card declined") - driver.one(ReasonLine).region.x
        for count in (4, 8):
            await driver.pilot.click(ReasonLine, offset=(x, 0))
            await driver.shows(f"{count} of 8 held")


async def test_new_dead_letters_are_counted() -> None:
    broker = failing()
    async with running(broker=broker) as driver:
        await open_failures(driver)
        headers = (("kafka_dlt-exception-message", "timeout"), ("kafka_dlt-original-topic", "payments"))
        broker.append("payments-dlt", Event(None, b"{}", written=Content(headers)))
        await driver.shows("4 reasons in 9 held")


async def test_where_nothing_failed_there_are_no_reasons_to_go_to() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("W")
        await driver.shows("Only dead letters have reasons")


async def test_a_column_is_sorted_up_then_down_then_not() -> None:
    async with running((160, 40), failing()) as driver:
        table = await open_failures(driver)

        def numbers() -> list[str]:
            return [line.partition('{"id":')[2][:1] for line in driver.lines if '{"id":' in line][:8]

        await driver.press("up")
        table.columns = [column_of(path) for path in ("time", "body.id", "body")]
        await driver.press("S")
        await driver.shows("body.id ↑")
        assert table.cursor == driver.app.events.sequences[0]
        first = numbers()
        await driver.press("S")
        await driver.shows("body.id ↓")
        await driver.until(lambda: numbers() == list(reversed(first)) == list("76543210"))
        await driver.press("S")
        await driver.hides("↓")
        await driver.until(lambda: numbers() == first)


async def test_a_sort_that_is_stopped_does_not_begin_again_with_what_comes_in() -> None:
    async with running() as driver:
        await driver.open()
        driver.hold(driver.app.context.archive.on_reader)
        await driver.press("S")
        await driver.shows("sorting by", "↑ 0%", "stop sorting")
        await driver.press("escape")
        await driver.hides("sorting by")
        driver.let_go()
        driver.broker.append("payments", payment(98), partition=0)
        await driver.shows("21 held")
        assert not driver.app.events._events.is_sorting and "↑" not in driver.text


async def test_what_comes_in_while_sorted_stands_at_the_end_behind_a_line() -> None:
    broker = shop()
    async with running((140, 40), broker) as driver:
        await driver.open()
        driver.one(EventTable).add_column("body.total")
        await driver.press("S", "S")
        await driver.shows("body.total ↓")
        broker.append("payments", payment(99), partition=0)
        await driver.press("G")
        await driver.shows("── arrived since it was sorted ──", '"id":99')
        lines = [line for line in driver.lines if "arrived since" in line or '"id":99' in line]
        assert "arrived since" in lines[0] and '"id":99' in lines[1]


async def test_a_filter_leaves_the_order_as_it_is() -> None:
    async with running((140, 40)) as driver:
        await driver.open()
        driver.one(EventTable).add_column("body.total")
        await driver.press("S", "S")
        await driver.shows("body.total ↓")
        await driver.press("slash", "=body.total > 15", "enter")
        await driver.shows("5 of 20 held", "body.total ↓")


async def test_a_filter_holds_against_an_order_that_is_still_being_found() -> None:
    async with running((160, 40), failing()) as driver:
        await open_failures(driver)
        events = driver.app.events._events
        for _ in range(2):
            events.sort_by(column_of("body.id"))
            # As far as a cancelled sort needs to end, and not as far as this one does.
            for _ in range(3):
                await asyncio.sleep(0)
        driver.app.events._put_query("body.id = 3")
        await driver.shows("1 of 8 held")
        await driver.until_settled()
        assert shown(driver) == 1


async def test_rows_stay_until_an_answer_is_there() -> None:
    async with running((140, 60)) as driver:
        await driver.open()
        before = [line[44:] for line in driver.lines if "PaymentSettled" in line]
        await driver.press("slash", "=typ = x", "enter")
        await driver.shows("Unknown field typ. Did you mean type?", "20 of 20 held")
        assert [line[44:] for line in driver.lines if "PaymentSettled" in line][-5:] == before[-5:]


async def test_a_gap_stands_where_it_happened() -> None:
    async with running((140, 40)) as driver:
        await driver.open()
        # What the look itself says of its coverage would take the place of what is said here.
        await driver.shows("esc stop")
        await driver.press("escape")
        await driver.hides("esc stop")
        store, events = driver.app.context.store, driver.app.events.sequences
        assert store is not None
        found = await store.rows(events[:2])
        times = [delivery.time[0] for delivery in found if delivery is not None]
        (look,) = [number for number, look in store.looks.items() if look.address.name == "payments"]
        gap = Gap("what arrived", "the program stood still", times[0] - 1, times[0] + 70_199, 35_883)

        def shown() -> bool:
            # The look itself tells every second what it has covered.
            store.cover(look, msgspec.structs.replace(Coverage(), gaps=(gap,)))
            return "── 70.2 s · at least 35,883 missing: the program stood still · " in driver.text

        await driver.press("g")
        await driver.until(shown)
        await driver.shows("20 of 20 held")


async def test_marks_are_counted_in_the_border() -> None:
    async with running() as driver:
        await driver.open()
        await driver.press("*")
        await driver.shows("20 marked")
        await driver.press("*", "g", "V", "down", "down", "V")
        await driver.shows("3 marked")
        await driver.press("I")
        await driver.shows("17 marked")
        await driver.press("V", "escape", "escape")
        assert not driver.one(EventTable).marks_range
