"""Copies: what of a message is published elsewhere, and by what it is found again where it came from."""

import re
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from workbench.model import wire
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event
from workbench.model.target_rules import Rules

STAMP: Final = "workbench-move"
"""The header of each copy that says which operation made it: `ID/SEQUENCE`."""
REDRIVES: Final = "workbench-redrives"
"""The header of each copy that says how often it was moved."""

_REDRIVES: Final = REDRIVES.encode()
_OF_BROKERS: Final = ("x-delivery-count", "x-acquired-count")
"""Headers that a broker writes anew with each delivery."""
_COUNTED: Final = b"-count"
"""In the names of all of these."""
_STAMP: Final = re.compile(r"([0-9a-f]{12})/([0-9]{1,18})")


class Copy(msgspec.Struct, frozen=True, gc=False):
    """What is published.

    Attributes:
        event: The event, stamped.
        removed: What it does not bring along, each with the reason: a sentence's end.
    """

    event: Event
    removed: tuple[tuple[str, str], ...]


def copy_of(event: Event, rules: Rules, operation: str, sequence: int) -> Copy:
    """The copy of a message for a target: all of it, byte for byte, but for what the target must not get and for the
    program's own two headers.

    Args:
        event: The message.
        rules: The target's.
        operation: The id of the operation.
        sequence: The number of the message in it.

    Raises:
        FormatError: Its headers cannot be read.
    """
    copy = unburdened(event, rules)
    if not rules.headers:
        return copy
    stamps = {STAMP: f"{operation}/{sequence}", REDRIVES: str(redrives(event) + 1)}
    return Copy(_with_last(copy.event, stamps), copy.removed)


def unburdened(event: Event, rules: Rules) -> Copy:
    """A message without what its target must not get.

    Raises:
        FormatError: Its headers cannot be read.
    """
    removed = []
    if rules.is_outlived_by(event):
        event = msgspec.structs.replace(event, timestamp=None)
        kept = f"is longer ago than {rules.address} keeps events, which would delete this one again"
        removed.append(("an event's own time", kept))
    if not rules.burdens:
        return Copy(event, tuple(removed))
    properties, headers = _names(event)
    for burden in rules.burdens:
        if burden.part == "header":
            if burden.name in headers:
                event = _without_header(event, burden.name)
                removed.append((f"header {burden.name}", burden.why))
        elif burden.name in properties and event.properties[burden.name] != burden.unless:
            event = _without_property(event, burden.name)
            removed.append((f"property {burden.name}", burden.why))
    return Copy(event, tuple(removed))


def _names(event: Event) -> tuple[Collection[str], Collection[str]]:
    """The names of the properties, and those of the headers."""
    if event.wire is not None:
        return wire.manifest(event.wire)[:2]
    return event.written.properties, [name for name, _ in event.written.headers]


def stamp_of(event: Event) -> tuple[str, int] | None:
    """Which operation made this copy, and its number in it; None: none did, or nobody can say."""
    try:
        headers = event.headers
    except FormatError:
        return None
    found = next((_text(value) for name, value in reversed(headers) if name == STAMP), None)
    stamp = _STAMP.fullmatch(found) if found is not None else None
    return (stamp[1], int(stamp[2])) if stamp else None


def redrives(event: Event) -> int:
    """How often an event was moved before, as its headers say.

    Raises:
        FormatError: They cannot be read.
    """
    if event.wire is not None and _REDRIVES not in event.wire.data:
        return 0
    for name, value in event.headers:
        if name == REDRIVES:
            found = _text(value)
            return int(found) if found.isascii() and found.isdecimal() and len(found) < 6 else 0
    return 0


def key_of(delivery: Delivery) -> bytes:
    """What a message is found by in its source: its place in a log, or its broker's name for it; else a fingerprint of
    all that no broker changes."""
    if delivery.position is not None:
        return f"{delivery.position.partition}:{delivery.position.offset}".encode()
    if delivery.id is not None:
        return f"id:{delivery.id}".encode()
    return fingerprint(delivery.event)


def fingerprint(event: Event) -> bytes:
    """Sixteen bytes that two messages share if they have the same key, body, properties and headers."""
    key, body, lasting = event.key, event.body, _lasting(event)
    digest = blake2b(b"".join((_head(key), key or b"", _head(body))), digest_size=16)
    # A body may be large: it is not copied.
    digest.update(body or b"")
    digest.update(_head(lasting) + lasting)
    return digest.digest()


def _head(part: bytes | None) -> bytes:
    """What comes before a part, so that no two rows of parts have the same bytes."""
    return b"-" if part is None else b"%d:" % len(part)


def _lasting(event: Event) -> bytes:
    """Properties and headers without what a broker writes on each delivery."""
    if event.wire is None:
        written = event.written
        headers = tuple(each for each in written.headers if each[0] not in _OF_BROKERS)
        try:
            return msgspec.msgpack.encode((headers, written.properties), enc_hook=repr, order="sorted")
        except UnicodeEncodeError:
            # A text in it holds half a character, which `repr` escapes.
            return repr((headers, sorted(written.properties.items()))).encode()
    data = event.wire.data
    if _COUNTED not in data:
        return data
    try:
        lasting = event.wire
        for name in _OF_BROKERS:
            lasting = wire.without_header(lasting, name)
    except FormatError:
        return data
    return lasting.data


def _with_last(event: Event, headers: Mapping[str, str]) -> Event:
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.with_last(event.wire, headers))
    own = (each for each in event.written.headers if each[0] not in headers)
    return msgspec.structs.replace(
        event, written=msgspec.structs.replace(event.written, headers=(*own, *headers.items()))
    )


def _without_header(event: Event, name: str) -> Event:
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.without_header(event.wire, name))
    headers = tuple(each for each in event.written.headers if each[0] != name)
    return msgspec.structs.replace(event, written=msgspec.structs.replace(event.written, headers=headers))


def _without_property(event: Event, name: str) -> Event:
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.without_property(event.wire, name))
    properties = {each: value for each, value in event.written.properties.items() if each != name}
    return msgspec.structs.replace(event, written=msgspec.structs.replace(event.written, properties=properties))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return str(value)
