"""Tailing into the store, side by side with `kcat -J > /dev/null`, with aiokafka's `getmany` and with pika's consumer.

    python -m tests.benchmarks.tail [--kafka EVENTS] [--rabbitmq EVENTS]

Everybody reads the same events from one broker in one run, each in a process of its own, in turns; the medians are
compared; on a busy machine the seconds of processor time say more. The goals are 1.5 times kcat's time, 1.2 times
getmany's, and 250 MB of memory. What is timed is the reading: from the first request to the last event, stored on our
side. `kcat` is timed as a whole process, which starts in milliseconds.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from workbench.connecting.config import Connection
from workbench.connecting.connector import Stream
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.start import Beginning
from workbench.store.ingest import ingestions
from workbench.store.store import open_store

ROUNDS = 3
PARTITIONS = 4
MEMORY = 250
"""Megabytes that are allowed."""


class Run(NamedTuple):
    """One reading: how long it took and how long it held a processor, in seconds, and megabytes held at most."""

    seconds: float
    processor: float
    memory: float


# In a process of its own, which imports no more than it needs.


async def store_all(url: str, name: str, count: int, live: bool) -> None:
    """Ingestion an endpoint into a store, from its start; live: from now on, read once there is a line on stdin."""
    connector = connect(Connection.parse(f"bench={url}"))
    address = Address("bench", name, "exchange" if live else "queue")
    async with connector, open_store() as store:
        enough = asyncio.Event()

        def grew() -> None:
            if store.upto >= count:
                enough.set()

        store.listeners.add(grew)

        async def read(open: Callable[[], AbstractAsyncContextManager[Stream]]) -> None:
            began = clocks()
            async with ingestions(store) as looking:
                looking.begin("tail", address, open)
                await enough.wait()
                await store.flush()
                report(began)

        if live:
            async with connector.tail(address) as stream:
                print("subscribed", flush=True)
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                await read(lambda: nullcontext(stream))
        else:
            await read(lambda: connector.tail(address, Beginning()))


async def get_many(bootstrap: str, topic: str, count: int) -> None:
    """Read all of a topic with aiokafka, and drop it."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
    began, seen = clocks(), 0
    while seen < count:
        found = await consumer.getmany(timeout_ms=1_000)
        seen += sum(map(len, found.values()))
    report(began)
    await consumer.stop()


async def consume(url: str, queue: str, count: int) -> None:
    """Receive with pika's asyncio consumer: prefetch 1,000, an acknowledgement each 200."""
    from tests.benchmarks.rabbitmq import receive_with_pika

    began = clocks()
    await receive_with_pika(url, queue, count)
    report(began)


def clocks() -> tuple[float, float]:
    """Now, and how long this process has held a processor, in seconds."""
    return time.perf_counter(), time.process_time()


def report(began: tuple[float, float]) -> None:
    """Tell the process that compares."""
    seconds, processor = (now - then for now, then in zip(clocks(), began, strict=True))
    print(seconds, processor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


ROLES: dict[str, Callable[[str, str, int], Awaitable[None]]] = {
    "store": lambda url, name, count: store_all(url, name, count, live=False),
    "tap": lambda url, name, count: store_all(url, name, count, live=True),
    "getmany": get_many,
    "pika": consume,
}


async def play(part: Awaitable[None]) -> None:
    """Play a role to its end."""
    await part


# What compares.


def started(role: str, url: str, name: str, count: int) -> "subprocess.Popen[str]":
    """A process of one of the roles."""
    command = [sys.executable, "-m", "tests.benchmarks.tail", "--role", role, url, name, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> Run:
    """What it reports."""
    out, _ = process.communicate("go\n")
    assert process.returncode == 0, out
    return Run(*map(float, out.split()))


def dropped(command: list[str]) -> Run:
    """A command whose output nobody reads."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(time.perf_counter() - began, processor, 0)


def compared(ours: list[Run], others: dict[str, list[Run]], goals: dict[str, float], count: int) -> None:
    """Print the figures of one comparison."""
    for name, runs in {"into the store": ours, **others}.items():
        seconds, processor = median(run.seconds for run in runs), median(run.processor for run in runs)
        rounds = " ".join(f"{run.seconds:.2f}" for run in runs)
        rate = count / seconds / 1000
        print(f"  {name:16} {seconds:6.2f} s {rate:5,.0f} k/s  processor {processor:5.2f} s  rounds {rounds}")
    for name, goal in goals.items():
        seconds = median(run.seconds for run in ours) / median(run.seconds for run in others[name])
        processor = median(run.processor for run in ours) / median(run.processor for run in others[name])
        print(f"  our time / {name:16} {seconds:5.2f} (goal {goal})  processor {processor:5.2f}")
    print(f"  most memory {max(run.memory for run in ours):.0f} MB (goal {MEMORY})", flush=True)


async def from_kafka(count: int) -> None:
    """All of a topic."""
    from tests.benchmarks.kafka import Bench
    from tests.brokers.kafka import Kafka

    # The tests' brokers compile little, to start fast; this goes before their own options.
    os.environ["_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=4"
    with Kafka("benchmark") as broker, TemporaryDirectory() as folder:
        bench = Bench(broker, Path(folder), count)
        [topic] = await bench.topics(1, PARTITIONS)
        bench.fill([topic], "none")
        kcat = ["kcat", "-C", "-q", "-e", "-J", "-o", "beginning", "-b", broker.bootstrap, "-t", topic]
        ours: list[Run] = []
        others: dict[str, list[Run]] = {"kcat -J": [], "getmany": []}
        for _ in range(ROUNDS):
            others["kcat -J"].append(dropped(kcat))
            others["getmany"].append(ended(started("getmany", broker.bootstrap, topic, count)))
            ours.append(ended(started("store", broker.url, topic, count)))
        print(f"\n{count:,} events of a Kafka topic of {PARTITIONS} partitions")
        compared(ours, others, {"kcat -J": 1.5, "getmany": 1.2}, count)


async def from_rabbitmq(count: int) -> None:
    """What was published to an exchange, from a tap on it and from a queue bound to it."""
    from connectors.rabbitmq import RabbitMQConnector
    from tests.benchmarks.rabbitmq import Bench, publish
    from tests.brokers.rabbitmq import RabbitMQ

    with RabbitMQ("benchmark") as broker:
        bench = Bench(broker)
        ours: list[Run] = []
        others: dict[str, list[Run]] = {"pika asyncio": []}
        for _ in range(ROUNDS):
            name = bench.queue("classic")
            tap = started("tap", f"{broker.url}?management={broker.management_url}", name, count)
            assert tap.stdout and tap.stdout.readline() == "subscribed\n"
            async with RabbitMQConnector(bench.connection) as connector:
                await publish(connector, Address("bench", name, "exchange"), count)
            ours.append(ended(tap))
            others["pika asyncio"].append(ended(started("pika", broker.url, name, count)))
        bench.close()
        print(f"\n{count:,} events of a RabbitMQ exchange, published before they are read")
        compared(ours, others, {"pika asyncio": 1.0}, count)


def main() -> None:
    """Compare, or play a role in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", type=int, default=1_000_000, metavar="EVENTS", help="0: none")
    parser.add_argument("--rabbitmq", type=int, default=100_000, metavar="EVENTS", help="0: none")
    parser.add_argument("--role", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        role, url, name, count = arguments.role
        asyncio.run(play(ROLES[role](url, name, int(count))))
        return
    if arguments.kafka:
        asyncio.run(from_kafka(arguments.kafka))
    if arguments.rabbitmq:
        asyncio.run(from_rabbitmq(arguments.rabbitmq))


if __name__ == "__main__":
    main()
