"""Where share groups put their dead letters: a topic that each is configured to have (KIP-1191, Kafka 4.4)."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from connectors.kafka.cluster import Cluster, persistently, run_together
from connectors.kafka.configuration import GROUP, describe_configs
from connectors.kafka.errors import check
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


def link(endpoints: Iterable[Endpoint], topics: Sequence[DeadLetterTopic]) -> list[Endpoint]:
    """The same endpoints; those that hold the dead letters of share groups say of which, those that these groups read
    say where theirs go."""
    return [_linked(endpoint, topics) for endpoint in endpoints]


def _linked(endpoint: Endpoint, topics: Sequence[DeadLetterTopic]) -> Endpoint:
    address = endpoint.address
    here = [each for each in topics if each.topic == address.name]
    to = [each.topic for each in topics if address.name in each.origins]
    if not here and not to:
        return endpoint
    return msgspec.structs.replace(
        endpoint,
        dead_letters_to=tuple(Address(address.connection, name) for name in dict.fromkeys(to)),
        dead_letters_of=tuple(
            Address(address.connection, name) for name in dict.fromkeys(name for each in here for name in each.origins)
        ),
        detail=(*endpoint.detail, *(("dead letters of", each.described) for each in here)),
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
    origins = await run_together(
        Boundary(f"The topics of group {readable(name)}").part(partial(_topics_of, cluster, coordinators[name], name))
        for name in having
    )
    return [
        DeadLetterTopic(
            said[_TOPIC], name, () if isinstance(topics, WorkbenchError) else tuple(topics), said.get(_COPIED) == "true"
        )
        for (name, said), topics in sorted(zip(having.items(), origins, strict=True), key=lambda pair: pair[0][0])
    ]


async def _topics_of(cluster: Cluster, node: int, group: str) -> Sequence[str]:
    """The topics that a share group has begun to read."""

    async def attempt() -> Sequence[str]:
        request = DescribeShareGroupOffsetsRequest(groups=[(group, None, {})])
        [answer] = (await cluster.ask(request, node)).to_object()["groups"]
        check(answer["error_code"], f"read the offsets of group {readable(group)}")
        return sorted(topic["topic"] for topic in answer["topics"])

    return await persistently(attempt)
