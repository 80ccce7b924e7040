"""A connection for bytes that are not copied: what is read off the socket is what is searched and decoded, and record
batches go to the socket as they were built.

aiokafka makes and authenticates a connection; then its transport is given a protocol of our own, which receives each
answer into one of two buffers, so that one can be worked on while the next is being received.

For a search, which is to be as fast as the wire, a thread of the connection's own receives what is not encrypted: the
interpreter is let go meanwhile, so that two connections keep two processors busy.
"""

import asyncio
import math
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from connectors.kafka.cluster import CLIENT, Cluster, Partition
from connectors.kafka.driver import AIOKafkaConnection, drop, offer_of, take_over
from connectors.kafka.versions import negotiate_version
from workbench.model.errors import ConnectionLost

_SIZE = struct.Struct(">i")
_HEADER = struct.Struct(">ihhih")
_CLIENT = CLIENT.encode()
_ROOM = 64 << 10
_SPARE = 32 << 20
"""Bytes of a buffer, at most, that are kept though they are not needed."""
_MOST = 1 << 30
"""Bytes of an answer, at most: what was asked for, or one batch that is larger."""


class Bytes(NamedTuple):
    """A stretch of a buffer, not copied."""

    buffer: bytearray
    begin: int
    end: int


class Sifted(NamedTuple):
    """What is known of record batches that were searched while they came in, and let go.

    Attributes:
        next: The offset behind those that hold nothing of what is looked for; None: there are none.
        again: Whether what is from there on is to be asked for again and kept: bytes do not rule it out.
    """

    next: int | None
    again: bool


_NOTHING: Mapping[Partition, Sifted] = {}


class Answer(NamedTuple):
    """An answer to a request.

    Attributes:
        buffer: Its bytes, from the correlation id on. Valid until the one after the next is being received.
        sifted: The partitions whose records were let go: there are none in the buffer.
    """

    buffer: bytearray
    sifted: Mapping[Partition, Sifted] = _NOTHING


def size_of(head: bytearray, place: str) -> int:
    """How many bytes are in the answer that begins so.

    Raises:
        ConnectionLost: No answer has so many.
    """
    (size,) = _SIZE.unpack(head)
    if not _SIZE.size <= size <= _MOST:
        raise ConnectionLost(f"{place} announced an answer of {size:,} bytes.")
    return int(size)


class Channel(asyncio.BufferedProtocol):
    """One authenticated connection to one broker, which answers in the order in which it was asked."""

    def __init__(self, connection: AIOKafkaConnection, max_idle: float = math.inf) -> None:
        """Use `open`."""
        self.place = f"{connection.host}:{connection.port}"
        self._offered = offer_of(connection)
        self._versions: dict[int, int] = {}
        self._connection = connection
        self._head = bytearray(_SIZE.size)
        self._buffers = [bytearray(), bytearray()]
        self._turn = 0
        self._size = -1  # of the answer that is being received; -1 while its size is
        self._got = 0
        self._correlation = 0
        self._awaited: deque[asyncio.Future[Answer]] = deque()
        self._transport: asyncio.Transport | None = None
        self._received: socket.socket | None = None  # by a thread
        self._max_idle = max_idle
        self._used = time.monotonic()

    @classmethod
    async def open(cls, cluster: Cluster, node: int) -> "Channel":
        """Connect to a broker of a cluster.

        Raises:
            ConnectorError: It cannot be reached, or does not let the user in.
        """
        connection = await cluster.connect(node)
        channel = cls(connection, cluster.settings.max_idle)
        channel._transport = take_over(connection, channel)
        return channel

    @property
    def connected(self) -> bool:
        """Whether the broker is still there; not known of one that nothing was heard of for too long."""
        idle = not self._awaited and time.monotonic() - self._used > self._max_idle
        return self._transport is not None and not idle

    def version(self, key: int, name: str, ours: Iterable[int]) -> int:
        """The version of a request to send over it; see `agreed`.

        Raises:
            Unsupported: There is none.
        """
        if key not in self._versions:
            self._versions[key] = negotiate_version(self.place, self._offered, key, name, ours)
        return self._versions[key]

    def close(self) -> None:
        """Let the connection go, with whatever is on its way."""
        if self._received is not None:
            # The thread notices, and closes it.
            with suppress(OSError):
                self._received.shutdown(socket.SHUT_RDWR)
            self._received = None
        drop(self._connection)
        self._transport = None

    def ask(self, api: int, version: int, *parts: bytes | bytearray) -> "asyncio.Future[Answer]":
        """Send a request.

        Args:
            api: Which (https://kafka.apache.org/protocol#protocol_api_keys).
            version: Which of its versions, one before the flexible ones (KIP-482).
            parts: Its bytes behind the header, not changed any more.

        Returns:
            The answer; it fails with ConnectionLost.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            answer.set_exception(ConnectionLost(f"{self.place} closed the connection."))
            return answer
        self._correlation = (self._correlation + 1) & 0x7FFFFFFF
        size = _HEADER.size - _SIZE.size + len(_CLIENT) + sum(map(len, parts))
        header = _HEADER.pack(size, api, version, self._correlation, len(_CLIENT)) + _CLIENT
        self._awaited.append(answer)
        self._transport.writelines([header, *parts])
        return answer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport shall write what comes next."""
        if self._size < 0:
            return memoryview(self._head)[self._got :]
        return memoryview(self._buffers[self._turn])[self._got : self._size]

    def buffer_updated(self, nbytes: int) -> None:
        """The transport wrote so much."""
        try:
            whole = self._take(nbytes)
        except ConnectionLost as error:
            self._lose(str(error))
        else:
            if whole is not None:
                self._hand_over(Answer(whole))

    def eof_received(self) -> bool:
        """The broker will send no more: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._lose(f"{self.place} closed the connection.")

    def _take(self, count: int) -> bytearray | None:
        """Note that so much was received; the buffer of the answer that it completes, if it does.

        Raises:
            ConnectionLost: No answer is of the size that is announced.
        """
        self._got += count
        if self._size < 0:
            if self._got == _SIZE.size:
                self._size, self._got = size_of(self._head, self.place), 0
                if not 0 <= len(self._buffers[self._turn]) - self._size <= _SPARE:
                    self._buffers[self._turn] = bytearray(self._size + _ROOM)
        elif self._got == self._size:
            whole = self._buffers[self._turn]
            self._turn, self._size, self._got = 1 - self._turn, -1, 0
            return whole
        return None

    def _hand_over(self, whole: Answer) -> None:
        self._used = time.monotonic()
        # Nobody may wait for it any more.
        if self._awaited and not (answer := self._awaited.popleft()).done():
            answer.set_result(whole)

    def receive_by(self, receive: Callable[[socket.socket], Answer]) -> bool:
        """Let a thread receive the answers, if there is no encryption in between; whether it does.

        Args:
            receive: Waits for one; OSError or ConnectionLost: there will be no more.
        """
        loop, transport = asyncio.get_running_loop(), self._transport
        # Other event loops than this one have begun to receive already.
        if (
            transport is None
            or not isinstance(loop, asyncio.SelectorEventLoop)
            or transport.get_extra_info("ssl_object") is not None
        ):
            return False
        transport.pause_reading()
        # The transport sends through one that it closes when it likes.
        self._received = transport.get_extra_info("socket").dup()
        # What is sent is little, and does not wait.
        self._received.setblocking(True)
        arguments = (self._received, loop, receive)
        threading.Thread(target=self._receive, args=arguments, name="kafka-receiver", daemon=True).start()
        return True

    def _receive(
        self, source: socket.socket, loop: asyncio.AbstractEventLoop, receive: Callable[[socket.socket], Answer]
    ) -> None:
        """Receive until the connection is closed, in a thread that alone does so."""
        why = f"{self.place} closed the connection."
        # The loop may be closed before the thread notices that it is no longer wanted.
        with suppress(RuntimeError), source:
            try:
                while True:
                    loop.call_soon_threadsafe(self._hand_over, receive(source))
            except ConnectionLost as error:
                why = str(error)
            except OSError:
                pass
            finally:
                loop.call_soon_threadsafe(self._lose, why)

    def _lose(self, why: str) -> None:
        self.close()
        while self._awaited:
            if not (answer := self._awaited.popleft()).done():
                answer.set_exception(ConnectionLost(why))
