"""What the Facts tab shows: what conventions make of an event, where it was seen, and what it is made of."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from views.widgets.inspector.counting import count_of
from views.widgets.inspector.entries import Entries, Entry
from views.widgets.inspector.page import LONGEST, Page
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, TimestampType
from workbench.model.values import key_text
from workbench.query.query import Reading


def facts_page(delivery: Delivery, reading: Reading) -> Page:
    """The Facts tab of an event."""
    event = delivery.event
    found = reading.facts(delivery).found
    entries = [Entry(("What the conventions say" if found else "No convention says anything of this event",))]
    for fact in found:
        entries.append(Entry((fact.kind, fact.value, f"{fact.convention} · {fact.source}"), fact.value))
    entries.append(Entry(("Where and when it was seen",)))
    for name, value, note in _sightings(delivery):
        entries.append(Entry((name, value, note), value))
    entries.append(Entry(("What it is made of",)))
    for name, value, note in _contents(event):
        entries.append(Entry((name, value, note), value))
    conventions = len({fact.convention for fact in found})
    heading = f"{count_of(len(found), 'fact')} by {count_of(conventions, 'convention')}"
    return Entries(heading, entries, 1)


_SET_BY: Final[Mapping[TimestampType, str]] = {
    "create": "set by the producer",
    "append": "set by the broker when it appended the event",
    "received": "when this program read it",
}


def _sightings(delivery: Delivery) -> Iterator[tuple[str, str, str]]:
    address, position = delivery.address, delivery.position
    yield "address", str(address), ""
    if position is not None:
        if position.partition:
            yield "partition", position.partition, ""
        yield "offset", position.offset, ""
    if delivery.exchange is not None:
        yield "exchange", delivery.exchange, "" if delivery.exchange else "the default exchange"
    time, kind = delivery.time
    yield "time", _local(time), _SET_BY[kind]
    yield "seen", _local(delivery.seen_at), _SET_BY["received"]
    if delivery.redelivered is not None:
        yield "redelivered", "yes" if delivery.redelivered else "no", "whether the broker delivered it before"
    if delivery.attempt is not None:
        yield "attempt", f"{delivery.attempt:,}", "how often it was delivered before, as the broker counts"


def _contents(event: Event) -> Iterator[tuple[str, str, str]]:
    key = event.key
    yield "key", "none" if key is None else key_text(key[:LONGEST]), "" if key is None else count_of(len(key), "byte")
    body = event.body
    yield "body", "null" if body is None else count_of(len(body), "byte"), "a tombstone" if body is None else ""
    try:
        content = event.content
        counts = f"{count_of(len(content.headers), 'header')}, {count_of(len(content.properties), 'property')}"
    except FormatError as error:
        counts = str(error)
    wire = event.wire
    yield "headers", counts, "" if wire is None else f"{count_of(len(wire.data), 'byte')} of {wire.encoding}"


def _local(milliseconds: int) -> str:
    """A time as the user's clock shows it, with its zone."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds:,} ms after 1970"
