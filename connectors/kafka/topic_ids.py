"""Topic ids (KIP-516): what tells a topic from another of its name that was there before, or will be."""

from uuid import UUID

from connectors.kafka.cluster import Cluster
from connectors.kafka.driver import Boolean, CompactArray, CompactString, Int16, Int32, Int64, TaggedFields
from connectors.kafka.group_requests import request_kind, version_form
from workbench.model.errors import Unsupported

_TAGS = ("tags", TaggedFields)
_TEXT = CompactString("utf-8")
_ID = (("topic_id_high", Int64), ("topic_id_low", Int64))
_NUMBERS = CompactArray(Int32)
_BROKERS = CompactArray(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)
_PARTITIONS = CompactArray(
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", _NUMBERS),
    ("in_sync", _NUMBERS),
    ("offline", _NUMBERS),
    _TAGS,
)
_TOPICS = CompactArray(
    ("error_code", Int16),
    ("topic", _TEXT),
    *_ID,
    ("is_internal", Boolean),
    ("partitions", _PARTITIONS),
    ("operations", Int32),
    _TAGS,
)
_IdRequest = request_kind(
    "Metadata",
    version_form(
        3,
        12,
        [("topics", CompactArray(*_ID, ("topic", _TEXT), _TAGS)), ("create", Boolean), ("with_operations", Boolean)],
        [
            ("throttle_time_ms", Int32),
            ("brokers", _BROKERS),
            ("cluster_id", _TEXT),
            ("controller_id", Int32),
            ("topics", _TOPICS),
        ],
    ),
)


async def topic_id(cluster: Cluster, name: str) -> str | None:
    """The id of a topic; None where there is no such topic, or brokers give none.

    Raises:
        ConnectorError: The cluster could not be asked.
    """
    try:
        answer = await cluster.ask(_IdRequest(topics=[(0, 0, name, {})], create=False, with_operations=False))
    except Unsupported:
        return None
    [(code, _, high, low, *_)] = answer.topics
    id = UUID(int=(high % 2**64) << 64 | low % 2**64)
    return None if code or not id.int else str(id)
