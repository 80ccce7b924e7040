"""Where share groups put their dead letters: a topic that each is configured to have (KIP-1191, Kafka 4.4)."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from connectors.kafka.cluster import Cluster, run_together
from connectors.kafka.configuration import GROUP, describe_configs
from connectors.kafka.errors import Code
from connectors.kafka.group_kinds import share_groups
from connectors.kafka.group_requests import DescribeShareGroupOffsetsRequest, readable
from workbench.connecting.connector_boundary import Boundary
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import WorkbenchError

_TOPIC: Final = "errors.deadletterqueue.topic.name"
_COPIED: Final = "errors.deadletterqueue.copy.record.enable"


class DeadLetterTopic(msgspec.Struct, frozen=True):
    """The topic of a share group's dead letters.

    Attributes:
        topic: Its name.
        group: The group's name.
        origins: The topics that the group reads.
        copied: Whether dead letters have the key and the body of their originals; else they only say where those are.
    """

    topic: str
    group: str
    origins: tuple[str, ...]
    copied: bool

    @property
    def described(self) -> str:
        """Whose dead letters these are, for people."""
        return f"share group {readable(self.group)}, {'with' if self.copied else 'without'} key and body"


def link(endpoints: Iterable[Endpoint], topics: Iterable[DeadLetterTopic]) -> list[Endpoint]:
    """The same endpoints; those that hold the dead letters of share groups say of which, those that these groups read
    say where theirs go."""
    held: dict[str, list[DeadLetterTopic]] = {}
    sent: dict[str, dict[str, None]] = {}
    for each in topics:
        held.setdefault(each.topic, []).append(each)
        for name in each.origins:
            sent.setdefault(name, {})[each.topic] = None
    return [
        _linked(endpoint, held.get(endpoint.address.name, ()), sent.get(endpoint.address.name, ()))
        for endpoint in endpoints
    ]


def _linked(endpoint: Endpoint, held: Sequence[DeadLetterTopic], sent: Iterable[str]) -> Endpoint:
    if not held and not sent:
        return endpoint
    connection = endpoint.address.connection
    origins = dict.fromkeys(name for each in held for name in each.origins)
    return msgspec.structs.replace(
        endpoint,
        dead_letters_to=tuple(Address(connection, name) for name in sent),
        dead_letters_of=tuple(Address(connection, name) for name in origins),
        detail=(*endpoint.detail, *(("dead letters of", each.described) for each in held)),
    )


async def dead_letter_topics(cluster: Cluster) -> list[DeadLetterTopic]:
    """The topics of the dead letters of all share groups that this user may see; a group that is not told of hides no
    other.

    Raises:
        ConnectorError: No broker could be asked.
    """
    await cluster.topics(())
    nodes = list(cluster.brokers)
    listed = await run_together(
        Boundary(f"The share groups of broker {node}").part(partial(share_groups, cluster, node)) for node in nodes
    )
    if listed and all(isinstance(each, WorkbenchError) for each in listed):
        raise next(each for each in listed if isinstance(each, WorkbenchError))
    coordinators = {
        name: node
        for node, names in zip(nodes, listed, strict=True)
        if not isinstance(names, WorkbenchError)
        for name in names
    }
    configured = await describe_configs(cluster, coordinators, (_TOPIC, _COPIED), GROUP)
    having = {name: said for name, said in configured.items() if said.get(_TOPIC)}
    origins = await _origins(cluster, {name: coordinators[name] for name in having})
    return [
        DeadLetterTopic(said[_TOPIC], name, origins.get(name, ()), said.get(_COPIED) == "true")
        for name, said in sorted(having.items())
    ]


async def _origins(cluster: Cluster, coordinators: Mapping[str, int]) -> Mapping[str, tuple[str, ...]]:
    """The topics that share groups have begun to read, by the groups' names; a group that is not told of is left out.

    Args:
        cluster: Where they are.
        coordinators: Who coordinates each.
    """

    async def describe(node: int, names: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        request = DescribeShareGroupOffsetsRequest(groups=[(name, None, {}) for name in names])
        answer = (await cluster.ask(request, node)).to_object()
        return {
            row["group"]: tuple(sorted(topic["topic"] for topic in row["topics"]))
            for row in answer["groups"]
            if row["error_code"] == Code.NONE
        }

    names_at: dict[int, list[str]] = {}
    for name, node in coordinators.items():
        names_at.setdefault(node, []).append(name)
    asked = await run_together(
        Boundary(f"What the share groups of broker {node} read").part(
            partial(cluster.ask_apart, names, partial(describe, node), node)
        )
        for node, names in names_at.items()
    )
    return {name: topics for each in asked if not isinstance(each, WorkbenchError) for name, topics in each[0].items()}
