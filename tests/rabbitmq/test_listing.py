"""What is listed, and what one queue alone tells."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from operator import itemgetter
from urllib.parse import quote
from uuid import uuid4

import pytest
from msgspec.structs import replace

from connectors.rabbitmq import RabbitMQConnector, endpoints
from connectors.rabbitmq.topology import Queue
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import numbered, publish_all
from workbench.model.address import Address
from workbench.model.endpoint import Consumer, Endpoint
from workbench.model.errors import AccessRefused, EndpointNotFound

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


async def test_queues_are_counted_again_beside_those_that_are_gone_or_locked(rabbit: Rabbit) -> None:
    queues = [rabbit.queue("quorum" if number % 3 == 0 else "classic") for number in range(12)]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        listed = {each.address: each for each in await connector.endpoints()}
        gone, locked, full = queues[3], Address("rabbit", f"locked-{uuid4().hex}"), queues[8]
        rabbit.channel.queue_delete(gone.name)
        rabbit.channel.queue_declare(locked.name, exclusive=True)
        rabbit.publish(full, *[b"%d" % number for number in range(7)])
        asked = [*[listed[each] for each in queues], replace(listed[queues[0]], address=locked), listed[queues[1]]]
        told = await connector.recount(asked)
    left = {each["name"] for each in rabbit.api.get(f"/api/queues/{quote(rabbit.vhost, safe='')}").json()}
    assert left == {each.name for each in queues} - {gone.name} | {locked.name}
    depths = [each.depth if isinstance(each, Endpoint) else None for each in told]
    assert depths == [0, 0, 0, None, 0, 0, 0, 0, 7, 0, 0, 0, None, 0]
    assert isinstance(told[3], EndpointNotFound)
    assert "exclusive access" in str(told[12]) and not isinstance(told[12], EndpointNotFound)


@pytest.mark.parametrize(
    ("state", "is_known"), [("running", True), ("flow", True), ("minority", False), ("down", False)]
)
def test_a_queue_without_a_leader_is_not_taken_for_an_empty_one(state: str, is_known: bool) -> None:
    queue = endpoints.of_queue(Queue("orders", "quorum", state=state), "rabbit", False, (4, 0))
    # What the broker answers for one.
    now = endpoints.recounted(queue, (0, 0))
    assert isinstance(now, Endpoint) == is_known
    assert is_known or state in str(now)


async def test_queues_are_not_counted_where_nobody_can_be_asked(rabbit: Rabbit, reader: str) -> None:
    queues = [rabbit.queue() for _ in range(3)]
    url = rabbit.url.replace("guest:guest", f"{reader}:{reader}")
    async with RabbitMQConnector(rabbit.connection(url)) as connector:
        listed = [each for each in await connector.endpoints() if each.address in queues]
        rabbit.api.delete(f"/api/permissions/{quote(rabbit.vhost, safe='')}/{reader}").raise_for_status()
        rabbit.api.delete(f"/api/connections/username/{reader}").raise_for_status()

        async def refused() -> bool:
            return all(isinstance(each, AccessRefused) for each in await connector.recount(listed))

        await eventually(refused)


@pytest.fixture
def reader(rabbit: Rabbit) -> Iterator[str]:
    """A user who may enter the virtual host and list what is there, and may neither read, write nor configure; the
    password is the name."""
    name = f"reader-{uuid4().hex}"
    rabbit.api.put(f"/api/users/{name}", json={"password": name, "tags": "monitoring"}).raise_for_status()
    nothing = {"configure": "^$", "write": "^$", "read": "^$"}
    rabbit.api.put(f"/api/permissions/{quote(rabbit.vhost, safe='')}/{name}", json=nothing).raise_for_status()
    yield name
    rabbit.api.delete(f"/api/users/{name}").raise_for_status()


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
