"""Flows as sagas see them: when each type of event came in the flow of one correlation id, and nothing else of it."""

from collections.abc import Iterator
from typing import Final

import msgspec

from workbench.facts.facts import Facts
from workbench.model.event import Delivery
from workbench.table.cells import time_of

MOST: Final = 200_000
"""Flows that are held at most; those that were begun first are let go."""
STEPS: Final = 100
"""Types of events that are told apart in a flow."""
_TEXT: Final = 200
"""Characters that are kept of a type and of a reason."""
_ID: Final = 1_000
"""Characters that are kept of an id."""


class Occurrence(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event of a flow.

    Attributes:
        correlation: The flow.
        time: In milliseconds since 1970 UTC.
        type: The event's type; empty where it says none.
        place: Where it was seen, as an address.
        reason: Why it is a dead letter; None: it is none.
    """

    correlation: str
    time: int
    type: str
    place: str
    reason: str | None = None


class Step(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The events of one type in a flow: a step that is tried again is one step.

    Attributes:
        type: Which; in a flow whose events say no types, where they were seen.
        first: When the first came, in milliseconds since 1970 UTC.
        last: When the last came.
        place: Where the first was seen, as an address.
    """

    type: str
    first: int
    last: int
    place: str


class DeadLetter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event of a flow that failed: its type, where it is, why, and since when in milliseconds since 1970 UTC."""

    time: int
    type: str
    place: str
    reason: str


class Flow(msgspec.Struct, frozen=True, array_like=True):
    """The events of one correlation id.

    Attributes:
        correlation: The id.
        steps: In the order in which each came first; there is at least one, or a dead letter.
        dead: The last dead letter; None: there is none.
    """

    correlation: str
    steps: tuple[Step, ...]
    dead: DeadLetter | None = None

    @property
    def times(self) -> dict[str, int]:
        """When each type came first, in that order."""
        return {step.type: step.first for step in self.steps}

    @property
    def last(self) -> Step:
        """What came last and is no dead letter; where nothing is, the dead letter."""
        if self.steps:
            return max(self.steps, key=lambda step: (step.last, step.first, step.type))
        assert self.dead is not None
        return Step(self.dead.type, self.dead.time, self.dead.time, self.dead.place)


def occurrence_of(delivery: Delivery, facts: Facts) -> Occurrence | None:
    """What a flow has of an event; None: it belongs to none."""
    if facts.correlation is None:
        return None
    failure = facts.failure
    reason = None if failure is None else _text(failure.reason or failure.type or "dead letter", _TEXT)
    time = max(-(2**63), min(time_of(delivery, facts), 2**63 - 1))
    return Occurrence(
        _text(facts.correlation, _ID), time, _text(facts.type or "", _TEXT), str(delivery.address), reason
    )


def _text(text: str, most: int) -> str:
    """A text so long at most; half of a surrogate pair, which no process could be sent, is spelled."""
    text = text[:most]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class _Gathered:
    """What is known of one flow so far."""

    __slots__ = ("cut", "dead", "places", "types")

    def __init__(self) -> None:
        self.types: dict[str, Step] = {}
        self.places: dict[str, Step] = {}
        self.dead: DeadLetter | None = None
        self.cut = False

    def add(self, seen: Occurrence) -> None:
        if seen.reason is not None:
            dead = DeadLetter(seen.time, seen.type or seen.place, seen.place, seen.reason)
            if self.dead is None or _order(dead) > _order(self.dead):
                self.dead = dead
            return
        steps, name = (self.types, seen.type) if seen.type else (self.places, seen.place)
        before = steps.get(name)
        if before is not None:
            first, place = min((before.first, before.place), (seen.time, seen.place))
            steps[name] = Step(name, first, max(before.last, seen.time), place)
        elif len(steps) < STEPS:
            steps[name] = Step(name, seen.time, seen.time, seen.place)
        else:
            self.cut = True


def _order(dead: DeadLetter) -> tuple[int, str, str, str]:
    return dead.time, dead.place, dead.type, dead.reason


class Flows:
    """Gathers flows from events in any order."""

    def __init__(self) -> None:
        self._flows: dict[str, _Gathered] = {}
        self.dropped = 0
        """How many flows were let go because there are too many."""

    def __len__(self) -> int:
        return len(self._flows) - self.cut

    @property
    def cut(self) -> int:
        """How many flows have more than `STEPS` types. They are none of these: what was not kept tells how they end."""
        return sum(flow.cut for flow in self._flows.values())

    def add(self, seen: Occurrence) -> None:
        """Take an event into its flow."""
        flow = self._flows.get(seen.correlation)
        if flow is None:
            if len(self._flows) >= MOST:
                del self._flows[next(iter(self._flows))]
                self.dropped += 1
            flow = self._flows[seen.correlation] = _Gathered()
        flow.add(seen)

    def __iter__(self) -> Iterator[Flow]:
        for correlation, flow in self._flows.items():
            if not flow.cut:
                # Where events say their types, those that say none are no steps: clicks, copies for an analysis.
                steps = sorted((flow.types or flow.places).values(), key=lambda step: (step.first, step.type))
                yield Flow(correlation, tuple(steps), flow.dead)
