"""A guard belongs to the broker, not to how its URL is spelled."""

import os
import socket
import uuid
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from connectors.memory import MemoryConnector, embedded_broker
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.config_sources import find_config, here_path, trust
from workbench.connecting.folders import state_path
from workbench.connecting.guard import Guarded
from workbench.connecting.hosts import is_this_machine
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.known_brokers import known_brokers, meet
from workbench.connecting.level import Level
from workbench.connecting.trust_review import what_trust_allows
from workbench.model.address import Address
from workbench.model.errors import ConfigError, GuardRefused
from workbench.session import Session

PRODUCTION = ConfigFile(
    connections={
        "prod": Configured("amqps://rabbit.example/shop", guard="look", production=True),
        "log": Configured("kafka://k1.example:9093,k2.example:9093", guard="observe"),
        "near": Configured("amqp://localhost:5673", guard="observe"),
        "ten": Configured("amqp://10.0.0.1:5672", guard="observe"),
        "six": Configured("amqp://[2001:db8::1]:5672", guard="observe"),
        "uni": Configured("amqp://bücher.example:5672", guard="observe"),
        "hub": Configured("eventhubs://policy@ns.example", guard="observe"),
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
        ("alias=amqp://127.1:5673", Level.OBSERVE, False),
        ("alias=amqp://0x7f000001:5673", Level.OBSERVE, False),
        ("alias=amqp://[::ffff:127.0.0.1]:5673", Level.OBSERVE, False),
        ("alias=amqp://0.0.0.0:5673", Level.OBSERVE, False),
        ("alias=amqp://[::]:5673", Level.OBSERVE, False),
        ("alias=amqp://0177.1:5673", Level.OBSERVE, False),
        ("alias=amqp://2130706433:5673", Level.OBSERVE, False),
        ("alias=amqp://\uff4cocalhost:5673", Level.OBSERVE, False),
        ("alias=amqp://127。0。0。1:5673", Level.OBSERVE, False),
        (f"alias=amqp://{socket.gethostname()}:5673", Level.OBSERVE, False),
        ("alias=amqp://10.1:5672", Level.OBSERVE, False),
        ("alias=amqp://[2001:0db8:0:0::0:1]:5672", Level.OBSERVE, False),
        ("alias=amqp://xn--bcher-kva.example:5672", Level.OBSERVE, False),
        ("alias=kafka://ns.example:9093", Level.OBSERVE, False),
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
    connection = msgspec.structs.replace(Connection.parse("m=kafka://localhost"), level=level)
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


class Repointed(MemoryConnector):
    """A tunnel that leads to another broker each time."""

    brokers: ClassVar[list[str]] = []

    async def identity(self) -> BrokerIdentity:
        return BrokerIdentity(self.brokers.pop(0))


PRODUCTION_M = msgspec.structs.replace(Connection.parse("m=memory://m"), level=Level.MOVE, production=True)


async def test_the_name_that_was_typed_for_one_broker_counts_for_no_other() -> None:
    asked = []
    # A name that was typed is for the broker that is there before and after.
    Repointed.brokers = ["one", "one", "one", "two", "two"]

    async def confirm(_: Connection, level: Level) -> bool:
        asked.append(level)
        return True

    async with Guarded(Repointed(PRODUCTION_M), PRODUCTION_M, confirm) as connector:
        for expected in (1, 1, 2):
            await connector.permit(Level.PUBLISH, "it")
            assert len(asked) == expected


async def test_the_name_that_is_typed_while_another_broker_comes_counts_for_neither() -> None:
    Repointed.brokers = ["one", "two", "two", "one"]

    async def confirm(_: Connection, level: Level) -> bool:
        return True

    async with Guarded(Repointed(PRODUCTION_M), PRODUCTION_M, confirm) as connector:
        for led, leads in (("one", "two"), ("two", "one")):
            with pytest.raises(GuardRefused, match=f"m led to {led} when its name was asked for, and leads to {leads}"):
                await connector.permit(Level.PUBLISH, "it")


def guarded(name: str, file: Path | None, production: bool = False, broker: str = "") -> Guarded:
    connection = msgspec.structs.replace(
        Connection.parse(f"{name}=memory://{broker or uuid.uuid4().hex}"), level=Level.MOVE, production=production
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


def says(path: Path, name: str, production: bool = True, url: str = "memory://m") -> Path:
    """A file that says of a connection whether it is production."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[connections.{name}]\nurl = "{url}"\nproduction = {str(production).lower()}\n')
    return path


async def test_whoever_meets_the_broker_of_a_production_connection_is_in_production(own_file: Path) -> None:
    mine = says(own_file, "prod")
    assert not await is_production(guarded("alias", None))
    assert await is_production(guarded("prod", mine, production=True))
    for again in (guarded("alias", None), guarded("alias", Path("other.toml")), guarded("prod", None)):
        assert await is_production(again)
    assert state_path("production-brokers.json").stat().st_mode & 0o777 == 0o600
    # Another file says nothing of it, and the one that said it takes it back.
    assert await is_production(guarded("prod", Path("other.toml")))
    says(mine, "prod", production=False)
    assert not await is_production(guarded("alias", None))
    says(mine, "prod")
    assert not await is_production(guarded("alias", None))


async def test_a_broker_that_is_met_as_production_is_so_for_connections_that_are_open(own_file: Path) -> None:
    async with guarded("alias", None) as alias:
        await alias.permit(Level.PUBLISH, "it")
        assert await is_production(guarded("prod", says(own_file, "prod"), production=True))
        with pytest.raises(GuardRefused, match="is production"):
            await alias.permit(Level.PUBLISH, "it")


@pytest.mark.parametrize("url", ["memory://shop", "memory://shop?watch=10s", "${NOT_SET}"])
async def test_a_production_broker_is_known_though_its_connection_is_called_otherwise(own_file: Path, url: str) -> None:
    mine = says(own_file, "prod", url="memory://shop")
    assert await is_production(guarded("prod", mine, production=True, broker="shop"))
    says(own_file, "shop-prod", url=url)
    assert await is_production(guarded("alias", None))
    says(own_file, "shop-prod", production=False, url=url)
    assert not await is_production(guarded("alias", None))


async def test_who_is_refused_for_a_configured_connection_is_told_so_and_not_to_give_a_guard() -> None:
    given = msgspec.structs.replace(Connection.parse("alias=memory://shop"), level=Level.DESTROY)
    shop = ConfigFile(connections={"shop": Configured("memory://shop", guard="observe")}, path=Path("mine.toml"))
    async with Session([given], shop) as session:
        with pytest.raises(GuardRefused, match="to its host and port, allows no more") as refused:
            await (await session.connector("alias")).permit(Level.PUBLISH, "it")
    assert "--guard" not in str(refused.value)


async def test_a_url_that_leads_where_a_production_connection_does_is_enough_to_know_its_broker(own_file: Path) -> None:
    shop = ConfigFile.read(says(own_file, "prod", url="amqp://localhost:5672"))
    both = "amqp://dev.example:5672,localhost:5672"
    given = [Connection.parse(each) for each in ("near=amqp://127.1:5672", "prod=amqp://a.example", f"both={both}")]
    async with Session(given, shop) as session:
        # One that may lead to others, too, is production, and makes none of them so.
        assert session.is_production("both")
        for name, known in (("prod", []), ("both", []), ("near", ["prod"])):
            session._meet(session.describe(name), BrokerIdentity(f"rabbitmq {name}"))
            assert [each.name for each in known_brokers()] == known


async def test_trust_shows_that_a_broker_was_met_as_production(own_file: Path, tmp_path: Path) -> None:
    here = says(here_path(), "x", production=False, url="memory://shop")
    theirs = says(tmp_path / "theirs.toml", "live", url="memory://shop")
    assert await is_production(guarded("live", theirs, production=True, broker="shop"))
    _, allowed = what_trust_allows(here)
    assert allowed[-1][0].what == "observe, as production (the file says observe, not as production)"


def test_a_production_broker_is_known_by_each_of_its_names(own_file: Path) -> None:
    prod = msgspec.structs.replace(Connection.parse("prod=amqp://a.example"), production=True)
    mine = says(own_file, "prod", url="amqp://a.example")
    assert meet(prod, BrokerIdentity("rabbitmq a", also=("rabbitmq a", "rabbitmq b")), mine) == "prod"
    alias = Connection.parse("alias=amqp://b.example")
    for met, name in (("rabbitmq a", "prod"), ("rabbitmq b", "prod"), ("rabbitmq c", "")):
        assert meet(alias, BrokerIdentity(met), None) == name
    assert meet(alias, BrokerIdentity("rabbitmq c", also=("rabbitmq b",)), None) == "prod"
    says(own_file, "prod", production=False, url="amqp://a.example")
    assert meet(alias, BrokerIdentity("rabbitmq b"), None) == ""


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_broker_is_remembered_that_is_production_for_where_another_files_connection_leads(
    own_file: Path, trusted: bool
) -> None:
    says(own_file, "prod", url="amqp://localhost:5672")
    here = says(here_path(), "x", production=False, url="amqp://127.1:5672")
    if trusted:
        trust(here)
    async with Session(["x"], find_config()) as session:
        assert session._meet(session.describe("x"), BrokerIdentity("rabbitmq a")) == "prod"
        [known] = known_brokers()
        assert (known.name, known.file) == ("prod", str(own_file))
    # By its place, not by its name: under that the user's own file may have another broker.
    says(own_file, "x", url="amqp://localhost:5673")
    if trusted:
        met = msgspec.structs.replace(Connection.parse("x=amqp://127.1:5672"), production=True)
        meet(met, BrokerIdentity("rabbitmq b"), here)
        assert [each.id for each in known_brokers()] == ["rabbitmq a"]
    if trusted:
        both = msgspec.structs.replace(Connection.parse("x=amqp://127.1:5673,dev.example"), production=True)
        meet(both, BrokerIdentity("rabbitmq c"), here)
        assert [each.id for each in known_brokers()] == ["rabbitmq a"]
    assert meet(Connection.parse("alias=amqp://elsewhere.example"), BrokerIdentity("rabbitmq a"), None) == ""
    assert known_brokers() == []


@pytest.mark.parametrize("what", ["renamed", "removed"])
async def test_a_production_connection_that_is_gone_from_its_file_is_forgotten(own_file: Path, what: str) -> None:
    assert await is_production(guarded("prod", says(own_file, "prod"), production=True))
    says(own_file, "live", production=what == "renamed")
    assert not await is_production(guarded("alias", None))


async def test_a_broker_stays_in_production_for_as_long_as_one_file_says_so(own_file: Path, tmp_path: Path) -> None:
    theirs = says(tmp_path / "theirs.toml", "live")
    assert await is_production(guarded("prod", says(own_file, "prod"), production=True))
    assert await is_production(guarded("live", theirs, production=True))
    says(own_file, "other")
    assert await is_production(guarded("alias", None))
    # By whoever names the file again.
    says(theirs, "other")
    assert not await is_production(guarded("alias", theirs))


async def test_only_a_file_that_is_still_trusted_takes_production_back(own_file: Path) -> None:
    here = says(here_path(), "prod")
    trust(here)
    assert await is_production(guarded("prod", here, production=True))
    content = here.read_bytes()
    for changed in (b"", b"damaged = "):
        here.write_bytes(changed)
        assert await is_production(guarded("alias", None))
    here.unlink()
    assert await is_production(guarded("alias", None))
    here.write_bytes(content.replace(b"true", b"false"))
    trust(here)
    assert not await is_production(guarded("alias", None))


async def test_who_lists_a_production_broker_is_told_where_it_cannot_be_remembered(own_file: Path) -> None:
    shop = ConfigFile.read(says(own_file, "prod", url=f"memory://{uuid.uuid4().hex}"))
    # In the place of what is locked to write it.
    state_path("production-brokers.lock").mkdir(parents=True)
    said: list[str] = []
    async with Session(["prod"], shop) as session:
        session.tell = said.append
        for _ in range(2):
            session._meet(session.describe("prod"), BrokerIdentity("kafka prod"))
    assert len(said) == 1
    assert "cannot be written: Is a directory. So the broker of prod is not remembered as production" in said[0]


@pytest.mark.parametrize("whole", [True, False])
async def test_to_list_or_describe_is_enough_to_remember_a_production_broker(own_file: Path, whole: bool) -> None:
    broker = uuid.uuid4().hex
    embedded_broker(broker).declare_queue("q")
    async with guarded("prod", says(own_file, "prod"), production=True, broker=broker) as connector:
        await (connector.endpoints() if whole else connector.endpoint(Address("prod", "q")))
    assert await is_production(guarded("alias", None))


@pytest.mark.parametrize("damage", ["{", "", "folder", "link", "fifo", "device"])
async def test_nothing_is_changed_while_the_production_brokers_cannot_be_read(damage: str) -> None:
    path = state_path("production-brokers.json")
    path.parent.mkdir(parents=True)
    if damage == "folder":
        path.mkdir()
    elif damage == "link":
        path.symlink_to("nothing")
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_text(damage)
    for connector in (guarded("alias", None), guarded("prod", Path("mine.toml"), production=True)):
        async with connector:
            assert await connector.endpoints() == []
            with pytest.raises(ConfigError, match=r"production-brokers\.json, which says which brokers are production"):
                await connector.permit(Level.PUBLISH, "it")
