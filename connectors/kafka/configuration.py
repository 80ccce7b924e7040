"""How topics are configured, as far as a user may know and a broker says."""

from collections.abc import Iterable, Mapping, Sequence

from connectors.kafka.cluster import Cluster
from connectors.kafka.driver import DescribeConfigsRequest
from connectors.kafka.errors import Code
from workbench.model.errors import Unsupported

_TOPIC = 2
"""The kind of resource that a topic is (DescribeConfigs)."""


async def describe_configs(
    cluster: Cluster, topics: Iterable[str], settings: Sequence[str]
) -> Mapping[str, dict[str, str]]:
    """Some settings of some topics, by name; those that are not known are left out.

    Raises:
        ConnectorError: The cluster could not be asked.
    """
    wanted = [(_TOPIC, name, list(settings)) for name in topics]
    if not wanted:
        return {}
    try:
        answer = await cluster.ask(DescribeConfigsRequest(wanted))
    except Unsupported:
        return {}
    # A user who may read a topic may still not see how it is configured.
    return {
        name: {key: value for key, value, *_ in sorted(entries) if value is not None}
        for code, _, _, name, entries in answer.resources
        if code == Code.NONE
    }
