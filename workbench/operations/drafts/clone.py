"""Cloning: a draft of an event that was seen.

The clone gets an identity of its own and loses what made its original a dead letter; the conventions say which headers
these are (`Facts`), and each such change is a field's, to be turned off one by one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from workbench.decode import ndjson
from workbench.decode.ndjson_values import value_text
from workbench.facts.facts import Facts
from workbench.model import wire
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.endpoint import Endpoint
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event
from workbench.model.values import value_type
from workbench.operations.drafts.model import Draft, Field, aim_at
from workbench.operations.drafts.origin import origins
from workbench.query.query import Reading

_OF_THE_SENDER: Final = frozenset({"property user_id", "header CC"})
"""RabbitMQ closes the channel of whoever sends another's user id, and sends a copy to each queue that CC names."""
TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-[0-9a-f]{32}-[0-9a-f]{16}(-[0-9a-f]{2}.*)", re.DOTALL)
"""W3C Trace Context, 3.2."""


def clone(
    delivery: Delivery,
    reading: Reading,
    listed: Mapping[Address, Endpoint] | None = None,
    aim: bool = False,
    masked: Delivery | None = None,
) -> Draft:
    """A draft of an event like this one, with an identity of its own; of a dead letter, aimed at where it came from.

    Args:
        delivery: The event as it came, not masked; what the rules mask is sent and not shown.
        reading: How the session understands events.
        listed: What there is to publish to; None: nothing is known.
        aim: Whether it has a target at once; else the user has to choose one.
        masked: The event as it may be seen; None: it is masked here, which takes a while where it is large.

    Raises:
        FormatError: Its headers hold what no draft can: half a character, or tables too deep.
    """
    event = delivery.event
    facts = reading.facts(delivery)
    remarks = [
        f"Its body has an id of its own in {fact.source}, which stays as it is."
        for fact in facts.found
        if fact.kind == "message" and fact.source.startswith("body.")
    ][:1]
    try:
        content = event.content
        kinds = [kind for _, kind in wire.field_types(event.wire)] if event.wire is not None else []
    except FormatError:
        content, kinds = Content(), []
        remarks.append("Its headers and properties cannot be read, and are sent as they came.")
    changes = _changes(facts, event.wire is not None)
    hidden = _hider(delivery, reading)
    headers = []
    for number, (name, value) in enumerate(content.headers):
        change, reason = changes("header", name, value)
        name, value = hidden(name, value)
        kind = kinds[number] if kinds and kinds[number] != "string" else ""
        headers.append(_field(name, value, kind, number, change, reason))
    properties = []
    for name, value in content.properties.items():
        change, reason = changes("property", name, value)
        _, value = hidden(name, value, property=True)
        properties.append(_field(name, value, "", 0, change, reason))
    place = delivery.position
    seen = (masked or reading.mask(delivery)).event
    found = origins(delivery, reading.facts(msgspec.structs.replace(delivery, event=seen)), listed or {})
    if found is not None and found.missing:
        remarks.append(f"Its facts name {' and '.join(found.missing)}: not listed.")
    draft = Draft(
        key=event.key,
        body=event.body,
        headers=tuple(headers),
        properties=tuple(properties),
        made_from=f"{delivery.address} {place.partition}:{place.offset}" if place else str(delivery.address),
        connection=delivery.address.connection,
        came_from=found.story if found is not None else "",
        targets=found.targets if found is not None else (),
        original=ndjson.encode(Event(wire=event.wire, written=event.written)).decode(),
        original_key=event.key if seen.key == event.key else None,
        original_body=event.body if seen.body == event.body else None,
        hidden=seen.body != event.body,
        hidden_key=seen.key != event.key,
        remarks=tuple(remarks),
    )
    if draft.locked:
        draft = msgspec.structs.replace(draft, original_body=None)
    if not aim:
        return draft
    if found is None:
        return msgspec.structs.replace(draft, target=str(delivery.address))
    # Whatever made it a dead letter is there still: it goes back there only where the user says so.
    return draft if found.missing and len(found.targets) == 1 else aim_at(draft, found.targets[0])


_Change = tuple[Literal["", "fresh", "dropped"], str]


def _changes(facts: Facts, properties: bool) -> Callable[[Literal["header", "property"], str, Value], _Change]:
    """What a clone does to a header or a property, and why."""
    dead = {fact.convention for fact in facts.found if fact.kind.startswith(("origin.", "failure."))}
    dropped: dict[str, str] = {}
    own: dict[str, str] = {}
    flow: dict[str, str] = {}
    for fact in facts.found:
        place = fact.source.lower()
        if fact.kind.startswith(("origin.", "failure.")) or (fact.kind == "attempts" and fact.convention in dead):
            dropped.setdefault(place, fact.convention)
        elif fact.kind == "message":
            own.setdefault(place, fact.convention)
        else:
            flow.setdefault(place, fact.convention)

    def change(where: Literal["header", "property"], name: str, value: Value) -> _Change:
        place = f"{where}.{name.lower()}"
        if where == "header" and place in dropped:
            return "dropped", dropped[place]
        if properties and f"{where} {name}" in _OF_THE_SENDER:
            return "dropped", "its sender's"
        # A number or a table is no id that one could make up.
        if place in own and isinstance(value, str | bytes):
            return "fresh", own[place]
        if place in flow and isinstance(value, str) and TRACEPARENT.fullmatch(value):
            return "fresh", flow[place]
        return "", ""

    return change


def _hider(delivery: Delivery, reading: Reading) -> Callable[..., tuple[str, Value]]:
    """Gives the name and the value of a field as they may be seen."""

    def hidden(name: str, value: Value, property: bool = False) -> tuple[str, Value]:
        if reading.masked is None:
            return name, value
        alone = Content((), {name: value}) if property else Content(((name, value),))
        seen = reading.mask(msgspec.structs.replace(delivery, event=Event(written=alone))).event.written
        if property:
            return name, seen.properties.get(name, "***")
        return seen.headers[0] if seen.headers else ("***", "***")

    return hidden


def _field(name: str, value: Value, kind: str, of: int, change: Literal["", "fresh", "dropped"], reason: str) -> Field:
    if isinstance(value, str):
        return Field(name, value, "text", of, change, True, reason)
    return Field(name, value_text(value), kind or value_type(value), of, change, True, reason)
