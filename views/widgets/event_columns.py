"""The columns of the event table: which there are, which are shown, and how a text fits one."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from workbench.decode.display import cells, visible

SIGNS: Final = 2
"""Cells on the left for cursor and mark."""
GAP: Final = 2
"""Cells between two columns."""
_LEAST: Final = 4
_LEAST_BODY: Final = 8


class Column(msgspec.Struct, frozen=True):
    """A column of the event table.

    Attributes:
        id: Its name, for users too.
        title: What stands above it.
        width: In terminal cells; 0: whatever the others leave.
        side: Where its texts stand.
        cut: Which part of a text gives way when it is too long: ids differ at both ends.
    """

    id: str
    title: str
    width: int
    side: Literal["left", "right"] = "left"
    cut: Literal["end", "middle"] = "end"


COLUMNS: Final = (
    Column("time", "time", 12),
    Column("from", "from", 16),
    Column("type", "type", 16),
    Column("correlation", "correlation", 12, cut="middle"),
    Column("key", "key", 8),
    Column("position", "position", 12),
    Column("message", "message id", 12, cut="middle"),
    Column("causation", "caused by", 12, cut="middle"),
    Column("size", "size", 10, "right"),
    Column("attempts", "attempts", 8, "right"),
    Column("failure", "failure", 24),
    Column("seen", "seen", 12),
    Column("body", "body", 0),
)
"""All there are."""
USUAL: Final = ("time", "from", "type", "correlation", "key", "body")
NARROW: Final = ("time", "type", "correlation", "body")
"""Those that fit a narrow screen."""


class ColumnLayout:
    """The columns that a table has, and their widths in cells."""

    def __init__(self, is_narrow: Callable[[], bool]) -> None:
        """Begin with the usual ones.

        Args:
            is_narrow: Whether the screen has so little room that only those are shown that it cannot do without.
        """
        self._is_narrow: Final = is_narrow
        self.picked: Sequence[Column] | None = None
        """The columns that the user picked; None: those that there is room for."""
        self.mixed = True
        """Whether events are of several endpoints, so that each has to say of which."""
        self.clicked: str | None = None
        """The column whose header was clicked last."""
        self._widths: dict[str, int] = {}

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that are shown."""
        if self.picked is not None:
            return self.picked
        wanted = [name for name in (NARROW if self._is_narrow() else USUAL) if self.mixed or name != "from"]
        return [column for name in wanted for column in COLUMNS if column.id == name]

    @property
    def chosen(self) -> str:
        """The column whose header was clicked last; before, the one beside the body."""
        names = [column.id for column in self.columns]
        if self.clicked in names:
            return self.clicked or ""
        fixed = [column.id for column in self.columns if column.width]
        return (fixed or names or [""])[-1]

    def widen(self, id: str, by: int, most: int) -> None:
        """Make a column wider by so many cells, or narrower; the body's gives way."""
        for column in self.columns:
            if column.id == id and column.width:
                self._widths[id] = min(max(self._width(column) + by, _LEAST), most)

    def arrange(self, width: int) -> list[tuple[Column, int]]:
        """The columns that fit so many cells, and their widths."""
        columns = self.columns
        rest = width - SIGNS - sum(map(self._width, columns)) - GAP * (len(columns) - 1)
        layout, left = [], width - SIGNS
        for column in columns:
            room = min(self._width(column) or max(rest, _LEAST_BODY), left)
            if room <= 0:
                break
            layout.append((column, room))
            left -= room + GAP
        return layout

    def click(self, x: int, width: int) -> None:
        """Choose the column at a cell of so many."""
        at = SIGNS
        for column, room in self.arrange(width):
            if at <= x < at + room + GAP:
                self.clicked = column.id
            at += room + GAP

    def _width(self, column: Column) -> int:
        return self._widths.get(column.id, column.width) if column.width else 0


def fit(text: str, width: int, column: Column) -> str:
    """A text in exactly so many terminal cells, fit to be drawn."""
    line = visible(text, width) if column.cut == "end" else shorten_middle(text, width)
    # Most lines hold nothing unusual but the sign that they were cut, and `cells` would ask for every character.
    space = " " * (width - (len(line) if line.replace("…", "").isascii() else cells(line)))
    return space + line if column.side == "right" else line + space


def shorten_middle(text: str, width: int) -> str:
    """At most so many terminal cells of a text's beginning and end, with `…` for what is between."""
    line = visible(text, width)
    if width < 5 or line == visible(text, 2 * width):
        return line
    behind = (width - 1) // 2
    for count in range(behind, 0, -1):
        end = visible(text[-count:])
        if cells(end) <= behind:
            return visible(text, width - cells(end)) + end
    return line
