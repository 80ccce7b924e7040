"""Fetching record batches without copying them: what is read off the socket is what is searched and decoded.

aiokafka makes and authenticates a connection; then its transport is given a protocol of our own, which receives each
answer into one of two buffers, so that one can be worked on while the next is being received. Requests and answers are
those of Fetch, version 10 (https://kafka.apache.org/protocol#The_Messages_Fetch), the first that brokers trust to
understand all compressions (KIP-110).
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka.conn import AIOKafkaConnection

from connectors.kafka.cluster import CLIENT, Cluster, Partition, drop, grouped
from connectors.kafka.failures import check
from workbench.model.errors import ConnectionLost

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_HEADER = struct.Struct(">hhih")
_REQUEST = struct.Struct(">iiiibii")
_PARTITION_REQUEST = struct.Struct(">iiqqi")
_ANSWER = struct.Struct(">iihii")
_PARTITION_ANSWER = struct.Struct(">ihqqqi")
_ABORTED = struct.Struct(">qq")
_FETCH, _VERSION = 1, 10
_READ_COMMITTED = 1
_ROOM = 64 << 10


class Bytes(NamedTuple):
    """A stretch of a buffer, not copied. Bytes of a fetch are valid until the fetch after the next."""

    buffer: bytearray
    begin: int
    end: int


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


class Channel(asyncio.BufferedProtocol):
    """One authenticated connection to one broker, for fetching and nothing else; one fetch at a time."""

    def __init__(self, connection: AIOKafkaConnection) -> None:
        self._connection = connection
        self._place = f"{connection.host}:{connection.port}"
        self._head = bytearray(_SIZE.size)
        self._buffers = [bytearray(), bytearray()]
        self._turn = 0
        self._size = -1  # of the answer that is being received; -1 while its size is
        self._got = 0
        self._correlation = 0
        self._answer: asyncio.Future[Bytes] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, cluster: Cluster, node: int) -> "Channel":
        """Connect to a broker.

        Raises:
            ConnectorError: It cannot be reached, or does not let the user in.
        """
        connection = await cluster.connect(node)
        channel = cls(connection)
        transport = connection._writer.transport
        # All that was asked has been answered, so the reader that stops here holds no bytes.
        connection._read_task.cancel()
        transport.set_protocol(channel)
        channel._transport = transport
        return channel

    @property
    def connected(self) -> bool:
        """Whether the broker is still there."""
        return self._transport is not None

    def close(self) -> None:
        """Let the connection go, with whatever is on its way."""
        drop(self._connection)
        self._transport = None

    def fetch(
        self, offsets: Sequence[tuple[Partition, int]], size: int, each: int, wait: int
    ) -> "asyncio.Future[Bytes]":
        """Ask for record batches of events whose transactions are committed.

        Args:
            offsets: The partitions, all led by this broker, and the first offset wanted of each. Those in front are
                served first.
            size: Bytes at most, of all together, unless the first batch alone is larger.
            each: Bytes at most, of each.
            wait: Milliseconds that the broker may wait for the first event.

        Returns:
            The answer, for `parse`; it fails with ConnectionLost.
        """
        loop = asyncio.get_running_loop()
        self._answer = answer = loop.create_future()
        if self._transport is None:
            answer.set_exception(ConnectionLost(f"{self._place} broke off the connection."))
            return answer
        self._correlation = (self._correlation + 1) & 0x7FFFFFFF
        client = CLIENT.encode()
        parts = [
            _HEADER.pack(_FETCH, _VERSION, self._correlation, len(client)),
            client,
            _REQUEST.pack(-1, wait, 1, size, _READ_COMMITTED, 0, -1),
        ]
        starts = dict(offsets)
        topics = grouped(
            starts, lambda number, topic: _PARTITION_REQUEST.pack(number, -1, starts[topic, number], -1, each)
        )
        parts.append(_SIZE.pack(len(topics)))
        for topic, rows in topics:
            name = topic.encode()
            parts += [_NAME.pack(len(name)), name, _SIZE.pack(len(rows)), *rows]
        parts.append(_SIZE.pack(0))
        request = b"".join(parts)
        self._transport.write(_SIZE.pack(len(request)) + request)
        return answer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport shall write what comes next."""
        if self._size < 0:
            return memoryview(self._head)[self._got :]
        return memoryview(self._buffers[self._turn])[self._got : self._size]

    def buffer_updated(self, nbytes: int) -> None:
        """The transport wrote so much."""
        self._got += nbytes
        if self._size < 0:
            if self._got < _SIZE.size:
                return
            (self._size,) = _SIZE.unpack(self._head)
            self._got = 0
            if len(self._buffers[self._turn]) < self._size:
                self._buffers[self._turn] = bytearray(self._size + _ROOM)
        elif self._got == self._size:
            answer, whole = self._answer, Bytes(self._buffers[self._turn], 0, self._size)
            self._turn, self._size, self._got, self._answer = 1 - self._turn, -1, 0, None
            if answer is not None and not answer.done():
                answer.set_result(whole)

    def eof_received(self) -> bool:
        """The broker will send no more: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionLost(f"{self._place} broke off the connection."))


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
