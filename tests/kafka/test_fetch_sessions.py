"""What a broker remembers of a tail: requests and answers have only what is new, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from connectors.kafka import KafkaConnector, fetch_connection, fetch_protocol
from connectors.kafka.cluster import Partition
from connectors.kafka.fetch_session import FetchSession, Request
from connectors.kafka.reader import TopicStream
from tests.brokers.kafka import Kafka, KafkaAddress
from tests.kafka.conftest import DEADLINE, MakeTopic, connect, make_topic
from tests.kafka.reading import numbered, publish
from workbench.model.address import Address
from workbench.model.event import Delivery

PARTITIONS = 50


class Tail:
    """A tail of a topic, and a connector that publishes to it."""

    def __init__(self, connector: KafkaConnector, address: Address, stream: TopicStream) -> None:
        self.connector, self.address, self.stream = connector, address, stream
        self._count = 0

    @property
    def session(self) -> FetchSession:
        """That of its one connection."""
        [tails] = self.connector._tails.values()
        [[shared]] = tails._shared.values()
        return shared._session

    async def sees(self, partition: int) -> None:
        """Publish an event to a partition, which is the next that is seen."""
        [event] = numbered(1, first=self._count)
        self._count += 1
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            seeing = group.create_task(anext(self.stream))
            await publish(self.connector, self.address, [event], partition)
            [seen] = await seeing
        assert isinstance(seen, Delivery)
        assert seen.position is not None
        assert (seen.event.body, seen.position.partition) == (event.body, str(partition))


@asynccontextmanager
async def tailing(url: str, address: Address) -> AsyncIterator[Tail]:
    async with connect(url) as connector, connector.tail(address) as stream:
        assert isinstance(stream, TopicStream)
        yield Tail(connector, address, stream)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """The requests that are made in sessions."""
    requests: list[Request] = []
    request = FetchSession.request

    def noted(session: FetchSession, offsets: Mapping[Partition, int]) -> Request:
        requests.append(request(session, offsets))
        return requests[-1]

    monkeypatch.setattr(FetchSession, "request", noted)
    return requests


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many partitions each answer had."""
    counts: list[int] = []

    def noted(*arguments: object) -> object:
        found = fetch_protocol.parse(*arguments)  # type: ignore[arg-type]
        counts.append(len(found))
        return found

    monkeypatch.setattr(fetch_connection, "parse", noted)
    return counts


async def test_a_request_and_an_answer_have_only_what_is_new(
    kafka: KafkaAddress, topic: MakeTopic, asked: list[Request], answered: list[int]
) -> None:
    async with tailing(kafka.url, await topic(PARTITIONS)) as tail:
        for number in range(10):
            await tail.sees(number * 5)
    assert len(asked[0].wanted) == answered[0] == PARTITIONS
    assert max(len(each.wanted) for each in asked[1:]) == 1
    assert sum(answered[1:]) < 3 * 10


@pytest.mark.parametrize(("others", "ahead"), [(1, 0), (0, 1)])
async def test_a_session_that_the_broker_does_not_know_is_begun_anew(
    kafka: KafkaAddress, topic: MakeTopic, asked: list[Request], others: int, ahead: int
) -> None:
    async with tailing(kafka.url, await topic(3)) as tail:
        await tail.sees(0)
        session, before = tail.session, tail.session.id
        asked.clear()
        with pytest.MonkeyPatch.context() as patch:

            def misled(id: int) -> None:
                patch.undo()
                session.remember(id + others)
                session.epoch += ahead

            patch.setattr(session, "remember", misled)
            await tail.sees(1)
        for partition in (1, 0, 2, 0):
            await tail.sees(partition)
        assert session.id not in (0, before)
    assert [each.epoch for each in asked if not each.epoch] == [0]


async def test_a_killed_broker_is_asked_in_a_session_of_its_new_life(own_kafka: Kafka, asked: list[Request]) -> None:
    async with tailing(own_kafka.url, await make_topic(own_kafka.bootstrap, 3)) as tail:
        await tail.sees(0)
        async with asyncio.TaskGroup() as group:
            seeing = group.create_task(anext(tail.stream))
            await asyncio.to_thread(own_kafka.kill)
            # It may be asked before this task learns that it is back.
            asked.clear()
            await asyncio.to_thread(own_kafka.start)
            async with connect(own_kafka.url) as other:
                await publish(other, tail.address, numbered(1, first=7), 1)
            assert [seen.event.body for seen in await seeing] == [b"event-7"]
    assert asked[0].epoch == 0
    assert len(asked[0].wanted) == 3


async def test_where_there_is_no_room_every_request_names_all(asked: list[Request]) -> None:
    with Kafka("no-sessions", {"max.incremental.fetch.session.cache.slots": "0"}) as broker:
        async with tailing(broker.url, await make_topic(broker.bootstrap, 3)) as tail:
            for partition in (1, 0, 2, 0):
                await tail.sees(partition)
    assert {(each.id, each.epoch, len(each.wanted)) for each in asked} == {(0, 0, 3)}


def test_a_session_is_asked_for_what_changed_and_forgets_what_is_not_wanted() -> None:
    session = FetchSession()
    assert session.request({("t", 0): 5, ("t", 1): 5}) == Request(0, 0, {("t", 0): 5, ("t", 1): 5}, ())
    session.remember(9)
    assert session.request({("t", 0): 6, ("t", 2): 0}) == Request(9, 1, {("t", 0): 6, ("t", 2): 0}, [("t", 1)])
    session.remember(9)
    assert session.request({("t", 0): 6, ("t", 2): 0}) == Request(9, 2, {}, [])
    session.forget()
    assert session.request({("t", 0): 6}) == Request(0, 0, {("t", 0): 6}, ())


def test_epochs_begin_at_one_again_when_there_are_no_more() -> None:
    session = FetchSession()
    session.remember(9)
    session.epoch = 2**31 - 1
    session.remember(9)
    assert session.epoch == 1
