"""The columns of a table of events: which there are, which are shown, and how wide each is."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from workbench.decode.display import cells, shorten_middle, visible
from workbench.model.errors import QueryError
from workbench.query.field import Field

GAP: Final = 2
"""Cells between two columns."""
_LEAST: Final = 4
_LEAST_BODY: Final = 20
_SHARD: Final = 10
"""Cells below which so little of a body says nothing: the others get them, unless the user picked the columns."""
_STEP: Final = 4
"""Cells in which needs grow."""
_PATH: Final = 16
"""Cells that a column of a field gets before others get more than they need."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table of events.

    Attributes:
        id: Its name, for users too.
        title: What stands above it.
        width: In terminal cells, what it gets first where its texts need so much; 0: what the others leave.
        side: Where its texts stand.
        cut: Which part of a text gives way when it is too long: ids differ at both ends, and many reasons begin alike.
        field: What it shows, as a query has it; empty: nothing that a query can speak of.
    """

    id: str
    title: str
    width: int
    side: Literal["left", "right"] = "left"
    cut: Literal["end", "middle"] = "end"
    field: str = ""


COLUMNS: Final = (
    Column("time", "time", 12, field="time"),
    Column("from", "from", 16, field="endpoint"),
    Column("reason", "reason", 24, cut="middle", field="reason"),
    Column("type", "type", 16, field="type"),
    Column("correlation", "correlation", 13, cut="middle", field="correlation"),
    Column("key", "key", 12, field="key"),
    Column("position", "position", 12, field="offset"),
    Column("message", "message id", 13, cut="middle", field="message"),
    Column("causation", "caused by", 13, cut="middle", field="causation"),
    Column("size", "size", 10, "right", field="size"),
    Column("attempts", "attempts", 8, "right", field="attempts"),
    Column("seen", "seen", 12, field="seen"),
    Column("body", "body", 0, field="body"),
)
"""All there are beside those of fields."""
USUAL: Final = ("time", "from", "type", "correlation", "key", "body")
FAILED: Final = ("time", "from", "reason", "type", "correlation", "body")
"""Those of dead letters."""
NARROW: Final = ("time", "from", "type", "correlation", "body")
"""Those that fit a narrow screen."""
FEW_CELLS: Final = 100
"""Cells below which a table of several endpoints leaves out the key, which matters least."""
ENOUGH_FOR_REASONS: Final = 130
"""Cells below which a table of dead letters leaves out the body, which stands in full beside it: reasons are long."""
_SAME: Final = {"endpoint": "from", "age": "time"}
_BY_ID: Final = {column.id: column for column in COLUMNS}


def column_of(path: str) -> Column:
    """The column of a field, as a query has it, or the one of this name.

    Raises:
        QueryError: There is no such field.
    """
    known = _BY_ID.get(_SAME.get(path, path))
    if known is not None:
        return known
    Field(path)
    return Column(path, path, _PATH, field=path)


def why_no_column(path: str) -> str | None:
    """Why there is no column of this name, in a sentence; None: there is one."""
    try:
        column_of(path)
    except QueryError as error:
        return error.message
    return None


class ColumnLayout:
    """The columns that a table has, and their widths in cells.

    A column is as wide as what was seen in it, as far as there is room: first every one gets what its texts need up to
    its own width; then, side by side, up to twice that, and the body two fifths of the line; then the reason what it
    needs, then the body, and the others the rest. Widths follow what was noted, which only grows until the table shows
    something else.
    """

    def __init__(self, width: Callable[[], int], is_narrow: Callable[[], bool], margin: int = 0) -> None:
        """Begin with the usual ones.

        Args:
            width: How many cells a line has.
            is_narrow: Whether there is so little room that only those are shown that nobody can do without.
            margin: Cells of a line on the left of all columns.
        """
        self._is_narrow: Final = is_narrow
        self._width: Final = width
        self._margin: Final = margin
        self.picked: Sequence[Column] | None = None
        """The columns that the user picked; None: those that there is room for."""
        self.mixed = True
        """Whether events are of several endpoints, so that each has to say of which."""
        self.failed = False
        """Whether they are dead letters, which say first why they are."""
        self.sorted: str | None = None
        """The column that rows are in the order of, which a sign in its title tells."""
        self.clicked: str | None = None
        """The column that was chosen last."""
        self._widths: dict[str, int] = {}
        self._needs: dict[str, int] = {}

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that are shown."""
        if self.picked is not None:
            return self.picked
        usual: Sequence[str]
        if self.failed:
            usual, least, enough = FAILED, "body", ENOUGH_FOR_REASONS
        else:
            usual, least = (NARROW, "") if self._is_narrow() else (USUAL, "key" if self.mixed else "")
            enough = FEW_CELLS
        if self._width() < enough:
            usual = [name for name in usual if name != least]
        return [_BY_ID[name] for name in usual if self.mixed or name != "from"]

    @property
    def chosen(self) -> str:
        """The column that was chosen last; before, the one beside the body."""
        names = [column.id for column in self.columns]
        if self.clicked in names:
            return self.clicked or ""
        fixed = [column.id for column in self.columns if column.width]
        return (fixed or names or [""])[-1]

    def choose_next(self, by: int) -> None:
        """Choose the column so many further right."""
        names = [column.id for column in self.columns]
        if names:
            at = names.index(self.chosen) if self.clicked in names else (-1 if by > 0 else 0)
            self.clicked = names[(at + by) % len(names)]

    def widen(self, id: str, by: int, width: int) -> None:
        """Make a column wider by so many cells of a line's, or narrower; the body's gives way."""
        for column, room in self.arrange(width):
            if column.id == id and column.width:
                self._widths[id] = min(max(room + by, _LEAST), width)

    def forget_needs(self) -> None:
        """Something else is shown."""
        self._needs.clear()

    def note(self, id: str, text: str) -> None:
        """A text is shown in a column."""
        known = self._needs.get(id, 0)
        # What takes no more characters than there are cells takes no more cells, unless it is unusual.
        if len(text) > known or not text.isascii():
            need = cells(visible(text))
            if need > known:
                # In steps, so that a text that is a little longer than those before moves nothing.
                self._needs[id] = need if id == "body" else -(-need // _STEP) * _STEP

    def arrange(self, width: int) -> list[tuple[Column, int]]:
        """The columns that fit so many cells, and their widths."""
        found = self._arrange(list(self.columns), width)
        if self.picked is None and any(
            each.id == "body" and room < min(_SHARD, self._most(each)) for each, room in found
        ):
            return self._arrange([each for each in self.columns if each.id != "body"], width)
        return found

    def _arrange(self, columns: list[Column], width: int) -> list[tuple[Column, int]]:
        left = width - self._margin - GAP * (len(columns) - 1)
        while len(columns) > 1 and left < sum(min(self._most(each), _LEAST) for each in columns):
            columns.pop()
            left += GAP
        needs = {column.id: self._most(column) for column in columns}
        rooms = dict.fromkeys(needs, 0)
        first = {each.id: min(needs[each.id], self._first(each)) for each in columns}
        share = {
            each.id: min(
                needs[each.id], left * 2 // 5 if not each.width else first[each.id] * (1 + (each.cut == "end"))
            )
            for each in columns
        }
        body = {each.id: needs[each.id] for each in columns if not each.width}
        for index, column in enumerate(columns):
            # Those on the left come first, though not at the cost of all that the others have.
            spare = left - sum(min(first[each.id], _LEAST) for each in columns[index + 1 :])
            rooms[column.id] = max(min(first[column.id], spare), 0)
            left -= rooms[column.id]
        reason = {each.id: needs[each.id] for each in columns if each.id == "reason"}
        for most in (share, reason, body, needs):
            left -= _raise(rooms, most, left)
        rest = [column.id for column in columns if not column.width] or [column.id for column in columns[-1:]]
        if rest and left > 0:
            rooms[rest[-1]] += left
        return [(column, rooms[column.id]) for column in columns if rooms[column.id] > 0]

    def click(self, x: int, width: int) -> bool:
        """Choose the column at a cell of so many; whether it was chosen already."""
        at = self._margin
        before = self.clicked
        for column, room in self.arrange(width):
            if at <= x < at + room + GAP:
                self.clicked = column.id
            at += room + GAP
        return self.clicked == before and before is not None

    def _first(self, column: Column) -> int:
        return self._widths.get(column.id, column.width or _LEAST_BODY)

    def _most(self, column: Column) -> int:
        """What a column needs, or what the user gave it."""
        if column.id in self._widths:
            return self._widths[column.id]
        return max(self._needs.get(column.id, 0), cells(column.title) + (2 if column.id == self.sorted else 0))


def _raise(rooms: dict[str, int], most: dict[str, int], left: int) -> int:
    """Let columns grow side by side up to what each may have at most.

    Returns:
        How many of the cells that are left were given out.
    """
    given = 0
    while left > given and (growing := [id for id, limit in most.items() if rooms[id] < limit]):
        level = max((left - given) // len(growing), 1)
        for id in growing:
            more = min(level, most[id] - rooms[id], left - given)
            rooms[id] += more
            given += more
    return given


def fit(text: str, width: int, column: Column) -> str:
    """A text in exactly so many terminal cells, fit to be drawn."""
    line = visible(text, width) if column.cut == "end" else shorten_middle(text, width)
    # Most lines hold nothing unusual but the sign that they were cut, and `cells` would ask for every character.
    space = " " * (width - (len(line) if line.replace("…", "").isascii() else cells(line)))
    return space + line if column.side == "right" else line + space
