"""The palette: what is found, in which order, and what comes of it."""

import re
from uuid import uuid4

import pytest
from textual.geometry import Size
from textual.widgets import Input

from connectors.memory import embedded_broker
from tests.views.driver import Driver, running
from views import palette
from views.palette import Choice, Choices, Names, Palette
from views.trace import Trace
from views.widgets.endpoint_tree import EndpointTree


def offered(driver: Driver) -> list[str]:
    """The names of what is offered, from the top."""
    return [choice.name for choice in driver.app.screen.query_one(Choices)._choices]


def endpoints(*addresses: str) -> Names[str]:
    return Names((each, each) for each in addresses)


def found(addresses: Names[str], query: str, most: int = 50) -> list[str]:
    return [address for _, address in addresses.find(query, most)]


def test_starts_of_words_come_first_then_what_is_within_words_then_what_is_scattered() -> None:
    addresses = endpoints("k/repaid", "k/p-a-i", "k/un.paid", "k/paid", "k/nothing")
    assert found(addresses, "paid") == ["k/paid", "k/un.paid", "k/repaid"]
    assert found(addresses, "pai") == ["k/paid", "k/un.paid", "k/repaid", "k/p-a-i"]
    assert found(addresses, "K/PAID")[0] == "k/paid"
    assert found(addresses, "k/p", 1) == ["k/p-a-i"]
    assert found(addresses, "none of them") == []
    assert found(endpoints(), "x") == []


def test_what_is_scattered_is_looked_for_once_in_names_that_repeat_themselves() -> None:
    zeros = "0" * 200
    assert found(endpoints(f"k/{zeros}", f"k/{zeros}-x"), "0" * 20 + "x") == [f"k/{zeros}-x"]
    assert found(endpoints(r"k/a]b^c\d-e"), r"a]^\-e") == [r"k/a]b^c\d-e"]


def test_an_action_is_found_by_its_name_its_key_and_its_sentence() -> None:
    theme = Choice("theme", "Theme", "Switch between dark and light.", ("D",), lambda: None)
    ranks = {query: theme.rank(query) for query in ("theme", "D", "the", "dark light", "hem", "witch", "tme", "x")}
    assert ranks == {"theme": 0, "D": 0, "the": 1, "dark light": 3, "hem": 4, "witch": 5, "tme": 6, "x": None}


async def test_an_address_opens_its_endpoint() -> None:
    async with running() as driver:
        await driver.press("colon", *"shop/paym", "enter")
        await driver.shows("PaymentSettled")
        assert driver.app.events.query_one("#table").has_focus


async def test_the_name_of_a_group_opens_it() -> None:
    async with running() as driver:
        await driver.until(lambda: driver.app.context.watches["shop"].groups)
        await driver.press("2", "colon", "=ledg")
        assert [choice.note for choice in driver.app.screen.query_one(Choices)._choices] == ["consumer group"]
        await driver.press("enter")
        await driver.shows("ledger", "members", "committed")
        line = driver.app.events.query_one(EndpointTree).line
        assert line is not None and line.group == "ledger"
        await driver.press("colon")
        assert offered(driver)[0] == "shop/ledger"
        await driver.press("enter", "escape")
        await driver.until(lambda: driver.app.events.query_one(EndpointTree).has_focus)


async def test_an_endpoint_whose_reading_costs_shows_its_price_first() -> None:
    async with running() as driver:
        await driver.press("2", "colon", "=quorum", "enter")
        await driver.shows("b browse")
        assert driver.app.events.query_one(EndpointTree).has_focus


async def test_what_was_chosen_last_is_offered_first() -> None:
    async with running() as driver:
        await driver.press("colon", "=theme", "enter", "colon", "=payments", "enter")
        await driver.shows("PaymentSettled")
        await driver.press("colon")
        assert offered(driver)[:2] == ["shop/payments", "Theme"]


async def test_what_cannot_be_done_comes_last_with_its_reason_and_says_it_when_it_is_named() -> None:
    async with running() as driver:
        await driver.press("colon")
        names = offered(driver)
        assert names.index("Clone") > names.index("Help")
        await driver.press("=tra")
        assert offered(driver)[0] != "Trace" and "Trace" in offered(driver)
        await driver.shows("There is no event at the cursor.")
        await driver.press("c", "e", "enter")
        await driver.until(lambda: not isinstance(driver.app.screen, Palette))
        await driver.shows("There is no event at the cursor.")


@pytest.mark.parametrize("typed", ["q", "quit", ":q"])
async def test_it_is_left_by_name(typed: str) -> None:
    async with running() as driver:
        await driver.press("colon", *("colon" if key == ":" else key for key in typed), "enter")
        await driver.until(lambda: not driver.app.is_running)


async def test_keys_are_shown_as_their_user_has_settled_them_and_those_that_mean_nothing_find_nothing() -> None:
    async with running() as driver:
        await driver.press("colon", "=theme")
        await driver.until(lambda: any(line.rstrip(" │┃").endswith(" D") for line in driver.lines))
        await driver.press("ctrl+u", "=zzzz")
        await driver.shows("No action, endpoint or group is called 'zzzz'.")
        await driver.press("enter")
        assert isinstance(driver.app.screen, Palette)
        await driver.press("escape")
        assert not isinstance(driver.app.screen, Palette)


async def test_a_line_is_chosen_by_arrows_and_by_a_click() -> None:
    async with running() as driver:
        await driver.press("colon", "=go to trace", "down", "up", "enter")
        await driver.until(lambda: isinstance(driver.app.base_screen, Trace))
        await driver.press("colon", "=theme")
        before = driver.app.theme
        await driver.pilot.click(Choices, offset=(3, 0))
        await driver.until(lambda: driver.app.theme != before)


@pytest.mark.parametrize("size", [(1, 1), (20, 6), (80, 24), (220, 60)])
async def test_it_holds_at_any_size(size: tuple[int, int]) -> None:
    async with running(size) as driver:
        await driver.press("colon", "=t", "down", "pagedown", "up", "escape")
        assert driver.app.size == Size(*size)


async def test_ten_thousand_endpoints_are_no_more_work_than_what_is_shown() -> None:
    broker = embedded_broker(f"many-{uuid4().hex}")
    for number in range(10_000):
        broker.declare_queue(f"queue-{number:05}")
    async with running(broker=broker) as driver:
        await driver.press("colon", "=queue-0")
        assert len([name for name in offered(driver) if "queue" in name]) == 50
        await driver.press("ctrl+u", "=9876", "enter")
        await driver.shows("─ shop/queue-09876", "Nothing was read yet")


async def test_a_pasted_page_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []
    scattered = palette._scattered_pattern

    def noted(wanted: str) -> re.Pattern[str]:
        looked_for.append(wanted)
        return scattered(wanted)

    monkeypatch.setattr(palette, "_scattered_pattern", noted)
    async with running() as driver:
        await driver.press("colon", "=zz")
        assert "zz" in looked_for
        driver.app.screen.query_one(Input).value = "long " * 500
        await driver.press("home", "=k")
        await driver.shows("No action, endpoint or group is called 'klong long")
    assert max(map(len, looked_for)) <= palette.LONGEST
