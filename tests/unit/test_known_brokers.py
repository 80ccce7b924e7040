"""A guard belongs to the broker, not to how its URL is spelled."""

import socket
import uuid
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from connectors.memory import MemoryConnector
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.folders import state_path
from workbench.connecting.guard import Guarded
from workbench.connecting.identity import BrokerIdentity, is_this_machine
from workbench.connecting.known_brokers import meet
from workbench.connecting.level import Level
from workbench.model.errors import GuardRefused
from workbench.session import Session

PRODUCTION = ConfigFile(
    connections={
        "prod": Configured("amqps://rabbit.example/shop", guard="look", production=True),
        "log": Configured("kafka://k1.example:9093,k2.example:9093", guard="observe"),
        "near": Configured("amqp://localhost:5673", guard="observe"),
    },
    path=Path("mine.toml"),
)


@pytest.mark.parametrize(
    ("url", "level", "production"),
    [
        ("alias=amqps://rabbit.example/shop", Level.LOOK, True),
        ("alias=amqp://RABBIT.example.:5672/other", Level.LOOK, True),
        ("prod=amqp://elsewhere.example", Level.LOOK, True),
        ("alias=kafka://k0.example,k2.example:9093", Level.OBSERVE, False),
        ("alias=amqp://127.0.0.1:5673", Level.OBSERVE, False),
        ("alias=amqp://[::1]", Level.OBSERVE, False),
        ("alias=amqp://localhost:5674", Level.MOVE, False),
        ("alias=kafka://rabbit.example:9092", Level.MOVE, False),
        ("alias=kafka://k1.example:9094", Level.MOVE, False),
    ],
)
async def test_a_url_of_a_configured_broker_is_guarded_as_that_is(url: str, level: Level, production: bool) -> None:
    given = msgspec.structs.replace(Connection.parse(url), level=Level.MOVE)
    async with Session([given], PRODUCTION) as session:
        assert (session.level(given.name), session.is_production(given.name)) == (level, production)
    async with Session([Connection.parse("other=memory://other")], PRODUCTION) as session:
        if given.name not in PRODUCTION.connections:
            session.add(given)
            assert (session.level(given.name), session.is_production(given.name)) == (level, production)


class Tunnelled(MemoryConnector):
    """A broker behind a port of this machine."""

    embedded = False
    says: ClassVar = BrokerIdentity("kafka abc", ("kafka-1.example",))

    async def identity(self) -> BrokerIdentity:
        return self.says


class Near(Tunnelled):
    """A broker on this machine."""

    says = BrokerIdentity("kafka near", ("127.0.0.1",))


def near(kind: type[Tunnelled], level: Level | None = None) -> Guarded:
    connection = msgspec.structs.replace(Connection.parse("m=memory://localhost"), level=level)
    return Guarded(kind(connection), connection)


@pytest.mark.parametrize(
    ("kind", "said", "level"),
    [
        (Near, None, Level.PUBLISH),
        (Tunnelled, None, Level.OBSERVE),
        (Tunnelled, Level.MOVE, Level.MOVE),
        (Near, Level.MOVE, Level.MOVE),
    ],
)
async def test_what_is_reached_on_this_machine_may_be_published_to_unless_it_lives_elsewhere(
    kind: type[Tunnelled], said: Level | None, level: Level
) -> None:
    async with near(kind, said) as connector:
        for wanted in list(Level)[1:]:
            if wanted <= level:
                await connector.permit(wanted, "it")
            else:
                with pytest.raises(GuardRefused, match="--guard") as refused:
                    await connector.permit(wanted, "it")
                assert ("lives on kafka-1.example" in str(refused.value)) == (kind is Tunnelled)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "::1", socket.gethostname(), f"{socket.gethostname()}.example"]
)
def test_a_broker_that_names_this_machine_lives_here(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["rabbit.example", "192.0.2.1", "2001:db8::1", "0a1b2c3d4e5f"])
def test_a_broker_that_names_another_machine_lives_elsewhere(host: str) -> None:
    assert not is_this_machine(host)


def guarded(name: str, file: Path | None, production: bool = False) -> Guarded:
    connection = msgspec.structs.replace(
        Connection.parse(f"{name}=memory://{uuid.uuid4().hex}"), level=Level.MOVE, production=production
    )
    return Guarded(Tunnelled(connection), connection, meet=lambda which, identity: meet(which, identity, file))


async def is_production(connector: Guarded) -> bool:
    async with connector:
        try:
            await connector.permit(Level.PUBLISH, "it")
        except GuardRefused as refused:
            assert "is production" in str(refused)
            return True
        return False


async def test_whoever_meets_the_broker_of_a_production_connection_is_in_production() -> None:
    mine = Path("mine.toml")
    assert not await is_production(guarded("alias", None))
    assert await is_production(guarded("prod", mine, production=True))
    for again in (guarded("alias", None), guarded("alias", Path("other.toml")), guarded("prod", None)):
        assert await is_production(again)
    assert state_path("production-brokers.json").stat().st_mode & 0o777 == 0o600
    # Another file says nothing of it, and the one that said it takes it back.
    assert await is_production(guarded("prod", Path("other.toml")))
    assert not await is_production(guarded("prod", mine))
    assert not await is_production(guarded("alias", None))


async def test_a_listing_is_enough_to_remember_a_production_broker() -> None:
    async with guarded("prod", Path("mine.toml"), production=True) as connector:
        await connector.endpoints()
    assert await is_production(guarded("alias", None))


async def test_a_file_that_cannot_be_read_hides_no_broker_from_its_user() -> None:
    path = state_path("production-brokers.json")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert not await is_production(guarded("alias", None))
    assert await is_production(guarded("prod", Path("mine.toml"), production=True))
    assert await is_production(guarded("alias", None))
