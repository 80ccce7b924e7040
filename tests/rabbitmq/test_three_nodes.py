"""Three nodes, of which some die: what one of them did, another does, and what none can do is said at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pika
import pytest
from msgspec.structs import replace

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.rabbitmq_cluster import RabbitMQCluster, RabbitMQNode
from tests.e2e.command import run
from tests.rabbitmq.conftest import DEADLINE, eventually
from tests.rabbitmq.doing import bodies, browse, numbered, publish_all
from tests.rabbitmq.moving import persistent
from workbench.connecting.config import Connection
from workbench.connecting.identity import BrokerIdentity
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, ConnectorError
from workbench.operations.journal.records import find_journal, read_entries
from workbench.operations.move.moves import carry_out
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


@pytest.fixture(scope="module")
def cluster() -> Iterator[RabbitMQCluster]:
    with RabbitMQCluster() as three:
        yield three


@pytest.fixture
async def queue(cluster: RabbitMQCluster) -> AsyncIterator[Address]:
    """A quorum queue on all nodes, which all run, led by the first."""
    await asyncio.to_thread(cluster.start)
    yield quorum_queue(cluster.nodes[0])


def quorum_queue(leader: RabbitMQNode) -> Address:
    """A new one on all nodes."""
    name = f"quorum-{uuid4().hex}"
    arguments = {"x-queue-type": "quorum", "x-quorum-initial-group-size": 3}
    with pika.BlockingConnection(pika.URLParameters(leader.url)) as connection:
        connection.channel().queue_declare(name, durable=True, arguments=arguments)
    return Address("rabbit", name)


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


async def test_a_node_that_does_not_have_a_stream_yet_is_tried_again(cluster: RabbitMQCluster, queue: Address) -> None:
    first, second, _ = cluster.nodes
    stream = Address("rabbit", f"stream-{uuid4().hex}")
    arguments = {"x-queue-type": "stream", "x-initial-cluster-size": 1, "x-queue-leader-locator": "client-local"}
    with pika.BlockingConnection(pika.URLParameters(first.url)) as connection:
        connection.channel().queue_declare(stream.name, durable=True, arguments=arguments)
    async with connector_of(second) as connector:
        with pytest.raises(ConnectionLost, match="does not have a running replica on the local node"):
            await connector.tail(stream).__aenter__()


async def test_a_move_goes_on_with_another_node_and_says_what_a_dead_one_holds(
    cluster: RabbitMQCluster, queue: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, *others = cluster.nodes
    target, events = quorum_queue(first), persistent(4_000)
    given = replace(Connection.parse(f"rabbit={url_of(first, *others)}"), level=Level.MOVE)
    async with asyncio.timeout(2 * DEADLINE), Session([given]) as session:
        connector = await session.connector("rabbit")
        await publish_all(connector, queue, events)
        plan = await make_plan(session, Wanted(queue, target=target))
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            moving = group.create_task(carry_out(session, plan, lambda now: begun.set() if now.moved else None))
            await begun.wait()
            # It leads both queues, and is the one that is connected to.
            await asyncio.to_thread(first.kill)
        ended = moving.result()
        if not ended.complete:
            # What a consumer of the dead node holds cannot be had, and it is not for us when the broker gives it back.
            assert (ended.state, ended.gone, ended.can_go_on) == ("interrupted", 0, True), ended
            return
        arrived = Counter(bodies(await browse(connector, target)))
        assert bodies(await browse(connector, queue)) == []
    assert set(arrived) == {each.body for each in events}
    named = {entry.message.event.body for entry in read_entries(find_journal(plan.id)) if entry.twice}
    assert {body for body, count in arrived.items() if count > 1} <= named


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
