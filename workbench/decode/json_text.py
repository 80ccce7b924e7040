"""JSON as it is written: its tokens where they stand in the text, and the text laid out for reading.

Nothing is turned into a value, so no number is rounded, no repeated key is lost and no escape is changed; and nothing
recurses, so it may nest as deep as it likes. `NaN` and `Infinity`, which JSON does not have and many writers send, are
taken as they are.
"""

import json
import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from workbench.model.errors import FormatError

TokenKind = Literal["{", "}", "[", "]", "key", "string", "number", "word"]

_INDENT: Final = "  "
_DEEPEST_INDENT: Final = 30
"""Deeper levels are not set in further: a hundred thousand levels would otherwise be ten gigabytes of spaces."""

_TOKEN: Final = re.compile(
    r"""[ \t\n\r]*+(?:
        (?P<string>"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+")
      | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![0-9.eE+-]))
      | (?P<word>true|false|null|NaN|-?Infinity)
      | (?P<mark>[\[\]{}:,])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_CUT_TOKEN: Final = re.compile(
    r'[ \t\n\r]*+(?:"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?|[-+.0-9eE]{0,400}|[a-zA-Z]{0,8})', re.DOTALL
)
_VALUES: Final = frozenset(("string", "number", "word"))


class Token(NamedTuple):
    """One token: what it is, and where in the text it begins and ends."""

    kind: TokenKind
    start: int
    end: int


class Layout(NamedTuple):
    """JSON laid out for reading.

    Attributes:
        text: A line for each member, set in by its depth.
        truncated: Whether the text went on behind what is laid out.
        repeated: Keys that one object holds more than once, each named once.
        numbers: Whether there is a `NaN` or `Infinity`.
    """

    text: str
    truncated: bool
    repeated: tuple[str, ...]
    not_numbers: bool


def tokens(text: str, cut: bool = False) -> Iterator[Token]:
    """Read one JSON value, token by token. Commas and colons are checked and left out.

    Args:
        text: The text; white space may stand around the value.
        cut: Whether more text would follow: then it may end anywhere.

    Raises:
        FormatError: What comes next is not JSON.
    """
    match = _TOKEN.match
    open_: list[str] = []
    at = 0
    # What may come: a value, a value or "]", a key, a key or "}", ":", "," or the closing mark, or nothing.
    expected = "value"
    while True:
        found = match(text, at)
        group = found.lastgroup if found else None
        if not found or not group or (group == "end" and expected != "end"):
            if cut and _CUT_TOKEN.fullmatch(text, at):
                return
            raise _error_at(text, at)
        start, end = found.span(group)
        if cut and end == len(text) and group in ("number", "word"):
            # More of it may follow.
            return
        if expected in ("value", "value or ]") and group in _VALUES:
            yield Token(group, start, end)  # type: ignore[arg-type]
            expected = ", or closing" if open_ else "end"
        elif group == "string" and expected in ("key", "key or }"):
            yield Token("key", start, end)
            expected = ":"
        elif group == "mark":
            mark = text[start]
            if mark in "{[" and expected in ("value", "value or ]"):
                yield Token(mark, start, end)  # type: ignore[arg-type]
                open_.append(mark)
                expected = "key or }" if mark == "{" else "value or ]"
            elif mark == ":" and expected == ":":
                expected = "value"
            elif mark == "," and expected == ", or closing":
                expected = "key" if open_[-1] == "{" else "value"
            elif (mark == "}" and expected == "key or }") or (
                expected in ("value or ]", ", or closing") and open_[-1] + mark in ("{}", "[]")
            ):
                yield Token(mark, start, end)  # type: ignore[arg-type]
                open_.pop()
                expected = ", or closing" if open_ else "end"
            else:
                raise _error_at(text, start)
        elif group == "end":
            return
        else:
            raise _error_at(text, start)
        at = end


def string(text: str, token: Token) -> str:
    """What a string or key says, its escapes resolved; it may hold a lone surrogate."""
    inside = text[token.start + 1 : token.end - 1]
    return str(json.loads(text[token.start : token.end])) if "\\" in inside else inside


def lay_out_json(text: str, limit: int, cut: bool = False) -> Layout:
    """The text with a line for each member, every token as it was written.

    Args:
        text: JSON.
        limit: At most so many characters.
        cut: Whether more text would follow.

    Raises:
        FormatError: It is not JSON, as far as it is laid out.
    """
    pieces: list[str] = []
    keys: list[set[str]] = []
    repeated: dict[str, None] = {}
    depth = length = 0
    first, named, not_numbers = True, False, False
    end = 0
    for token in tokens(text, cut):
        kind = token.kind
        if length >= limit:
            return Layout("".join(pieces), True, tuple(repeated), not_numbers)
        closing = kind in ("}", "]")
        if closing:
            depth -= 1
            keys.pop()
        if named or (closing and first):
            lead = ""
        else:
            comma = "" if first or closing else ","
            lead = f"{comma}\n{_INDENT * min(depth, _DEEPEST_INDENT)}" if pieces else ""
        written = text[token.start : token.end]
        named = kind == "key"
        if kind == "key":
            name = string(text, token)
            if name in keys[-1]:
                repeated[name] = None
            keys[-1].add(name)
            written += ": "
        elif kind == "word":
            not_numbers = not_numbers or written[-1] in "Ny"
        first = kind in ("{", "[")
        if first:
            depth += 1
            keys.append(set())
        piece = lead + written
        if len(piece) > limit - length:
            pieces.append(piece[: limit - length])
            return Layout("".join(pieces), True, tuple(repeated), not_numbers)
        pieces.append(piece)
        length += len(piece)
        end = token.end
    # A token that is cut in two, such as a string of megabytes, is shown as far as it is there.
    rest = text[end:].strip(" \t\n\r,:")
    return Layout("".join([*pieces, rest[: limit - length]]), cut, tuple(repeated), not_numbers)


def _error_at(text: str, at: int) -> FormatError:
    line = text.count("\n", 0, at) + 1
    return FormatError(f"not JSON at line {line}, column {at - text.rfind(chr(10), 0, at)}")
