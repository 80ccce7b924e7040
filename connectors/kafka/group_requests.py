"""Requests about groups: of these aiokafka knows some only in old versions, some not at all, and one wrongly.

What they say: https://kafka.apache.org/protocol#protocol_messages, from ListGroups to DescribeShareGroupOffsets. Ids,
clients, hosts and notes are what strangers wrote. Where they are not UTF-8, they are read so that the same bytes can be
sent again; `readable` is how they are shown.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Any, TypeAlias

from connectors.kafka.driver import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Request,
    RequestStruct,
    Response,
    Schema,
    String,
    TaggedFields,
    UnsignedVarInt32,
    set_forms,
)


class _Asked(Request[RequestStruct]):  # type: ignore[misc]  # aiokafka is not typed
    """One request: its fields by name, of which each version takes those that it has."""

    API_KEY = -1

    def __init__(self, **fields: Any) -> None:
        self._fields = {"tags": {}, **fields}

    def build(self, request_struct_class: type[RequestStruct]) -> RequestStruct:
        return request_struct_class(*(self._fields[name] for name in request_struct_class.SCHEMA.names))


def readable(text: str) -> str:
    """A text of an answer with what of it is not UTF-8 as `\\xNN`."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Text(String):  # type: ignore[misc]  # aiokafka is not typed
    def encode(self, value: str) -> bytes:
        data = value.encode("utf-8", "surrogateescape")
        return bytes(Int16.encode(len(data))) + data

    def decode(self, data: BytesIO) -> str | None:
        return _read(data, Int16.decode(data))


class _CompactText(CompactString):  # type: ignore[misc]  # aiokafka is not typed
    def encode(self, value: str) -> bytes:
        data = value.encode("utf-8", "surrogateescape")
        return bytes(UnsignedVarInt32.encode(len(data) + 1)) + data

    def decode(self, data: BytesIO) -> str | None:
        return _read(data, UnsignedVarInt32.decode(data) - 1)


def _read(data: BytesIO, length: int) -> str | None:
    if length < 0:
        return None
    value = data.read(length)
    if len(value) != length:
        raise ValueError("a text is cut off")
    return value.decode("utf-8", "surrogateescape")


class _Nullable:
    """A structure with a byte in front that says whether it is there."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def decode(self, data: BytesIO) -> tuple[Any, ...] | None:
        return None if Int8.decode(data) < 0 else self._schema.decode(data)


_Field: TypeAlias = tuple[str, Any]


def version_form(
    key: int, version: int, question: Sequence[_Field], answer: Sequence[_Field], flexible: bool = True
) -> type[RequestStruct]:
    """The form of one version."""
    tags = [_TAGS] if flexible else []
    known = {"API_KEY": key, "API_VERSION": version}
    reply = type("Answer", (Response,), {**known, "SCHEMA": Schema(*answer, *tags)})
    form = {**known, "SCHEMA": Schema(*question, *tags), "RESPONSE_TYPE": reply, "FLEXIBLE_VERSION": flexible}
    return type("Form", (RequestStruct,), form)


def request_kind(name: str, *forms: type[RequestStruct]) -> type[_Asked]:
    """A kind of request, with the forms of its versions, the oldest first."""
    made: type[_Asked] = type(f"{name}Request", (_Asked,), {"API_KEY": forms[0].API_KEY})
    set_forms(made, forms)
    return made


_TAGS: _Field = ("tags", TaggedFields)
_TEXT, _OLD_TEXT = _CompactText(), _Text()
_THROTTLE: _Field = ("throttle_time_ms", Int32)
_NAMES: list[_Field] = [("groups", CompactArray(_TEXT)), ("include_authorized_operations", Boolean)]
_ERROR: list[_Field] = [("error_code", Int16), ("error_message", _TEXT)]
_HEAD: list[_Field] = [*_ERROR, ("group", _TEXT), ("state", _TEXT), ("epoch", Int32), ("assignment_epoch", Int32)]
_UUID: list[_Field] = [("topic_id_high", Int64), ("topic_id_low", Int64)]
_PARTITIONS: _Field = ("partitions", CompactArray(Int32))
_ASSIGNMENT = Schema(("topics", CompactArray(*_UUID, ("topic", _TEXT), _PARTITIONS, _TAGS)), _TAGS)


def _description_schema(*members: _Field, before: Sequence[_Field] = ()) -> list[_Field]:
    rows = CompactArray(
        *_HEAD, *before, ("members", CompactArray(*members, _TAGS)), ("authorized_operations", Int32), _TAGS
    )
    return [_THROTTLE, ("groups", rows)]


def _list_schema(array: type[Array], *fields: str, tags: Sequence[_Field] = ()) -> list[_Field]:
    text = _TEXT if tags else _OLD_TEXT
    return [("error_code", Int16), ("groups", array(*((field, text) for field in fields), *tags))]


_LISTED = ("group", "protocol_type")
ListGroupsRequest = request_kind(
    "ListGroups",
    version_form(16, 0, [], _list_schema(Array, *_LISTED), False),
    version_form(16, 1, [], [_THROTTLE, *_list_schema(Array, *_LISTED)], False),
    version_form(16, 2, [], [_THROTTLE, *_list_schema(Array, *_LISTED)], False),
    version_form(
        16,
        5,
        [("states", CompactArray(_TEXT)), ("types", CompactArray(_TEXT))],
        [_THROTTLE, *_list_schema(CompactArray, *_LISTED, "state", "type", tags=[_TAGS])],
    ),
)
"""Fields: `states`, `types`: those wanted, none for all."""

_WANTED_TOPICS = CompactArray(("topic", _TEXT), _PARTITIONS, _TAGS)
_FETCHED_TOPICS = CompactArray(
    ("topic", _TEXT),
    (
        "partitions",
        CompactArray(
            ("partition", Int32),
            ("offset", Int64),
            ("leader_epoch", Int32),
            ("metadata", _TEXT),
            ("error_code", Int16),
            _TAGS,
        ),
    ),
    _TAGS,
)
_FETCHED: _Field = (
    "topics",
    Array(
        ("topic", _OLD_TEXT),
        (
            "partitions",
            Array(("partition", Int32), ("offset", Int64), ("metadata", _OLD_TEXT), ("error_code", Int16)),
        ),
    ),
)
_OF_GROUP: list[_Field] = [
    ("group", _OLD_TEXT),
    ("topics", Array(("topic", _OLD_TEXT), ("partitions", Array(Int32)))),
]
OffsetFetchRequest = request_kind(
    "OffsetFetch",
    version_form(9, 2, _OF_GROUP, [_FETCHED, ("error_code", Int16)], False),
    version_form(9, 3, _OF_GROUP, [_THROTTLE, _FETCHED, ("error_code", Int16)], False),
)
"""Fields: `group`, `topics`: those wanted, None for all."""

OffsetsOfGroupsRequest = request_kind(
    "OffsetFetch",
    version_form(
        9,
        8,
        [("groups", CompactArray(("group", _TEXT), ("topics", _WANTED_TOPICS), _TAGS)), ("require_stable", Boolean)],
        [
            _THROTTLE,
            (
                "groups",
                CompactArray(("group", _TEXT), ("topics", _FETCHED_TOPICS), ("error_code", Int16), _TAGS),
            ),
        ],
    ),
)
"""Fields: `groups`, rows of a name, the topics wanted (None for all) and `{}`; `require_stable`."""

OffsetDeleteRequest = request_kind(
    "OffsetDelete",
    version_form(
        47,
        0,
        [("group", _OLD_TEXT), ("topics", Array(("topic", _OLD_TEXT), ("partitions", Array(Int32))))],
        [
            ("error_code", Int16),
            _THROTTLE,
            (
                "topics",
                Array(("topic", _OLD_TEXT), ("partitions", Array(("partition", Int32), ("error_code", Int16)))),
            ),
        ],
        False,
    ),
)
"""Fields: `group`, `topics`, rows of a name and of the partitions."""

_CLASSIC_MEMBER: list[_Field] = [
    *((name, _OLD_TEXT) for name in ("member", "client", "host")),
    ("metadata", Bytes),
    ("assignment", Bytes),
]
_CLASSIC: _Field = (
    "groups",
    Array(
        ("error_code", Int16),
        *((name, _OLD_TEXT) for name in ("group", "state", "protocol_type", "protocol")),
        ("members", Array(*_CLASSIC_MEMBER)),
    ),
)
_CLASSIC_NAMES: list[_Field] = [("groups", Array(_OLD_TEXT))]
DescribeGroupsRequest = request_kind(
    "DescribeGroups",
    version_form(15, 0, _CLASSIC_NAMES, [_CLASSIC], False),
    version_form(15, 1, _CLASSIC_NAMES, [_THROTTLE, _CLASSIC], False),
    version_form(15, 2, _CLASSIC_NAMES, [_THROTTLE, _CLASSIC], False),
)
"""Fields: `groups`, their names."""

_CONSUMER = _description_schema(
    ("member", _TEXT),
    ("instance", _TEXT),
    ("rack", _TEXT),
    ("member_epoch", Int32),
    ("client", _TEXT),
    ("host", _TEXT),
    ("subscribed", CompactArray(_TEXT)),
    ("subscribed_pattern", _TEXT),
    ("assignment", _ASSIGNMENT),
    ("target", _ASSIGNMENT),
    before=[("assignor", _TEXT)],
)
ConsumerGroupDescribeRequest = request_kind("ConsumerGroupDescribe", version_form(69, 0, _NAMES, _CONSUMER))
"""Fields: `groups`, `include_authorized_operations`."""

_SHARE = _description_schema(
    ("member", _TEXT),
    ("rack", _TEXT),
    ("member_epoch", Int32),
    ("client", _TEXT),
    ("host", _TEXT),
    ("subscribed", CompactArray(_TEXT)),
    ("assignment", _ASSIGNMENT),
    before=[("assignor", _TEXT)],
)
ShareGroupDescribeRequest = request_kind("ShareGroupDescribe", version_form(77, 1, _NAMES, _SHARE))
"""Fields: `groups`, `include_authorized_operations`."""

_PAIRS = CompactArray(("key", _TEXT), ("value", _TEXT), _TAGS)
_TOPICS = CompactArray(
    ("name", _TEXT), ("partitions", Int32), ("replication_factor", Int16), ("configs", _PAIRS), _TAGS
)
_SUBTOPOLOGIES = CompactArray(
    ("subtopology", _TEXT),
    ("sources", CompactArray(_TEXT)),
    ("repartition_sinks", CompactArray(_TEXT)),
    ("changelogs", _TOPICS),
    ("repartition_sources", _TOPICS),
    _TAGS,
)
_TASKS = CompactArray(("subtopology", _TEXT), _PARTITIONS, _TAGS)
_TASK_OFFSETS = CompactArray(("subtopology", _TEXT), ("partition", Int32), ("offset", Int64), _TAGS)
_STREAMS_ASSIGNMENT = Schema(("active", _TASKS), ("standby", _TASKS), ("warmup", _TASKS), _TAGS)
_STREAMS = _description_schema(
    ("member", _TEXT),
    ("member_epoch", Int32),
    ("instance", _TEXT),
    ("rack", _TEXT),
    ("client", _TEXT),
    ("host", _TEXT),
    ("topology_epoch", Int32),
    ("process", _TEXT),
    ("endpoint", _Nullable(Schema(("host", _TEXT), ("port", Int16), _TAGS))),
    ("client_tags", _PAIRS),
    ("task_offsets", _TASK_OFFSETS),
    ("task_end_offsets", _TASK_OFFSETS),
    ("assignment", _STREAMS_ASSIGNMENT),
    ("target", _STREAMS_ASSIGNMENT),
    ("is_classic", Boolean),
    before=[("topology", _Nullable(Schema(("epoch", Int32), ("subtopologies", _SUBTOPOLOGIES), _TAGS)))],
)
StreamsGroupDescribeRequest = request_kind("StreamsGroupDescribe", version_form(89, 0, _NAMES, _STREAMS))
"""Fields: `groups`, `include_authorized_operations`."""


def _share_offsets(*before_error: _Field) -> list[_Field]:
    partitions = CompactArray(
        ("partition", Int32), ("start", Int64), ("leader_epoch", Int32), *before_error, *_ERROR, _TAGS
    )
    topics = CompactArray(("topic", _TEXT), *_UUID, ("partitions", partitions), _TAGS)
    return [_THROTTLE, ("groups", CompactArray(("group", _TEXT), ("topics", topics), *_ERROR, _TAGS))]


_WANTED: list[_Field] = [("groups", CompactArray(("group", _TEXT), ("topics", _WANTED_TOPICS), _TAGS))]
DescribeShareGroupOffsetsRequest = request_kind(
    "DescribeShareGroupOffsets",
    version_form(90, 0, _WANTED, _share_offsets()),
    version_form(90, 1, _WANTED, _share_offsets(("lag", Int64))),
)
"""Fields: `groups`, rows of a name, the topics wanted (None for all) and `{}`."""
