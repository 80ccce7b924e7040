"""What may follow in a query that is being written: symbols, operators, values, `and` and `or`."""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from workbench.query.grammar import OPERATORS, SYMBOLS, Expected, expectations
from workbench.query.query import quote

_FOLLOWED: Final = ("header.", "property.", "body.")
_BREAKS: Final = frozenset(" \t\n(),=!<>~")


class Completions(msgspec.Struct, frozen=True):
    """What may stand at the cursor.

    Attributes:
        start: Where the part of the text begins that a candidate replaces; it ends at the cursor.
        candidates: Texts that begin as that part does, best first, ready to be inserted.
    """

    start: int
    candidates: tuple[str, ...]


def no_values(symbol: str) -> Iterable[str]:
    """No values are known."""
    return ()


def completions(
    text: str, cursor: int, paths: Iterable[str] = (), values: Callable[[str], Iterable[str]] = no_values
) -> Completions:
    """What may stand at the cursor.

    Args:
        text: The query, finished or not.
        cursor: Between which characters, from 0.
        paths: Names seen in events, most likely ones first: `header.retry`, `body.total`.
        values: The values seen of a symbol, as the symbol is written; most likely ones first.
    """
    head = text[:cursor]
    seen = expectations(head)
    # A cursor that touches a token is still writing it, rather than what would follow.
    touching = bool(head) and head[-1] not in _BREAKS
    start = max((each.column for each in seen if each.column < cursor or not touching), default=0)
    written = head[start:].lstrip("'\"")
    found = [
        candidate
        for each in seen
        if each.column == start
        for candidate in _candidates(each, paths, values)
        if candidate.lstrip("'\"").startswith(written) and candidate != head[start:]
    ]
    return Completions(start, tuple(dict.fromkeys(found)))


def _candidates(expected: Expected, paths: Iterable[str], values: Callable[[str], Iterable[str]]) -> list[str]:
    match expected.what:
        case "term":
            return [*SYMBOLS, *paths, *_FOLLOWED, "not"]
        case "operator":
            return [*OPERATORS]
        case "connective":
            return ["and", "or"]
        case "value":
            return [_insertion(value) for value in values(expected.symbol)]


def _insertion(value: str) -> str:
    """A value as it must be written: in quotes where it would not be one word, or would mean more than its text."""
    if value and not any(character in " \t\n\r(),'\"" for character in value):
        return value
    return quote(value)
