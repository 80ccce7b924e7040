"""Why an event says what it says: which convention gave which fact, and what was looked at and not taken."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from workbench.decode.codec import query_value
from workbench.facts.convention_tables import Spot
from workbench.facts.conventions import LOOKED_INTO, Conventions, LookedAt, json_value
from workbench.facts.facts import Kind
from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.model.values import value_to_copy

UNREAD: Final = 100
"""Places read by no convention that are listed at most."""
_SHOWN: Final = 1024
_KINDS: Final = get_args(Kind)


class Line(msgspec.Struct, frozen=True):
    """One place of an event, and what came of it.

    Attributes:
        kind: The fact that a convention looks for there; None: no convention looks there.
        value: What is there, as text; None: what is there is not what the convention looks for.
        convention: Its name.
        place: Where: a header, a property or a path in the body.
        taken: Whether it is the fact that is shown.
        why: Why it is not; empty where it is.
        vain: Whether it is no fact at all.
    """

    kind: Kind | None
    value: str | None
    convention: str | None
    place: str
    taken: bool
    why: str
    vain: bool = False


def explain(conventions: Conventions, delivery: Delivery) -> Sequence[Line]:
    """The facts of an event with what gave them, then what conventions looked at in vain, then what none looks at.

    Args:
        conventions: Those in force.
        delivery: As it may be seen.
    """
    looked_at = conventions.looked_at(delivery)
    shown: dict[str, LookedAt] = {}
    lines = []
    for each in looked_at:
        about = each.kind.partition(".")[0]
        if not each.recognised:
            why = f"only with {_any_of(each)}"
        elif each.value is None:
            why = "nothing of the kind is there"
        else:
            # All that is said of an origin or a failure is one convention's.
            before = shown.get(each.kind)
            if before is None and (told := shown.setdefault(about, each)).convention is not each.convention:
                before = told
            if each.kind == "failure.detail" and before is not None and before.convention is each.convention:
                before = None
            shown.setdefault(each.kind, each)
            why = "" if before is None else f"{_name(before, each)} takes precedence"
        vain = not each.recognised or each.value is None
        lines.append(Line(each.kind, each.value, each.convention.name, each.place, not why, why, vain))
    lines.sort(key=lambda line: (line.vain, _KINDS.index(line.kind) if line.kind else 0, not line.taken))
    return [*lines, *_unread(delivery, {each.root for each in looked_at})]


def _name(before: LookedAt, than: LookedAt) -> str:
    return before.place if before.convention is than.convention else before.convention.name


def _any_of(each: LookedAt) -> str:
    places = [_place(spot) for spot in each.convention.when]
    return " or ".join([", ".join(places[:-1]), places[-1]] if len(places) > 1 else places)


def _place(spot: Spot) -> str:
    return f"{spot.at} ({spot.starts}…)" if spot.starts else spot.at


def _unread(delivery: Delivery, read: set[str]) -> Iterator[Line]:
    """What is there and no convention looks at: what a new one could read."""
    listed = 0
    for place, value in _places(delivery):
        where, _, name = place.partition(".")
        if (place if where == "body" else f"{where}.{name.lower()}") not in read:
            listed += 1
            if listed > UNREAD:
                break
            yield Line(None, _text(value), None, place, False, "no convention reads it")


def _text(value: Any) -> str:
    try:
        return value_to_copy(value)[:_SHOWN]
    except (RecursionError, ValueError):
        # It nests too deep, or holds an integer of thousands of digits.
        return "…"


def _places(delivery: Delivery) -> Iterator[tuple[str, object]]:
    event = delivery.event
    try:
        content = event.content
    except FormatError:
        pass
    else:
        yield from ((f"header.{name}", value) for name, value in content.headers)
        yield from ((f"property.{name}", value) for name, value in content.properties.items())
    if event.body and len(event.body) <= LOOKED_INTO:
        body = query_value(event)
        values = json_value(body) if isinstance(body, bytes) else body
        if isinstance(values, Mapping):
            yield from ((f"body.{name}", value) for name, value in values.items())
