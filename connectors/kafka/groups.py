"""Consumer groups: who there is, how far each has got, and who reads now."""

from collections.abc import Mapping, Sequence

import msgspec
from aiokafka.protocol.admin import (
    DescribeGroupsRequest,
    DescribeGroupsRequest_v0,
    DescribeGroupsRequest_v1,
    DescribeGroupsRequest_v2,
    ListGroupsRequest,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import MemberAssignment

from connectors.kafka.cluster import BEGINNING, END, GROUP, Cluster, Partition, persistently, together
from connectors.kafka.failures import Code, check
from connectors.kafka.fetching import Fetching, Share
from connectors.kafka.newer_groups import Members, newer_groups
from connectors.kafka.records import committed as committed_batches
from connectors.kafka.records import deliveries
from workbench.model.address import Address
from workbench.model.errors import EndpointNotFound
from workbench.model.groups import Group, GroupPartition, Member

_CONSUMER = "consumer"
_UNKNOWN = "Unknown"
_PEEK = 64 << 10


class Readers(msgspec.Struct, frozen=True):
    """A group as its coordinator knows it.

    Attributes:
        name: Its name.
        state: In the broker's words: Stable, Empty, PreparingRebalance…
        committed: The next offset to read of each partition it has committed one for.
        members: Who is in it, and the partitions that each reads.
    """

    name: str
    state: str
    committed: Mapping[Partition, int]
    members: Members


async def committed(cluster: Cluster, group: str, node: int | None = None) -> dict[Partition, int]:
    """The offsets that a group has committed; empty for a group that there is not.

    Args:
        cluster: Where it is.
        group: Its name.
        node: Its coordinator, if known.

    Raises:
        ConnectorError: Its coordinator could not be asked, or refuses.
    """

    async def attempt() -> dict[Partition, int]:
        coordinator = await cluster.coordinator(GROUP, group) if node is None else node
        answer = await cluster.ask(OffsetFetchRequest(group, None), coordinator)
        check(answer.error_code, f"read the offsets of group {group}")
        found = {}
        for topic, partitions in answer.topics:
            for number, offset, _, code in partitions:
                check(code, f"read the offsets of group {group}")
                if offset >= 0:
                    found[topic, number] = offset
        return found

    return await persistently(attempt)


async def all_readers(cluster: Cluster) -> list[Readers]:
    """All consumer groups that this user may see, by name.

    Raises:
        ConnectorError: A broker could not be asked.
    """
    await cluster.topics(())
    found = await together(_coordinated_by(cluster, node, None) for node in cluster.brokers)
    return sorted((readers for some in found for readers in some), key=lambda readers: readers.name)


async def one_of_the_readers(cluster: Cluster, name: str) -> Readers:
    """One consumer group.

    Raises:
        EndpointNotFound: There is none of this name that this user may see.
        ConnectorError: Its coordinator could not be asked.
    """
    node = await cluster.coordinator(GROUP, name)
    for readers in await _coordinated_by(cluster, node, name):
        return readers
    raise EndpointNotFound(f"{cluster.settings.name} has no consumer group {name!r} that this user may see.")


async def described(cluster: Cluster, readers: Sequence[Readers]) -> list[Group]:
    """Groups with their lag and the age of what they have not read: the events at their offsets are looked at.

    Raises:
        ConnectorError: A broker could not be asked.
    """
    wanted = {each for one in readers for each in (*one.committed, *(each for _, some in one.members for each in some))}
    leaders = await cluster.leaders({topic for topic, _ in wanted})
    led = [each for each in wanted if leaders.get(each, -1) >= 0]  # a topic may have been deleted since
    beginnings = await cluster.offsets(dict.fromkeys(led, BEGINNING), leaders)
    ends = await cluster.offsets(dict.fromkeys(led, END), leaders)
    unread = {
        (each, max(one.committed.get(each, beginnings[each]), beginnings[each]))
        for one in readers
        for each in led
        if each in one.committed or any(each in some for _, some in one.members)
    }
    times: dict[tuple[Partition, int], int | None] = {}
    while unread:
        # One offset of each partition at a time: groups share partitions.
        some = dict(unread)
        times |= await _times(
            cluster, {each: offset for each, offset in some.items() if offset < ends[each]}, ends, leaders
        )
        unread -= set(some.items())

    def partition(one: Readers, each: Partition) -> GroupPartition:
        offset = one.committed.get(each)
        begin = max(beginnings[each] if offset is None else offset, beginnings[each])
        return GroupPartition(
            Address(cluster.settings.name, each[0]),
            str(each[1]),
            None if offset is None else str(offset),
            str(ends[each]),
            max(ends[each] - begin, 0),
            times.get((each, begin)),
            next((member.name for member, some in one.members if each in some), None),
        )

    return [
        Group(
            one.name,
            one.state,
            tuple(member for member, _ in one.members),
            tuple(
                partition(one, each)
                for each in sorted(led)
                if each in one.committed or any(each in some for _, some in one.members)
            ),
        )
        for one in readers
    ]


async def _times(
    cluster: Cluster, offsets: Mapping[Partition, int], ends: Mapping[Partition, int], leaders: Mapping[Partition, int]
) -> dict[tuple[Partition, int], int | None]:
    """The time of the first event at or behind each offset."""
    shares = [Share(each, offset, ends[each], leaders[each]) for each, offset in offsets.items()]
    fetching = Fetching(cluster, shares, size=_PEEK * max(len(shares), 1))
    found: dict[tuple[Partition, int], int | None] = {}
    try:
        while not all(share.finished for share in shares):
            for chunk in await fetching.chunks():
                each, end = chunk.share.partition, chunk.share.end
                for batch in committed_batches(chunk.fetched):
                    for delivery in deliveries(batch, Address("", each[0]), str(each[1]), chunk.start, end, 0):
                        found.setdefault((each, offsets[each]), delivery.event.timestamp)
                        break
                    if (each, offsets[each]) in found:
                        chunk.share.next = chunk.share.end or 0
                        break
    finally:
        fetching.close()
    return found


async def _coordinated_by(cluster: Cluster, node: int, name: str | None) -> list[Readers]:
    answer = await cluster.ask(ListGroupsRequest(), node)
    # A coordinator that is still loading, or a user who may not list them, leaves them out.
    names = [group for group, kind in answer.groups if kind in (_CONSUMER, "") and name in (None, group)]
    if answer.error_code != Code.NONE or not names:
        return []
    request = DescribeGroupsRequest(names)
    # Of version 3 aiokafka overlooks a field of the answer, and takes all groups but the first for something else.
    request._CLASSES = (DescribeGroupsRequest_v0, DescribeGroupsRequest_v1, DescribeGroupsRequest_v2)
    answer = await cluster.ask(request, node)
    rows: dict[str, tuple[str, Members]] = {
        group: (
            state,
            tuple((Member(id_, client, host.lstrip("/")), _assigned(given)) for id_, client, host, _, given in some),
        )
        for code, group, state, _, _, some, *_ in answer.groups
        if code == Code.NONE and state != "Dead"
    }
    if others := [group for group in names if group not in rows]:
        # Where none tells of a group, its offsets are there all the same.
        rows |= dict.fromkeys(others, (_UNKNOWN, ())) | await newer_groups(cluster, node, others)
    offsets = await together(committed(cluster, group, node) for group in rows)
    return [
        Readers(group, state, found, members)
        for (group, (state, members)), found in zip(rows.items(), offsets, strict=True)
    ]


def _assigned(assignment: bytes) -> tuple[Partition, ...]:
    if not assignment:
        return ()
    return tuple(
        (topic, number) for topic, numbers in MemberAssignment.decode(assignment).assignment for number in numbers
    )
