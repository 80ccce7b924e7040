"""A page of names and values."""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from views.widgets.inspector.listing import Line, Listing
from views.widgets.inspector.page import NOTHING_HERE, Piece, find_text
from workbench.decode.display import cells, visible
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.values import value_to_copy
from workbench.query.condition import Condition


def no_path() -> str:
    """There is none."""
    raise FormatError(NOTHING_HERE)


def no_condition() -> Condition:
    """There is none."""
    raise FormatError(NOTHING_HERE)


_SHORTEST: Final = 4
"""Cells below which nothing of a note is shown."""


class Entry(NamedTuple):
    """A line of a list.

    Attributes:
        cells: Of which only a heading has one, and a column may be empty.
        value: What is copied.
        path: The path or symbol of the value.
        condition: That an event has the value; both raise FormatError where there is none.
    """

    cells: tuple[str, ...]
    value: Value = ""
    path: Callable[[], str] = no_path
    condition: Callable[[], Condition] = no_condition


class Entries(Listing):
    """Names and values in columns; what is longer than its column pushes the others. The column without a look has the
    values, and lines go on below it."""

    def __init__(self, heading: str, entries: Sequence[Entry], looks: Sequence[str], shares: Sequence[int]) -> None:
        """Keep them.

        Args:
            heading: What they are.
            entries: In their order.
            looks: How each column is drawn.
            shares: How many hundredths of the width the columns before the last have at most.
        """
        super().__init__(heading)
        self._entries = entries
        self._looks = looks
        self._shares = shares
        self._main = looks.index("")
        self._columns = [
            max((cells(visible(entry.cells[column], 60)) for entry in entries if len(entry.cells) > 1), default=0)
            for column in range(len(looks) - 1)
        ]
        self._text = "\n".join(cell for entry in entries for cell in entry.cells)
        self._begins = array("Q")
        at = 0
        for entry in entries:
            self._begins.append(at)
            at += sum(len(cell) + 1 for cell in entry.cells)

    @property
    def keys(self) -> int:
        return len(self._entries)

    def line(self, key: int, width: int) -> Line:
        entry = self._entries[key]
        place = self._begins[key]
        if len(entry.cells) == 1:
            return Line([Piece(entry.cells[0], "heading", place)])
        columns = [min(column, width * share // 100) for column, share in zip(self._columns, self._shares, strict=True)]
        pieces: list[Piece] = []
        for cell, look, column in zip(entry.cells, self._looks, [*columns, 0], strict=True):
            pieces.append(Piece(cell, look, place, width=column))
            if column:
                pieces.append(Piece("  "))
            place += len(cell) + 1
        main = entry.cells[self._main]
        count = main.count("\n") + 1
        more = f"{count:,} lines, {len(main):,} characters" if count > 1 else f"{len(main):,} characters"
        indent = sum(column + 2 for column in columns[: self._main] if column)
        return Line(pieces, indent, more, self._without_note(pieces, width) if self._main < len(columns) else ())

    def _without_note(self, pieces: Sequence[Piece], width: int) -> Sequence[Piece]:
        """A line whose value has room in a row and whose note has not, with the beginning of that."""
        *before, note = pieces
        used = sum(max(cells(visible(piece.text)), piece.width) for piece in before)
        if used > width or used + cells(visible(note.text)) <= width or any("\n" in piece.text for piece in before):
            return ()
        room = width - used - 2
        if room < _SHORTEST:
            return [*before, Piece("▸"[: max(width - used, 0)], "sign")]
        return [*before, note._replace(text=visible(note.text, room)), Piece(" ▸", "sign")]

    def text_to_copy(self, number: int) -> str:
        key = self._key_at(number)
        if key is not None:
            return value_to_copy(self._entries[key].value)
        return "\n".join("\t".join(entry.cells) for entry in self._entries)

    def path(self, number: int) -> str:
        key = self._key_at(number)
        return super().path(number) if key is None else self._entries[key].path()

    def condition(self, number: int) -> Condition:
        key = self._key_at(number)
        return super().condition(number) if key is None else self._entries[key].condition()

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._text)

    def row_of(self, place: int) -> int | None:
        key = bisect_right(self._begins, place) - 1
        if key >= self._measured:
            return None
        return self.row_at(key, place) if key >= 0 else 0

    def place_of(self, number: int) -> int:
        key = self._key_at(number)
        return 0 if key is None else self._begins[key]
