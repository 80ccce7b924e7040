"""What the Headers tab shows: properties and headers, with the types of those that are no strings."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, Literal

from views.widgets.inspector.entries import Entries, Entry
from views.widgets.inspector.page import Page, Sentence
from workbench.facts.facts import Facts
from workbench.facts.times import time_in, time_text
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.values import integer_in, value_text, value_type
from workbench.model.wire import field_types
from workbench.model.wording import quantity
from workbench.query.condition import Condition, equals, path_text
from workbench.query.grammar import Step

LISTED: Final = 20_000
"""Headers and values in them that are listed."""

_Where = Literal["header", "property"]


def headers_page(event: Event, facts: Facts) -> Page:
    """The Headers tab of an event.

    Args:
        event: As it may be seen.
        facts: What is said of it: which of its headers hold times, too.
    """
    try:
        content = event.content
        sent = [kind for _, kind in field_types(event.wire)] if event.wire is not None else []
    except FormatError as error:
        return Sentence("not readable", f"{error} Raw shows their bytes.")
    times = {fact.source.lower() for fact in facts.found if fact.kind.endswith(".time")}
    entries: list[Entry] = []
    if content.properties:
        entries.append(Entry(("Properties",)))
        for name, value in content.properties.items():
            is_time = f"property.{name}".lower() in times or name == "timestamp"
            entries += _entries("property", (name,), name, value, _property_type(name, value), is_time)
    if content.headers:
        entries.append(Entry(("Headers",)))
    kinds = sent or [value_type(value) for _, value in content.headers]
    for number, ((name, value), kind) in enumerate(zip(content.headers, kinds, strict=True)):
        is_time = f"header.{name}".lower() in times
        entries += islice(_entries("header", (name,), name, value, kind, is_time), LISTED)
        if len(entries) > LISTED:
            entries.append(Entry((f"and {len(content.headers) - number - 1:,} more headers; Raw shows them all",)))
            break
    heading = f"{quantity(len(content.headers), 'header')}, {quantity(len(content.properties), 'property')}"
    return Entries(heading, entries, ("key", "", "dim"), (40, 40))


def _entries(
    where: _Where, path: tuple[Step, ...], name: str, value: Value, kind: str, is_time: bool = False
) -> Iterator[Entry]:
    """The rows of a value: its own, and those of what is in it."""
    name = "  " * (len(path) - 1) + (name or "(no name)")
    # Most are strings, and only what is none says what it is.
    kind = "" if kind == "string" else kind
    column, condition = partial(path_text, where, path), partial(_condition, where, path, value)
    if isinstance(value, Mapping):
        yield Entry((name, quantity(len(value), "field"), kind), value, column, condition)
        members: Iterator[tuple[Step, str, Value]] = ((inner, inner, item) for inner, item in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield Entry((name, quantity(len(value), "item"), kind), value, column, condition)
        members = ((None, f"[{number}]", item) for number, item in enumerate(value))
    else:
        yield Entry((name, _text(value, is_time), kind), value, column, condition)
        return
    for step, inner, item in islice(members, LISTED):
        yield from _entries(where, (*path, step), inner, item, value_type(item))


def _condition(where: _Where, path: tuple[Step, ...], value: Value) -> Condition:
    return equals(path_text(where, path), value)


def _text(value: Value, is_time: bool) -> str:
    """A value, and what is meant by it where that is another thing."""
    text = value_text(value)
    number = integer_in(value)
    time = time_in(value) if is_time or isinstance(value, datetime) else None
    if time is not None and isinstance(value, datetime):
        return time_text(time)
    if time is not None:
        return f"{text} (as a time: {time_text(time)})"
    return text if number is None else f"{text} (as a number: {number:,})"


def _property_type(name: str, value: Value) -> str:
    if name == "timestamp":
        return "timestamp"
    return "uint8" if isinstance(value, int) else "string"
