"""The deliveries of a view in the order of a field.

A view may hold millions. Worker processes rank them, some rows at a time, and one of them puts all in order: ranks stay
packed between the two, and the event loop handles a few blocks of bytes.
"""

import asyncio
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from workbench.query.field import Field, Rank
from workbench.query.query import Query
from workbench.store.archive import Archive
from workbench.store.batch import Chunk
from workbench.store.search import Found, drop_below, ranked, search, select
from workbench.store.view import Place, View, do_nothing

AT_ONCE: Final = 8
"""Stored rows that are ranked in one go."""
AHEAD: Final = 4
"""Parts that are ranked or wait while the first of them is being awaited."""

Ordered: TypeAlias = tuple[bytes, bytes, bytes]
"""Sequence numbers in order; the same ascending; and the row of each of these: 8 bytes each."""


class SortedView:
    """The deliveries of a view by a field, as they were when it was made; what has come in since stands behind them, by
    time. Made by `sort`."""

    def __init__(self, archive: Archive, view: View, first: int, upto: int, ordered: Ordered) -> None:
        # What was dropped from the store while it was sorted leaves when it catches up.
        self._archive: Final = archive
        self._newer: Final = view.from_here_on(upto)
        self._first = first
        self.view: Final = view
        """The view in the order by time; it need not catch up meanwhile."""
        self._order(ordered)

    def _order(self, ordered: Ordered) -> None:
        self.sequences = array("q", ordered[0])
        """The sequence numbers, in order."""
        self._ascending, self._rows = array("q", ordered[1]), array("q", ordered[2])
        self.sorted_count = len(self.sequences)
        """How many rows are sorted; the others came in since."""

    @property
    def upto(self) -> int:
        """Deliveries below this sequence number were asked about."""
        return self._newer.upto

    @property
    def examined(self) -> int:
        """How many deliveries were asked so far."""
        return self.view.examined + self._newer.examined

    def __len__(self) -> int:
        """How many there are so far."""
        return self.sorted_count + len(self._newer)

    def place(self, row: int) -> Place:
        """What is in a row, to be found again by `row_of`."""
        if row < self.sorted_count:
            return Place(0, self.sequences[row])
        return self._newer.place(row - self.sorted_count)

    def row_of(self, place: Place) -> int:
        """The row in which a delivery is by now; where it is in none, one near by."""
        if self._ascending and place.sequence <= self._ascending[-1]:
            return self._rows[bisect_left(self._ascending, place.sequence)]
        return self.sorted_count + self._newer.row_of(place)

    async def catch_up(self, executor: Executor | None = None, changed: Callable[[], None] = do_nothing) -> None:
        """Ask about all that was stored since the last time; what was dropped from the store leaves the view.

        Raises:
            StoreError: The file is damaged.
        """
        if self._archive.first > self._first:
            first, self._first = self._archive.first, self._archive.first
            self._order(await self._archive.on_reader(_without, self.sequences[: self.sorted_count].tobytes(), first))
        await self._newer.catch_up(executor)
        if len(self.sequences) != len(self):
            self.sequences = self.sequences[: self.sorted_count] + self._newer.sequences
        changed()


async def sort(
    archive: Archive,
    view: View,
    field: Field,
    descending: bool,
    executor: Executor | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> SortedView:
    """Put what a view holds by now in order.

    Numbers come before texts, or behind them where it is descending; deliveries without a value are always last, and
    equal ones stay in the order of their times.

    Args:
        archive: What the view is of.
        view: Whose deliveries.
        field: By which.
        descending: Whether the largest comes first.
        executor: Where to do it: `Workers`. None: on the archive's own thread, which makes the event loop wait.
        progress: Told again and again what share of the deliveries has been ranked, from 0 to 1.

    Raises:
        StoreError: The file is damaged.
    """
    first, upto = archive.first, view.upto
    asked = (view.looks, view.query, field, upto)
    stored = [row.first for row in archive.rows_from(0) if row.first < upto]
    chunks = [chunk for chunk in archive.chunks_from(0) if chunk.first < upto]
    pieces = [stored[at : at + AT_ONCE] for at in range(0, len(stored), AT_ONCE)]
    parts: list[bytes] = []
    running: deque[asyncio.Future[bytes]] = deque()
    try:
        for piece in [*pieces, *[()] * AHEAD]:
            if piece and executor is None:
                running.append(archive.on_reader(rank_rows, archive.path, piece, *asked))
            elif piece:
                running.append(archive.on_workers(executor, rank_rows, piece, *asked))  # type: ignore[arg-type]
            if running and (len(running) >= AHEAD or not piece):
                parts.append(await running[0])
                running.popleft()
                progress(len(parts) / (len(pieces) + 1))
    finally:
        for work in running:
            work.cancel()
    for chunk in chunks:
        parts.append(await archive.on_reader(rank_chunk, chunk, *asked))
    if executor is None:
        ordered = await archive.on_reader(in_order, parts, descending)
    else:
        ordered = await asyncio.get_running_loop().run_in_executor(executor, in_order, parts, descending)
    return SortedView(archive, view, first, upto, ordered)


# What workers do.


def rank_rows(
    path: Path, firsts: Sequence[int], looks: frozenset[int] | None, query: Query | None, field: Field, upto: int
) -> bytes:
    """Rank the deliveries in stored rows, for `in_order`.

    Raises:
        StoreError: The file is gone, damaged or no store.
    """
    found = search(path, firsts, looks, query, 0)
    return _pack(found, ranked(path, firsts, array("q", found.sequences), field), upto)


def rank_chunk(chunk: Chunk, looks: frozenset[int] | None, query: Query | None, field: Field, upto: int) -> bytes:
    """The same for deliveries in memory."""
    found = select(chunk, looks, query, 0)
    numbers = array("q", found.sequences)
    return _pack(found, [field.rank(chunk.deliveries[number - chunk.first]) for number in numbers], upto)


def in_order(parts: Iterable[bytes], descending: bool) -> Ordered:
    """Put all that was ranked in order."""
    ranks: list[Rank] = []
    times, sequences = array("q"), array("q")
    for part in parts:
        some, part_times, part_sequences = _unpack(part)
        ranks += some
        times.frombytes(part_times)
        sequences.frombytes(part_sequences)
    by_time = sorted(range(len(ranks)), key=lambda index: (times[index], sequences[index]))
    numbers = [index for index in by_time if isinstance(ranks[index], int | float)]
    texts = [index for index in by_time if isinstance(ranks[index], str)]
    others = [index for index in by_time if ranks[index] is None]
    for each in (numbers, texts):
        each.sort(key=ranks.__getitem__, reverse=descending)  # type: ignore[arg-type]
    order = [*texts, *numbers, *others] if descending else [*numbers, *texts, *others]
    return _order(array("q", [sequences[index] for index in order]))


def _order(sequences: "array[int]") -> Ordered:
    rows = sorted(range(len(sequences)), key=sequences.__getitem__)
    return sequences.tobytes(), array("q", sorted(sequences)).tobytes(), array("q", rows).tobytes()


def _without(sequences: bytes, first: int) -> Ordered:
    return _order(array("q", drop_below(sequences, sequences, first)[1]))


def _pack(found: Found, ranks: list[Rank], upto: int) -> bytes:
    times, sequences = array("q", found.times), array("q", found.sequences)
    if sequences and max(sequences) >= upto:
        kept = [index for index, sequence in enumerate(sequences) if sequence < upto]
        ranks = [ranks[index] for index in kept]
        times = array("q", [times[index] for index in kept])
        sequences = array("q", [sequences[index] for index in kept])
    return msgspec.msgpack.encode((ranks, times.tobytes(), sequences.tobytes()))


_unpack: Final = msgspec.msgpack.Decoder(tuple[list[Rank], bytes, bytes]).decode
