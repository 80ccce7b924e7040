"""Answers to fetches that are searched while they come in, a piece at a time, and mostly let go.

Each piece comes into the same few hundred kilobytes, which stay in a processor's cache. Of records that bytes rule out
nothing is kept but how far they reach; those that bytes cannot rule out are asked for once more, to be kept. What is
kept of an answer has its form, without the records that were let go.
"""

import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from connectors.kafka.channel import Answer, Bytes, Sifted, size_of
from connectors.kafka.cluster import Partition
from connectors.kafka.fetch_protocol import Form
from connectors.kafka.records import COMPRESSED, Batch, batch_at, is_batch
from workbench.decode.byte_search import Sieve

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_ABORTED = 16
"""Bytes of an aborted transaction: a producer and an offset."""
_BATCH = struct.Struct(">qi4xb4xhi")
"""Of a record batch: its first offset, its length behind these two, the version of its format, its flags, and its last
offset less the first (https://kafka.apache.org/documentation/#recordbatch)."""
_BEFORE_LENGTH = 12
_AT_ONCE = 512 << 10
"""Bytes that are received and searched at once: small enough for the cache, large enough to be worth a system call."""
_ROOM = 64 << 10
"""Bytes by which a buffer is made larger than what is asked of it, so that it seldom has to be again."""
_SPARE = 32 << 20
"""Bytes of a buffer, at most, that are kept for the answer after the next."""
_SAMPLED = 8 << 20
"""Bytes of a partition of which a sample is taken."""


class Sifting(NamedTuple):
    """How what comes in is searched.

    Attributes:
        sieve: Makes what searches the pieces of one connection.
        hides: Whether a body among the first of a batch, which may be cut off, says what its bytes do not spell.
    """

    sieve: Callable[[], Sieve]
    hides: Callable[[Batch], bool]


class Sifter:
    """Receives the answers of one connection, in a thread."""

    def __init__(self, place: str, form: Form, sifting: Sifting, is_kept: Callable[[Partition], bool]) -> None:
        """Receive nothing yet.

        Args:
            place: The broker, for sentences.
            form: That of the answers.
            sifting: How they are searched.
            is_kept: Whether the records of a partition are kept as they come.
        """
        self._place = place
        self._form = form
        self._sieve = sifting.sieve()
        self._hides = sifting.hides
        self._is_kept = is_kept
        self._unsampled: dict[Partition, int] = {}
        """Bytes of each partition since the last sample."""
        self._buffers = deque([bytearray(), bytearray()])
        self._front = max(self._sieve.reach, _BATCH.size)
        """Where pieces begin: before it is what was last of the piece before."""
        self._room = bytearray(self._front + _AT_ONCE)

    def receive(self, source: socket.socket) -> Answer:
        """Wait for the next answer. Its buffer is valid until the one after the next is being received.

        Raises:
            ConnectionLost: No answer is of the size that is announced.
            OSError: The connection is gone.
        """
        head = bytearray(_SIZE.size)
        _fill(source, head, 0, _SIZE.size)
        size = size_of(head, self._place)
        kept = _Kept(source, self._buffers.popleft())
        let_go = 0
        sifted: dict[Partition, Sifted] = {}
        topics = kept.take(self._form.head)[-1]
        for _ in range(topics):
            (length,) = kept.take(_NAME)
            at = kept.add(length)
            topic = kept.buffer[at : at + length].decode()
            (partitions,) = kept.take(_SIZE)
            for _ in range(partitions):
                number, *_, aborted = kept.take(self._form.found)
                kept.add(max(aborted, 0) * _ABORTED)
                (records,) = kept.take(_SIZE)
                if records <= 0 or self._is_kept((topic, number)):
                    kept.add(max(records, 0))
                else:
                    sifted[topic, number] = self._sift(source, records, self._takes_sample((topic, number), records))
                    let_go += records
                    _SIZE.pack_into(kept.buffer, kept.size - _SIZE.size, 0)
        kept.add(size - let_go - kept.size)
        self._buffers.append(kept.buffer if len(kept.buffer) <= _SPARE else bytearray())
        return Answer(kept.buffer, sifted)

    def _takes_sample(self, partition: Partition, size: int) -> bool:
        """Whether it is time to look at some events of a partition."""
        unsampled = self._unsampled.get(partition, _SAMPLED) + size
        takes = unsampled > _SAMPLED
        self._unsampled[partition] = size if takes else unsampled
        return takes

    def _sift(self, source: socket.socket, size: int, takes_sample: bool) -> Sifted:
        """Receive the records of a partition, search and forget them."""
        room, front, sieve = self._room, self._front, self._sieve
        sieve.begin()
        came = header = held = 0  # bytes; where the next batch begins; bytes before the piece that are still there
        base = upto = first = None  # offsets: of the batch that came last, behind it, of the first that may hold some
        again = cut = False
        while came < size:
            count = min(_AT_ONCE, size - came)
            _fill(source, room, front, front + count)
            end, at = came + count, front - came
            here = base if header > came else None  # the batch that the first byte is in
            while not (again or cut) and header + _BATCH.size <= end:
                start, length, magic, flags, last = _BATCH.unpack_from(room, at + header)
                behind = header + _BEFORE_LENGTH + length
                again = magic < 2 or flags & COMPRESSED != 0 or not is_batch(length)
                if not again and header == 0 and takes_sample:
                    again = self._hides(_begun(room, front, front + count))
                cut = behind > size
                base, here = start, start if here is None else here
                if not (again or cut):
                    header, upto = behind, start + last + 1
            until = front + count if not (again or cut) else at + header
            if until > front:
                before = sieve.missing
                if sieve.look(room, front, until, front - held):
                    return self._forget(source, size - end, Sifted(here if first is None else first, True))
                if sieve.missing < before and first is None:
                    first = here
            if again:
                return self._forget(source, size - end, Sifted(base, True))
            held, came = min(front, held + count), end
            room[front - held : front] = room[front + count - held : front + count]
        return Sifted(upto, upto is None and not cut)

    def _forget(self, source: socket.socket, size: int, sifted: Sifted) -> Sifted:
        """Receive the rest, which is asked for again."""
        while size:
            count = min(_AT_ONCE, size)
            _fill(source, self._room, 0, count)
            size -= count
        return sifted


class _Kept:
    """What is kept of an answer.

    Attributes:
        buffer: Holds it, from its beginning on.
        size: How many bytes that are.
    """

    def __init__(self, source: socket.socket, buffer: bytearray) -> None:
        self.buffer = buffer
        self.size = 0
        self._source = source

    def add(self, count: int) -> int:
        """Receive so many more bytes; where in the buffer they are."""
        begin, end = self.size, self.size + count
        if end > len(self.buffer):
            self.buffer = self.buffer[:begin] + bytearray(max(count, len(self.buffer)) + _ROOM)
        _fill(self._source, self.buffer, begin, end)
        self.size = end
        return begin

    def take(self, form: struct.Struct) -> tuple[int, ...]:
        """Receive some numbers."""
        begin = self.add(form.size)
        return form.unpack_from(self.buffer, begin)


def _begun(room: bytearray, begin: int, end: int) -> Batch:
    """The batch that begins there, as far as it came in."""
    batch = batch_at(room, begin)
    return batch._replace(bytes=Bytes(room, begin, min(batch.bytes.end, end)), checked=True)


def _fill(source: socket.socket, buffer: bytearray, begin: int, end: int) -> None:
    """Wait until all of a stretch of a buffer has come in."""
    with memoryview(buffer) as view:
        while begin < end:
            count = source.recv_into(view[begin:end], 0, socket.MSG_WAITALL)
            if not count:
                raise ConnectionAbortedError
            begin += count
