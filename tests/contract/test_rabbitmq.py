"""RabbitMQ 3.10 and 4.0 pass the contract."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from tests.brokers.rabbitmq import RabbitMQAddress
from tests.contract.samples import Keeps
from tests.contract.suite import ConnectorContract
from tests.contract.under_test import BrokerUnderTest, Kind, Place
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability

_STREAM = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.BY_POSITION
    | Ability.BY_TIME
    | Ability.FROM_END
    | Ability.PUBLISH
    | Ability.PROPERTIES
)
_TYPES = {"classic queue": "classic", "exchange": "classic", "quorum queue": "quorum", "stream": "stream"}


class RabbitMQUnderTest(BrokerUnderTest):
    """A virtual host of the tests' own, made and looked into through the management API and pika."""

    def __init__(self, rabbitmq: RabbitMQAddress, vhost: str, api: httpx.Client, channel: BlockingChannel) -> None:
        self._vhost = vhost
        self._api = api
        self._channel = channel
        self._made: list[str] = []
        url = f"{rabbitmq.url}/{vhost}?management={quote(rabbitmq.management_url, safe='')}"
        self.connection = Connection.parse(f"rabbit={url}")
        self.intruder = Connection.parse(f"rabbit={url.replace('guest:guest@', 'guest:wrong-password@')}")
        self.nowhere = Connection.parse(f"rabbit=amqp://guest:guest@127.0.0.1:1/{vhost}?management=http://127.0.0.1:1")

    async def create(
        self,
        kind: str,
        *,
        partitions: int = 1,
        pattern: str = "#",
        dead_letters_to: Address | None = None,
        delivery_limit: int | None = None,
    ) -> Place:
        """A queue with a new name, behind a topic exchange of its own."""
        name = uuid4().hex
        queue, exchange = Address("rabbit", name), Address("rabbit", f"{name}-exchange", "exchange")
        arguments: dict[str, Any] = {"x-queue-type": _TYPES[kind]}
        if dead_letters_to is not None and dead_letters_to.namespace == "exchange":
            arguments["x-dead-letter-exchange"] = dead_letters_to.name
        elif dead_letters_to is not None:
            arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead_letters_to.name}
        if delivery_limit is not None:
            arguments["x-delivery-limit"] = delivery_limit
        self._made.append(name)
        self._channel.queue_declare(name, durable=True, arguments=arguments)
        self._channel.exchange_declare(exchange.name, "topic", durable=True)
        self._channel.queue_bind(name, exchange.name, pattern)
        return Place(exchange if kind == "exchange" else queue, exchange, queue)

    async def inventory(self) -> set[str]:
        """All queues and exchanges of the virtual host."""
        kinds = ("queues", "exchanges")
        return {f"{kind}/{entry['name']}" for kind in kinds for entry in self._get(f"/api/{kind}/{self._vhost}")}

    def remove(self) -> None:
        """Delete what was made."""
        for name in self._made:
            self._channel.queue_delete(name)
            self._channel.exchange_delete(f"{name}-exchange")

    def _get(self, path: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self._api.get(path, params={"columns": "name"}).raise_for_status().json()
        return entries


@contextmanager
def _vhost(rabbitmq: RabbitMQAddress) -> Iterator[str]:
    """A new virtual host that the administrator may use."""
    name = f"contract-{uuid4().hex}"
    with _api(rabbitmq) as api:
        api.put(f"/api/vhosts/{name}").raise_for_status()
        try:
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            api.put(f"/api/permissions/{name}/guest", json=everything).raise_for_status()
            yield name
        finally:
            api.delete(f"/api/vhosts/{name}").raise_for_status()


@contextmanager
def _under_test(rabbitmq: RabbitMQAddress, vhost: str) -> Iterator[RabbitMQUnderTest]:
    parameters = pika.URLParameters(f"{rabbitmq.url}/{vhost}?heartbeat=0")
    with _api(rabbitmq) as api, pika.BlockingConnection(parameters) as connection:
        under_test = RabbitMQUnderTest(rabbitmq, vhost, api, connection.channel())
        yield under_test
        under_test.remove()


def _api(rabbitmq: RabbitMQAddress) -> httpx.Client:
    return httpx.Client(base_url=rabbitmq.management_url, auth=("guest", "guest"), trust_env=False, timeout=30)


def _kinds(keeps: Keeps) -> Sequence[Kind]:
    """The kinds of endpoint, those that keep AMQP 0-9-1 keeping it like this."""
    abilities = Ability.BROWSE | Ability.TAIL | Ability.CLAIM | Ability.REMOVE | Ability.PUBLISH | Ability.PROPERTIES
    queue = Kind("classic queue", "queue", abilities, keeps, free=False, holds=True, dead_letters=True, tapped=True)
    routing = Ability.TAIL | Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES
    return (
        queue,
        replace(queue, name="quorum queue", counts=True),
        # RabbitMQ keeps what is in a stream as AMQP 1.0, which has fewer types.
        Kind("stream", "log", _STREAM, keeps="texts", positions="counted"),
        Kind("exchange", "routes", routing, keeps, keys="words"),
    )


@pytest.fixture(scope="module")
def vhost_3(rabbitmq_3: RabbitMQAddress) -> Iterator[str]:
    """A virtual host on RabbitMQ 3.10."""
    with _vhost(rabbitmq_3) as vhost:
        yield vhost


@pytest.fixture(scope="module")
def vhost_4(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    """A virtual host on RabbitMQ 4.0."""
    with _vhost(rabbitmq_4) as vhost:
        yield vhost


class TestRabbitMQ3(ConnectorContract):
    """The suite against RabbitMQ 3.10."""

    kinds: ClassVar[Sequence[Kind]] = _kinds(keeps="wire")

    @pytest.fixture
    def broker(self, rabbitmq_3: RabbitMQAddress, vhost_3: str) -> Iterator[RabbitMQUnderTest]:
        """The virtual host; what a test makes there goes with it."""
        with _under_test(rabbitmq_3, vhost_3) as broker:
            yield broker


class TestRabbitMQ4(ConnectorContract):
    """The suite against RabbitMQ 4.0."""

    kinds: ClassVar[Sequence[Kind]] = _kinds(keeps="sorted wire")

    @pytest.fixture
    def broker(self, rabbitmq_4: RabbitMQAddress, vhost_4: str) -> Iterator[RabbitMQUnderTest]:
        """The virtual host; what a test makes there goes with it."""
        with _under_test(rabbitmq_4, vhost_4) as broker:
            yield broker
