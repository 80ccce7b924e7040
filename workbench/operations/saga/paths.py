"""The usual path of a type of flow, and how a flow departs from it.

A flow is of the type of its first event. What comes in at least half of the flows of a type is usual, in the order of
its median time; how long it took from the usual step before is its latency. A flow is stuck where a usual step does not
come though far more time has passed than it takes, and nothing came that ends such flows otherwise: a compensation,
which is what most flows have that lack a usual step and hardly any other.

Nothing is missing that may have come unseen: what was to come before its place was read from, or after it was read
last. A flow that began before all that was read is judged by the rest of its path.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from workbench.operations.saga.flows import Flow

LEAST: Final = 5
"""Flows of a type from which on a path is learned."""
USUAL: Final = 0.5
"""The share of flows from which on a step is usual."""
RARE: Final = 0.05
"""The share of flows below which a step is unexpected."""
_NEEDED: Final = 0.7
"""The share of the flows that went on behind a usual step, from which on none goes on without it."""
_INSTEAD: Final = 0.8
"""The share of flows with a step that lack a usual one, from which on it is taken for a compensation."""
_LEAST_INSTEAD: Final = 3
"""Flows with such a step: one or two may be stuck for a reason of their own."""
PATIENCE: Final = 2
"""A step is missing after so many times its latency's 95th percentile."""
_LEAST_PATIENCE: Final = 1_000
"""Milliseconds beyond the percentile that are granted anyway."""

State: TypeAlias = Literal["stuck", "dead letter", "unexpected", "compensated", "under way", "complete", "unknown"]
"""How a flow stands, the worst first. Under way: what is to come next is not late; unknown: no path is known."""
STATES: Final[tuple[State, ...]] = get_args(State)


class Usual(msgspec.Struct, frozen=True, array_like=True):
    """A usual step.

    Attributes:
        type: Which.
        share: Of the flows, how many have it, from 0 to 1.
        median: Milliseconds from the usual step before it.
        p95: Likewise, of 95 in a hundred flows.
        place: Where it is usually seen, as an address.
        since: The time of the first event that is known there, in milliseconds since 1970 UTC.
        needed: Whether hardly any flow goes on without it.
    """

    type: str
    share: float
    median: int
    p95: int
    place: str
    since: int
    needed: bool


class Path(msgspec.Struct, frozen=True, array_like=True):
    """What is usual for a type of flow.

    Attributes:
        type: That of the first event.
        flows: How many flows it was learned from.
        since: When the first of them began, in milliseconds since 1970 UTC.
        steps: In order; the first is the type itself.
        shares: Of all other steps, the share of flows that have them.
        compensations: What comes instead of usual steps.
    """

    type: str
    flows: int
    since: int
    steps: tuple[Usual, ...]
    shares: dict[str, float]
    compensations: frozenset[str]

    def index(self, type: str) -> int | None:
        """Which step that is, counted from 0; None: it is not usual."""
        return next((number for number, step in enumerate(self.steps) if step.type == type), None)

    def is_cut(self, at: int, time: int) -> bool:
        """Whether a flow whose first event known is a step at a time may have begun before all that is known."""
        return time <= self.since + patience(sum(step.p95 for step in self.steps[: at + 1]))


class Saga(msgspec.Struct, frozen=True, array_like=True):
    """A flow beside its path.

    Attributes:
        flow: The flow.
        type: The type of its path; where none is known, that of its first event.
        state: How it stands.
        after: The last usual step before what is to come next.
        next: The usual step that is to come next; it is missing if the flow is stuck. None: none is.
        median: Milliseconds from the one to the other.
        p95: Likewise, of 95 in a hundred flows.
        waiting: Milliseconds since the one, as far as is known.
        unexpected: Steps that hardly any flow of the type has.
        compensation: What came in the place of usual steps: the last of it.
        place: Where what is to come next is usually seen, as an address.
    """

    flow: Flow
    type: str
    state: State
    after: str = ""
    next: str | None = None
    median: int = 0
    p95: int = 0
    waiting: int = 0
    unexpected: tuple[str, ...] = ()
    compensation: str | None = None
    place: str = ""

    @property
    def stuck(self) -> bool:
        """Whether it waits for something that does not come."""
        return self.state == "stuck"

    @property
    def missing(self) -> str | None:
        """The usual step that did not come in time."""
        return self.next if self.stuck else None

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """What sorts the worst first: stuck, with a dead letter, the longest; of all others the newest."""
        order = -self.waiting if self.stuck else -self.flow.last.last
        return STATES.index(self.state), self.flow.dead is None, order, self.flow.correlation


def patience(p95: int) -> int:
    """Milliseconds after which a step is missing."""
    return max(PATIENCE * p95, p95 + _LEAST_PATIENCE)


def learn(flows: Iterable[Flow]) -> dict[str, Path]:
    """The usual paths, by the types of flows, those of most flows first."""
    flows = [flow for flow in flows if flow.steps]
    begun: dict[str, int] = {}
    for flow in flows:
        for step in flow.steps:
            begun[step.place] = min(begun.get(step.place, step.first), step.first)
    firsts = [_first(flow.times) for flow in flows]
    # Several may come in the same millisecond: then it is the one that is first by itself most often.
    alone = Counter(first[0] for first in firsts if len(first) == 1)
    often = Counter(type for first in firsts for type in first)
    kinds: defaultdict[str, list[Flow]] = defaultdict(list)
    for flow, first in zip(flows, firsts, strict=True):
        kinds[min(first, key=lambda type: (-alone[type], -often[type], type))].append(flow)
    paths: dict[str, Path] = {}
    for type, some in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])):
        # What begins in the middle of a path has mostly begun before all that was read.
        whole = [flow for flow in some if not _is_cut(paths.values(), type, flow.steps[0].first)]
        if len(whole) >= LEAST:
            paths[type] = _path(type, whole, begun)
    return paths


def judge(flow: Flow, paths: Mapping[str, Path], now: int, until: Mapping[str, int] | None = None) -> Saga:
    """How a flow stands beside its path.

    Args:
        flow: The flow.
        paths: Those that were learned.
        now: The present, or the end of what was read, in milliseconds since 1970 UTC.
        until: Up to when places were read, by their addresses; those that are missing: until now.
    """
    times = flow.times
    path = _path_of(flow, paths)
    if path is None:
        type = flow.steps[0].type if flow.steps else flow.last.type
        return Saga(flow, type, "unknown" if flow.dead is None else "dead letter")
    # Of a flow that is known by its dead letter alone, that event has come.
    came = times or {flow.last.type: flow.last.first}
    begin = next((at for at, step in enumerate(path.steps) if step.type in came), 0)
    before, after = min(came.values()), path.steps[begin].type
    median = p95 = 0
    awaited: Usual | None = None
    waiting = 0
    compensation = next((type for type in reversed(times) if type in path.compensations), None)
    for usual in path.steps[begin + 1 :]:
        if usual.type in came:
            if came[usual.type] >= before:
                before, after = came[usual.type], usual.type
            median = p95 = 0
            continue
        median, p95 = median + usual.median, p95 + usual.p95
        if compensation is None and usual.needed and before + median >= usual.since:
            awaited, waiting = usual, min(now, (until or {}).get(usual.place, now)) - before
            break
    unexpected = tuple(
        type
        for type in times
        if path.index(type) is None and type not in path.compensations and path.shares.get(type, 0.0) < RARE
    )
    state: State = "complete"
    if awaited is not None and waiting > patience(p95):
        state = "stuck"
    elif flow.dead is not None:
        state = "dead letter"
    elif unexpected:
        state = "unexpected"
    elif compensation is not None:
        state = "compensated"
    elif awaited is not None:
        state = "under way"
    if awaited is None:
        return Saga(flow, path.type, state, unexpected=unexpected, compensation=compensation)
    return Saga(
        flow, path.type, state, after, awaited.type, median, p95, max(waiting, 0), unexpected, place=awaited.place
    )


def judge_all(
    flows: Iterable[Flow], paths: Mapping[str, Path], now: int, until: Mapping[str, int] | None = None
) -> list[Saga]:
    """How all flows stand, the worst first; the arguments are those of `judge`."""
    return sorted((judge(flow, paths, now, until) for flow in flows), key=lambda saga: saga.rank)


def _first(times: Mapping[str, int]) -> list[str]:
    """The types that came first; several, if in the same millisecond."""
    return [type for type, time in times.items() if time == min(times.values())]


def _is_cut(paths: Iterable[Path], type: str, time: int) -> bool:
    """Whether a flow whose first event known is of a type may be the rest of one that began before."""
    return any((at := path.index(type)) and path.is_cut(at, time) for path in paths)


def _path_of(flow: Flow, paths: Mapping[str, Path]) -> Path | None:
    """The path that a flow is on: of those that go through its first step, the one that it shares most with."""
    times = flow.times
    firsts = _first(times) or [flow.last.type]
    best: tuple[tuple[int, bool, int], Path] | None = None
    for path in paths.values():
        at = min((at for type in firsts if (at := path.index(type)) is not None), default=None)
        if at is None:
            continue
        shared = sum(path.index(type) is not None or type in path.compensations for type in times)
        # One step alone may be that of another type of flow, of which there are too few.
        if at and shared < 2 and times and not path.is_cut(at, min(times.values())):
            continue
        fit = shared, at == 0, path.flows
        if best is None or fit > best[0]:
            best = fit, path
    return best[1] if best is not None else None


def _path(type: str, flows: Sequence[Flow], begun: Mapping[str, int]) -> Path:
    count = len(flows)
    seen = [flow.times for flow in flows]
    counts = Counter(each for times in seen for each in times)
    offsets: defaultdict[str, list[int]] = defaultdict(list)
    places: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for flow, times in zip(flows, seen, strict=True):
        for step in flow.steps:
            if counts[step.type] >= USUAL * count:
                offsets[step.type].append(step.first - times[type])
                places[step.type][step.place] += 1
    order = sorted(offsets, key=lambda each: (each != type, median(offsets[each]), each))
    usual: dict[str, tuple[int, int]] = {type: (0, 0)}
    for before, each in pairwise(order):
        spans = sorted(max(times[each] - times[before], 0) for times in seen if each in times and before in times)
        # Of flows that never had both nothing is known; then the time from the beginning has to do.
        spans = spans or sorted(offsets[each])
        usual[each] = round(median(spans)), spans[math.ceil(0.95 * len(spans)) - 1]
    steps = []
    for at, each in enumerate(order):
        place = min(places[each], key=lambda place: (-places[each][place], place))
        behind = [times for times in seen if any(later in times for later in order[at + 1 :])]
        needed = sum(each in times for times in behind) >= _NEEDED * len(behind)
        steps.append(Usual(each, counts[each] / count, *usual[each], place, begun[place], needed))
    shares = {each: number / count for each, number in sorted(counts.items()) if each not in usual}
    lacking = Counter(each for times in seen if not usual.keys() <= times.keys() for each in times if each in shares)
    compensations = frozenset(
        each for each, number in lacking.items() if number >= max(_INSTEAD * counts[each], _LEAST_INSTEAD)
    )
    since = min(flow.steps[0].first for flow in flows)
    return Path(type, count, since, tuple(steps), shares, compensations)
