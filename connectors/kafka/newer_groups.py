"""Who is in consumer groups of the newer protocol (KIP-848), which DescribeGroups calls dead.

aiokafka does not know the request, ConsumerGroupDescribe
(https://kafka.apache.org/protocol#The_Messages_ConsumerGroupDescribe).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.failures import Code
from workbench.model.errors import Unsupported
from workbench.model.groups import Member

Members: TypeAlias = tuple[tuple[Member, tuple[Partition, ...]], ...]
"""Who is in a group, and the partitions that each reads."""

_KEY = 69
_TAGS = ("tags", TaggedFields)
_TEXT = CompactString()
_ASSIGNMENT = Schema(
    (
        "topic_partitions",
        CompactArray(
            ("topic_id_high", Int64),
            ("topic_id_low", Int64),
            ("topic", _TEXT),
            ("partitions", CompactArray(Int32)),
            _TAGS,
        ),
    ),
    _TAGS,
)


class _Answer(Response):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = _KEY
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            CompactArray(
                ("error_code", Int16),
                ("error_message", _TEXT),
                ("group", _TEXT),
                ("state", _TEXT),
                ("group_epoch", Int32),
                ("assignment_epoch", Int32),
                ("assignor", _TEXT),
                (
                    "members",
                    CompactArray(
                        ("member_id", _TEXT),
                        ("instance_id", _TEXT),
                        ("rack_id", _TEXT),
                        ("member_epoch", Int32),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("subscribed_topics", CompactArray(_TEXT)),
                        ("subscribed_pattern", _TEXT),
                        ("assignment", _ASSIGNMENT),
                        ("target_assignment", _ASSIGNMENT),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _Question(RequestStruct):  # type: ignore[misc]  # aiokafka is not typed
    FLEXIBLE_VERSION = True
    API_KEY = _KEY
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(("groups", CompactArray(_TEXT)), ("include_authorized_operations", Boolean), _TAGS)


class _Describe(Request[_Question]):  # type: ignore[misc]  # aiokafka is not typed
    API_KEY = _KEY

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class(list(self._groups), False, {})


async def newer_groups(cluster: Cluster, node: int, names: Sequence[str]) -> dict[str, tuple[str, Members]]:
    """The state and the members of those groups that are of the newer protocol.

    Args:
        cluster: Where they are.
        node: Their coordinator.
        names: Which.

    Raises:
        ConnectorError: The coordinator could not be asked.
    """
    try:
        answer = await cluster.ask(_Describe(names), node)
    except Unsupported:
        return {}  # a broker from before the protocol
    return {
        row[2]: (row[3], tuple(_member(member) for member in row[7])) for row in answer.groups if row[0] == Code.NONE
    }


def _member(row: Sequence[Any]) -> tuple[Member, tuple[Partition, ...]]:
    name, _, _, _, client, host, _, _, (assigned, _), *_ = row
    return Member(name, client, host.lstrip("/")), tuple(
        (topic, number) for _, _, topic, numbers, _ in assigned for number in numbers
    )
