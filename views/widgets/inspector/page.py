"""What a tab of the inspector holds: rows, of which only those that can be seen are made.

A row's pieces hold a stranger's texts as they came: whoever draws them does so through `display.visible`.
"""

import re
from array import array
from collections.abc import Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

from workbench.model.errors import FormatError
from workbench.query.condition import Condition

FOUND: Final = 10_000
"""Places found of which more are not counted."""
STEPS: Final = 1_000
"""Lines that are read at once; a few milliseconds."""
NOTHING_HERE: Final = "There is no value here: go to one first."

Tab = Literal["Body", "Headers", "Facts", "Raw"]


class Piece(NamedTuple):
    """A part of a row.

    Attributes:
        text: As it came.
        look: How it is drawn: a token of JSON, `heading`, `dim`, or empty.
        place: Where the page can find it: of its first character, the rest follow; -1: nothing is found in it.
        whole: Whether all of it stands for one place, as two digits do for a byte.
        width: Cells to fill it to; 0: as many as it takes.
    """

    text: str
    look: str = ""
    place: int = -1
    whole: bool = False
    width: int = 0


class Page:
    """What one tab holds. Row 0 is a heading; a page that is not `complete` grows by `read_on`."""

    complete = True
    """Whether all rows are known."""

    def __init__(self, heading: str) -> None:
        self.heading = heading
        """What the page shows."""
        self.part = ""
        """What it holds of a body, where it is not all: `the first 8,388,608 characters`."""
        self.cursor = 0
        """The first row of what the cursor is on."""

    @property
    def rows(self) -> int:
        """How many rows are known."""
        return 1

    def row(self, number: int) -> Sequence[Piece]:
        """What stands in a row, from 0; no wider than the page was made for."""
        return [Piece(self.heading, "dim")]

    def extent(self, number: int) -> range:
        """The rows that belong together with one: a value may take several."""
        return range(number, number + 1)

    def text_to_copy(self, number: int) -> str:
        """The value in a row; of the heading: of the whole page."""
        return ""

    def path(self, number: int) -> str:
        """The path or symbol of the value in a row, as queries and columns write it.

        Raises:
            FormatError: It has none; the sentence says why.
        """
        raise FormatError(NOTHING_HERE)

    def condition(self, number: int) -> Condition:
        """The condition that an event has the value in a row.

        Raises:
            FormatError: There is none; the sentence says why.
        """
        raise FormatError(NOTHING_HERE)

    def toggle(self, number: int) -> None:
        """Fold or unfold what is in a row."""

    def resize(self, width: int) -> None:
        """Arrange the rows for so many cells; rows may be other ones then."""

    def read_on(self) -> None:
        """Get to know more rows.

        Raises:
            FormatError: It is not what the page took it for.
        """

    def places(self, text: str) -> Sequence[int]:
        """Where a text is, in upper or lower case; at most one more than `FOUND`."""
        return array("Q")

    def covers(self, text: str, place: int) -> int:
        """How many places a text takes that was found at one."""
        return len(text)

    def row_of(self, place: int) -> int | None:
        """The row of a place, unfolding what it is in; None: it is not known yet."""
        return 0

    def place_of(self, number: int) -> int:
        """The first place in or behind a row."""
        return 0


class Sentence(Page):
    """A page that has only this to say."""

    def __init__(self, heading: str, sentence: str, condition: Condition | None = None) -> None:
        super().__init__(heading)
        self._sentence = sentence
        self._condition = condition

    @property
    def rows(self) -> int:
        return 2

    def row(self, number: int) -> Sequence[Piece]:
        return [Piece(self._sentence, "dim")] if number else super().row(number)

    def condition(self, number: int) -> Condition:
        return self._condition or super().condition(number)


def find_text(text: str, where: str) -> Sequence[int]:
    """Where a text is in another, in upper or lower case; at most one more than `FOUND`."""
    pattern = re.compile(re.escape(text), re.IGNORECASE)
    return array("Q", (match.start() for match in islice(pattern.finditer(where), FOUND + 1)))
