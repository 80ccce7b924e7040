"""Lines of a table that stand between its rows, and belong to none."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final


class Dividers:
    """Which line a row is in, and what stands in a line, where there are dividers between rows."""

    def __init__(self, dividers: Sequence[tuple[int, str]] = ()) -> None:
        """Place them.

        Args:
            dividers: For each the row that it stands before, counted from 0, and its text; in any order.
        """
        ordered = sorted(dividers, key=lambda divider: divider[0])
        self._before: Final = [row for row, _ in ordered]
        self._lines: Final = [row + index for index, row in enumerate(self._before)]
        self.texts: Final = tuple(ordered)
        """The dividers, in their order."""

    def __len__(self) -> int:
        return len(self._before)

    def line_of(self, row: int) -> int:
        """The line that a row is in, counted from 0."""
        return row + bisect_right(self._before, row)

    def first_line_of(self, row: int) -> int:
        """The line in which the dividers before a row begin; the row's own where there is none."""
        return row + bisect_left(self._before, row)

    def row_of(self, line: int) -> int:
        """The row in a line; in a divider's, the row behind it."""
        return line - bisect_left(self._lines, line)

    def text_in(self, line: int) -> str | None:
        """The divider in a line; None where there is a row."""
        index = bisect_left(self._lines, line)
        return self.texts[index][1] if index < len(self._lines) and self._lines[index] == line else None
