"""RabbitMQ, side by side with pika: `python -m tests.benchmarks.rabbitmq [--million] [--queues]`.

Prints rates and their ratios, all from one run on one broker. The goals: receive at least 1.6 times as fast as pika's
own asyncio consumer, publish confirmed at least 8 times as fast as one by one, and memory that does not grow with the
number of messages (`--million`: a million through a tail). `--queues`: how long it takes to list ten thousand.
"""

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from statistics import median
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.client import Client
from connectors.rabbitmq.deliveries import deliveries
from connectors.rabbitmq.settings import Access
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.brokers.shared import rabbitmq
from tests.rabbitmq.conftest import new_vhost
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event

RECEIVED = 40_000
PUBLISHED = 20_000
ONE_BY_ONE = 2_000
ROUNDS = 3
MILLION = 1_000_000
QUEUES = 10_000

BODY = json.dumps({"type": "OrderPlaced", "order": 1001, "lines": [{"sku": f"sku-{n}", "count": n} for n in range(11)]})
CONTENT = Content(
    (
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("origin", "checkout"),
        ("retries", 0),
    ),
    {"content_type": "application/json", "delivery_mode": 2, "message_id": "4a0c3c2e-6a86-4c3f-9d1b-9c6bb7a1f0c2"},
)
EVENT = Event(b"bench", BODY.encode(), written=CONTENT)
PROPERTIES = pika.BasicProperties(
    content_type="application/json",
    delivery_mode=2,
    message_id="4a0c3c2e-6a86-4c3f-9d1b-9c6bb7a1f0c2",
    headers=dict(CONTENT.headers),
)


class Bench:
    """One broker, one queue of each kind."""

    def __init__(self, broker: RabbitMQAddress) -> None:
        self.url = broker.url
        self.connection = Connection.parse(f"bench={broker.url}?management={broker.management_url}")
        self._control = pika.BlockingConnection(pika.URLParameters(broker.url + "?heartbeat=0"))
        self.channel = self._control.channel()

    def queue(self, kind: str) -> str:
        """A fresh queue, bound to a fresh exchange of the same name."""
        name = f"bench-{kind}"
        self.channel.queue_delete(name)
        self.channel.exchange_delete(name)
        self.channel.queue_declare(name, durable=True, arguments={"x-queue-type": kind})
        self.channel.exchange_declare(name, "fanout")
        self.channel.queue_bind(name, name)
        return name

    def close(self) -> None:
        """Remove what was made."""
        for kind in ("classic", "quorum"):
            self.channel.queue_delete(f"bench-{kind}")
            self.channel.exchange_delete(f"bench-{kind}")
        self._control.close()


async def timed(work: Callable[[], Awaitable[int]]) -> float:
    """Messages a second."""
    begin = time.perf_counter()
    count = await work()
    return count / (time.perf_counter() - begin)


async def publish(connector: RabbitMQConnector, address: Address, count: int) -> int:
    """Publish pipelined through the connector, every receipt looked at."""
    return await publish_all(connector, address, ([EVENT] * min(1_000, count - at) for at in range(0, count, 1_000)))


async def publish_all(connector: RabbitMQConnector, address: Address, batches: Iterable[Sequence[Event]]) -> int:
    """The same with events of one's own; how many there were."""
    async with connector.publisher() as publisher, asyncio.TaskGroup() as group:
        count = 0

        async def send() -> None:
            nonlocal count
            for some in batches:
                count += len(some)
                await publisher.send(address, some)
            await publisher.finish()

        group.create_task(send())
        taken = 0
        async for batch in publisher.receipts():
            taken += sum(receipt.error is None for receipt in batch)
    assert taken == count
    return taken


async def publish_one_by_one(bench: Bench, queue: str, count: int) -> int:
    """Publish as pika's own blocking channel does with confirmations."""
    with pika.BlockingConnection(pika.URLParameters(bench.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(count):
            channel.basic_publish("", queue, EVENT.body, PROPERTIES, mandatory=True)
    return count


async def receive(bench: Bench, queue: str, count: int) -> int:
    """Receive through our client: prefetch 1,000, an acknowledgement each 200; deliveries made of all."""
    address, seen, acknowledged = Address("bench", queue), 0, 0
    async with await Client.open(Access.read(bench.connection)) as client:
        channel = await client.channel()
        await channel.qos(1_000)
        await channel.consume(queue, "bench", {})
        while seen < count:
            arrivals = await channel.arrivals()
            seen += len(deliveries(arrivals, address, int(time.time() * 1000), "classic queue"))
            if seen - acknowledged >= 200 or seen == count:
                acknowledged = seen
                channel.acknowledge_until(arrivals[-1][0])
        await channel.count(queue)
    return seen


async def receive_with_pika(url: str, queue: str, count: int) -> int:
    """Receive with pika's asyncio consumer as tutorials do it: prefetch 1,000, an acknowledgement each 200."""
    loop = asyncio.get_running_loop()
    opened, channel_opened, done = loop.create_future(), loop.create_future(), loop.create_future()
    closed = loop.create_future()
    seen = 0

    def received(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen % 200 == 0 or seen == count:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if seen == count:
            done.set_result(None)

    connection = AsyncioConnection(
        pika.URLParameters(url),
        on_open_callback=opened.set_result,
        on_close_callback=lambda *_: closed.set_result(None),
        custom_ioloop=loop,
    )
    await opened
    connection.channel(on_open_callback=channel_opened.set_result)
    channel = await channel_opened
    channel.basic_qos(prefetch_count=1_000, callback=lambda _: channel.basic_consume(queue, received))
    await done
    connection.close()
    await closed
    return seen


async def compare(bench: Bench, kind: str) -> None:
    """Print the figures of one kind of queue."""
    address = Address("bench", bench.queue(kind))
    async with RabbitMQConnector(bench.connection) as connector:
        pipelined, single = [], []
        for _ in range(ROUNDS):
            pipelined.append(await timed(lambda: publish(connector, address, PUBLISHED)))
            single.append(await timed(lambda: publish_one_by_one(bench, address.name, ONE_BY_ONE)))
        bench.channel.queue_purge(address.name)
        report(f"publish, confirmed, {kind}", "pipelined", pipelined, "one by one", single, 8.0)
        ours: list[float] = []
        theirs: list[float] = []
        spent: list[float] = []
        theirs_spent: list[float] = []
        for _ in range(ROUNDS):
            for receiving, rates, costs in (
                (lambda: receive(bench, address.name, RECEIVED), ours, spent),
                (lambda: receive_with_pika(bench.url, address.name, RECEIVED), theirs, theirs_spent),
            ):
                await publish(connector, address, RECEIVED)
                begin = time.process_time()
                rates.append(await timed(receiving))
                costs.append((time.process_time() - begin) / RECEIVED * 1e6)
        report(f"receive and acknowledge, {kind}", "ours", ours, "pika asyncio", theirs, 1.6)
        print(f"{'':40} {median(spent):.1f} µs of our processor each, pika {median(theirs_spent):.1f} µs")


def report(what: str, one: str, ours: list[float], other: str, theirs: list[float], goal: float) -> None:
    """One line of figures."""
    ratio = median(ours) / median(theirs)
    print(
        f"{what:34} {one} {median(ours):9,.0f}/s   {other} {median(theirs):9,.0f}/s   {ratio:5.1f} times (goal {goal})"
    )


async def million(bench: Bench) -> None:
    """A million messages published and tailed at once; prints the memory of this process in between."""
    name = bench.queue("classic")
    bench.channel.queue_unbind(name, name)
    exchange = Address("bench", name, "exchange")
    async with RabbitMQConnector(bench.connection) as connector, connector.tail(exchange) as stream:
        async with asyncio.TaskGroup() as group:
            group.create_task(publish(connector, exchange, MILLION))
            begin, seen, shown = time.perf_counter(), 0, 0
            async for batch in stream:
                seen += len(batch)
                if seen >= shown:
                    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    print(f"{seen:9,} tailed while published, {kilobytes / 1024:6.0f} MB at most so far")
                    shown += 100_000
                if seen >= MILLION:
                    break
        took = time.perf_counter() - begin
        print(f"{seen:9,} in {took:.1f} s ({seen / took:,.0f}/s); {stream.coverage}")


async def many_queues(broker: RabbitMQAddress) -> None:
    """Lists of ten thousand queues, in a virtual host of their own; prints how long each took."""
    rabbit = new_vhost(broker)
    try:
        names = [f"queue-{number:05}" for number in range(QUEUES)]
        for name in names:
            # Not waiting for each answer, which pika's blocking channel would do.
            rabbit.channel._impl.queue_declare(name, durable=True)
        rabbit.channel.queue_declare(names[-1], passive=True)
        async with RabbitMQConnector(rabbit.connection()) as connector:
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                assert len(await connector.endpoints()) == QUEUES
                print(f"{QUEUES:9,} queues listed in {time.perf_counter() - begin:.1f} s")
        # The management API gives up on a virtual host that takes a minute to delete.
        for name in names[:-1]:
            rabbit.channel._impl.queue_delete(name)
        rabbit.channel.queue_delete(names[-1])
    finally:
        rabbit.remove()


async def main() -> None:
    """Run all, on a broker that runs already or on one started for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="send a million messages through a tail, too")
    parser.add_argument("--queues", action="store_true", help="list ten thousand queues, too")
    parser.add_argument("--release", choices=("3.10", "4.0"), default="4.0")
    arguments = parser.parse_args()
    with rabbitmq(arguments.release) as broker:
        bench = Bench(broker)
        print(f"RabbitMQ {arguments.release}, {len(BODY)} bytes each")
        for kind in ("classic", "quorum"):
            await compare(bench, kind)
        if arguments.million:
            await million(bench)
        if arguments.queues:
            await many_queues(broker)
        bench.close()


if __name__ == "__main__":
    asyncio.run(main())
