"""Tails of many topics share a connection to each broker: what ends or holds up one of them does so to no other."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import NewTopic

from connectors.kafka import KafkaConnector
from connectors.kafka.reader import TopicStream
from tests.brokers.kafka import KafkaAddress
from tests.brokers.narrow import EVENT_HUBS, FETCH, narrow
from tests.kafka.conftest import DEADLINE, MakeTopic, admin, connect
from tests.kafka.reading import numbered, publish, take
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound
from workbench.model.start import Beginning
from workbench.operations.merge import Merged, merge

MANY = 200
SESSIONS = {**EVENT_HUBS, FETCH: (4, 10)}
"""With what a tail asks for by what has changed."""

Seen = dict[Address, list[bytes | None]]


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
async def many(kafka: KafkaAddress) -> AsyncIterator[list[Address]]:
    """So many topics of one partition."""
    names = [f"many-{uuid.uuid4().hex[:12]}" for _ in range(MANY)]
    async with admin(kafka.bootstrap) as client:
        await client.create_topics([NewTopic(name, 1, 1) for name in names])
        try:
            async with connect(kafka.url) as connector:
                async with asyncio.timeout(DEADLINE):
                    while len({*names} & {*await connector._cluster.topics()}) < MANY:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            yield [Address("kafka", name) for name in names]
        finally:
            await client.delete_topics(names)


@asynccontextmanager
async def tailing(connector: KafkaConnector, addresses: Sequence[Address], seen: Seen) -> AsyncIterator[Merged]:
    """Tails of all, and what they bring."""
    streams = {address: connector.tail(address) for address in addresses}
    async with merge(streams) as merged, asyncio.TaskGroup() as group:

        async def collect() -> None:
            async for batch in merged:
                for delivery in batch:
                    seen.setdefault(delivery.address, []).append(delivery.event.body)

        collecting = group.create_task(collect())
        yield merged
        collecting.cancel()


async def publish_to_each(kafka: KafkaAddress, addresses: Sequence[Address], number: int) -> None:
    """One event to each topic, over other connections."""
    async with connect(kafka.url) as connector, connector.publisher() as publisher:
        for address in addresses:
            await publisher.send(address, numbered(1, first=number))
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    assert not any(receipt.error for receipt in receipts)


def bodies(addresses: Sequence[Address], *numbers: int) -> Mapping[Address, list[bytes | None]]:
    return {address: [b"event-%d" % number for number in numbers] for address in addresses}


async def test_many_tails_take_one_connection_and_miss_nothing_when_it_is_cut(
    kafka: KafkaAddress, many: list[Address]
) -> None:
    seen: Seen = {}
    async with (
        narrow(kafka.bootstrap, SESSIONS) as broker,
        connect(broker.url) as connector,
        tailing(connector, many, seen) as merged,
    ):
        await publish_to_each(kafka, many, 0)
        await until(lambda: seen == bodies(many, 0))
        assert broker.connections < 10
        await broker.close()
        await until(lambda: all("was lost" in str(each.notes) for each in merged.coverage.values()))
        await publish_to_each(kafka, many, 1)
        await until(lambda: seen == bodies(many, 0, 1))
        assert broker.connections < 20
        assert (merged.errors, merged.interruptions) == ({}, {})


@pytest.mark.parametrize("offered", [EVENT_HUBS, SESSIONS], ids=["alone", "sessions"])
async def test_one_that_is_deleted_or_left_leaves_the_others_as_they_are(
    kafka: KafkaAddress, topic: MakeTopic, offered: Mapping[int, tuple[int, int]]
) -> None:
    deleted, left, other = addresses = [await topic(2) for _ in range(3)]
    seen: Seen = {}
    interrupted = set[Address]()
    async with narrow(kafka.bootstrap, offered) as broker, connect(broker.url) as connector:
        async with tailing(connector, [deleted, other], seen) as merged:
            async with connector.tail(left) as stream:
                await publish_to_each(kafka, addresses, 0)
                assert [each.event.body for each in await take(stream, 1)] == [b"event-0"]
                await until(lambda: seen == bodies([deleted, other], 0))
                before = broker.connections
            await publish_to_each(kafka, [other], 1)
            await until(lambda: seen[other] == bodies([other], 0, 1)[other])
            async with admin(kafka.bootstrap) as client:
                await client.delete_topics([deleted.name])

            def ended() -> bool:
                interrupted.update(merged.interruptions)
                return deleted in merged.errors

            await until(ended)
            assert isinstance(merged.errors[deleted], EndpointNotFound)
            assert interrupted <= {deleted}
            await publish_to_each(kafka, [other], 2)
            await until(lambda: seen[other] == bodies([other], 0, 1, 2)[other])
            assert merged.coverage[other].gaps == ()
        await until(lambda: len(broker._open) < before)


async def test_one_that_nobody_reads_holds_up_no_other_and_loses_nothing(
    connector: KafkaConnector, topic: MakeTopic
) -> None:
    slow, other = await topic(1), await topic(1)
    await publish(connector, slow, numbered(5_000, size=1_000))
    async with connector.tail(slow, Beginning()) as standing, connector.tail(other) as going:
        seen = [*await anext(standing)]
        for number in range(20):
            await publish(connector, other, numbered(1, first=number))
            assert [each.event.body for each in await take(going, 1)] == [b"event-%d" % number]
        seen += await take(standing, 5_000 - len(seen))
    assert [each.position and int(each.position.offset) for each in seen] == list(range(5_000))


async def test_one_that_asks_while_others_are_waited_for_learns_that_the_connection_is_cut(
    kafka: KafkaAddress, topic: MakeTopic
) -> None:
    addresses = [await topic(1) for _ in range(2)]
    async with (
        narrow(kafka.bootstrap, SESSIONS) as broker,
        connect(broker.url) as connector,
        connector.tail(addresses[0]) as first,
        connector.tail(addresses[1]) as second,
        asyncio.TaskGroup() as group,
    ):
        reading = [group.create_task(take(first, 1))]
        await until(lambda: bool(first._fetching._pending))
        reading.append(group.create_task(take(second, 1)))
        async with asyncio.timeout(DEADLINE):
            while not second._fetching._pending:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await broker.close()
        await until(lambda: all("was lost" in str(each.coverage.notes) for each in (first, second)))
        await publish_to_each(kafka, addresses, 0)
        assert [[each.event.body for each in await some] for some in reading] == [[b"event-0"], [b"event-0"]]


async def test_an_idle_tail_knows_when_its_broker_was_heard_last(kafka: KafkaAddress, topic: MakeTopic) -> None:
    address = await topic(1)
    async with (
        narrow(kafka.bootstrap, SESSIONS) as broker,
        connect(broker.url) as connector,
        connector.tail(address) as stream,
        asyncio.TaskGroup() as group,
    ):
        assert isinstance(stream, TopicStream)
        reading = group.create_task(anext(stream))
        await until(lambda: bool(stream._fetching._connections))
        [connection] = stream._fetching._connections.values()
        entered = connection.heard.at
        await until(lambda: connection.heard.at > entered + 2_000)
        broker.lead_to("127.0.0.1:1")
        await broker.close()
        await until(lambda: stream.interruption is not None)
        assert stream.interruption is not None
        assert stream.interruption.since == connection.heard.at
        reading.cancel()
