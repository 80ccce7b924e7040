"""The usual path of a type of flow, and how a flow departs from it.

A flow is of the type of its first event. What comes in at least half of the flows of a type is usual, in the order of
its median time; what came before each usual step, and how long it took from there, is its latency. A flow is stuck
where a usual step does not come though far more time has passed than it takes, and nothing came that ends such flows
otherwise: a compensation, which is what most flows have that lack a usual step and hardly any other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from workbench.operations.saga.flows import Flow, Step, first_times

LEAST: Final = 5
"""Flows of a type from which on a path is learned."""
USUAL: Final = 0.5
"""The share of flows from which on a step is usual."""
RARE: Final = 0.05
"""The share of flows below which a step is unexpected."""
_INSTEAD: Final = 0.8
"""The share of flows with a step that lack a usual one, from which on it is taken for a compensation."""
PATIENCE: Final = 2
"""A step is missing after so many times its latency's 95th percentile."""
_LEAST_PATIENCE: Final = 1_000
"""Milliseconds beyond the percentile that are granted anyway."""


class Usual(msgspec.Struct, frozen=True):
    """A usual step.

    Attributes:
        type: Which.
        share: Of the flows, how many have it, from 0 to 1.
        median: Milliseconds from the usual step before it.
        p95: Likewise, of 95 in a hundred flows.
    """

    type: str
    share: float
    median: int
    p95: int

    @property
    def patience(self) -> int:
        """Milliseconds after which it is missing."""
        return max(PATIENCE * self.p95, self.p95 + _LEAST_PATIENCE)


class Path(msgspec.Struct, frozen=True):
    """What is usual for a type of flow.

    Attributes:
        type: That of the first event.
        flows: How many flows it was learned from.
        steps: In order; the first is the type itself.
        shares: Of all other steps, the share of flows that have them.
        compensations: What comes instead of usual steps.
    """

    type: str
    flows: int
    steps: tuple[Usual, ...]
    shares: Mapping[str, float]
    compensations: frozenset[str]


class Saga(msgspec.Struct, frozen=True):
    """A flow that departs from its path.

    Attributes:
        correlation: Its id.
        path: The usual path of its type.
        last: Its last step that is no dead letter; of one that has none, its first.
        missing: The usual step that did not come in time; None: none is missing, or a compensation came.
        waiting: Milliseconds since the usual step before that one.
        dead: The last dead letter; None: there is none.
        unexpected: Steps that hardly any flow of the type has.
        compensation: What came instead.
    """

    correlation: str
    path: Path
    last: Step
    missing: Usual | None
    waiting: int
    dead: Step | None
    unexpected: tuple[str, ...]
    compensation: str | None

    @property
    def stuck(self) -> bool:
        """Whether it waits for something that does not come."""
        return self.missing is not None

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """What sorts the worst first: stuck, with a dead letter, the longest."""
        return not self.stuck, self.dead is None, -self.waiting


def learn(flows: Iterable[Flow]) -> dict[str, Path]:
    """The usual paths, by the types of flows, those of most flows first."""
    kinds: defaultdict[str, list[dict[str, int]]] = defaultdict(list)
    seen_times = [times for flow in flows if (times := first_times(flow.steps))]
    # Several may come in the same millisecond: then it is the one that is first by itself most often.
    alone = Counter(first[0] for times in seen_times if len(first := _first(times)) == 1)
    often = Counter(type for times in seen_times for type in _first(times))
    for times in seen_times:
        kinds[min(_first(times), key=lambda type: (-alone[type], -often[type], type))].append(times)
    paths: dict[str, Path] = {}
    for type, seen in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])):
        # What begins in the middle of a path began before all that was read.
        if len(seen) >= LEAST and _within(paths.values(), type) is None:
            paths[type] = _path(type, seen)
    return paths


def depart(flow: Flow, paths: Mapping[str, Path], now: int) -> Saga | None:
    """How a flow departs from its path; None: not at all, or no path is known.

    Args:
        flow: The flow.
        paths: Those that were learned.
        now: The present, or the end of what was read, in milliseconds since 1970 UTC.
    """
    times = first_times(flow.steps)
    dead = next((step for step in reversed(flow.steps) if step.reason is not None), None)
    firsts = _first(times) or [flow.steps[0].type]
    begin = next((type for type in firsts if type in paths), firsts[0])
    path = paths.get(begin) or _within(paths.values(), begin)
    if path is None:
        return None
    known = [usual.type for usual in path.steps]
    # What came before the first step that was seen came before all that was read.
    ahead = known[: known.index(begin)] if begin in known else []
    compensation = next((type for type in times if type in path.compensations), None)
    missing, waiting = None, 0
    before = next(iter(times.values()), flow.steps[0].time)
    for usual in path.steps[len(ahead) :]:
        if usual.type in times:
            before = max(before, times[usual.type])
        elif compensation is None:
            waiting = now - before
            missing = usual if waiting > usual.patience else None
            break
    unexpected = tuple(
        type
        for type in times
        if type not in known and type not in path.compensations and path.shares.get(type, 0.0) < RARE
    )
    if missing is None and dead is None and not unexpected and compensation is None:
        return None
    alive = [step for step in flow.steps if step.reason is None]
    last = alive[-1] if alive else flow.steps[0]
    return Saga(flow.correlation, path, last, missing, waiting if missing else 0, dead, unexpected, compensation)


def departures(flows: Iterable[Flow], paths: Mapping[str, Path], now: int) -> list[Saga]:
    """All flows that depart from their paths, the worst first."""
    found = [saga for flow in flows if (saga := depart(flow, paths, now)) is not None]
    return sorted(found, key=lambda saga: (saga.rank, saga.correlation))


def _first(times: Mapping[str, int]) -> list[str]:
    """The types that came first; several, if in the same millisecond."""
    return [type for type, time in times.items() if time == min(times.values())]


def _within(paths: Iterable[Path], type: str) -> Path | None:
    return next((path for path in paths if any(usual.type == type for usual in path.steps[1:])), None)


def _path(type: str, flows: Sequence[Mapping[str, int]]) -> Path:
    count = len(flows)
    counts = Counter(each for times in flows for each in times)
    offsets: defaultdict[str, list[int]] = defaultdict(list)
    for times in flows:
        for each, time in times.items():
            if counts[each] >= USUAL * count:
                offsets[each].append(time - times[type])
    order = sorted(offsets, key=lambda each: (each != type, median(offsets[each]), each))
    steps = [Usual(type, 1.0, 0, 0)]
    for before, each in pairwise(order):
        spans = sorted(max(times[each] - times[before], 0) for times in flows if each in times and before in times)
        # Of flows that never had both nothing is known; then the time from the beginning has to do.
        spans = spans or sorted(offsets[each])
        p95 = spans[min(len(spans) * 95 // 100, len(spans) - 1)]
        steps.append(Usual(each, counts[each] / count, round(median(spans)), p95))
    usual = set(order)
    shares = {each: number / count for each, number in counts.items() if each not in usual}
    lacking = Counter(each for times in flows if not usual <= times.keys() for each in times if each in shares)
    compensations = frozenset(each for each, number in lacking.items() if number >= _INSTEAD * counts[each])
    return Path(type, count, tuple(steps), shares, compensations)
