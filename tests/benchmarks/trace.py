"""Tracing one id across Kafka and RabbitMQ from the command line, beside the scan alone, over the same data in one run.

    python -m tests.benchmarks.trace [--events N] [flow|queues]…

`flow`: 12 events of one id, 8 of them among all events in Kafka and 4 among 60,000 in RabbitMQ's queues. The scan is
the connector's own for one id in the same topics. Nine more connections are nine virtual hosts with a queue of ten
messages each. `queues`: a trace looks into 1,000 queues of 10 messages; it ends the run if one of them is not in its
place afterwards. Seconds are of whole processes, start included; what is compared takes turns.
"""

import argparse
import asyncio
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from connectors.rabbitmq import RabbitMQConnector
from tests.benchmarks.kafka import Bench, Figures
from tests.brokers.kafka import Kafka
from tests.brokers.rabbitmq import RabbitMQ
from tests.rabbitmq.conftest import Rabbit, new_vhost
from workbench.model.address import Address
from workbench.model.event import Event

ROUNDS = 3
FLOW = "7f3a90c2-1d5e-4b7a-9c64-0e2f4a5b6c7d"
QUEUES = 6
EACH = 10_000
"""Messages of each queue."""
MANY = 1_000
FEW = 10
"""Queues, and messages of each, that must be left as they were."""


class Measured:
    """Seconds of some rounds: of the wall's clock, and of the processors."""

    def __init__(self) -> None:
        self.wall = Figures()
        self.processor = Figures()

    def __str__(self) -> str:
        return f"{self.wall}, of processors {self.processor}"


def in_turn(*works: Callable[[], None]) -> list[Measured]:
    """What each takes, in rounds that follow one that does not count."""
    figures = [Measured() for _ in works]
    for counts in (False, *[True] * ROUNDS):
        for work, measured in zip(works, figures, strict=True):
            begin, spent = time.perf_counter(), _spent()
            work()
            if counts:
                measured.wall.append(time.perf_counter() - begin)
                measured.processor.append(_spent() - spent)
    return figures


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def step(number: int) -> str:
    """An event of the flow, as a line for `kcat`."""
    cause = f'"causationId":"{FLOW[:-4]}{number - 1:04}",' if number else ""
    return f'step\t{{"correlationId":"{FLOW}","messageId":"{FLOW[:-4]}{number:04}",{cause}"type":"Step{number}"}}\n'


async def fill(rabbit: Rabbit, bodies: Sequence[Sequence[bytes]]) -> list[Address]:
    """New queues with these bodies."""
    queues = [rabbit.queue() for _ in bodies]
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        for queue, some in zip(queues, bodies, strict=True):
            for begin in range(0, len(some), 1_000):
                await publisher.send(queue, [Event(None, body) for body in some[begin : begin + 1_000]])
        await publisher.finish()
        answered = [receipt async for batch in publisher.receipts() for receipt in batch]
    many = sum(map(len, bodies))
    assert len(answered) == many and not any(receipt.error for receipt in answered)
    # The broker lists as empty what it has just been given.
    while await asyncio.to_thread(_ready, rabbit) < many:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return queues


def _ready(rabbit: Rabbit) -> int:
    found = rabbit.api.get(f"/api/queues/{quote(rabbit.vhost, safe='')}").raise_for_status().json()
    return sum(int(each.get("messages_ready", 0)) for each in found)


def trace(bench: Bench, rabbits: Sequence[Rabbit], found: int, kafka: bool = True) -> None:
    """`workbench trace --look`, which must find so many events."""
    connections = ["-c", f"kafka={bench.broker.url}"] if kafka else []
    for number, rabbit in enumerate(rabbits):
        connections += ["-c", f"rabbit{number}={rabbit.url}?management={rabbit.broker.management_url}"]
    command = [str(Path(sys.executable).parent / "workbench"), "trace", FLOW, "--look", *connections]
    # As installed: there the bytecode is kept.
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(bench.folder / "bytecode")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **kept})
    assert done.stdout.count("\n") == found, (done.stdout, done.stderr)


async def flow(bench: Bench, rabbitmq: RabbitMQ) -> None:
    """What a trace adds to the scan, and what nine more connections add to the trace."""
    steps = [step(number) for number in range(12)]
    chance = random.Random(5)
    for number, line in enumerate(steps[:8]):
        with bench.files[(number * len(bench.files)) // 8].open("a") as lines:
            lines.write(line)
    topics = await bench.topics(4, 4)
    bench.fill(topics, "none")
    rabbits = [new_vhost(rabbitmq) for _ in range(10)]
    try:
        bodies = [[b'{"id":"%032x","total":12.5}' % chance.getrandbits(128)] * EACH for _ in range(QUEUES)]
        for number, line in enumerate(steps[8:]):
            bodies[number][EACH // 2] = line.partition("\t")[2].strip().encode()
        await fill(rabbits[0], bodies)
        for rabbit in rabbits[1:]:
            await fill(rabbit, [[b"{}"] * FEW])
        print(f"\n12 events of one id among {bench.events:,} in Kafka and {QUEUES * EACH:,} in RabbitMQ (seconds)")
        scan, topics_alone, whole, more = in_turn(
            partial(bench.scan, topics),
            partial(trace, bench, (), 8),
            partial(trace, bench, rabbits[:1], 12),
            partial(trace, bench, rabbits, 12),
        )
        print(f"  scan {scan}\n  trace, Kafka alone {topics_alone}\n  trace {whole}\n  trace, ten connections {more}")
        print(f"  trace, Kafka alone/scan {topics_alone.wall.of(scan.wall)}  trace/scan {whole.wall.of(scan.wall)}")
        added = Figures(mine - other for mine, other in zip(more.wall, whole.wall, strict=True))
        print(f"  added by nine more connections {added}", flush=True)
    finally:
        for rabbit in rabbits:
            rabbit.remove()
        await bench.delete(topics)


async def queues(bench: Bench, rabbitmq: RabbitMQ) -> None:
    """A look into each of many queues, and what is in them afterwards."""
    rabbit = new_vhost(rabbitmq)
    try:
        bodies = [[f"{number}:{place}".encode() for place in range(FEW)] for number in range(MANY)]
        bodies[MANY // 2][FEW // 2] = step(0).partition("\t")[2].strip().encode()
        places = await fill(rabbit, bodies)
        [seconds] = in_turn(partial(trace, bench, [rabbit], 1, kafka=False))
        print(f"\none id in {MANY:,} queues of {FEW} messages (seconds)\n  trace {seconds}", flush=True)
        again = 0
        for place, some in zip(places, bodies, strict=True):
            left = [rabbit.channel.basic_get(place.name) for _ in range(FEW + 1)]
            assert [body for _, _, body in left] == [*some, None], f"{place.name} is not as it was"
            again += sum(method is not None and method.redelivered for method, _, _ in left)
        print(f"  all {MANY * FEW:,} are in their places, {again:,} of them marked as delivered before", flush=True)
    finally:
        rabbit.remove()


PARTS = {"flow": flow, "queues": queues}


def main() -> None:
    """Start the brokers, run what is asked for, print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="flow|queues")
    parser.add_argument("--events", type=int, default=5_000_000)
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    # The tests' brokers compile little, to start fast; this goes before their own options.
    os.environ["_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=4"
    with RabbitMQ("benchmark", "4.0") as rabbitmq, Kafka("benchmark") as kafka, TemporaryDirectory() as folder:
        bench = Bench(kafka, Path(folder), arguments.events if "flow" in parts else 0)
        for part in parts:
            asyncio.run(PARTS[part](bench, rabbitmq))


if __name__ == "__main__":
    main()
