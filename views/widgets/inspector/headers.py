"""What the Headers tab shows: properties and headers, with their types."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from views.widgets.inspector.counting import count_of
from views.widgets.inspector.entries import Entries, Entry
from views.widgets.inspector.page import Page, Sentence
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.values import integer_in, value_text, value_type
from workbench.model.wire import field_types

LISTED: Final = 20_000
"""Headers and values in them that are listed."""


def headers_page(event: Event) -> Page:
    """The Headers tab of an event."""
    try:
        content = event.content
        sent = [kind for _, kind in field_types(event.wire)] if event.wire is not None else []
    except FormatError as error:
        return Sentence("not readable", f"{error} Raw shows their bytes.")
    entries: list[Entry] = []
    if content.properties:
        entries.append(Entry(("Properties",)))
        for name, value in content.properties.items():
            entries += _entries(name, value, _property_type(name, value), 0)
    if content.headers:
        entries.append(Entry(("Headers",)))
    kinds = sent or [value_type(value) for _, value in content.headers]
    for number, ((name, value), kind) in enumerate(zip(content.headers, kinds, strict=True)):
        entries += islice(_entries(name, value, kind, 0), LISTED)
        if len(entries) > LISTED:
            entries.append(Entry((f"and {len(content.headers) - number - 1:,} headers more",)))
            break
    heading = f"{count_of(len(content.headers), 'header')}, {count_of(len(content.properties), 'property')}"
    return Entries(heading, entries, 2)


def _entries(name: str, value: Value, kind: str, depth: int) -> Iterator[Entry]:
    """The rows of a value: its own, and those of what is in it."""
    name = "  " * depth + (name or "(no name)")
    if isinstance(value, Mapping):
        yield Entry((name, kind, count_of(len(value), "field")), value)
        members: Iterator[tuple[str, Value]] = iter(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield Entry((name, kind, count_of(len(value), "item")), value)
        members = ((f"[{number}]", item) for number, item in enumerate(value))
    else:
        text = value_text(value)
        number = integer_in(value)
        yield Entry((name, kind, text if number is None else f"{text} (as a number: {number:,})"), value)
        return
    for inner, item in islice(members, LISTED):
        yield from _entries(inner, item, value_type(item), depth + 1)


def _property_type(name: str, value: Value) -> str:
    if name == "timestamp":
        return "timestamp"
    return "uint8" if isinstance(value, int) else "string"
