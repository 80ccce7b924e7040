"""How far groups have got: the offsets that they have committed, or before which a share group has dealt with all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from connectors.kafka.cluster import GROUP, Cluster, Partition, persistently, run_together
from connectors.kafka.errors import Code, check, reason_of
from connectors.kafka.group_kinds import SHARE, Told, coordinated_groups
from connectors.kafka.group_requests import (
    DescribeShareGroupOffsetsRequest,
    OffsetFetchRequest,
    OffsetsOfGroupsRequest,
    readable,
)
from workbench.connecting.connector_boundary import Boundary
from workbench.model.errors import ConnectionLost, ConnectorError, Unsupported, WorkbenchError
from workbench.model.look import Gap

_TOGETHER = 200
"""Groups whose offsets are asked for at once."""


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
        for code in (answer["error_code"], *_errors_in(answer["topics"])):
            check(code, f"read the offsets of group {readable(group)}")
        return _offsets_in(answer["topics"])

    return await persistently(attempt)


async def readers_of(cluster: Cluster, node: int, name: str | None) -> list[Readers]:
    """The groups that a broker coordinates and this user may see; or the one of a name, if it is among them.

    Raises:
        ConnectorError: The broker could not be asked, or does not list its groups.
    """
    told = await coordinated_groups(cluster, node, name)
    found = await _got_together(cluster, node, [one.name for one in told if one.kind != SHARE])
    # What is odd or refused is asked for alone, which tells why.
    alone = [one for one in told if one.name not in found]
    together = [Readers(one, found[one.name], gaps=one.gaps) for one in told if one.name in found]
    return [*together, *await run_together(_got(cluster, node, one) for one in alone)]


async def _got_together(cluster: Cluster, node: int, names: Sequence[str]) -> dict[str, dict[Partition, int]]:
    """The offsets that groups of a coordinator have committed, asked for many groups at once (KIP-709), as far as it
    tells."""

    async def got(some: Sequence[str]) -> Mapping[str, dict[Partition, int]]:
        request = OffsetsOfGroupsRequest(groups=[(name, None, {}) for name in some], require_stable=False)
        answer = (await cluster.ask(request, node)).to_object()
        return {
            group["group"]: _offsets_in(group["topics"])
            for group in answer["groups"]
            if group["error_code"] == Code.NONE and not any(_errors_in(group["topics"]))
        }

    found: dict[str, dict[Partition, int]] = {}
    with suppress(Unsupported):
        for begin in range(0, len(names), _TOGETHER):
            told, _ = await cluster.ask_apart(names[begin : begin + _TOGETHER], got, node)
            found |= told
    return found


def _offsets_in(topics: Sequence[Mapping[str, Any]]) -> dict[Partition, int]:
    """The offsets in an answer; -1 stands for none."""
    return {
        (topic["topic"], row["partition"]): row["offset"]
        for topic in topics
        for row in topic["partitions"]
        if row["offset"] >= 0
    }


def _errors_in(topics: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    return (row["error_code"] for topic in topics for row in topic["partitions"])


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
    return Readers(told, {}, gaps=(*told.gaps, Gap("its offsets", reason_of(refused[told.name]))))


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
                    gaps.append(Gap(f"its offset in partition {each[1]} of topic {each[0]}", reason_of(error)))
                    continue
                if row["start"] >= 0:
                    starts[each] = row["start"]
                if row.get("lag", -1) >= 0:
                    lags[each] = row["lag"]
        return Readers(told, starts, lags, tuple(gaps))

    return await persistently(attempt)
