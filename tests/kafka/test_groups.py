"""Consumer groups: who there is, how far they have got, how old what they have not read is."""

import uuid
from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, admin
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound
from workbench.model.start import OfGroup


async def commit(kafka: KafkaAddress, group: str, address: Address, offsets: Mapping[int, int]) -> None:
    """Commit as a consumer does that chose its partitions itself."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = {TopicPartition(address.name, number): offset for number, offset in offsets.items()}
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


async def test_a_group_tells_its_lag_and_the_age_of_what_it_has_not_read(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(3)
    for partition in range(3):
        await publish(connector, address, numbered(100, first=partition * 1000), partition)
    name = f"kafka-tests-{uuid.uuid4().hex}"
    await commit(kafka, name, address, {0: 90, 1: 100})
    group = await connector.group(name)
    assert (group.name, group.state, group.members, group.lag) == (name, "Empty", (), 10)
    assert group.oldest_unread == BASE + 90
    assert [(each.partition, each.committed, each.end, each.lag, each.oldest_unread) for each in group.partitions] == [
        ("0", "90", "100", 10, BASE + 90),
        ("1", "100", "100", 0, None),
    ]
    assert group in await connector.groups()


async def test_a_group_tells_its_members(connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(10))
    name = f"kafka-tests-{uuid.uuid4().hex}"
    consumer = AIOKafkaConsumer(
        address.name, bootstrap_servers=kafka.bootstrap, group_id=name, client_id="reader", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        await consumer.getmany(timeout_ms=10_000)
        group = await connector.group(name)
    finally:
        await consumer.stop()
    [member] = group.members
    assert (member.client, member.host, group.state) == ("reader", "127.0.0.1", "Stable")
    assert [(each.partition, each.committed, each.member) for each in group.partitions] == [
        ("0", None, member.name),
        ("1", None, member.name),
    ]
    assert group.lag == 10


async def test_several_groups_of_one_topic_are_told_apart(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(1)
    await publish(connector, address, numbered(10))
    names = [f"kafka-tests-{uuid.uuid4().hex}" for _ in range(3)]
    for offset, name in enumerate(names):
        await commit(kafka, name, address, {0: offset})
    groups = {group.name: group for group in await connector.groups()}
    assert [groups[name].oldest_unread for name in names] == [BASE, BASE + 1, BASE + 2]
    assert [groups[name].lag for name in names] == [10, 9, 8]
    assert list(groups) == sorted(groups)


async def test_a_group_of_a_deleted_topic_does_no_harm(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(1), f"kafka-tests-{uuid.uuid4().hex}"
    other = await topic(1)
    for each in (address, other):
        await publish(connector, each, numbered(3))
        await commit(kafka, name, each, {0: 1})
    async with admin(kafka.bootstrap) as client:
        await client.delete_topics([address.name])
    group = await connector.group(name)
    assert [each.address for each in group.partitions] == [other]


async def test_what_a_group_has_not_read_is_browsed(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(2)
    for partition in range(2):
        await publish(connector, address, numbered(10), partition)
    name = f"kafka-tests-{uuid.uuid4().hex}"
    await commit(kafka, name, address, {0: 8})
    found = by_partition(await browse(connector, address, OfGroup(name)))
    assert found == {"0": [8, 9], "1": list(range(10))}


async def test_a_group_that_is_not_there_is_not_found(connector: KafkaConnector) -> None:
    with pytest.raises(EndpointNotFound, match="no consumer group 'kafka-tests-nobody'"):
        await connector.group("kafka-tests-nobody")
