"""A page of text."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from views.widgets.inspector.page import STEPS, Page, Piece, find_text
from views.widgets.inspector.wrapping import whole_words
from workbench.decode.display import count_fitting
from workbench.query.condition import Condition, contains


class TextPage(Page):
    """Text, its lines wrapped."""

    complete = False

    def __init__(self, heading: str, text: str) -> None:
        super().__init__(heading)
        self._text = text
        self._width = 0
        self._starts = array("I")
        self._at = 0

    @property
    def rows(self) -> int:
        return 1 + len(self._starts)

    def resize(self, width: int) -> None:
        if width != self._width:
            before = self.place_of(self.cursor) if self.cursor else -1
            self._width, self._at, self.complete = width, 0, False
            self._starts = array("I")
            self.read_on()
            if before >= 0:
                self.cursor = min(bisect_right(self._starts, before), len(self._starts))

    def read_on(self) -> None:
        text, width = self._text, max(self._width, 1)
        # A letter takes a cell at least, with up to two marks.
        most = 3 * (width + 1)
        at = self._at
        for _ in range(STEPS):
            if at >= len(text):
                self.complete = True
                break
            self._starts.append(at)
            end = text.find("\n", at, at + most)
            ahead = text[at : end if end >= 0 else at + most]
            fitting = count_fitting(ahead, width) if ahead else 0
            if at + fitting < len(text) and at + fitting != end:
                fitting = len(whole_words(text[at : at + fitting], text[at + fitting]))
            at += fitting
            at += at == end
        self._at = at

    def row(self, number: int) -> Sequence[Piece]:
        if not number:
            return [Piece(self.heading if self.complete else f"{self.heading} · reading on …", "dim")]
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else self._at
        return [Piece(self._text[start:end].removesuffix("\n"), "", start)]

    def text_to_copy(self, number: int) -> str:
        """The line, however many rows it takes."""
        if not number:
            return self._text
        place = self._starts[number - 1]
        end = self._text.find("\n", place)
        return self._text[self._text.rfind("\n", 0, place) + 1 : end if end >= 0 else None]

    def path(self, number: int) -> str:
        return "body"

    def condition(self, number: int) -> Condition:
        """The condition that a body holds the line."""
        return contains("body", self.text_to_copy(number)) if number else super().condition(number)

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._text)

    def row_of(self, place: int) -> int | None:
        return bisect_right(self._starts, place) if self.complete or place < self._at else None

    def place_of(self, number: int) -> int:
        return self._starts[number - 1] if number else 0
