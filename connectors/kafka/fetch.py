"""Requests and answers of Fetch, version 10 (https://kafka.apache.org/protocol#The_Messages_Fetch).

It is the first that brokers trust to understand all compressions (KIP-110). Record batches stay where they came in.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import NamedTuple

from connectors.kafka.channel import Bytes, Channel
from connectors.kafka.cluster import Partition, grouped
from connectors.kafka.failures import check

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_REQUEST = struct.Struct(">iiiibii")
_PARTITION_REQUEST = struct.Struct(">iiqqi")
_ANSWER = struct.Struct(">iihii")
_PARTITION_ANSWER = struct.Struct(">ihqqqi")
_ABORTED = struct.Struct(">qq")
_FETCH, _VERSION = 1, 10
_READ_COMMITTED = 1


class Fetched(NamedTuple):
    """What one fetch brought of one partition.

    Attributes:
        partition: Which.
        code: 0, or why there is nothing.
        stable: The offset behind the last event whose transaction is decided.
        beginning: The first offset there is.
        aborted: Aborted transactions that reach in here: the producer's id and the first offset of each.
        records: Record batches, the last of them perhaps cut off.
    """

    partition: Partition
    code: int
    stable: int
    beginning: int
    aborted: list[tuple[int, int]]
    records: Bytes


def fetch(
    channel: Channel, offsets: Sequence[tuple[Partition, int]], size: int, each: int, wait: int
) -> asyncio.Future[Bytes]:
    """Ask for record batches of events whose transactions are committed.

    Args:
        channel: To the broker that leads all these partitions.
        offsets: The partitions, and the first offset wanted of each. Those in front are served first.
        size: Bytes at most, of all together, unless the first batch alone is larger.
        each: Bytes at most, of each.
        wait: Milliseconds that the broker may wait for the first event.

    Returns:
        The answer, for `parse`; it fails with ConnectionLost.
    """
    parts = [_REQUEST.pack(-1, wait, 1, size, _READ_COMMITTED, 0, -1)]
    starts = dict(offsets)
    topics = grouped(starts, lambda number, topic: _PARTITION_REQUEST.pack(number, -1, starts[topic, number], -1, each))
    parts.append(_SIZE.pack(len(topics)))
    for topic, rows in topics:
        name = topic.encode()
        parts += [_NAME.pack(len(name)), name, _SIZE.pack(len(rows)), *rows]
    parts.append(_SIZE.pack(0))
    return channel.ask(_FETCH, _VERSION, *parts)


def parse(answer: Bytes) -> list[Fetched]:
    """Take an answer apart, without copying the records.

    Raises:
        ConnectorError: The broker refuses the fetch as a whole.
    """
    buffer = answer.buffer
    _, _, code, _, topics = _ANSWER.unpack_from(buffer)
    check(code, "fetch")
    position, found = _ANSWER.size, []
    for _ in range(topics):
        (length,) = _NAME.unpack_from(buffer, position)
        position += _NAME.size
        topic = buffer[position : position + length].decode()
        position += length
        (partitions,) = _SIZE.unpack_from(buffer, position)
        position += _SIZE.size
        for _ in range(partitions):
            number, code, _, stable, beginning, count = _PARTITION_ANSWER.unpack_from(buffer, position)
            position += _PARTITION_ANSWER.size
            aborted = [_ABORTED.unpack_from(buffer, position + _ABORTED.size * each) for each in range(max(count, 0))]
            position += _ABORTED.size * len(aborted)
            (size,) = _SIZE.unpack_from(buffer, position)
            position += _SIZE.size
            records = Bytes(buffer, position, position + max(size, 0))
            position = records.end
            found.append(Fetched((topic, number), code, stable, beginning, aborted, records))
    return found
