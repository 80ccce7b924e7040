"""A page of bytes in hex."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from typing import Final

from views.widgets.inspector.page import FOUND, Page, Piece

_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})+|[0-9a-f]{2}(?: [0-9a-f]{2})+", re.IGNORECASE)


class HexPage(Page):
    """Bytes in hex, some under the heading and some under headings of their own."""

    def __init__(self, heading: str, sections: Sequence[tuple[str, bytes]]) -> None:
        super().__init__(heading)
        self._sections = sections
        self.resize(80)

    def resize(self, width: int) -> None:
        self._digits = max(len(f"{max((len(data) for _, data in self._sections), default=0):x}"), 4)
        self._each = each = 16 if width >= self._digits + 68 else 8 if width >= self._digits + 35 else 4
        self._begins: list[tuple[int, int]] = []
        row = place = 0
        for title, data in self._sections:
            self._begins.append((row, place))
            row += bool(title) + -(-len(data) // each)
            place += len(data)
        self._rows = row

    @property
    def rows(self) -> int:
        return 1 + self._rows

    def _find(self, number: int) -> tuple[str, bytes, int, int]:
        """The section that a row is in, its title and bytes; where in them the row begins, less than 0: it is the
        title; and the place of the first of them."""
        which = bisect_right(self._begins, number - 1, key=lambda begin: begin[0]) - 1
        title, data = self._sections[which]
        row, place = self._begins[which]
        return title, data, (number - 1 - row - bool(title)) * self._each, place

    def row(self, number: int) -> Sequence[Piece]:
        if not number:
            return super().row(number)
        title, data, start, place = self._find(number)
        if start < 0:
            return [Piece(title, "heading")]
        each = self._each
        row = data[start : start + each]
        pieces = [Piece(f"{start:0{self._digits}x}", "dim"), Piece("  ")]
        for at, byte in enumerate(row):
            pieces.append(Piece(f"{byte:02x}", "number" if byte else "dim", place + start + at, whole=True))
            pieces.append(Piece("  " if at == 7 and each == 16 else " "))
        missing = each - len(row)
        pieces.append(Piece(" " * (3 * missing + (each == 16 and len(row) < 8) + 1)))
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        return [*pieces, Piece(plain, "string", place + start)]

    def text_to_copy(self, number: int) -> str:
        """A row's bytes, or all under a heading."""
        if not number:
            return self._sections[0][1].hex() if self._sections else ""
        _, data, start, _ = self._find(number)
        return data.hex() if start < 0 else data[start : start + self._each].hex(" ")

    def places(self, text: str) -> Sequence[int]:
        """Where a text is in its bytes; `0x1f8b` and `1f 8b` are the bytes they say."""
        data = _digits(text)
        pattern = re.compile(re.escape(data or text.encode("utf-8", "surrogatepass")), 0 if data else re.IGNORECASE)
        found = array("Q")
        for (_, part), (_, place) in zip(self._sections, self._begins, strict=True):
            found.extend(place + match.start() for match in islice(pattern.finditer(part), FOUND + 1 - len(found)))
        return found

    def covers(self, text: str, place: int) -> int:
        return len(_digits(text) or text.encode("utf-8", "surrogatepass"))

    def row_of(self, place: int) -> int | None:
        which = bisect_right(self._begins, place, key=lambda begin: begin[1]) - 1
        row, begin = self._begins[which]
        return 1 + row + bool(self._sections[which][0]) + (place - begin) // self._each

    def place_of(self, number: int) -> int:
        if not number:
            return 0
        _, _, start, place = self._find(number)
        return place + max(start, 0)


def _digits(text: str) -> bytes:
    """The bytes that hex digits are, if they are written as such: `0x1f8b` or `1f 8b`; none where they are not."""
    digits = _HEX.fullmatch(text)
    return bytes.fromhex(text.strip().lower().removeprefix("0x")) if digits else b""
