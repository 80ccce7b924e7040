"""A list of rows with a cursor, each drawn when it is seen."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.text import Text
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip

from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor
from workbench.decode.display import visible

Row = TypeVar("Row")


class RowList(Lines, Generic[Row]):
    """Rows of one line. A subclass draws one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--cursor"}
    DEFAULT_CSS = """
    RowList {
        height: auto; background: $background; color: $foreground;
        scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden;
        & > .row-list--cursor { background: $background; }
        &:focus > .row-list--cursor { background: $cursor; text-style: $cursor-style; }
    }
    """
    cursor: reactive[int] = reactive(0)
    """The row that the cursor is on, from 0."""

    def __init__(self, id: str | None = None, empty: str = "") -> None:
        """Show nothing yet.

        Args:
            id: For CSS.
            empty: What it says where there is no row.
        """
        super().__init__(id=id)
        self._empty = empty
        self._rows: Sequence[Row] = ()

    def draw(self, row: Row, width: int) -> Text:
        """A row in so many cells."""
        raise NotImplementedError

    @property
    def row(self) -> Row | None:
        """The row at the cursor; None: there is none."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    @property
    def in_sight(self) -> int:
        """How many rows can be seen at once."""
        return self.scrollable_content_region.height

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Draw other rows; the cursor stays at its number."""
        height = len(self._rows)
        self._rows = rows
        self.cursor = min(self.cursor, max(len(rows) - 1, 0))
        self.extend_to(Size(self.size.width, len(rows)))
        self.refresh(layout=len(rows) != height)

    def on_resize(self, event: Resize) -> None:
        self.extend_to(Size(event.size.width, len(self._rows)))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many as there are rows."""
        return max(len(self._rows), 1)

    def render_line(self, y: int) -> Strip:
        """One row."""
        number = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if not self._rows and not y:
            said = Text(end="").append(visible(self._empty, width), "muted").render(self.app.console)
            return Strip(said).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        if number >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        here = number == self.cursor
        text = Text(no_wrap=True, end="").append("▌ " if here else "  ", "focus")
        text.append_text(self.draw(self._rows[number], max(width - 2, 1)))
        segments: Iterable[Segment] = text.render(self.app.console)
        if here and self.has_focus:
            segments = at_cursor(segments, self.get_component_rich_style("row-list--cursor"))
        return Strip(segments).adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)

    def validate_cursor(self, line: int) -> int:
        return max(min(line, len(self._rows) - 1), 0)

    def watch_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()

    def move(self, lines: int) -> None:
        """Move the cursor down, or up."""
        self.cursor += lines

    def go_to_end(self, last: bool) -> None:
        """Put the cursor on the first row, or on the last."""
        self.cursor = len(self._rows) - 1 if last else 0

    def on_click(self, event: Click) -> None:
        """Put the cursor there."""
        self.cursor = self.scroll_offset.y + event.y
