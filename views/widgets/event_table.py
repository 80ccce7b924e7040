"""The table of events: a line each, of which only those that can be seen are fetched, read and drawn.

What it shows is a `View`, which grows, has rows put in between and loses its oldest. So the table holds on to places
and not to row numbers: the cursor's, and that of the uppermost line. A delivery is turned into cells once, where it can
be seen first; a line is made of them whenever it is drawn.
"""

import asyncio
import textwrap
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp
from textual.strip import Strip
from textual.worker import Worker

from views.widgets.event_cells import Cells, cells_of, time_ago, time_of_day
from views.widgets.event_columns import COLUMNS, GAP, SIGNS, Column, ColumnLayout, fit
from views.widgets.line_view import Lines
from views.widgets.styles import text_style
from workbench.decode.display import cells, visible
from workbench.model.errors import StoreError
from workbench.model.event import Delivery
from workbench.store.archive import Archive
from workbench.store.view import Place, View

FEW_COLUMNS: Final = 100
"""Columns of the screen below which the table has only those that it cannot do without."""
KEPT: Final = 500
"""Deliveries whose cells are kept."""
AT_ONCE: Final = 0.008
"""Seconds for which deliveries are read before others get the event loop: one with megabytes to read takes some."""
_BETWEEN: Final = Segment(" " * GAP)


class EventTable(Lines):
    """Events of a view, with a cursor that stays on its event, or keeps to the newest while it follows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "event-table--header",
        "event-table--chosen",
        "event-table--cursor",
        "event-table--sign",
        "event-table--dim",
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

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._archive: Archive | None = None
        self._view: View | None = None
        self._known = False
        self._several = False
        self._row = 0
        self._at: Place | None = None
        self._top: Place | None = None
        self._end: Place | None = None
        self._reported: int | None = None
        self._old = 0
        self._unseen = 0
        self._seen: tuple[int | None, bool, list[int]] | None = None
        self._cells: OrderedDict[int, Cells] = OrderedDict()
        self._fetching: Worker[None] | None = None
        self._marks: dict[int, Place] = {}
        self._columns = ColumnLayout(lambda: self.app.size.width < FEW_COLUMNS)
        self._base = Style()
        self._part_styles: dict[str, Style] = {}
        self._room: Sequence[tuple[Column, int]] = ()

    def on_mount(self) -> None:
        """Times that are relative go on."""
        self.set_interval(1, self._tick)

    # What is shown.

    def show(self, archive: Archive, view: View, mixed: bool = True) -> None:
        """Show another list, from its end if the table follows, else from its beginning.

        Args:
            archive: What the list is of.
            view: The list.
            mixed: Whether its events are of several endpoints, so that each has to say of which.
        """
        self._columns.mixed = mixed
        if archive is not self._archive:
            self._cells.clear()
            self._marks.clear()
        self._archive, self._view = archive, view
        self._row, self._at, self._top, self._end = 0, None, None, None
        self._old, self._unseen, self._seen = archive.upto, 0, None
        # A view that has asked about nothing yet is not an empty one: saying so for a moment would be flicker.
        self._known = False
        self.scroll_to(y=0, animate=False, force=True)
        if len(view.sequences):
            self.update_rows()
        else:
            self.refresh()

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
        self.refresh()

    @property
    def chosen_column(self) -> str:
        """The column whose header was clicked last; before, the one beside the body."""
        return self._columns.chosen

    def widen(self, id: str, by: int) -> None:
        """Make a column wider by so many cells, or narrower; the body's gives way."""
        self._columns.widen(id, by, self._span)
        self.refresh()

    # Marks.

    @property
    def marks(self) -> frozenset[int]:
        """The sequence numbers of marked events that are in the view; a filter hides a mark and does not forget it."""
        return frozenset(sequence for sequence, place in self._marks.items() if self._is_there(place))

    def toggle_mark(self) -> None:
        """Mark the event at the cursor, or no longer; the cursor goes on."""
        if self._at is not None:
            if self._marks.pop(self._at.sequence, None) is None:
                self._marks[self._at.sequence] = self._at
            self.refresh()
            self.action_cursor_down()

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

    def _is_there(self, place: Place) -> bool:
        row = self._view.row_of(place) if self._view is not None else 0
        return row < len(self._sequences) and self._sequences[row] == place.sequence

    def _aim(self) -> tuple[int, int]:
        """The rows where cursor and uppermost line belong by now; there is at least one row."""
        view, count = self._view, len(self._sequences)
        assert view is not None
        if self.follow:
            return count - 1, max(count - self._page, 0)
        row = view.row_of(self._at) if self._at is not None else 0
        top = view.row_of(self._top) if self._top is not None else 0
        return min(row, count - 1), min(top, max(count - self._page, 0))

    def _settle(self, fetched: bool = False) -> None:
        """Bring cursor and lines to where they belong by now, and draw what is seen of that.

        Args:
            fetched: Whether there are cells that were not there before.
        """
        if not self._known or self._view is None or self._archive is None:
            return
        count = len(self._sequences)
        row, top = self._aim() if count else (0, 0)
        self.extend_to(Size(self._span, count + 1))
        self.scroll_to(y=top, animate=False, force=True)
        self._top = self._view.place(self.scroll_offset.y) if self.scroll_offset.y < count else None
        self._several = len({look.address.connection for look in self._archive.looks.values()}) > 1
        if self._marks:
            self._marks = {each: place for each, place in self._marks.items() if each >= self._archive.first}
        self._put(row)
        before = self._unseen
        self._count_unseen()
        seen = self.cursor, self._several, list(self._sequences[top : top + self._page])
        if fetched or seen != self._seen:
            self._seen = seen
            self.refresh()
        elif before != self._unseen:
            self.refresh(Region(0, self.size.height - 1, self._span, 1))

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
            or self.scroll_offset.y + self._page >= count
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
        top = self.scroll_offset.y
        self.scroll_to(y=max(min(top, row), row - self._page + 1), animate=False, force=True)
        self._count_unseen()
        self._fetch_missing()
        self.refresh()

    # Fetching.

    def _missing_rows(self) -> Sequence[int]:
        """The sequence numbers of rows that will be seen and whose cells are not there."""
        if not self._sequences:
            return ()
        _, top = self._aim()
        return [each for each in self._sequences[top : top + self._page] if each not in self._cells]

    def _fetch_missing(self) -> None:
        if (self._fetching is None or self._fetching.is_finished) and self._missing_rows():
            self._fetching = self.run_worker(self._fetch(), group="fetch")

    async def _fetch(self) -> None:
        """Fetch what can be seen until all of it is there: the list may grow and be scrolled meanwhile."""
        while (archive := self._archive) is not None and (missing := self._missing_rows()):
            try:
                found: Sequence[Delivery | None] = await archive.rows(missing)
                sentence = "It is no longer held."
            except StoreError as error:
                found, sentence = [None] * len(missing), str(error)
            began = asyncio.get_running_loop().time()
            for sequence, delivery in zip(missing, found, strict=True):
                if archive is not self._archive:
                    break
                self._cells[sequence] = _cells_saying(sentence) if delivery is None else _cells(archive, delivery)
                if asyncio.get_running_loop().time() - began > AT_ONCE:
                    await asyncio.sleep(0)
                    began = asyncio.get_running_loop().time()
            while len(self._cells) > max(KEPT, 4 * self._page):
                self._cells.popitem(last=False)
            self._settle(fetched=True)

    # Drawing.

    def render_lines(self, crop: Region) -> list[Strip]:
        # These walk up the tree of widgets, which for every line would take as long as all else.
        self._base = self.rich_style
        self._part_styles = {
            part: text_style(self, f"event-table--{part}") for part in ("header", "chosen", "sign", "dim")
        }
        self._room = self._columns.arrange(self._span)
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._span
        row = self.scroll_offset.y + y - 1
        if not self._sequences:
            strip = self._empty_line(y, width)
        elif y == 0:
            strip = self._header(width)
        elif row < len(self._sequences):
            strip = self._event(self._sequences[row], width)
        else:
            strip = Strip([])
        strip = strip.adjust_cell_length(width)
        if self._unseen and y == self.size.height - 1:
            strip = self._with_chip(strip, width)
        return strip.apply_style(self._base)

    def _empty_line(self, y: int, width: int) -> Strip:
        if not self._known and self._view is not None:
            return Strip([])
        lines = textwrap.wrap(visible(self.empty), max(min(width - 4, 60), 1))
        at = y - max((self.size.height - len(lines)) // 2, 0)
        if not 0 <= at < len(lines):
            return Strip([])
        line = visible(lines[at], width)
        return Strip([Segment(" " * ((width - cells(line)) // 2)), Segment(line, self._part_styles.get("dim"))])

    def _header(self, width: int) -> Strip:
        parts = []
        for column, room in self._room:
            title = fit(column.title, room, msgspec.structs.replace(column, cut="end"))
            parts.append((title, self._part_styles.get("chosen" if column.id == self._columns.clicked else "header")))
        return self._line(Segment(" " * SIGNS), parts, width)

    def _event(self, sequence: int, width: int) -> Strip:
        found = self._cells.get(sequence)
        here = sequence == self.cursor
        signs = ("▌" if here else " ") + ("●" if sequence in self._marks else " ")
        sign = Segment(signs, None if here else self._part_styles.get("sign"))
        if found is None:
            strip = Strip([sign, Segment("…", None if here else self._part_styles.get("dim"))]).adjust_cell_length(
                width
            )
        else:
            self._cells.move_to_end(sequence)
            parts = []
            for column, room in self._room:
                text = fit(self._text(found, column, room), room, column)
                parts.append((text, None if here else self._style_of(found, column)))
            strip = self._line(sign, parts, width)
        if not here:
            return strip
        return strip.apply_style(self.get_component_rich_style("event-table--cursor"))

    def _line(self, sign: Segment, parts: Sequence[tuple[str, Style | None]], width: int) -> Strip:
        """A line of cells that are as wide as `_room` says."""
        drawn = [sign]
        for text, style in parts:
            drawn += (Segment(text, style), _BETWEEN)
        used = SIGNS + sum(room for _, room in self._room) + GAP * (len(self._room) - 1)
        if used > width or not self._room:
            return Strip(drawn).adjust_cell_length(width)
        # To say how long it is spares counting the cells of every character again.
        drawn[-1] = Segment(" " * (width - used))
        return Strip(drawn, width)

    def _text(self, found: Cells, column: Column, room: int) -> str:
        match column.id:
            case "time" | "seen":
                time = found.time if column.id == "time" else found.seen
                return time_ago(time) if self.relative_times else time_of_day(time, room)
            case "from":
                return found.address if self._several else found.endpoint
            case id:
                return found.texts.get(id, "")

    def _style_of(self, found: Cells, column: Column) -> Style | None:
        if column.id in ("time", "seen"):
            return self._part_styles.get("dim")
        if column.id == "correlation" and self.coloured and found.colour is not None:
            return Style(color=Color.parse(self.app.theme_variables[f"flow-{found.colour}"]).rich_color)
        return None

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
        top = self.scroll_offset.y
        if self._view is not None and top < len(self._sequences):
            self._top = self._view.place(top)
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
        y, row = int(event.y), self.scroll_offset.y + int(event.y) - 1
        if self._unseen and y == self.size.height - 1 and event.x >= self._span - cells(self._chip):
            self.follow = True
        elif y == 0:
            self._columns.click(int(event.x), self._span)
            self.refresh()
        elif row < len(self._sequences):
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


def _cells(archive: Archive, delivery: Delivery) -> Cells:
    seen = archive.reading.mask(delivery)
    return cells_of(seen, archive.reading.facts(seen))


def _cells_saying(sentence: str) -> Cells:
    """A line for an event that cannot be read."""
    return Cells(0, 0, "", "", None, {"body": sentence})
