"""Where a reading begins: a `Start` as an offset in each partition."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from connectors.kafka.cluster import BEGINNING, END, Cluster, Partition, Topic
from connectors.kafka.fetcher import retention_gap
from connectors.kafka.group_offsets import committed_offsets as committed_by
from connectors.kafka.newest import find_overlooked, newest, rank
from workbench.model.address import Address
from workbench.model.errors import Unsupported
from workbench.model.event import Delivery
from workbench.model.look import Gap
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start


class Chosen(NamedTuple):
    """Which events are to be seen.

    Attributes:
        ends: The offset behind the last event that was there on entering, of each partition. All that come later are
            seen.
        among: Whether one that was there is, by its time, its partition's number and its offset.
    """

    ends: Mapping[Partition, int]
    among: Callable[[int | None, int, int], bool]

    def holds(self, delivery: Delivery) -> bool:
        """Whether an event is to be seen."""
        assert delivery.position is not None
        number, offset = int(delivery.position.partition), int(delivery.position.offset)
        at_end = self.ends.get((delivery.address.name, number), 0)
        return offset >= at_end or self.among(delivery.event.timestamp, number, offset)


class Place(NamedTuple):
    """Where a reading begins.

    Attributes:
        starts: The first offset to read in each partition.
        ends: Where what there is ends.
        gaps: What that place no longer has, or what was not looked for.
        chosen: Which events are to be seen; None: all.
        notes: What else to know.
    """

    starts: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    gaps: list[Gap]
    chosen: Chosen | None = None
    notes: tuple[str, ...] = ()


def partitions_of(address: Address, topic: Topic, start: Start) -> list[Partition]:
    """The partitions to read: one where the start names it, else all.

    Raises:
        Unsupported: There is none of that number.
    """
    if not isinstance(start, At):
        return [(topic.name, number) for number in topic.leaders]
    partition, offset = start.position.partition, start.position.offset
    if not (partition.isdecimal() and offset.isdecimal() and int(partition) in topic.leaders):
        raise Unsupported(f"{address} has partitions 0 to {max(topic.leaders)}: there is no {partition}:{offset}.")
    return [(topic.name, int(partition))]


async def starts_of(
    cluster: Cluster,
    address: Address,
    start: Start,
    beginnings: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> Place:
    """Where to begin in each partition.

    Raises:
        Unsupported: There is no such place.
        ConnectorError: A broker could not be asked.
    """
    match start:
        case Beginning():
            return Place(beginnings, ends, [])
        case Latest():
            return Place(ends, ends, [])
        case FromEnd(count, before):
            last = await newest(cluster, count, before, beginnings, ends, leaders)

            def among(time: int | None, number: int, offset: int) -> bool:
                in_time = before is None or (time is not None and time < before)
                return in_time and rank(time, number, offset) >= last.oldest

            return Place(last.starts, last.ends, last.gaps, Chosen(ends, among), last.notes)
        case Since(since):
            found = await cluster.offsets(dict.fromkeys(ends, max(since, 0)), leaders)
            nothing = {each: end for each, end in ends.items() if found[each] < 0}
            found |= {
                each: beginnings[each] for each in await find_overlooked(cluster, since, beginnings, nothing, leaders)
            }
            starts = {
                each: end if found[each] < 0 else min(max(found[each], beginnings[each]), end)
                for each, end in ends.items()
            }
            # The first of that time or later may have older ones behind it.
            return Place(starts, ends, [], Chosen(ends, lambda time, number, offset: time is None or time >= since))
        case At(position):
            wanted = dict.fromkeys(ends, int(position.offset))
            for each, offset in wanted.items():
                if offset > ends[each]:
                    ending = f"Partition {each[1]} of {address} ends before offset {ends[each]}"
                    raise Unsupported(f"{ending}: there is no {offset}.")
        case OfGroup(group):
            of_all = await committed_by(cluster, group)
            wanted = {each: offset for each, offset in of_all.items() if each in ends}
            if not wanted:
                raise Unsupported(f"Group {group!r} has not read {address}: it has committed no offset there.")
    gaps = [
        retention_gap(each, offset, beginnings[each]) for each, offset in wanted.items() if offset < beginnings[each]
    ]
    # A partition that the group has never read is unread from its beginning.
    starts = {each: max(wanted.get(each, first), first) for each, first in beginnings.items()}
    return Place({each: min(first, ends[each]) for each, first in starts.items()}, ends, gaps)


async def late_start_of(cluster: Cluster, start: Start, partition: Partition, leader: int, entered: int) -> int:
    """Where to begin in a partition that could not be asked on entering. Nothing was written while nobody led it: what
    is as young as the entering came afterwards.

    Args:
        cluster: Where it is.
        start: Where the reading of the others began.
        partition: Which.
        leader: Who leads it now.
        entered: When the reading began, in milliseconds since 1970 UTC.

    Raises:
        ConnectorError: Its leader could not be asked.
    """
    leaders = {partition: leader}
    if isinstance(start, Beginning | OfGroup):
        first = (await cluster.offsets({partition: BEGINNING}, leaders))[partition]
        committed = (await committed_by(cluster, start.group)).get(partition) if isinstance(start, OfGroup) else None
        return first if committed is None else max(committed, first)
    since = start.time if isinstance(start, Since) else entered
    found = (await cluster.offsets({partition: max(since, 0)}, leaders))[partition]
    return found if found >= 0 else (await cluster.offsets({partition: END}, leaders))[partition]
