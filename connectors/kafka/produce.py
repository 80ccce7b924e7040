"""Requests and answers of Produce, versions 3 to 7 (https://kafka.apache.org/protocol#The_Messages_Produce).

Version 3 is the first for batches of magic 2, which producers' ids need. Record batches go out as they are: aiokafka
copies them several times, which takes a quarter of the time of publishing.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import NamedTuple

from connectors.kafka.channel import Channel
from connectors.kafka.cluster import Partition
from workbench.model.errors import ConnectionLost

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_REQUEST = struct.Struct(">hii")
_BATCH = struct.Struct(">ii")
_ANSWER = struct.Struct(">ii")
_PARTITION_ANSWERS = {version: struct.Struct(">ihqqq" if version >= 5 else ">ihqq") for version in range(3, 8)}
_PRODUCE = 0
_ALL_IN_SYNC = -1
_TIMEOUT_MS = 15_000
_ANSWER_SECONDS = 30


class Produced(NamedTuple):
    """What became of one batch.

    Attributes:
        topic: Its topic.
        partition: The number of its partition.
        code: 0, or why it was not taken.
        offset: The offset of its first event; negative where it is not known.
    """

    topic: str
    partition: int
    code: int
    offset: int


async def produce(
    channel: Channel, batches: Sequence[tuple[Partition, bytearray]], transaction: str | None
) -> list[Produced]:
    """Have record batches written to all in-sync replicas.

    Args:
        channel: To the broker that leads all these partitions.
        batches: A partition and a batch for it; one a partition.
        transaction: The transactional id they belong to; None: none.

    Raises:
        ConnectionLost: Whether they were written is not known; the channel is closed.
        Unsupported: The broker offers no version that is known here.
    """
    version = channel.version(_PRODUCE, "Produce", _PARTITION_ANSWERS)
    row = _PARTITION_ANSWERS[version]
    identity = (transaction or "").encode()
    by_topic: dict[str, list[bytes | bytearray]] = {}
    for (topic, number), batch in batches:
        by_topic.setdefault(topic, []).extend((_BATCH.pack(number, len(batch)), batch))
    parts: list[bytes | bytearray] = [
        _NAME.pack(-1 if transaction is None else len(identity)) + identity,
        _REQUEST.pack(_ALL_IN_SYNC, _TIMEOUT_MS, len(by_topic)),
    ]
    for topic, rows in by_topic.items():
        name = topic.encode()
        parts += [_NAME.pack(len(name)) + name + _SIZE.pack(len(rows) // 2), *rows]
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            buffer = (await channel.ask(_PRODUCE, version, *parts)).buffer
    except TimeoutError:
        channel.close()
        raise ConnectionLost(f"{channel.place} does not answer.") from None
    position, found = _ANSWER.size, []
    _, topics = _ANSWER.unpack_from(buffer)
    for _ in range(topics):
        (length,) = _NAME.unpack_from(buffer, position)
        position += _NAME.size + length
        topic = bytes(buffer[position - length : position]).decode()
        (partitions,) = _SIZE.unpack_from(buffer, position)
        position += _SIZE.size
        for _ in range(partitions):
            number, code, offset, *_ = row.unpack_from(buffer, position)
            position += row.size
            found.append(Produced(topic, number, code, offset))
    return found
