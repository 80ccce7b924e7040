"""A message that its queue would give up is on disk before anything else is done with it."""

import asyncio
import os
import stat
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from pika.exceptions import NackError

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.fixtures import OwnBrokers
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all, read
from tests.rabbitmq.test_killed import killed
from workbench.connecting.config import Connection
from workbench.connecting.spool import spool_folder
from workbench.decode import ndjson
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectorError, LookRefused


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


async def used_up(connector: RabbitMQConnector, queue: Address, looks: int) -> None:
    """Look so often."""
    for _ in range(looks):
        async with connector.browse(queue, force=True) as stream:
            await read(stream)


def reader(rabbit: Rabbit) -> Connection:
    """The virtual host for a user who may not publish."""
    rights = {"configure": "", "write": "", "read": ".*"}
    rabbit.api.put(f"/api/permissions/{quote(rabbit.vhost, safe='')}/reader", json=rights).raise_for_status()
    return rabbit.connection(rabbit.url.replace("guest:guest@", "reader:reader@"))


def delivered_before(rabbit: Rabbit, queue: Address, *groups: tuple[int, int]) -> list[bytes]:
    """Put messages into a quorum queue, so large that they arrive one by one, in groups of (how many, how often they
    were delivered before); returns what to tell them by."""
    names = [b"%d" % number for number in range(sum(count for count, _ in groups))]
    rabbit.publish(queue, *[name.ljust(300_000) for name in names])
    held = []
    for count, _ in groups:
        channel = rabbit.amqp.channel()
        held.append((channel, [channel.basic_get(queue.name)[0].delivery_tag for _ in range(count)]))
    for (channel, tags), (count, before) in zip(held, groups, strict=True):
        for _ in range(before - 1):
            for tag in tags:
                channel.basic_nack(tag, requeue=True)
            # The others are held, so that these come again.
            tags[:] = [channel.basic_get(queue.name)[0].delivery_tag for _ in range(count)]
    for channel, _ in held:
        channel.close()
    return names


def everywhere(rabbit: Rabbit, queue: Address) -> list[bytes]:
    """What to tell the messages in the queue and on disk by."""
    lines = [line for path in spool_folder().glob("*.ndjson") for line in path.read_bytes().splitlines(keepends=True)]
    on_disk = [ndjson.decode(line).event.body or b"" for line in lines]
    return [body.strip() for body in (*rabbit.drain(queue, rabbit.ready(queue)), *on_disk)]


async def test_rescue_that_fails_leaves_all_in_hand_on_disk_or_in_the_queue(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    names = delivered_before(rabbit, queue, (10, 1), (20, 2))
    async with RabbitMQConnector(reader(rabbit)) as connector:
        with pytest.raises(AccessRefused, match="What was in hand is kept in"):
            await used_up(connector, queue, 1)
    assert list(spool_folder().glob("*.ndjson"))
    assert sorted(everywhere(rabbit, queue)) == sorted(names)


async def test_full_queue_leaves_on_disk_what_it_takes_no_copy_of(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2, x_overflow="reject-publish")
    names = delivered_before(rabbit, queue, (10, 1), (20, 2))
    policy = {"pattern": ".*", "definition": {"max-length": 1}, "apply-to": "queues"}
    rabbit.api.put(f"/api/policies/{quote(rabbit.vhost, safe='')}/length", json=policy).raise_for_status()

    async def full() -> bool:
        # A quorum queue refuses only some time after it is beyond its limit.
        try:
            rabbit.publish(queue, b"further")
        except NackError:
            return True
        return False

    await eventually(full)
    further = [b"further"] * (rabbit.ready(queue) - len(names))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(ConnectorError, match="is its length limited"):
            await used_up(connector, queue, 1)
    assert list(spool_folder().glob("*.ndjson"))
    assert sorted(everywhere(rabbit, queue)) == sorted([*names, *further])


async def test_refused_look_gives_nothing_back_unseen(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=6)
    names = delivered_before(rabbit, queue, (8, 1), (6, 6))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(LookRefused):
            await browse(connector, queue)
    assert sorted(everywhere(rabbit, queue)) == sorted(names)


async def test_look_left_early_gives_nothing_back_unseen(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    names = delivered_before(rabbit, queue, (6, 1), (10, 2))
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.browse(queue, force=True) as stream:
        seen = 0
        async for batch in stream:
            seen += len(batch)
            if seen > 5:
                break
    assert sorted(everywhere(rabbit, queue)) == sorted(names)


async def test_forced_look_shows_no_message_twice(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    names = delivered_before(rabbit, queue, (3, 1), (5, 2))
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.browse(queue, force=True) as stream:
        seen = bodies(await read(stream))
    assert sorted(body.strip() for body in seen) == names
    assert sorted(everywhere(rabbit, queue)) == sorted(names)


async def test_claim_is_refused_where_nothing_could_be_rescued(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=20)
    rabbit.publish(queue, b"one")
    async with RabbitMQConnector(reader(rabbit)) as connector:
        with pytest.raises(LookRefused, match="the right to write"):
            async with connector.claim(queue, "move"):
                pass
    assert rabbit.amqp.channel().basic_get(queue.name)[0].redelivered is False


async def test_claims_that_end_early_give_nothing_back_unseen(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    names = delivered_before(rabbit, queue, (6, 1), (10, 2))
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.claim(queue, "move") as claims:
        settled: list[bytes] = []
        async for batch in claims:
            await claims.settle(range(len(settled), len(settled) + len(batch)))
            settled += bodies(batch)
            if len(settled) > 5:
                break
    assert sorted(everywhere(rabbit, queue)) == sorted(set(names) - {body.strip() for body in settled})


async def test_nothing_stays_on_disk_when_the_copies_are_confirmed(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(5))
        await used_up(connector, queue, 3)
    assert list(spool_folder().iterdir()) == []
    assert sorted(rabbit.drain(queue, 5)) == bodies(numbered(5))


async def test_what_cannot_be_published_stays_on_disk(rabbit: Rabbit) -> None:
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(1))
        await used_up(connector, queue, 2)
    async with RabbitMQConnector(reader(rabbit)) as connector:
        with pytest.raises(AccessRefused, match="What was in hand is kept in"):
            await used_up(connector, queue, 1)
    (path,) = spool_folder().iterdir()
    assert ndjson.decode(path.read_bytes()).event.body == b"event 0"


async def test_look_is_refused_where_nothing_can_be_kept(rabbit: Rabbit, state: Path) -> None:
    (state / "event-workbench").write_text("not a folder")
    queue = rabbit.queue("quorum", x_delivery_limit=20)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(5))
        with pytest.raises(LookRefused, match="could not be kept on disk"):
            await browse(connector, queue)
    assert rabbit.channel.basic_get(queue.name)[0].redelivered is False


async def test_killed_before_the_copy_is_confirmed_it_is_on_disk_and_can_be_published_again(
    own_broker: OwnBrokers, state: Path
) -> None:
    broker = own_broker("rabbitmq-4.0")
    rabbit = new_vhost(broker)
    queue = rabbit.queue("quorum", x_delivery_limit=2)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, numbered(1))
        await used_up(connector, queue, 2)
    # Out of memory, the broker delivers as before, and confirms nothing.
    await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0")
    async with killed(rabbit, "rescue", queue.name):

        async def publishing() -> bool:
            listed = await asyncio.to_thread(broker.rabbitmqctl, "list_connections", "pid", "state")
            blocked[:] = [line.split()[0] for line in listed.splitlines() if line.endswith("blocked")]
            return bool(blocked)

        blocked: list[str] = []
        await eventually(publishing)
    # Else the broker would go on reading what it has received of the killed program once it has memory again.
    for connection in blocked:
        await asyncio.to_thread(broker.rabbitmqctl, "close_connection", connection, "killed")
    await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.6")
    (path,) = spool_folder().iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (line,) = path.read_bytes().splitlines(keepends=True)
    found = ndjson.decode(line)
    assert found.event.body == b"event 0"
    assert found.delivery is not None
    assert (found.delivery.address, found.delivery.attempt) == (queue, 2)

    async def given_up() -> bool:
        return rabbit.ready(queue) == 0

    await eventually(given_up)
    url = f"rabbit={rabbit.url}?management={broker.management_url}"
    again = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workbench", "publish", "-c", url, str(queue), "--file", str(path), env=os.environ
    )
    assert await again.wait() == 0
    assert rabbit.drain(queue, 1) == [b"event 0"]
    rabbit.api.close()
    rabbit.amqp.close()
