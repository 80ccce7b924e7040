"""The flows that are known, a line each, the worst first: how each stands, what came last, and what does not come."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from views.widgets.line_view import Lines
from views.widgets.styles import at_cursor, text_style
from workbench.decode.display import cells, shorten_middle, visible
from workbench.operations.saga.paths import Path, Saga, State
from workbench.operations.trace.words import span_text

SIGNS: Final[Mapping[State, str]] = {
    "stuck": "✖",
    "dead letter": "■",
    "unexpected": "?",
    "compensated": "↺",
    "under way": "…",
    "complete": "●",
    "unknown": "·",
}
_LOOKS: Final[Mapping[State, str]] = {
    "stuck": "stuck",
    "dead letter": "warn",
    "unexpected": "warn",
    "under way": "live",
    "complete": "live",
}
_GAP: Final = 2
_ID: Final = 36
_SHORT_ID: Final = 17
"""Cells in which an id can be told from others."""


class _Column(NamedTuple):
    """A column: its head, the most and the least cells that it takes, and whether it is aligned to the right."""

    head: str
    most: int
    least: int = 0
    right: bool = False


_COLUMNS: Final[Mapping[str, _Column]] = {
    "state": _Column("  state", 15),
    "type": _Column("flow", 24, 12),
    "id": _Column("id", _ID, 10),
    "last": _Column("came last", 32, 12),
    "ago": _Column("ago", 9, right=True),
    "missing": _Column("waits for", 32, 12),
    "waiting": _Column("for", 9, right=True),
    "usual": _Column("usually", 9, right=True),
    "p95": _Column("95 %", 9, right=True),
    "steps": _Column("steps", 7, right=True),
}
_FIRST_TO_GO: Final = ("usual", "steps", "p95")
"""What gives way where there is no room, in this order: the path beside the list tells it too."""
_NEXT_TO_GO: Final = ("type", "ago", "last", "waiting")
"""What gives way where there is still none."""


class FlowTable(Lines):
    """The flows; the cursor stays on its flow when others come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"flow-table--{part}" for part in ("cursor", "head", "stuck", "warn", "live", "id", "type", "muted")
    }
    DEFAULT_CSS = """
    FlowTable {
        height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden;
        & > .flow-table--cursor { background: $background; }
        &:focus > .flow-table--cursor { background: $cursor; text-style: $cursor-style; }
        & > .flow-table--head { color: $muted; text-style: $muted-style; }
        & > .flow-table--muted { color: $muted; text-style: $muted-style; }
        & > .flow-table--stuck { color: $dead; text-style: bold; }
        & > .flow-table--warn { color: $warn; }
        & > .flow-table--live { color: $live; }
        & > .flow-table--id { color: $ids; }
        & > .flow-table--type { text-style: bold; }
    }
    """
    cursor_line: reactive[int] = reactive(0)
    """The line that the cursor is on, from 0."""

    class Moved(Message):
        """The cursor is on another flow. Replaces its predecessor."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, FlowTable.Moved)

    class Chosen(Message):
        """A line was clicked twice."""

    def __init__(self, now: Callable[[], int], id: str | None = None) -> None:
        """Show none yet.

        Args:
            now: The present, in milliseconds since 1970 UTC.
            id: For CSS.
        """
        super().__init__(id=id)
        self._now: Final = now
        self._sagas: Sequence[Saga] = ()
        self._paths: Mapping[str, Path] = {}
        self._widths: tuple[int, dict[str, int]] = 0, {}

    @property
    def saga(self) -> Saga | None:
        """The flow at the cursor; None: there is none."""
        return self._sagas[self.cursor_line] if self.cursor_line < len(self._sagas) else None

    def show(self, sagas: Sequence[Saga], paths: Mapping[str, Path]) -> None:
        """Draw these.

        Args:
            sagas: In order.
            paths: The paths that they are judged by.
        """
        before = self.saga
        self._sagas, self._paths = sagas, paths
        self._widths = 0, {}
        self.extend_to(Size(1, len(sagas) + 1))
        line = min(self.cursor_line, max(len(sagas) - 1, 0))
        # At the top, what is worst stays in sight; anywhere else, what was chosen.
        if before is not None and self.cursor_line:
            id = before.flow.correlation
            line = next((at for at, saga in enumerate(sagas) if saga.flow.correlation == id), line)
        self.set_reactive(FlowTable.cursor_line, line)
        self._to_cursor()
        self.post_message(self.Moved())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        widths = self._widths_for(width)
        if y == 0:
            heads = [(column.head, "head") for id, column in _COLUMNS.items() if id in widths]
            return self._strip(heads, widths, width, None)
        number = y - 1 + round(self.scroll_y)
        if number >= len(self._sagas):
            return Strip.blank(width, self.rich_style)
        here = number == self.cursor_line
        found = self._cells(self._sagas[number], here)
        cursor = self.get_component_rich_style("flow-table--cursor") if here else None
        return self._strip([found[id] for id in widths], widths, width, cursor)

    def _strip(
        self, row: Sequence[tuple[str, str]], widths: Mapping[str, int], width: int, cursor: Style | None
    ) -> Strip:
        segments: list[Segment] = []
        for (text, look), (id, room) in zip(row, widths.items(), strict=True):
            # Ids and types of one flow mostly begin alike.
            text = shorten_middle(text, room) if _COLUMNS[id].least else visible(text, room)
            filling = " " * (room - cells(text))
            style = text_style(self, f"flow-table--{look}") if look else Style()
            before, behind = (filling, "") if _COLUMNS[id].right else ("", filling)
            segments += [Segment(before), Segment(text, style), Segment(behind + " " * _GAP)]
        ground = self.rich_style
        if cursor is not None:
            segments = list(at_cursor(segments, cursor))
            ground += cursor
        return Strip(segments).adjust_cell_length(width, ground).apply_style(self.rich_style)

    def _cells(self, saga: Saga, here: bool) -> dict[str, tuple[str, str]]:
        """A text and a look for each column."""
        last, look = saga.flow.last, _LOOKS.get(saga.state, "muted")
        texts = dict(self._texts(saga))
        looks = {"state": look, "id": "id", "type": "muted", "last": "", "missing": "type" if saga.stuck else "muted"}
        mark = "▌" if here else " "
        found = {id: (text, looks.get(id, "muted")) for id, text in texts.items()}
        dead = f" {SIGNS['dead letter']}" if saga.stuck and saga.flow.dead is not None else ""
        found["state"] = f"{mark}{SIGNS[saga.state]} {saga.state}{dead}", look
        found["ago"] = span_text(max(self._now() - last.last, 0)), "muted"
        found["waiting"] = texts["waiting"], "stuck" if saga.stuck else "muted"
        return found

    def _texts(self, saga: Saga) -> Iterator[tuple[str, str]]:
        path = self._paths.get(saga.type)
        yield "state", f"   {saga.state}{'  ' if saga.stuck else ''}"
        yield "type", saga.type
        yield "id", saga.flow.correlation
        yield "last", saga.flow.last.type
        yield "ago", "59.99 s"
        yield "missing", saga.next or ""
        yield "waiting", span_text(saga.waiting) if saga.next is not None else ""
        yield "usual", span_text(saga.median) if saga.next is not None else ""
        yield "p95", span_text(saga.p95) if saga.next is not None else ""
        came = sum(step.type in saga.flow.times for step in path.steps) if path is not None else 0
        yield "steps", f"{came}/{len(path.steps)}" if path is not None else f"{len(saga.flow.steps)}"

    def _widths_for(self, width: int) -> dict[str, int]:
        """The cells of each column that there is room for: as many as what is longest in it takes."""
        if self._widths[0] == width and self._widths[1]:
            return self._widths[1]
        longest = dict.fromkeys(_COLUMNS, 0)
        for saga in self._sagas:
            for id, text in self._texts(saga):
                longest[id] = max(longest[id], len(text))
        widths = {
            id: min(max(longest[id], len(column.head)), column.most) for id, column in _COLUMNS.items() if longest[id]
        }
        if len(self._paths) < 2:
            widths.pop("type", None)

        def over() -> int:
            return sum(widths.values()) + _GAP * len(widths) - width

        def narrow(id: str, least: int) -> None:
            if id in widths and over() > 0:
                widths[id] = max(widths[id] - over(), min(least, widths[id]))

        narrow("id", _SHORT_ID)
        for ids in (_FIRST_TO_GO, _NEXT_TO_GO):
            for id in ids:
                if over() > 0:
                    widths.pop(id, None)
            for id in ("id", "type", "last", "missing"):
                narrow(id, _COLUMNS[id].least)
        # What went leaves room for what was narrowed.
        for id in ("missing", "last", "type", "id"):
            if id in widths and over() < 0:
                widths[id] = min(widths[id] - over(), max(longest[id], len(_COLUMNS[id].head)), _COLUMNS[id].most)
        self._widths = width, widths
        return widths

    def on_resize(self) -> None:
        self._to_cursor()

    def on_click(self, event: Click) -> None:
        """A click goes there, a second one opens."""
        line = event.y - 1 + round(self.scroll_y)
        if event.y >= 1 and line in range(len(self._sagas)):
            self.cursor_line = line
            if event.chain > 1:
                self.post_message(self.Chosen())

    def validate_cursor_line(self, line: int) -> int:
        return max(0, min(line, len(self._sagas) - 1))

    def watch_cursor_line(self, before: int, line: int) -> None:
        self._to_cursor()
        self.refresh()
        if before != line:
            self.post_message(self.Moved())

    def _to_cursor(self) -> None:
        top, height = round(self.scroll_y), self.in_sight
        if self.cursor_line < top:
            self.scroll_to(y=self.cursor_line, animate=False, force=True)
        elif self.cursor_line >= top + height:
            self.scroll_to(y=self.cursor_line - height + 1, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.refresh(Region(0, 0, *self.size))

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        return max(self.size.height - 1, 1)

    def move(self, lines: int) -> None:
        """Go down or up."""
        self.cursor_line += lines

    def go_to_end(self, last: bool) -> None:
        """Go to the first line or to the last."""
        self.cursor_line = len(self._sagas) - 1 if last else 0
