"""Putting a consumer group elsewhere: offsets are committed in its name, while it has no members."""

from collections.abc import Collection, Mapping

from connectors.kafka.cluster import GROUP, Cluster, Partition, group_by_topic
from connectors.kafka.errors import Code, check
from connectors.kafka.group_kinds import SHARE, coordinated_groups
from connectors.kafka.group_requests import OffsetDeleteRequest, readable
from connectors.kafka.ledger import advance
from connectors.kafka.retry import patiently
from workbench.model.errors import Unsupported
from workbench.model.wording import quantity


async def seek(cluster: Cluster, group: str, offsets: Mapping[Partition, int | None]) -> None:
    """Let a group stand at these offsets; None: at none.

    Raises:
        Unsupported: It has members, or keeps no offsets.
        ConnectorError: It is not known that it does.
    """
    for told in await coordinated_groups(cluster, await cluster.coordinator(GROUP, group), group):
        if told.kind == SHARE:
            raise Unsupported(f"{readable(group)} is a share group, which reads in no order: it has no offsets.")
        if told.members:
            raise _in_use(group, quantity(len(told.members), "member"))
    if committed := {each: at for each, at in offsets.items() if at is not None}:
        await advance(cluster, group, committed)
    if forgotten := [each for each, at in offsets.items() if at is None]:
        await _forget(cluster, group, forgotten)


async def _forget(cluster: Cluster, group: str, partitions: Collection[Partition]) -> None:
    doing = f"delete offsets of group {readable(group)}"

    async def attempt() -> None:
        topics = group_by_topic(partitions, lambda number, topic: number)
        request = OffsetDeleteRequest(group=group, topics=topics)
        answer = (await cluster.ask(request, await cluster.coordinator(GROUP, group))).to_object()
        codes = [answer["error_code"], *(row["error_code"] for each in answer["topics"] for row in each["partitions"])]
        for code in codes:
            if code in (Code.NON_EMPTY_GROUP, Code.GROUP_SUBSCRIBED_TO_TOPIC):
                raise _in_use(group, "members")
            if code != Code.GROUP_ID_NOT_FOUND:
                check(code, doing)

    await patiently(attempt)


def _in_use(group: str, members: str) -> Unsupported:
    return Unsupported(f"Group {readable(group)} has {members}: stop them first, they would commit over it.")
