"""Moves on RabbitMQ, side by side with its shovel: `python -m tests.benchmarks.moves [--million]`.

Prints how long it takes until the target has all and the source none, from one run on one broker: by a move with its
journal, by the shovel plugin, by a client that only passes the bytes on (`forward.py`), and by getting, publishing and
acknowledging one by one. The goals: no longer than the shovel on classic queues, and 1.25 times as long on quorum
queues. Then the memory of `workbench move` for more and more
messages (`--million`: up to a million), for ten of many that match, and for dead letters of many queues.
"""

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import pika

from connectors.rabbitmq import RabbitMQConnector
from tests.benchmarks.forward import forward
from tests.benchmarks.rabbitmq import BODY, CONTENT, EVENT, PROPERTIES, publish_all
from tests.brokers.shared import rabbitmq
from tests.e2e.command import INSTALLED
from tests.rabbitmq.conftest import Rabbit, new_vhost
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.operations.move.moves import carry_out
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

MOVED: Final = 10_000
ONE_BY_ONE: Final = 2_000
ROUNDS: Final = 5
SIZES: Final = (1_000, 10_000, 100_000)
MANY: Final = 200_000
ORIGINS: Final = 60
GOALS: Final = {"classic": 1.0, "quorum": 1.25}


async def fill(connector: RabbitMQConnector, rabbit: Rabbit, kind: str, count: int) -> tuple[Address, Address]:
    """A queue with so many messages, each with an id of its own, and an empty one."""
    source, target = rabbit.queue(kind), rabbit.queue(kind)
    batches = (map(_event, range(begin, min(begin + 1_000, count))) for begin in range(0, count, 1_000))
    await publish_all(connector, source, map(list, batches))
    return source, target


def _event(number: int) -> Event:
    properties = {**CONTENT.properties, "message_id": f"4a0c3c2e-6a86-4c3f-9d1b-{number:012}"}
    return Event(b"bench", EVENT.body, written=Content(CONTENT.headers, properties))


async def move(session: Session, plan: Plan) -> tuple[float, float]:
    """Seconds until all is settled, and those of our processor for it."""
    begin, spent = time.perf_counter(), time.process_time()
    settled = [0.0, 0.0]

    def tell(progress: object) -> None:
        if getattr(progress, "phase", "") == "making sure" and not settled[0]:
            settled[:] = time.perf_counter() - begin, time.process_time() - spent

    ended = await carry_out(session, plan, tell)
    assert ended.complete, ended
    return settled[0], settled[1]


def shovel(rabbit: Rabbit, source: Address, target: Address, count: int) -> float:
    """Seconds until the broker's plugin has moved so many; it removes itself."""
    vhost = rabbit.vhost.replace("/", "%2F")
    uri = f"amqp:///{vhost}"
    value = {
        "src-protocol": "amqp091",
        "src-uri": uri,
        "src-queue": source.name,
        "src-delete-after": "queue-length",
        "src-prefetch-count": 1_000,
        "dest-protocol": "amqp091",
        "dest-uri": uri,
        "dest-queue": target.name,
        "ack-mode": "on-confirm",
    }
    begin = time.perf_counter()
    rabbit.api.put(f"/api/parameters/shovel/{vhost}/bench", json={"value": value}).raise_for_status()
    with pika.BlockingConnection(pika.URLParameters(f"{rabbit.url}?heartbeat=0")) as connection:
        channel = connection.channel()
        while channel.queue_declare(target.name, passive=True).method.message_count < count:
            time.sleep(0.01)
    return time.perf_counter() - begin


def one_by_one(rabbit: Rabbit, source: Address, target: Address, count: int) -> float:
    """Seconds for so many messages, as scripts do it: get, publish, acknowledge."""
    with pika.BlockingConnection(pika.URLParameters(f"{rabbit.url}?heartbeat=0")) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        begin = time.perf_counter()
        for _ in range(count):
            method, properties, body = channel.basic_get(source.name)
            channel.basic_publish("", target.name, body, properties, mandatory=True)
            channel.basic_ack(method.delivery_tag)
        return time.perf_counter() - begin


async def compare(rabbit: Rabbit, kind: str, rounds: int) -> None:
    """Print the figures of one kind of queue."""
    ours: list[float] = []
    theirs: list[float] = []
    bare: list[float] = []
    planning: list[float] = []
    spent: list[float] = []
    async with RabbitMQConnector(rabbit.connection()) as connector, Session([rabbit.connection()]) as session:
        for _ in range(rounds):
            source, target = await fill(connector, rabbit, kind, MOVED)
            begin = time.perf_counter()
            plan = await make_plan(session, Wanted(source, target=target))
            planning.append(time.perf_counter() - begin)
            took, processor = await move(session, plan)
            ours.append(took)
            spent.append(processor)
            delete(rabbit, source, target)
            source, target = await fill(connector, rabbit, kind, MOVED)
            theirs.append(await asyncio.to_thread(shovel, rabbit, source, target, MOVED))
            delete(rabbit, source, target)
            source, target = await fill(connector, rabbit, kind, MOVED)
            begin = time.perf_counter()
            await asyncio.to_thread(forward, pika.URLParameters(rabbit.url), source.name, target.name, MOVED)
            bare.append(time.perf_counter() - begin)
            delete(rabbit, source, target)
        source, target = await fill(connector, rabbit, kind, ONE_BY_ONE)
        single = await asyncio.to_thread(one_by_one, rabbit, source, target, ONE_BY_ONE) / ONE_BY_ONE * MOVED
        delete(rabbit, source, target)
    print(
        f"{MOVED:,} of {kind}: ours {median(ours):5.2f} s, shovel {median(theirs):5.2f} s,"
        f" {median(ours) / median(theirs):4.2f} times (goal {GOALS[kind]});"
        f" one by one {single:5.1f} s, {single / median(ours):4.1f} times"
    )
    print(
        f"{'':20} bytes passed on, and nothing else {median(bare):5.2f} s, {median(bare) / median(theirs):4.2f} times;"
        f" the plan before ours {median(planning):4.2f} s; {median(spent) / MOVED * 1e6:4.1f} µs of our processor each"
    )


def delete(rabbit: Rabbit, *queues: Address) -> None:
    """Delete queues."""
    for queue in queues:
        rabbit.channel.queue_delete(queue.name)


def memory(rabbit: Rabbit, count: int) -> None:
    """Print what `workbench move` takes for so many messages."""

    async def filled() -> tuple[Address, Address]:
        async with RabbitMQConnector(rabbit.connection()) as connector:
            return await fill(connector, rabbit, "classic", count)

    source, target = asyncio.run(filled())
    measured(rabbit, f"{count:9,} moved", source, target)
    delete(rabbit, source, target)


def few_of_many(rabbit: Rabbit) -> None:
    """Print what it takes to move ten of many, from the head of the queue to its end."""
    source, target = rabbit.queue("classic"), rabbit.queue("classic")
    wanted = Event(b"bench", b"wanted", written=CONTENT)
    apart = MANY // 10

    async def filled() -> None:
        async with RabbitMQConnector(rabbit.connection()) as connector:
            batches = ([EVENT] * 999 + [wanted if begin % apart == 0 else EVENT] for begin in range(0, MANY, 1_000))
            await publish_all(connector, source, batches)

    asyncio.run(filled())
    measured(rabbit, f"10 of {MANY:,}", source, target, "-w", 'body = "wanted"', "--look", str(MANY))
    assert rabbit.ready(target) == 10
    delete(rabbit, source, target)


def many_origins(rabbit: Rabbit) -> None:
    """Print what it takes to move dead letters of many queues, each to its own."""
    dead, origins = rabbit.queue("classic"), [rabbit.queue("classic") for _ in range(ORIGINS)]

    def letter(origin: Address) -> Event:
        death = {"queue": origin.name, "exchange": "", "reason": "rejected", "count": 1, "routing-keys": [origin.name]}
        return Event(b"", BODY.encode(), written=Content((("x-death", [death]),), dict(CONTENT.properties)))

    async def filled() -> None:
        async with RabbitMQConnector(rabbit.connection()) as connector:
            await publish_all(connector, dead, ([letter(each) for each in origins] for _ in range(MOVED // ORIGINS)))

    asyncio.run(filled())
    measured(rabbit, f"{MOVED // ORIGINS * ORIGINS:9,} of {ORIGINS} queues", dead)
    delete(rabbit, dead, *origins)


def measured(rabbit: Rabbit, what: str, *arguments: Address | str) -> None:
    """Run `workbench move`, and print how long it took and the most memory that it had."""
    connection = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    said = [f"rabbit/{each.name}" if isinstance(each, Address) else each for each in arguments]
    begin = time.perf_counter()
    command = [str(INSTALLED), "move", "-c", connection, "--guard", "move", *said, "--yes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    told = json.loads(process.stdout.read().splitlines()[-1])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - begin
    print(
        f"{what} in {took:6.1f} s, plan and all, {usage.ru_utime + usage.ru_stime:5.1f} s of processor;"
        f" {usage.ru_maxrss / 1024:5.0f} MB at most; {told['moved']:,} moved, {told['state']}"
    )


@contextmanager
def own_state() -> Iterator[None]:
    """Keep the journals in a folder that goes in the end."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        os.environ["XDG_STATE_HOME"] = str(Path(folder))
        yield


def main() -> None:
    """Run all, on a broker that runs already or on one started for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="move a million messages, too")
    parser.add_argument("--release", choices=("3.10", "4.0"), default="4.0")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("classic", "quorum", "memory", "few", "origins"))
    arguments = parser.parse_args()
    with rabbitmq(arguments.release) as broker, own_state():
        rabbit = new_vhost(broker)
        try:
            print(f"RabbitMQ {arguments.release}, {len(BODY)} bytes each, {len(PROPERTIES.headers)} headers")
            for kind in ("classic", "quorum"):
                if arguments.only in (None, kind):
                    asyncio.run(compare(rabbit, kind, arguments.rounds))
            for count in (*SIZES, 1_000_000) if arguments.million else SIZES:
                if arguments.only in (None, "memory"):
                    memory(rabbit, count)
            if arguments.only in (None, "few"):
                few_of_many(rabbit)
            if arguments.only in (None, "origins"):
                many_origins(rabbit)
        finally:
            rabbit.remove()


if __name__ == "__main__":
    main()
