"""A connection is listed at its own beat, and of it what it is meant to show."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.memory import embedded_broker
from workbench.connecting.config import BEAT, Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.address import Address
from workbench.model.errors import ConfigError
from workbench.operations.watch import Watch
from workbench.session import Session


def connection(options: str, name: str | None = None) -> Connection:
    """A connection with a broker of its own, of a name or of any."""
    name = name or uuid4().hex
    broker = embedded_broker(name)
    for topic in ("shop-orders", "shop-mails", "audit"):
        broker.declare_topic(topic)
    broker.commit("mailer", "shop-mails", 0, 0)
    broker.commit("auditor", "audit", 0, 0)
    return Connection.parse(f"m=memory://{name}?{options}")


@asynccontextmanager
async def listed(
    options: str, broker: str | None = None
) -> AsyncIterator[tuple[Watch, "asyncio.Queue[tuple[int, int]]"]]:
    """A watch, and how many endpoints and groups there were whenever it told of them."""
    told = asyncio.Queue[tuple[int, int]]()
    async with asyncio.timeout(10), Session([connection(options, broker)]) as session, asyncio.TaskGroup() as group:
        watch = Watch(
            "m",
            lambda: session.connector("m"),
            lambda watch: told.put_nowait((len(watch.endpoints), len(watch.groups))),
            lambda: session.complete("m"),
        )
        running = group.create_task(watch.run())
        try:
            yield watch, told
        finally:
            running.cancel()


@pytest.mark.parametrize(
    ("options", "beat", "scope"),
    [
        ("", BEAT, "*"),
        ("watch=10s", 10.0, "*"),
        ("watch=1.5m&scope=shop-*", 90.0, "shop-*"),
        ("watch=1h", 3600.0, "*"),
        ("watch=off", None, "*"),
        ("watch=0", None, "*"),
        ("scope=", BEAT, "*"),
    ],
)
def test_a_url_says_how_often_and_what_is_listed(options: str, beat: float | None, scope: str) -> None:
    found = Connection.parse(f"m=memory://m?{options}")
    assert (found.beat, found.scope, found.options) == (beat, scope, {})


@pytest.mark.parametrize("beat", ["", "often", "10", "-1s", "0.5s", "1d", "1e3s"])
def test_a_beat_that_is_none_is_refused(beat: str) -> None:
    with pytest.raises(ConfigError, match=r"is not an interval: write 1s or more, such as 10s or 2m, or off\."):
        Connection.parse(f"m=memory://m?watch={beat}")


def test_the_configuration_says_it_too(tmp_path: Path) -> None:
    path = tmp_path / "workbench.toml"
    path.write_text('[connections.m]\nurl = "memory://m?watch=9s&scope=a*"\nwatch = "30s"\n')
    found = ConfigFile.read(path).connection("m")
    assert (found.beat, found.scope) == (30.0, "a*")
    path.write_text('[connections.m]\nurl = "memory://m"\nwatch = "30"\n')
    with pytest.raises(ConfigError, match=r"^m: watch=30 is not an interval"):
        ConfigFile.read(path).connection("m")


async def test_only_what_is_of_the_scope_is_listed() -> None:
    async with listed("scope=shop-*&watch=30s") as (watch, told):
        assert await told.get() == (2, 0)
        assert await told.get() == (2, 1)
        assert [address.name for address in watch.endpoints] == ["shop-mails", "shop-orders"]
        assert [group.name for group in watch.groups] == ["mailer"]
        assert watch.terms == " of shop-*, every 30 s"


async def test_endpoints_are_told_of_before_groups_are_asked_for() -> None:
    async with listed("watch=1s") as (watch, told):
        assert await told.get() == (3, 0)
        assert watch.state == "connected"
        # From then on both are told of at once: the groups of the listing before are still those.
        assert [await told.get(), await told.get()] == [(3, 2), (3, 2)]


async def test_without_a_beat_it_is_listed_when_asked() -> None:
    async with listed("watch=off") as (watch, told):
        assert [await told.get(), await told.get()] == [(3, 0), (3, 2)]
        with pytest.raises(TimeoutError):
            # Longer than the beat that a connection has where nothing is said.
            async with asyncio.timeout(BEAT + 1):
                await told.get()
        watch.refresh()
        assert await told.get() == (3, 2)
        assert watch.terms == ", listed on request"


async def test_the_rates_of_an_endpoint_that_is_gone_are_forgotten() -> None:
    broker_name = uuid4().hex
    async with listed("watch=off", broker_name) as (watch, told):
        assert [await told.get(), await told.get()] == [(3, 0), (3, 2)]
        watch.refresh()
        assert await told.get() == (3, 2)
        orders, audit = Address("m", "shop-orders"), Address("m", "audit")
        assert (len(watch.rates(orders)), len(watch.rates(audit))) == (1, 1)
        embedded_broker(broker_name).delete("audit")
        watch.refresh()
        assert await told.get() == (2, 2)
        assert (len(watch.rates(orders)), len(watch.rates(audit))) == (2, 0)


async def test_where_there_is_much_it_is_listed_less_often_and_says_so() -> None:
    name = uuid4().hex
    for number in range(997):
        embedded_broker(name).declare_topic(f"topic-{number}")
    async with listed("watch=1s", name) as (watch, told):
        assert [await told.get(), await told.get()] == [(1000, 0), (1000, 2)]
        assert watch.terms == ", every 9 s"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await told.get()
        watch.refresh()
        assert await told.get() == (1000, 2)
