"""The connections of the session, a line each, under the heads of their columns."""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor, text_style
from workbench.connecting.check import duration
from workbench.decode.display import cells, visible
from workbench.model.errors import NotTrusted
from workbench.operations.watch import Watch, countdown, sign

_GAP: Final = 2
_LONGEST: Final = {"name": 24, "broker": 24}


class Row(msgspec.Struct, frozen=True):
    """What a line says besides what its watch knows.

    Attributes:
        watch: How the connection stands.
        guard: The level's name.
        production: Whether it is production.
        url: Without what is secret in it.
    """

    watch: Watch
    guard: str
    production: bool
    url: str


class _Cell(msgspec.Struct, frozen=True):
    text: str
    part: str = ""
    right: bool = False


_HEADS: Final = (
    ("name", "  name"),
    ("state", "state"),
    ("guard", "guard"),
    ("production", ""),
    ("endpoints", "endpoints"),
    ("answer", "answers in"),
    ("broker", "broker"),
    ("url", "URL"),
)
_FIRST_TO_GO: Final = ("url", "broker", "answer", "endpoints", "guard")
"""What gives way where there is no room, in this order; what is wrong and what is production stay."""


class ConnectionTable(Lines):
    """The connections; the cursor stays on its connection when others come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "connection-table--cursor",
        "connection-table--name",
        "connection-table--muted",
        "connection-table--well",
        "connection-table--ill",
        "connection-table--production",
    }
    DEFAULT_CSS = """
    ConnectionTable {
        height: auto;
        & > .connection-table--cursor { background: $background; }
        &:focus > .connection-table--cursor { background: $cursor; text-style: $cursor-style; }
        & > .connection-table--name { text-style: bold; }
        & > .connection-table--muted { color: $muted; text-style: $muted-style; }
        & > .connection-table--well { color: $live; }
        & > .connection-table--ill { color: $dead; }
        & > .connection-table--production { color: $dead; text-style: bold; }
    }
    """
    cursor_line: reactive[int] = reactive(0)
    """The line that the cursor is on, from 0."""

    class Moved(Message):
        """The cursor is on another connection."""

    class Chosen(Message):
        """A line was clicked twice."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()

    @property
    def name_at_cursor(self) -> str | None:
        """The connection at the cursor; None: there is none."""
        return self._rows[self.cursor_line].watch.name if self.cursor_line < len(self._rows) else None

    def show(self, rows: Sequence[Row]) -> None:
        """Draw these."""
        before = self.name_at_cursor
        height = len(self._rows)
        self._rows = rows
        names = [row.watch.name for row in rows]
        self.extend_to(Size(1, len(rows) + 1))
        line = names.index(before) if before in names else min(self.cursor_line, max(len(rows) - 1, 0))
        self.set_reactive(ConnectionTable.cursor_line, line)
        if self.name_at_cursor != before:
            self.post_message(self.Moved())
        self.refresh(layout=height != len(rows))

    def go_to(self, name: str) -> None:
        """Put the cursor on a connection."""
        for number, row in enumerate(self._rows):
            if row.watch.name == name:
                self.cursor_line = number

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A line each, and the heads."""
        return len(self._rows) + 1

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        number = self.scroll_offset.y + y - 1
        widths = self._widths(width)
        if y == 0:
            heads = {id: _Cell(head, "muted", id in ("endpoints", "answer")) for id, head in _HEADS}
            return self._strip(heads, widths, width, None)
        if number >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        cursor = None
        if number == self.cursor_line:
            cursor = self.get_component_rich_style("connection-table--cursor")
        return self._strip(_cells(self._rows[number], number == self.cursor_line), widths, width, cursor)

    def _strip(self, row: dict[str, _Cell], widths: dict[str, int], width: int, cursor: Style | None) -> Strip:
        segments: list[Segment] = []
        for id, room in widths.items():
            cell = row[id]
            text = visible(cell.text, room)
            gap = " " * (room - cells(text))
            style = text_style(self, f"connection-table--{cell.part}") if cell.part else Style()
            segments += [Segment(gap if cell.right else "", style), Segment(text, style)]
            segments.append(Segment(("" if cell.right else gap) + " " * _GAP, Style()))
        ground = self.rich_style
        if cursor is not None:
            segments = list(at_cursor(segments, cursor))
            ground += cursor
        return Strip(segments).adjust_cell_length(width, ground).apply_style(self.rich_style)

    def _widths(self, width: int) -> dict[str, int]:
        """The cells of each column that there is room for: as many as what is longest in it takes."""
        rows = [_cells(row, False) for row in self._rows]
        widths = {}
        for id, head in _HEADS:
            longest = max((cells(row[id].text) for row in rows), default=0)
            if longest:
                widths[id] = min(max(longest, cells(head)), _LONGEST.get(id, width))
        for id in _FIRST_TO_GO:
            over = sum(widths.values()) + _GAP * len(widths) - width
            if over <= 0:
                break
            if id == "url" and widths.get("url", 0) - over >= 16:
                widths["url"] -= over
            else:
                widths.pop(id, None)
        return widths

    def on_click(self, event: Click) -> None:
        """A click goes there, a second one opens."""
        line = event.y + self.scroll_offset.y - 1
        if line in range(len(self._rows)):
            self.cursor_line = line
            if event.chain > 1:
                self.post_message(self.Chosen())

    def validate_cursor_line(self, line: int) -> int:
        return max(0, min(line, len(self._rows) - 1))

    def watch_cursor_line(self, before: int, line: int) -> None:
        self.scroll_to_region(Region(0, line, 1, 2), animate=False, force=True)
        self.refresh()
        if before != line:
            self.post_message(self.Moved())

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        return max(self.size.height - 1, 0)

    def move(self, lines: int) -> None:
        """Go down or up."""
        self.cursor_line += lines

    def go_to_end(self, last: bool) -> None:
        """Go to the first line or to the last."""
        self.cursor_line = len(self._rows) - 1 if last else 0


def _cells(row: Row, at_cursor: bool) -> dict[str, _Cell]:
    watch = row.watch
    well = watch.state == "connected"
    part = "well" if well else "muted" if watch.state == "connecting" else "ill"
    mark = "▌" if at_cursor else " "
    return {
        "name": _Cell(f"{mark} {watch.name}", "name"),
        "state": _Cell(f"{sign(watch.state)} {state_in_a_word(watch)}", part),
        "guard": _Cell(row.guard),
        "production": _Cell("production" if row.production else "", "production"),
        "endpoints": _Cell(f"{len(watch.endpoints):,}" if well else "", right=True),
        "answer": _Cell(duration(watch.took) if well and watch.took is not None else "", right=True),
        "broker": _Cell(watch.broker if well else ""),
        "url": _Cell(row.url, "muted"),
    }


def state_in_a_word(watch: Watch) -> str:
    """How a connection stands, without the reason."""
    if watch.state == "connected":
        return "connected, in part" if watch.gaps else "connected"
    if watch.state == "connecting":
        return "connecting …"
    if isinstance(watch.state, NotTrusted):
        return "not trusted"
    return f"failed{countdown(watch.state)}"
