"""What a trace begins with: an id, or a value at a place; and where a value stands in an event, as a whole value."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from workbench.facts.conventions import LOOKED_INTO
from workbench.facts.facts import Facts
from workbench.model.errors import FormatError, QueryError
from workbench.model.event import Delivery
from workbench.model.values import bytes_text, value_text
from workbench.query.condition import path_text
from workbench.query.grammar import Comparison, Step, parse
from workbench.query.paths import Repeating, json_tree
from workbench.query.query import Reading, quote

IDS: Final = ("correlation", "message", "causation")
"""The places whose values are ids."""
_PLACES: Final = (*IDS, "key", "body", "header", "property")
_MOST: Final = 100_000
"""Values of one body that are looked at."""


class Seed(msgspec.Struct, frozen=True):
    """What a trace begins with.

    Attributes:
        value: The id, or whatever value was given.
        place: Where it has to stand: `correlation`, `body.orderId`; None: anywhere, as a whole value.
    """

    value: str
    place: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Seed":
        """Read `ID` or `PATH=VALUE` as a user writes it. What has no place before its `=` is an id with one in it.

        Raises:
            QueryError: There is nothing to look for.
        """
        text = text.strip()
        if not text:
            raise QueryError("There is nothing to trace: give an id, or PATH=VALUE such as body.orderId=4711.", 0)
        place, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not value:
            return cls(text)
        try:
            symbol = parse(f"{place} = {quote(value)}")
        except QueryError:
            return cls(text)
        return cls(value, place) if isinstance(symbol, Comparison) and symbol.symbol.name in _PLACES else cls(text)

    def __str__(self) -> str:
        return self.value if self.place is None else f"{self.place}={self.value}"

    @property
    def query(self) -> str:
        """The query that finds the events in which the value may stand; of these, `places` tells those where it does.

        Raises:
            QueryError: It holds what no query can ask for.
        """
        value = quote(self.value)
        if self.place in IDS:
            return f"{self.place} = {value}"
        if self.place is not None:
            # Without quotes a number is meant too, as bodies write order numbers.
            plain = self.value if _PLAIN.fullmatch(self.value) else value
            return f"{self.place} = {plain}"
        return " or ".join((value, *(f"{place} = {value}" for place in IDS)))


def ids_query(ids: tuple[str, ...]) -> str:
    """The query for all events that carry one of some ids as their flow's, their own or their cause's."""
    values = f"({', '.join(map(quote, ids))})"
    return " or ".join(f"{place} in {values}" for place in IDS)


def is_id(text: str) -> bool:
    """Whether a text is written by nobody who does not mean this very thing: long, and of several characters.

    Words, numbers, dates, truths, and ids of one digit throughout are none.
    """
    if not 8 <= len(text) <= 200 or not text.isprintable() or any(map(str.isspace, text)):
        return False
    if len(set(text) - set("-_.:{}")) < 4 or _DATE.match(text):
        return False
    digits = sum(map(str.isdigit, text))
    return digits >= 15 or (digits > 0 and any(map(str.isalpha, text)))


def places(delivery: Delivery, facts: Facts, value: str, reading: Reading) -> tuple[str, ...]:
    """Where a value stands in an event, each place once: ids first, then as a query names its path.

    A place that a fact was read from is the fact alone.

    Args:
        delivery: The event, as it may be seen.
        facts: What the conventions say of it.
        value: What must stand there, all of it and nothing else.
        reading: How bodies are understood.
    """
    found: dict[str, None] = {}
    read_from: set[str] = set()
    for fact in facts.found:
        if fact.kind in IDS and fact.value == value:
            found[fact.kind] = None
            read_from.add(fact.source.lower())
    for place in _written_places(delivery, value, reading):
        if place.lower() not in read_from:
            found[place] = None
    return tuple(sorted(found, key=lambda place: (place not in IDS,)))


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]|$)")
_PLAIN: Final = re.compile(r"[\w.:@/+-]+")


def _written_places(delivery: Delivery, value: str, reading: Reading) -> Iterator[str]:
    event = delivery.event
    if event.key is not None and bytes_text(event.key) == value:
        yield "key"
    try:
        content = event.content
    except FormatError:
        pass
    else:
        for name, item in content.headers:
            yield from _within("header", name, item, value)
        for name, item in content.properties.items():
            yield from _within("property", name, item, value)
    if event.body and len(event.body) <= LOOKED_INTO:
        body = reading.body(event)
        if isinstance(body, bytes):
            if value.encode("utf-8", "surrogatepass") not in body and b"\\" not in body:
                return
            if bytes_text(body) == value:
                yield "body"
            body = json_tree(body)
        yield from _within("body", None, body, value)


def _within(where: str, name: str | None, value: object, wanted: str) -> Iterator[str]:
    """The paths at which a value stands; not by recursion: a stranger's JSON may nest deep."""
    stack: list[tuple[tuple[Step, ...], object]] = [(() if name is None else (name,), value)]
    left = _MOST
    while stack and left:
        left -= 1
        path, each = stack.pop()
        if isinstance(each, Mapping):
            stack += [((*path, str(key)), item) for key, item in each.items()]
        elif isinstance(each, Repeating):
            stack += [((*path, key), item) for key, item in each.items]
        elif isinstance(each, list | tuple):
            stack += [((*path, None), item) for item in each]
        elif path and _text(each) == wanted:
            try:
                yield path_text(where, path)  # type: ignore[arg-type]
            except FormatError:
                # No query can name it, so nobody can choose it.
                continue


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return bytes_text(value)
    return None if value is None else value_text(value)  # type: ignore[arg-type]
