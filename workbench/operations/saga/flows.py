"""Flows as sagas see them: the events of one correlation id as steps in time, with nothing else of them kept."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from workbench.facts.facts import Facts
from workbench.model.event import Delivery
from workbench.table.cells import time_of

MOST: Final = 200_000
"""Flows that are held at most; those that were begun first are let go."""
STEPS: Final = 100
"""Steps of a flow that are held at most."""


class Step(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One event of a flow.

    Attributes:
        time: In milliseconds since 1970 UTC.
        type: The event's type; in a flow whose events say none, where it was seen.
        place: Where it was seen, as an address.
        reason: Why it is a dead letter; None: it is none.
    """

    time: int
    type: str
    place: str
    reason: str | None = None


class Flow(msgspec.Struct, frozen=True):
    """The steps of one correlation id, in the order of their times; there is at least one."""

    correlation: str
    steps: tuple[Step, ...]


class Flows:
    """Gathers flows from events in any order."""

    def __init__(self) -> None:
        self._steps: dict[str, list[Step]] = {}
        self._cut: set[str] = set()
        self.dropped = 0
        """How many flows were let go because there are too many."""
        self.uncorrelated = 0
        """How many events belong to no flow."""

    def __len__(self) -> int:
        return len(self._steps) - len(self._cut)

    @property
    def cut(self) -> int:
        """How many flows have more than `STEPS` steps. They are none of these: what was not kept tells how they end."""
        return len(self._cut)

    def add(self, delivery: Delivery, facts: Facts) -> None:
        """Take an event into its flow, if it belongs to one."""
        correlation = facts.correlation
        if correlation is None:
            self.uncorrelated += 1
            return
        steps = self._steps.get(correlation)
        if steps is None:
            if len(self._steps) >= MOST:
                first = next(iter(self._steps))
                del self._steps[first]
                self._cut.discard(first)
                self.dropped += 1
            steps = self._steps[correlation] = []
        if len(steps) >= STEPS:
            self._cut.add(correlation)
        else:
            failure = facts.failure
            reason = None if failure is None else (failure.reason or failure.type or "dead letter")[:200]
            place = str(delivery.address)
            type = (facts.type or "")[:200]
            steps.append(Step(time_of(delivery, facts), type, place, reason))

    def __iter__(self) -> Iterator[Flow]:
        for correlation, steps in self._steps.items():
            if correlation in self._cut:
                continue
            # Where events say their types, those that say none are no steps: clicks, copies for an analysis.
            typed = any(step.type for step in steps)
            kept = [_named(step) for step in steps if step.type or step.reason is not None or not typed]
            yield Flow(correlation, tuple(sorted(kept, key=_by_time)))


def _named(step: Step) -> Step:
    return step if step.type else Step(step.time, step.place, step.place, step.reason)


def _by_time(step: Step) -> int:
    return step.time


def first_times(steps: Sequence[Step]) -> dict[str, int]:
    """When each type came first, without dead letters; in the order of time."""
    times: dict[str, int] = {}
    for step in steps:
        if step.reason is None:
            times.setdefault(step.type, step.time)
    return times
