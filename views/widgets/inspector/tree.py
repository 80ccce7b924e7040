"""A page of values that can be folded: JSON, MessagePack, CBOR."""

from collections.abc import Sequence
from typing import Final

from views.widgets.inspector.listing import Line, Listing
from views.widgets.inspector.page import STEPS, Piece, find_text
from workbench.decode.outline import Outline
from workbench.model.wording import quantity
from workbench.query.condition import Condition, equals, path_text

_DEEPEST: Final = 30
"""Levels beyond which lines are not set in further."""


class Tree(Listing):
    """Values that can be folded."""

    def __init__(self, heading: str, outline: Outline) -> None:
        self._outline = outline
        self._heading = heading
        super().__init__(heading)
        outline.read_on(STEPS)

    @property
    def heading(self) -> str:
        """What the page shows."""
        return self._heading if self.complete else f"{self._heading} · reading on …"

    @heading.setter
    def heading(self, text: str) -> None:
        self._heading = text

    @property
    def read(self) -> bool:
        return self._outline.complete

    def read_lines(self) -> None:
        self._outline.read_on(STEPS)

    @property
    def keys(self) -> int:
        return len(self._outline)

    def lines(self, keys: int) -> int:
        if keys == len(self._outline):
            return self._outline.rows
        # The next is hidden in one before it, or is itself the first that is left out.
        return self._outline.row(keys) + (self.line_of(keys) is None)

    def key(self, line: int) -> int:
        return self._outline.line(line)

    def line_of(self, key: int) -> int | None:
        line = self._outline.row(key)
        return line if self._outline.line(line) == key else None

    def fits(self, key: int, width: int) -> bool:
        outline = self._outline
        length = outline.end(key) - outline.start(key)
        # Its brackets, comma and the sign take less than ten cells.
        indent = min(2 * min(outline.depth(key), _DEEPEST), width // 2)
        if indent + length + 10 > width:
            return False
        written = outline.text[outline.start(key) : outline.end(key)]
        return written.isascii() and written.isprintable() and "\\" not in written and not outline.is_folded(key)

    def line(self, key: int, width: int) -> Line:
        outline = self._outline
        indent = min(2 * min(outline.depth(key), _DEEPEST), width // 2)
        folds, folded = outline.can_fold(key), outline.is_folded(key)
        pieces = [Piece(" " * indent), Piece("▸ " if folded else "▾ " if folds else "  ", "sign")]
        length = 0
        for part in outline.parts(key):
            text = outline.shown_text(part)
            length = len(text)
            pieces.append(Piece(text, part.look, part.start))
            if part.look == "key":
                pieces.append(Piece(": ", "mark"))
        if folds and folded:
            members = outline.members(key)
            what = "field" if outline.closing(key) == "}" else "item"
            pieces.append(Piece(f" … {quantity(members, what)} ", "dim"))
            pieces.append(Piece(outline.closing(key), "mark"))
        if outline.has_comma(key, folds and folded):
            pieces.append(Piece(",", "mark"))
        return Line(pieces, indent + 4, f"{length:,} characters")

    def text_to_copy(self, number: int) -> str:
        key = self._key_at(number)
        return self._outline.text if key is None else self._outline.text_to_copy(key)

    def path(self, number: int) -> str:
        key = self._key_at(number)
        return super().path(number) if not key else path_text("body", self._outline.path(key))

    def condition(self, number: int) -> Condition:
        key = self._key_at(number)
        if key is None:
            return super().condition(number)
        value, path = self._outline.value(key), self._outline.path(key)
        # By itself, the body is its text.
        return equals(path_text("body", path), value) if path else equals("body", self._outline.text)

    def toggle(self, number: int) -> None:
        key = self._key_at(number)
        if key is not None and self._outline.can_fold(key):
            self._outline.toggle(key)
            self._lay_out_again(key)
        else:
            super().toggle(number)

    def places(self, text: str) -> Sequence[int]:
        return find_text(text, self._outline.search_text)

    def row_of(self, place: int) -> int | None:
        if not self.read and place >= self._outline.read_to:
            return None
        key = self._outline.line_at(place)
        if key >= self._measured:
            return None
        if self.line_of(key) is None:
            self._lay_out_again(*self._outline.reveal(key))
        return self.row_at(key, place)

    def place_of(self, number: int) -> int:
        key = self._key_at(number)
        return 0 if key is None else self._outline.start(key)
