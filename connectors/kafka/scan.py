"""Searching topics at the speed of the wire: bytes are searched as they come, only batches that may hit are decoded.

What comes in is sifted, and most of it let go; what is not ruled out so comes again, and is searched in place, in
threads, while the next answer is received. Compressed batches are kept and decompressed, on all cores: the codecs let
the interpreter go meanwhile. The checksum of a batch is checked when it is decoded.

Bodies that their application has compressed, or written in another charset, do not spell what they say. Some events of
each answer are looked at; once such a body is among them, the partition is decoded from there on, and its like found.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, Self

from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.fetcher import Chunk, Fetching, Share
from connectors.kafka.reader import damage_gap, interruptions
from connectors.kafka.records import COMPRESSED, Batch, batches, committed_batches, deliveries, plain
from connectors.kafka.sifter import Sifting
from workbench.decode.byte_search import Needles
from workbench.decode.codec import hides
from workbench.decode.content_type import opaque
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event
from workbench.model.look import Coverage, Gap, Interruption, Progress, Span
from workbench.model.start import Window

_SIZE = 8 << 20
"""Bytes asked for at once over each connection; twice as many are held."""
_LINES = 2

_Hits = tuple[list[Delivery], list[tuple[str, Gap]]]


_SAMPLE = 4
"""Events of an answer that are looked at to see whether bodies say what their bytes do not spell."""


class Scanned(Share):
    """A share, how far it has been searched, whether its bodies hide what they say, and whether they are decoded."""

    __slots__ = ("decoded", "hides", "searched")

    def __init__(self, partition: Partition, start: int, end: int | None, leader: int) -> None:
        super().__init__(partition, start, end, leader)
        self.searched = start
        self.hides = self.decoded = self.kept = False


class _Work(NamedTuple):
    """A chunk to search, as a whole or some batches of it, among which the first of the chunk may be."""

    chunk: Chunk
    batches: list[Batch] | None
    first: bool = False


class ScanStream:
    """The events that hold a needle, as they are found, over partitions in no order; within one in its order."""

    def __init__(
        self,
        cluster: Cluster,
        connection: str,
        shares: Iterable[Scanned],
        needles: Needles,
        window: Window,
        gaps: Iterable[tuple[str, Gap]] = (),
        notes: Iterable[str] = (),
    ) -> None:
        """Nothing is asked for before it is iterated over.

        Args:
            cluster: Where the topics are.
            connection: The connection's name, for addresses.
            shares: What to search, each with an end.
            needles: What for.
            window: The times that events may have.
            gaps: What is known not to be seen, by topic.
            notes: What to know about what is seen.
        """
        self._connection = connection
        self._somewhere = Address(connection, "")
        self._shares = {share.partition: share for share in shares}
        self._amqp = cluster.settings.amqp
        sifting = Sifting(needles.sieve, self._may_hide)
        self._fetching = Fetching(cluster, self._shares.values(), size=_SIZE, lines=_LINES, sifting=sifting)
        for topic, gap in gaps:
            self._fetching.miss(topic, [gap])
        self._notes = tuple(notes)
        self._needles = needles
        self._window = window
        self._searching: list[asyncio.Future[_Hits]] = []
        self._rooms: list[bytearray] = []
        """To decompress into, for the threads to take and bring back: memory that is new is slow at first."""
        self._chunks: list[Chunk] = []
        self._ready: deque[list[Delivery]] = deque()
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
        return self._ready.popleft()

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
        progress = self.progress
        return Coverage(progress.done, tuple(spans), gaps, (*self._notes, *notes), progress.total)

    @property
    def coverages(self) -> Mapping[Address, Coverage]:
        """The same of each topic."""
        found: dict[Address, Coverage] = {}
        for topic, some in groupby(sorted(self._shares.items()), key=lambda item: item[0][0]):
            shares = [(number, share) for (_, number), share in some]
            gaps, notes = interruptions(self._fetching, topic)
            spans = [Span(str(number), str(share.start), str(share.searched)) for number, share in shares]
            done = sum(share.searched - share.start for _, share in shares)
            total = sum((share.end or 0) - share.start for _, share in shares)
            found[Address(self._connection, topic)] = Coverage(done, tuple(spans), gaps, (*self._notes, *notes), total)
        return found

    @property
    def interruption(self) -> Interruption | None:
        """Why a broker cannot be reached at the moment, and when it is tried again."""
        return self._fetching.patience.interruption

    def close(self) -> None:
        """Let all connections go; what is being searched is forgotten."""
        self._fetching.close()

    def _begin(self, chunks: list[Chunk]) -> None:
        """Search what was kept of an answer in threads: in as many parts as there are cores."""
        loop = asyncio.get_running_loop()
        now = time.time_ns() // 1_000_000
        self._chunks = chunks
        for share in self._shares.values():
            share.decoded = share.hides
        work: list[_Work] = []
        for chunk in chunks:
            # What is found in it will have it kept again.
            chunk.share.kept = chunk.flags & COMPRESSED != 0
            if not chunk.fetched.aborted and not chunk.flags & COMPRESSED:
                # As it lies there, all at once.
                work.append(_Work(chunk, None))
            else:
                some = committed_batches(chunk.fetched)
                work += [_Work(chunk, [batch], batch is some[0]) for batch in some]
        parts = min(len(work), os.cpu_count() or 1)
        for part in range(parts):
            mine = work[part * len(work) // parts : (part + 1) * len(work) // parts]
            self._searching.append(loop.run_in_executor(None, self._search, mine, now))

    async def _finish(self) -> None:
        await self._wait()
        if any(share.hides and not share.decoded for share in self._shares.values()):
            # The events that came with the sample that told so may have been ruled out by their bytes.
            self._searching.clear()
            self._begin(self._chunks)
            await self._wait()
        for future in self._searching:
            found, gaps = future.result()
            for topic, gap in gaps:
                self._fetching.miss(topic, [gap])
            if found:
                self._ready.append(found)
        self._searching.clear()
        # Also where nothing came: what is gone (compaction, retention) is passed over, and counts as searched.
        for share in self._shares.values():
            share.searched = min(share.next, share.end or 0)

    async def _wait(self) -> None:
        # Waiting may be cancelled: the search goes on and is waited for the next time.
        if self._searching:
            await asyncio.wait(self._searching)

    def _search(self, work: Iterable[_Work], now: int) -> _Hits:
        found: list[Delivery] = []
        gaps: list[tuple[str, Gap]] = []
        room = self._rooms.pop() if self._rooms else bytearray()
        for chunk, some, first in work:
            share = chunk.share
            assert isinstance(share, Scanned)
            if some is None:
                share.hides = share.hides or self._hides(next(batches(chunk.fetched.records), None))
                if not share.hides and not self._needles.in_bytes(*chunk.fetched.records):
                    continue
                share.kept = True
                some = committed_batches(chunk.fetched)
            for batch in some:
                try:
                    whole = plain(batch, room)
                    if batch.attributes & COMPRESSED:
                        room = whole.bytes.buffer
                        share.hides = share.hides or (first and self._hides(whole))
                    # Before magic 2 only decoding tells.
                    if self._in_time(batch) and (
                        share.hides or batch.magic < 2 or self._needles.in_bytes(*whole.records)
                    ):
                        found += self._events(batch, chunk, now)
                except FormatError as error:
                    gaps.append((share.partition[0], damage_gap(share.partition, batch, error)))
        if len(room) <= _SIZE:
            self._rooms.append(room)
        return found, gaps

    def _hides(self, batch: Batch | None) -> bool:
        """Whether a body among the first of a batch says what its bytes do not spell."""
        return batch is not None and any(map(hides, self._sample(batch, _SAMPLE) or ()))

    def _may_hide(self, batch: Batch) -> bool:
        """The same of a batch of which not all came in; so too where its first events did not."""
        sample = self._sample(batch, _SAMPLE) or self._sample(batch, 1)
        return sample is None or any(map(hides, sample))

    def _sample(self, batch: Batch, count: int) -> list[Event] | None:
        """The events of the first offsets of a batch; None: they cannot be read."""
        try:
            # Its checksum would take longer than the sample; what is found is decoded with it.
            some = deliveries(
                batch._replace(checked=True), self._somewhere, "", batch.base, batch.base + count, 0, self._amqp
            )
        except FormatError:
            return None
        return [each.event for each in some]

    def _in_time(self, batch: Batch) -> bool:
        since = self._window.since
        return since is None or batch.newest < 0 or batch.newest >= since

    def _events(self, batch: Batch, chunk: Chunk, now: int) -> list[Delivery]:
        share = chunk.share
        assert isinstance(share, Scanned)
        return [
            delivery
            for delivery in self._deliveries(batch, chunk, now, chunk.start, share.end)
            if self._window.holds(delivery.event.timestamp)
            and (self._needles.in_event(delivery.event) or (share.hides and opaque(delivery.event)))
        ]

    def _deliveries(self, batch: Batch, chunk: Chunk, now: int, start: int, end: int | None) -> list[Delivery]:
        topic, number = chunk.share.partition
        return deliveries(batch, Address(self._connection, topic), str(number), start, end, now, self._amqp)
