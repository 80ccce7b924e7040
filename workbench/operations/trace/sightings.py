"""Sightings: events as they were found; several of one delivery are made one, and two deliveries never."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

import msgspec

from workbench.facts.facts import Facts
from workbench.facts.times import time_in
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Position

BROKERS_OWN: Final = frozenset({"x-delivery-count", "x-acquired-count", "x-opt-deaths-count"})
"""Headers that a broker changes while a message stays where it is."""


class Sighting(msgspec.Struct, frozen=True, dict=True):
    """An event as one look found it. What is made of it is made once: its story is told again and again.

    Attributes:
        delivery: The event, as it may be seen.
        facts: What the conventions say of it.
        look: Which reading found it; one reading finds each delivery once.
        held: Whether it waits in this place: in a queue, or among dead letters that nobody reads.
        places: Where the value stands in it that the trace began with: see `seeds.places`.
        unknown: Whether it is a dead letter of a log and not known to wait: the log's consumer groups cannot be told.
    """

    delivery: Delivery
    facts: Facts
    look: int = 0
    held: bool = False
    places: tuple[str, ...] = ()
    unknown: bool = False

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Every id by which it can be found."""
        return self.facts.ids

    @cached_property
    def pointers(self) -> tuple[tuple[Address, Position], ...]:
        """Where in a log it was before it became a dead letter: a place for each convention that tells one, exactly."""
        found: dict[tuple[Address, Position], None] = {}
        for convention in dict.fromkeys(fact.convention for fact in self.facts.found):
            said = {fact.kind: fact.value for fact in reversed(self.facts.found) if fact.convention == convention}
            topic, partition, offset = (said.get(f"origin.{part}") for part in ("topic", "partition", "offset"))  # type: ignore[call-overload]
            if topic and partition and offset:
                found[Address(self.delivery.address.connection, topic), Position(partition, offset)] = None
        return tuple(found)

    @cached_property
    def time(self) -> "Moment":
        """When it came here, as exactly as that is known."""
        stamp = self.delivery.event.timestamp
        died = time_in(self.facts.first("failure.time"))
        if died is not None and (stamp is None or died > stamp):
            return Moment(died, 1000 if died % 1000 == 0 else 1)
        if stamp is None:
            return Moment(self.delivery.seen_at, 0)
        # AMQP's timestamps have no milliseconds.
        return Moment(stamp, 1000 if stamp % 1000 == 0 else 1)

    @cached_property
    def order(self) -> tuple[object, ...]:
        """What sorts sightings by time, whatever the order in which they were found."""
        delivery = self.delivery
        position = delivery.position
        place = ("", (0, "")) if position is None else (position.partition, self.offset)
        # What its broker numbers is told from others by that.
        print_ = self.fingerprint if delivery.identity is None else b""
        return (self.time.at, str(delivery.address), *place, delivery.id or "", print_)

    @cached_property
    def fingerprint(self) -> bytes:
        """What it is, whichever look found it."""
        return fingerprint(self.delivery)

    @cached_property
    def offset(self) -> tuple[int, str]:
        """What sorts it in its partition."""
        position = self.delivery.position
        return (0, "") if position is None else (_number(position.offset), position.offset)

    @cached_property
    def trail(self) -> tuple[str, ...]:
        """What tells an event from itself before it failed or was tried again."""
        facts = self.facts.found
        return tuple(
            each.value for each in facts if each.kind == "attempts" or each.kind.startswith(("origin.", "fail"))
        )


class Moment(msgspec.Struct, frozen=True):
    """A time, and how much later it may have been.

    Attributes:
        at: In milliseconds since 1970 UTC.
        precision: It was less than so many milliseconds later; 0: nothing tells when, this is when it was seen.
    """

    at: int
    precision: int

    @property
    def known(self) -> bool:
        """Whether it is the event's own."""
        return self.precision > 0


def fingerprint(delivery: Delivery) -> bytes:
    """What an event is, but for what its broker changes while it stays where it is."""
    event = delivery.event
    try:
        content = event.content
        said = repr(
            (
                [(name, value) for name, value in content.headers if name not in BROKERS_OWN],
                sorted(content.properties.items(), key=lambda entry: entry[0]),
            )
        ).encode("utf-8", "surrogatepass")
    except FormatError:
        said = event.wire.data if event.wire is not None else b""
    digest = hashlib.blake2b(digest_size=16)
    for part in (event.key, event.body, said):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return digest.digest()


def merge(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Each delivery once, in the order of their times.

    Where a broker numbers its events that tells which are one. Else equal events in one place are as many as one look
    saw there at most: of a tap and a browse that each saw one, it is the same.
    """
    numbered: dict[object, list[Sighting]] = {}
    others: dict[object, dict[int, list[Sighting]]] = {}
    for each in sightings:
        identity = each.delivery.identity
        if identity is not None:
            numbered.setdefault(identity, []).append(each)
        else:
            key = each.delivery.address, each.fingerprint
            others.setdefault(key, {}).setdefault(each.look, []).append(each)
    merged = [_one_of(group) for group in numbered.values()]
    for looks in others.values():
        ordered = [sorted(seen, key=_by_seen) for seen in looks.values()]
        for number in range(max(map(len, ordered))):
            merged.append(_one_of([seen[number] for seen in ordered if number < len(seen)]))
    return sorted(merged, key=lambda each: each.order)


def _one_of(group: Sequence[Sighting]) -> Sighting:
    # The first look is nearest to when it came.
    first = min(group, key=_by_seen) if len(group) > 1 else group[0]
    held = any(each.held for each in group)
    return first if first.held == held else msgspec.structs.replace(first, held=held)


def _by_seen(each: Sighting) -> tuple[object, ...]:
    delivery = each.delivery
    return delivery.seen_at, each.look, each.held, delivery.event.timestamp or 0, each.fingerprint


def _number(offset: str) -> int:
    return int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 30 else 0
