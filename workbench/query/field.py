"""What a query can speak of, by itself: the values at `type`, `header.retry` or `body.items[0].sku`, in order."""

import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeAlias

from workbench.model.event import Delivery
from workbench.query.grammar import parse_symbol
from workbench.query.operators import milliseconds, number_in
from workbench.query.paths import Repeating
from workbench.query.query import PLAIN, Reading, Seen, Values, values_of

Rank: TypeAlias = int | float | str | None
"""What puts values in order: numbers by their size, then texts by their characters, then what has no value."""

LOOKED_AT: Final = 200
"""Characters of a text that decide its rank."""
_ENDLESS: Final = float("inf")


class Field:
    """One field of deliveries; pickles.

    Args:
        text: As a query has it, or `seen`: when the delivery was seen.
        reading: How deliveries are understood.

    Raises:
        QueryError: There is no such field.
    """

    def __init__(self, text: str, reading: Reading = PLAIN) -> None:
        self.text: Final = text
        """As a query has it."""
        self._reading: Final = reading
        measure = _MEASURES.get(text)
        self._values: Final = measure if measure is not None else values_of(parse_symbol(text))

    def __reduce__(self) -> tuple[type["Field"], tuple[str, Reading]]:
        return Field, (self.text, self._reading)

    def values(self, delivery: Delivery) -> list[object]:
        """All values, those with precedence first; none where there is no such field, or where it nests too deep."""
        values = self._values(Seen(self._reading.mask(delivery), self._reading))
        try:
            return [_plain(value) for value in values]
        except RecursionError:
            return []

    def rank(self, delivery: Delivery) -> Rank:
        """The rank of the first value: a number that a text spells is one, a time counts as milliseconds since 1970."""
        values = self.values(delivery)
        return _rank(values[0]) if values else None


def _plain(value: object) -> object:
    """A value of which keys may repeat, of each the last."""
    if isinstance(value, Repeating):
        return {name: _plain(item) for name, item in value.items}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _rank(value: object) -> Rank:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return milliseconds(value)
    if isinstance(value, int | float | Decimal):
        return _size(value)
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    number = number_in(text)
    # Half of a surrogate pair could not be handed to another process.
    return _size(number) if number is not None else text[:LOOKED_AT].encode("utf-8", "backslashreplace").decode()


def _size(number: float | Decimal) -> int | float:
    if isinstance(number, int) and -(2**63) <= number < 2**63:
        return number
    try:
        size = float(number)
    except (OverflowError, ValueError):
        size = _ENDLESS if number > 0 else -_ENDLESS
    # Not-a-number has no order that could be kept.
    return size if size == size else -_ENDLESS


_MEASURES: Final[Mapping[str, Values]] = {
    "time": lambda seen: (seen.delivery.time[0],),
    "age": lambda seen: (round(time.time() * 1000) - seen.delivery.time[0],),
    "seen": lambda seen: (seen.delivery.seen_at,),
    "size": lambda seen: () if (body := seen.delivery.event.body) is None else (len(body),),
    "attempts": lambda seen: () if (attempts := seen.attempts) is None else (attempts,),
}
"""What is measured, and has no list of values in the query language."""
