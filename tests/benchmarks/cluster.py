"""What a search on a Dask cluster costs in processor time, beside the same search at home.

    python -m tests.benchmarks.cluster [--events N]

The scheduler and its two workers run on this machine, so this says what a cluster costs, and nothing of what many
machines gain. Times are of all processes of a search, but for the broker's; printed is the median of some rounds, in
which the two take turns.
"""

import argparse
import asyncio
import json
import resource
import subprocess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.brokers.kafka import Kafka
from tests.e2e.command import INSTALLED
from tests.e2e.dask import DaskCluster
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench.model.event import Event

ROUNDS = 5
BATCH = 100_000
QUERIES = {"an id": "order-999", "decoded": "time exists and offset = 7"}


async def fill(broker: Kafka, count: int) -> str:
    """A topic of so many events; returns its name."""
    address = await make_topic(broker.bootstrap, 4)
    async with connect(broker.url) as connector:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            bodies = (
                json.dumps({"orderId": f"order-{each}", "total": each % 1000, "note": "x" * 100}) for each in numbers
            )
            await publish(connector, address, [Event(body=body.encode()) for body in bodies])
    return address.name


def seconds_of_find(*arguments: str) -> float:
    """The processor time of a search, of this machine's processes that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([INSTALLED, "find", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(broker: Kafka, cluster: DaskCluster, topic: str, query: str) -> tuple[list[float], list[float]]:
    """Processor time at home and on the cluster, in each round."""
    asked = (query, topic, "-c", f"k={broker.url}", "-o", "body", "-n", "10000")
    home, away = [], []
    for _ in range(ROUNDS):
        home.append(seconds_of_find(*asked))
        before = cluster.seconds
        own = seconds_of_find(*asked, "--cluster", cluster.address)
        away.append(own + cluster.seconds - before)
    return home, away


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with (
        Kafka("cluster-benchmark") as broker,
        TemporaryDirectory() as folder,
        DaskCluster(Path(folder)) as cluster,
    ):
        cluster.add_workers(2)
        topic = asyncio.run(fill(broker, events))
        for what, query in QUERIES.items():
            home, away = compare(broker, cluster, topic, query)
            ratio = median(there / here for here, there in zip(home, away, strict=True))
            print(
                f"{what} in {events:,} events: {median(home):.2f} s of processor at home, {median(away):.2f} s on a"
                f" cluster, {ratio:.2f} of it [{min(away) / max(home):.2f}, {max(away) / min(home):.2f}]"
            )


if __name__ == "__main__":
    main()
