r"""Regular expressions that users and repositories write: all are RE2's, whether in a query, a mask or a convention.

RE2 takes time in proportion to the text, whatever the pattern, so that no body can hang the program; Python's `re` can
take years for eleven characters. It has neither backreferences nor look-around. Unlike RE2 alone, `\d`, `\w`, `\s` and
their opposites mean Unicode's digits, letters and spaces, as they do in Python; `\b` knows ASCII only.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Final

from workbench.model.errors import FormatError

_MEMORY: Final = 32 << 20
"""Bytes that a compiled pattern may take; RE2's own 8 MiB are little for Unicode's letters repeated."""
_NOWHERE: Final = (-1, -1)
_SHORT: Final = re.compile(r"(?:\[(?:[0-9a-zA-Z]-[0-9a-zA-Z]){1,3}\]\{\d{1,3}\}|[-0-9A-Za-z:/_ ()])+")
"""Patterns of a few classes, each a certain number of times, between letters: such as a W3C trace context's."""
_WORK: Final = 1 << 27
"""Bytes that are searched for the matches in one text: each match may have to be looked for up to the end."""


class Pattern:
    """A regular expression, compiled; pickles.

    Args:
        text: As a user wrote it.

    Raises:
        FormatError: It is none in RE2's syntax; the sentence begins in the middle and has no full stop.
    """

    def __init__(self, text: str) -> None:
        # It takes a while to load.
        import re2

        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._text = text
        try:
            compiled = re2.compile(_unicode(text), options)
        except (re2.error, UnicodeEncodeError) as error:
            raise FormatError(f"is no regular expression in RE2's syntax: {_reason(error)}") from None
        # The library's own methods make an object for each match, which takes longer than to find it in a short text.
        self._match: Callable[[Any, bytes, int, int], Sequence[tuple[int, int]]] = compiled._regexp.Match
        self._anywhere, self._at_beginning = re2._Anchor.UNANCHORED, re2._Anchor.ANCHOR_START
        self.groups = int(compiled.groups)
        """How many groups it has."""
        # Where nothing is repeated but a fixed number of times, Python's own takes no longer, and needs no bytes.
        self._short = re.compile(text).match if _SHORT.fullmatch(text) else None

    def __reduce__(self) -> tuple[type["Pattern"], tuple[str]]:
        return Pattern, (self._text,)

    def in_bytes(self, data: bytes) -> bool:
        """Whether it matches somewhere in a text in UTF-8."""
        return self._match(self._anywhere, data, 0, len(data))[0] != _NOWHERE

    def in_text(self, text: str) -> bool:
        """Whether it matches somewhere in a text."""
        # Bytes spare a copy of the text for every look at it. Half a surrogate pair is a character, and no letter.
        return self.in_bytes(text.encode("utf-8", "replace"))

    def begins(self, text: str) -> str | None:
        """What its first group holds where a text begins as it says (if it has none: what it matches); else None."""
        if self._short is not None:
            found = self._short(text)
            return found[1 if self.groups else 0] if found else None
        data = text.encode("utf-8", "replace")
        start, end = self._match(self._at_beginning, data, 0, len(data))[1 if self.groups else 0]
        return data[start:end].decode("utf-8", "replace") if start >= 0 else None

    def mask(self, text: str) -> str:
        """The text with `*` for each character that it matches, and for all behind a place from which on matches would
        take too long to find."""
        data = text.encode("utf-8", "replace")
        pieces: list[str] = []
        left = max(_WORK // max(len(data), 1), 16)
        done = at = 0
        for start, end in self._spans(data):
            # Places are counted in bytes there, in characters here.
            begin = at + len(data[done:start].decode("utf-8", "replace"))
            upto = begin + len(data[start:end].decode("utf-8", "replace"))
            pieces += text[at:begin], "*" * (upto - begin)
            done, at = end, upto
            left -= 1
            if not left:
                return "".join([*pieces, "*" * (len(text) - at)])
        return "".join([*pieces, text[at:]])

    def _spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        place = 0
        while (span := self._match(self._anywhere, data, place, len(data))[0]) != _NOWHERE:
            start, end = span
            if end > start:
                yield span
            place = max(end, place + 1)
            if place > len(data):
                return


def literally(text: str) -> str:
    """A pattern that matches just this text."""
    return "".join(
        character if character.isalnum() or ord(character) > 127 else f"\\x{{{ord(character):x}}}" for character in text
    )


_UNICODE: Final = {
    r"\d": r"\p{Nd}",
    r"\D": r"\P{Nd}",
    r"\w": r"[\p{L}\p{N}_]",
    r"\W": r"[^\p{L}\p{N}_]",
    r"\s": r"[\s\v\x1c-\x1f\x{85}\p{Z}]",
    r"\S": r"[^\s\v\x1c-\x1f\x{85}\p{Z}]",
}


@cache
def _in_class(escape: str) -> str:
    """What an escape stands for inside a class, where RE2 cannot say what two opposites have in common."""
    if escape in (r"\W", r"\S"):
        within: Callable[[str], bool] = str.isspace if escape == r"\S" else lambda one: one.isalnum() or one == "_"
        # Asking about every character takes a third of a second, at every start; behind U+3000 there is no space.
        asked = 0x3001 if escape == r"\S" else sys.maxunicode + 1
        inside = [-1, *(code for code in range(asked) if within(chr(code))), sys.maxunicode + 1]
        return "".join(
            f"\\x{{{before + 1:x}}}-\\x{{{after - 1:x}}}" for before, after in pairwise(inside) if after - before > 1
        )
    return _UNICODE[escape].strip("[]")


def _unicode(pattern: str) -> str:
    """The pattern with classes that mean Unicode's characters."""
    pieces: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        length = 1
        if pattern.startswith(r"\Q", at):
            end = pattern.find(r"\E", at)
            length = (end if end >= 0 else len(pattern)) - at
        elif pattern[at] == "\\":
            length = 2
        elif in_class and pattern.startswith("[:", at):
            length = max(pattern.find(":]", at) - at, 0) + 2
        elif in_class:
            in_class = pattern[at] != "]"
        elif pattern[at] == "[":
            in_class = True
            # A bracket that comes first is a character.
            length = 2 if pattern.startswith("[]", at) else 3 if pattern.startswith("[^]", at) else 1
        piece = pattern[at : at + length]
        pieces.append(_in_class(piece) if in_class and piece in _UNICODE else _UNICODE.get(piece, piece))
        at += length
    return "".join(pieces)


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if any(sign in text for sign in ("(?=", "(?!", "(?<", "sequence: \\1", "(?P")):
        text += "; it has neither look-around nor backreferences, which can take forever"
    return text
