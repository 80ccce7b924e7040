"""All that is used of aiokafka beyond its public interface, and nowhere else: a connection, requests, record batches.

aiokafka connects and logs in, and knows how requests and batches are written. Names that begin with `_` are its own
here. docs/architecture.md lists them, and a test of each says when it moves.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    TxnOffsetCommitRequest,
)
from aiokafka.protocol.types import (
    Array,
    Boolean,
    Bytes,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
    UnsignedVarInt32,
)
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from connectors.kafka.versions import Offered

__all__ = [
    "AIOKafkaConnection",
    "AddOffsetsToTxnRequest",
    "AddPartitionsToTxnRequest",
    "Array",
    "Boolean",
    "Bytes",
    "CompactArray",
    "CompactString",
    "DefaultRecordBatch",
    "DefaultRecordBatchBuilder",
    "DescribeConfigsRequest",
    "EndTxnRequest",
    "FindCoordinatorRequest",
    "InitProducerIdRequest",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "MemoryRecords",
    "MetadataRequest",
    "OffsetCommitRequest",
    "OffsetRequest",
    "Request",
    "RequestStruct",
    "Response",
    "Schema",
    "String",
    "TaggedFields",
    "TxnOffsetCommitRequest",
    "UnsignedVarInt32",
    "calc_crc32c",
    "disconnect",
    "drop",
    "offer_of",
    "set_forms",
    "take_over",
    "versions_of",
]

_CLOSE_SECONDS = 1


def offer_of(connection: AIOKafkaConnection) -> Offered:
    """What the broker behind a connection offers."""
    return cast(Offered, connection._versions)


def versions_of(request: Request[Any]) -> list[int]:
    """The versions of a request that can be sent."""
    return [form.API_VERSION for form in request._CLASSES]


def set_forms(request: type[Request[Any]], forms: Iterable[type[RequestStruct]]) -> None:
    """Give a kind of request the forms of its versions, the oldest first."""
    request._CLASSES = tuple(forms)


def take_over(connection: AIOKafkaConnection, protocol: asyncio.BufferedProtocol) -> asyncio.Transport:
    """Let a protocol receive what comes over a connection on which all that was asked has been answered, so that its
    reader, which stops here, holds no bytes."""
    transport = cast(asyncio.Transport, connection._writer.transport)
    connection._read_task.cancel()
    transport.set_protocol(protocol)
    return transport


def drop(connection: AIOKafkaConnection) -> None:
    """Close a connection at once: nothing that is on its way is of interest, and the broker may not be there."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    connection.close()


async def disconnect(connection: AIOKafkaConnection) -> None:
    """Drop a connection, however far it was made, and return when its socket is closed."""
    drop(connection)
    if connection._protocol is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await connection.close()
