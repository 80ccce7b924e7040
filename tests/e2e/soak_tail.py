"""A long tail over clusters that are disturbed: `python -m tests.e2e.soak_tail [--minutes 10] [--rate 4000]`.

Half of the events go to a Kafka of three nodes and half to a RabbitMQ stream of three nodes; one `workbench tail` reads
both. Meanwhile the program is stopped for longer than a minute (SIGSTOP) and goes on, and the nodes of each cluster are
restarted one after the other. In the end every event that a broker has confirmed must have been printed, none of those
in Kafka twice, and memory must be what it was. Raises where that is not so; prints a line each half minute.
"""

import argparse
import asyncio
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Final

import pika
from aiokafka.admin import NewTopic

from tests.brokers.isolation import Startable
from tests.brokers.kafka_cluster import KafkaCluster
from tests.brokers.rabbitmq_cluster import RabbitMQCluster
from tests.kafka.conftest import admin, led
from workbench.connecting.config import Connection
from workbench.connecting.connector import Connector, Publisher
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.event import Event

DEADLINE: Final = 600.0
"""Seconds for what is waited for, on a busy machine."""
STOPPED: Final = 65.0
"""Seconds for which the program is stopped: longer than sessions and heartbeats last."""
TICK: Final = 0.1
"""Seconds between two batches."""
TOLD: Final = 30.0
"""Seconds between two lines."""
GROWTH: Final = 1.25
"""How many times as much memory as in its third quarter, when it has caught up after it stood still, a tail may hold in
its last."""
PARTITIONS: Final = 6


class Source:
    """One endpoint: what was published to it, and how often each event was printed."""

    def __init__(self, connector: Connector, address: Address) -> None:
        self._connector = connector
        self.address = address
        self.sent = 0
        self.confirmed = bytearray()
        self.printed = bytearray()

    async def publish(self, rate: float, until: float) -> None:
        """Publish at a rate until a moment of the monotonic clock."""
        async with self._connector.publisher() as publisher, asyncio.TaskGroup() as group:
            group.create_task(self._take_receipts(publisher))
            began = time.monotonic()
            while (now := time.monotonic()) < until:
                due = int((now - began) * rate) - self.sent
                numbers = range(self.sent, self.sent + due)
                self.confirmed.extend(bytes(due))
                self.printed.extend(bytes(due))
                await publisher.send(self.address, [Event(body=self._body(number)) for number in numbers])
                self.sent += due
                await asyncio.sleep(TICK)
            await publisher.finish()

    async def _take_receipts(self, publisher: Publisher) -> None:
        async for batch in publisher.receipts():
            for receipt in batch:
                assert receipt.error is None, receipt
                self.confirmed[receipt.sequence] = 1

    def _body(self, number: int) -> bytes:
        return b"%s %d " % (self.address.connection.encode(), number) + b"." * 150

    def note(self, number: int) -> None:
        """It was printed."""
        self.printed[number] = min(self.printed[number] + 1, 255)

    @property
    def missing(self) -> int:
        """Confirmed and not printed."""
        return sum(1 for there, seen in zip(self.confirmed, self.printed, strict=True) if there and not seen)

    @property
    def twice(self) -> int:
        """Printed more than once."""
        return len(self.printed) - self.printed.count(0) - self.printed.count(1)


class Tail:
    """The program, and what it holds."""

    def __init__(self, sources: Mapping[str, Source], urls: Mapping[str, str]) -> None:
        self._sources = sources
        places = [str(each.address) for each in sources.values()]
        options = [option for name, url in urls.items() for option in ("-c", f"{name}={url}")]
        self._command = [sys.executable, "-m", "workbench", "tail", *places, *options, "-o", "body"]
        self._process: asyncio.subprocess.Process
        self.memory: list[tuple[float, float]] = []
        """Seconds since the start, and megabytes held then."""

    async def start(self) -> None:
        """Start it; it is subscribed then."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(DEADLINE):
            print((await self._errors()).rstrip(), flush=True)

    async def _errors(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.readline()).decode()

    async def read(self) -> None:
        """Take all that it prints."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            name, number, _ = line.split(b" ", 2)
            self._sources[name.decode()].note(int(number))

    async def tell(self) -> None:
        """Print what it says."""
        while line := await self._errors():
            print(f"          {line.rstrip()}", flush=True)

    async def measure(self, began: float) -> None:
        """Note from time to time how much it holds."""
        while True:
            self.memory.append((time.monotonic() - began, memory_of(self._process.pid)))
            await asyncio.sleep(2)

    async def stand_still(self, seconds: float) -> None:
        """Stop it, and have it go on."""
        self._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    async def end(self) -> int:
        """End it as Ctrl+C does; its exit code."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE):
            return await self._process.wait()

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process.returncode is None:
            self._process.kill()


async def roll_kafka(cluster: KafkaCluster, topic: str) -> None:
    """Restart one node after the other, each when the one before holds all again."""
    for number, node in cluster.nodes.items():
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)
        async with admin(cluster.bootstrap) as client, asyncio.timeout(DEADLINE):
            while True:
                [described] = await client.describe_topics([topic])
                if all(number in partition["isr"] for partition in described["partitions"]):
                    break
                await asyncio.sleep(0.5)


async def roll_rabbitmq(cluster: RabbitMQCluster) -> None:
    """Restart one node after the other."""
    for node in cluster.nodes:
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(node.rabbitmqctl, "await_online_nodes", "3")


async def make_topic(cluster: KafkaCluster, name: str) -> None:
    """A topic on all nodes."""
    async with admin(cluster.bootstrap) as client, asyncio.timeout(DEADLINE):
        await client.create_topics([NewTopic(name, PARTITIONS, 3)])
        while not led(await client.describe_topics([name]), PARTITIONS):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def make_stream(cluster: RabbitMQCluster, name: str) -> None:
    """A stream on all nodes."""
    with pika.BlockingConnection(pika.URLParameters(cluster.nodes[0].url)) as connection:
        connection.channel().queue_declare(name, durable=True, arguments={"x-queue-type": "stream"})


async def soak(minutes: float, rate: float) -> None:
    """Do it."""
    seconds = minutes * 60
    async with AsyncExitStack() as stack:
        kafka, rabbitmq = KafkaCluster(), RabbitMQCluster()
        for each in (kafka, rabbitmq):
            await asyncio.to_thread(start, stack, each)
        await make_topic(kafka, "soak")
        await asyncio.to_thread(make_stream, rabbitmq, "soak")
        management = ",".join(node.management_url.removeprefix("http://") for node in rabbitmq.nodes)
        urls = {"kafka": kafka.url, "rabbit": f"{rabbitmq.url}?management=http://{management}"}
        sources = {
            name: Source(
                await stack.enter_async_context(connect(Connection.parse(f"{name}={url}"))), Address(name, "soak")
            )
            for name, url in urls.items()
        }
        tail = Tail(sources, urls)
        await tail.start()
        stack.callback(tail.kill)
        began = time.monotonic()

        async def disturb() -> None:
            disturbances: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
                (0.25, "the program stands still", lambda: tail.stand_still(min(STOPPED, seconds / 4))),
                (0.5, "the nodes of Kafka are restarted", lambda: roll_kafka(kafka, "soak")),
                (0.65, "the nodes of RabbitMQ are restarted", lambda: roll_rabbitmq(rabbitmq)),
            ]
            for share, what, work in disturbances:
                await asyncio.sleep(max(began + share * seconds - time.monotonic(), 0))
                print(f"{clock(began)}  {what}", flush=True)
                await work()
                print(f"{clock(began)}  done", flush=True)

        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(each) for each in (tail.measure(began), report(sources, tail, began))]
            reading = [group.create_task(each) for each in (tail.read(), tail.tell())]
            async with asyncio.TaskGroup() as work:
                work.create_task(disturb())
                for source in sources.values():
                    work.create_task(source.publish(rate / len(sources), began + seconds))
            async with asyncio.timeout(DEADLINE):
                while any(source.missing for source in sources.values()):  # noqa: ASYNC110
                    await asyncio.sleep(1)
            for task in watching:
                task.cancel()
            code = await tail.end()
            await asyncio.wait(reading)
        conclude(sources, tail, code)


def start(stack: AsyncExitStack, cluster: Startable) -> None:
    """Start a cluster, which is removed in the end."""
    stack.enter_context(cluster)


def memory_of(pid: int) -> float:
    """The megabytes that a process holds."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def clock(began: float) -> str:
    """How long it has lasted."""
    return f"{(time.monotonic() - began) / 60:6.2f} min"


async def report(sources: Mapping[str, Source], tail: Tail, began: float) -> None:
    """Say from time to time how far it is."""
    while True:
        await asyncio.sleep(TOLD)
        counts = ", ".join(
            f"{name} {source.sent:,} sent, {source.confirmed.count(1):,} confirmed, {source.missing:,} not printed yet"
            for name, source in sources.items()
        )
        print(f"{clock(began)}  {tail.memory[-1][1]:5.0f} MB  {counts}", flush=True)


def conclude(sources: Mapping[str, Source], tail: Tail, code: int) -> None:
    """Print the figures, and see that they are right."""
    for name, source in sources.items():
        print(f"{name}: {source.sent:,} sent, {source.missing:,} not printed, {source.twice:,} printed twice")
    end = tail.memory[-1][0]
    quarters = [
        median([megabytes for at, megabytes in tail.memory if begin <= 4 * at / end <= begin + 1]) for begin in range(4)
    ]
    print("memory by quarters: " + ", ".join(f"{each:.0f} MB" for each in quarters))
    assert code == 130, f"the tail ended with {code}"
    assert all(source.sent == source.confirmed.count(1) for source in sources.values())
    assert not any(source.missing for source in sources.values())
    # A publisher to RabbitMQ sends again what a lost connection left unconfirmed.
    assert not sources["kafka"].twice
    assert quarters[3] <= GROWTH * quarters[2], "memory grows"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long is published")
    parser.add_argument("--rate", type=float, default=4_000, help="events a second, of both together")
    arguments = parser.parse_args()
    asyncio.run(soak(arguments.minutes, arguments.rate))


if __name__ == "__main__":
    main()
