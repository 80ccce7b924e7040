"""The environment: who gets passwords from it, and who does not."""

import ast
import os
from pathlib import Path

import pytest

from workbench.connecting import environment
from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import ConfigFile, Configured, expand
from workbench.connecting.environment import child_environment, password_variable
from workbench.model.errors import ConfigError
from workbench.session import Session

_ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_secret", set())
    monkeypatch.setenv("WORKBENCH_PASSWORD_MY_SHOP", "hunter2")
    monkeypatch.setenv("SHOP_PASSWORD", "hunter3")


async def password_of(session: Session, name: str) -> str | None:
    async with session:
        found = (await session.complete(name)).password
        return found.reveal() if found else None


@pytest.mark.parametrize("name", ["my-shop", "my.shop", "MY_SHOP", "my shop"])
async def test_a_password_comes_by_a_variable_of_the_connections_name(name: str) -> None:
    assert password_variable(name) == "WORKBENCH_PASSWORD_MY_SHOP"
    assert await password_of(Session([Connection.parse(f"{name}=memory://ops@m")]), name) == "hunter2"
    config = ConfigFile(connections={name: Configured("memory://ops@m", password_command="exit 1")})
    assert await password_of(Session(config=config), name) == "hunter2"


async def test_a_url_that_has_a_password_or_no_user_takes_none_from_a_variable() -> None:
    assert await password_of(Session([Connection.parse("my-shop=memory://ops:own@m")]), "my-shop") == "own"
    assert await password_of(Session([Connection.parse("my-shop=memory://m")]), "my-shop") is None


async def test_a_strangers_connection_gets_no_password_by_a_variable() -> None:
    asked: list[str] = []

    async def answer(connection: Connection, reason: ConfigError | None) -> Secret:
        asked.append(connection.name)
        return Secret("typed")

    said = {"my-shop": Configured("memory://ops@m")}
    config = ConfigFile(connections=said, stranger=Path("theirs.toml"), strangers=frozenset(said))
    session = Session(config=config, ask_password=answer)
    session.let_in("my-shop")
    assert (await password_of(session, "my-shop"), asked) == ("typed", ["my-shop"])


@pytest.mark.parametrize(
    "url",
    [
        "amqp://ops:${SHOP_PASSWORD}@h/?ca=${HOME}/ca.pem",
        "amqp://${SHOP_PASSWORD}/",
        "amqp://h?management=${SHOP_PASSWORD}",
        "amqp://h?${SHOP_PASSWORD}",
    ],
)
def test_programs_that_are_started_inherit_nothing_that_a_url_names(url: str) -> None:
    expand(url, "s")
    inherited = child_environment()
    assert not {"WORKBENCH_PASSWORD_MY_SHOP", "SHOP_PASSWORD"} & inherited.keys()
    assert inherited["HOME"] == os.environ["HOME"]


async def test_a_password_command_inherits_no_password(tmp_path: Path) -> None:
    said = Configured("memory://ops@m", password_command=f"env > {tmp_path}/seen; echo hunter4; echo a note")
    other = Configured("amqp://ops:${SHOP_PASSWORD}@h")
    found = await password_of(Session(config=ConfigFile(connections={"m": said, "other": other})), "m")
    assert found == "hunter4"
    assert "hunter" not in (tmp_path / "seen").read_text()


def test_whatever_starts_a_program_says_what_it_inherits() -> None:
    starting = {"create_subprocess_exec", "create_subprocess_shell", "Popen", "run_process", "system", "popen"}
    silent = [
        f"{path.relative_to(_ROOT)}:{node.lineno}"
        for package in ("workbench", "connectors", "views")
        for path in (_ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", getattr(node.func, "id", "")) in starting
        and "env" not in {each.arg for each in node.keywords}
    ]
    assert silent == []
