"""Where a reading begins: a `Start` as an offset in each partition."""

from collections.abc import Mapping, Sequence

from connectors.kafka.cluster import Cluster, Partition, Topic
from connectors.kafka.fetching import Chunk, Fetching, Share, gone
from connectors.kafka.groups import committed as committed_by
from connectors.kafka.records import committed, offsets_in
from workbench.model.address import Address
from workbench.model.errors import FormatError, Unsupported
from workbench.model.look import Gap
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start

_SIZE = 4 << 20
_LEAST_BACK = 1_000
"""Offsets to go further back by, at least, where too few of them still have an event."""


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
) -> tuple[dict[Partition, int], list[Gap]]:
    """Where to begin in each partition, and what that place no longer has.

    Raises:
        Unsupported: There is no such place.
        ConnectorError: A broker could not be asked.
    """
    match start:
        case Beginning():
            return dict(beginnings), []
        case Latest():
            return dict(ends), []
        case FromEnd(count):
            return await _last(cluster, count, beginnings, ends, leaders), []
        case Since(time):
            found = await cluster.offsets(dict.fromkeys(ends, max(time, 0)), leaders)
            return {each: end if found[each] < 0 else min(found[each], end) for each, end in ends.items()}, []
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
    gaps = [gone(each, offset, beginnings[each]) for each, offset in wanted.items() if offset < beginnings[each]]
    # A partition that the group has never read is unread from its beginning.
    starts = {each: max(wanted.get(each, first), first) for each, first in beginnings.items()}
    return {each: min(first, ends[each]) for each, first in starts.items()}, gaps


async def _last(
    cluster: Cluster,
    count: int,
    beginnings: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> dict[Partition, int]:
    """Offsets behind which each partition has so many events, or all: not every offset still has one (compaction), or
    ever had (marks of transactions)."""
    found: dict[Partition, list[Sequence[int]]] = {each: [] for each in ends}
    stretches = {each: (max(beginnings[each], end - count), end) for each, end in ends.items()}
    while stretches:
        earlier = await _offsets(cluster, stretches, leaders)
        for each, offsets in earlier.items():
            found[each] = offsets + found[each]
        stretches = {
            each: (max(beginnings[each], begin - max(2 * (end - begin), _LEAST_BACK)), begin)
            for each, (begin, end) in stretches.items()
            if begin > beginnings[each] and sum(map(len, found[each])) < count
        }
    return {each: _nth_last(found[each], count, ends[each]) for each in ends}


def _nth_last(found: Sequence[Sequence[int]], count: int, end: int) -> int:
    for offsets in reversed(found):
        if len(offsets) >= count > 0:
            return offsets[-count]
        count -= len(offsets)
        end = offsets[0] if offsets and count >= 0 else end
    return end


async def _offsets(
    cluster: Cluster, stretches: Mapping[Partition, tuple[int, int]], leaders: Mapping[Partition, int]
) -> dict[Partition, list[Sequence[int]]]:
    """The offsets that have an event, in each stretch."""
    shares = [Share(each, begin, end, leaders[each]) for each, (begin, end) in stretches.items()]
    found: dict[Partition, list[Sequence[int]]] = {each: [] for each in stretches}
    fetching = Fetching(cluster, shares, size=_SIZE)
    try:
        while not all(share.finished for share in shares):
            for chunk in await fetching.chunks():
                found[chunk.share.partition] += _visible(chunk)
    finally:
        fetching.close()
    return found


def _visible(chunk: Chunk) -> list[Sequence[int]]:
    visible: list[Sequence[int]] = []
    for batch in committed(chunk.fetched):
        begin, end = max(batch.base, chunk.start), min(batch.next, chunk.share.end or batch.next)
        if batch.events == batch.next - batch.base:
            visible.append(range(begin, end))
        else:
            try:
                visible.append([offset for offset in offsets_in(batch) if begin <= offset < end])
            except FormatError:
                visible.append(range(begin, end))  # the stream will say that it cannot be read
    return visible
