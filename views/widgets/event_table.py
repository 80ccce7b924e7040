"""The table of events: a line each, of which only those that can be seen are fetched, read and drawn.

`EventRows` knows which rows there are and makes their cells; here they are drawn, in columns, and marked.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

import msgspec
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from views.widgets.event_cells import flow_of, time_ago
from views.widgets.event_marks import Marks
from views.widgets.event_rows import EventRows
from views.widgets.styles import text_style
from workbench.decode.display import cells, visible
from workbench.query.field import Field
from workbench.query.query import PLAIN
from workbench.store.archive import Archive
from workbench.store.view import Place, Rows
from workbench.table.cells import Cells, longest_time, time_of_day
from workbench.table.columns import COLUMNS, GAP, Column, ColumnLayout, column_of, fit

SIGNS: Final = 2
"""Cells on the left for cursor and mark."""
_VERB_SIGNS: Final = {"moved": "→", "copied": "→", "deleted": "x", "taken back": "←"}
"""What stands in the place of a mark where an operation dealt with an event since it was seen."""
FEW_COLUMNS: Final = 100
"""Columns of the screen below which the table has only those that it cannot do without."""


class EventTable(EventRows):
    """Events of a view, in columns, which can be marked."""

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
    relative_times: reactive[bool] = reactive(False)
    """Whether times are shown as how long ago they were."""
    coloured: reactive[bool] = reactive(False)
    """Whether correlations are told apart by colours."""
    empty: reactive[Text] = reactive(Text)
    """What is said where there is no row."""

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
        self._marks = Marks()
        self._range: Place | None = None
        self._judged = False
        self._columns = ColumnLayout(lambda: self._span, lambda: self.app.size.width < FEW_COLUMNS, SIGNS)
        self._base = Style()
        self._cursor_style = Style()
        self._part_styles: dict[str, Style] = {}
        self._room: Sequence[tuple[Column, int]] = ()
        self._wide = 0

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
        self._columns.sorted = None
        if archive is not self._archive:
            self._marks = Marks()
        self._range = None
        self.show_rows(archive, view)

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
    def verb(self) -> str:
        """What became of the event at the cursor since it was seen; empty: nothing, or it is not known yet."""
        return self._verbs.get(self.cursor, "") if self.cursor is not None else ""

    @property
    def marks_range(self) -> bool:
        """Whether a range of marks has been begun and not ended."""
        return self._range is not None

    def unmark(self, sequences: Iterable[int]) -> None:
        """Mark events no longer."""
        if self._view is not None:
            self._marks.remove(self._view, sequences)
            self.refresh()

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
        if self._view is not None:
            await self._marks.toggle_all(self._view)
            self.refresh()

    async def invert_marks(self) -> None:
        """Mark those events of the list that are not marked, and no others."""
        if self._view is not None:
            await self._marks.invert(self._view)
            self.refresh()

    def _rows_in_range(self) -> tuple[int, int]:
        """The rows of the range that was begun: the first, and the one behind the last; none where none was."""
        if self._range is None or self._view is None:
            return 0, 0
        begun = self._view.row_of(self._range)
        return min(begun, self._row), min(max(begun, self._row) + 1, len(self._sequences))

    def _notice(self, sequences: Sequence[int]) -> None:
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

    def _forget(self, first: int) -> None:
        self._marks.forget(first)

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        # These walk up the tree of widgets, which for every line would take as long as all else.
        self._base = self.rich_style
        self._part_styles = {
            part: self._base + text_style(self, f"event-table--{part}")
            for part in ("header", "chosen", "sign", "dim", "divider")
        }
        self._cursor_style = self._base + self.get_component_rich_style("event-table--cursor")
        self._wide = self._span
        self._room = self._columns.arrange(self._wide)
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._wide
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
        lines = self.empty.wrap(self.app.console, room)
        at = y - max((self.size.height - len(lines)) // 2, 0)
        if not 0 <= at < len(lines):
            return Strip([])
        dim = self._part_styles.get("dim")
        line = [Segment(visible(text), style) for text, style, _ in lines[at].render(self.app.console)]
        space = Segment(" " * max((width - sum(cells(text) for text, *_ in line)) // 2, 0))
        return Strip([space, *Segment.apply_style(line, dim)]).crop(0, width)

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
        verb = self._verbs.get(sequence, "")
        mark = "●" if sequence in self._marks else "○" if begin <= row < end else _VERB_SIGNS.get(verb, " ")
        signs = ("▌" if here else " ") + mark
        plain = self._cursor_style if here else self._base
        sign = plain if here else self._part_styles.get("sign", plain)
        if found is None:
            dim = plain if here else self._part_styles.get("dim")
            return Strip([Segment(signs, sign), Segment("…", dim)]).adjust_cell_length(width, plain)
        self._cells.move_to_end(sequence)
        parts = []
        for column, room in self._room:
            text = fit(self._text(found, column, room), room, column)
            faded = bool(verb) and verb != "copied"
            style = self._part_styles.get("dim", plain) if faded else self._style_of(found, column)
            parts.append((text, plain if here else style))
        return self._line(signs, sign, parts, width)

    def _line(self, signs: str, sign: Style, parts: Sequence[tuple[str, Style]], width: int) -> Strip:
        """A line of cells that are as wide as `_room` says: as few segments as can be, for each costs."""
        pieces: list[tuple[str, Style]] = [(signs, sign)]
        for index, (text, style) in enumerate(parts, 1):
            text += " " * GAP if index < len(parts) else ""
            before, known = pieces[-1]
            if style is known:
                pieces[-1] = before + text, style
            else:
                pieces.append((text, style))
        drawn = [Segment(text, style) for text, style in pieces]
        used = SIGNS + sum(room for _, room in self._room) + GAP * max(len(parts) - 1, 0)
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

    # Pointing.

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
