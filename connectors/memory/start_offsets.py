"""Where a reading begins: a `Start` as an offset in each partition of a topic, or as a number in a queue."""

import heapq
from collections.abc import Callable

from connectors.memory.broker import Broker
from connectors.memory.logs import Topic
from connectors.memory.queues import Queue
from workbench.model.address import Address
from workbench.model.errors import Unsupported
from workbench.model.event import Position
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start


def start_offsets(broker: Broker, address: Address, topic: Topic, start: Start) -> dict[int, int]:
    """The first offset to read in each partition that is read.

    Raises:
        Unsupported: There is no such place, or the group has committed none.
    """
    partitions = dict(enumerate(topic.partitions))
    match start:
        case Beginning():
            return {number: partition.start for number, partition in partitions.items()}
        case Latest():
            return {number: partition.end for number, partition in partitions.items()}
        case Since(time):
            return {number: partition.offset_at(time) for number, partition in partitions.items()}
        case FromEnd():
            starts = {number: part.end for number, part in partitions.items()}
            for _, number, offset in _newest(topic, start):
                starts[number] = min(starts[number], offset)
            return starts
        case At(Position(name, offset) as position):
            place = topic.place(position)
            if place is None:
                raise Unsupported(f"{address} has no place {name}:{offset}; its partitions are {_range(topic)}.")
            return dict([place])
        case OfGroup(group):
            committed = broker.committed_offsets(group, topic.name)
            if not committed:
                raise Unsupported(f"Consumer group {group!r} has committed no offset of {address}.")
            return {number: committed.get(number, part.start) for number, part in partitions.items()}


def selection(topic: Topic, start: Start | None) -> Callable[[int, int, int], bool]:
    """Which of a topic's present events a start means, by time, partition and offset."""
    ends = [partition.end for partition in topic.partitions]
    match start:
        case FromEnd():
            newest = {(number, offset) for _, number, offset in _newest(topic, start)}
            return lambda time, number, offset: offset >= ends[number] or (number, offset) in newest
        case Since(since):
            return lambda time, number, offset: offset >= ends[number] or time >= since
        case _:
            return lambda time, number, offset: True


def first_number(queue: Queue, start: Start | None) -> int:
    """The number of the first message that a start means, in a queue that numbers them."""
    match start:
        case Latest():
            return queue.last_place + 1
        case At(Position(_, number)) if number.isdecimal():
            return int(number)
        case _:
            return 0


def _newest(topic: Topic, start: FromEnd) -> list[tuple[int, int, int]]:
    """The newest events, by time, partition and offset; in a stream the order of offsets is that of time."""
    ranks = (
        (0 if topic.kind == "stream" else event.timestamp or 0, number, offset)
        for number, part in enumerate(topic.partitions)
        for offset, event in enumerate(part.read(part.start, part.end), part.start)
        if start.before is None or (event.timestamp or 0) < start.before
    )
    return heapq.nlargest(start.count, ranks)


def _range(topic: Topic) -> str:
    return f"0 to {len(topic.partitions) - 1}"
