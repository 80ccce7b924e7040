"""A trace on the screen: its rows, of which only those in sight are drawn, with one event at the cursor."""

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor, text_style
from views.widgets.trace_rows import Missing, Row, TraceRows
from workbench.decode.display import cells
from workbench.model.event import Delivery
from workbench.operations.trace.forest import Step, Trace

_LOOKS: Final = ("head", "time", "line", "inferred", "seen", "held", "failed", "type", "note", "place", "gap")
_MARGIN: Final = 2
"""Cells at the left, for the sign of the cursor."""


class TraceStory(Lines):
    """The events of a trace as lanes or as a tree."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"trace-story--{look}" for look in _LOOKS),
        "trace-story--cursor",
        "trace-story--bar",
    }
    DEFAULT_CSS = """
    TraceStory {
        scrollbar-size-vertical: 1; overflow-x: hidden;
        & > .trace-story--head { color: $muted; text-style: $muted-style; }
        & > .trace-story--time { color: $muted; text-style: $muted-style; }
        & > .trace-story--line { color: $focus; }
        & > .trace-story--inferred { color: $muted; text-style: $muted-style; }
        & > .trace-story--seen { color: $live; }
        & > .trace-story--held { color: $warn; text-style: bold; }
        & > .trace-story--failed { color: $dead; text-style: bold; }
        & > .trace-story--type { text-style: bold; }
        & > .trace-story--note { color: $muted; text-style: $muted-style; }
        & > .trace-story--place { color: $ids; }
        & > .trace-story--gap { color: $warn; }
        & > .trace-story--cursor { background: $cursor; text-style: $cursor-style; }
        & > .trace-story--bar { color: $focus; text-style: bold; }
    }
    """

    class Moved(Message):
        """Another event is at the cursor. Replaces its predecessor."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TraceStory.Moved)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._found = Trace()
        self._rows = TraceRows(self._found, 80, False)
        self._tree = False
        self._at = 0
        self._aimed: Delivery | None = None
        self._missing: Missing | None = None

    @property
    def step(self) -> Step | None:
        """The event at the cursor."""
        return self._found.steps[self._at] if self._at < len(self._found.steps) else None

    @property
    def number(self) -> int:
        """Which event is at the cursor, counted from 0."""
        return self._at

    @property
    def is_tree(self) -> bool:
        """Whether it is drawn as a tree."""
        return self._rows.tree

    @property
    def lanes_fit(self) -> bool:
        """Whether there is room for lanes."""
        return self._rows.fits

    def show(self, found: Trace, at: int | None = None) -> None:
        """Show a trace.

        Args:
            found: The trace.
            at: The event that the cursor goes to; None: it stays at its event.
        """
        before = self.step
        if found is not self._found:
            self._missing = None
        self._found = found
        if at is not None:
            self._at = at
        elif before is not None:
            key = before.delivery.identity or before.sighting.order
            steps = enumerate(found.steps)
            same = (n for n, step in steps if (step.delivery.identity or step.sighting.order) == key)
            self._at = next(same, min(self._at, max(len(found.steps) - 1, 0)))
        self._lay_out()
        self._to_cursor()
        self.post_message(self.Moved())

    def show_growing(self, found: Trace, at: int | None, is_over: bool) -> None:
        """Show a trace of which more may be found.

        Args:
            found: The trace.
            at: The event that the cursor goes to, until its user moves it, or all is found.
            is_over: Whether all is found.
        """
        before = self.step
        aims = before is None or before.delivery == self._aimed
        self.show(found, at if aims else None)
        self._aimed = self.step.delivery if aims and not is_over and self.step is not None else None

    def lack(self, missing: Missing | None) -> None:
        """Show what should be in the trace that is shown, and is not; None: nothing."""
        if missing != self._missing:
            self._missing = missing
            self._lay_out()
            self._to_cursor()

    def toggle_tree(self) -> None:
        """Draw a tree in place of lanes, or lanes again."""
        self._tree = not self._rows.tree
        self._lay_out()
        self._to_cursor()

    def go_to(self, step: int) -> None:
        """Put the cursor on an event."""
        if self._found.steps:
            self._at = max(0, min(step, len(self._found.steps) - 1))
            self._to_cursor()
            self.refresh()
            self.post_message(self.Moved())

    def on_resize(self) -> None:
        self._lay_out()
        self._to_cursor()

    def on_click(self, event: Click) -> None:
        """Go to the event that was clicked."""
        number = event.y - 1 + round(self.scroll_y)
        if event.y >= 1 and 0 <= number < len(self._rows.rows):
            self.go_to(self._rows.rows[number].step)

    @property
    def in_sight(self) -> int:
        return max(self.size.height - 1, 1)

    def move(self, lines: int) -> None:
        order = self._rows.order
        if order:
            self.go_to(order[max(0, min(order.index(self._at) + lines, len(order) - 1))])

    def go_to_end(self, last: bool) -> None:
        if order := self._rows.order:
            self.go_to(order[-1 if last else 0])

    def _lay_out(self) -> None:
        width = max(self.size.width - _MARGIN, 20)
        self._rows = TraceRows(self._found, width, self._tree, self._missing)
        self.extend_to(Size(self.size.width, len(self._rows.rows) + 1))
        self.refresh()

    def _to_cursor(self) -> None:
        row, last = self._rows.row_of(self._at), self._rows.last_row_of(self._at)
        top, height = round(self.scroll_y), self.in_sight
        if row < top:
            self.scroll_to(y=row, animate=False, force=True)
        elif last >= top + height:
            self.scroll_to(y=last - height + 1, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        """One line: the names of the lanes stay at the top."""
        width = self.size.width
        if not self._found.steps:
            return Strip.blank(width, self.rich_style)
        number = y - 1 + round(self.scroll_y)
        if y and number >= len(self._rows.rows):
            return Strip.blank(width, self.rich_style)
        pieces = self._rows.pieces(number) if y else self._rows.header()
        here = bool(y) and self._rows.rows[number] == Row(self._at)
        margin = Segment("▌ " if here else "  ", text_style(self, "trace-story--bar"))
        segments = [margin, *(Segment(piece.text, self._style(piece.look)) for piece in pieces)]
        strip = _cut(Strip(segments, sum(cells(segment.text) for segment in segments)), width)
        if here and self.has_focus:
            strip = Strip(at_cursor(strip, self.get_component_rich_style("trace-story--cursor")), width)
        return strip.apply_style(self.rich_style)

    def _style(self, look: str) -> RichStyle:
        return text_style(self, f"trace-story--{look}")


def _cut(strip: Strip, width: int) -> Strip:
    """A line of so many cells, which says where it goes on."""
    if strip.cell_length <= width:
        return strip.adjust_cell_length(width)
    style = next(iter(strip.crop(max(width - 1, 0), width)), Segment("")).style
    return Strip.join([strip.crop(0, max(width - 1, 0)), Strip([Segment("…", style)])])
