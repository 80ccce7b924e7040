"""The program is killed without warning in the middle of each operation: nothing stays held, nothing stays declared."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all

PROGRAM = """
import asyncio, sys
from connectors.rabbitmq import RabbitMQConnector
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.event import Event

async def main(url, what, name):
    async with RabbitMQConnector(Connection.parse(url)) as connector:
        queue = Address("rabbit", name)
        if what == "publish":
            async with connector.publisher() as publisher:
                number = 0
                while True:
                    await publisher.send(queue, [Event(body=b"%d" % n) for n in range(number, number + 500)])
                    number += 500
                    print("ready", flush=True)
        if what == "rescue":
            opened = connector.browse(queue, force=True)
        else:
            how = {"browse": (), "claim": ("move",), "tail": ()}
            opened = getattr(connector, what)(queue, *how[what])
        async with opened as stream:
            if what in ("tail", "rescue"):
                print("ready", flush=True)
            async for batch in stream:
                print("ready", flush=True)
                await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def killed(rabbit: Rabbit, what: str, name: str) -> AsyncIterator[None]:
    """Run a program that is in the middle of something, then kill it."""
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, url, what, name, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
@pytest.mark.parametrize("what", ["browse", "claim"])
async def test_killed_while_holding(rabbit: Rabbit, what: str, kind: str) -> None:
    queue = rabbit.queue(kind)
    events = numbered(3_000)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        async with killed(rabbit, what, queue.name):
            assert rabbit.ready(queue) < len(events)

        async def back() -> bool:
            return rabbit.ready(queue) == len(events)

        await eventually(back)
        assert bodies(await browse(connector, queue)) == bodies(events)


@pytest.mark.parametrize("what", ["browse", "claim"])
async def test_killed_in_a_second_look_a_quorum_queue_puts_what_was_held_behind_what_came_back_before(
    rabbit: Rabbit, what: str
) -> None:
    queue = rabbit.queue("quorum")
    events = numbered(300)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)
        assert bodies(await browse(connector, queue, limit=100)) == bodies(events[:100])
        async with killed(rabbit, what, queue.name):
            held = len(events) - rabbit.ready(queue)

        async def back() -> bool:
            return rabbit.ready(queue) == len(events)

        await eventually(back)
    assert 0 < held < 100
    assert rabbit.drain(queue, len(events)) == bodies([*events[held:100], *events[:held], *events[100:]])


async def test_killed_while_tailing(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("topic"), rabbit.queue()
    rabbit.bind(queue, exchange, "#")
    before = rabbit.names()
    async with killed(rabbit, "tail", queue.name):
        assert len(rabbit.names()) > len(before)

    async def gone() -> bool:
        return rabbit.names() == before

    await eventually(gone)


async def test_killed_while_publishing(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with killed(rabbit, "publish", queue.name):
        pass

    async def quiet() -> bool:
        connections = rabbit.api.get(f"/api/vhosts/{rabbit.vhost.replace('/', '%2F')}/connections").json()
        return len(connections) == 1

    await eventually(quiet)
    count = rabbit.ready(queue)
    assert rabbit.drain(queue, count) == [b"%d" % number for number in range(count)]
