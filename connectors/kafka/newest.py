"""The newest events of all partitions together, found from the partitions' ends without reading what is in between.

A few events at the end of each partition give a first answer, and with it a time that nothing older can be part of the
answer. The broker's index says where each partition has its first event of that time or later (KIP-79): what lies
between there and what was read already is read too, in steps that grow, while the time moves up. What was read is held
as times and offsets, never as events.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.fetcher import Fetching, Share
from connectors.kafka.records import committed_batches, times_in
from workbench.model.errors import FormatError
from workbench.model.look import Gap

Rank: TypeAlias = tuple[int, int, int]
"""What makes an event newer than another: its time, then its partition's number, then its offset. An event without a
time has -1, as Kafka writes it."""

LATE_MS = 600_000
"""By how much a producer's time may lag behind the time of writing: no index finds what is later still."""
LATE = f"events written more than {LATE_MS // 60_000} minutes after their time were not searched"
_SIZE = 4 << 20
_FIRST = 4
"""Offsets to read of each partition besides its share: marks of transactions are among them."""
_STEP = 50_000
"""Offsets to go back by, at most, where a partition has shown as many events as are wanted of all."""
_MOST = 64 << 20
"""Bytes read, at most, to find events that were written long before others and are dated as new as those."""


class Newest(NamedTuple):
    """Where the newest events are.

    Attributes:
        starts: The offset of the first of them in each partition; its end where there is none.
        ends: Where each partition ends; where there is a time that they must be before, behind the last of them.
        oldest: The rank of the oldest of them; all of a rank at least as high are the newest.
        gaps: Where some may be that were not looked for.
        notes: What else to know.
    """

    starts: Mapping[Partition, int]
    ends: Mapping[Partition, int]
    oldest: Rank
    gaps: list[Gap]
    notes: tuple[str, ...] = ()


def rank(time: int | None, number: int, offset: int) -> Rank:
    """The rank of an event."""
    return (-1 if time is None else time, number, offset)


async def newest(
    cluster: Cluster,
    count: int,
    before: int | None,
    beginnings: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> Newest:
    """Find the newest events of a topic.

    Args:
        cluster: Where it is.
        count: How many.
        before: Only events of an earlier time than this, in milliseconds; None: any.
        beginnings: The first offset in each partition.
        ends: The offset behind the last one.
        leaders: Who leads each partition.

    Raises:
        ConnectorError: A broker could not be asked.
    """
    gaps: list[Gap] = []
    if count == 0 or not ends:
        return Newest(ends, ends, (0, 0, 0), gaps)
    reached = dict(ends)
    if before is not None:
        late = await cluster.offsets(dict.fromkeys(ends, max(before + LATE_MS, 0)), leaders)
        reached |= {each: min(offset, ends[each]) for each, offset in late.items() if offset >= 0}
    notes = (LATE,) if reached != ends else ()
    best: list[Rank] = []
    seen = dict.fromkeys(ends, 0)
    steps = dict.fromkeys(ends, count // len(ends) + _FIRST)
    begins = dict(beginnings)
    extra = 0
    while lows := await _lows(cluster, best if len(best) == count else (), begins, reached, leaders):
        if len(best) == count and extra > _MOST:
            for each in [each for each in lows if seen[each] >= count]:
                gaps.append(_unsearched_gap(each, lows.pop(each), reached[each]))
                del begins[each]
        stretches = {each: (max(low, reached[each] - steps[each]), reached[each]) for each, low in lows.items()}
        for each, (ranks, size) in (await _ranks(cluster, stretches, leaders)).items():
            best += [one for one in ranks if before is None or -1 != one[0] < before]
            extra += size if seen[each] >= count else 0
            seen[each] += len(ranks)
            reached[each] = stretches[each][0]
            steps[each] = min(steps[each] * 4, _STEP) if seen[each] >= count else steps[each] * 4
        best = heapq.nlargest(count, best)
    numbers: dict[int, list[int]] = {}
    for _, number, offset in best:
        numbers.setdefault(number, []).append(offset)
    starts = {each: min(numbers.get(each[1], [end])) for each, end in ends.items()}
    behind = {each: max(numbers.get(each[1], [end - 1])) + 1 for each, end in ends.items()}
    return Newest(starts, ends if before is None else behind, best[-1] if best else (0, 0, 0), gaps, notes)


async def find_overlooked(
    cluster: Cluster,
    since: int,
    beginnings: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> set[Partition]:
    """Which of these partitions, of which the broker's index says that nothing is as young as a time, have such events.

    The index looks into the first segment that ever held something so young. Where all of that was deleted by
    DeleteRecords (the segment itself goes some minutes later), it finds nothing, though there may be more behind it.
    The last events of a partition show it: they are as young, unless times run backwards.

    Raises:
        ConnectorError: A broker could not be asked.
    """
    cut = {each: end for each, end in ends.items() if 0 < beginnings[each] < end}
    if not cut:
        return set()
    stretches = {each: (max(beginnings[each], end - _FIRST), end) for each, end in cut.items()}
    found = await _ranks(cluster, stretches, leaders)
    return {
        each for each, (ranks, _) in found.items() if not ranks or any(time >= since or time < 0 for time, *_ in ranks)
    }


async def _lows(
    cluster: Cluster,
    best: Sequence[Rank],
    beginnings: Mapping[Partition, int],
    reached: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> dict[Partition, int]:
    """Where partitions may still have something as new as the oldest of the best, or anything while there are too few:
    from this offset to the one that was reached."""
    unread = {each: begin for each, begin in beginnings.items() if begin < reached[each]}
    if not best or best[-1][0] < 0 or not unread:
        return unread  # what has no time is in no index
    found = await cluster.offsets(dict.fromkeys(unread, best[-1][0]), leaders)
    # The index finds nothing where its first answer was deleted lately, though there is something behind it.
    misled = {number for _, number, _ in best}
    found |= {each: begin for each, begin in unread.items() if found[each] < 0 and each[1] in misled}
    return {each: max(begin, found[each]) for each, begin in unread.items() if 0 <= found[each] < reached[each]}


async def _ranks(
    cluster: Cluster, stretches: Mapping[Partition, tuple[int, int]], leaders: Mapping[Partition, int]
) -> dict[Partition, tuple[list[Rank], int]]:
    """The events in each stretch, by rank, and the bytes that were read for them."""
    shares = [Share(each, begin, end, leaders[each]) for each, (begin, end) in stretches.items()]
    ranks: dict[Partition, list[Rank]] = {each: [] for each in stretches}
    sizes = dict.fromkeys(stretches, 0)
    fetching = Fetching(cluster, shares, size=_SIZE)
    try:
        while not all(share.finished for share in shares):
            for chunk in await fetching.chunks():
                each, end = chunk.share.partition, chunk.share.end
                sizes[each] += chunk.fetched.records.end - chunk.fetched.records.begin
                for batch in committed_batches(chunk.fetched):
                    try:
                        found = times_in(batch)
                    except FormatError:
                        # The stream will say that it cannot be read.
                        found = [(batch.newest, batch.base)]
                    ranks[each] += [
                        rank(time, each[1], offset)
                        for time, offset in found
                        if offset >= chunk.start and (end is None or offset < end)
                    ]
    finally:
        fetching.close()
    return {each: (ranks[each], sizes[each]) for each in stretches}


def _unsearched_gap(partition: Partition, begin: int, end: int) -> Gap:
    what = f"partition {partition[1]}, offsets {begin} to {end - 1}"
    return Gap(what, "written earlier, though some are dated as new as what is shown")
