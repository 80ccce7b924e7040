"""Two pages in one tab, one below the other."""

from array import array
from collections.abc import Sequence

from views.widgets.inspector.failure import Failure
from views.widgets.inspector.page import FOUND, Page, Piece
from workbench.decode.display import cells, visible
from workbench.query.condition import Condition


class Pair(Page):
    """Why an event failed, a rule, and its body."""

    def __init__(self, above: Failure, below: Page) -> None:
        super().__init__(below.heading)
        self.part = below.part
        self._above, self._below = above, below
        self._width = 0
        self.cursor = above.cursor

    @property
    def complete(self) -> bool:  # type: ignore[override]
        return self._above.complete and self._below.complete

    @property
    def _rule(self) -> int:
        """The row of the rule; what is below begins behind it."""
        return self._above.rows

    @property
    def rows(self) -> int:
        return self._rule + self._below.rows

    def row(self, number: int) -> Sequence[Piece]:
        if number < self._rule:
            return self._above.row(number)
        if number == self._rule:
            heading = visible(self._below.heading, max(self._width - 6, 0))
            rest = max(self._width - cells(heading) - 3, 0)
            return [Piece("─ ", "rule"), Piece(heading, "dim"), Piece(f" {'─' * rest}", "rule")]
        pieces = self._below.row(number - self._rule)
        return [
            piece if piece.place < 0 else piece._replace(place=piece.place + self._above.length) for piece in pieces
        ]

    def extent(self, number: int) -> range:
        page, row = self._at(number)
        found = page.extent(row)
        return range(found.start + number - row, found.stop + number - row)

    def text_to_copy(self, number: int) -> str:
        page, row = self._at(number)
        return page.text_to_copy(row)

    def path(self, number: int) -> str:
        page, row = self._at(number)
        return page.path(row)

    def condition(self, number: int) -> Condition:
        page, row = self._at(number)
        return page.condition(row)

    def toggle(self, number: int) -> None:
        page, row = self._at(number)
        page.toggle(row)

    def resize(self, width: int) -> None:
        page, row = self._at(self.cursor) if self._width else (self._above, self.cursor)
        page.cursor = row
        self._width = width
        self._above.resize(width)
        self._below.resize(width)
        self._put_cursor(page)

    def read_on(self) -> None:
        page, row = self._at(self.cursor)
        page.cursor = row
        for each in (self._above, self._below):
            if not each.complete:
                each.read_on()
        self._put_cursor(page)

    def _put_cursor(self, page: Page) -> None:
        """Where it is on one of the pages."""
        self.cursor = page.cursor + (self._rule if page is self._below else 0)

    def places(self, text: str) -> Sequence[int]:
        length = self._above.length
        found = array("Q", self._above.places(text))
        found.extend(place + length for place in self._below.places(text)[: FOUND + 1 - len(found)])
        return found

    def covers(self, text: str, place: int) -> int:
        length = self._above.length
        return self._above.covers(text, place) if place < length else self._below.covers(text, place - length)

    def row_of(self, place: int) -> int | None:
        length = self._above.length
        if place < length:
            return self._above.row_of(place)
        row = self._below.row_of(place - length)
        return None if row is None else row + self._rule

    def place_of(self, number: int) -> int:
        page, row = self._at(number)
        return page.place_of(row) + (self._above.length if page is self._below else 0)

    def _at(self, number: int) -> tuple[Page, int]:
        """The page that a row is of, and which of its rows it is; the rule is the heading of the one below."""
        return (self._above, number) if number < self._rule else (self._below, number - self._rule)
