"""A view on stored deliveries: some looks, a query, and the sequence numbers that match, in order.

It holds no events, counts nothing twice and never skips over rows to find its place: it knows up to where it has asked,
and asks about the rest when told to.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, TypeVarTuple

from workbench.query.query import Query
from workbench.store.archive import Archive
from workbench.store.batch import Row
from workbench.store.search import Found, by_time, drop_below, search, select

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

Order: TypeAlias = Literal["time", "stored"]

FIRST: Final = 1
"""Rows searched before the first answer: a screenful must not wait for processes to start."""
AT_ONCE: Final = 16
"""Rows searched in one go by a worker."""
AHEAD: Final = 4
"""Searches that run or wait while the first of them is being awaited."""
INLINE: Final = 10_000
"""Sequence numbers that are put in order on the event loop, which takes some 5 ms; more go to a worker."""


def do_nothing() -> None:
    """Nobody wants to know."""


class Place(NamedTuple):
    """What finds a delivery again when its row has moved.

    Attributes:
        time: The delivery's, in milliseconds since 1970 UTC; 0 in a view that is not ordered by time.
        sequence: Its sequence number.
    """

    time: int
    sequence: int


class Rows(Protocol):
    """Deliveries in some order, of which a table shows a page: a `View`, or a `SortedView` on one."""

    @property
    def sequences(self) -> "array[int]":
        """The sequence numbers, in order; never changed while nothing catches up."""

    @property
    def upto(self) -> int:
        """Deliveries below this sequence number were asked about."""

    def __len__(self) -> int:
        """How many there are so far."""

    def place(self, row: int) -> Place:
        """What is in a row, to be found again by `row_of`."""

    def row_of(self, place: Place) -> int:
        """The row in which a delivery is by now; where it is in none, one near by."""


class View:
    """The deliveries of some looks that match a query.

    Args:
        store: Where they are.
        query: What must match; None: everything.
        looks: Whose; None: those of all looks, also of looks to come.
        order: By the deliveries' own times, which orders several partitions, or as they were stored.
        start: The first sequence number to ask about.
    """

    def __init__(
        self,
        store: Archive,
        query: Query | None = None,
        looks: Iterable[int] | None = None,
        order: Order = "time",
        start: int = 0,
    ) -> None:
        self._store = store
        self._query = None if query is not None and not query.text.strip() else query
        self._looks = None if looks is None else frozenset(looks)
        self._order = order
        self._first = store.first
        self._upto = max(start, store.first)
        self._times = array("q")
        self._late = Found(0, b"", b"")
        self._busy = asyncio.Lock()
        self.sequences = array("q")
        """The sequence numbers that match, in order; for `rows`. It is never changed while `catch_up` does not run."""
        self.examined = 0
        """How many deliveries were asked so far."""

    def __len__(self) -> int:
        """How many match so far; while `catch_up` runs some of them may not be in `sequences` yet."""
        return len(self.sequences) + len(self._late.sequences) // 8

    @property
    def upto(self) -> int:
        """Deliveries below this sequence number were asked about."""
        return self._upto

    @property
    def looks(self) -> frozenset[int] | None:
        """Whose deliveries; None: those of all looks."""
        return self._looks

    @property
    def query(self) -> Query | None:
        """What must match; None: everything."""
        return self._query

    def from_here_on(self, start: int) -> "View":
        """The same for what was stored from a sequence number on."""
        return View(self._store, self._query, self._looks, self._order, start)

    def place(self, row: int) -> Place:
        """What is in a row of `sequences`, to be found again by `row_of`."""
        return Place(self._times[row] if self._order == "time" else 0, self.sequences[row])

    def row_of(self, place: Place) -> int:
        """The row in which a delivery is by now; where it is in none, the one behind all that come before it."""
        if self._order == "stored":
            return bisect_left(self.sequences, place.sequence)
        low = bisect_left(self._times, place.time)
        return bisect_left(self.sequences, place.sequence, low, bisect_right(self._times, place.time, low))

    async def catch_up(self, executor: Executor | None = None, changed: Callable[[], None] = do_nothing) -> None:
        """Ask about all that was stored since the last time; what was dropped from the store leaves the view.

        Cancelled, it has asked about a part, and goes on from there the next time.

        Args:
            executor: Where to search: `Workers`, so that the event loop keeps its processor. None: the store's
                own thread, which is slower and makes the event loop wait for milliseconds.
            changed: Called after each step, the first of which is short.

        Raises:
            StoreError: The file is damaged.
        """
        async with self._busy:
            if self._store.first > self._first:
                await self._forget(executor)
                changed()
            while self._upto < self._store.upto:
                rows = self._store.rows_from(self._upto)
                if rows:
                    await self._search(rows, executor, changed)
                else:
                    await self._select()
                    changed()
            if self._late.sequences:
                await self._sort(executor)
                changed()

    async def _search(self, rows: Sequence[Row], executor: Executor | None, changed: Callable[[], None]) -> None:
        parts = [rows[:FIRST], *(rows[at : at + AT_ONCE] for at in range(FIRST, len(rows), AT_ONCE))]
        running: deque[tuple[Row, asyncio.Future[Found]]] = deque()
        try:
            for number, part in enumerate([*parts, *[()] * AHEAD]):
                if part:
                    firsts = [row.first for row in part if self._looks is None or not row.looks.isdisjoint(self._looks)]
                    arguments = (firsts, self._looks, self._query, self._upto)
                    if number == 0 or executor is None:
                        work = self._store.on_reader(search, self._store.path, *arguments)
                    else:
                        work = self._store.on_workers(executor, search, *arguments)
                    running.append((part[-1], work))
                if running and (number == 0 or len(running) >= AHEAD or not part):
                    last, work = running[0]
                    await self._add(await work, last.first + last.count, executor)
                    running.popleft()
                    changed()
        finally:
            for _, work in running:
                work.cancel()

    async def _select(self) -> None:
        """Ask about what is only in memory."""
        for chunk in self._store.chunks_from(self._upto):
            found = await self._store.on_reader(select, chunk, self._looks, self._query, self._upto)
            await self._add(found, chunk.first + len(chunk.deliveries), None)

    async def _add(self, found: Found, upto: int, executor: Executor | None) -> None:
        times, sequences = array("q", found.times), array("q", found.sequences)
        self._upto = upto
        self.examined += found.examined
        if self._order == "stored":
            self.sequences.extend(sorted(sequences))
        elif not self._late.sequences and (not self._times or not times or times[0] >= self._times[-1]):
            self._times.extend(times)
            self.sequences.extend(sequences)
        else:
            late = self._late
            self._late = Found(0, late.times + found.times, late.sequences + found.sequences)
            # To sort whenever the number has doubled costs as much as to sort once.
            if len(self._late.sequences) // 8 > len(self.sequences):
                await self._sort(executor)

    async def _sort(self, executor: Executor | None) -> None:
        """Put in order what came late. The numbers in `_late` are larger than all others, so equal times stay right."""
        late = array("q", self._late.times)
        at = bisect_right(self._times, min(late))
        parts = self._times[at:].tobytes() + self._late.times, self.sequences[at:].tobytes() + self._late.sequences
        ordered = by_time(*parts) if len(parts[0]) < 8 * INLINE else await self._run(executor, by_time, *parts)
        self._times[at:] = array("q", ordered[0])
        self.sequences[at:] = array("q", ordered[1])
        self._late = Found(0, b"", b"")

    async def _forget(self, executor: Executor | None) -> None:
        first = self._store.first
        if self._order == "stored":
            del self.sequences[: bisect_right(self.sequences, first - 1)]
        else:
            if self._late.sequences:
                await self._sort(executor)
            parts = self._times.tobytes(), self.sequences.tobytes()
            times, sequences = await self._run(executor, drop_below, *parts, first)
            self._times, self.sequences = array("q", times), array("q", sequences)
        self._first = first
        self._upto = max(self._upto, first)

    async def _run(
        self, executor: Executor | None, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        if executor is None:
            return await self._store.on_reader(function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)
