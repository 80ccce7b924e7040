"""What is listed, and what one queue alone tells."""

import asyncio
import json
import subprocess
import sys
from operator import itemgetter
from urllib.parse import quote

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import numbered, publish_all
from workbench.model.endpoint import Consumer, Endpoint

MANY = 3_000


async def test_consumers_of_a_queue_are_told_of_it_alone(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    rabbit.publish(queue, *[b"%d" % number for number in range(20)])
    rabbit.channel.basic_qos(prefetch_count=7)
    rabbit.channel.basic_consume(queue.name, lambda *_: None, consumer_tag="careful")
    rabbit.amqp.process_data_events(1)
    other = rabbit.amqp.channel()
    other.basic_consume(queue.name, lambda *_: None, auto_ack=True, consumer_tag="careless")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        endpoint = await connector.endpoint(queue)

        async def known() -> bool:
            nonlocal endpoint
            rabbit.amqp.process_data_events(0)
            endpoint = await connector.endpoint(queue)
            return len([reader for reader in endpoint.readers if reader.channel]) == 2 and _unacknowledged(endpoint)

        await eventually(known)
        (listed,) = await connector.endpoints()
    channels = {reader.tag: reader.channel for reader in endpoint.readers}
    assert set(endpoint.readers) == {
        Consumer("careful", channels["careful"], 7, True, True),
        Consumer("careless", channels["careless"], 0, True, False),
    }
    assert channels["careful"].endswith(f"({rabbit.channel.channel_number})")
    assert endpoint.consumers == 2
    assert listed.readers == ()
    assert dict(listed.detail)["unacknowledged"] == "7"
    url = f"rabbit={rabbit.url}?management={rabbit.broker.management_url}"
    command = [sys.executable, "-m", "workbench", "ls", "-c", url, str(queue), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert sorted(json.loads(out)["readers"], key=itemgetter("tag")) == [
        {"tag": "careful", "channel": channels["careful"], "prefetch": 7, "active": True, "acknowledges": True},
        {"tag": "careless", "channel": channels["careless"], "prefetch": 0, "active": True, "acknowledges": False},
    ]


def _unacknowledged(endpoint: Endpoint) -> bool:
    return dict(endpoint.detail).get("unacknowledged") == "7"


async def test_rate_of_acknowledgements_is_told(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        rabbit.channel.basic_qos(prefetch_count=10)
        rabbit.channel.basic_consume(
            queue.name, lambda channel, method, *_: channel.basic_ack(method.delivery_tag), consumer_tag="busy"
        )

        async def working() -> bool:
            await publish_all(connector, queue, numbered(100))
            await asyncio.to_thread(rabbit.amqp.process_data_events, 0.2)
            (listed,) = await connector.endpoints()
            return float(dict(listed.detail).get("acknowledged a second", "0")) > 0

        await eventually(working)


@pytest.mark.parametrize("kind", ["classic", "quorum", "stream"])
async def test_published_counts_what_ever_came_in(rabbit: Rabbit, kind: str) -> None:
    queue, exchange = rabbit.queue(kind), rabbit.exchange("topic")
    rabbit.bind(queue, exchange, "#")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        # On a channel that stays: the broker may lose count of what one publishes that ends at once.
        for number in range(50):
            exchange_name, key = ("", queue.name) if number < 20 else (exchange.name, "key")
            rabbit.channel.basic_publish(exchange_name, key, b"%d" % number)
        if kind != "stream":
            rabbit.drain(queue, 10)

        async def counted() -> bool:
            listed = {endpoint.address: endpoint.published for endpoint in await connector.endpoints()}
            return (listed[queue], listed[exchange]) == (50, 30)

        await eventually(counted)
        assert (await connector.endpoint(queue)).published == 50
        assert (await connector.endpoint(exchange)).published == 30


async def test_published_is_not_told_where_dead_letters_come_in_uncounted(rabbit: Rabbit) -> None:
    dead = rabbit.queue()
    failing = rabbit.queue(x_dead_letter_exchange="", x_dead_letter_routing_key=dead.name)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        for queue in [failing] * 5 + [dead] * 2:
            rabbit.channel.basic_publish("", queue.name, b"one")

        async def counted() -> bool:
            published = {endpoint.address: endpoint.published for endpoint in await connector.endpoints()}
            return published == {failing: 5, dead: None} and "publish" in (
                rabbit.facts(dead).get("message_stats") or {}
            )

        await eventually(counted)


async def test_thousands_of_queues_are_listed_in_order(rabbitmq_4: RabbitMQAddress) -> None:
    rabbit = new_vhost(rabbitmq_4)
    try:
        names = [f"queue-{number:05}" for number in range(MANY)]
        queues = [{"name": name, "durable": True, "auto_delete": False, "arguments": {}} for name in reversed(names)]
        definitions = {"queues": queues, "exchanges": [], "bindings": []}
        rabbit.api.post(f"/api/definitions/{quote(rabbit.vhost, safe='')}", json=definitions).raise_for_status()
        async with RabbitMQConnector(rabbit.connection()) as connector:
            listed = await connector.endpoints()
        assert [endpoint.address.name for endpoint in listed] == names
    finally:
        rabbit.remove()
