"""What the Facts tab shows: what conventions make of an event, where it was seen, and what it is made of."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from views.widgets.inspector.entries import Entries, Entry, no_condition, no_path
from views.widgets.inspector.page import Page
from workbench.decode.layout import lay_out
from workbench.facts.facts import Fact, Facts, Kind
from workbench.facts.times import time_in, time_text
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, TimestampType
from workbench.model.values import key_text
from workbench.model.wording import quantity
from workbench.query.condition import Condition, equals, exists, path_text

SYMBOLS: Final[Mapping[Kind, str]] = {
    "correlation": "correlation",
    "causation": "causation",
    "message": "message",
    "type": "type",
    "attempts": "attempts",
    "origin.queue": "origin",
    "origin.topic": "origin",
    "origin.exchange": "origin",
    "failure.reason": "reason",
    "failure.type": "reason",
}
"""What queries call a kind of fact."""


def facts_page(delivery: Delivery, facts: Facts) -> Page:
    """The Facts tab of an event."""
    event = delivery.event
    found = facts.found
    entries = [Entry(("What the conventions say" if found else "No convention recognises this event",))]
    for fact in found:
        note = f"{fact.convention} · {fact.source}"
        path, condition = partial(fact_path, fact, event), partial(fact_condition, fact, event)
        entries.append(Entry((fact.kind, fact_text(fact), note), fact.value, path, condition))
    entries.append(Entry(("Where and when it was seen",)))
    entries += [row.entry for row in _sightings(delivery)]
    entries.append(Entry(("What it is made of",)))
    entries += [row.entry for row in _contents(event)]
    conventions = len({fact.convention for fact in found})
    heading = f"{quantity(len(found), 'fact')} by {quantity(conventions, 'convention')}"
    return Entries(heading, entries, ("key", "", "dim"), (25, 50))


def fact_text(fact: Fact) -> str:
    """A fact as it is read: a time as one."""
    time = time_in(fact.value) if fact.kind.endswith(".time") else None
    return fact.value if time is None else time_text(time)


def fact_path(fact: Fact, event: Event) -> str:
    """The symbol for a fact, or the path to where it was found.

    Raises:
        FormatError: There is neither.
    """
    if fact.kind in SYMBOLS:
        return SYMBOLS[fact.kind]
    path, _ = _source(fact, event)
    return path


def fact_condition(fact: Fact, event: Event) -> Condition:
    """The condition that an event says the same.

    Raises:
        FormatError: No query can ask for it.
    """
    if fact.kind == "attempts":
        if not (fact.value.isascii() and fact.value.isdigit()):
            raise FormatError("These attempts are not a number that a query can compare.")
        return Condition(f"attempts = {fact.value}", f"attempts != {fact.value}")
    if fact.kind in SYMBOLS:
        return equals(SYMBOLS[fact.kind], fact.value)
    return equals(*_source(fact, event))


def _source(fact: Fact, event: Event) -> tuple[str, Value]:
    """The path to where a fact was found, and the value there."""
    where, _, name = fact.source.partition(".")
    if where == "body":
        return path_text("body", name.split(".")), fact.value
    content = event.content
    named = content.headers if where == "header" else content.properties.items()
    for each, value in named:
        if each.lower() != name.lower():
            continue
        if isinstance(value, list | tuple | Mapping):
            raise FormatError(f"This is a part of {fact.source}: go to it in Headers.")
        return path_text("header" if where == "header" else "property", (each,)), value
    raise FormatError(f"Nothing is called {fact.source} here.")


_SET_BY: Final[Mapping[TimestampType, str]] = {
    "create": "set by the producer",
    "append": "set by the broker when it appended the event",
    "received": "when this program read it",
}


class _Row(NamedTuple):
    name: str
    value: str
    note: str = ""
    symbol: str = ""
    has: Callable[[], Condition] = no_condition

    @property
    def entry(self) -> Entry:
        path: Callable[[], str] = partial(str, self.symbol) if self.symbol else no_path
        return Entry((self.name, self.value, self.note), self.value, path, self.has)


def _sightings(delivery: Delivery) -> Iterator[_Row]:
    address, position = delivery.address, delivery.position
    yield _Row("address", str(address), "", "endpoint", partial(equals, "endpoint", str(address)))
    if position is not None:
        if position.partition:
            yield _Row("partition", position.partition, "", "partition", _is("partition", position.partition))
        yield _Row("offset", position.offset, "", "offset", _is("offset", position.offset))
    if delivery.exchange is not None:
        yield _Row("exchange", delivery.exchange, "" if delivery.exchange else "the default exchange")
    time, kind = delivery.time
    yield _Row("time", time_text(time), _SET_BY[kind], "time", partial(_at, time))
    yield _Row("seen", time_text(delivery.seen_at), _SET_BY["received"])
    if delivery.redelivered is not None:
        yield _Row("redelivered", "yes" if delivery.redelivered else "no", "whether the broker delivered it before")
    if delivery.attempt is not None:
        yield _Row("attempt", f"{delivery.attempt:,}", "how often it was delivered before, as the broker counts")


def _contents(event: Event) -> Iterator[_Row]:
    key, body = event.key, event.body
    if key is None:
        yield _Row("key", "none", "", "key", lambda: _negate(exists("key")))
    else:
        yield _Row("key", key_text(key), quantity(len(key), "byte"), "key", partial(equals, "key", key))
    if body is None:
        yield _Row("body", "null", "a tombstone", "size", lambda: _negate(exists("body")))
    else:
        read = lay_out(event)
        note = " · ".join((read.format, *read.notes)) if body else ""
        yield _Row("body", quantity(len(body), "byte"), note, "size", _is("size", str(len(body))))
    try:
        content = event.content
        counts = f"{quantity(len(content.headers), 'header')}, {quantity(len(content.properties), 'property')}"
    except FormatError as error:
        counts = str(error)
    wire = event.wire
    yield _Row("headers", counts, "" if wire is None else f"{quantity(len(wire.data), 'byte')} of {wire.encoding}")


def _is(symbol: str, number: str) -> Callable[[], Condition]:
    """That a symbol has this value, which as a rule is a number."""
    if number.isascii() and number.isdigit():
        return lambda: Condition(f"{symbol} = {number}", f"{symbol} != {number}")
    return partial(equals, symbol, number)


def _at(milliseconds: int) -> Condition:
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise FormatError("No query can ask for this time: it is in none of the years 1 to 9999.") from None
    written = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Condition(f"time = {written}", f"time != {written}")


def _negate(condition: Condition) -> Condition:
    return Condition(condition.lacks, condition.has)
