"""Who is told to get a password, and what a user is told before it is sent."""

import pytest

from workbench.connecting.config import Connection, Secret
from workbench.connecting.logins import describe_receivers
from workbench.model.errors import ConfigError
from workbench.session import Session


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqps://ops@rabbit.example", "rabbit.example:5671 and rabbit.example:15671"),
        ("amqp://ops@rabbit.example", "rabbit.example:5672 (unencrypted) and rabbit.example:15672 (unencrypted)"),
        ("amqp://ops@localhost", "localhost:5672 and localhost:15672"),
        (
            "amqps://ops@a,b:5000?management=http://evil.example:8080",
            "a:5671, b:5000 and evil.example:8080 (unencrypted)",
        ),
        ("amqps://ops@a,b", "a:5671, b:5671, a:15671 and b:15671"),
        ("amqps://ops@a?management=https://b:8443,[::2]", "a:5671, b:8443 and [::2]:443"),
        ("amqps://ops@a?management=https://admin:own@evil.example", "a:5671"),
        ("kafka://ops@k.example", "k.example:9092 (unencrypted)"),
        ("kafka://ops@k.example?sasl=scram-sha-512", "k.example:9092"),
        ("kafka://ops@k1,[::2]:9093?tls&ca=missing.pem", "k1:9092 and [::2]:9093"),
        ("eventhubs://policy@n.servicebus.windows.net", "n.servicebus.windows.net:9093"),
        ("memory://ops@m", "m"),
        ("unheard-of://ops@h:1", "h:1"),
    ],
)
def test_every_host_that_gets_a_password_is_told(url: str, said: str) -> None:
    if "admin:own@" in url:
        url = url.replace("admin:own@", "admin:own%40")
    assert describe_receivers(Connection.parse(f"s={url}")) == said


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "amqp://ops:x@rabbit.example",
            ["s: its password goes unencrypted to rabbit.example:5672 and rabbit.example:15672."],
        ),
        ("amqp://ops:x@127.0.0.1", []),
        ("amqps://ops:x@rabbit.example", []),
        ("kafka://ops:x@k.example", ["s: its password goes unencrypted to k.example:9092."]),
        ("amqp://rabbit.example", []),
        (
            "amqps://ops:x@rabbit.example?management=http://admin:own%40api.example:15672",
            ["s: the password in management= goes unencrypted to api.example:15672."],
        ),
        (
            "amqp://ops:x@rabbit.example?management=http://admin:own%40api.example",
            [
                "s: its password goes unencrypted to rabbit.example:5672 and the password in management= goes"
                " unencrypted to api.example:80."
            ],
        ),
        ("amqps://ops:x@rabbit.example?management=https://admin:own%40api.example", []),
        ("amqps://ops:x@rabbit.example?management=http://admin:own%40localhost:15672", []),
    ],
)
async def test_a_password_goes_in_clear_to_another_machine_only_after_that_was_told(url: str, told: list[str]) -> None:
    said: list[str] = []
    async with Session([Connection.parse(f"s={url}")]) as session:
        session.tell = said.append
        await session.complete("s")
        await session.complete("s")
    assert said == told


async def test_who_is_asked_for_a_password_is_told_there() -> None:
    said: list[str] = []

    async def answer(connection: Connection, reason: ConfigError | None) -> Secret:
        said.append(describe_receivers(connection))
        return Secret("typed")

    async with Session([Connection.parse("s=kafka://ops@k.example")], ask_password=answer) as session:
        session.tell = said.append
        await session.complete("s")
    assert said == ["k.example:9092 (unencrypted)"]


@pytest.mark.parametrize(
    ("url", "cluster", "receivers", "told"),
    [
        (
            "kafka://ops:x@k.example?sasl=scram-sha-512",
            "tcp://dask.example:8786",
            "k.example:9092; for a search, tcp://dask.example:8786 (unencrypted) and its workers",
            ["s: its password goes unencrypted to tcp://dask.example:8786 and its workers."],
        ),
        ("kafka://ops:x@k?tls", "tls://d:8786", "k:9092; for a search, tls://d:8786 and its workers", []),
        ("kafka://ops:x@k?tls", "tcp://[::1]:8786", "k:9092; for a search, tcp://[::1]:8786 and its workers", []),
        ("kafka://k", "tcp://d:8786", "k; for a search, tcp://d:8786 (unencrypted) and its workers", []),
        ("amqps://ops:x@r", "tcp://d:8786", "r:5671 and r:15671", None),
    ],
)
async def test_a_cluster_that_gets_a_password_is_told(
    url: str, cluster: str, receivers: str, told: list[str] | None
) -> None:
    connection = Connection.parse(f"s={url}")
    assert describe_receivers(connection, cluster) == receivers
    said: list[str] = []
    async with Session([connection], cluster=cluster) as session:
        session.tell = said.append
        for _ in range(2):
            session.tell_of_cluster(connection)
    assert told is None or said == told


async def test_a_login_in_an_option_is_told_though_its_connections_password_is_asked_for() -> None:
    said: list[str] = []

    async def answer(connection: Connection, reason: ConfigError | None) -> Secret:
        return Secret("typed")

    url = "s=amqps://ops@rabbit.example?management=http://admin:own%40api.example:15672"
    async with Session([Connection.parse(url)], ask_password=answer) as session:
        session.tell = said.append
        await session.complete("s")
    assert said == ["s: the password in management= goes unencrypted to api.example:15672."]
