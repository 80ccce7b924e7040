"""Passwords on the screen: asked for in a dialog, once, and remembered as not given until they are wanted again."""

from pathlib import Path

import pytest
from textual.events import Key
from textual.widgets import Input

from tests.views.driver import Driver, running
from views.dialogs.form import Form
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.config_sources import find_config


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


async def asked(driver: Driver, name: str) -> None:
    await driver.until(lambda: isinstance(driver.app.screen, Form))
    await driver.shows(f"Password of {name}")


async def test_a_missing_password_is_asked_for_and_not_shown(folder: Path) -> None:
    connection = Connection.parse("m=memory://ops@asked-for")
    async with running(connections=[connection], connected=False) as driver:
        await asked(driver, "m")
        assert driver.app.screen.query_one(Input).password
        await driver.press("=hunter2")
        assert "hunter2" not in driver.text
        await driver.press("enter")
        await driver.until(lambda: driver.app.context.watches["m"].state == "connected")
        found = (await driver.app.context.session.complete("m")).password
        assert found is not None
        assert found.reveal() == "hunter2"


async def test_a_command_that_fails_is_run_once_and_its_password_asked_for(folder: Path) -> None:
    config = ConfigFile(
        connections={
            "m": Configured("memory://ops@failing", production=True, password_command="echo ran >> runs; exit 3")
        }
    )
    async with running((160, 40), config=config, connections=["m"], connected=False) as driver:
        await asked(driver, "m")
        await driver.shows("gave no password (exit code 3)")
        await driver.press("escape")
        await driver.shows("✖ m No password was given; r asks again")
        assert driver.app.context.session.is_production("m")
        await driver.press("5", "1")
        assert runs(folder) == 1
        await driver.press("r")
        await asked(driver, "m")
        assert runs(folder) == 2
        await driver.press("=hunter2", "enter")
        await driver.until(lambda: driver.app.context.watches["m"].state == "connected")
        assert runs(folder) == 2


async def test_passwords_of_several_connections_are_asked_for_one_after_the_other(folder: Path) -> None:
    given = [Connection.parse(f"{name}=memory://ops@several-{name}") for name in "ab"]
    async with running((160, 40), connections=given, connected=False) as driver:
        for name in "ab":
            await asked(driver, name)
            assert sum(isinstance(screen, Form) for screen in driver.app.screen_stack) == 1
            await driver.press("escape")
        await driver.shows("✖ a No password was given", "✖ b No password was given")


async def test_a_strangers_file_is_told_of(folder: Path) -> None:
    (folder / "workbench.toml").write_text('[connections.theirs]\nurl = "memory://theirs"')
    async with running(config=find_config(), connected=False) as driver:
        await driver.shows("is in use but not trusted")


async def test_a_strangers_connection_is_listed_and_opened_when_its_user_says_so(folder: Path) -> None:
    (folder / "workbench.toml").write_text('[connections.theirs]\nurl = "memory://ops@evil.example"')
    async with running((160, 40), config=find_config(), connections=[], connected=False) as driver:
        await driver.shows("theirs not trusted")
        await driver.press("5", "r")
        await driver.shows("○ not trusted", "enter asks")
        assert driver.app.context.session.names == []
        await driver.press("enter")
        await driver.shows("Connect to theirs?", "leads to evil.example", "variable or file of yours")
        await driver.press("escape")
        assert driver.app.context.session.names == []
        await driver.press("enter", "enter")
        await asked(driver, "theirs")
        await driver.shows("The password of ops goes to evil.example")
        await driver.press("=x", "enter")
        await driver.until(lambda: driver.app.context.watches["theirs"].state == "connected")
        assert driver.app.failures == []


async def test_a_dialog_that_opens_by_itself_takes_no_key_that_was_meant_for_what_it_covers(folder: Path) -> None:
    async with running() as driver:
        await driver.press("j")
        asking = driver.app.run_worker(driver.app.ask_password(Connection.parse("m=memory://ops@m"), None))
        # In one go, while somebody types: `4` and `enter` are the screen's.
        for key in ("4", "enter", "question_mark"):
            await driver.app.on_event(Key(key, None))
        await driver.shows("Keys of Journal")
        await asked(driver, "m")
        await driver.press("=hunter2", "enter")
        secret = await asking.wait()
        assert secret is not None and secret.reveal() == "hunter2"
        await driver.shows("Keys of Journal")
