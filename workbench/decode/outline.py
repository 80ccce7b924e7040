"""JSON as lines that can be folded, each where it stands in the text. Numbers are shown as they were written, strings
as what they say.

An outline is read on bit by bit, so that a body of megabytes can be looked at before all of it was read, and it holds
five numbers a line. Nothing recurses: a stranger's JSON may nest as deep as it likes.
"""

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import islice
from typing import Final, Literal, NamedTuple

from workbench.decode.json_text import tokens
from workbench.model.content import Value
from workbench.model.errors import FormatError

Look = Literal["key", "string", "number", "word", "mark"]
"""What a part of a line is; `word` is `true`, `null`, and what JSON does not have."""

_Step = tuple[Literal["opens", "closes", "leaf"], int, int]
"""What a line is, and where it begins and ends in the text."""

_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_COLON: Final = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_BETWEEN: Final = " \t\n\r,:"
_BARE_KEY: Final = re.compile(r"[^ \"\[{][^ ]*(?=: )")


class Part(NamedTuple):
    """A part of a line: what it is, and where in the text it begins and ends."""

    look: Look
    start: int
    end: int


class Outline:
    """Lines of a text, the closing marks' own among them, and which of them are folded. Numbers count from 0.

    A *line* is one of all lines; a *row* is one of those that are not hidden in a folded one.
    """

    def __init__(self, text: str, steps: Iterator[_Step]) -> None:
        self.text: Final = text
        """Where the lines stand."""
        self.complete = False
        """Whether all of the text was read."""
        self._steps = steps
        self._starts, self._ends, self._depths = array("I"), array("I"), array("I")
        # Lines that belong to a line, itself among them: 0 while it is open. And how many members it has.
        self._spans, self._members = array("I"), array("I")
        self._open: list[int] = []
        self._folded: set[int] = set()
        # Runs of hidden lines: the first of each, the row at which each would be, and lines hidden up to its end.
        self._hidden: list[int] = []
        self._gaps: list[int] = []
        self._missing: list[int] = [0]

    @classmethod
    def of_json(cls, text: str, cut: bool = False) -> "Outline":
        """The outline of a JSON text.

        Args:
            text: As it was written.
            cut: Whether more text would follow: then it may end anywhere.
        """
        return cls(text, _json_steps(text, cut))

    @classmethod
    def of_lines(cls, text: str) -> "Outline":
        """The outline of values that were laid out as JSON is, such as those of MessagePack: a line for each member."""
        return cls(text, _line_steps(text))

    def read_on(self, steps: int) -> None:
        """Read more of the text.

        Args:
            steps: About how many lines of it.

        Raises:
            FormatError: What comes next is not JSON.
        """
        some = list(islice(self._steps, steps))
        for step in some:
            self._take(*step)
        if len(some) < steps:
            for line in self._open:
                self._spans[line] = len(self._starts) - line
            self._open.clear()
            self.complete = True
        self._settle()

    def _take(self, kind: Literal["opens", "closes", "leaf"], start: int, end: int) -> None:
        line = len(self._starts)
        if kind == "closes" and self._open:
            opener = self._open.pop()
            if opener == line - 1:
                self._ends[opener] = end
                self._spans[opener] = 1
                return
            self._spans[opener] = line + 1 - opener
        elif self._open:
            self._members[self._open[-1]] += 1
        self._starts.append(start)
        self._ends.append(end)
        self._depths.append(len(self._open))
        self._spans.append(0 if kind == "opens" else 1)
        self._members.append(0)
        if kind == "opens":
            self._open.append(line)

    # Lines.

    def __len__(self) -> int:
        """How many lines were read so far."""
        return len(self._starts)

    def depth(self, line: int) -> int:
        """How many lines it is inside of."""
        return self._depths[line]

    def start(self, line: int) -> int:
        """Where in the text it begins."""
        return self._starts[line]

    def end(self, line: int) -> int:
        """Where in the text it ends."""
        return self._ends[line]

    def members(self, line: int) -> int:
        """How many values are directly in it, as far as it was read."""
        return self._members[line]

    def can_fold(self, line: int) -> bool:
        """Whether a line has others in it."""
        return self._spans[line] != 1

    def is_folded(self, line: int) -> bool:
        """Whether the lines in it are hidden."""
        return line in self._folded

    def parts(self, line: int) -> list[Part]:
        """What stands in a line: a key, if it has one, and a value or a mark. Between the two there is a colon."""
        start, end = self._starts[line], self._ends[line]
        value = self._value(line)
        found = [Part("key", start, self._key_end(start, end))] if value > start else []
        return [*found, Part(_look(self.text[value : value + 9]), value, end)] if end > value else found

    def shown_text(self, part: Part) -> str:
        """What is shown of a part: a string or key with its escapes resolved, all else as it was written."""
        written = self.text[part.start : part.end]
        return _unescape(written) if "\\" in written and written[0] == '"' else written

    @cached_property
    def search_text(self) -> str:
        """The text with what is shown of each string in its place, and as much behind it as keeps all others in
        theirs."""
        return _STRING.sub(_pad, self.text) if "\\" in self.text else self.text

    def closing(self, line: int) -> str:
        """The mark that closes a line which can be folded; empty where the text ends before it."""
        last = line + self._span(line) - 1
        mark = self.text[self._starts[last]] if self._spans[line] else ""
        return mark if mark in ("}", "]") and last > line else ""

    def has_comma(self, line: int, folded: bool = False) -> bool:
        """Whether more of the same follows a line; `folded`: behind all that is in it."""
        following = line + (self._span(line) if folded else 1)
        opens = self.can_fold(line) and not folded
        return not opens and following < len(self) and self.text[self._starts[following]] not in "}]"

    def text_to_copy(self, line: int) -> str:
        """The value of a line as the text has it, a string without its quotes and escapes; all of it if it has others
        in it."""
        start = self._value(line)
        end = self._ends[line + self._span(line) - 1]
        written = self.text[start:end]
        if not written.startswith('"'):
            return written
        try:
            said = json.loads(written, strict=False)
            said.encode()
        except ValueError:
            return written.removeprefix('"').removesuffix('"')
        return str(said)

    def value(self, line: int) -> Value:
        """The value of a line that has no others in it, exactly.

        Raises:
            FormatError: It has others in it, or is none of those that JSON has.
        """
        start = self._value(line)
        written = self.text[start : self._ends[line]]
        if self._spans[line] != 1 or written in ("}", "]", "{}", "[]"):
            raise FormatError("A query compares single values: go to one of those in it.")
        if written.startswith('"'):
            try:
                return str(json.loads(written, strict=False))
            except ValueError:
                raise FormatError("Only the beginning of this value was read.") from None
        if written in _WORDS:
            return _WORDS[written]
        if _BYTES.fullmatch(written):
            return bytes.fromhex(written[2:])
        try:
            return Decimal(written)
        except InvalidOperation:
            raise FormatError(f"No query can ask for {written[:40]}.") from None

    def path(self, line: int) -> tuple[str | None, ...]:
        """The steps that lead to a line: names, and None for an element of an array.

        Raises:
            FormatError: A name on the way is no text.
        """
        steps: list[str | None] = []
        while self._depths[line]:
            opener = line
            while self._depths[opener] >= self._depths[line]:
                opener -= 1
            start, value = self._starts[line], self._value(line)
            if value == start:
                steps.append(None)
            elif self.text[start] == '"':
                steps.append(str(json.loads(self.text[start : self._key_end(start, value)], strict=False)))
            else:
                raise FormatError("A key on the way here is not text, so no path can name it.")
            line = opener
        return tuple(reversed(steps))

    def line_at(self, place: int) -> int:
        """The line that a place in the text is in or behind; it must have been read."""
        return max(bisect_right(self._starts, place) - 1, 0)

    @property
    def read_to(self) -> int:
        """How far the text was read."""
        return len(self.text) if self.complete else self._starts[-1] if self._starts else 0

    def _span(self, line: int) -> int:
        return self._spans[line] or len(self) - line

    def _key_end(self, start: int, end: int) -> int:
        found = (_STRING if self.text[start] == '"' else _BARE_KEY).match(self.text, start, end)
        return found.end() if found else start

    def _value(self, line: int) -> int:
        """Where the value in a line begins."""
        start, end = self._starts[line], self._ends[line]
        if self.text[start : start + 1] in ("{", "[", "}", "]", ""):
            return start
        colon = _COLON.match(self.text, self._key_end(start, end), end)
        return colon.end() if colon and self._key_end(start, end) > start else start

    # Folding.

    def toggle(self, line: int) -> None:
        """Fold or unfold a line, if others are in it."""
        if self.can_fold(line):
            self._folded ^= {line}
            self._settle()

    def reveal(self, line: int) -> set[int]:
        """Unfold the lines that a line is hidden in, and say which they were."""
        unfolded = {each for each in self._folded if each < line < each + self._span(each)}
        self._folded -= unfolded
        self._settle()
        return unfolded

    @property
    def rows(self) -> int:
        """How many lines are not hidden."""
        return len(self) - self._missing[-1]

    def line(self, row: int) -> int:
        """The line at a row."""
        return row + self._missing[bisect_right(self._gaps, row)]

    def row(self, line: int) -> int:
        """The row of a line; of a hidden one, that of the line it is folded into."""
        number = bisect_right(self._hidden, line)
        if number and line < self._hidden[number - 1] + self._missing[number] - self._missing[number - 1]:
            line = self._hidden[number - 1] - 1
            number -= 1
        return line - self._missing[number]

    def _settle(self) -> None:
        hidden: list[int] = []
        gaps: list[int] = []
        missing = [0]
        upto = 0
        for line in sorted(self._folded):
            if line < upto:
                continue
            upto = line + self._span(line)
            hidden.append(line + 1)
            gaps.append(line + 1 - missing[-1])
            missing.append(missing[-1] + upto - line - 1)
        self._hidden, self._gaps, self._missing = hidden, gaps, missing


_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_BYTES: Final = re.compile(r"0x(?:[0-9a-f]{2})*")
_FILLER: Final = "\uffff"
"""A character that is none, behind strings that take less room than they were written in."""


def _unescape(written: str) -> str:
    """A string with its escapes resolved, between its quotes."""
    try:
        return f'"{json.loads(written, strict=False)}"'
    except ValueError:
        # It is cut in two.
        return written


def _pad(found: re.Match[str]) -> str:
    written = found[0]
    return _unescape(written).ljust(len(written), _FILLER) if "\\" in written else written


def _look(begin: str) -> Look:
    if begin[0] == '"':
        return "string"
    if begin[0] in "{}[]":
        return "mark"
    return "number" if begin[0].isdigit() or (begin[0] == "-" and begin[1:2].isdigit()) else "word"


def _json_steps(text: str, cut: bool) -> Iterator[_Step]:
    key, upto = -1, 0
    for kind, start, end in tokens(text, cut):
        upto = end
        if kind == "key":
            key = start
            continue
        begin, key = (key, -1) if key >= 0 else (start, -1)
        if kind in ("{", "["):
            yield "opens", begin, end
        elif kind in ("}", "]"):
            yield "closes", begin, end
        else:
            yield "leaf", begin, end
    # What is cut in two is shown as far as it is there.
    rest = text[upto:].lstrip(_BETWEEN)
    start = len(text) - len(rest)
    end = start + len(rest.rstrip(_BETWEEN))
    if key >= 0:
        yield "leaf", key, max(end, upto)
    elif end > start:
        yield "leaf", start, end


def _line_steps(text: str) -> Iterator[_Step]:
    begin = 0
    while begin <= len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        start, upto = begin, end
        while start < upto and text[start] == " ":
            start += 1
        if upto > start and text[upto - 1] == ",":
            upto -= 1
        if upto > start:
            yield "opens" if text[upto - 1] in "{[" else "closes" if text[start] in "}]" else "leaf", start, upto
        begin = end + 1
