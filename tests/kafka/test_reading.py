"""Browse and tail: starts, ends, order, and that nothing is written by looking."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, admin
from tests.kafka.reading import BASE, browse, by_partition, numbered, publish, take
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import EndpointNotFound, Unsupported
from workbench.model.event import Event, Position
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since


async def test_what_was_published_is_browsed_as_it_was(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic()
    headers = (("a", "1"), ("a", b"\xff\x00"), ("none", None), ("empty", ""), ("name-ü", "grüße"))
    events = [
        Event(b"key", b"body", None, Content(headers), BASE),
        Event(None, b"", timestamp=BASE),
        Event(b"", None, timestamp=BASE),
        Event(b"\x00\xff", b"\x00\xff" * 1000, timestamp=BASE),
    ]
    await publish(connector, address, events)
    found = await browse(connector, address)
    assert [delivery.event for delivery in found] == events
    assert [delivery.position for delivery in found] == [Position("0", str(offset)) for offset in range(4)]


async def test_partitions_are_merged_by_time_and_each_keeps_its_order(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(5)
    await publish(connector, address, numbered(20_000, size=200))
    found = await browse(connector, address)
    assert [delivery.event.timestamp for delivery in found] == list(range(BASE, BASE + 20_000))
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition(found).values())


async def test_an_older_time_does_not_bring_an_event_before_its_predecessor(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(2)
    times = [[5, 1, 9, 2], [4, 6, 3, 8]]
    for partition, some in enumerate(times):
        events = [Event(None, b"%d" % time, timestamp=BASE + time) for time in some]
        await publish(connector, address, events, partition)
    found = [delivery.event.body for delivery in await browse(connector, address)]
    assert found == [b"4", b"5", b"1", b"6", b"3", b"8", b"9", b"2"]


async def test_browse_ends_where_the_topic_ended_on_entering(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(100))
    async with connector.browse(address) as stream:
        await publish(connector, address, numbered(100, first=100))
        found = [delivery async for batch in stream for delivery in batch]
    assert len(found) == 100
    assert stream.coverage.complete
    assert sum(int(span.end) - int(span.start) for span in stream.coverage.spans) == 100


async def test_a_limit_takes_the_oldest(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(3)
    await publish(connector, address, numbered(3_000))
    found = await browse(connector, address, limit=7)
    assert [delivery.event.timestamp for delivery in found] == list(range(BASE, BASE + 7))
    async with connector.browse(address, limit=7) as stream:
        await take(stream, 7)
        assert stream.coverage.read == 7
        assert sum(int(span.end) - int(span.start) for span in stream.coverage.spans) == 7


async def test_browse_begins_where_it_is_told(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    for partition in range(2):
        await publish(connector, address, numbered(100, first=partition * 1000), partition)
    assert len(await browse(connector, address, Beginning())) == 200
    assert await browse(connector, address, Latest()) == []
    assert by_partition(await browse(connector, address, FromEnd(3))) == {"1": [97, 98, 99]}
    assert by_partition(await browse(connector, address, FromEnd(102))) == {"0": [98, 99], "1": list(range(100))}
    assert by_partition(await browse(connector, address, FromEnd(1000))) == {
        "0": list(range(100)),
        "1": list(range(100)),
    }
    assert by_partition(await browse(connector, address, At(Position("1", "98")))) == {"1": [98, 99]}
    assert by_partition(await browse(connector, address, Since(BASE + 1090))) == {"1": list(range(90, 100))}


async def test_a_place_that_is_not_there_is_refused(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    with pytest.raises(Unsupported, match="has partitions 0 to 1: there is no 2:0"):
        await browse(connector, address, At(Position("2", "0")))
    with pytest.raises(Unsupported, match="ends before offset 0: there is no 7"):
        await browse(connector, address, At(Position("0", "7")))
    with pytest.raises(Unsupported, match="Group 'strangers' has not read kafka/"):
        await browse(connector, address, OfGroup("strangers"))


async def test_tail_shows_all_that_comes_after_entering_and_nothing_before(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(3)
    await publish(connector, address, numbered(50))
    async with connector.tail(address) as stream:
        await publish(connector, address, numbered(50, first=50))
        found = await take(stream, 50)
    assert sorted(delivery.event.timestamp or 0 for delivery in found) == list(range(BASE + 50, BASE + 100))


async def test_tail_begins_where_it_is_told_and_goes_on(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic()
    await publish(connector, address, numbered(50))
    async with connector.tail(address, FromEnd(2)) as stream:
        await publish(connector, address, numbered(1, first=50))
        found = await take(stream, 3)
    assert by_partition(found) == {"0": [48, 49, 50]}


async def test_a_topic_that_is_not_there_is_not_made_by_asking(connector: KafkaConnector, kafka: KafkaAddress) -> None:
    address = Address("kafka", "kafka-tests-never-made")
    with pytest.raises(EndpointNotFound, match="has no topic 'kafka-tests-never-made'"):
        await connector.endpoint(address)
    for look in (connector.browse(address), connector.tail(address)):
        with pytest.raises(EndpointNotFound):
            async with look:
                pass
    with pytest.raises(EndpointNotFound, match="has no exchanges"):
        await connector.endpoint(Address("kafka", "orders", "exchange"))
    assert address not in [endpoint.address for endpoint in await connector.endpoints()]


async def test_looking_leaves_no_group_and_no_topic_behind(
    connector: KafkaConnector, topic: MakeTopic, kafka: KafkaAddress
) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(10))
    async with admin(kafka.bootstrap) as client:
        # Other tests make topics and groups meanwhile; what looking leaves behind it leaves each time.
        for _ in range(5):
            topics, groups = await client.list_topics(), await client.list_consumer_groups()
            await browse(connector, address)
            async with connector.tail(address, Beginning()) as stream:
                await take(stream, 10)
            left = {*await client.list_topics()} - {*topics} | {*await client.list_consumer_groups()} - {*groups}
            if not left:
                break
        assert not left


async def test_an_endpoint_tells_depth_partitions_and_configuration(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    address = await topic(4, cleanup_policy="compact")
    await publish(connector, address, numbered(10))
    endpoint = await connector.endpoint(address)
    assert (endpoint.kind, endpoint.depth, endpoint.partitions, endpoint.consumers) == ("topic", 10, 4, None)
    assert ("cleanup.policy", "compact") in endpoint.detail
    assert endpoint in await connector.endpoints()
    assert not any(each.address.name.startswith("__") for each in await connector.endpoints())


async def test_an_endpoint_tells_how_many_events_ever_came_in(
    connector: KafkaConnector, topic: MakeTopic, kafka: KafkaAddress
) -> None:
    address = await topic(2)
    for partition in range(2):
        await publish(connector, address, numbered(10), partition)
    async with admin(kafka.bootstrap) as client:
        await client.delete_records({TopicPartition(address.name, 1): RecordsToDelete(before_offset=4)})
    endpoint = await connector.endpoint(address)
    assert (endpoint.depth, endpoint.published) == (16, 20)


async def test_a_partition_that_is_added_meanwhile_is_tailed_from_its_beginning(
    connector: KafkaConnector, topic: MakeTopic, kafka: KafkaAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.kafka.fetcher._REFRESH_SECONDS", 0.1)
    address = await topic(1)
    async with connector.tail(address) as stream:
        async with admin(kafka.bootstrap) as client:
            await client.create_partitions({address.name: NewPartitions(2)})
            async with asyncio.timeout(20):
                while (await connector.endpoint(address)).partitions != 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        await publish(connector, address, numbered(3), partition=1)
        assert by_partition(await take(stream, 3)) == {"1": [0, 1, 2]}
