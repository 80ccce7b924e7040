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


async def largest(cluster: Cluster, topic: str) -> Limit | None:
    """How many bytes a batch of this topic may have; None where this user may not know."""
    settings = (await describe_configs(cluster, [topic], [_MOST_BYTES])).get(topic, {})
    limits = [Limit(int(settings[_MOST_BYTES]), _MOST_BYTES)] if _MOST_BYTES in settings else []
    if most := cluster.settings.max_request:
        limits.append(Limit(most - _ROOM, "max.request.size"))
    return min(limits, default=None)
