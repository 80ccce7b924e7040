"""Three nodes, of which some die: what one of them did, another does, and what none can do is said at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pika
import pytest
from msgspec.structs import replace

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.rabbitmq_cluster import RabbitMQCluster, RabbitMQNode
from tests.e2e.command import run
from tests.rabbitmq.conftest import eventually
from tests.rabbitmq.doing import browse, numbered, publish_all
from workbench.connecting.config import Connection
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import ConnectorError


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitMQCluster]:
    with RabbitMQCluster() as three:
        yield three


@pytest.fixture
async def queue(cluster: RabbitMQCluster) -> AsyncIterator[Address]:
    """A quorum queue on all nodes, which all run, led by the first."""
    await asyncio.to_thread(cluster.start)
    name = f"quorum-{uuid4().hex}"
    arguments = {"x-queue-type": "quorum", "x-quorum-initial-group-size": 3}
    with pika.BlockingConnection(pika.URLParameters(cluster.nodes[0].url)) as connection:
        connection.channel().queue_declare(name, durable=True, arguments=arguments)
    yield Address("rabbit", name)


def url_of(*nodes: RabbitMQNode) -> str:
    """A URL with all of them, for AMQP and for the management API."""
    management = ",".join(node.management_url.removeprefix("http://") for node in nodes)
    return f"amqp://guest:guest@{','.join(node.host for node in nodes)}?management=http://{management}"


def connector_of(*nodes: RabbitMQNode) -> RabbitMQConnector:
    return RabbitMQConnector(replace(Connection.parse(f"rabbit={url_of(*nodes)}"), level=Level.MOVE))


@asynccontextmanager
async def told(connector: RabbitMQConnector) -> AsyncIterator[BrokerIdentity]:
    """Which broker it is, as a guard asks."""
    yield await connector.identity()


async def test_publishing_and_listing_go_on_with_another_node(cluster: RabbitMQCluster, queue: Address) -> None:
    first, *others = cluster.nodes
    async with connector_of(first, *others) as connector, told(connector) as broker, connector.publisher() as publisher:
        await publisher.send(queue, numbered(500))
        answers = publisher.receipts()
        receipts = [*await anext(answers)]
        await asyncio.to_thread(first.kill)
        await publisher.send(queue, numbered(500, begin=500))
        await publisher.finish()
        receipts += [each async for some in answers for each in some]
        assert [each.error for each in receipts if each.error] == []
        assert len(receipts) == 1_000
        assert queue in [each.address for each in await connector.endpoints()]
    async with connector_of(first, *others) as connector, told(connector) as again:
        assert (again.id, again.sure) == (broker.id, True)
        assert queue in [each.address for each in await connector.endpoints()]
        # Some were sent again, and may be there twice.
        assert len({each.event.body for each in await browse(connector, queue)}) == 1_000


async def test_a_queue_without_a_majority_is_said_to_be_and_refused(cluster: RabbitMQCluster, queue: Address) -> None:
    first, *others = cluster.nodes
    async with connector_of(first) as connector:
        await publish_all(connector, queue, numbered(20))
        for node in others:
            await asyncio.to_thread(node.kill)
        said = "most of its members are down, and it works with a majority only (minority)"

        async def known() -> bool:
            return any(each.trouble == said for each in await connector.endpoints() if each.address == queue)

        await eventually(known)
        sentence = f"^{queue} can be neither read nor written now: most of its members are down"
        for refused in (
            connector.browse(queue).__aenter__(),
            connector.claim(queue, "move").__aenter__(),
            connector.rules(queue),
        ):
            with pytest.raises(ConnectorError, match=sentence):
                await refused
    option = ("-c", f"rabbit={url_of(first)}")
    done = run("workbench", "browse", str(queue), *option)
    assert (done.code, done.out, said in done.err) == (1, "", True)
    listed = run("workbench", "ls", "-o", "table", *option)
    assert listed.code == 0 and f"  {said}" in listed.out
