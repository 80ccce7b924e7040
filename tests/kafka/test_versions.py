"""Brokers that offer older versions than Kafka does: they are read and written, and a refused version is a sentence."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import (
    DESCRIBE_CONFIGS,
    DESCRIBE_GROUPS,
    EVENT_HUBS,
    FETCH,
    LIST_GROUPS,
    METADATA,
    PRODUCE,
    NarrowBroker,
    narrow,
)
from tests.kafka.conftest import MakeTopic, connect, workbench
from tests.kafka.reading import browse, by_partition, numbered, publish
from tests.kafka.test_groups import commit
from workbench.model.endpoint import Ability
from workbench.model.errors import Unsupported, WorkbenchError


@pytest.fixture
async def event_hubs(kafka: KafkaAddress) -> AsyncIterator[NarrowBroker]:
    """The shared broker, as narrow as Event Hubs."""
    async with narrow(kafka.bootstrap) as broker:
        yield broker
    assert broker.refused == []


async def test_every_command_works_where_less_is_offered(
    event_hubs: NarrowBroker, kafka: KafkaAddress, topic: MakeTopic, connector: KafkaConnector
) -> None:
    address, group = await topic(2), f"kafka-tests-{uuid.uuid4().hex}"
    await publish(connector, address, numbered(3), 0)
    await commit(kafka, group, address, {0: 1})
    place, option = f"k/{address.name}", ("-c", f"k={event_hubs.url}")

    async def lines(*command: str) -> list[str]:
        code, output, errors = await workbench(*command, *option)
        assert code == 0, (command, errors)
        return output.splitlines()

    await lines("connections", "check")
    assert any(address.name in line and '"atomic"' not in line for line in await lines("ls", "--json"))
    assert await lines("publish", place, "found", "--guard", "publish") is not None
    assert len(await lines("browse", place, "--json")) == 4
    assert await lines("browse", place, "-w", "found", "-o", "body") == ["found"]
    assert len(await lines("tail", place, "--from", "beginning", "-n", "4", "--json")) == 4
    assert await lines("tail", place, "--idle", "0.2", "--json") == []
    assert any(group in line and '"lag":2' in line for line in await lines("groups", "--json"))
    assert (event_hubs.asked[FETCH, 6] > 0, event_hubs.asked[PRODUCE, 7] > 0) == (True, True)


async def test_a_ledger_goes_on_where_less_is_offered(event_hubs: NarrowBroker, topic: MakeTopic) -> None:
    address, ledger = await topic(1), f"kafka-tests-{uuid.uuid4().hex}"
    async with connect(event_hubs.url) as connector:
        await publish(connector, address, numbered(5))
        assert Ability.ATOMIC not in (await connector.endpoint(address)).abilities
        async with connector.transaction(ledger) as transaction, transaction.claim(address, "move", 2) as claims:
            [batch] = [batch async for batch in claims]
            await claims.settle(range(len(batch)))
        async with connector.transaction(ledger) as transaction, transaction.claim(address, "move") as claims:
            left = [each async for batch in claims for each in batch]
        assert len(left) == 3
        with pytest.raises(Unsupported, match="offers no transactions"):
            async with connector.transaction(ledger) as transaction, transaction.publisher():
                pass


@pytest.mark.parametrize("fetch", range(4, 11))
async def test_each_version_of_fetch_brings_the_same(
    kafka: KafkaAddress, topic: MakeTopic, connector: KafkaConnector, fetch: int
) -> None:
    address = await topic(2)
    for partition in range(2):
        await publish(connector, address, numbered(10, first=partition * 10), partition)
    async with narrow(kafka.bootstrap, {**EVENT_HUBS, FETCH: (4, fetch)}) as broker, connect(broker.url) as narrowed:
        found = await browse(narrowed, address)
    expected = await browse(connector, address)
    assert [(each.position, each.event) for each in found] == [(each.position, each.event) for each in expected]
    assert (broker.asked[FETCH, fetch] > 0, broker.refused, len(found)) == (True, [], 20)


@pytest.mark.parametrize("produce", range(3, 8))
async def test_each_version_of_produce_writes(
    kafka: KafkaAddress, topic: MakeTopic, connector: KafkaConnector, produce: int
) -> None:
    address = await topic(1)
    async with (
        narrow(kafka.bootstrap, {**EVENT_HUBS, PRODUCE: (0, produce)}) as broker,
        connect(broker.url) as narrowed,
    ):
        receipts = await publish(narrowed, address, numbered(3))
    assert [receipt.position and receipt.position.offset for receipt in receipts] == ["0", "1", "2"]
    assert by_partition(await browse(connector, address)) == {"0": [0, 1, 2]}
    assert (broker.asked[PRODUCE, produce] > 0, broker.refused) == (True, [])


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        ({FETCH: (11, 18)}, "offers Fetch 11 to 18, not 4 to 10."),
        ({FETCH: (0, 3)}, "offers Fetch 0 to 3, not 4 to 10."),
        ({METADATA: (20, 21)}, "offers Metadata 20 to 21, not 0 to 5."),
        ({PRODUCE: (8, 9)}, "offers Produce 8 to 9, not 3 to 7."),
    ],
)
async def test_a_version_that_is_not_offered_is_said_at_once(
    kafka: KafkaAddress, topic: MakeTopic, offered: dict[int, tuple[int, int]], said: str
) -> None:
    address = await topic(1)
    async with narrow(kafka.bootstrap, {**EVENT_HUBS, **offered}) as broker:
        with pytest.raises(WorkbenchError) as caught:
            async with connect(broker.url) as connector, asyncio.timeout(10):
                [receipt] = await publish(connector, address, numbered(1))
                if receipt.error:
                    raise receipt.error
                await browse(connector, address)
    assert str(caught.value) == f"The broker at {broker.bootstrap} {said}"
    assert broker.refused == []


async def test_topics_are_listed_and_written_where_nobody_tells_how_they_are_configured(
    kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(1)
    without = {key: versions for key, versions in EVENT_HUBS.items() if key != DESCRIBE_CONFIGS}
    async with narrow(kafka.bootstrap, without) as broker, connect(broker.url) as narrowed:
        await publish(narrowed, address, numbered(3))
        endpoint = await narrowed.endpoint(address)
    assert (endpoint.depth, dict(endpoint.detail)) == (3, {"replicas": "1"})
    assert broker.refused == []


async def test_groups_are_listed_where_their_kinds_are_not_named(
    kafka: KafkaAddress, topic: MakeTopic, connector: KafkaConnector
) -> None:
    address, name = await topic(1), f"kafka-tests-{uuid.uuid4().hex}"
    await publish(connector, address, numbered(3))
    await commit(kafka, name, address, {0: 1})
    async with narrow(kafka.bootstrap) as broker, connect(broker.url) as narrowed:
        assert await narrowed.group(name) == await connector.group(name)
        assert broker.asked.keys() >= {(LIST_GROUPS, 2), (DESCRIBE_GROUPS, 2)}
    without = {key: versions for key, versions in EVENT_HUBS.items() if key != DESCRIBE_GROUPS}
    async with narrow(kafka.bootstrap, without) as broker, connect(broker.url) as narrowed:
        group = await narrowed.group(name)
    assert (group.lag, [gap.reason for gap in group.gaps]) == (
        2,
        [f"The broker at {broker.bootstrap} does not offer DescribeGroups"],
    )
