"""The flows of all that is held, as more of it is stored: which are stuck, by the paths that most of them take.

Of each event that is stored, some thirty bytes are kept, packed by the row. Facts are read, and flows judged, on the
thread that reads the archive, or, where there are many, in other processes: never on the event loop.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from operator import add
from typing import Final

import msgspec

from workbench.model.event import Delivery
from workbench.model.look import Look
from workbench.operations.saga.flows import Flows, Occurrence, occurrence_of
from workbench.operations.saga.paths import Path, Saga, State, judge_all, learn
from workbench.query.query import Reading
from workbench.store.archive import Archive
from workbench.store.by_row import ByRow

MOST_BYTES: Final = 64 << 20
"""Bytes of packed occurrences that are kept; the oldest are let go."""
FEW: Final = 20_000
"""Events whose flows are judged on the archive's thread; more are judged in another process."""
LISTED: Final = 1_000
"""Flows that are handed over, the worst."""


class Packed(msgspec.Struct, frozen=True, gc=False):
    """What flows have of some events: how many events were read, and what belongs to a flow, compressed."""

    events: int
    occurrences: int
    data: bytes


class Judgement(msgspec.Struct, frozen=True):
    """How the flows stand.

    Attributes:
        sagas: The worst of them, at most `LISTED`, the worst first.
        paths: What was learned, by type; those of most flows first.
        counts: How many flows there are in each state.
        cut: How many flows were not judged, for they have too many types of events.
        latest: The time of the newest event, in milliseconds since 1970 UTC.
    """

    sagas: tuple[Saga, ...] = ()
    paths: dict[str, Path] = {}
    counts: dict[State, int] = {}
    cut: int = 0
    latest: int = 0

    @property
    def flows(self) -> int:
        """How many flows were judged."""
        return sum(self.counts.values())


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(list[Occurrence]).decode
_judgement: Final = msgspec.msgpack.Decoder(Judgement).decode


class HeldFlows:
    """The flows of all that an archive holds, as far as it was read. What a search found is left out: it is a part of
    its flows."""

    def __init__(self, archive: Archive) -> None:
        """Begin with nothing.

        Args:
            archive: Where the events are.
        """
        self._archive: Final = archive
        self._packed: Final = ByRow[tuple[Packed, ...]](archive, _pack_all, add)
        self.let_go = 0
        """How many events that are held were let go, for there are too many."""
        self.judgement = Judgement()
        """How the flows stand, as far as they were judged."""

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be read, or less."""
        return self._packed.is_behind

    @property
    def waiting(self) -> int:
        """How many events are still to be read."""
        return self._packed.waiting

    @property
    def events(self) -> int:
        """How many events were read and are kept."""
        return sum(packed.events for some in self._packed.made.values() for packed in some)

    @property
    def occurrences(self) -> int:
        """How many of these belong to a flow."""
        return sum(packed.occurrences for some in self._packed.made.values() for packed in some)

    async def catch_up(self, executor: Executor | None = None) -> None:
        """Read what was stored since the last time, or a part of it; what was dropped is let go.

        Args:
            executor: Where to read: `Workers`. None: on the archive's own thread.

        Raises:
            StoreError: The file is damaged.
        """
        looks = frozenset(id for id, look in self._archive.looks.items() if look.kind != "scan")
        await self._packed.catch_up(looks, executor)
        rows = self._packed.made
        size = sum(len(packed.data) for some in rows.values() for packed in some)
        for first in sorted(rows):
            if size <= MOST_BYTES:
                break
            size -= sum(len(packed.data) for packed in rows[first])
            self.let_go += sum(packed.events for packed in rows.pop(first))

    async def judge(self, now: int, running: Collection[int] = (), executor: Executor | None = None) -> None:
        """Learn the usual paths anew, and judge all flows by them.

        Args:
            now: The present, in milliseconds since 1970 UTC.
            running: The looks that wait for what arrives: what they look at is known up to now.
            executor: Where, if there are many; None: on the archive's own thread.
        """
        packed = [each.data for some in self._packed.made.values() for each in some]
        arguments = packed, now, read_until(self._archive.looks, now, running)
        if executor is None or self.occurrences <= FEW:
            found = await self._archive.on_reader(judge_packed, *arguments)
        else:
            found = await asyncio.get_running_loop().run_in_executor(executor, judge_packed, *arguments)
        self.judgement = _judgement(found)


def read_until(looks: Mapping[int, Look], now: int, running: Collection[int] = ()) -> dict[str, int | None]:
    """Up to when each place was read; None: to the newest event there is.

    Args:
        looks: All looks.
        now: The present, in milliseconds since 1970 UTC.
        running: Those that wait for what arrives.
    """
    until: dict[str, int | None] = {}
    for id, look in looks.items():
        place = str(look.address)
        if look.kind == "scan":
            continue
        if look.kind == "tail" and id not in running:
            until.setdefault(place, None)
            continue
        upto = now if id in running else look.at
        until[place] = max(until.get(place) or 0, upto)
    return until


def _pack_all(deliveries: Iterable[Delivery], reading: Reading) -> tuple[Packed, ...]:
    events, found = 0, []
    for delivery in deliveries:
        events += 1
        seen = reading.mask(delivery)
        if (occurrence := occurrence_of(seen, reading.facts(seen))) is not None:
            found.append(occurrence)
    return (Packed(events, len(found), zlib.compress(_pack(found), 1)),)


def judge_packed(packed: Sequence[bytes], now: int, until: Mapping[str, int | None]) -> bytes:
    """Learn paths from what was packed, and judge all flows by them; gives a `Judgement` as MessagePack."""
    flows, latest = Flows(), 0
    for data in packed:
        for occurrence in _unpack(zlib.decompress(data)):
            flows.add(occurrence)
            latest = max(latest, occurrence.time)
    every = list(flows)
    paths = learn(every)
    sagas = judge_all(every, paths, now, {place: latest if upto is None else upto for place, upto in until.items()})
    counts = Counter(saga.state for saga in sagas)
    return _pack(Judgement(tuple(sagas[:LISTED]), paths, dict(counts), flows.cut, latest))
