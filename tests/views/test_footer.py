"""The footer and the title: keys that work where the focus is, and the screens by their keys."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from textual.widget import Widget
from textual.widgets import Input, TextArea

from connectors.memory import embedded_broker
from tests.views.driver import Driver, address, payment, running, shop
from views.actions import ACTIONS, key_conflict, key_name
from views.app import Opening, Workbench
from views.connections import Connections
from views.events import Events
from views.trace import Trace
from views.widgets.key_bar import KeyBar, Offer
from views.widgets.title_bar import TitleBar
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.errors import ConfigError

THREADS = 40
"""More than asyncio has."""
MODES = ("events", "trace", "dead_letters", "journal", "connections", "publish")


def offers(driver: Driver) -> list[Offer]:
    """What the footer offers, however wide the screen."""
    screen = driver.app.base_screen
    assert screen is not None
    here, everywhere = screen._offers()
    return [*here, *everywhere]


async def focusable(driver: Driver, mode: str) -> list[Widget]:
    """All widgets of a screen that can have the focus."""
    driver.app.go(mode)
    await driver.pilot.pause()
    screen = driver.app.base_screen
    assert screen is not None
    return [widget for widget in screen.query("*").results(Widget) if widget.can_focus]


@pytest.mark.parametrize("mode", MODES)
async def test_no_field_is_offered_a_key_that_types_a_letter(mode: str) -> None:
    async with running((220, 60)) as driver:
        await driver.open()
        fields = 0
        for widget in await focusable(driver, mode):
            if not isinstance(widget, Input | TextArea):
                continue
            fields += 1
            widget.display = True
            widget.focus()
            await driver.pilot.pause()
            assert widget.has_focus
            listed = offers(driver)
            assert listed
            assert all(len(offer.key) > 1 or not offer.key.isascii() for offer in listed), (widget, listed)
            assert all(offer.label in driver.lines[-1] for offer in listed[:2]), driver.lines[-1]
        assert fields or mode not in ("events", "trace", "publish")


@pytest.mark.parametrize("mode", MODES)
async def test_every_key_in_the_footer_reaches_its_action_wherever_the_focus_is(mode: str) -> None:
    async with running((220, 60)) as driver:
        await driver.open()
        names = {action.id: [key_name(key) for key in action.keys.split(",")] for action in ACTIONS}
        for widget in await focusable(driver, mode):
            widget.focus()
            await driver.pilot.pause()
            screen = driver.app.base_screen
            assert screen is not None
            active = {key_name(key): node for key, (node, *_) in screen.active_bindings.items()}
            for offer in offers(driver):
                if offer.action and offer.action != "back":
                    assert offer.key in names[offer.action]
                    assert active[offer.key] is screen, (widget, offer)


async def open_table(driver: Driver) -> None:
    driver.app.go("events")
    await driver.open()


async def open_alone(driver: Driver) -> None:
    await open_table(driver)
    if not driver.app.events._zoomed:
        await driver.press("z")


async def open_event(driver: Driver) -> None:
    await open_table(driver)
    await driver.press("enter")
    await driver.until(lambda: driver.app.events.query_one("#inspector").has_focus)


async def open_sorted(driver: Driver) -> None:
    await open_table(driver)
    await driver.press("S")
    await driver.shows("↑")


async def open_sorting(driver: Driver) -> None:
    driver.let_go()
    await driver.press("escape")
    await open_table(driver)
    # Sorting is done where the store is read.
    driver.hold(driver.app.context.archive.on_reader)
    await driver.press("S")
    await driver.until(lambda: "stop sorting" in driver.lines[-1])


async def open_searching(driver: Driver) -> None:
    driver.let_go()
    driver.app.go("events")
    await driver.until(lambda: not driver.app.events._sources.searches or not driver.app.events._sources.running)
    await driver.open("long")
    # The few that are found first are shown; for more, the query is asked on a thread.
    threads = partial(asyncio.get_running_loop().run_in_executor, None)
    driver.hold(lambda wait: [threads(wait) for _ in range(THREADS)])
    await driver.press("slash", "ctrl+u", "=total", "enter", "s", "enter")
    await driver.shows("searching …", "5 of 5")
    await driver.until(lambda: "stop searching" in driver.lines[-1])


async def open_group(driver: Driver) -> None:
    driver.app.go("events")
    driver.app.open_group("shop", "ledger")
    await driver.until(lambda: "open the event it reads next" in driver.lines[-1])


async def open_trace(driver: Driver) -> None:
    await open_table(driver)
    await driver.press("t")
    await driver.shows("PaymentSettled", "flow-9")
    await driver.until(lambda: "lanes or tree" in driver.lines[-1] or driver.app.size.width < 100)


STATES: dict[str, tuple[tuple[int, int], Callable[[Driver], Awaitable[None]]]] = {
    "a narrow table": ((80, 24), open_table),
    "a table alone": ((120, 36), open_alone),
    "a narrow event": ((80, 24), open_event),
    "a sorted table": ((120, 36), open_sorted),
    "a table that is being sorted": ((120, 36), open_sorting),
    "a search that goes on": ((120, 36), open_searching),
    "a narrow group": ((80, 24), open_group),
    "a group": ((120, 36), open_group),
    "a trace": ((160, 48), open_trace),
}


def shown(driver: Driver) -> object:
    """All that a user could notice."""
    strips = driver.app.screen._compositor.render_strips()
    drawn = [[(text, str(style)) for text, style, _ in strip] for strip in strips]
    return drawn, driver.app.focused, driver.app.current_mode, len(list(driver.app.messages)), driver.app.clipboard


@pytest.mark.parametrize("state", STATES)
async def test_no_key_in_the_footer_does_nothing(state: str) -> None:
    size, enter = STATES[state]
    keys = {key_name(key): key for action in ACTIONS for key in action.keys.split(",")} | {"esc": "escape"}
    broker = shop()
    broker.declare_topic("long", 2)
    for number in range(505):
        broker.append("long", payment(number), partition=number >= 5)
    async with running(size, broker) as driver:
        await enter(driver)
        await driver.until_settled()
        here = offers(driver)
        assert len(here) > 3
        for offer in here:
            before = shown(driver)
            await driver.press(keys.get(offer.key, offer.key))
            try:
                await driver.until(partial(changed, driver, before))
            except AssertionError as error:
                raise AssertionError(f"{offer.key} {offer.label} does nothing: {error}") from None
            while driver.app.screen is not driver.app.base_screen:
                await driver.press("escape")
            if offers(driver) != here:
                await enter(driver)
                await driver.until_settled()


def changed(driver: Driver, before: object) -> bool:
    return shown(driver) != before


async def test_the_footer_says_what_acts_in_the_panel_with_the_focus() -> None:
    async with running((220, 40)) as driver:
        await driver.until(lambda: "p publish" in driver.lines[-1])
        assert driver.lines[-1].rstrip().endswith("tab pane  : command  ? help")
        await driver.open()
        await driver.until(lambda: "x export" in driver.lines[-1] and "p publish" not in driver.lines[-1])
        await driver.press("enter")
        await driver.until(lambda: "= by this value" in driver.lines[-1] and "x export" not in driver.lines[-1])
        await driver.press("escape", "slash")
        await driver.until(lambda: "esc leave" in driver.lines[-1] and "? help" not in driver.lines[-1])


async def test_the_footer_says_one_thing_of_a_key() -> None:
    async with running((160, 40)) as driver:
        await driver.press("6")
        await driver.until(lambda: "tab next field" in driver.lines[-1])
        assert "tab pane" not in driver.lines[-1]


async def test_a_narrow_footer_keeps_help_longest() -> None:
    async with running((24, 24)) as driver:
        await driver.until(lambda: driver.lines[-1].rstrip().endswith("? help"))
        assert "command" not in driver.lines[-1]


async def test_where_there_is_little_room_keys_that_always_act_and_the_way_back_stay_longest() -> None:
    async with running((80, 24)) as driver:
        await driver.open()
        await driver.until(lambda: driver.lines[-1].rstrip().endswith("tab pane  : command  ? help"))
        assert driver.lines[-1].startswith(" enter open  b browse")
        assert "esc stop" in driver.lines[-1] and "x export" not in driver.lines[-1]


async def test_a_key_of_the_users_own_stands_in_the_footer_and_in_the_title() -> None:
    async with running((160, 40), config=ConfigFile(keys={"browse": "w", "connections": "0"})) as driver:
        await driver.until(lambda: "w browse" in driver.lines[-1])
        assert "0 Connections" in driver.lines[0]


async def test_the_screens_stand_in_the_title_by_their_keys_and_are_clicked() -> None:
    async with running((120, 40), opening=Opening(demo=True)) as driver:
        await driver.shows("1 Events  2 Trace  3 Dead 1  4 Journal  5 Connections  6 Publish", "DEMO")
        await driver.pilot.click(TitleBar, offset=(driver.lines[0].index("Trace") + 1, 0))
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.press("escape")
        await driver.pilot.click(TitleBar, offset=(driver.lines[0].index("Connections"), 0))
        await driver.until(lambda: isinstance(driver.app.base_screen, Connections))


async def test_a_narrow_title_names_only_the_screen_that_is_shown() -> None:
    async with running((80, 24)) as driver:
        await driver.until(lambda: "1 Events  2  3 ✖1  4  5  6" in driver.lines[0])
        await driver.press("3")
        await driver.until(lambda: "1  2  3 Dead 1  4  5  6" in driver.lines[0])


async def test_a_title_names_screens_and_connections_as_long_as_there_is_any_room() -> None:
    names = ("orders-of-production", "analytics", "warehouse")
    brokers = [Connection.parse(f"{name}=memory://{shop().name}") for name in names]
    async with running((120, 24), connections=brokers) as driver:
        assert "4 Journal  5 Connections  6 Publish" in driver.lines[0]
        await driver.until(lambda: driver.lines[0].rstrip().endswith("● orde…tion  ● analytics  ● warehouse"))
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: "1 Events  2  3" in driver.lines[0] and "● warehouse" in driver.lines[0])


async def test_without_dead_letters_no_count_stands_there() -> None:
    async with running((120, 24), broker=embedded_broker("nobody-died")) as driver:
        assert "3 Dead  4 Journal" in driver.lines[0]


async def test_keys_in_the_footer_are_clicked() -> None:
    async with running((160, 40)) as driver:
        await driver.go_to("payments")
        await driver.pilot.click(KeyBar, offset=(driver.lines[-1].index("enter open"), 0))
        await driver.until(lambda: isinstance(driver.app.base_screen, Events) and driver.app.events.sequences)
        assert address("payments") in driver.app.events._sources.addresses


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"browse": "l"}, "'l' in [keys] is bound to both 'browse' and 'live' on Events."),
        ({"theme": "question_mark"}, "'?' in [keys] is bound to both 'theme' and 'help' on Events."),
        ({"theme": "?"}, "'?' in [keys] is bound to both 'theme' and 'help' on Events."),
        ({"drafts": "w,e"}, "'e' in [keys] is bound to both 'edit_body' and 'drafts' on Publish."),
        ({"browse": "x", "export": "x"}, "'x' in [keys] is bound to both 'browse' and 'export' on Events."),
    ],
)
def test_a_key_of_two_actions_of_a_screen_is_an_error_that_names_both(keys: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Workbench(Opening(), keys, None)
    assert str(caught.value) == sentence


def test_a_key_may_mean_one_thing_on_one_screen_and_another_on_another() -> None:
    assert key_conflict({}) is None
    assert key_conflict({"send": "x", "remove_field": "s,ctrl+s"}) is None
    assert key_conflict({"browse": "l", "live": "b"}) is None
