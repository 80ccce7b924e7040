"""A search of logs whose ranges somebody else carries out, several at a time.

Of each partition what is found is handed over in its order, though its ranges may be searched in any. A range is begun
when there is room for what it may find, and goes on when that was taken.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeAlias

from workbench.cluster.range_search import Piece
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConfigError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, Progress, Span
from workbench.model.ranges import Extent, Range, divide
from workbench.model.wording import quantity

Carry: TypeAlias = Callable[[Range], Awaitable[Piece]]
"""Searches the beginning of a range somewhere, as `range_search` does. What it raises ends the search."""

_AHEAD: Final = 3
"""Ranges that are begun for each that can be searched at one time: some wait for one before them in their partition."""
_SHARE: Final = 8
"""Ranges for each that can be searched at one time, at least where there is much."""
_LEAST: Final = 100_000
"""Offsets of a range, at least: it takes some milliseconds to open a connection."""
_LARGEST: Final = 2_000_000
"""Offsets of a range, at most."""
_NAMED: Final = 10_000
"""Gaps of a log that are named, at most."""


class RangeScan:
    """A `Scan` over the ranges of some logs."""

    interruption: Final = None
    """What a worker cannot reach another may."""

    def __init__(self, extents: Sequence[Extent], carry: Carry, width: int) -> None:
        """Nothing is carried out before it is iterated over, while `run` runs.

        Args:
            extents: What to search.
            carry: Who searches.
            width: How many ranges can be searched at one time.
        """
        self._logs = {extent.address: _Log(extent) for extent in extents}
        self._carry = carry
        self._slots = asyncio.Semaphore(width * _AHEAD)
        self._total = sum(each.size for extent in extents for each in extent.ranges)
        self._size = min(max(self._total // (width * _SHARE), _LEAST), _LARGEST)
        self._done = 0
        self._go = asyncio.Event()
        self._begun = 0.0
        self._ready: asyncio.Queue[tuple[_Part, Range, Piece] | None] = asyncio.Queue()

    @property
    def progress(self) -> Progress:
        """How far the search is, wherever."""
        return Progress(self._done, self._total, time.monotonic() - self._begun if self._begun else 0.0)

    @property
    def coverage(self) -> Coverage:
        """What was searched, and what is missing."""
        parts = list(self.coverages.items())
        if len(parts) == 1:
            return parts[0][1]
        return Coverage(
            sum(each.read for _, each in parts),
            tuple(
                Span(f"{log.name}/{each.partition}", each.start, each.end)
                for log, covered in parts
                for each in covered.spans
            ),
            tuple(gap for _, each in parts for gap in each.gaps),
            tuple(dict.fromkeys(note for _, each in parts for note in each.notes)),
            self._total,
        )

    @property
    def coverages(self) -> Mapping[Address, Coverage]:
        """The same of each log."""
        return {address: log.coverage for address, log in self._logs.items()}

    async def run(self) -> None:
        """Have all ranges searched, once it is iterated over.

        Raises:
            WorkbenchError: There is nobody left to search, or nobody is let in.
        """
        await self._go.wait()
        self._begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for each in divide((each for log in self._logs.values() for each in log.ranges), self._size):
                await self._slots.acquire()
                part = _Part(each)
                self._logs[each.address].lanes[each.partition].parts.append(part)
                group.create_task(self._search(part))
        self._ready.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        self._go.set()
        while (next_piece := await self._ready.get()) is not None:
            part, asked, piece = next_piece
            self._logs[asked.address].take(asked, piece)
            part.taken.set()
            if piece.found:
                yield piece.found

    async def _search(self, part: "_Part") -> None:
        rest = part.whole
        while rest.size:
            piece = await self._carry(rest)
            if isinstance(piece.error, AccessRefused | ConfigError):
                # It would be the same everywhere, and to try a password again may lock its user out.
                raise piece.error
            self._done += piece.reached - rest.start
            part.taken.clear()
            part.pieces.append((rest, piece))
            self._hand_over(part.whole)
            await part.taken.wait()
            rest = rest.starting_at(piece.reached if piece.error is None else rest.end)
        part.finished = True
        self._hand_over(part.whole)
        self._slots.release()

    def _hand_over(self, range: Range) -> None:
        """Let go of all that nothing of the same partition has to come before."""
        parts = self._logs[range.address].lanes[range.partition].parts
        while parts:
            first = parts[0]
            while first.pieces:
                self._ready.put_nowait((first, *first.pieces.popleft()))
            if not first.finished:
                return
            parts.popleft()


class _Part:
    """A range that is being searched.

    Attributes:
        whole: The range.
        pieces: What came of it and waits for its turn, each with what was asked for.
        taken: Set once what came last was handed over.
        finished: Whether all of it was.
    """

    def __init__(self, whole: Range) -> None:
        self.whole = whole
        self.pieces: deque[tuple[Range, Piece]] = deque()
        self.taken = asyncio.Event()
        self.finished = False


class _Lane:
    """A partition: how far it was handed over, and its ranges that are being searched, in their order."""

    def __init__(self, whole: Range) -> None:
        self.whole = whole
        self.reached = whole.start
        self.parts: deque[_Part] = deque()


class _Log:
    """What was handed over of a log."""

    def __init__(self, extent: Extent) -> None:
        self.ranges = extent.ranges
        self.lanes = {each.partition: _Lane(each) for each in extent.ranges}
        self._read = 0
        self._gaps = list(extent.gaps)
        self._unnamed = 0
        self._notes = dict.fromkeys(extent.notes)

    def take(self, asked: Range, piece: Piece) -> None:
        """Count what came of a range."""
        self._read += piece.reached - asked.start
        rest = asked.starting_at(piece.reached)
        self.lanes[asked.partition].reached = piece.reached if piece.error is None else asked.end
        self._notes |= dict.fromkeys(piece.notes)
        self._miss(*piece.gaps, *([rest.gap(str(piece.error))] if piece.error is not None else ()))

    def _miss(self, *gaps: Gap) -> None:
        named = gaps[: max(_NAMED - len(self._gaps), 0)]
        self._gaps += named
        self._unnamed += len(gaps) - len(named)

    @property
    def coverage(self) -> Coverage:
        """What was searched, and what is missing."""
        spans = (Span(name, str(lane.whole.start), str(lane.reached)) for name, lane in self.lanes.items())
        more = Gap(quantity(self._unnamed, "more place"), f"only the first {_NAMED:,} are named")
        return Coverage(
            self._read,
            tuple(spans),
            (*self._gaps, more) if self._unnamed else tuple(self._gaps),
            tuple(self._notes),
            sum(each.size for each in self.ranges),
        )
