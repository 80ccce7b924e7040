"""What nobody expected: it is logged and told, and what can go on goes on."""

import asyncio

import pytest
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import Input, Label

from tests.views.driver import PATIENCE, Driver, running, shop
from views.journal import Journal
from views.steady_app import KEY_WORK, SteadyApp
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.error_log import error_log


def _fail(*_: object) -> None:
    secret = "hunter2"
    raise KeyError(len(secret))


async def _told(driver: Driver) -> None:
    """The dialog is there, says no secret, and enter goes on to what can be worked with as before."""
    await driver.shows("Unexpected error", "unexpected KeyError")
    assert "hunter2" not in error_log().read_text()
    assert "KeyError" in error_log().read_text()
    await driver.press("enter")
    await driver.hides("Unexpected error")
    await driver.press("2", "question_mark")
    await driver.shows("Keys of Trace")


async def _ended(driver: Driver) -> None:
    """The program ends with a sentence. Textual's pilot cannot wait for it: it waits for a screen."""
    async with asyncio.timeout(PATIENCE):
        while not driver.app.failure:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "unexpected KeyError" in driver.app.failure
    assert driver.app.return_code == 1


async def test_an_exception_in_an_action_is_told_and_the_program_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkbenchScreen, "do_theme", _fail)
    async with running() as driver:
        await driver.press("D")
        await _told(driver)


async def test_an_exception_in_a_widgets_handler_does_not_make_it_deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as driver:
        await driver.press("2")
        field = driver.one(Input)
        field.focus()
        await driver.until(lambda: field.has_focus)
        with monkeypatch.context() as failing:
            failing.setattr(Input, "insert_text_at_cursor", _fail)
            await driver.press("x")
            await driver.shows("unexpected KeyError")
            await driver.press("enter")
            await driver.hides("unexpected KeyError")
        await driver.press("y")
        await driver.until(lambda: field.value == "y")


async def test_an_exception_in_a_worker_is_told_and_the_program_goes_on() -> None:
    async def fail() -> None:
        _fail()

    async with running() as driver:
        driver.app.run_worker(fail())
        await _told(driver)


async def test_an_exception_in_a_timer_is_told_and_the_program_goes_on() -> None:
    async with running() as driver:
        driver.app.set_timer(0.01, _fail)
        await _told(driver)


async def test_a_screen_that_cannot_be_composed_ends_the_program_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compose(self: Journal) -> ComposeResult:
        _fail()
        yield from ()

    monkeypatch.setattr(Journal, "compose_body", compose)
    async with running() as driver:
        driver.app.go("journal")
        await _ended(driver)


async def test_leaving_because_of_what_was_not_expected_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkbenchScreen, "do_theme", _fail)
    async with running() as driver:
        await driver.press("D")
        await driver.shows("unexpected KeyError")
        driver.app.simulate_key("q")
        await _ended(driver)


async def test_a_listing_reaches_screens_that_are_not_composed_yet_and_that_are_not_shown() -> None:
    broker = shop()
    async with running(broker=broker) as driver:
        # All in one go: no turn of the event loop in which a screen could be composed.
        for mode in ("trace", "dead_letters", "journal", "connections", "publish", "events"):
            driver.app.go(mode)
            for watch in driver.app.context.watches.values():
                driver.app.report_listing(watch)
        broker.declare_queue("new")
        driver.app.list_again()
        await driver.shows("new")
        assert not driver.app.failures


async def test_a_dialog_is_answered_once() -> None:
    answers: list[str] = []
    async with running() as driver:
        driver.app.ask("Once", "Say it.", answers.append, "yes")
        await driver.shows("Say it.")
        dialog = driver.app.screen
        dialog.dismiss({"text": "yes"})
        dialog.dismiss({"text": "yes"})
        await driver.hides("Say it.")
        await driver.until(lambda: answers == ["yes"])
        await asyncio.sleep(0)
        assert answers == ["yes"]
        assert driver.app.screen is driver.app.events


async def test_work_that_does_not_end_holds_up_one_key_and_not_each_of_many() -> None:
    async with running() as driver:
        await driver.open()
        release = asyncio.Event()
        driver.app.run_worker(release.wait(), group=KEY_WORK)
        # More of them than seconds in which the test gives up.
        for key in [*["down", "up"] * 40, "4"]:
            driver.app.post_message(Key(key, None))
        await driver.shows("Nothing was moved or deleted yet.")
        release.set()


class _Slow(Label):
    """A text whose end takes a while."""

    async def on_key(self) -> None:
        await asyncio.sleep(0.3)


class _Removing(SteadyApp):
    """Removes a slow text again and again, and is mostly waiting for its end."""

    rounds = 0

    async def run_async(self, **_: object) -> None:
        await super().run_async(headless=True, size=(80, 24))

    async def on_key(self, event: Key) -> None:
        event.stop()
        text = _Slow("")
        await self.screen.mount(text)
        text.post_message(Key("x", "x"))
        self.rounds += 1
        await text.remove()
        self.post_message(Key("x", "x"))


async def test_a_cancellation_ends_the_program_also_while_it_waits_for_the_end_of_a_widget() -> None:
    app = _Removing()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        task = group.create_task(app.run_until_left())
        while not app.is_running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        app.post_message(Key("x", "x"))
        while app.rounds < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert not app.is_running
