"""What a screen that nobody touches costs the brokers it shows: `python -m tests.benchmarks.watching [--seconds 180]`.

3,000 topics and 500 consumer groups on Kafka, beside kaskade; 10,000 queues on RabbitMQ, beside what its management
page asks for every 5 s while it shows the first hundred of them. Each in turn for as long, on brokers of this
benchmark's own, once it has drawn what there is. Measured is the broker's side: the connections that it holds, the
bytes that go over them, the segments with data that come in (a request is one, mostly), and the processor that its
process takes. The goal is 3 % of one core.
"""

import argparse
import asyncio
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import httpx
import pika
from aiokafka.admin import NewTopic

from connectors.kafka.cluster import Cluster
from connectors.kafka.ledger import advance
from connectors.kafka.settings import Settings
from tests.benchmarks.first_paint import KASKADE
from tests.benchmarks.peers import installed
from tests.brokers.kafka import Kafka
from tests.brokers.rabbitmq import RabbitMQ
from tests.e2e.terminal import Terminal
from tests.kafka.conftest import admin
from workbench.connecting.config import Connection

TOPICS: Final = 3_000
GROUPS: Final = 500
QUEUES: Final = 10_000
GOAL: Final = 0.03
"""Of a core."""
SETTLING: Final = 20.0
"""Seconds from the start of a screen to the measurement."""
SAMPLE: Final = 0.05
"""Seconds between two looks at the broker's sockets: what goes over one shortly before its end is overlooked."""
POLL: Final = 5.0
"""Seconds after which the management page asks again."""
OURS: Final = "workbench"
TICKS: Final = os.sysconf("SC_CLK_TCK")


Watcher: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Watches from when it is entered."""


class Traffic(NamedTuple):
    """What went over a connection: segments with data that the broker received, and bytes both ways."""

    requests: int = 0
    bytes: int = 0


class Cost(NamedTuple):
    """What a broker did in a stretch of time: requests, connections that it held, bytes, seconds of processor."""

    requests: int
    connections: int
    bytes: int
    processor: float


class Broker(NamedTuple):
    """One to be watched: its process, and where it listens."""

    pid: int
    ports: tuple[int, ...]

    @property
    def processor(self) -> float:
        """Seconds that it has held a processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def traffic(self) -> dict[str, Traffic]:
        """What went over each connection to it so far, by its ends."""
        ports = " or ".join(f"sport = :{port}" for port in self.ports)
        shown = subprocess.run(["ss", "-tinHO", f"( {ports} )"], capture_output=True, text=True, check=True).stdout
        found = {}
        for line in shown.splitlines():
            counts = {name: int(count) for name, count in re.findall(r"(data_segs_in|bytes_\w+):(\d+)", line)}
            size = counts.get("bytes_sent", 0) + counts.get("bytes_received", 0)
            found[" ".join(line.split()[3:5])] = Traffic(counts.get("data_segs_in", 0), size)
        return found

    def measure(self, seconds: float) -> Cost:
        """What it does in so many seconds."""
        before, spent = self.traffic(), self.processor
        seen = dict(before)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(SAMPLE)
            seen |= self.traffic()
        spent = self.processor - spent
        requests = sum(each.requests - before.get(ends, Traffic()).requests for ends, each in seen.items())
        size = sum(each.bytes - before.get(ends, Traffic()).bytes for ends, each in seen.items())
        return Cost(requests, len(seen), size, spent)


@contextmanager
def screen(text: str, *arguments: str, program: Path | None = None) -> Iterator[None]:
    """A program on a terminal, once it has drawn a text, until the block ends."""
    with Terminal(*arguments, columns=160, rows=50, program=program) as terminal:
        terminal.until(text)

        def take(over: threading.Event) -> None:
            while not over.is_set():
                terminal.take(0.2)
                terminal.forget()

        with beside(take):
            yield


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have something done on a thread until the block ends, which it is told by an event."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def management_page(url: str) -> Iterator[None]:
    """What the management page of queues asks for, as often as it does, until the block ends."""
    queues = "/api/queues?page=1&page_size=100&name=&use_regex=false&pagination=true"

    def poll(over: threading.Event) -> None:
        with httpx.Client(base_url=url, auth=("guest", "guest"), trust_env=False, timeout=60) as api:
            while not over.wait(POLL):
                for path in ("/api/overview", queues):
                    api.get(path).raise_for_status()

    with beside(poll):
        yield


def compare(broker: Broker, watchers: Mapping[str, Watcher], seconds: float) -> None:
    """Measure each in turn, and print what each costs beyond what the broker does by itself, before and afterwards."""
    costs: dict[str, Cost] = {}
    for name, watcher in {"nobody": nullcontext, **watchers, "nobody again": nullcontext}.items():
        with watcher():
            time.sleep(SETTLING)
            costs[name] = broker.measure(seconds)
    idle = (costs.pop("nobody").processor + costs.pop("nobody again").processor) / 2
    ours = max(costs[OURS].processor - idle, 0)
    print(f"  {'':16} requests/s  connections     KB/s   of a core  times ours")
    for name, cost in costs.items():
        own = max(cost.processor - idle, 0)
        ratio = f"{own / ours:12.1f}" if ours and name != OURS else ""
        goal = f" (goal {GOAL:.0%})" if name == OURS else ""
        print(
            f"  {name:16} {cost.requests / seconds:10.2f}  {cost.connections:11}  {cost.bytes / seconds / 1000:7.1f}"
            f"  {own / seconds:10.2%}{ratio}{goal}"
        )
    print(f"  (a core's share is beyond the {idle / seconds:.2%} that the broker takes by itself)", flush=True)


async def fill_kafka(broker: Kafka) -> None:
    """Make the topics and the groups, each of which stands at some topics."""
    names = [f"topic-{number:04}" for number in range(TOPICS)]
    async with admin(broker.bootstrap) as client:
        for first in range(0, TOPICS, 250):
            await client.create_topics([NewTopic(name, 1, 1) for name in names[first : first + 250]])
        while len(await client.list_topics()) < TOPICS:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    cluster = Cluster(Settings.of(Connection.parse(f"bench={broker.url}")))
    try:
        for number in range(GROUPS):
            await advance(cluster, f"group-{number:03}", {(names[number + each], 0): 0 for each in range(3)})
    finally:
        await cluster.close()


def fill_rabbitmq(broker: RabbitMQ) -> None:
    """Make the queues."""
    with pika.BlockingConnection(pika.URLParameters(f"{broker.url}?heartbeat=0")) as connection:
        channel = connection.channel()
        for number in range(QUEUES - 1):
            # Not waiting for each answer, which pika's blocking channel would do.
            channel._impl.queue_declare(f"queue-{number:05}", durable=True)
        channel.queue_declare(f"queue-{QUEUES - 1:05}", durable=True)


def on_kafka(seconds: float) -> None:
    """Kafka, beside kaskade."""
    kaskade = installed("kaskade", KASKADE) / "kaskade"
    # The tests' brokers compile little, to start fast; this goes before their own options.
    os.environ["_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=4"
    with Kafka("benchmark") as kafka:
        del os.environ["_JAVA_OPTIONS"]
        asyncio.run(fill_kafka(kafka))
        print(f"Kafka with {TOPICS:,} topics and {GROUPS} groups, {seconds:.0f} s each")
        watchers: dict[str, Watcher] = {
            OURS: lambda: screen("topic-0000", "-c", f"k={kafka.url}"),
            "kaskade admin": lambda: screen("topic-0000", "admin", "-b", kafka.bootstrap, program=kaskade),
        }
        compare(Broker(kafka.pid, (port_of(kafka.url),)), watchers, seconds)


def on_rabbitmq(seconds: float) -> None:
    """RabbitMQ, beside its management page."""
    with RabbitMQ("benchmark") as rabbitmq:
        fill_rabbitmq(rabbitmq)
        print(f"RabbitMQ with {QUEUES:,} queues, {seconds:.0f} s each")
        url = f"r={rabbitmq.url}?management={rabbitmq.management_url}"
        watchers: dict[str, Watcher] = {
            OURS: lambda: screen("queue-00000", "-c", url),
            "management page": lambda: management_page(rabbitmq.management_url),
        }
        ports = port_of(rabbitmq.url), port_of(rabbitmq.management_url)
        compare(Broker(rabbitmq.pid, ports), watchers, seconds)


def port_of(url: str) -> int:
    """The port at the end of a URL."""
    return int(url.rpartition(":")[2])


def main() -> None:
    """Measure on both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180, help="how long each is watched")
    parser.add_argument("--only", choices=("kafka", "rabbitmq"))
    arguments = parser.parse_args()
    if arguments.only != "rabbitmq":
        on_kafka(arguments.seconds)
    if arguments.only != "kafka":
        on_rabbitmq(arguments.seconds)


if __name__ == "__main__":
    main()
