"""A topic of thousands of partitions: an answer costs what it brings, and not what the topic has."""

from collections.abc import Iterator

import pytest

from connectors.kafka.cluster import Partition
from connectors.kafka.reader import Queue, TopicStream
from tests.kafka.conftest import connect
from workbench.model.address import Address
from workbench.model.event import Delivery, Event, Position

PARTITIONS = 2_000
EACH = 5


class Counted(Queue):
    """A share that counts how often shares are looked at."""

    looked = 0

    @property
    def finished(self) -> bool:
        Counted.looked += 1
        return super().finished


@pytest.fixture
def counted() -> Iterator[type[Counted]]:
    Counted.looked = 0
    yield Counted
    Counted.looked = 0


def delivery(partition: Partition, offset: int) -> Delivery:
    """An event that is as old as those of the same offset in all other partitions."""
    address = Address("kafka", partition[0])
    return Delivery(Event(b"", b"", timestamp=offset), address, 0, Position(str(partition[1]), str(offset)))


async def test_an_answer_looks_at_no_more_partitions_than_it_brings(counted: type[Counted]) -> None:
    shares = [counted(("t", number), 0, EACH, 1) for number in range(PARTITIONS)]
    stream = TopicStream(connect("kafka://127.0.0.1:1")._cluster, Address("kafka", "t"), shares)
    try:
        counts = []
        for offset in range(EACH):
            for share in shares:
                before = Counted.looked
                share.next = offset + 1
                stream._add(share, [delivery(share.partition, offset)], 1)
                stream._sort()
                counts.append(Counted.looked - before)
        # Each partition is passed once when it is awaited, and once when it is no bound any more.
        assert sum(counts) <= 4 * len(counts)
        shown = [event for batch in stream._ready for event in batch]
    finally:
        stream.close()
    places = [(event.event.timestamp, int(event.position.partition)) for event in shown if event.position]
    assert places == [(offset, number) for offset in range(EACH) for number in range(PARTITIONS)]


async def test_a_request_names_a_part_of_the_partitions_and_then_the_others() -> None:
    shares = [Queue(("t", number), 0, EACH, 1) for number in range(PARTITIONS)]
    stream = TopicStream(connect("kafka://127.0.0.1:1")._cluster, Address("kafka", "t"), shares)
    asked: set[Partition] = set()
    requests = 0
    try:
        while waiting := stream._fetching._waiting(1):
            requests += 1
            assert len(waiting) <= 256
            assert asked.isdisjoint(share.partition for share in waiting)
            for share in waiting:
                asked.add(share.partition)
                share.next = EACH
    finally:
        stream.close()
    assert (len(asked), requests) == (PARTITIONS, 8)
