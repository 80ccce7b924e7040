"""Browsing and tailing a topic: committed events in batches, merged by time, and what they covered."""

import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import NamedTuple, Self

from connectors.kafka.cluster import Cluster, Partition
from connectors.kafka.fetch_connection import TailConnections
from connectors.kafka.fetcher import AWAY_MS, Chunk, Fetching, Share
from connectors.kafka.leaders import gap_reason
from connectors.kafka.records import COMPRESSED, Batch, committed_batches, decompress_batch, deliveries
from connectors.kafka.start_offsets import Chosen
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, FormatError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Interruption, Span

_SIZE = 1 << 20
"""Bytes asked for at once: decoded in some milliseconds, which is how long the event loop stands still."""
_BATCH = 2_000
_ROOM = 8 << 20
"""Bytes that are kept at most to decompress the next batch into."""


_HELD = 64 << 20
"""Bytes of events in hand at which no more is fetched than is needed to go on."""
_MOST_HELD = 256 << 20
"""Bytes of events in hand at which they are shown, though a partition may still bring older ones."""


class Held(NamedTuple):
    """Events that were fetched and not yet shown: the times to merge them by, and the bytes they came to."""

    times: list[int]
    events: list[Delivery]
    size: int


class Queue(Share):
    """A share, and what was fetched of it and not yet shown; `index` is its place among others of the same time."""

    __slots__ = ("held", "index", "newest")

    def __init__(self, partition: Partition, start: int, end: int | None, leader: int) -> None:
        super().__init__(partition, start, end, leader)
        self.held: deque[Held] = deque()
        self.newest = -1
        self.index = 0

    @property
    def shown(self) -> int:
        """The offset behind the last event that was shown."""
        if self.held and (position := self.held[0].events[0].position):
            return int(position.offset)
        return self.next if self.end is None else min(self.next, self.end)

    @property
    def size(self) -> int:
        """The bytes in hand."""
        return sum(each.size for each in self.held)

    def add(self, events: list[Delivery], size: int) -> None:
        """Append what was fetched."""
        if events:
            # Within a partition the order of offsets rules, so an event counts as no older than those before it.
            own = [-1 if (time := each.event.timestamp) is None else time for each in events]
            times = list(accumulate(own, max, initial=self.newest))[1:]
            self.newest = times[-1]
            self.held.append(Held(times, events, size))

    def take(self, until: int | None, through: bool = True) -> tuple[list[int], list[Delivery]]:
        """Remove what is older than `until`, and with `through` what is as old; None: everything."""
        times: list[int] = []
        found: list[Delivery] = []
        while self.held:
            held_times, events, size = self.held[0]
            cut = len(events) if until is None else (bisect_right if through else bisect_left)(held_times, until)
            if cut == 0:
                break
            times += held_times[:cut]
            found += events[:cut]
            if cut < len(events):
                self.held[0] = Held(held_times[cut:], events[cut:], size)
                break
            self.held.popleft()
        return times, found


class TopicStream:
    """Events of one topic, in batches; iterating again after an error goes on where it stopped."""

    def __init__(
        self,
        cluster: Cluster,
        address: Address,
        shares: Iterable[Queue],
        *,
        limit: int | None = None,
        begin: Callable[[Partition, int], Awaitable[int]] | None = None,
        away: Mapping[Partition, ConnectorError] = {},
        gaps: Iterable[Gap] = (),
        notes: Iterable[str] = (),
        chosen: Chosen | None = None,
        total: int | None = None,
        tails: TailConnections | None = None,
    ) -> None:
        """Nothing is asked for before it is iterated over.

        Args:
            cluster: Where the topic is.
            address: The topic.
            shares: What to read of it.
            limit: How many events at most.
            begin: Where to begin in a partition that could not be asked on entering, by the broker that leads it since;
                None: neither these nor partitions that are added to the topic are read.
            away: Those partitions, and why they could not be asked.
            gaps: What is known not to be seen.
            notes: What to know about what is seen.
            chosen: Which of the events that were there on entering are to be seen; None: all.
            total: How many offsets there are, those that are not read included; None: it grows.
            tails: Whose connections it shares; None: it has its own.
        """
        self._address = address
        self._shares = {share.partition: share for share in shares}
        self._limit = limit
        self._begin = begin
        self._away = away
        self._entered = time.time_ns() // 1_000_000
        self._notes = tuple(notes)
        self._chosen = chosen
        self._total = total
        self._room = bytearray()
        self._passed = self._held = 0
        self._rushed = False
        self._amqp = cluster.settings.amqp
        self._fetching = Fetching(
            cluster,
            self._shares.values(),
            size=_SIZE,
            wanted=self._wants,
            grow=self._grown if begin else None,
            away=away if begin else (),
            tails=tails,
        )
        self._fetching.miss(address.name, gaps)
        self._ready: deque[list[Delivery]] = deque()
        self._read = 0
        # An answer is to cost what it brings, however many partitions there are, so none of these is searched.
        self._dry = deque(share for share in self._shares.values() if share.end is not None)
        self._oldest: list[tuple[int, int, Queue]] = []
        self._bounds: list[tuple[int, int, Queue]] = []
        for index, share in enumerate(self._shares.values()):
            share.index = index

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        if self._limit is not None and self._read >= self._limit:
            raise StopAsyncIteration
        while not self._ready:
            if not self._oldest and self._fetching.finished:
                raise StopAsyncIteration
            now = time.time_ns() // 1_000_000
            decoded = 0
            for chunk in await self._fetching.chunks():
                if decoded > _HELD:
                    chunk.share.rewind(chunk.start)
                    continue
                events, size = self._decode(chunk, now)
                self._add(self._shares[chunk.share.partition], events, size)
                decoded += size
            self._held += decoded
            self._sort()
        batch = self._ready.popleft()
        if self._limit is not None and len(batch) > (left := self._limit - self._read):
            self._ready.appendleft(batch[left:])
            batch = batch[:left]
        self._read += len(batch)
        return batch

    @property
    def coverage(self) -> Coverage:
        """What was handed over, and what is missing."""
        gaps, lost = interruptions(self._fetching)
        notes = (*self._notes, *lost)
        if self._rushed:
            notes = (*notes, "not everywhere in the order of time: the events are too large to be held until all came")
        waiting: dict[str, str] = {}
        for batch in self._ready:
            for each in batch:
                if each.position:
                    waiting.setdefault(each.position.partition, each.position.offset)
        spans, through = [], 0
        for partition, share in sorted(self._shares.items()):
            number = str(partition[1])
            reached = max(share.start, int(waiting.get(number, share.shown)))
            through += reached - share.start
            spans.append(Span(number, str(share.start), str(reached)))
        # What was read is known; what was not, by its offsets alone.
        total = self._total and min(self._total, self._total - through + self._read + self._passed)
        return Coverage(self._read, tuple(spans), gaps, notes, total)

    @property
    def interruption(self) -> Interruption | None:
        """Why a broker cannot be reached at the moment, or a partition could not be asked yet, and when it is tried
        again."""
        if (lost := self._fetching.patience.interruption) or not (away := self._fetching.away):
            return lost
        numbers = ", ".join(str(number) for _, number in sorted(away))
        reason = f"partition {numbers}: {gap_reason(self._away[min(away)])}"
        return Interruption(reason, self._entered, time.time_ns() // 1_000_000 + AWAY_MS)

    def reached(self, partition: str) -> int:
        """The offset behind all of a partition that was handed over, with what is never shown behind it."""
        share = self._shares[self._address.name, int(partition)]
        number = partition
        waiting = (each.position for batch in self._ready for each in batch if each.position)
        return min((int(each.offset) for each in waiting if each.partition == number), default=share.shown)

    async def follow(self) -> None:
        """See that leaders that change, and partitions that are added, are known: to be run while it is read."""
        await self._fetching.follow()

    def close(self) -> None:
        """Let its connections go."""
        self._fetching.close()

    async def _grown(self, partition: Partition, leader: int) -> Queue | None:
        start = 0
        if partition in self._away and self._begin:
            try:
                start = await self._begin(partition, leader)
            except ConnectorError:
                return None
        if partition in self._shares:
            return self._shares[partition]
        if partition in self._away:
            at = time.strftime("%H:%M:%S")
            self._notes = (*self._notes, f"partition {partition[1]} is read since {at}, when a broker led it again")
        share = self._shares[partition] = Queue(partition, start, None, leader)
        share.index = len(self._shares) - 1
        return share

    def _wants(self, share: Share) -> bool:
        # One chunk in hand is enough to show while the next is on its way.
        held = len(self._shares[share.partition].held)
        return not held or (held == 1 and self._held < _HELD)

    def _decode(self, chunk: Chunk, now: int) -> tuple[list[Delivery], int]:
        """A chunk's events, and the bytes they come to. What would come to too much is asked for again."""
        share, start, chosen = chunk.share, chunk.start, self._chosen
        number = share.partition[1]
        events: list[Delivery] = []
        size = 0
        for batch in committed_batches(chunk.fetched):
            if size > _HELD:
                share.rewind(max(batch.base, start))
                break
            try:
                whole = self._decompress(batch)
                found = deliveries(whole, self._address, str(number), start, share.end, now, self._amqp)
            except FormatError as error:
                self._fetching.miss(share.partition[0], [damage_gap(share.partition, batch, error)])
                continue
            size += whole.bytes.end - whole.bytes.begin
            if chosen and batch.base < chosen.ends.get(share.partition, 0):
                wanted = [each for each in found if chosen.holds(each)]
                self._passed += len(found) - len(wanted)
                found = wanted
            events += found
        return events, size if events else 0

    def _decompress(self, batch: Batch) -> Batch:
        if not batch.attributes & COMPRESSED:
            return batch
        whole = decompress_batch(batch, self._room)
        if len(whole.bytes.buffer) <= _ROOM:
            self._room = whole.bytes.buffer
        return whole

    def _sort(self) -> None:
        """Move to the output what no partition can still bring something older than."""
        while self._dry and (self._dry[0].held or self._dry[0].finished):
            self._dry.popleft()
        if self._dry:
            if self._held < _MOST_HELD:
                return
            self._rushed = True
        bound = self._bound()
        taken: list[Queue] = []
        while self._oldest and (bound is None or self._oldest[0][:2] <= bound):
            taken.append(heappop(self._oldest)[2])
        times: list[int] = []
        merged: list[Delivery] = []
        for share in sorted(taken, key=lambda share: share.index):
            held = share.size
            some, found = share.take(bound[0], share.index <= bound[1]) if bound else share.take(None)
            self._held += share.size - held
            times += some
            merged += found
            if share.held:
                self._push(share)
            elif share.end is not None:
                self._dry.append(share)
        if len(taken) > 1:
            merged = [merged[index] for index in sorted(range(len(times)), key=times.__getitem__)]
        self._ready.extend(merged[index : index + _BATCH] for index in range(0, len(merged), _BATCH))

    def _add(self, share: Queue, events: list[Delivery], size: int) -> None:
        """Hold events of a partition."""
        if events:
            waited = not share.held
            share.add(events, size)
            if waited:
                self._push(share)
            if share.end is not None:
                heappush(self._bounds, (share.newest, share.index, share))

    def _push(self, share: Queue) -> None:
        heappush(self._oldest, (share.held[0].times[0], share.index, share))

    def _bound(self) -> tuple[int, int] | None:
        """The newest time of the partition that may be the first to bring more, and its index; None: nothing comes."""
        while self._bounds:
            newest, index, share = self._bounds[0]
            if share.held and share.newest == newest and not share.finished:
                return newest, index
            heappop(self._bounds)
        return None


def damage_gap(partition: Partition, batch: Batch, error: FormatError) -> Gap:
    """The gap where a batch cannot be read."""
    return Gap(f"partition {partition[1]}, offsets {batch.base} to {batch.next - 1}", f"damaged: {error}")


def interruptions(fetching: Fetching, topic: str | None = None) -> tuple[tuple[Gap, ...], tuple[str, ...]]:
    """What is missing of a topic, or of all, and what else to know, as the gaps and notes of a coverage."""
    gaps = tuple(gap for name, gap in fetching.gaps if topic in (name, None))
    notes, patience = (), fetching.patience
    if fetching.unnamed:
        named = len(fetching.gaps)
        gaps = (*gaps, Gap(f"{fetching.unnamed:,} more places", f"only the first {named:,} are named"))
    if now := patience.interruption:
        at = time.strftime("%H:%M:%S", time.localtime(now.since / 1000))
        return (*gaps, Gap(f"what came since {at}", f"{now.reason.rstrip('.')}; trying again")), notes
    if patience.interruptions:
        times = "once" if patience.interruptions == 1 else f"{patience.interruptions} times"
        return gaps, (f"the connection was lost {times} and taken up again where it was",)
    return gaps, notes
