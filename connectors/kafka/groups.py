"""Consumer groups: who there is, how far each has got, and who reads now.

One that cannot be read hides no other: what of a group is not known, and why, stands in its gaps.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from connectors.kafka.cluster import BEGINNING, END, GROUP, Cluster, Partition, run_together
from connectors.kafka.errors import reason_of
from connectors.kafka.fetcher import Fetching, Share
from connectors.kafka.group_offsets import Readers, readers_of
from connectors.kafka.group_requests import readable
from connectors.kafka.leaders import await_leaders
from connectors.kafka.records import committed_batches as committed_batches
from connectors.kafka.records import deliveries
from workbench.connecting.connector_boundary import Boundary
from workbench.model.address import Address
from workbench.model.errors import (
    ConnectorError,
    EndpointNotFound,
    FormatError,
    WorkbenchError,
)
from workbench.model.groups import Group, GroupPartition
from workbench.model.listing import Listing
from workbench.model.look import Gap
from workbench.model.wording import quantity

_PEEK = 64 << 10
_MOST_PEEKED = 8 << 20
_AGED = 100
"""Partitions of a group whose oldest unread event is looked at: those with the most unread."""
_REMEMBERED = 10_000
"""Times of events that are remembered."""

T = TypeVar("T")


async def all_groups(cluster: Cluster) -> Listing[Group]:
    """All groups that this user may see, by name, with their lag. No event is fetched for it: see `one_group`.

    Raises:
        ConnectorError: No broker could be asked.
    """

    def groups_of(node: int) -> Coroutine[None, None, list[Readers] | WorkbenchError]:
        return Boundary(f"The groups of broker {node}").part(partial(readers_of, cluster, node, None))

    await cluster.topics(())
    found = dict(zip(cluster.brokers, await run_together(map(groups_of, cluster.brokers)), strict=True))
    refused = {node: some for node, some in found.items() if isinstance(some, WorkbenchError)}
    if refused and len(refused) == len(found):
        raise next(iter(refused.values()))
    readers = [one for some in found.values() if not isinstance(some, WorkbenchError) for one in some]
    gaps = [Gap(f"the groups of broker {node}", str(error)) for node, error in refused.items()]
    return Listing(await _with_lag(cluster, sorted(readers, key=lambda one: one.told.name)), gaps)


async def one_group(cluster: Cluster, name: str, times: "Times") -> Group:
    """One group, as `all_groups` has it, and when the events were written that it is to read next.

    Args:
        cluster: Where it is.
        name: Its name.
        times: Those that were read before.

    Raises:
        EndpointNotFound: There is none of this name that this user may see.
        ConnectorError: Its coordinator could not be asked.
    """
    node = await cluster.coordinator(GROUP, name)
    for group in await _with_lag(cluster, await readers_of(cluster, node, name), times):
        return group
    raise EndpointNotFound(f"{cluster.settings.name} has no consumer group {name!r} that this user may see.")


async def _with_lag(cluster: Cluster, readers: Sequence[Readers], known: "Times | None" = None) -> list[Group]:
    """Groups with their lag.

    Args:
        cluster: Where they are.
        readers: The groups.
        known: Times of events that were read before: then the events that the groups are to read next are looked at,
            unless their times are among these. None: no event is looked at.
    """
    topics = {topic for one in readers for topic, _ in one.partitions}
    leaders = await cluster.leaders(topics)
    missing = {
        topic: Gap(f"topic {topic}", "it has been deleted, or this user may not see it")
        for topic in topics - {topic for topic, _ in leaders}
    }
    wanted = {each for one in readers for each in one.partitions} & leaders.keys()
    led = (await await_leaders(cluster, {each: leaders[each] for each in wanted}, electing=0)).leaders
    beginnings, refused = await _by_topic(led.keys(), lambda some: cluster.offsets(dict.fromkeys(some, BEGINNING), led))
    ends, more = await _by_topic(beginnings.keys(), lambda some: cluster.offsets(dict.fromkeys(some, END), led))
    missing |= {topic: Gap(f"topic {topic}", reason_of(error)) for topic, error in (refused | more).items()}

    def place(one: Readers, each: Partition) -> int:
        return max(one.committed.get(each, beginnings[each]), beginnings[each])

    def lag_of(one: Readers, each: Partition) -> int:
        return one.lags.get(each, max(ends[each] - place(one, each), 0))

    times: Times = {}
    unaged: dict[str, Gap] = {}
    if known is not None:
        for one in readers:
            behind = [each for each in one.partitions if each in ends and place(one, each) < ends[each]]
            behind.sort(key=partial(lag_of, one), reverse=True)
            if left := len(behind[_AGED:]):
                what = f"how old the events of {quantity(left, 'more partition')} are"
                unaged[one.told.name] = Gap(what, f"only {_AGED} partitions are looked at")
            offsets = {each: place(one, each) for each in behind[:_AGED]}
            found, refused = await _times_of(cluster, offsets, ends, led, known)
            times |= found
            for topic, error in refused.items():
                missing.setdefault(topic, Gap(f"how old the events of topic {topic} are", reason_of(error)))

    def gaps_of(one: Readers) -> tuple[Gap, ...]:
        found = [
            unaged.get(one.told.name),
            *(missing.get(each) for each in sorted({name for name, _ in one.partitions})),
        ]
        return (*one.gaps, *filter(None, found))

    def partition(one: Readers, each: Partition) -> GroupPartition:
        offset = one.committed.get(each)
        names = [member.name for member, some in one.told.members if each in some]
        lag = lag_of(one, each)
        return GroupPartition(
            Address(cluster.settings.name, each[0]),
            str(each[1]),
            None if offset is None else str(offset),
            str(ends[each]),
            lag,
            times.get((each, place(one, each))) if lag else None,
            ", ".join(names) or None,
        )

    return [
        Group(
            readable(one.told.name),
            one.told.state,
            tuple(member for member, _ in one.told.members),
            tuple(partition(one, each) for each in sorted(one.partitions) if each in ends),
            one.told.kind,
            gaps_of(one),
        )
        for one in readers
    ]


Times: TypeAlias = dict[tuple[Partition, int], int | None]
"""When the first event at or behind an offset of a partition was written; None where that cannot be read."""


async def _times_of(
    cluster: Cluster,
    offsets: Mapping[Partition, int],
    ends: Mapping[Partition, int],
    leaders: Mapping[Partition, int],
    known: Times,
) -> tuple[Times, dict[str, ConnectorError]]:
    """The times of events, looked at unless they are `known`, which is what is remembered; and why not, by topic.

    A group that stands still is asked about again and again, and an event at an offset is always the same.
    """
    new = {each: offset for each, offset in offsets.items() if (each, offset) not in known}
    found, refused = await _by_topic(new.keys(), partial(_times, cluster, offsets=new, ends=ends, leaders=leaders))
    if len(known) + len(found) > _REMEMBERED:
        known.clear()
    known |= {(each, new[each]): time for each, time in found.items()}
    return {each: known[each] for each in offsets.items() if each in known}, refused


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
