"""Headers that a broker writes into events: every other byte stays as it was published."""

from collections.abc import Mapping

import msgspec

from workbench.model.content import Content, Value
from workbench.model.event import Event
from workbench.model.wire import with_header, without_property


def with_headers(event: Event, headers: Mapping[str, Value]) -> Event:
    """The event with these headers set; others of their names go."""
    if event.wire is None:
        kept = tuple(header for header in event.written.headers if header[0] not in headers)
        written = Content((*kept, *headers.items()), event.written.properties)
        return msgspec.structs.replace(event, written=written)
    wire = event.wire
    for name, value in headers.items():
        wire = with_header(wire, name, value)
    return msgspec.structs.replace(event, wire=wire)


def without_expiration(event: Event) -> Event:
    """The event without its own time to live."""
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=without_property(event.wire, "expiration"))
    kept = {name: value for name, value in event.written.properties.items() if name != "expiration"}
    return msgspec.structs.replace(event, written=Content(event.written.headers, kept))
