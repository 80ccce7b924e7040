"""What a user may do, as a cluster tells (KIP-430): asked of all topics that the user may see, and nothing is tried."""

from typing import Final

from connectors.kafka.cluster import Cluster
from connectors.kafka.driver import Array, Boolean, Int16, Int32, String
from connectors.kafka.group_requests import request_kind, version_form
from workbench.model.errors import Unsupported
from workbench.model.wording import quantity

_READ, _WRITE = 1 << 3, 1 << 4
"""Bits of operations: https://kafka.apache.org/protocol#protocol_messages, by the numbers of AclOperation."""
_PARTITION: Final = (
    *(("error", Int16), ("number", Int32), ("leader", Int32), ("epoch", Int32)),
    *(("replicas", Array(Int32)), ("in_sync", Array(Int32)), ("offline", Array(Int32))),
)
_TOPIC: Final = (
    *(("error", Int16), ("topic", String("utf-8")), ("internal", Boolean)),
    *(("partitions", Array(*_PARTITION)), ("operations", Int32)),
)
_BROKER: Final = (("node", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8")))
_MetadataRequest: Final = request_kind(
    "Metadata",
    version_form(
        3,
        8,
        [("topics", Array(String("utf-8"))), ("create", Boolean), ("of_cluster", Boolean), ("of_topics", Boolean)],
        [
            *(("throttle_time_ms", Int32), ("brokers", Array(*_BROKER)), ("cluster_id", String("utf-8"))),
            *(("controller", Int32), ("topics", Array(*_TOPIC)), ("operations", Int32)),
        ],
        flexible=False,
    ),
)


async def permissions(cluster: Cluster) -> str:
    """What this user may do, in words.

    Raises:
        ConnectorError: The cluster could not be asked.
    """
    only = cluster.settings.only
    wanted = None if only is None else [only]
    question = _MetadataRequest(topics=wanted, create=False, of_cluster=False, of_topics=True)
    try:
        answer = await cluster.ask(question)
    except Unsupported:
        return "not told by this broker"
    allowed = [operations for _, _, internal, _, operations in answer.topics if not internal]
    if not allowed:
        return "none on a topic: there are none, or this user may not see them"
    read, write = (sum(bool(each & bit) for each in allowed) for bit in (_READ, _WRITE))
    return f"may read {read:,} and write to {write:,} of {quantity(len(allowed), 'topic')}"
