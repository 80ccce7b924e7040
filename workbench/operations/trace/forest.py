"""What caused what: a forest of events, each with its cause, in an order in which causes come first.

A cause is known where the event names it: by a pointer of its dead letter, by the id of the same message before it
died, by a causation id, by its span's parent, or as a reply by its request's id. Else it is inferred: the event of the
same flow before it. Known ones are settled first, so that no guess displaces them; where they would go in a circle, as
a stranger's headers may, the last of them does not count.
"""

import heapq
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from sys import maxsize
from typing import Final, Literal

import msgspec

from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.event import Delivery
from workbench.operations.trace.sightings import Sighting, merge

GAP: Final = 1_000
"""Milliseconds without an event that are worth telling."""
_TRIED: Final = 100
"""Events that are tried as what may have caused one, on each side of it or of each id."""

Kind = Literal["pointer", "death", "causation", "span", "reply", "inferred"]


class Link(msgspec.Struct, frozen=True):
    """Why an event is thought to have caused another.

    Attributes:
        cause: The number of the step that did.
        kind: By what it is known; `inferred`: it is not, it is the one before of the same flow.
        said: What says so, for people.
    """

    cause: int
    kind: Kind
    said: str

    @property
    def known(self) -> bool:
        """Whether the event itself names its cause."""
        return self.kind != "inferred"


class Step(msgspec.Struct, frozen=True):
    """One event of a trace.

    Attributes:
        sighting: The event.
        time: When it came, in milliseconds since 1970 UTC; not before its cause where its clock is too coarse to tell.
        timed: Whether the event itself says so; else it is when it was seen.
        link: What caused it; None: nothing that is here.
        level: How many causes lead to it.
        copy_of: The step that is the same message in another place, to which it was routed too.
        duplicate_of: The step that is the same message in the same place, so that it was published twice.
        late: Whether its time is before its cause's, or before that of one that is in front of it in its log.
        gap: Milliseconds since the step before, where these are more than `GAP`; else None.
        failed: Whether it was given up here: its dead letter is another step.
        named: Whether a step names it, or a copy of it, as its cause.
    """

    sighting: Sighting
    time: int
    timed: bool
    link: Link | None = None
    level: int = 0
    copy_of: int | None = None
    duplicate_of: int | None = None
    late: bool = False
    gap: int | None = None
    failed: bool = False
    named: bool = False

    @property
    def delivery(self) -> Delivery:
        """The event, as it may be seen."""
        return self.sighting.delivery

    @property
    def facts(self) -> Facts:
        """What the conventions say of it."""
        return self.sighting.facts

    @property
    def address(self) -> Address:
        """Where it is."""
        return self.delivery.address

    @property
    def held(self) -> bool:
        """Whether it waits there."""
        return self.sighting.held

    @property
    def is_dead_letter(self) -> bool:
        """Whether it was given up somewhere else before."""
        return self.facts.failure is not None or self.facts.origin is not None


class Disagreement(msgspec.Struct, frozen=True):
    """Two connections whose clocks cannot both be right: an event is older than its cause.

    Attributes:
        behind: The connection whose clock is behind.
        ahead: The other.
        by: Milliseconds, at least.
    """

    behind: str
    ahead: str
    by: int


class Trace(msgspec.Struct, frozen=True, dict=True):
    """A flow.

    Attributes:
        steps: Causes before what they caused, and otherwise by time.
        clocks: Whose clocks disagree.
        absent: Ids of causes that are named and not here.
    """

    steps: tuple[Step, ...] = ()
    clocks: tuple[Disagreement, ...] = ()
    absent: tuple[str, ...] = ()

    @cached_property
    def lanes(self) -> tuple[Address, ...]:
        """The endpoints, in the order of their first use."""
        return tuple(dict.fromkeys(step.address for step in self.steps))

    @cached_property
    def children(self) -> Mapping[int, tuple[int, ...]]:
        """The steps that each caused."""
        found: dict[int, list[int]] = defaultdict(list)
        for number, step in enumerate(self.steps):
            if step.link is not None:
                found[step.link.cause].append(number)
        return {cause: tuple(caused) for cause, caused in found.items()}

    @cached_property
    def branches(self) -> tuple[int, ...]:
        """The steps as a tree has them: each followed by all that came of it."""
        children = self.children
        waiting = [number for number, step in enumerate(self.steps) if step.link is None][::-1]
        found = []
        while waiting:
            number = waiting.pop()
            found.append(number)
            waiting += children.get(number, ())[::-1]
        return tuple(found)

    @cached_property
    def started(self) -> int | None:
        """When the first event came, in milliseconds since 1970 UTC, of those that say when."""
        return min((step.time for step in self.steps if step.timed), default=None)

    @cached_property
    def ended(self) -> int | None:
        """When the last came."""
        return max((step.time for step in self.steps if step.timed), default=None)

    @cached_property
    def last(self) -> int | None:
        """The step at which the flow was seen last."""
        timed = [number for number, step in enumerate(self.steps) if step.timed]
        among = timed or range(len(self.steps))
        return max(among, key=lambda number: (self.steps[number].time, number), default=None)

    @cached_property
    def stuck(self) -> int | None:
        """The newest step that waits and that nothing has come of: a dead letter before a message that merely waits.

        A message that was routed to several places and waits in one of them may have done its work in another.
        """
        copied = {step.copy_of for step in self.steps}
        waiting = [
            number
            for number in self.waiting
            if self.steps[number].is_dead_letter or (number not in copied and self.steps[number].copy_of is None)
        ]
        return max(waiting, key=lambda number: (self.steps[number].is_dead_letter, number), default=None)

    @cached_property
    def waiting(self) -> tuple[int, ...]:
        """The steps that wait and that nothing has come of."""
        ends = self.children
        return tuple(
            number
            for number, step in enumerate(self.steps)
            if step.held and number not in ends and (step.is_dead_letter or not step.named)
        )


def trace(sightings: Sequence[Sighting]) -> Trace:
    """The story that some events tell; the order in which they were found makes no difference."""
    merged = merge(sightings)
    causes = _Causes(merged)
    causes.settle()
    return _story(merged, causes)


class _Causes:
    """The forest while it grows: for each event, in the order of their times, its link."""

    def __init__(self, events: Sequence[Sighting]) -> None:
        self._events = events
        self.links: list[Link | None] = [None] * len(events)
        self.absent: dict[str, None] = {}
        self._trees = list(range(len(events)))
        self.by_message: Final[dict[str, list[int]]] = defaultdict(list)
        self._trails = [event.trail for event in events]
        self._ids = [frozenset(event.facts.all("message")) for event in events]
        self._flows = [event.facts.all("correlation") for event in events]
        self._spans = [event.facts.all("span") for event in events]
        by_span: dict[str, list[int]] = defaultdict(list)
        self._requests: dict[str, list[int]] = defaultdict(list)
        # Of a message, those that never failed, under None, and those in each place by its name.
        self._before_death: dict[tuple[str, str | None], list[int]] = defaultdict(list)
        self._placed: dict[object, int] = {}
        for number, event in enumerate(events):
            flows = self._flows[number]
            for id in self._ids[number]:
                self.by_message[id].append(number)
                self._before_death[id, event.delivery.address.name].append(number)
                if not self._trails[number]:
                    self._before_death[id, None].append(number)
                # Where the first event's own id is the flow's, it tells only who began.
                if id not in flows:
                    self._requests[id].append(number)
            for id in self._spans[number]:
                by_span[id].append(number)
            if event.delivery.identity is not None:
                self._placed[event.delivery.identity] = number
        self._causes = {id: self._likeliest(numbers) for id, numbers in self.by_message.items()}
        # Of several messages that were sent in one span, the span does not tell which caused another.
        self._senders = {
            id: self._likeliest(numbers)
            for id, numbers in by_span.items()
            if len({self._ids[number] or number for number in numbers}) == 1
        }

    def _likeliest(self, numbers: Sequence[int]) -> Sequence[int]:
        """Of the places that a message came to, first that which is no dead letter and where it waits no more."""
        return sorted(numbers, key=lambda each: (bool(self._trails[each]), self._events[each].held, each))[: _TRIED + 1]

    def settle(self) -> None:
        for way in (self._by_pointer, self._by_death, self._by_causation, self._by_span_parent, self._by_reply):
            for number in range(len(self._events)):
                if self.links[number] is None:
                    for link in way(number):
                        if self._join(number, link):
                            break
        self._infer()

    def _join(self, number: int, link: Link) -> bool:
        """Let an event have a cause, unless that would lead back to it."""
        if self._tree_of(link.cause) == number:
            return False
        self._trees[number] = link.cause
        self.links[number] = link
        return True

    def _tree_of(self, number: int) -> int:
        """The root above an event: only roots are joined to others."""
        root = number
        while self._trees[root] != root:
            root = self._trees[root]
        while self._trees[number] != root:
            self._trees[number], number = root, self._trees[number]
        return root

    def _by_pointer(self, number: int) -> Iterator[Link]:
        event = self._events[number]
        if not event.pointers:
            return
        found = [self._placed[pointer] for pointer in event.pointers if pointer in self._placed]
        conventions = [fact.convention for fact in event.facts.found if fact.kind == "origin.offset"]
        # It was in each of these places, last in the one that it came to last.
        for cause in sorted(found, reverse=True):
            yield Link(cause, "pointer", f"{' and '.join(dict.fromkeys(conventions))} pointer")

    def _by_death(self, number: int) -> Iterator[Link]:
        facts, trail = self._events[number].facts, self._trails[number]
        if not trail:
            return
        from_places = {*facts.all("origin.queue"), *facts.all("origin.topic")}
        found = set()
        for id in self._ids[number]:
            for place in (None, *from_places):
                for twin in _nearest(self._before_death.get((id, place), ()), number):
                    if self._trails[twin] != trail:
                        here = self._events[twin].delivery.address.name in from_places
                        found.add((here, twin < number, twin if twin < number else -twin, twin))
        for here, _, _, twin in sorted(found, reverse=True):
            yield Link(twin, "death", f"message id, dead-lettered from {self._events[twin].delivery.address.name}")
            if here:
                return

    def _by_causation(self, number: int) -> Iterator[Link]:
        facts = self._events[number].facts
        for id in facts.all("causation"):
            causes = self._causes.get(id, ())
            if not causes and id not in self._senders and len(id) != 16:
                self.absent[id] = None
            for cause in causes:
                if cause != number:
                    yield Link(cause, "causation", "causation id")

    def _by_span_parent(self, number: int) -> Iterator[Link]:
        for id in self._events[number].facts.all("causation"):
            # Where it names its own span, as a traceparent beside B3 does, those that were sent in it are no causes.
            for cause in self._senders.get(id, ()) if id not in self._spans[number] else ():
                if cause != number:
                    yield Link(cause, "span", "its span's parent is the span in which that was sent")

    def _by_reply(self, number: int) -> Iterator[Link]:
        for id in self._flows[number]:
            for cause in self._requests.get(id, ())[:_TRIED] if id not in self._ids[number] else ():
                yield Link(cause, "reply", "its correlation id is the request's message id")

    def _infer(self) -> None:
        """Give what names no cause the event of the same flow before it, if its time says that it came later."""
        of_flow: dict[str, list[int]] = defaultdict(list)
        for number, event in enumerate(self._events):
            flows = self._flows[number]
            if self.links[number] is None and event.time.known:
                before = heapq.merge(*(reversed(of_flow[id][-_TRIED:]) for id in flows), reverse=True)
                for cause in islice(before, _TRIED):
                    if self._events[cause].held or not self._ids[number].isdisjoint(self._ids[cause]):
                        # What waits has caused nothing yet.
                        continue
                    if self._join(number, Link(cause, "inferred", "same flow, the event before")):
                        break
            for id in flows if event.time.known else ():
                of_flow[id].append(number)


def _nearest(numbers: Sequence[int], number: int) -> Iterator[int]:
    """The nearest of some in their order, on each side of one, without it."""
    at = bisect_left(numbers, number)
    for each in numbers[max(at - _TRIED, 0) : at + _TRIED + 1]:
        if each != number:
            yield each


def _story(events: Sequence[Sighting], causes: _Causes) -> Trace:
    order = _order(causes.links)
    numbers = {old: new for new, old in enumerate(order)}
    named = {link.cause for link in causes.links if link is not None and link.kind in ("causation", "span", "reply")}
    messages = {id for number in named for id in events[number].facts.all("message")}
    named |= {each for id in messages for each in causes.by_message[id]}
    given_up = {
        link.cause
        for number, link in enumerate(causes.links)
        if link is not None
        and link.kind in ("pointer", "death")
        and (events[number].held or events[number].facts.first("failure.reason") != "expired")
    }
    steps: list[Step] = []
    clocks: dict[tuple[str, str], int] = {}
    behind = _behind_in_logs(events)
    latest: int | None = None
    for number in order:
        event, link, moment = events[number], causes.links[number], events[number].time
        time, late = moment.at, number in behind
        if link is not None:
            link = msgspec.structs.replace(link, cause=numbers[link.cause])
            cause = steps[link.cause]
            if link.known and moment.known and cause.timed and time < cause.time:
                if time + moment.precision > cause.time:
                    time = cause.time
                else:
                    late = True
                    pair = event.delivery.address.connection, cause.address.connection
                    if pair[0] != pair[1]:
                        clocks[pair] = max(clocks.get(pair, 0), cause.time - time)
        gap = None
        if moment.known:
            gap = time - latest if latest is not None and time - latest > GAP else None
            latest = time if latest is None else max(latest, time)
        steps.append(
            Step(
                event,
                time,
                moment.known,
                link,
                0 if link is None else steps[link.cause].level + 1,
                late=late,
                gap=gap,
                failed=number in given_up,
                named=number in named,
            )
        )
    return Trace(
        tuple(_with_twins(steps)),
        tuple(Disagreement(*pair, by) for pair, by in sorted(clocks.items())),
        tuple(sorted(causes.absent)),
    )


def _behind_in_logs(events: Sequence[Sighting]) -> set[int]:
    """The events that are older than one in front of them in their partition."""
    logs: dict[object, list[int]] = defaultdict(list)
    for number, event in enumerate(events):
        if (position := event.delivery.position) is not None:
            logs[event.delivery.address, position.partition].append(number)
    found = set()
    for numbers in logs.values():
        latest = -maxsize
        for number in sorted(numbers, key=lambda each: events[each].offset):
            moment = events[number].time
            if moment.at + moment.precision <= latest:
                found.add(number)
            latest = max(latest, moment.at)
    return found


def _order(links: Sequence[Link | None]) -> list[int]:
    """The events by their times, but none before its cause."""
    caused: dict[int, list[int]] = defaultdict(list)
    ready = []
    for number, link in enumerate(links):
        if link is None:
            ready.append(number)
        else:
            caused[link.cause].append(number)
    heapq.heapify(ready)
    order = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for each in caused[number]:
            heapq.heappush(ready, each)
    return order


def _with_twins(steps: Sequence[Step]) -> Iterator[Step]:
    """Tell which steps are one message: again in its place, or in another place at the same point of its way."""
    here: dict[object, int] = {}
    anywhere: dict[object, int] = {}
    for number, step in enumerate(steps):
        copy = duplicate = None
        if (id := step.facts.message) is not None:
            trail = step.sighting.trail
            duplicate = here.setdefault((step.address, id, trail), number)
            copy = anywhere.setdefault((id, trail), number)
        is_duplicate = duplicate not in (None, number)
        yield msgspec.structs.replace(
            step,
            duplicate_of=duplicate if is_duplicate else None,
            copy_of=copy if copy not in (None, number) and not is_duplicate else None,
        )
