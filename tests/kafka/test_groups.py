"""Consumer groups: who there is, how far they have got, how old what they have not read is."""

import time
import uuid
from collections import Counter
from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import FETCH, OFFSET_FETCH, narrow
from tests.kafka.conftest import MakeTopic, admin, connect, workbench
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound
from workbench.model.event import Event
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
    [listed] = [each for each in await connector.groups() if each.name == name]
    assert (listed.lag, listed.oldest_unread) == (10, None)


async def test_listing_groups_reads_no_event_and_asks_for_many_at_once(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, names = await topic(2), {f"kafka-tests-{uuid.uuid4().hex}" for _ in range(40)}
    await publish(connector, address, numbered(100))
    for name in names:
        await commit(kafka, name, address, {0: len(name) % 7, 1: 3})
    async with narrow(kafka.bootstrap) as broker:
        async with connect(broker.url) as watching:
            for _ in range(3):
                listed = {group.name: group for group in await watching.groups()}
        connections = broker.connections
        asked = Counter[int]()
        for (key, _), count in broker.asked.items():
            asked[key] += count
    assert all(listed[name].lag > 0 for name in names)
    # The bootstrap connection, and one that all share.
    assert connections == 2
    assert asked[FETCH] == 0
    # Other tests may have hundreds of groups.
    assert asked[OFFSET_FETCH] < 3 * len(names)


async def test_the_age_of_what_a_group_has_not_read_is_looked_at_once(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address, name = await topic(2), f"kafka-tests-{uuid.uuid4().hex}"
    await publish(connector, address, numbered(10), 0)
    await publish(connector, address, numbered(10, first=1000), 1)
    await commit(kafka, name, address, {0: 3, 1: 4})
    async with narrow(kafka.bootstrap) as broker, connect(broker.url) as watching:
        assert (await watching.group(name)).oldest_unread == BASE + 3
        fetched, connections = broker.asked[FETCH, 6], broker.connections
        for _ in range(3):
            assert (await watching.group(name)).oldest_unread == BASE + 3
        assert (broker.asked[FETCH, 6], broker.connections) == (fetched, connections)
        await commit(kafka, name, address, {0: 10})
        assert (await watching.group(name)).oldest_unread == BASE + 1004


async def test_an_event_from_next_year_is_said_to_be_ahead_of_the_clock(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    any_time = {"message_timestamp_after_max_ms": str(2**63 - 1)}
    address, strict, name = await topic(1, **any_time), await topic(1), f"kafka-tests-{uuid.uuid4().hex}"
    ahead = [Event(b"k", b"v", timestamp=round(time.time() * 1000) + 366 * 86_400_000)]
    assert [each.error for each in await publish(connector, address, ahead)] == [None]
    await commit(kafka, name, address, {0: 0})
    code, output, _ = await workbench("groups", "-g", name, "-o", "table", "-c", f"k={kafka.url}")
    assert code == 0 and "  in 365 d 23 h" in output
    [refused] = await publish(connector, strict, ahead)
    assert str(refused.error) == (
        f"Kafka refuses to write to topic {strict.name}: the event's time is further from the broker's clock than the"
        " topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms allow (INVALID_TIMESTAMP)."
    )


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
    groups = {name: await connector.group(name) for name in names}
    assert [groups[name].oldest_unread for name in names] == [BASE, BASE + 1, BASE + 2]
    assert [groups[name].lag for name in names] == [10, 9, 8]
    listed = [group.name for group in await connector.groups()]
    assert set(names) <= set(listed) and listed == sorted(listed)


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
