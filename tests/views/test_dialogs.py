"""What is asked on top of the screens: forms of labelled fields, and what the program said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.views.driver import Driver, running
from views.dialogs.choice import Choice
from views.dialogs.form import Answers, Check, Choose, Entry, Form, Switch
from views.widgets.message_line import MessageLine

FIELDS = (
    Entry("name", "Name", "shop", wrong=lambda text: "It has no name." if not text else None),
    Entry("password", "Password", hidden=True),
    Choose("guard", "Guard", [("read", "nothing is changed"), ("publish", ""), ("redrive", "")]),
    Switch("production", "production: ask before each change"),
    Check("columns", "Columns", ["time", "type", "body"], ["time", "body"]),
)


@asynccontextmanager
async def asking(form: Form, size: tuple[int, int] = (100, 40)) -> AsyncIterator[tuple[Driver, list[Answers]]]:
    answers: list[Answers] = []
    async with running(size) as driver:
        driver.app.fill(form, answers.append)
        await driver.until(lambda: driver.app.screen is form)
        await driver.pilot.pause()
        yield driver, answers


async def test_a_form_gives_what_its_fields_say() -> None:
    async with asking(Form("Add", FIELDS, "add")) as (driver, answers):
        await driver.shows("━ Add ━", "Name", "Guard", "(•) read", "nothing is changed", "[ ] production", "[x] time")
        await driver.shows("enter add", "tab next field", "esc cancel")
        await driver.press("tab", "=hunter2", "tab", "down", "tab", "space", "tab", "down", "space", "ctrl+up", "enter")
        await driver.until(lambda: answers)
        expected = ("shop", "hunter2", 1, True, ("type", "time", "body"))
        assert tuple(answers[0].values()) == expected
        assert "hunter2" not in driver.text


async def test_what_stands_in_a_field_is_replaced_by_what_is_typed() -> None:
    async with asking(Form("Add", FIELDS, "add")) as (driver, answers):
        await driver.press("=log", "enter")
        await driver.until(lambda: answers)
        assert answers[0]["name"] == "log"


async def test_what_is_wrong_is_said_beneath_its_field_and_nothing_typed_is_lost() -> None:
    async with asking(Form("Add", FIELDS, "add")) as (driver, answers):
        await driver.press("delete", "tab", "=secret", "tab", "j", "enter")
        await driver.shows("✖ It has no name.")
        at = next(number for number, line in enumerate(driver.lines) if "✖ It has no name." in line)
        assert "Name" in driver.lines[at - 1]
        await driver.press("=log", "enter")
        await driver.until(lambda: answers)
        assert answers == [{**answers[0], "name": "log", "password": "secret", "guard": 1}]


async def test_what_is_wrong_with_the_whole_leads_to_a_field() -> None:
    form = Form(
        "Add", FIELDS, "add", wrong=lambda answers: ("password", "Refused.") if not answers["password"] else None
    )
    async with asking(form) as (driver, answers):
        await driver.press("enter")
        await driver.shows("✖ Refused.")
        assert driver.app.screen.focused is form.query_one("#password")
        await driver.press("=secret", "enter")
        await driver.until(lambda: answers)


async def test_escape_leaves_a_form_from_every_field_in_one_press() -> None:
    for tabs in range(len(FIELDS)):
        async with asking(Form("Add", FIELDS, "add")) as (driver, answers):
            await driver.press(*["tab"] * tabs, "escape")
            await driver.until(lambda: driver.app.screen is driver.app.events)
            assert not answers


@pytest.mark.parametrize("columns", [1, 20, 80])
async def test_a_form_fits_any_terminal(columns: int) -> None:
    async with asking(Form("Add a connection", FIELDS, "add"), (columns, 12)) as (driver, answers):
        await driver.press("tab", "tab", "tab", "tab", "space", "enter")
        await driver.until(lambda: answers)
        assert not driver.app.failures


async def test_what_is_said_stands_above_the_keys_and_covers_nothing() -> None:
    async with running((80, 24)) as driver:
        before = list(driver.lines)
        driver.app.say("Done: 漢字 \x1b[31m.")
        await driver.until(lambda: "✔ Done: 漢字 ␛[31m." in driver.lines[-2])
        assert driver.lines[:-2] == before[:-2]
        assert driver.lines[-1] == before[-1]


async def test_a_long_message_is_shown_whole() -> None:
    async with running((80, 24)) as driver:
        sentence = " ".join(f"word{number}" for number in range(25))
        driver.app.say(sentence, "error")
        await driver.until(lambda: sentence in " ".join(" ".join(driver.lines[-4:-1]).split()))
        assert "help" in driver.lines[-1]


async def test_an_error_that_something_newer_took_the_place_of_is_counted_until_the_list_is_opened() -> None:
    async with running() as driver:
        driver.app.say("It failed.", "error")
        driver.app.say("Copied.")
        await driver.until(lambda: "✔ Copied.   ✖ 1 in M" in driver.lines[-2])
        await driver.press("M")
        await driver.shows("━ Messages ━")
        shown = [line for line in driver.lines if "It failed." in line or "Copied." in line]
        assert "✖ It failed." in shown[0] and "✔ Copied." in shown[1]
        await driver.press("escape")
        await driver.until(lambda: "in M" not in driver.lines[-2])


async def test_an_error_stays_until_escape() -> None:
    async with running() as driver:
        driver.app.say("It failed.", "error")
        await driver.press("5", "1", "j")
        await driver.until(lambda: "✖ It failed." in driver.lines[-2])
        await driver.press("escape")
        await driver.until(lambda: not driver.lines[-2].strip())


async def test_an_information_leaves_after_a_while() -> None:
    async with running() as driver:
        driver.app.say("Copied.")
        await driver.until(lambda: "Copied." in driver.lines[-2])
        driver.app.messages.shown = driver.app.messages.shown and type(driver.app.messages.shown)(
            0, "information", "Old."
        )
        driver.app.events.query_one(MessageLine).show()
        await driver.until(lambda: not driver.lines[-2].strip())


async def test_the_list_of_messages_says_when_there_is_none() -> None:
    async with running() as driver:
        await driver.press("M")
        await driver.shows("No messages yet.")


async def test_a_choice_says_what_enter_does() -> None:
    async with running() as driver:
        driver.app.push_screen(Choice("Drafts", [], "open"))
        await driver.shows("━ Drafts ━", "enter open", "esc cancel")
