"""Searching topics at the speed of the wire: bytes are searched as they come, only batches that may hit are decoded.

An answer is searched in place, in threads, while the next one is received. Compressed batches are decompressed first,
on all cores: the codecs let the interpreter go meanwhile. The checksum of a batch is checked when it is decoded.
"""

import asyncio
import os
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

import cramjam
from aiokafka.codec import snappy_decode

from connectors.kafka.channel import Bytes
from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.fetching import Chunk, Fetching, Share
from connectors.kafka.needles import Needles
from connectors.kafka.reader import damaged, interruptions
from connectors.kafka.records import COMPRESSED, Batch, committed, deliveries
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Interruption, Progress, Span
from workbench.model.start import Window

_SIZE = 8 << 20
"""Bytes asked for at once over each connection; twice as many are held."""
_LINES = 2

_INTO: Mapping[int, Callable[[memoryview, bytearray], int]] = {
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
_WHOLE: Mapping[int, Callable[[memoryview], bytes]] = {
    1: lambda data: zlib.decompress(data, wbits=31),
    2: lambda data: snappy_decode(bytes(data)),
}
_ROOM = 1 << 20
_MOST_ROOM = 1 << 30
"""What a batch may come to when it is decompressed; no producer makes such, but a stranger may."""

_Hits = tuple[list[Delivery], list[Gap]]


class Scanned(Share):
    """A share, and how far it has been searched."""

    __slots__ = ("searched",)

    def __init__(self, partition: Partition, start: int, end: int | None, leader: int) -> None:
        super().__init__(partition, start, end, leader)
        self.searched = start


class ScanStream:
    """The events that hold a needle, as they are found, over partitions in no order; within one in its order."""

    def __init__(
        self,
        cluster: Cluster,
        connection: str,
        shares: Iterable[Scanned],
        needles: Needles,
        window: Window,
        gaps: Iterable[Gap] = (),
        notes: Iterable[str] = (),
    ) -> None:
        """Nothing is asked for before it is iterated over.

        Args:
            cluster: Where the topics are.
            connection: The connection's name, for addresses.
            shares: What to search, each with an end.
            needles: What for.
            window: The times that events may have.
            gaps: What is known not to be seen.
            notes: What to know about what is seen.
        """
        self._connection = connection
        self._shares = {share.partition: share for share in shares}
        self._fetching = Fetching(cluster, self._shares.values(), size=_SIZE, lines=_LINES)
        self._fetching.gaps += gaps
        self._notes = tuple(notes)
        self._needles = needles
        self._window = window
        self._searching: list[asyncio.Future[_Hits]] = []
        self._ready: deque[list[Delivery]] = deque()
        self._read = 0
        self._begun = time.monotonic()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        while not self._ready:
            if not self._searching:
                if all(share.finished for share in self._shares.values()):
                    raise StopAsyncIteration
                self._begin(await self._fetching.chunks())
            await self._finish()
        batch = self._ready.popleft()
        self._read += len(batch)
        return batch

    @property
    def progress(self) -> Progress:
        """How far the search is."""
        done = sum(share.searched - share.start for share in self._shares.values())
        total = sum((share.end or 0) - share.start for share in self._shares.values())
        return Progress(done, total, time.monotonic() - self._begun)

    @property
    def coverage(self) -> Coverage:
        """What was searched, and what is missing."""
        gaps, notes = interruptions(self._fetching)
        one = len({topic for topic, _ in self._shares}) == 1
        spans = [
            Span(str(number) if one else f"{topic}/{number}", str(share.start), str(share.searched))
            for (topic, number), share in sorted(self._shares.items())
        ]
        return Coverage(self._read, tuple(spans), gaps, (*self._notes, *notes))

    @property
    def interruption(self) -> Interruption | None:
        """Why a broker cannot be reached at the moment, and when it is tried again."""
        return self._fetching.patience.interruption

    def close(self) -> None:
        """Let all connections go; what is being searched is forgotten."""
        self._fetching.close()

    def _begin(self, chunks: list[Chunk]) -> None:
        """Search an answer in threads: in as many parts as there are cores where it is compressed."""
        loop = asyncio.get_running_loop()
        now = time.time_ns() // 1_000_000
        work: list[tuple[Chunk, list[Batch] | None]] = []
        for chunk in chunks:
            if not chunk.fetched.aborted and not chunk.flags & COMPRESSED:
                # As it lies there, all at once.
                work.append((chunk, None))
            else:
                work += [(chunk, [batch]) for batch in committed(chunk.fetched)]
        parts = min(len(work), os.cpu_count() or 1)
        for part in range(parts):
            some = work[part * len(work) // parts : (part + 1) * len(work) // parts]
            self._searching.append(loop.run_in_executor(None, self._search, some, now))

    async def _finish(self) -> None:
        # Waiting may be cancelled: the search goes on and is waited for the next time.
        if self._searching:
            await asyncio.wait(self._searching)
        for future in self._searching:
            found, gaps = future.result()
            self._fetching.gaps += gaps
            if found:
                self._ready.append(found)
        self._searching.clear()
        # Also where nothing came: what is gone (compaction, retention) is passed over, and counts as searched.
        for share in self._shares.values():
            share.searched = min(share.next, share.end or 0)

    def _search(self, work: Iterable[tuple[Chunk, list[Batch] | None]], now: int) -> _Hits:
        found: list[Delivery] = []
        gaps: list[Gap] = []
        room = bytearray()
        for chunk, some in work:
            if some is None:
                if not self._needles.in_bytes(*chunk.fetched.records):
                    continue
                some = committed(chunk.fetched)
            for batch in some:
                try:
                    plain, room = _plain(batch, room)
                    if self._in_time(batch) and (plain is None or self._needles.in_bytes(*plain)):
                        found += self._events(batch, chunk, now)
                except FormatError as error:
                    gaps.append(damaged(chunk.share.partition, batch, error))
        return found, gaps

    def _in_time(self, batch: Batch) -> bool:
        since = self._window.since
        return since is None or batch.newest < 0 or batch.newest >= since

    def _events(self, batch: Batch, chunk: Chunk, now: int) -> list[Delivery]:
        topic, number = chunk.share.partition
        address = Address(self._connection, topic)
        return [
            delivery
            for delivery in deliveries(batch, address, str(number), chunk.start, chunk.share.end, now)
            if self._needles.in_event(delivery.event) and self._window.holds(delivery.event.timestamp)
        ]


def _plain(batch: Batch, room: bytearray) -> tuple[Bytes | None, bytearray]:
    """A batch's records without compression, and the room to use for the next; None where only decoding tells.

    Raises:
        FormatError: It cannot be decompressed.
    """
    codec = batch.attributes & COMPRESSED
    if batch.magic < 2:
        return None, room
    if not codec:
        return batch.records, room
    data = batch.view[batch.records.begin - batch.bytes.begin :]
    try:
        if codec in _WHOLE:
            whole = bytearray(_WHOLE[codec](data))
            return Bytes(whole, 0, len(whole)), room
        if codec not in _INTO:
            raise FormatError(f"its compression, number {codec}, is not known")
        room = room or bytearray(_ROOM)
        while True:
            try:
                return Bytes(room, 0, _INTO[codec](data, room)), room
            except cramjam.DecompressionError:
                # Too little room looks like damage. A size is not always written down, so more is tried.
                if len(room) >= min(_MOST_ROOM, max(len(data) * 256, _ROOM)):
                    raise
                room = bytearray(len(room) * 4)
    except (cramjam.DecompressionError, zlib.error, ValueError, RuntimeError) as error:
        raise FormatError(str(error)) from error
