"""Requests and answers of Produce, versions 3 to 7 (https://kafka.apache.org/protocol#The_Messages_Produce).

Version 3 is the first for batches of magic 2, which producers' ids need. Record batches go out as they are: aiokafka
copies them several times, which takes a quarter of the time of publishing.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import NamedTuple

from connectors.kafka.channel import Channel
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
        partition: The number of its partition.
        code: 0, or why it was not taken.
        offset: The offset of its first event; negative where it is not known.
    """

    partition: int
    code: int
    offset: int


async def produce(
    channel: Channel, topic: str, batches: Sequence[tuple[int, bytearray]], transaction: str | None
) -> list[Produced]:
    """Have record batches written to all in-sync replicas.

    Args:
        channel: To the broker that leads all these partitions.
        topic: Which.
        batches: The number of a partition and a batch for it; one a partition.
        transaction: The transactional id they belong to; None: none.

    Raises:
        ConnectionLost: Whether they were written is not known; the channel is closed.
        Unsupported: The broker offers no version that is known here.
    """
    version = channel.version(_PRODUCE, "Produce", _PARTITION_ANSWERS)
    row = _PARTITION_ANSWERS[version]
    name, identity = topic.encode(), (transaction or "").encode()
    parts: list[bytes | bytearray] = [
        _NAME.pack(-1 if transaction is None else len(identity)) + identity,
        _REQUEST.pack(_ALL_IN_SYNC, _TIMEOUT_MS, 1) + _NAME.pack(len(name)) + name + _SIZE.pack(len(batches)),
    ]
    for number, batch in batches:
        parts += [_BATCH.pack(number, len(batch)), batch]
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            buffer, *_ = await channel.ask(_PRODUCE, version, *parts)
    except TimeoutError:
        channel.close()
        raise ConnectionLost(f"{channel.place} does not answer.") from None
    position, found = _ANSWER.size, []
    _, topics = _ANSWER.unpack_from(buffer)
    for _ in range(topics):
        (length,) = _NAME.unpack_from(buffer, position)
        position += _NAME.size + length
        (partitions,) = _SIZE.unpack_from(buffer, position)
        position += _SIZE.size
        for _ in range(partitions):
            number, code, offset, *_ = row.unpack_from(buffer, position)
            position += row.size
            found.append(Produced(number, code, offset))
    return found
