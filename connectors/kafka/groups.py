"""Consumer groups: who there is, how far each has got, and who reads now.

One that cannot be read hides no other: what of a group is not known, and why, stands in its gaps.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

import msgspec

from connectors.kafka.cluster import BEGINNING, END, GROUP, Cluster, Partition, persistently, run_together
from connectors.kafka.errors import check
from connectors.kafka.fetcher import Fetching, Share
from connectors.kafka.group_kinds import SHARE, Told, coordinated_groups
from connectors.kafka.group_requests import DescribeShareGroupOffsetsRequest, OffsetFetchRequest, readable
from connectors.kafka.records import committed_batches as committed_batches
from connectors.kafka.records import deliveries
from workbench.connecting.connector_boundary import Boundary
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, ConnectorError, EndpointNotFound, FormatError, WorkbenchError
from workbench.model.groups import Group, GroupPartition
from workbench.model.listing import Listing
from workbench.model.look import Gap

_PEEK = 64 << 10
_MOST_PEEKED = 8 << 20

T = TypeVar("T")


class Readers(msgspec.Struct, frozen=True):
    """A group, and how far it has got.

    Attributes:
        told: As its coordinator tells of it.
        committed: The next offset to read of each partition it has committed one for.
        lags: Events not read, where the coordinator counts them: of a share group, which reads in no order.
        gaps: What is not known of it.
    """

    told: Told
    committed: Mapping[Partition, int]
    lags: Mapping[Partition, int] = {}
    gaps: tuple[Gap, ...] = ()

    @property
    def partitions(self) -> set[Partition]:
        """All that it has committed an offset for or reads now."""
        return {*self.committed, *(each for _, some in self.told.members for each in some)}


async def committed_offsets(cluster: Cluster, group: str, node: int | None = None) -> dict[Partition, int]:
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
        answer = (await cluster.ask(OffsetFetchRequest(group=group, topics=None), coordinator)).to_object()
        check(answer["error_code"], f"read the offsets of group {readable(group)}")
        found = {}
        for topic in answer["topics"]:
            for row in topic["partitions"]:
                check(row["error_code"], f"read the offsets of group {readable(group)}")
                if row["offset"] >= 0:
                    found[topic["topic"], row["partition"]] = row["offset"]
        return found

    return await persistently(attempt)


async def all_groups(cluster: Cluster) -> Listing[Group]:
    """All groups that this user may see, by name, with their lag and the age of what they have not read.

    Raises:
        ConnectorError: No broker could be asked.
    """

    def groups_of(node: int) -> Coroutine[None, None, list[Readers] | WorkbenchError]:
        return Boundary(f"The groups of broker {node}").part(partial(_readers, cluster, node, None))

    await cluster.topics(())
    found = dict(zip(cluster.brokers, await run_together(map(groups_of, cluster.brokers)), strict=True))
    refused = {node: some for node, some in found.items() if isinstance(some, WorkbenchError)}
    if refused and len(refused) == len(found):
        raise next(iter(refused.values()))
    readers = [one for some in found.values() if not isinstance(some, WorkbenchError) for one in some]
    gaps = [Gap(f"the groups of broker {node}", str(error)) for node, error in refused.items()]
    return Listing(await _with_lag(cluster, sorted(readers, key=lambda one: one.told.name)), gaps)


async def one_group(cluster: Cluster, name: str) -> Group:
    """One group, as `all_groups` has it.

    Raises:
        EndpointNotFound: There is none of this name that this user may see.
        ConnectorError: Its coordinator could not be asked.
    """
    node = await cluster.coordinator(GROUP, name)
    for group in await _with_lag(cluster, await _readers(cluster, node, name)):
        return group
    raise EndpointNotFound(f"{cluster.settings.name} has no consumer group {name!r} that this user may see.")


async def _readers(cluster: Cluster, node: int, name: str | None) -> list[Readers]:
    told = await coordinated_groups(cluster, node, name)
    return await run_together(_got(cluster, node, one) for one in told)


async def _got(cluster: Cluster, node: int, told: Told) -> Readers:
    """How far a group has got, as its coordinator knows."""

    async def got(names: Sequence[str]) -> Mapping[str, Readers]:
        if told.kind == SHARE:
            return {told.name: await _got_shared(cluster, node, told)}
        return {told.name: Readers(told, await committed_offsets(cluster, told.name, node), gaps=told.gaps)}

    asking = partial(cluster.ask_apart, [told.name], got, node)
    asked = await Boundary(f"The offsets of group {readable(told.name)}").part(asking)
    if isinstance(asked, ConnectionLost):
        raise asked
    found: Mapping[str, Readers]
    found, refused = ({}, {told.name: asked}) if isinstance(asked, WorkbenchError) else asked
    if told.name in found:
        return found[told.name]
    return Readers(told, {}, gaps=(*told.gaps, Gap("its offsets", _reason(refused[told.name]))))


async def _got_shared(cluster: Cluster, node: int, told: Told) -> Readers:
    """Of a share group: the offset before which all is dealt with (KIP-932), and what is not."""
    doing = f"read the offsets of group {readable(told.name)}"

    async def attempt() -> Readers:
        request = DescribeShareGroupOffsetsRequest(groups=[(told.name, None, {})])
        [group] = (await cluster.ask(request, node)).to_object()["groups"]
        check(group["error_code"], doing)
        starts, lags, gaps = dict[Partition, int](), dict[Partition, int](), list(told.gaps)
        for topic in group["topics"]:
            for row in topic["partitions"]:
                each = topic["topic"], row["partition"]
                try:
                    check(row["error_code"], doing)
                except ConnectorError as error:
                    gaps.append(Gap(f"its offset in partition {each[1]} of topic {each[0]}", _reason(error)))
                    continue
                if row["start"] >= 0:
                    starts[each] = row["start"]
                if row.get("lag", -1) >= 0:
                    lags[each] = row["lag"]
        return Readers(told, starts, lags, tuple(gaps))

    return await persistently(attempt)


async def _with_lag(cluster: Cluster, readers: Sequence[Readers]) -> list[Group]:
    """Groups with their lag and the age of what they have not read: the events at their offsets are looked at."""
    topics = {topic for one in readers for topic, _ in one.partitions}
    leaders = await cluster.leaders(topics)
    missing = {
        topic: Gap(f"topic {topic}", "it has been deleted, or this user may not see it")
        for topic in topics - {topic for topic, _ in leaders}
    }
    led = {each for one in readers for each in one.partitions if leaders.get(each, -1) >= 0}
    beginnings, refused = await _by_topic(led, lambda some: cluster.offsets(dict.fromkeys(some, BEGINNING), leaders))
    ends, more = await _by_topic(beginnings.keys(), lambda some: cluster.offsets(dict.fromkeys(some, END), leaders))
    missing |= {topic: Gap(f"topic {topic}", _reason(error)) for topic, error in (refused | more).items()}

    def place(one: Readers, each: Partition) -> int:
        return max(one.committed.get(each, beginnings[each]), beginnings[each])

    times: dict[tuple[Partition, int], int | None] = {}
    unread = {(each, place(one, each)) for one in readers for each in one.partitions if each in ends}
    while unread:
        # One offset of each partition at a time: groups share partitions.
        some = dict(unread)
        unread -= set(some.items())
        wanted = {each: offset for each, offset in some.items() if offset < ends[each]}
        times_of = partial(_times, cluster, offsets=wanted, ends=ends, leaders=leaders)
        found, refused = await _by_topic(wanted.keys(), times_of)
        times |= {(each, wanted[each]): time for each, time in found.items()}
        for topic, error in refused.items():
            missing.setdefault(topic, Gap(f"how old the events of topic {topic} are", _reason(error)))

    def partition(one: Readers, each: Partition) -> GroupPartition:
        offset, begin = one.committed.get(each), place(one, each)
        names = [member.name for member, some in one.told.members if each in some]
        lag = one.lags.get(each, max(ends[each] - begin, 0))
        return GroupPartition(
            Address(cluster.settings.name, each[0]),
            str(each[1]),
            None if offset is None else str(offset),
            str(ends[each]),
            lag,
            times.get((each, begin)) if lag else None,
            ", ".join(names) or None,
        )

    return [
        Group(
            readable(one.told.name),
            one.told.state,
            tuple(member for member, _ in one.told.members),
            tuple(partition(one, each) for each in sorted(one.partitions) if each in ends),
            one.told.kind,
            (*one.gaps, *(missing[topic] for topic in sorted({topic for topic, _ in one.partitions} & missing.keys()))),
        )
        for one in readers
    ]


_ByPartition: TypeAlias = dict[Partition, T]


async def _by_topic(
    partitions: Collection[Partition], work: Callable[[Collection[Partition]], Awaitable[_ByPartition[T]]]
) -> tuple[_ByPartition[T], dict[str, ConnectorError]]:
    """Find something out about partitions: of all at once or, where that fails, of one topic after the other.

    Returns:
        What was found, and why it was not, by topic.
    """
    refused: dict[str, ConnectorError] = {}
    try:
        return await work(partitions), refused
    except ConnectorError:
        found: _ByPartition[T] = {}
    for topic in {topic for topic, _ in partitions}:
        try:
            found |= await work([each for each in partitions if each[0] == topic])
        except ConnectorError as error:
            refused[topic] = error
    return found, refused


async def _times(
    cluster: Cluster,
    partitions: Collection[Partition],
    offsets: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
) -> dict[Partition, int | None]:
    """The time of the first event at or behind an offset of each partition; None where it cannot be read."""
    shares = [Share(each, offsets[each], ends[each], leaders[each]) for each in partitions]
    fetching = Fetching(cluster, shares, size=min(_PEEK * max(len(shares), 1), _MOST_PEEKED))
    found: dict[Partition, int | None] = {}
    try:
        while not all(share.finished for share in shares):
            for chunk in await fetching.chunks():
                each, end = chunk.share.partition, chunk.share.end
                for batch in committed_batches(chunk.fetched):
                    try:
                        first = deliveries(batch, Address("", each[0]), str(each[1]), chunk.start, end, 0)[:1]
                        times = [delivery.event.timestamp for delivery in first]
                    except FormatError:
                        times = [None]
                    if times:
                        [found[each]] = times
                        chunk.share.next = chunk.share.end or 0
                        break
    finally:
        fetching.close()
    return found


def _reason(error: WorkbenchError) -> str:
    return str(error).removesuffix(".")
