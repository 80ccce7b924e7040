"""Everything over TLS with a login, what a user without permission is told, and brokers that nobody can reach."""

import asyncio
import os
import uuid
from pathlib import Path

import pytest

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import narrow
from tests.e2e.command import run
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import BASE, browse, lag_becomes, numbered, publish, take
from tests.kafka.strict import DESCRIBE, READ, TOPIC, WRITE, Permission, StrictKafka, permit
from workbench.connecting.config import Connection
from workbench.connecting.logins import exposure
from workbench.model.errors import AccessRefused, ConnectionLost, ConnectorError


def logged_in(kafka: KafkaAddress, mechanism: str = "scram-sha-512") -> KafkaConnector:
    return connect(kafka.sasl_url, ca=kafka.ca_file, sasl=mechanism)


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
async def test_everything_works_over_tls_with_a_login(kafka: KafkaAddress, mechanism: str) -> None:
    source, target = await make_topic(kafka.bootstrap, 3), await make_topic(kafka.bootstrap, 3)
    ledger = f"kafka-tests-move-{uuid.uuid4().hex}"
    async with logged_in(kafka, mechanism) as connector:
        async with connector.tail(source) as tail:
            receipts = await publish(connector, source, numbered(5_000, size=1_000))
            assert not any(receipt.error for receipt in receipts)
            assert len(await take(tail, 5_000)) == 5_000
        found = await browse(connector, source)
        assert [delivery.event.timestamp for delivery in found] == list(range(BASE, BASE + 5_000))
        async with connector.scan([source], [[b"event-4711."]]) as scan:
            assert [delivery.event.key async for batch in scan for delivery in batch] == [b"key-4711"]
            assert scan.coverage.complete
        async with (
            connector.transaction(ledger) as transaction,
            transaction.publisher() as publisher,
            transaction.claim(source, "move", 100) as claims,
        ):
            claimed = [delivery async for batch in claims for delivery in batch]
            await publisher.send(target, [delivery.event for delivery in claimed])
            assert not any(outcome.error for outcome in await claims.settle(range(100)))
        await lag_becomes(connector, ledger, 4_900)
        assert (await connector.endpoint(source)).depth == 5_000


async def test_a_broker_that_advertises_what_cannot_be_reached_is_told(strict: StrictKafka) -> None:
    address = await make_topic(strict.bootstrap)
    async with connect(strict.tls_url, ca=strict.ca_file) as connector:
        with pytest.raises(ConnectionLost) as caught:
            await connector.endpoint(address)
    assert str(caught.value) == (
        "The cluster names a broker at nowhere.invalid:9093 that cannot be reached from here (there is no host of that"
        " name): its advertised.listeners must name what this machine can reach."
    )


async def test_a_password_goes_in_clear_to_no_other_machine_that_only_the_cluster_names(kafka: KafkaAddress) -> None:
    target = kafka.sasl_url.rpartition("@")[2]
    async with narrow(target, renamed=(b"127.0.0.1", b"far.other"), ca=kafka.ca_file) as tunnel:
        port = tunnel.bootstrap.rpartition(":")[2]
        url = f"kafka://alice:alice-secret@{tunnel.bootstrap}"
        async with connect(url) as connector:
            with pytest.raises(ConnectorError, match=rf"far\.other:{port}, to which the password would go unencr"):
                await connector.endpoints()
        # Where it goes there is told, for the URL says so.
        named = Connection.parse(f"k={url},far.other:{port}")
        assert exposure(named) == f"k: its password goes unencrypted to far.other:{port}."
        async with connect(f"{url},far.other:{port}") as connector:
            with pytest.raises(ConnectionLost, match=r"cannot be reached"):
                await connector.endpoints()


async def test_a_topic_without_permission_is_told(strict: StrictKafka) -> None:
    address = await make_topic(strict.bootstrap)
    async with logged_in(strict) as connector:
        assert await connector.endpoints() == []
        [found] = [step.found async for step in connector.check() if step.name == "permissions"]
        assert found == "none on a topic: there are none, or this user may not see them"
        for look in (connector.browse(address), connector.tail(address)):
            with pytest.raises(AccessRefused, match=f"no permission to see topic {address.name}"):
                async with look:
                    pass
        with pytest.raises(AccessRefused, match="no permission to use group kafka-tests-nobody"):
            await connector.group("kafka-tests-nobody")


async def test_a_topic_that_may_be_seen_and_not_read_is_told(strict: StrictKafka) -> None:
    address = await make_topic(strict.bootstrap)
    await permit_alice(strict, address.name, DESCRIBE)
    async with logged_in(strict) as connector:
        assert [endpoint.address for endpoint in await connector.endpoints()] == [address]
        async with connect(strict.url) as other:
            await publish(other, address, numbered(1))
        with pytest.raises(AccessRefused, match=f"no permission to read topic {address.name}"):
            await browse(connector, address)
        [found] = [step.found async for step in connector.check() if step.name == "permissions"]
        assert found.startswith("may read 0 and write to 0 of ")
        receipts = await publish(connector, address, numbered(2))
        assert [type(each.error) for each in receipts] == [AccessRefused] * 2
        await permit_alice(strict, (await make_topic(strict.bootstrap)).name, WRITE)
        receipts = await publish(connector, address, numbered(2))
        assert all(f"no permission to write to topic {address.name}" in str(each.error) for each in receipts)


@pytest.mark.parametrize(
    "command",
    [
        ("browse", "--from", "beginning"),
        ("tail", "--from", "beginning", "--idle", "2"),
        ("find", "event", "--since", "beginning"),
    ],
    ids=lambda command: command[0],
)
async def test_what_may_be_read_is_read_beside_what_may_not(strict: StrictKafka, command: tuple[str, ...]) -> None:
    read, seen, unseen = [await make_topic(strict.bootstrap) for _ in range(3)]
    async with connect(strict.url) as other:
        for address in (read, seen, unseen):
            await publish(other, address, numbered(3))
    for address, operation in ((read, READ), (read, DESCRIBE), (seen, DESCRIBE)):
        await permit_alice(strict, address.name, operation)
    connection = f"kafka={strict.sasl_url}?ca={strict.ca_file}&sasl=plain"
    places = [f"kafka/{address.name}" for address in (read, seen, unseen)]
    name, *options = command
    searched = options[:1] if name == "find" else []
    arguments = (*searched, *places, *options[len(searched) :], "-c", connection, "-o", "body")
    done = await asyncio.to_thread(run, "workbench", name, *arguments)
    assert done.out.count("\n") == 3, done.err
    assert f"no permission to read topic {seen.name}" in done.err
    assert f"no permission to see topic {unseen.name}" in done.err
    assert f"no permission to read topic {read.name}" not in done.err
    assert done.code == 3


async def test_a_move_says_that_it_lacks_its_group(strict: StrictKafka, tmp_path: Path) -> None:
    source, target = await make_topic(strict.bootstrap), await make_topic(strict.bootstrap)
    async with connect(strict.url) as other:
        await publish(other, source, numbered(3))
    for address, operation in ((source, READ), (source, DESCRIBE), (target, WRITE), (target, DESCRIBE)):
        await permit_alice(strict, address.name, operation)
    connection = f"kafka={strict.sasl_url}?ca={strict.ca_file}&sasl=plain"
    arguments = ("move", f"kafka/{source.name}", f"kafka/{target.name}", "--yes", "-c", connection, "--guard", "move")
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    done = await asyncio.to_thread(run, "workbench", *arguments, env=environment)
    assert done.code == 1
    assert "This user has no permission to" in done.err and "workbench-move-" in done.err, done.err
    async with connect(strict.url) as other:
        assert (await other.endpoint(target)).depth == 0


async def permit_alice(broker: StrictKafka, topic: str, operation: int) -> None:
    """Permit alice something on a topic, and wait until it is so."""
    await permit(broker, "alice", [Permission(operation, TOPIC, topic)])
    async with asyncio.timeout(20), logged_in(broker) as connector:
        while not await connector.endpoints():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
