"""Numbers in bytes: a body that has no number behind a member's name that may be meant cannot match a comparison.

A number has endless spellings, so that no needle can stand for it; but where JSON has the member, its name stands there
in quotes (unless an escape hides it), then a colon, then the number, perhaps as a text. Only that is read, and only as
a float: whatever compares so exactly compares so, or is equal, when both sides are rounded.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from workbench.query.grammar import All, Comparison, Node
from workbench.query.operators import meaning
from workbench.query.prefilter import json_spellings

_Test: TypeAlias = Callable[[float], bool]


class NumberSearch:
    """Finds where a member of JSON may have a number that compares so. Lets too much through, and never too little."""

    def __init__(self, name: str, test: _Test) -> None:
        """
        Args:
            name: The member's.
            test: Whether a number, rounded to a float, may be meant.
        """
        spelled, self._escape = json_spellings(name)
        # RFC 8259, section 2: what may stand around a colon. Infinity is no JSON and is read all the same.
        pattern = rb'"%b"[ \t\n\r]*:[ \t\n\r]*"?(-?(?:[0-9][0-9.eE+-]*|I))' % re.escape(spelled)
        self._numbers: Final = re.compile(pattern).finditer
        self._test: Final = test

    def may_match(self, data: bytes) -> bool:
        """Whether the bytes of one delivery or of many may hold one that is meant, if no body among them is opaque."""
        if b"\\" in data and self._escape in data:
            return True
        return any(self._is_meant(found[1]) for found in self._numbers(data))

    def candidates(self, deliveries: bytes, ends: "Sequence[int] | array[int]") -> set[int]:
        """Which deliveries may be meant, counted from 0.

        Args:
            deliveries: Their bytes, one behind the other.
            ends: Where each ends.
        """
        found: set[int] = set()
        is_meant = self._is_meant
        for match in self._numbers(deliveries):
            if is_meant(match[1]):
                found.add(bisect_right(ends, match.start()))
        if b"\\" in deliveries:
            at = deliveries.find(self._escape)
            while at >= 0:
                index = bisect_right(ends, at)
                if index == len(ends):
                    break
                found.add(index)
                # Places that are damaged may lead back.
                at = deliveries.find(self._escape, max(ends[index], at + 1))
        found.discard(len(ends))
        return found

    def _is_meant(self, numeral: bytes) -> bool:
        try:
            return self._test(float(numeral))
        except ValueError:
            return True


def number_searches(node: Node, now: int) -> tuple[NumberSearch, ...]:
    """What the bytes of a match hold of numbers: each must be met, unless the body is opaque.

    Args:
        node: The query.
        now: As `meaning` has it.
    """
    match node:
        case All(parts):
            return tuple(search for part in parts for search in number_searches(part, now))
        case Comparison(symbol, operator, literals) if symbol.name == "body" and symbol.path:
            name = symbol.path[-1]
            numbers = [meaning(literal, now).number for literal in literals]
            floats = [float(number) for number in numbers if number is not None]
            if isinstance(name, str) and len(floats) == len(numbers) and (test := _test_of(operator, floats)):
                return (NumberSearch(name, test),)
    return ()


def _test_of(operator: str, numbers: Sequence[float]) -> _Test | None:
    """The comparison of rounded numbers; None where it is none of numbers."""
    first, last = numbers[0], numbers[-1]
    match operator:
        case "=" | "in":
            return frozenset(numbers).__contains__
        case ">" | ">=":
            return first.__le__
        case "<" | "<=":
            return first.__ge__
        case "between":
            return lambda number: first <= number <= last
        case _:
            return None
