"""The events that a table shows: of which looks, by which query, in which order, and why they failed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.dom import DOMNode
from textual.worker import Worker

from views.catch_up import CatchUp
from views.host import Host
from views.widgets.event_table import EventTable
from views.widgets.query_bar import QueryBar
from views.widgets.reason_line import ReasonLine
from workbench.decode.display import visible
from workbench.model.errors import WorkbenchError
from workbench.model.look import Gap
from workbench.query.field import Field
from workbench.query.query import Query
from workbench.query.vocabulary import Vocabulary
from workbench.store.sorting import SortedView, sort
from workbench.store.view import View
from workbench.table.columns import Column

if TYPE_CHECKING:
    from workbench.store.tally import ReasonTally

FRAME: Final = 1 / 15
"""Seconds between two looks for what has come in: between them, more of it is one repaint."""
COUNTED: Final = 0.25
"""Seconds between two counts of reasons."""
BACKLOG: Final = 50_000
"""Events to be asked about from which on worker processes are started."""
SAMPLES: Final = 10
"""Places of a list from which events are taken for what occurs in them."""
SAMPLE: Final = 20
"""Events taken there."""
FEW: Final = 2_000
"""Events whose facts are read in this process: more would make the event loop wait."""


class _Superseded(Exception):
    """Another list is wanted by now."""


class EventList:
    """Keeps a table, the count on its query and the line of reasons up with what is stored."""

    def __init__(
        self,
        node: DOMNode,
        host: Host,
        parts: tuple[EventTable, QueryBar, ReasonLine],
        caught_up: Callable[[], None],
        nothing: Callable[[], str],
    ) -> None:
        """Show nothing yet.

        Args:
            node: Whose workers do it.
            host: The program.
            parts: What shows it.
            caught_up: Called whenever all was asked about that there was.
            nothing: What is so while there is no event.
        """
        self._node: Final = node
        self._host: Final = host
        self._table, self._bar, self._reasons = parts
        self._caught_up: Final = caught_up
        self._nothing: Final = nothing
        self._view: View | SortedView | None = None
        self._shown: View | SortedView | None = None
        self._catching_up: Final = CatchUp(node, self._catch_up, FRAME)
        self._counting: Final = CatchUp(node, self._count_reasons, COUNTED)
        self._sorting: Worker[None] | None = None
        self._order: tuple[Column, bool] | None = None
        self._sorted: tuple[Column, bool] | None = None
        self._tally: ReasonTally | None = None
        self._looks: Sequence[int] | None = None
        self._mixed = self._failed = False
        self.query: Query | None = None
        """What the events must match; None: everything."""
        self.kept: int | None = None
        """The event that the cursor goes to as soon as another list has it."""

    def __len__(self) -> int:
        """How many there are so far."""
        return len(self._view) if self._view is not None else 0

    @property
    def sequences(self) -> Sequence[int]:
        """Their numbers in the archive, in order."""
        return self._view.sequences[:] if self._view is not None else ()

    def show(self, looks: Iterable[int] | None, mixed: bool, failed: bool) -> None:
        """Show the events of other looks.

        Args:
            looks: Whose; None: everything that is held.
            mixed: Whether they are of several endpoints.
            failed: Whether they are known to be dead letters.
        """
        looks = None if looks is None else list(looks)
        self._looks, self._mixed, self._failed, self._order = looks, mixed, failed, None
        self._view = View(self._host.context.archive, self.query, looks)
        if self._tally is not None and (looks is None or self._tally.looks != frozenset(looks)):
            self._tally = None
            self._reasons.show((), "", 0, 0)
        self._begin(self._view)
        if failed:
            self.count_reasons()
        self.update()

    def count_reasons(self) -> None:
        """The events are dead letters: count why they are."""
        self._failed = True
        if self._tally is None and self._looks is not None:
            # The first picture would wait for it.
            from workbench.store.tally import ReasonTally

            self._tally = ReasonTally(self._host.context.archive, self._looks)
            self._counting.request()

    def filter(self, query: Query | None, keep: int | None = None) -> None:
        """Show those that match a query. Until one is found, or it is known that there is none, the others stay.

        Args:
            query: What they must match; None: nothing.
            keep: The event that the cursor stays at; None: the one that it is at, unless it follows what comes in.
        """
        self.query = query
        self.kept = self._table.cursor if keep is None and not self._table.follow else keep
        self._view = View(self._host.context.archive, query, self._looks)
        self._end_sorting()
        self.update()

    def update(self) -> None:
        """Something may have been stored."""
        self._catching_up.request()
        if self._tally is not None:
            self._counting.request()

    def _begin(self, view: View | SortedView) -> None:
        self._end_sorting()
        self._shown = view
        self._table.show(self._host.context.archive, view, self._mixed, self._failed)

    # Asking.

    async def _catch_up(self) -> None:
        view, context = self._view, self._host.context
        if view is None:
            return
        waiting = context.archive.upto - view.upto
        workers = context.workers if waiting > BACKLOG else None
        try:
            await view.catch_up(workers, lambda: self._step(view))
        except _Superseded:
            return
        except WorkbenchError as error:
            self._host.say(str(error), "error")
        if self._node.is_attached:
            self._draw(view)
            if view is self._view:
                self.kept = None
            self._caught_up()
            if self._order is not None and view is self._view and isinstance(view, View):
                self._sort(view, *self._order)

    def _step(self, view: View | SortedView) -> None:
        if view is not self._view:
            raise _Superseded
        self._draw(view)

    def _draw(self, view: View | SortedView) -> None:
        if view is not self._view or not self._node.is_attached:
            return
        if view is not self._shown:
            # An answer that is not the last word yet, and has no row: the rows from before stay until there is one.
            if not len(view.sequences) and view.upto < self._host.context.archive.upto:
                return
            self._begin(view)
        self._table.update_rows()
        if self.kept is not None:
            self._table.go_to(self.kept)
            if self._table.cursor == self.kept:
                self.kept = None
        self._count(view)

    def _count(self, view: View | SortedView) -> None:
        searching = self._host.context.archive.upto > view.upto and not view.examined
        doing = "searching…" if searching else "" if view.examined else self._nothing()
        self._bar.count(len(view), view.examined, doing)

    # Sorting.

    @property
    def is_sorting(self) -> bool:
        """Whether events are being put in order."""
        return self._sorting is not None and not self._sorting.is_finished

    def sort_by(self, column: Column) -> None:
        """Sort by a column: ascending, then descending, then by time again."""
        if self._view is None:
            return
        before, descending = self._order or (None, False)
        self._order = (column, before == column) if before != column or not descending else None
        view = self._view.view if isinstance(self._view, SortedView) else self._view
        self._end_sorting()
        if self._order is not None:
            self._sort(view, *self._order)
            return
        if view is not self._view:
            self._view = view
            self._table.follow = False
            self.kept = self._table.cursor
        self.update()

    def stop_sorting(self) -> None:
        """Leave the order as it is, and what comes in as it comes."""
        self._end_sorting()
        self._order = self._sorted if isinstance(self._view, SortedView) else None
        if self._view is not None:
            self._count(self._view)

    def _end_sorting(self) -> None:
        if self._sorting is not None:
            self._sorting.cancel()
            self._sorting = None

    def _sort(self, view: View, column: Column, descending: bool) -> None:
        if not self.is_sorting:
            self._sorting = self._node.run_worker(self._sort_rows(view, column, descending), group="sort")

    async def _sort_rows(self, view: View, column: Column, descending: bool) -> None:
        context = self._host.context
        workers = context.workers if len(view) > FEW else None
        field = Field(column.field, context.archive.reading)
        tell = partial(self._tell_progress, f"sorting by {visible(column.title, 20)} {'↓' if descending else '↑'}")
        tell(0)
        try:
            found = await sort(context.archive, view, field, descending, workers, tell)
        except WorkbenchError as error:
            self._order = None
            self._host.say(str(error), "error")
            return
        self._view = self._shown = found
        self._sorted = (column, descending)
        self._table.follow = False
        self._table.show(context.archive, found, self._mixed, self._failed)
        self._table.show_order(column.id, descending, lambda: found.sorted_count)
        self.update()

    def _tell_progress(self, doing: str, share: float) -> None:
        view = self._view
        if view is not None and self._node.is_attached:
            self._bar.count(len(view), view.examined, f"{doing} {share:.0%}")

    # Reasons.

    async def _count_reasons(self) -> None:
        tally, context = self._tally, self._host.context
        while tally is not None and tally is self._tally and self._node.is_attached and tally.is_behind:
            workers = context.workers if tally.waiting > FEW else None
            try:
                await tally.catch_up(workers)
            except WorkbenchError as error:
                self._host.say(str(error), "error")
                return
            self.show_reasons()
            await asyncio.sleep(0)

    def show_reasons(self) -> None:
        """Show the reasons as far as they were counted, and which of them is filtered by."""
        if self._tally is not None and self._node.is_attached:
            text = self.query.text if self.query is not None else ""
            self._reasons.show(self._tally.reasons, text, self._tally.counted, self._tally.waiting)

    # Words.

    async def vocabulary(self) -> Vocabulary:
        """What occurs in some of the events of all looks that are shown, from all over them."""
        archive, view = self._host.context.archive, self._view
        sequences = view.sequences if view is not None else ()
        step = max(len(sequences) // SAMPLES, SAMPLE)
        wanted = [each for at in range(0, len(sequences), step) for each in sequences[at : at + SAMPLE]]
        try:
            found = [delivery for delivery in await archive.rows(wanted) if delivery is not None]
            return await archive.on_reader(Vocabulary, found, archive.reading)
        except WorkbenchError:
            # Whoever shows the events says so.
            return Vocabulary()

    # Gaps.

    def show_gaps(self) -> None:
        """Show what is missing between the events, where it is known when that was."""
        looks = self._host.context.archive.looks
        mine = looks if self._looks is None else {number: looks[number] for number in self._looks}
        self._table.gaps = [
            (gap.since, gap_text(gap, visible(str(look.address), 40) if self._mixed else ""))
            for look in mine.values()
            for gap in look.coverage.gaps
            if gap.since is not None
        ]


def gap_text(gap: Gap, where: str = "") -> str:
    """A gap in a line: how long, how much, why, and from when to when.

    Args:
        gap: One whose `since` is known.
        where: The endpoint, where there are several.
    """
    begin, end = _clock(gap.since or 0), "now" if gap.until is None else _clock(gap.until)
    much = f"at least {gap.at_least:,} missing" if gap.at_least else "events may be missing"
    parts = [where, _duration(gap.until - (gap.since or 0)) if gap.until is not None else "", much]
    return f"{' · '.join(filter(None, parts))}: {visible(gap.reason.rstrip('.'))} · {begin} to {end}"


def _clock(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%H:%M:%S.%f")[:12]


def _duration(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
