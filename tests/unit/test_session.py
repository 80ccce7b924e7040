"""A session: which connections it has, and how it reads events."""

import asyncio
import gzip
import pickle
from pathlib import Path

import msgspec
import pytest

from connectors.memory.connector import MemoryConnector
from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import AddressError, ConfigError, ConnectorError
from workbench.model.event import Delivery, Event
from workbench.session import Session

CONFIG = ConfigFile(
    default=("shop",),
    connections={"shop": Configured("memory://shop"), "log": Configured("memory://log")},
    masks=("body.card",),
    conventions=({"name": "ours", "correlation": "header.order-no"},),
)


def seen(body: bytes | None, *headers: tuple[str, str]) -> Delivery:
    return Delivery(Event(body=body, written=Content(headers)), Address("m", "q"), 0)


def test_without_connections_the_configured_default_ones_are_opened() -> None:
    assert Session(config=CONFIG).names == ["shop"]
    assert Session(config=msgspec.structs.replace(CONFIG, default=())).names == ["shop", "log"]


def test_given_connections_take_the_place_of_the_default_ones() -> None:
    assert Session([Connection.parse("a=memory://a"), "log"], CONFIG).names == ["a", "log"]


async def test_a_configured_connection_is_opened_when_an_address_names_it() -> None:
    async with Session(config=CONFIG) as session:
        assert session.address("log/payments") == Address("log", "payments")
        assert await (await session.connector("log")).endpoints() == []


def test_with_one_connection_its_name_may_be_left_out() -> None:
    session = Session([Connection.parse("a=memory://a")])
    assert session.address("orders/new") == Address("a", "orders/new")
    assert session.address("a/orders") == Address("a", "orders")
    assert session.address("exchange:orders") == Address("a", "orders", "exchange")


def test_an_unknown_connection_is_named_with_the_known_ones() -> None:
    session = Session([Connection.parse("a=memory://a"), Connection.parse("b=memory://b")])
    with pytest.raises(AddressError, match="no connection 'c': the connections are a, b"):
        session.address("c/orders")


def test_two_connections_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="Two connections are called 'a'"):
        Session([Connection.parse("a=memory://a"), Connection.parse("a=memory://b")])


@pytest.mark.parametrize(
    ("query", "delivery"),
    [
        ("correlation = 1001", seen(b"x", ("order-no", "1001"))),
        ("correlation = abc", seen(b"x", ("correlation-id", "abc"))),
        ("body.id = 7", seen(gzip.compress(b'{"id":7}', mtime=0))),
        ("body.id = 7", seen(msgspec.msgpack.encode({"id": 7}))),
        ("body.id = 7", seen(b"\0\0\0\0\x05" + b'{"id":7}', ("content-type", "application/json"))),
    ],
)
def test_queries_read_by_the_sessions_conventions_and_codecs(query: str, delivery: Delivery) -> None:
    asked = Session(config=CONFIG).query(query)
    assert asked.matches(delivery)
    assert not asked.matches(seen(b"{}"))


def test_what_is_masked_cannot_be_searched_for() -> None:
    assert not Session(config=CONFIG).query("4111").matches(seen(b'{"card":"4111"}'))
    assert Session().query("4111").matches(seen(b'{"card":"4111"}'))


def test_a_query_reads_alike_in_a_worker_process() -> None:
    for session in (Session(config=CONFIG), Session()):
        asked = pickle.loads(pickle.dumps(session.query("correlation = abc")))
        assert asked.matches(seen(b"x", ("correlation-id", "abc")))


COMMANDED = ConfigFile(
    connections={
        "shop": Configured("memory://ops@shop", production=True, password_command="echo ran >> runs; echo hunter2"),
        "broken": Configured("memory://ops@shop", production=True, password_command="echo ran >> runs; exit 1"),
    }
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


async def test_a_password_is_looked_up_once_for_all_who_ask_at_the_same_time(folder: Path) -> None:
    async with Session(config=COMMANDED) as session:
        found = await asyncio.gather(*(session.connector("shop") for _ in range(5)), session.complete("shop"))
        assert len({id(each) for each in found[:5]}) == 1
        assert runs(folder) == 1


async def test_a_password_that_cannot_be_had_is_remembered_until_it_is_wanted_again(folder: Path) -> None:
    async with Session(config=COMMANDED) as session:
        for _ in range(3):
            with pytest.raises(ConfigError, match="exit code 1"):
                await session.connector("broken")
        assert runs(folder) == 1
        session.retry("broken")
        with pytest.raises(ConfigError, match="exit code 1"):
            await session.connector("broken")
        assert runs(folder) == 2


async def test_whoever_is_asked_is_told_why_and_asked_once(folder: Path) -> None:
    asked: list[tuple[str, str]] = []
    wanted = asyncio.Event()

    async def ask(connection: Connection, reason: ConfigError | None) -> Secret | None:
        asked.append((connection.name, str(reason)))
        await wanted.wait()
        return Secret("typed")

    async with Session(config=COMMANDED, ask_password=ask) as session, asyncio.TaskGroup() as group:
        waiting = [group.create_task(session.complete("broken")) for _ in range(3)]
        # Who gives up does not take the question from the others.
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        wanted.set()
        found = (await waiting[1]).password, (await waiting[2]).password
    assert [each.reveal() for each in found if each] == ["typed", "typed"]
    assert asked == [("broken", "broken: its password_command gave no password (exit code 1).")]


async def test_a_question_ends_with_the_session(folder: Path) -> None:
    asked = asyncio.Event()

    async def ask(connection: Connection, reason: ConfigError | None) -> Secret | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    async with asyncio.TaskGroup() as group:
        async with Session(config=COMMANDED, ask_password=ask) as session:
            waiting = group.create_task(session.connector("broken"))
            await asked.wait()
        await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_production_is_known_without_any_secret(folder: Path) -> None:
    async with Session(config=COMMANDED) as session:
        assert session.is_production("shop")
        assert session.describe("shop").production
        assert session.level("shop") == Level.OBSERVE
        assert not session.is_production("nowhere")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("kafka://alice@localhost?tls&sasl=plain", Level.PUBLISH),
        ("kafka://alice@kafka.example?tls&sasl=plain", Level.OBSERVE),
        ("memory://shop", Level.MOVE),
        ("demo://shop", Level.MOVE),
    ],
)
def test_the_level_of_a_connection_by_url_is_known_without_its_password(url: str, level: Level) -> None:
    assert Session([Connection.parse(f"c={url}")]).level("c") == level


def test_production_is_known_where_a_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    config = ConfigFile(connections={"shop": Configured("amqp://ops:${NOWHERE}@h", production=True)})
    assert Session(config=config).is_production("shop")


async def test_a_removed_connection_is_closed_and_may_be_added_anew() -> None:
    async with Session([Connection.parse("a=memory://a"), Connection.parse("b=memory://b")]) as session:
        first = await session.connector("a")
        session.remove("a")
        assert session.names == ["b"]
        with pytest.raises(AddressError, match="There is no connection 'a'"):
            await session.connector("a")
        session.add(Connection.parse("a=memory://other"), 0)
        assert session.names == ["a", "b"]
        assert await session.connector("a") is not first


async def test_whoever_waits_for_a_connection_that_is_removed_gets_an_error(folder: Path) -> None:
    asking = asyncio.Event()

    async def never(connection: Connection, reason: ConfigError | None) -> Secret | None:
        asking.set()
        await asyncio.Event().wait()
        return None

    async def opened(session: Session) -> str:
        with pytest.raises(AddressError) as refused:
            await session.connector("a")
        return str(refused.value)

    async with (
        asyncio.timeout(30),
        Session([Connection.parse("a=memory://u@a")], ask_password=never) as session,
        asyncio.TaskGroup() as group,
    ):
        opening = group.create_task(opened(session))
        await asking.wait()
        session.remove("a")
        assert await opening == "The connection 'a' was removed."


async def test_where_a_connection_comes_from_is_known() -> None:
    config = msgspec.structs.replace(
        CONFIG, path=Path("mine.toml"), stranger=Path("theirs.toml"), strangers=frozenset({"log"})
    )
    async with Session([Connection.parse("a=memory://a"), "shop", "log"], config) as session:
        session.add(Connection.parse("b=memory://b"))
        assert [session.origin(name) for name in session.names] == [
            "start",
            Path("mine.toml"),
            Path("theirs.toml"),
            "session",
        ]
        session.remove("shop")
        session.add(Connection.parse("shop=memory://shop"))
        assert session.origin("shop") == Path("mine.toml")


async def test_a_connection_that_fails_to_close_does_not_keep_the_others_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = list[str]()

    async def leave(connector: MemoryConnector, *exception: object) -> None:
        name = connector._connection.name
        if name == "b":
            raise ConnectorError("b cannot be closed.")
        # The others take longer than the one that fails.
        for _ in range(10):
            await asyncio.sleep(0)
        left.append(name)

    monkeypatch.setattr(MemoryConnector, "__aexit__", leave)
    with pytest.raises(ConnectorError, match=r"^b cannot be closed\.$"):
        async with Session([Connection.parse(f"{name}=memory://{name}") for name in "abc"]) as session:
            for name in "abc":
                await session.connector(name)
    assert sorted(left) == ["a", "c"]
