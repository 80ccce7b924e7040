"""Three brokers: partitions are read from and written to their leaders, also when these change, die or stand still."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from msgspec.structs import replace

from connectors.kafka import KafkaConnector
from connectors.kafka.cluster import TRANSACTION
from tests.brokers.kafka_cluster import KafkaCluster
from tests.kafka.conftest import DEADLINE, admin, connect, led, workbench
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish, take, wait_until_decided
from workbench.connecting.config import Connection
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.event import Delivery
from workbench.model.start import Latest
from workbench.operations.move.moves import carry_out
from workbench.operations.move.passes import ledger_of
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

EVENTS = 30_000
NewTopicOf = Callable[[int, int], Awaitable[Address]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster() as three:
        yield three


@pytest.fixture
async def connector(cluster: KafkaCluster) -> AsyncIterator[KafkaConnector]:
    async with connect(cluster.url) as connected:
        yield connected


@pytest.fixture
async def topic_of(cluster: KafkaCluster) -> NewTopicOf:
    """Call it with numbers of partitions and of replicas, for a topic of which each broker leads some; all run."""
    await asyncio.to_thread(cluster.start)

    async def make(partitions: int, replicas: int) -> Address:
        name = f"kafka-tests-{uuid.uuid4().hex}"
        async with admin(cluster.bootstrap) as client, asyncio.timeout(60):
            while len((await client.describe_cluster())["brokers"]) != 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            answer = await client.create_topics([NewTopic(name, partitions, replicas)])
            assert all(code == 0 for _, code, *_ in answer.topic_errors), answer
            # Another broker may answer each time, and know less than the one before.
            known = 0
            while known < 12:
                known = known + 1 if led(described := await client.describe_topics([name]), partitions) else 0
                await asyncio.sleep(0.02)
            assert {partition["leader"] for partition in described[0]["partitions"]} == {1, 2, 3}
        return Address("kafka", name)

    return make


@pytest.fixture
async def address(topic_of: NewTopicOf) -> Address:
    """A topic of 6 partitions that all brokers hold."""
    return await topic_of(6, 3)


def times(deliveries: list[Delivery]) -> list[int]:
    return [(delivery.event.timestamp or 0) - BASE for delivery in deliveries]


async def test_partitions_of_several_brokers_are_merged(connector: KafkaConnector, address: Address) -> None:
    await publish(connector, address, numbered(EVENTS, size=250))
    assert times(await browse(connector, address)) == list(range(EVENTS))
    async with connector.scan([address], [[b"event-"]]) as stream:
        assert len([delivery async for batch in stream for delivery in batch]) == EVENTS
    endpoint = await connector.endpoint(address)
    assert (endpoint.depth, endpoint.partitions) == (EVENTS, 6)


async def test_a_browse_and_a_scan_follow_the_leaders(
    cluster: KafkaCluster, connector: KafkaConnector, address: Address
) -> None:
    await publish(connector, address, numbered(EVENTS, size=250))
    async with connector.browse(address) as browsed, connector.scan([address], [[b"event-"]]) as scanned:
        # So that there are many answers, and the death comes between them.
        scanned._fetching._size = 300_000
        shown, hits = [*await anext(browsed)], [*await anext(scanned)]
        await asyncio.to_thread(cluster.nodes[2].kill)
        async for batch in browsed:
            shown += batch
        async for batch in scanned:
            hits += batch
    assert times(shown) == list(range(EVENTS))
    assert sorted(times(hits)) == list(range(EVENTS))
    assert browsed.coverage.complete
    assert scanned.coverage.complete


async def test_a_move_goes_on_with_the_next_leaders_and_coordinator(
    cluster: KafkaCluster,
    connector: KafkaConnector,
    topic_of: NewTopicOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    source, target = await topic_of(6, 3), await topic_of(3, 3)
    await publish(connector, source, numbered(EVENTS))
    given = replace(Connection.parse(f"kafka={cluster.url}"), level=Level.MOVE)
    async with asyncio.timeout(2 * DEADLINE), Session([given]) as session:
        plan = await make_plan(session, Wanted(source, target=target))
        begun = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            moving = group.create_task(carry_out(session, plan, lambda now: begun.set() if now.moved else None))
            await begun.wait()
            lost = await connector._cluster.coordinator(TRANSACTION, ledger_of(plan.id))
            await asyncio.to_thread(cluster.nodes[lost].kill)
        ended = moving.result()
    assert (plan.guarantee, ended.complete, ended.moved, ended.twice) == ("exactly once", True, EVENTS, 0), ended
    await wait_until_decided(connector, target)
    assert sorted(times(await browse(connector, target))) == list(range(EVENTS))


async def test_a_tail_follows_the_leaders(cluster: KafkaCluster, connector: KafkaConnector, address: Address) -> None:
    found: list[Delivery] = []
    async with connector.tail(address) as stream, asyncio.timeout(DEADLINE):
        for first in range(0, 4_000, 1_000):
            if first == 2_000:
                await asyncio.to_thread(cluster.nodes[2].kill)
            await publish(connector, address, numbered(1_000, first=first))
            while len(found) < first + 1_000:
                found += await anext(stream)
    assert sorted(times(found)) == list(range(4_000))
    assert not stream.coverage.gaps


async def test_publishing_follows_the_leaders(
    cluster: KafkaCluster, connector: KafkaConnector, address: Address
) -> None:
    async with connector.publisher() as publisher:
        for first in range(0, EVENTS, 1_000):
            if first == EVENTS // 3:
                await asyncio.to_thread(cluster.nodes[2].kill)
            await publisher.send(address, numbered(1_000, first=first, size=250))
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    assert not any(receipt.error for receipt in receipts)
    assert len(receipts) == EVENTS
    assert times(await browse(connector, address)) == list(range(EVENTS))


async def test_commands_wait_for_the_next_leader_and_say_so(cluster: KafkaCluster, address: Address) -> None:
    async with connect(cluster.url) as connector:
        receipts = await publish(connector, address, numbered(600))
    assert [receipt.error for receipt in receipts] == [None] * 600
    option = ("-c", f"kafka={cluster.url}")
    told: list[str] = []
    async with connect(cluster.url) as early:
        early.tell = told.append
        await asyncio.to_thread(cluster.nodes[2].kill)
        # The first of them meets a cluster that has not noticed yet; a program takes a while to start.
        seen, shown, listed, sent = await asyncio.gather(
            browse(early, address),
            workbench("browse", str(address), "-n", "700", *option),
            workbench("ls", str(address), "--json", *option),
            workbench("publish", str(address), "late", *option),
        )
    assert [code for code, *_ in (shown, listed, sent)] == [0, 0, 0], (shown, listed, sent)
    assert shown[1].count("\n") >= 600
    assert len(seen) >= 600
    waiting = f"at {cluster.nodes[2].bootstrap}: nobody listens there. Waiting up to 30 s for another"
    assert any(waiting in sentence for sentence in told)


async def test_a_partition_without_a_leader_hides_no_other(
    cluster: KafkaCluster, connector: KafkaConnector, topic_of: NewTopicOf
) -> None:
    lonely, other = await topic_of(6, 1), await topic_of(3, 3)
    for each in (lonely, other):
        await publish(connector, each, numbered(600))
    leaders = (await connector._cluster.topic(lonely.name)).leaders
    lost = [number for number, leader in leaders.items() if leader == 2]
    kept = by_partition(await browse(connector, lonely))
    for number in lost:
        del kept[str(number)]
    count = sum(map(len, kept.values()))
    await asyncio.to_thread(cluster.nodes[2].kill)
    async with connector.browse(lonely) as stream:
        assert by_partition([each async for batch in stream for each in batch]) == kept
    assert [(gap.what, gap.reason) for gap in stream.coverage.gaps] == [
        (f"partition {number}", "no broker leads it at the moment") for number in lost
    ]
    async with connector.scan([lonely, other], [[b"event-"]]) as scan:
        assert len([each async for batch in scan for each in batch]) == count + 600
    assert [gap.what for gap in scan.coverages[lonely].gaps] == [f"partition {number}" for number in lost]
    places = (str(lonely), str(other))
    code, output, errors = await workbench("browse", *places, "--from", "beginning", "-c", f"kafka={cluster.url}")
    assert (code, output.count("\n")) == (3, count + 600)
    assert "(no broker leads it at the moment)" in errors
    code, output, _ = await workbench("find", "body ~ event", "--since", "1d", *places, "-c", f"kafka={cluster.url}")
    assert (code, output.count("\n")) == (3, count + 600)
    endpoint = await connector.endpoint(lonely)
    assert endpoint.depth is None
    names = f"partition {', '.join(map(str, lost))}"
    assert dict(endpoint.detail)["without a leader"] == names
    async with connector.tail(lonely) as stream:
        assert [gap.what for gap in stream.coverage.gaps] == [f"partition {number}" for number in lost]
        assert stream.interruption and stream.interruption.reason == f"{names}: no broker leads it at the moment"
        await asyncio.to_thread(cluster.nodes[2].start)
        async with asyncio.timeout(DEADLINE):
            while stream.coverage.gaps:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for number in lost:
            await publish(connector, lonely, numbered(1, first=number), number)
        assert sorted(times(await take(stream, len(lost)))) == lost
        assert stream.interruption is None


async def test_a_tail_goes_on_while_the_first_broker_of_the_url_stands_still(
    cluster: KafkaCluster, topic_of: NewTopicOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kafka.fetcher._REFRESH_SECONDS", 0.2)
    address = await topic_of(3, 3)
    first = cluster.nodes[1]
    others = ",".join(node.bootstrap for node in cluster.nodes.values() if node is not first)
    async with connect(f"kafka://{others}") as writing, connect(cluster.url) as reading:
        [partition, *_] = [
            number for number, leader in (await writing._cluster.topic(address.name)).leaders.items() if leader == 2
        ]
        async with reading.tail(address, Latest()) as stream:
            await publish(writing, address, numbered(1), partition)
            assert len(await take(stream, 1)) == 1
            os.kill(first.pid, signal.SIGSTOP)
            try:
                # Its answer would be waited for longer than all this may take.
                async with asyncio.timeout(8):
                    for number in range(1, 20):
                        await publish(writing, address, numbered(1, first=number), partition)
                        assert times(await take(stream, 1)) == [number]
            finally:
                os.kill(first.pid, signal.SIGCONT)
