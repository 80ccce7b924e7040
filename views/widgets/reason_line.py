"""The reasons of dead letters in a line: how many there are of each, to be filtered by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from views.widgets.styles import text_style
from workbench.decode.display import cells, shorten_middle
from workbench.model.wording import quantity
from workbench.table.cells import short_reason

if TYPE_CHECKING:
    from workbench.store.tally import Reason

_LONGEST = 32
"""Cells of a reason that are shown even where there are many beside it."""
_ROOMY = 70
"""Cells from which on it is said how many events were counted."""
_BETWEEN = " · "


class ReasonLine(Widget, can_focus=True):
    """A line of reasons, the most frequent first, with one of them at the cursor; away where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,up", "move(-1)", show=False),
        Binding("right,down", "move(1)", show=False),
        Binding("enter,space", "choose", show=False),
        Binding("escape", "leave", show=False),
    ]
    OWN_KEYS: ClassVar[Sequence[tuple[str, str]]] = (
        ("enter", "filter by it"),
        ("← →", "other reasons"),
        ("esc", "back to the events"),
    )
    """What its keys do, for the footer."""
    COMPONENT_CLASSES: ClassVar[set[str]] = {"reason-line--dim"}
    DEFAULT_CSS = """
    ReasonLine {
        height: 1; padding: 0 1; display: none;
        & > .reason-line--dim { color: $muted; text-style: $muted-style; }
    }
    """

    class Chosen(Message):
        """A reason is to be filtered by.

        Attributes:
            query: The query; empty: by none.
        """

        def __init__(self, query: str) -> None:
            super().__init__()
            self.query = query

    class Left(Message):
        """The line is done with."""

    class Toggled(Message):
        """The line has come, or is gone: there are reasons now, or none any more."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[Sequence[Reason], str, int, bool] = ((), "", 0, False)
        self._at = 0
        self._longest = _LONGEST
        self._places: list[tuple[int, int, int]] = []

    @property
    def _reasons(self) -> "Sequence[Reason]":
        return self._shown[0]

    @property
    def _query(self) -> str:
        return self._shown[1]

    def show(self, reasons: "Sequence[Reason]", query: str, counted: int, waiting: int) -> None:
        """Show reasons.

        Args:
            reasons: The most frequent first.
            query: The query that holds; the reason that it selects is marked.
            counted: How many events were counted.
            waiting: How many are still to be asked.
        """
        at = self._reasons[self._at].text if self._at < len(self._reasons) else None
        if (reasons, query, counted, bool(waiting)) == self._shown:
            return
        self._shown = reasons, query, counted, bool(waiting)
        self._at = next((index for index, reason in enumerate(reasons) if reason.text == at), 0)
        if self.display != bool(reasons):
            self.display = bool(reasons)
            self.post_message(self.Toggled())
        self.refresh()

    def render(self) -> Text:
        """The line: the reason at the cursor is always in it."""
        dim = text_style(self, "reason-line--dim")
        width = max(self.size.width, 1)
        _, _, counted, counting = self._shown
        many = quantity(len(self._reasons), "reason")
        head = f"{many} in {counted:,} held" if width >= _ROOMY else many
        line = Text(no_wrap=True, overflow="crop", end="")
        line.append(f"{'counting… ' if counting and width >= _ROOMY else ''}{head}: ", dim)
        beside = (6 + cells(_BETWEEN)) * len(self._reasons)
        lengths = [cells(short_reason(reason.text)) for reason in self._reasons]
        self._longest = max(_LONGEST, _share(lengths, width - cells(line.plain) - beside))
        self._places = []
        first = self._first(width - cells(line.plain))
        if first:
            line.append("… ", dim)
        for index in range(first, len(self._reasons)):
            text = self._text(index)
            room = width - cells(line.plain)
            if index > first:
                if room < cells(_BETWEEN) + min(cells(text), 12) + 2:
                    line.append(" …", dim)
                    break
                line.append(_BETWEEN, dim)
                room -= cells(_BETWEEN)
            begin = cells(line.plain)
            line.append(shorten_middle(text, room), self._style_of(index))
            self._places.append((begin, cells(line.plain), index))
        return line

    def _text(self, index: int) -> str:
        reason = self._reasons[index]
        text = shorten_middle(short_reason(reason.text) or "no reason known", self._longest)
        return f"{reason.count:,} {text}"

    def _first(self, room: int) -> int:
        """The first reason that is shown, so that the one at the cursor is."""
        first = self._at
        room -= cells(self._text(first)) + 4 if self._reasons else 0
        while first and room >= (width := cells(self._text(first - 1)) + cells(_BETWEEN)):
            first, room = first - 1, room - width
        return first

    def _style_of(self, index: int) -> str:
        if self.has_focus and index == self._at:
            return "bold reverse"
        return "bold underline" if self._reasons[index].query == self._query else ""

    def on_focus(self) -> None:
        """Begin at the reason that is filtered by."""
        self._at = next((i for i, reason in enumerate(self._reasons) if reason.query == self._query), self._at)
        self.refresh()

    def on_blur(self) -> None:
        """There is no cursor any more."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """Go to the next reason, or to the one before."""
        if self._reasons:
            self._at = (self._at + by) % len(self._reasons)
            self.refresh()

    def action_choose(self) -> None:
        """Filter by the reason at the cursor; by none, if it is filtered by already."""
        if self._at < len(self._reasons):
            query = self._reasons[self._at].query
            self.post_message(self.Chosen("" if query == self._query else query))

    def action_leave(self) -> None:
        """Go back to the events."""
        self.post_message(self.Left())

    def on_click(self, event: Click) -> None:
        """Filter by the reason that is clicked."""
        x = int(event.x) - self.styles.padding.left
        for begin, end, index in self._places:
            if begin <= x < end:
                self._at = index
                self.action_choose()


def _share(lengths: Sequence[int], room: int) -> int:
    """The cells that each of some texts may have in a room: what short ones leave, long ones have."""
    for number, length in enumerate(sorted(lengths)):
        share = room // (len(lengths) - number)
        if length > share:
            return share
        room -= length
    return max(lengths, default=0)
