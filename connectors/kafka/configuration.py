"""How topics and groups are configured, as far as a user may know and a broker says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connectors.kafka.cluster import Cluster
from connectors.kafka.driver import DescribeConfigsRequest
from connectors.kafka.errors import Code
from workbench.model.errors import Unsupported

TOPIC, GROUP = 2, 32
"""The kinds of resource that topics and groups are (DescribeConfigs; `ConfigResource.Type`)."""
_MOST_BYTES = "max.message.bytes"
_BY_TIME = ("cleanup.policy", "retention.ms", "message.timestamp.type", "message.timestamp.before.max.ms")
_ROOM = 1 << 10
"""Bytes of a request that are no batch's: its header, the topic's name, a few numbers."""


async def describe_configs(
    cluster: Cluster, resources: Iterable[str], settings: Sequence[str], kind: int = TOPIC
) -> Mapping[str, dict[str, str]]:
    """Some settings of some topics or groups, by name; those that are not known are left out.

    Raises:
        ConnectorError: The cluster could not be asked.
    """

    async def describe(some: Sequence[str]) -> Mapping[str, dict[str, str]]:
        answer = await cluster.ask(DescribeConfigsRequest([(kind, name, list(settings)) for name in some]))
        # A user who may read it may still not see how it is configured.
        return {
            name: {key: value for key, value, *_ in sorted(entries) if value is not None}
            for code, _, _, name, entries in answer.resources
            if code == Code.NONE
        }

    if not (names := list(resources)):
        return {}
    try:
        found, _ = await cluster.ask_apart(names, describe)
    except Unsupported:
        return {}
    return found


class Limit(NamedTuple):
    """How many bytes a batch may have.

    Attributes:
        bytes: So many.
        setting: What says so.
    """

    bytes: int
    setting: str


class Limits(NamedTuple):
    """What a topic can hold.

    Attributes:
        size: How many bytes a batch may have; None: this user may not know.
        keeps: Milliseconds for which it keeps an event, counted from the event's own time; None: from its arrival, for
            ever, or this user may not know.
    """

    size: Limit | None
    keeps: int | None


async def limits_of(cluster: Cluster, topic: str) -> Limits:
    """What a topic can hold.

    Raises:
        ConnectorError: The cluster could not be asked.
    """
    settings = (await describe_configs(cluster, [topic], [_MOST_BYTES, *_BY_TIME])).get(topic, {})
    return Limits(_largest(cluster, settings), _keeps(settings))


async def largest(cluster: Cluster, topic: str) -> Limit | None:
    """How many bytes a batch of this topic may have; None where this user may not know."""
    return _largest(cluster, (await describe_configs(cluster, [topic], [_MOST_BYTES])).get(topic, {}))


def _keeps(settings: Mapping[str, str]) -> int | None:
    policy, retention, kind, before = map(settings.get, _BY_TIME)
    if kind != "CreateTime":
        return None
    # A broker deletes a segment all of whose events are older, the one that is written to as well.
    limits = [int(retention)] if retention is not None and "delete" in (policy or "") else []
    limits += [int(before)] if before is not None else []
    return min((each for each in limits if each >= 0), default=None)


def _largest(cluster: Cluster, settings: Mapping[str, str]) -> Limit | None:
    limits = [Limit(int(settings[_MOST_BYTES]), _MOST_BYTES)] if _MOST_BYTES in settings else []
    if most := cluster.settings.max_request:
        limits.append(Limit(most - _ROOM, "max.request.size"))
    return min(limits, default=None)
