"""A page of values that can be folded: JSON, MessagePack, CBOR."""

from collections.abc import Sequence
from typing import Final

from views.widgets.inspector.page import LONGEST, STEPS, Page, Piece, Row, find_text
from workbench.decode.outline import Outline

_DEEPEST: Final = 30
"""Levels beyond which lines are not set in further."""


class Tree(Page):
    """Values that can be folded."""

    def __init__(self, heading: str, outline: Outline) -> None:
        super().__init__(heading)
        self._outline = outline
        outline.read_on(STEPS)

    @property
    def complete(self) -> bool:  # type: ignore[override]
        return self._outline.complete

    @property
    def rows(self) -> int:
        return 1 + self._outline.rows

    def read_on(self) -> None:
        self._outline.read_on(STEPS)

    def row(self, number: int, width: int) -> Row:
        if not number:
            return Row([Piece(self.heading if self.complete else f"{self.heading} · reading on …", "heading")])
        outline = self._outline
        line = outline.line(number - 1)
        indent = min(2 * min(outline.depth(line), _DEEPEST), width // 2)
        folds, folded = outline.can_fold(line), outline.is_folded(line)
        pieces = [Piece(" " * indent), Piece("▸ " if folded else "▾ " if folds else "  ", "sign")]
        for look, start, end in outline.parts(line):
            text = outline.text[start : min(end, start + LONGEST)]
            pieces.append(Piece(text, look, start))
            if end - start > LONGEST:
                pieces.append(Piece(f"… of {end - start:,} characters", "dim"))
            if look == "key":
                pieces.append(Piece(": ", "mark"))
        if folds and folded:
            members = outline.members(line)
            what = "field" if outline.closing(line) == "}" else "item"
            pieces.append(Piece(f" … {members:,} {what}{'' if members == 1 else 's'} ", "dim"))
            pieces.append(Piece(outline.closing(line), "mark"))
        if outline.has_comma(line, folds and folded):
            pieces.append(Piece(",", "mark"))
        return Row(pieces, indent + 4)

    def text_to_copy(self, number: int) -> str:
        return self._outline.copied(self._outline.line(number - 1)) if number else self._outline.text

    def toggle(self, number: int) -> None:
        if number:
            self._outline.toggle(self._outline.line(number - 1))

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._outline.text)

    def row_of(self, place: int) -> int | None:
        if not self.complete and place >= self._outline.read_to:
            return None
        line = self._outline.line_at(place)
        self._outline.reveal(line)
        return 1 + self._outline.row(line)

    def place_of(self, number: int) -> int:
        return self._outline.start(self._outline.line(number - 1)) if number else 0
