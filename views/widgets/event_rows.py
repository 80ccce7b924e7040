"""The rows of the event table: which are there, which are in sight, and where its cursor is.

What it shows are `Rows`, such as a view, which grows, has rows put in between and loses its oldest. So the table holds
on to places and not to row numbers: the cursor's, and that of the uppermost line. A delivery is turned into cells once,
where it can be seen first. Between rows there may be dividers, such as for what was missed: lines that the cursor
passes over.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from sys import maxsize
from typing import Final

from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.worker import Worker

from views.widgets.dividers import Dividers
from views.widgets.line_view import Lines
from workbench.model.errors import StoreError
from workbench.model.event import Delivery
from workbench.query.field import Field
from workbench.store.archive import Archive
from workbench.store.view import Place, Rows
from workbench.table.cells import Cells, cells_of

KEPT: Final = 500
"""Deliveries whose cells are kept."""
AT_ONCE: Final = 0.008
"""Seconds for which deliveries are read before others get the event loop: one with megabytes to read takes some."""


class EventRows(Lines):
    """Rows of events, with a cursor that stays on its event, or keeps to the newest while it follows.

    A subclass draws the rows of which there are cells.
    """

    follow: reactive[bool] = reactive(True)
    """Whether the cursor keeps to the last row as rows are added."""

    class Moved(Message):
        """The cursor is on another event.

        Attributes:
            sequence: Its sequence number; None: on none.
        """

        def __init__(self, sequence: int | None) -> None:
            super().__init__()
            self.sequence = sequence

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._archive: Archive | None = None
        self._view: Rows | None = None
        self._known = False
        self._several = False
        self._row = 0
        self._at: Place | None = None
        self._top: Place | None = None
        self._end: Place | None = None
        self._above = 0
        self._reported: int | None = None
        self._old = 0
        self._unseen = 0
        self._seen: object = None
        self._cells: OrderedDict[int, Cells] = OrderedDict()
        self._verbs: dict[int, str] = {}
        self.verb_of: Callable[[int, Delivery], str] = _nothing
        """What became of an event since it was seen, by its sequence number; empty: nothing."""
        self._fields: tuple[Field, ...] = ()
        self._fetching: Worker[None] | None = None
        self._first = 0
        self._gaps: Sequence[tuple[int, str]] = ()
        self._order: tuple[str, str] | None = None
        self._sorted_count: Callable[[], int] | None = None
        self._dividers = Dividers()

    def show_rows(self, archive: Archive, view: Rows) -> None:
        """Show other rows, from their end if the table follows, else from their beginning.

        Args:
            archive: What the rows are of.
            view: The rows.
        """
        if archive is not self._archive:
            self._cells.clear()
            self._verbs.clear()
            self._fields = tuple(Field(field.text, archive.reading) for field in self._fields)
        self._archive, self._view = archive, view
        self._row, self._at, self._top, self._end = 0, None, None, None
        self._order = self._sorted_count = None
        self._gaps, self._dividers = (), Dividers()
        self._old, self._unseen, self._seen = archive.upto, 0, None
        # A view that has asked about nothing yet is not an empty one: saying so for a moment would be flicker.
        self._known = False
        self.scroll_to(y=0, animate=False, force=True)
        if len(view.sequences):
            self.update_rows()
        else:
            self.refresh()

    @property
    def gaps(self) -> Sequence[tuple[int, str]]:
        """What is missing between rows ordered by time: since when, in milliseconds since 1970 UTC, and what."""
        return self._gaps

    @gaps.setter
    def gaps(self, gaps: Sequence[tuple[int, str]]) -> None:
        if gaps != self._gaps:
            self._gaps = gaps
            self._settle()

    def update_rows(self) -> None:
        """The view may have other rows than before; what comes in is fetched first, and then drawn at once."""
        if self._view is None:
            return
        self._known = True
        if not self._missing_rows():
            self._settle()
        elif self.is_mounted:
            self._fetch_missing()

    def read_again(self) -> None:
        """What is known of the events has changed."""
        self._cells.clear()
        self._verbs.clear()
        self.update_rows()

    @property
    def cursor(self) -> int | None:
        """The sequence number of the event that the cursor is on; None: there is none."""
        return self._at.sequence if self._at is not None else None

    @property
    def unseen(self) -> int:
        """How many rows were added at the end, and not followed, since the user was there."""
        return self._unseen

    def go_to(self, sequence: int) -> None:
        """Put the cursor on an event, if it is in the view."""
        with suppress(ValueError):
            self._go(self._sequences.index(sequence))

    # Rows.

    @property
    def _sequences(self) -> Sequence[int]:
        return self._view.sequences if self._view is not None else ()

    @property
    def _page(self) -> int:
        """How many rows can be seen."""
        return max(self.size.height - 1, 0)

    @property
    def _span(self) -> int:
        """How many cells of a line can be seen: `size` counts those beneath the scrollbar."""
        return self.scrollable_content_region.width

    @property
    def _count(self) -> int:
        """How many lines there are."""
        return len(self._sequences) + len(self._dividers)

    def _divide(self) -> None:
        """Know where dividers belong by now."""
        view, count = self._view, len(self._sequences)
        placed: list[tuple[int, str]] = []
        if view is not None and self._sorted_count is not None:
            if (behind := self._sorted_count()) < count:
                placed = [(behind, "arrived since it was sorted")]
        elif view is not None and self._order is None and count:
            placed = [(view.row_of(Place(since, maxsize)), what) for since, what in self._gaps]
        if tuple(placed) != self._dividers.texts:
            self._dividers = Dividers(placed)

    def _aim(self) -> tuple[int, int]:
        """The row where the cursor and the line that is uppermost belong by now; there is at least one row."""
        view, count = self._view, len(self._sequences)
        assert view is not None
        last = max(self._count - self._page, 0)
        if self.follow:
            return count - 1, last
        row = view.row_of(self._at) if self._at is not None else 0
        if self._top is None:
            return min(row, count - 1), 0
        above = view.row_of(self._top)
        top = max(self._dividers.line_of(above) - self._above, self._dividers.first_line_of(above))
        return min(row, count - 1), min(top, last)

    def _visible_rows(self, top: int) -> Sequence[int]:
        """The sequence numbers of the rows that can be seen where a line is uppermost."""
        return self._sequences[self._dividers.row_of(top) : self._dividers.row_of(top + self._page)]

    def _settle(self, fetched: bool = False) -> None:
        """Bring cursor and lines to where they belong by now, and draw what is seen of that.

        Args:
            fetched: Whether there are cells that were not there before.
        """
        if not self._known or self._view is None or self._archive is None:
            return
        self._divide()
        count = len(self._sequences)
        row, top = self._aim() if count else (0, 0)
        self.extend_to(Size(self._span, self._count + 1))
        self.scroll_to(y=top, animate=False, force=True)
        self._keep_top()
        self._several = len({look.address.connection for look in self._archive.looks.values()}) > 1
        if self._archive.first > self._first:
            self._first = self._archive.first
            self._forget(self._first)
        self._put(row)
        before = self._unseen
        self._count_unseen()
        shown = self._visible_rows(top)
        seen = self.cursor, self._several, list(shown), self._dividers.texts
        if fetched or seen != self._seen:
            self._seen = seen
            self._notice(shown)
            self.refresh()
        elif before != self._unseen:
            self.refresh(Region(0, self.size.height - 1, self._span, 1))

    def _keep_top(self) -> None:
        """Remember what is uppermost: a row, and how many of the dividers before it."""
        line = self.scroll_offset.y
        row = self._dividers.row_of(line)
        self._top = self._view.place(row) if self._view is not None and row < len(self._sequences) else None
        # Who is at the very top sees what comes to stand there.
        self._above = self._dividers.line_of(row) - line if line else maxsize

    def _put(self, row: int) -> None:
        """Put the cursor into a row."""
        self._row = row
        self._at = self._view.place(row) if self._view is not None and row < len(self._sequences) else None
        if self.cursor != self._reported:
            self._reported = self.cursor
            self.post_message(self.Moved(self.cursor))

    def _count_unseen(self) -> None:
        """Count what came in behind the end as the user saw it last."""
        view, count = self._view, len(self._sequences)
        if view is None or not count:
            self._end, self._unseen = None, 0
        elif (
            self.follow
            or self._end is None
            or self.scroll_offset.y + self._page >= self._count
            # What was stored before the list was shown is only found now, and is nothing new.
            or view.sequences[-1] < self._old
        ):
            self._end, self._unseen = view.place(count - 1), 0
        else:
            self._unseen = max(count - 1 - view.row_of(self._end), 0)

    def _go(self, row: int) -> None:
        """Go to a row, as far as there are rows, and show it."""
        self._settle()
        count = len(self._sequences)
        if not count:
            return
        row = max(0, min(row, count - 1))
        if row < count - 1:
            self.follow = False
        self._put(row)
        first, line = self._dividers.first_line_of(row), self._dividers.line_of(row)
        if line - first >= self._page:
            first = line
        self.scroll_to(y=max(min(self.scroll_offset.y, first), line - self._page + 1), animate=False, force=True)
        self._count_unseen()
        self._fetch_missing()
        self.refresh()

    def _notice(self, sequences: Sequence[int]) -> None:
        """What is seen of these events is about to be drawn."""

    def _forget(self, first: int) -> None:
        """What is below this sequence number is no longer held."""

    # Fetching.

    def _missing_rows(self) -> Sequence[int]:
        """The sequence numbers of rows that will be seen and whose cells are not there."""
        if not self._sequences:
            return ()
        _, top = self._aim()
        return [each for each in self._visible_rows(top) if not self._has_cells(each)]

    def _has_cells(self, sequence: int) -> bool:
        found = self._cells.get(sequence)
        return found is not None and (found.fields is self._fields or not self._fields or not found.address)

    def _missing_near(self) -> Sequence[int]:
        """Those of the page above and of the page below, for who goes through the list: a key then paints once."""
        if self.follow or not self._sequences:
            return ()
        _, top = self._aim()
        first, last = self._dividers.row_of(max(top - self._page, 0)), self._dividers.row_of(top + 2 * self._page)
        return [each for each in self._sequences[first:last] if not self._has_cells(each)]

    def _fetch_missing(self) -> None:
        if (self._fetching is None or self._fetching.is_finished) and (self._missing_rows() or self._missing_near()):
            self._fetching = self.run_worker(self._fetch(), group="fetch")

    async def _fetch(self) -> None:
        """Fetch what can be seen until all of it is there: the list may grow and be scrolled meanwhile."""
        while (archive := self._archive) is not None:
            seen = bool(missing := self._missing_rows())
            if not (missing := missing or self._missing_near()):
                break
            try:
                found: Sequence[Delivery | None] = await archive.rows(missing)
                sentence = "This event is no longer held."
            except StoreError as error:
                found, sentence = [None] * len(missing), str(error)
            began = asyncio.get_running_loop().time()
            for sequence, delivery in zip(missing, found, strict=True):
                cells = _cells_saying(sentence) if delivery is None else await _cells(archive, delivery, self._fields)
                if archive is not self._archive:
                    break
                self._cells[sequence] = cells
                if delivery is not None and (verb := self.verb_of(sequence, delivery)):
                    self._verbs[sequence] = verb
                if asyncio.get_running_loop().time() - began > AT_ONCE:
                    await asyncio.sleep(0)
                    began = asyncio.get_running_loop().time()
                    if not set(missing) & set(self._missing_rows() or missing):
                        break
            while len(self._cells) > max(KEPT, 4 * self._page):
                self._verbs.pop(self._cells.popitem(last=False)[0], None)
            if seen:
                self._settle(fetched=True)

    # Moving.

    def watch_follow(self, follow: bool) -> None:
        """Following begins at the end."""
        if follow and self._view is not None and self.is_mounted:
            self._settle()
            self._fetch_missing()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """What has come into sight is fetched."""
        super().watch_scroll_y(old_value, new_value)
        if self._view is not None and self._sequences:
            self._keep_top()
            self._count_unseen()
            self._fetch_missing()

    def on_resize(self) -> None:
        """Another size shows other rows."""
        if self._known:
            self.update_rows()

    def on_mouse_scroll_up(self) -> None:
        """Who looks back does not follow."""
        if self.max_scroll_y:
            self.follow = False

    def on_scroll_up(self, message: ScrollUp) -> None:
        """The scrollbar was clicked above its grip."""
        self._scroll_by_bar(message, self.scroll_y - self._page)

    def on_scroll_down(self, message: ScrollDown) -> None:
        """The scrollbar was clicked below its grip."""
        self._scroll_by_bar(message, self.scroll_y + self._page)

    def on_scroll_to(self, message: ScrollTo) -> None:
        """The scrollbar's grip was dragged."""
        if message.y is not None:
            self._scroll_by_bar(message, message.y)

    def _scroll_by_bar(self, message: Message, y: float) -> None:
        # Textual would glide there, and be stopped on its way whenever rows are added.
        message.prevent_default().stop()
        if y < self.max_scroll_y:
            self.follow = False
        self.scroll_to(y=y, animate=False)

    @property
    def in_sight(self) -> int:
        """How many rows can be seen at once."""
        return self._page

    def move(self, lines: int) -> None:
        """Go down or up; who goes up does not follow."""
        self._settle()
        self._go(self._row + lines)

    def go_to_end(self, last: bool) -> None:
        """Go to the first row; or to the last, and follow."""
        if last:
            self.follow = True
        else:
            self._go(0)


def _nothing(_: int, __: Delivery) -> str:
    """Nothing became of it."""
    return ""


async def _cells(archive: Archive, delivery: Delivery, fields: Sequence[Field]) -> Cells:
    seen = await archive.reading.mask_off_loop(delivery)
    return cells_of(seen, archive.reading.facts(seen), fields)


def _cells_saying(sentence: str) -> Cells:
    """A line for an event that cannot be read."""
    return Cells(0, 0, "", "", {"body": sentence})
