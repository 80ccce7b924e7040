"""A page of lines, each of which takes as many rows as it needs; long ones are folded to their first."""

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from views.widgets.inspector.page import Page, Piece
from views.widgets.inspector.wrapping import rows_of, wrap

FOLDED: Final = 6
"""Rows that a long line takes while it is folded, besides one that says how much more there is."""

_AT_FIRST: Final = 200
"""Lines that are measured, or rows of a line that are made, before anything is drawn: more than a screen shows."""
_AT_ONCE: Final = 0.005
"""Seconds for which others are measured, or made, before the event loop goes on."""
_KEPT: Final = 200
"""Lines whose rows are kept, which are more than a screen shows."""


class Line(NamedTuple):
    """What stands in a line.

    Attributes:
        pieces: All of it.
        indent: How far the rows behind the first are set in.
        more: What the row says that stands for the rest while it is folded.
        folded: What is drawn instead while it is folded; empty: its first rows.
    """

    pieces: Sequence[Piece]
    indent: int = 0
    more: str = ""
    folded: Sequence[Piece] = ()


class Heights:
    """Which rows lines take: one each, but for those that are known to take more."""

    def __init__(self, tall: Iterable[tuple[int, int]] = ()) -> None:
        """Settle it.

        Args:
            tall: The lines that take more than one row, in their order, and how many.
        """
        self._lines: list[int] = []
        # Rows above one each that all lines before each of them take, and the first row of each.
        self._extra = [0]
        self._tops: list[int] = []
        for line, rows in tall:
            self.add(line, rows)

    def add(self, line: int, rows: int) -> None:
        """Settle it for a line behind all others."""
        self._lines.append(line)
        self._tops.append(line + self._extra[-1])
        self._extra.append(self._extra[-1] + rows - 1)

    def top(self, line: int) -> int:
        """The first row of a line."""
        return line + self._extra[bisect_right(self._lines, line - 1)]

    def line(self, row: int) -> int:
        """The line that a row is of."""
        number = bisect_right(self._tops, row) - 1
        if number < 0:
            return row
        return max(row - self._extra[number + 1], self._lines[number])


class UnfoldedLine:
    """The rows of a line that may have a million characters, as far as they are made."""

    def __init__(self, rest: Iterator[list[Piece]]) -> None:
        """Make the first.

        Args:
            rest: All of them.
        """
        self.rows: Final = list(islice(rest, _AT_FIRST))
        self._rest: Final = rest
        self.complete = len(self.rows) < _AT_FIRST

    def read_on(self) -> None:
        """Make more of them, as long as it does not take long."""
        end = time.perf_counter() + _AT_ONCE
        while (row := next(self._rest, None)) is not None:
            self.rows.append(row)
            if time.perf_counter() > end:
                return
        self.complete = True


class Listing(Page):
    """Lines of which each is told by its key, which stays when others are hidden. Row 0 is the heading's."""

    def __init__(self, heading: str) -> None:
        super().__init__(heading)
        self._width = 0
        self._heights = Heights()
        # Rows that lines take if it is more than one, by their keys; the long lines that are unfolded; and the rows of
        # those of them that were measured.
        self._tall: dict[int, int] = {}
        self._unfolded: set[int] = set()
        self._made: dict[int, UnfoldedLine] = {}
        self._wrapped: dict[int, list[list[Piece]]] = {}
        self._measured = 0

    # What a subclass says.

    @property
    def keys(self) -> int:
        """How many lines are known; their keys are the numbers below."""
        raise NotImplementedError

    @property
    def read(self) -> bool:
        """Whether all lines are known, and what stands in the last of them."""
        return True

    def read_lines(self) -> None:
        """Get to know more lines."""

    def key(self, line: int) -> int:
        """What tells a line from others."""
        return line

    def line_of(self, key: int) -> int | None:
        """The line of a key; None: it is hidden."""
        return key

    def lines(self, keys: int) -> int:
        """How many lines there are of the first so many, those that are hidden left out."""
        return keys

    def line(self, key: int, width: int) -> Line:
        """What stands in a line, for so many cells."""
        raise NotImplementedError

    def fits(self, key: int, width: int) -> bool:
        """Whether a line is sure to take one row; False: it must be asked."""
        return False

    def unfold(self, key: int, width: int) -> Iterator[list[Piece]]:
        """All rows of a line, one by one."""
        line = self.line(key, width)
        return rows_of(line.pieces, width, line.indent)

    # Rows.

    @property
    def complete(self) -> bool:  # type: ignore[override]
        return self.read and self._measured == self.keys and all(made.complete for made in self._made.values())

    def read_on(self) -> None:
        if not self.read:
            self.read_lines()
        self.measure(1)
        for key, made in self._made.items():
            if not made.complete:
                self._make_more(key, made)
                break

    def _make_more(self, key: int, made: UnfoldedLine) -> None:
        made.read_on()
        # To find anew where all lines are takes longer than the few more rows.
        if made.complete or len(made.rows) > 1.5 * self._tall[key]:
            here = self._key_at(self.cursor)
            self._lay_out_again(key)
            if here is not None:
                self.cursor = self._row(here)

    @property
    def rows(self) -> int:
        return 1 + self._heights.top(self.lines(self._measured))

    def row(self, number: int) -> Sequence[Piece]:
        if not number:
            return super().row(number)
        line = self._line_at(number)
        return self._wrap(self.key(line))[number - 1 - self._heights.top(line)]

    def extent(self, number: int) -> range:
        if not number:
            return super().extent(number)
        line = self._line_at(number)
        return range(1 + self._heights.top(line), 1 + self._heights.top(line + 1))

    def resize(self, width: int) -> None:
        if width == self._width or width <= 0:
            return
        here = self._key_at(self.cursor)
        self._width, self._measured = width, 0
        self._tall.clear()
        self._wrapped.clear()
        self._made.clear()
        self._heights = Heights()
        # As much as may be on the screen at once, and up to where the cursor stays.
        self.measure((here or 0) + _AT_FIRST)
        if here is not None:
            self.cursor = self._row(here)

    def measure(self, least: int) -> None:
        """Find out how many rows at least so many more lines take, and of others as long as it does not take long."""
        if not self._width:
            return
        end = time.perf_counter() + _AT_ONCE
        least += self._measured
        # What follows a line, such as a comma, is part of it.
        for key in range(self._measured, self.keys if self.read else self.keys - 1):
            if key >= least and time.perf_counter() > end:
                break
            rows = self._measure(key)
            if rows > 1 and (line := self.line_of(key)) is not None:
                self._heights.add(line, rows)
            self._measured = key + 1

    def toggle(self, number: int) -> None:
        key = self._key_at(number)
        if key is not None and self._is_long(key):
            self._fold_or_unfold(key)

    def _fold_or_unfold(self, key: int) -> None:
        self._unfolded ^= {key}
        self._made.pop(key, None)
        self._lay_out_again(key)

    def _lay_out_again(self, *keys: int) -> None:
        """Make the rows of lines anew; others may be hidden now."""
        for key in keys:
            self._wrapped.pop(key, None)
            self._measure(key)
        places = ((self.line_of(key), rows) for key, rows in sorted(self._tall.items()))
        self._heights = Heights((line, rows) for line, rows in places if line is not None)

    def row_at(self, key: int, place: int) -> int | None:
        """The row in which a place of a line is, which is unfolded if it is not in its first rows; None: it is not made
        yet."""
        if not self._shows(key, place):
            self._fold_or_unfold(key)
        return self._row_in(key, place)

    def _shows(self, key: int, place: int) -> bool:
        """Whether a place is drawn while a line is as it is."""
        if not self._is_long(key) or key in self._unfolded:
            return True
        pieces = [piece for row in self._wrap(key) for piece in row if piece.place >= 0]
        return any(piece.place <= place < piece.place + len(piece.text) for piece in pieces)

    def _row_in(self, key: int, place: int) -> int | None:
        top = self._row(key)
        found = 0
        for number, row in enumerate(self._wrap(key)[: self._tall.get(key, 1)]):
            places = [piece.place for piece in row if piece.place >= 0]
            if places and places[0] > place:
                return top + found
            found = number if places else found
        return top + found if key not in self._made or self._made[key].complete else None

    def _row(self, key: int) -> int:
        """The first row of a line, or of the one it is hidden in."""
        line = self.line_of(key)
        return 1 + self._heights.top(line) if line is not None else 0

    def _line_at(self, number: int) -> int:
        return self._heights.line(number - 1)

    def _key_at(self, number: int) -> int | None:
        """The key of the line that a row is of; None: it is the heading."""
        return self.key(self._line_at(number)) if number else None

    def _measure(self, key: int) -> int:
        rows = 1 if self.fits(key, self._width) else len(self._wrap(key))
        if rows > 1:
            self._tall[key] = rows
        else:
            self._tall.pop(key, None)
        return rows

    def _is_long(self, key: int) -> bool:
        """Whether a line is one that folds."""
        if self.fits(key, self._width):
            return False
        line = self.line(key, self._width)
        return bool(line.folded) or len(wrap(line.pieces, self._width, line.indent, FOLDED + 2)) > FOLDED + 1

    def _wrap(self, key: int) -> list[list[Piece]]:
        """The rows of a line as they are drawn, as far as they are made."""
        if key in self._unfolded:
            if key not in self._made:
                self._made[key] = UnfoldedLine(self.unfold(key, self._width))
            return self._made[key].rows
        rows = self._wrapped.get(key)
        if rows is None:
            if len(self._wrapped) >= _KEPT:
                self._wrapped.clear()
            rows = self._wrapped[key] = self._wrap_folded(key)
        return rows

    def _wrap_folded(self, key: int) -> list[list[Piece]]:
        line = self.line(key, self._width)
        if line.folded:
            return wrap(line.folded, self._width, line.indent)
        rows = wrap(line.pieces, self._width, line.indent, FOLDED + 2)
        if len(rows) <= FOLDED + 1:
            return rows
        indent = min(line.indent, self._width // 2)
        return [*rows[:FOLDED], [Piece(" " * indent), Piece("▸ ", "sign"), Piece(line.more, "dim")]]
