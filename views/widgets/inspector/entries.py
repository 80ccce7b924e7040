"""A page of names and values."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from views.widgets.inspector.page import LONGEST, Page, Piece, Row, find_text
from workbench.decode.display import cells, visible
from workbench.model.content import Value
from workbench.model.values import value_to_copy


class Entry(NamedTuple):
    """A row of a list: its cells, of which only a heading has one; and the value that is copied of it."""

    cells: tuple[str, ...]
    value: Value = ""


class Entries(Page):
    """Names and values, one of their columns as wide as there is room."""

    def __init__(self, heading: str, entries: Sequence[Entry], wide: int) -> None:
        super().__init__(heading)
        self._entries = entries
        self._wide = wide
        self._columns = [
            max((cells(visible(entry.cells[column], 40)) for entry in entries if len(entry.cells) > 1), default=0)
            for column in range(3)
        ]
        self._text = "\n".join(cell for entry in entries for cell in entry.cells)
        self._begins = array("Q")
        at = 0
        for entry in entries:
            self._begins.append(at)
            at += sum(len(cell) + 1 for cell in entry.cells)

    @property
    def rows(self) -> int:
        return 1 + len(self._entries)

    def row(self, number: int, width: int) -> Row:
        if not number:
            return super().row(number, width)
        entry = self._entries[number - 1]
        place = self._begins[number - 1]
        if len(entry.cells) == 1:
            return Row([Piece(entry.cells[0], "heading", place)])
        columns = [min(column, width // 3) for column in self._columns]
        columns[self._wide] = max(width - sum(columns) + columns[self._wide] - 4, 4)
        pieces: list[Piece] = []
        indent = 0
        for column, (cell, look) in enumerate(zip(entry.cells, _LOOKS[self._wide], strict=True)):
            last = column == len(entry.cells) - 1
            pieces.append(Piece(cell[:LONGEST], look, place, width=0 if last else columns[column]))
            if len(cell) > LONGEST:
                pieces.append(Piece(f"… of {len(cell):,} characters", "dim"))
            if not last:
                pieces.append(Piece("  "))
            indent += columns[column] + 2 if column < self._wide else 0
            place += len(cell) + 1
        return Row(pieces, indent)

    def text_to_copy(self, number: int) -> str:
        if number:
            return value_to_copy(self._entries[number - 1].value)
        return "\n".join("\t".join(entry.cells) for entry in self._entries)

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._text)

    def row_of(self, place: int) -> int | None:
        return bisect_right(self._begins, place)

    def place_of(self, number: int) -> int:
        return self._begins[number - 1] if number else 0


_LOOKS: Final = {1: ("key", "", "dim"), 2: ("key", "dim", "")}
"""How the columns of a list look, by which of them is the widest."""
