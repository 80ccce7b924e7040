"""A virtual host of a test's own on each RabbitMQ, seen from outside by pika and the management API."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec
import pika
import pytest

from tests.brokers.rabbitmq import RabbitMQAddress
from workbench.connecting.config import Connection
from workbench.connecting.level import Level
from workbench.model.address import Address

DEADLINE = 120.0


class Rabbit:
    """What a test makes at a broker and asks of it, nothing of it through the connector."""

    def __init__(self, broker: RabbitMQAddress, vhost: str) -> None:
        self.broker = broker
        self.vhost = vhost
        self.release = broker.release
        self.url = f"{broker.url}/{quote(vhost, safe='')}"
        self.api = httpx.Client(base_url=broker.management_url, auth=("guest", "guest"), trust_env=False, timeout=60)
        self.amqp = pika.BlockingConnection(pika.URLParameters(f"{self.url}?heartbeat=0"))
        self.channel = self.amqp.channel()

    def connection(self, url: str = "", **options: str) -> Connection:
        """The virtual host as `rabbit`, from which messages may be moved; `url` overrides where AMQP is."""
        query = {"management": self.broker.management_url, **options}
        options_text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value)
        given = Connection.parse(f"rabbit={url or self.url}?{options_text}")
        return msgspec.structs.replace(given, level=Level.MOVE)

    def queue(self, kind: str = "classic", **arguments: Any) -> Address:
        """A new durable queue of a type; `x_…` are its arguments."""
        name = f"{kind}-{uuid4().hex}"
        table = {"x-queue-type": kind, **{key.replace("_", "-"): value for key, value in arguments.items()}}
        self.channel.queue_declare(name, durable=True, arguments=table)
        return Address("rabbit", name)

    def exchange(self, kind: str = "topic", **arguments: Any) -> Address:
        """A new exchange."""
        name = f"{kind}-{uuid4().hex}"
        table = {key.replace("_", "-"): value for key, value in arguments.items()}
        self.channel.exchange_declare(name, kind, arguments=table)
        return Address("rabbit", name, "exchange")

    def bind(
        self, queue: Address, exchange: Address, key: str = "", arguments: Mapping[str, Any] | None = None
    ) -> None:
        """Bind."""
        self.channel.queue_bind(queue.name, exchange.name, key, arguments=dict(arguments or {}))

    def publish(self, address: Address, *bodies: bytes, key: str = "", **properties: Any) -> None:
        """Publish with pika, confirmed."""
        channel = self.amqp.channel()
        channel.confirm_delivery()
        exchange, key = (address.name, key) if address.namespace == "exchange" else ("", address.name)
        for body in bodies:
            channel.basic_publish(exchange, key, body, pika.BasicProperties(delivery_mode=2, **properties))
        channel.close()

    def ready(self, queue: Address) -> int:
        """Messages that are ready."""
        return int(self.channel.queue_declare(queue.name, passive=True).method.message_count)

    def facts(self, queue: Address) -> dict[str, Any]:
        """What the management API says of a queue."""
        reply = self.api.get(f"/api/queues/{quote(self.vhost, safe='')}/{queue.name}")
        facts: dict[str, Any] = reply.raise_for_status().json()
        return facts

    def drain(self, queue: Address, count: int) -> list[bytes]:
        """Take so many messages out, in the order in which the queue hands them out."""
        bodies: list[bytes] = []
        if not count:
            return bodies
        channel = self.amqp.channel()
        for _, _, body in channel.consume(queue.name, auto_ack=True, inactivity_timeout=5):
            if body is None:
                break
            bodies.append(body)
            if len(bodies) == count:
                break
        channel.close()
        return bodies

    def names(self) -> set[str]:
        """All queues and exchanges, also temporary ones."""
        vhost = quote(self.vhost, safe="")
        return {
            f"{kind}/{entry['name']}"
            for kind in ("queues", "exchanges")
            for entry in self.api.get(f"/api/{kind}/{vhost}", params={"columns": "name"}).raise_for_status().json()
        }

    async def until_settled(self, queue: Address, ready: int) -> None:
        """Return when the management API says that so many are ready and none is unacknowledged."""

        async def quiet() -> bool:
            facts = self.facts(queue)
            return facts.get("messages_ready") == ready and facts.get("messages_unacknowledged") == 0

        await eventually(quiet)

    def remove(self) -> None:
        """Delete the virtual host."""
        if self.amqp.is_open:
            self.amqp.close()
        self.api.delete(f"/api/vhosts/{quote(self.vhost, safe='')}").raise_for_status()
        self.api.close()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


def new_vhost(broker: RabbitMQAddress, user: str = "guest") -> Rabbit:
    """A new virtual host on a broker."""
    name = f"test/{uuid4().hex}"
    with httpx.Client(base_url=broker.management_url, auth=("guest", "guest"), trust_env=False, timeout=60) as api:
        api.put(f"/api/vhosts/{quote(name, safe='')}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        api.put(f"/api/permissions/{quote(name, safe='')}/{user}", json=everything).raise_for_status()
    return Rabbit(broker, name)


@pytest.fixture(params=["3.10", "4.0"])
def rabbit(
    request: pytest.FixtureRequest, rabbitmq_3: RabbitMQAddress, rabbitmq_4: RabbitMQAddress
) -> Iterator[Rabbit]:
    """A new virtual host, on each release."""
    made = new_vhost(rabbitmq_3 if request.param == "3.10" else rabbitmq_4)
    yield made
    made.remove()
