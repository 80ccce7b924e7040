"""A broker that is killed and comes back: nothing is lost in silence, and what could not be seen is said."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

import pytest
from pika.exceptions import AMQPError

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.reconnecting import Following
from tests.brokers.fixtures import OwnBrokers
from tests.brokers.rabbitmq import RabbitMQ
from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, browse, close_connections, numbered, publish_all, read
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import ConnectionLost
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt

DURABLE = Content((), {"delivery_mode": 2})


@pytest.fixture(params=["rabbitmq-3.10", "rabbitmq-4.0"])
def mortal(request: pytest.FixtureRequest, own_broker: OwnBrokers) -> Iterator[tuple[RabbitMQ, Rabbit]]:
    """A broker of the test's own, and a virtual host there."""
    kind: Literal["rabbitmq-3.10", "rabbitmq-4.0"] = request.param
    broker = own_broker(kind)
    rabbit = new_vhost(broker)
    yield broker, rabbit
    rabbit.api.close()
    with suppress(AMQPError):
        rabbit.amqp.close()


async def to_disk(broker: RabbitMQ) -> None:
    """Stop the broker in good order, and start it again: what was declared seconds before a kill may not survive it."""
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(broker.start)


async def is_there(connector: RabbitMQConnector, stream: Address) -> bool:
    """Whether a stream can be read: for a moment after its broker's start it is called down."""
    try:
        async with connector.tail(stream):
            return True
    except ConnectionLost:
        return False


async def restart(broker: RabbitMQ) -> None:
    """Kill the broker without warning, and start it again."""
    broker.kill()
    await asyncio.to_thread(broker.start)


async def test_following_goes_on_behind_a_gap_and_without_one_in_a_stream(mortal: tuple[RabbitMQ, Rabbit]) -> None:
    broker, rabbit = mortal
    rabbit.channel.exchange_declare("orders", "fanout", durable=True)
    queue, stream = rabbit.queue(), rabbit.queue("stream")
    rabbit.channel.queue_bind(queue.name, "orders")
    await to_disk(broker)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await eventually(lambda: is_there(connector, stream))
        async with connector.tail(queue) as tap, connector.tail(stream) as log, asyncio.TaskGroup() as group:
            assert isinstance(tap, Following)
            seen: dict[str, list[Delivery]] = {"tap": [], "log": []}

            async def follow(name: str, source: Following) -> None:
                async for batch in source:
                    seen[name] += batch

            followers = [group.create_task(follow("tap", tap)), group.create_task(follow("log", log))]  # type: ignore[arg-type]
            exchange = type(queue)("rabbit", "orders", "exchange")
            await publish_all(connector, exchange, numbered(10))
            await publish_all(connector, stream, numbered(10))

            async def received(count: int) -> bool:
                return len(seen["tap"]) == count and len(seen["log"]) == count

            await eventually(lambda: received(10))
            broker.kill()

            async def interrupted() -> bool:
                return tap.interruption is not None

            await eventually(interrupted)
            assert tap.interruption is not None
            assert tap.interruption.retry_at > tap.interruption.since
            await asyncio.to_thread(broker.start)

            async def again() -> bool:
                return tap.interruption is None and log.interruption is None

            await eventually(again)
            await publish_all(connector, exchange, numbered(10, begin=10))
            await publish_all(connector, stream, numbered(10, begin=10))
            await eventually(lambda: received(20))
            for follower in followers:
                follower.cancel()
        assert bodies(seen["tap"]) == bodies(numbered(20))
        assert bodies(seen["log"]) == bodies(numbered(20))
        assert [delivery.position and delivery.position.offset for delivery in seen["log"]] == [
            str(offset) for offset in range(20)
        ]
        (_, gap) = tap.coverage.gaps
        assert gap.what.startswith("what arrived from 20")
        assert gap.reason
        assert tap.coverage.read == 20
        assert log.coverage.gaps == ()
        assert "nothing was missed" in str(log.coverage)


async def test_look_claim_and_publishing_end_with_one_sentence_and_lose_nothing(
    mortal: tuple[RabbitMQ, Rabbit],
) -> None:
    broker, rabbit = mortal
    queues = [rabbit.queue(), rabbit.queue()]
    target = rabbit.queue()
    await to_disk(broker)
    durable = [Event(body=b"%d" % number, written=DURABLE) for number in range(3_000)]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        for queue in queues:
            await publish_all(connector, queue, durable)
        with pytest.raises(ConnectionLost):
            async with (
                asyncio.timeout(DEADLINE),
                connector.browse(queues[0]) as stream,
                connector.claim(queues[1], "move") as claims,
                connector.publisher() as publisher,
            ):
                async for _ in claims:
                    break
                await publisher.send(target, durable)
                await publisher.finish()
                confirmed = [receipt async for batch in publisher.receipts() for receipt in batch]
                assert len(confirmed) == len(durable)
                await restart(broker)
                outcomes = await claims.settle([0])
                assert isinstance(outcomes[0].error, ConnectionLost)
                await read(stream)
        # The same connector, on a new connection.
        assert all(isinstance(receipt, Receipt) and receipt.error is None for receipt in confirmed)
        for queue in (*queues, target):

            async def back(queue=queue) -> bool:  # type: ignore[no-untyped-def]
                return (await connector.endpoint(queue)).depth == len(durable)

            await eventually(back)
            assert bodies(await browse(connector, queue)) == bodies(durable)


async def test_a_tail_on_the_command_line_says_that_the_connection_is_lost_and_back(rabbit: Rabbit) -> None:
    exchange = rabbit.exchange()
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    command = [sys.executable, "-m", "workbench", "tail", "-c", url, str(exchange), "-n", "1", "-o", "body"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        assert (await process.stderr.readline()).decode() == f"tailing {exchange}\n"
        await close_connections(rabbit)
        lost, back = [(await process.stderr.readline()).decode() for _ in range(2)]
        # The connection may have been closed once more, and a tap sees nothing of what comes before it is back.
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(process.communicate())
            while not reading.done():
                rabbit.publish(exchange, b"after it", key="k")
                await asyncio.wait([reading], timeout=0.5)
        out, _ = reading.result()
    assert lost.startswith(f"workbench: {exchange}: ") and lost.endswith("; trying again.\n")
    assert (back, out) == (f"workbench: tailing {exchange} again.\n", b"after it\n")


async def test_a_tail_of_several_says_at_once_that_one_has_ended(rabbit: Rabbit) -> None:
    gone, kept = rabbit.queue("stream"), rabbit.queue("stream")
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    command = [sys.executable, "-m", "workbench", "tail", "-c", url, str(gone), str(kept), "-n", "1", "-o", "body"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        assert (await process.stderr.readline()).decode() == f"tailing {gone}, {kept}\n"
        rabbit.channel.queue_delete(gone.name)
        ended = (await process.stderr.readline()).decode()
        rabbit.publish(kept, b"after it")
        out, rest = await process.communicate()
    assert ended.startswith(f"workbench: {gone}: ") and "the broker ended the consumer" in ended
    assert (process.returncode, out, b"ended the consumer" in rest) == (3, b"after it\n", False)
