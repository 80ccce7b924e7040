"""Two brokers: partitions are read from and written to their leaders, also when these change."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import Kafka
from tests.kafka.conftest import DEADLINE, admin, connect, led
from tests.kafka.reading import BASE, browse, numbered, publish
from workbench.model.address import Address
from workbench.model.event import Delivery

EVENTS = 30_000


class SecondKafka(Kafka):
    """A broker that joins the cluster of another."""

    def __init__(self, first: Kafka) -> None:
        self._first = first
        super().__init__("second")

    def _write_configuration(self) -> Path:
        file = super()._write_configuration()
        own = file.read_text().replace(f",CONTROLLER://127.0.0.1:{self._controller}", "")
        changed = {
            "process.roles": "broker",
            "node.id": "2",
            "controller.quorum.voters": f"1@127.0.0.1:{self._first._controller}",
        }
        kept = [line for line in own.splitlines() if line.split("=")[0] not in changed]
        file.write_text("\n".join([*kept, *(f"{key}={value}" for key, value in changed.items()), ""]))
        return file


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[Kafka, SecondKafka]]:
    with Kafka("first") as first, SecondKafka(first) as second:
        yield first, second


@pytest.fixture
async def connector(cluster: tuple[Kafka, SecondKafka]) -> AsyncIterator[KafkaConnector]:
    async with connect(cluster[0].url) as connected:
        yield connected


@pytest.fixture
async def address(cluster: tuple[Kafka, SecondKafka]) -> Address:
    """A topic of 4 partitions that both brokers hold and of which each leads some."""
    first, second = cluster
    await asyncio.to_thread(second.start)
    name = f"kafka-tests-{uuid.uuid4().hex}"
    async with admin(first.bootstrap) as client, asyncio.timeout(60):
        while len((await client.describe_cluster())["brokers"]) != 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        answer = await client.create_topics([NewTopic(name, 4, 2)])
        assert all(code == 0 for _, code, *_ in answer.topic_errors), answer
        # Another broker may answer each time, and know less than the one before.
        while not led(described := await client.describe_topics([name]), 4):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert {partition["leader"] for partition in described[0]["partitions"]} == {1, 2}
    return Address("kafka", name)


def times(deliveries: list[Delivery]) -> list[int]:
    return [(delivery.event.timestamp or 0) - BASE for delivery in deliveries]


async def test_partitions_of_several_brokers_are_merged(connector: KafkaConnector, address: Address) -> None:
    await publish(connector, address, numbered(EVENTS, size=250))
    assert times(await browse(connector, address)) == list(range(EVENTS))
    async with connector.scan([address], [[b"event-"]]) as stream:
        assert len([delivery async for batch in stream for delivery in batch]) == EVENTS
    endpoint = await connector.endpoint(address)
    assert (endpoint.depth, endpoint.partitions) == (EVENTS, 4)


async def test_browse_follows_the_leaders(
    cluster: tuple[Kafka, SecondKafka], connector: KafkaConnector, address: Address
) -> None:
    await publish(connector, address, numbered(EVENTS, size=250))
    async with connector.browse(address) as stream:
        found = [*await anext(stream)]
        await asyncio.to_thread(cluster[1].kill)
        async for batch in stream:
            found += batch
    assert times(found) == list(range(EVENTS))
    assert stream.coverage.complete


async def test_a_tail_follows_the_leaders(
    cluster: tuple[Kafka, SecondKafka], connector: KafkaConnector, address: Address
) -> None:
    found: list[Delivery] = []
    async with connector.tail(address) as stream, asyncio.timeout(DEADLINE):
        for first in range(0, 4_000, 1_000):
            if first == 2_000:
                await asyncio.to_thread(cluster[1].kill)
            await publish(connector, address, numbered(1_000, first=first))
            while len(found) < first + 1_000:
                found += await anext(stream)
    assert sorted(times(found)) == list(range(4_000))
    assert not stream.coverage.gaps


async def test_publishing_follows_the_leaders(
    cluster: tuple[Kafka, SecondKafka], connector: KafkaConnector, address: Address
) -> None:
    async with connector.publisher() as publisher:
        for first in range(0, EVENTS, 1_000):
            if first == EVENTS // 3:
                await asyncio.to_thread(cluster[1].kill)
            await publisher.send(address, numbered(1_000, first=first, size=250))
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    assert not any(receipt.error for receipt in receipts)
    assert len(receipts) == EVENTS
    assert times(await browse(connector, address)) == list(range(EVENTS))
