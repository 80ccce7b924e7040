"""The table of events: a line each, of which only those that can be seen are fetched, read and drawn.

What it shows are `Rows`, such as a view, which grows, has rows put in between and loses its oldest. So the table holds
on to places and not to row numbers: the cursor's, and that of the uppermost line. A delivery is turned into cells once,
where it can be seen first; a line is made of them whenever it is drawn. Between rows there may be dividers, such as for
what was missed: lines that the cursor passes over.
"""

import asyncio
import textwrap
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from sys import maxsize
from typing import ClassVar, Final

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip
from textual.worker import Worker

from views.widgets.dividers import Dividers
from views.widgets.event_cells import flow_of, time_ago
from views.widgets.event_marks import Marks
from views.widgets.line_view import Lines
from views.widgets.styles import text_style
from workbench.decode.display import cells, visible
from workbench.model.errors import StoreError
from workbench.model.event import Delivery
from workbench.query.field import Field
from workbench.query.query import PLAIN
from workbench.store.archive import Archive
from workbench.store.view import Place, Rows
from workbench.table.cells import Cells, cells_of, longest_time, time_of_day
from workbench.table.columns import COLUMNS, GAP, Column, ColumnLayout, column_of, fit

SIGNS: Final = 2
"""Cells on the left for cursor and mark."""
FEW_COLUMNS: Final = 100
"""Columns of the screen below which the table has only those that it cannot do without."""
KEPT: Final = 500
"""Deliveries whose cells are kept."""
AT_ONCE: Final = 0.008
"""Seconds for which deliveries are read before others get the event loop: one with megabytes to read takes some."""
_MARKED_AT_ONCE: Final = 20_000
"""Marks that are set before others get the event loop."""


class EventTable(Lines):
    """Events of a view, with a cursor that stays on its event, or keeps to the newest while it follows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "choose_column(-1)", show=False),
        Binding("right", "choose_column(1)", show=False),
        Binding("shift+down", "mark_on(1)", show=False),
        Binding("shift+up", "mark_on(-1)", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "event-table--header",
        "event-table--chosen",
        "event-table--cursor",
        "event-table--sign",
        "event-table--dim",
        "event-table--divider",
        "event-table--chip",
    }
    DEFAULT_CSS = """
    EventTable {
        overflow-x: hidden;
        & > .event-table--header { color: $muted; text-style: $muted-style; }
        & > .event-table--chosen { text-style: bold underline; }
        & > .event-table--cursor { background: $background; }
        &:focus > .event-table--cursor { background: $cursor; text-style: $cursor-style; }
        & > .event-table--sign { color: $focus; text-style: bold; }
        & > .event-table--dim { color: $muted; text-style: $muted-style; }
        & > .event-table--divider { color: $warn; }
        & > .event-table--chip { color: $focus; text-style: bold reverse; }
    }
    """
    follow: reactive[bool] = reactive(True)
    """Whether the cursor keeps to the last row as rows are added."""
    relative_times: reactive[bool] = reactive(False)
    """Whether times are shown as how long ago they were."""
    coloured: reactive[bool] = reactive(False)
    """Whether correlations are told apart by colours."""
    empty: reactive[str] = reactive("")
    """What is said where there is no row."""

    class Moved(Message):
        """The cursor is on another event.

        Attributes:
            sequence: Its sequence number; None: on none.
        """

        def __init__(self, sequence: int | None) -> None:
            super().__init__()
            self.sequence = sequence

    class Opened(Message):
        """An event was clicked that the cursor was on."""

        def __init__(self, sequence: int) -> None:
            super().__init__()
            self.sequence = sequence

    class Failed(Message):
        """Most of the events that can be seen first are dead letters."""

    class Sorted(Message):
        """The order by a column was asked for.

        Attributes:
            column: Which.
        """

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

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
        self._fetching: Worker[None] | None = None
        self._marks = Marks()
        self._range: Place | None = None
        self._judged = False
        self._first = 0
        self._gaps: Sequence[tuple[int, str]] = ()
        self._order: tuple[str, str] | None = None
        self._sorted_count: Callable[[], int] | None = None
        self._dividers = Dividers()
        self._fields: tuple[Field, ...] = ()
        self._columns = ColumnLayout(lambda: self._span, lambda: self.app.size.width < FEW_COLUMNS, SIGNS)
        self._base = Style()
        self._cursor_style = Style()
        self._part_styles: dict[str, Style] = {}
        self._room: Sequence[tuple[Column, int]] = ()

    def on_mount(self) -> None:
        """Times that are relative go on."""
        self.set_interval(1, self._tick)

    # What is shown.

    def show(self, archive: Archive, view: Rows, mixed: bool = True, failed: bool = False) -> None:
        """Show another list, from its end if the table follows, else from its beginning.

        Args:
            archive: What the list is of.
            view: The list.
            mixed: Whether its events are of several endpoints, so that each has to say of which.
            failed: Whether they are known to be dead letters, which say why they are; else those that can be seen first
                tell.
        """
        self._columns.mixed, self._columns.failed = mixed, failed
        self._judged = failed
        self._columns.forget_needs()
        if archive is not self._archive:
            self._cells.clear()
            self._marks = Marks()
            self._fields = tuple(Field(field.text, archive.reading) for field in self._fields)
        self._archive, self._view = archive, view
        self._row, self._at, self._top, self._end, self._range = 0, None, None, None, None
        self._order = self._sorted_count = self._columns.sorted = None
        self._gaps, self._dividers = (), Dividers()
        self._old, self._unseen, self._seen = archive.upto, 0, None
        # A view that has asked about nothing yet is not an empty one: saying so for a moment would be flicker.
        self._known = False
        self.scroll_to(y=0, animate=False, force=True)
        if len(view.sequences):
            self.update_rows()
        else:
            self.refresh()

    def show_order(self, column: str, descending: bool, count: Callable[[], int]) -> None:
        """Say that the list is sorted.

        Args:
            column: By which.
            descending: Whether the largest comes first.
            count: How many rows are sorted by now; those behind them are not.
        """
        self._order, self._sorted_count = (column, "↓" if descending else "↑"), count
        self._columns.sorted = column
        self._settle()
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

    # Columns.

    @property
    def all_columns(self) -> Sequence[Column]:
        """The columns there are."""
        return COLUMNS

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that are shown: what the user chose, else what the screen is wide enough for."""
        return self._columns.columns

    @columns.setter
    def columns(self, columns: Sequence[Column]) -> None:
        self._columns.picked = tuple(columns)
        reading = self._archive.reading if self._archive is not None else PLAIN
        known = {column.id for column in COLUMNS}
        self._fields = tuple(Field(column.field, reading) for column in columns if column.id not in known)
        self._settle(fetched=True)
        self._fetch_missing()
        self.refresh()

    def add_column(self, path: str) -> None:
        """Show one more column, before the body, and choose it; one that is shown is chosen.

        Args:
            path: What it shows, as a query has it: `header.retry`, `body.a.b[0]`, `reason`.

        Raises:
            QueryError: There is no such field.
        """
        column = column_of(path)
        shown = list(self.columns)
        if column not in shown:
            shown.insert(len(shown) - (bool(shown) and not shown[-1].width), column)
            self.columns = shown
        self._columns.clicked = column.id
        self.refresh()

    @property
    def chosen_column(self) -> str:
        """The column whose header was clicked last; before, the one beside the body."""
        return self._columns.chosen

    def action_choose_column(self, by: int) -> None:
        """Choose the next column, or the one before."""
        self._columns.choose_next(by)
        self.refresh()

    def widen(self, id: str, by: int) -> None:
        """Make a column wider by so many cells, or narrower; the body's gives way."""
        self._columns.widen(id, by, self._span)
        self.refresh()

    # Marks.

    @property
    def marks(self) -> frozenset[int]:
        """The sequence numbers of marked events that are in the view; a filter hides a mark and does not forget it."""
        return frozenset(self._marks.within(self._view)) if self._view is not None else frozenset()

    @property
    def mark_count(self) -> int:
        """How many marked events are in the view."""
        return len(self._marks.within(self._view)) if self._view is not None else 0

    @property
    def marks_range(self) -> bool:
        """Whether a range of marks has been begun and not ended."""
        return self._range is not None

    def toggle_mark(self) -> None:
        """Mark the event at the cursor, or no longer; the cursor goes on. A range that was begun is marked."""
        if self._range is not None:
            self.mark_range()
        elif self._at is not None and self._view is not None:
            marked = self._at.sequence in self._marks
            (self._marks.remove if marked else self._marks.add)(self._view, (self._at.sequence,))
            self.refresh()
            self.action_cursor_down()

    def action_mark_on(self, by: int) -> None:
        """Mark the event at the cursor and the one that the cursor goes to."""
        for step in (0, by):
            if step:
                self.move(step)
            if self._at is not None and self._view is not None:
                self._marks.add(self._view, (self._at.sequence,))
        self.refresh()

    def mark_range(self) -> None:
        """Begin a range at the cursor; or mark all from where it was begun to the cursor."""
        if self._at is None or self._view is None:
            return
        if self._range is None:
            self._range = self._at
        else:
            self._marks.add(self._view, self._sequences[slice(*self._rows_in_range())])
            self._range = None
        self.refresh()

    def leave_range(self) -> None:
        """Mark no range."""
        self._range = None
        self.refresh()

    async def mark_all(self) -> None:
        """Mark all events that the list has by now; none, if they all are."""
        if (view := self._view) is None:
            return
        marked = len(self._marks.within(view)) == len(view.sequences)
        for some in self._pieces(view):
            (self._marks.remove if marked else self._marks.add)(view, some)
            await asyncio.sleep(0)
        self.refresh()

    async def invert_marks(self) -> None:
        """Mark those events of the list that are not marked, and no others."""
        if (view := self._view) is None:
            return
        marked = frozenset(self._marks.within(view))
        for some in self._pieces(view):
            self._marks.add(view, [each for each in some if each not in marked])
            self._marks.remove(view, [each for each in some if each in marked])
            await asyncio.sleep(0)
        self.refresh()

    def _pieces(self, view: Rows) -> Sequence[Sequence[int]]:
        sequences = view.sequences[:]
        return [sequences[at : at + _MARKED_AT_ONCE] for at in range(0, len(sequences), _MARKED_AT_ONCE)]

    def _rows_in_range(self) -> tuple[int, int]:
        """The rows of the range that was begun: the first, and the one behind the last; none where none was."""
        if self._range is None or self._view is None:
            return 0, 0
        begun = self._view.row_of(self._range)
        return min(begun, self._row), min(max(begun, self._row) + 1, len(self._sequences))

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
                placed = [(behind, "came in since it was sorted")]
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
            self._marks.forget(self._first)
        self._put(row)
        before = self._unseen
        self._count_unseen()
        shown = self._visible_rows(top)
        seen = self.cursor, self._several, list(shown), self._dividers.texts
        if fetched or seen != self._seen:
            self._seen = seen
            self._note(shown)
            self.refresh()
        elif before != self._unseen:
            self.refresh(Region(0, self.size.height - 1, self._span, 1))

    def _note(self, sequences: Sequence[int]) -> None:
        """Let columns be as wide as what is seen of these events needs."""
        there = [found for each in sequences if (found := self._cells.get(each)) is not None and found.address]
        if there and not self._judged:
            self._judged = True
            if sum("reason" in found.texts for found in there) > len(there) / 2:
                self._columns.failed = True
                self.post_message(self.Failed())
        columns = self.columns
        for found in there:
            for column in columns:
                self._columns.note(column.id, self._longest(found, column))

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
                sentence = "It is no longer held."
            except StoreError as error:
                found, sentence = [None] * len(missing), str(error)
            began = asyncio.get_running_loop().time()
            for sequence, delivery in zip(missing, found, strict=True):
                cells = _cells_saying(sentence) if delivery is None else await _cells(archive, delivery, self._fields)
                if archive is not self._archive:
                    break
                self._cells[sequence] = cells
                if asyncio.get_running_loop().time() - began > AT_ONCE:
                    await asyncio.sleep(0)
                    began = asyncio.get_running_loop().time()
                    if not set(missing) & set(self._missing_rows() or missing):
                        break
            while len(self._cells) > max(KEPT, 4 * self._page):
                self._cells.popitem(last=False)
            if seen:
                self._settle(fetched=True)

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        # These walk up the tree of widgets, which for every line would take as long as all else.
        self._base = self.rich_style
        self._part_styles = {
            part: self._base + text_style(self, f"event-table--{part}")
            for part in ("header", "chosen", "sign", "dim", "divider")
        }
        self._cursor_style = self._base + self.get_component_rich_style("event-table--cursor")
        self._room = self._columns.arrange(self._span)
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._span
        line = self.scroll_offset.y + y - 1
        row = self._dividers.row_of(line)
        if not self._sequences:
            strip = self._empty_line(y, width)
        elif y == 0:
            strip = self._header(width)
        elif (text := self._dividers.text_in(line)) is not None:
            strip = self._divider(text, width)
        elif row < len(self._sequences):
            strip = self._event(row, width)
        else:
            strip = Strip([])
        strip = strip.adjust_cell_length(width, self._base)
        if self._unseen and y == self.size.height - 1:
            strip = self._with_chip(strip, width)
        return strip

    def _empty_line(self, y: int, width: int) -> Strip:
        if not self._known and self._view is not None:
            return Strip([])
        room = max(min(width - 4, 60), 1)
        lines = [line for part in self.empty.split("\n") for line in textwrap.wrap(visible(part), room)]
        at = y - max((self.size.height - len(lines)) // 2, 0)
        if not 0 <= at < len(lines):
            return Strip([])
        line = visible(lines[at], width)
        space = Segment(" " * ((width - cells(line)) // 2), self._base)
        return Strip([space, Segment(line, self._part_styles.get("dim"))])

    def _header(self, width: int) -> Strip:
        parts: list[tuple[str, Style]] = []
        for column, room in self._room:
            title = column.title
            if self._order is not None and column.id == self._order[0]:
                title = f"{visible(title, max(room - 2, 1))} {self._order[1]}"
            title = fit(title, room, msgspec.structs.replace(column, cut="end"))
            style = self._part_styles.get("chosen" if column.id == self._columns.clicked else "header", self._base)
            parts.append((title, style))
        return self._line(" " * SIGNS, self._base, parts, width)

    def _divider(self, text: str, width: int) -> Strip:
        line = visible(f"── {text} ", max(width - SIGNS, 1))
        filled = " " * SIGNS + line + "─" * (width - SIGNS - cells(line))
        return Strip([Segment(filled, self._part_styles.get("divider"))])

    def _event(self, row: int, width: int) -> Strip:
        sequence = self._sequences[row]
        found = self._cells.get(sequence)
        here = sequence == self.cursor
        begin, end = self._rows_in_range()
        signs = ("▌" if here else " ") + ("●" if sequence in self._marks else "○" if begin <= row < end else " ")
        plain = self._cursor_style if here else self._base
        sign = plain if here else self._part_styles.get("sign", plain)
        if found is None:
            dim = plain if here else self._part_styles.get("dim")
            return Strip([Segment(signs, sign), Segment("…", dim)]).adjust_cell_length(width, plain)
        self._cells.move_to_end(sequence)
        parts = []
        for column, room in self._room:
            text = fit(self._text(found, column, room), room, column)
            parts.append((text, plain if here else self._style_of(found, column)))
        return self._line(signs, sign, parts, width)

    def _line(self, signs: str, sign: Style, parts: Sequence[tuple[str, Style]], width: int) -> Strip:
        """A line of cells that are as wide as `_room` says: as few segments as can be, for each costs."""
        pieces: list[tuple[str, Style]] = [(signs, sign)]
        for text, style in parts:
            before, known = pieces[-1]
            if style is known:
                pieces[-1] = before + text + " " * GAP, style
            else:
                pieces.append((text + " " * GAP, style))
        drawn = [Segment(text, style) for text, style in pieces]
        used = SIGNS + sum(room + GAP for _, room in self._room)
        # To say how long it is spares counting the cells of every character again.
        return Strip(drawn, used).adjust_cell_length(width, parts[-1][1] if parts else sign)

    def _text(self, found: Cells, column: Column, room: int) -> str:
        match column.id:
            case "time" | "seen":
                time = found.time if column.id == "time" else found.seen
                return time_ago(time) if self.relative_times else time_of_day(time, room)
            case "from":
                return found.address if self._several else found.endpoint
            case id:
                return found.texts.get(id, "")

    def _longest(self, found: Cells, column: Column) -> str:
        """What a cell holds where there is room for all of it."""
        if column.id in ("time", "seen") and not self.relative_times:
            return longest_time(found.time if column.id == "time" else found.seen)
        return self._text(found, column, 0)

    def _style_of(self, found: Cells, column: Column) -> Style:
        if column.id in ("time", "seen"):
            return self._part_styles.get("dim", self._base)
        if column.id == "correlation" and self.coloured and (correlation := found.texts.get("correlation")):
            hue = self.app.theme_variables[f"flow-{flow_of(correlation)}"]
            return self._base + Style(color=Color.parse(hue).rich_color)
        return self._base

    def _with_chip(self, strip: Strip, width: int) -> Strip:
        chip = self._chip
        return Strip.join(
            [
                strip.crop(0, width - cells(chip)),
                Strip([Segment(chip, self.get_component_rich_style("event-table--chip"))]),
            ]
        )

    @property
    def _chip(self) -> str:
        """How much came in that was not seen; in the bottom right."""
        return visible(f" ↓ {self._unseen:,} new ", self._span) if self._unseen else ""

    def _tick(self) -> None:
        if self.relative_times:
            self.refresh()

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

    def on_click(self, event: Click) -> None:
        """Go to an event, open the one at the cursor, choose a column, or follow."""
        y, line = int(event.y), self.scroll_offset.y + int(event.y) - 1
        row = self._dividers.row_of(line)
        if self._unseen and y == self.size.height - 1 and event.x >= self._span - cells(self._chip):
            self.follow = True
        elif y == 0:
            if self._columns.click(int(event.x), self._span):
                self.post_message(self.Sorted(column_of(self._columns.chosen)))
            self.refresh()
        elif self._dividers.text_in(line) is None and row < len(self._sequences):
            if self._sequences[row] == self.cursor:
                self.post_message(self.Opened(self._sequences[row]))
            else:
                self._go(row)

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


async def _cells(archive: Archive, delivery: Delivery, fields: Sequence[Field]) -> Cells:
    seen = await archive.reading.mask_off_loop(delivery)
    return cells_of(seen, archive.reading.facts(seen), fields)


def _cells_saying(sentence: str) -> Cells:
    """A line for an event that cannot be read."""
    return Cells(0, 0, "", "", {"body": sentence})
