"""Moves as tests run them, and what is there afterwards."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import DEADLINE, Rabbit
from tests.rabbitmq.doing import bodies, browse, publish_all
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.operations.journal.records import find_journal, read_entries
from workbench.operations.move.moves import carry_out, resume
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.move.windows import IN_FLIGHT
from workbench.session import Session

PERSISTENT = Content((), {"delivery_mode": 2})


def persistent(count: int, begin: int = 0) -> list[Event]:
    """So many events that outlive their broker, told apart by their bodies."""
    return [Event(body=b"event %d" % number, written=PERSISTENT) for number in range(begin, begin + count)]


async def fill(rabbit: Rabbit, queue: Address, events: Sequence[Event]) -> None:
    """Publish into a queue."""
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, events)


async def held(rabbit: Rabbit, queue: Address) -> list[bytes]:
    """The bodies in a queue, in order."""
    async with RabbitMQConnector(rabbit.connection()) as connector:
        return bodies(await browse(connector, queue))


async def plan(rabbit: Rabbit, source: Address, target: Address | None = None, **wanted: Any) -> Plan:
    """What a move would do."""
    async with Session([rabbit.connection()]) as session:
        return await make_plan(session, Wanted(source, target=target, **wanted))


async def run(
    rabbit: Rabbit, plan: Plan, on_progress: Callable[[Progress], None] = lambda _: None, force: bool = False
) -> Ended:
    """Carry a plan out."""
    async with asyncio.timeout(DEADLINE), Session([rabbit.connection()]) as session:
        return await carry_out(session, plan, on_progress, force=force)


async def move(rabbit: Rabbit, source: Address, target: Address | None = None, **wanted: Any) -> Ended:
    """Plan and move."""
    return await run(rabbit, await plan(rabbit, source, target, **wanted))


async def go_on(rabbit: Rabbit, id: str) -> Ended:
    """Resume what was interrupted."""
    async with asyncio.timeout(DEADLINE), Session([rabbit.connection()]) as session:
        return await resume(session, find_journal(id))


@asynccontextmanager
async def moving(
    rabbit: Rabbit, source: Address, target: Address, step: str = "never", times: int = 1, window: int = 1_000
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """A move in a program of its own: see `tests.rabbitmq.killed_move`. The operation's id, and the program."""
    async with _doing(rabbit, source.name, target.name, step, str(times), str(window)) as begun:
        yield begun


@asynccontextmanager
async def undoing(
    rabbit: Rabbit, id: str, step: str = "never", times: int = 1, window: int = 1_000
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """An undo of an operation, likewise."""
    async with _doing(rabbit, "undo", id, step, str(times), str(window)) as begun:
        yield begun


@asynccontextmanager
async def _doing(rabbit: Rabbit, *what: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.rabbitmq.killed_move", url, *what, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            yield (await process.stdout.readline()).decode().strip(), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def check(rabbit: Rabbit, id: str, source: Address, target: Address, events: Sequence[Event]) -> int:
    """See that all has moved and nothing is lost, and that the journal names whatever is there twice. How much that
    is."""
    async with RabbitMQConnector(rabbit.connection()) as connector:
        arrived = Counter(bodies(await browse(connector, target)))
    left = Counter(await held(rabbit, source))
    came = Counter(bodies(events))
    missing = came - arrived - left
    assert not missing, f"{missing.total()} lost"
    assert not left, f"{left.total()} left in the source"
    named = Counter(entry.message.event.body for entry in read_entries(find_journal(id)) if entry.twice)
    twice = arrived - came
    assert set(twice) <= set(named), f"{len(set(twice) - set(named))} are there twice and not named"
    assert named.total() <= IN_FLIGHT
    return twice.total()
