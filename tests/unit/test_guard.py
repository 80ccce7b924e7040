"""What a connection's level allows, on the embedded broker."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from connectors.memory import MemoryConnector, embedded_broker
from workbench.connecting.config import Connection
from workbench.connecting.guard import Guarded
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import GuardRefused
from workbench.model.event import Event
from workbench.session import Session

QUEUE, TOPIC, EXCHANGE = Address("m", "queue"), Address("m", "topic"), Address("m", "exchange", "exchange")


class Typist:
    """Confirms, or not, and remembers what it was asked."""

    def __init__(self, types: bool = True) -> None:
        self.types = types
        self.asked: list[Level] = []

    async def __call__(self, connection: Connection, level: Level) -> bool:
        self.asked.append(level)
        return self.types


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    name = uuid.uuid4().hex
    broker = embedded_broker(name)
    broker.declare_queue("queue")
    broker.declare_topic("topic")
    broker.declare_exchange("exchange")
    broker.bind("exchange", "queue", "#")
    yield Connection.parse(f"m=memory://{name}")


def guarded(connection: Connection, level: Level, typist: Typist | None = None) -> Guarded:
    connection = msgspec.structs.replace(connection, level=level, production=typist is not None)
    return Guarded(MemoryConnector(connection), connection, typist or Typist())


async def allowed(connector: Guarded) -> set[str]:
    done = set()
    async with connector:
        for name, entered in (
            ("browse a topic", lambda: connector.browse(TOPIC)),
            ("tail a topic", lambda: connector.tail(TOPIC)),
            ("browse a queue", lambda: connector.browse(QUEUE)),
            ("tap an exchange", lambda: connector.tail(EXCHANGE)),
            ("publish", lambda: connector.publisher()),
            ("claim", lambda: connector.claim(QUEUE, "move")),
            ("destroy", lambda: connector.claim(QUEUE, "destroy")),
            ("transaction", lambda: connector.transaction("ledger")),
        ):
            try:
                async with entered():
                    done.add(name)
            except GuardRefused:
                pass
        assert await connector.endpoints()
    return done


FREE = {"browse a topic", "tail a topic"}
LOOKS = {*FREE, "browse a queue", "tap an exchange"}


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Level.OBSERVE, FREE),
        (Level.LOOK, LOOKS),
        (Level.PUBLISH, {*LOOKS, "publish"}),
        (Level.MOVE, {*LOOKS, "publish", "claim", "transaction"}),
        (Level.DESTROY, {*LOOKS, "publish", "claim", "transaction", "destroy"}),
    ],
)
async def test_a_level_allows_itself_and_what_is_below(
    connection: Connection, level: Level, expected: set[str]
) -> None:
    assert await allowed(guarded(connection, level)) == expected


async def test_a_refusal_says_what_is_needed(connection: Connection) -> None:
    async with guarded(connection, Level.OBSERVE) as connector:
        with pytest.raises(GuardRefused, match="m is guarded at 'observe': publishing needs 'publish'"):
            async with connector.publisher():
                pass


async def test_a_refused_publisher_reaches_nothing(connection: Connection) -> None:
    async with guarded(connection, Level.LOOK) as connector:
        with pytest.raises(GuardRefused):
            async with connector.publisher() as publisher:
                await publisher.send(QUEUE, [Event(b"k", b"body")])
        assert (await connector.endpoint(QUEUE)).depth == 0


async def test_claims_that_destroy_need_more_than_those_that_move(connection: Connection) -> None:
    async with guarded(connection, Level.MOVE) as connector:
        with pytest.raises(GuardRefused, match="destroying events of m/queue needs 'destroy'"):
            async with connector.claim(QUEUE, "destroy"):
                pass
        async with connector.transaction("ledger") as transaction:
            with pytest.raises(GuardRefused, match="destroying events of m/topic needs 'destroy'"):
                async with transaction.claim(TOPIC, "destroy"):
                    pass
            async with transaction.claim(TOPIC, "move"), transaction.publisher():
                pass


async def test_production_asks_for_its_name_once_for_a_level(connection: Connection) -> None:
    typist = Typist()
    async with guarded(connection, Level.MOVE, typist) as connector:
        for _ in range(2):
            async with connector.browse(QUEUE), connector.publisher():
                pass
        async with connector.browse(TOPIC):
            pass
    assert typist.asked == [Level.LOOK, Level.PUBLISH]


async def test_production_without_its_name_allows_what_is_free(connection: Connection) -> None:
    assert await allowed(guarded(connection, Level.MOVE, Typist(types=False))) == FREE


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("memory://any", Level.MOVE),
        ("amqp://localhost", Level.PUBLISH),
        ("amqp://127.0.0.2:5673", Level.PUBLISH),
        ("amqp://[::1]", Level.PUBLISH),
        ("kafka://localhost,127.0.0.1:9093", Level.PUBLISH),
        ("kafka://localhost,example.org", Level.OBSERVE),
        ("amqp://127.0.0.1.example.org", Level.OBSERVE),
        ("amqp://10.0.0.1", Level.OBSERVE),
    ],
)
def test_a_connection_on_the_spot_may_publish_on_this_machine_and_observe_elsewhere(url: str, level: Level) -> None:
    connection = Connection.parse(f"m={url}")
    connector = MemoryConnector(connection) if connection.scheme == "memory" else None
    assert Guarded(connector or Remote(), connection).level == level  # type: ignore[arg-type]


class Remote:
    """A connector that is never opened."""


async def test_a_plugin_gets_no_more_by_what_it_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme, package = f"plugin{uuid.uuid4().hex[:8]}", f"plugin_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{package}.py").write_text("from connectors.memory import MemoryConnector\n")
    installed = tmp_path / f"{package}-1.dist-info"
    installed.mkdir()
    (installed / "entry_points.txt").write_text(f"[event_workbench.connectors]\n{scheme} = {package}:MemoryConnector\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    broker = embedded_broker("broker.example")
    broker.declare_queue("queue")
    async with Session([Connection.parse(f"m={scheme}://broker.example")]) as session:
        # It says that its broker is embedded, which would allow to move.
        assert (session.level("m"), session.is_embedded("m")) == (Level.OBSERVE, False)
        connector = await session.connector("m")
        assert (await connector.endpoint(QUEUE)).depth == 0
        with pytest.raises(GuardRefused, match="m is guarded at 'observe'"):
            await connector.permit(Level.MOVE, "moving")
        with pytest.raises(GuardRefused, match="m is guarded at 'observe'"):
            async with connector.claim(QUEUE, "move"):
                pass
