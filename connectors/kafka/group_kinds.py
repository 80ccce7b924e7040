"""What coordinators tell of groups, of which there are kinds, each described in a request of its own.

Since ListGroups 5 a coordinator names the kinds: classic, consumer (KIP-848), share (KIP-932), streams (KIP-1071).
Whatever of a group cannot be told becomes a gap of this group, and hides no other.
"""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias

import msgspec

from connectors.kafka.cluster import Cluster, Partition, persistently
from connectors.kafka.driver import Array, Int16, Int32, Schema, String
from connectors.kafka.errors import Code, check, reason_of, refusal
from connectors.kafka.group_requests import (
    ConsumerGroupDescribeRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    ShareGroupDescribeRequest,
    StreamsGroupDescribeRequest,
    readable,
)
from workbench.model.errors import ConnectionLost, ConnectorError, FormatError
from workbench.model.groups import Member
from workbench.model.look import Gap

Members: TypeAlias = tuple[tuple[Member, tuple[Partition, ...]], ...]
"""Who is in a group, and the partitions that each reads."""

CLASSIC, CONSUMER, SHARE, STREAMS = "classic", "consumer", "share", "streams"
_CONSUMERS = ("consumer", "")
"""The protocol types of groups that read topics; empty where offsets were committed and nobody ever joined."""
_DEAD = "Dead"
_UNKNOWN = "Unknown"


class Told(msgspec.Struct, frozen=True):
    """A group as its coordinator tells of it.

    Attributes:
        name: Its name, as it is asked for.
        kind: In the coordinator's words; of a classic group with its protocol, where that is not that of consumers.
        state: In the coordinator's words.
        members: Who is in it.
        gaps: What the coordinator did not tell, or not so that it can be read.
    """

    name: str
    kind: str
    state: str
    members: Members = ()
    gaps: tuple[Gap, ...] = ()


class _Listed(NamedTuple):
    name: str
    protocol: str
    type: str


async def coordinated_groups(cluster: Cluster, node: int, name: str | None = None) -> list[Told]:
    """The groups that a broker coordinates and this user may see; or the one of a name, if it is among them.

    Raises:
        ConnectorError: The broker could not be asked, or does not list its groups.
    """
    listed = [group for group in await _list(cluster, node) if name in (None, group.name)]
    told: list[Told] = []
    for kind in dict.fromkeys(group.type for group in listed):
        told += await _describe(
            cluster, node, kind, {group.name: group.protocol for group in listed if group.type == kind}
        )
    return told


async def share_groups(cluster: Cluster, node: int) -> list[str]:
    """The names of the share groups that a broker coordinates and this user may see.

    Raises:
        ConnectorError: The broker could not be asked, or does not list its groups.
    """
    return [group.name for group in await _list(cluster, node, (SHARE,)) if group.type == SHARE]


async def _list(cluster: Cluster, node: int, kinds: Sequence[str] = ()) -> list[_Listed]:
    """The groups of some kinds, none: of all; a broker that does not know the kinds lists all."""

    async def attempt() -> list[_Listed]:
        answer = (await cluster.ask(ListGroupsRequest(states=[], types=list(kinds)), node)).to_object()
        check(answer["error_code"], "list groups")
        return [
            _Listed(row["group"], row["protocol_type"], row.get("type", CLASSIC).lower()) for row in answer["groups"]
        ]

    return await persistently(attempt)


async def _describe(cluster: Cluster, node: int, kind: str, protocols: Mapping[str, str]) -> list[Told]:
    """Groups of one kind, described."""
    names = list(protocols)
    if kind not in _KINDS:
        gap = Gap("its members", f"groups of kind {kind!r} are not known here")
        return [Told(name, kind, _UNKNOWN, (), (gap,)) for name in names]
    request, read = _KINDS[kind]
    fields = {} if kind == CLASSIC else {"include_authorized_operations": False}

    async def describe(some: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        answer = (await cluster.ask(request(groups=list(some), **fields), node)).to_object()
        return {row["group"]: row for row in answer["groups"]}

    try:
        rows, unread = await cluster.ask_apart(names, describe, node)
    except ConnectionLost:
        raise
    except ConnectorError as error:
        rows, unread = {}, {name: error for name in names}
    dead = [name for name, row in rows.items() if kind == CLASSIC and row["state"] == _DEAD]
    told = [
        Told(name, _kind(kind, protocols[name]), *_read(row, read))
        for name, row in rows.items()
        if name not in dead and row["error_code"] != Code.GROUP_ID_NOT_FOUND
    ]
    told += [Told(name, kind, _UNKNOWN, (), (Gap("its members", reason_of(error)),)) for name, error in unread.items()]
    # Brokers that do not name the kinds take for dead what is of the newer protocol, or has been deleted meanwhile.
    return told + (await _describe(cluster, node, CONSUMER, {name: protocols[name] for name in dead}) if dead else [])


def _kind(kind: str, protocol: str) -> str:
    return kind if kind != CLASSIC or protocol in _CONSUMERS else f"{kind} ({readable(protocol)})"


_Read: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Partition, ...]]
"""The partitions of a member of a group."""


def _read(row: Mapping[str, Any], assigned: _Read) -> tuple[str, Members, tuple[Gap, ...]]:
    """The state, the members and the gaps of a group."""
    if row["error_code"] != Code.NONE:
        return _UNKNOWN, (), (Gap("its members", reason_of(refusal(row["error_code"], "describe the group"))),)
    members, unread = [], {}
    for each in row["members"]:
        partitions: tuple[Partition, ...] = ()
        try:
            partitions = assigned(row, each)
        except FormatError as error:
            unread[readable(each["member"])] = error
        host = (each["host"] or "").lstrip("/")
        members.append((Member(*map(readable, (each["member"], each["client"] or "", host))), partitions))
    gaps: tuple[Gap, ...] = ()
    if unread:
        whose = next(iter(unread)) if len(unread) == 1 else f"{len(unread):,} members"
        gaps = (Gap(f"what is assigned to {whose}", reason_of(next(iter(unread.values())))),)
    return row["state"], tuple(members), gaps


_CONSUMER_ASSIGNMENT = Schema(("version", Int16), ("topics", Array(("topic", String()), ("partitions", Array(Int32)))))
"""What consumers agree on among themselves; user data may follow (ConsumerProtocolAssignment)."""


def _of_classic(group: Mapping[str, Any], member: Mapping[str, Any]) -> tuple[Partition, ...]:
    if not member["assignment"]:
        return ()
    if group["protocol_type"] not in _CONSUMERS:
        raise FormatError(f"it is in the form of the protocol {group['protocol_type']!r}")
    try:
        version, topics = _CONSUMER_ASSIGNMENT.decode(BytesIO(member["assignment"]))
        if version < 0:
            raise ValueError("no version is negative")
        # Nothing in place of a list is a TypeError here, nothing in place of a name is no topic's.
        return tuple((topic, number) for topic, numbers in topics for number in numbers if topic)
    except (ValueError, TypeError):
        raise FormatError("it is in a form of its own") from None


def _of_consumer(group: Mapping[str, Any], member: Mapping[str, Any]) -> tuple[Partition, ...]:
    return tuple((row["topic"], number) for row in member["assignment"]["topics"] for number in row["partitions"])


def _of_streams(group: Mapping[str, Any], member: Mapping[str, Any]) -> tuple[Partition, ...]:
    # A task is a part of the topology and a number: it reads the partition of this number of all topics of this part.
    _, subtopologies, _ = group["topology"] or (0, None, None)
    topics = {
        name: [*sources, *(topic for topic, *_ in internal)] for name, sources, _, _, internal, _ in subtopologies or ()
    }
    return tuple(
        (topic, number)
        for task in member["assignment"]["active"]
        for topic in topics.get(task["subtopology"], ())
        for number in task["partitions"]
    )


_KINDS: Mapping[str, tuple[type[Any], _Read]] = {
    CLASSIC: (DescribeGroupsRequest, _of_classic),
    CONSUMER: (ConsumerGroupDescribeRequest, _of_consumer),
    SHARE: (ShareGroupDescribeRequest, _of_consumer),
    STREAMS: (StreamsGroupDescribeRequest, _of_streams),
}
