"""Which of the events at hand belong to a flow: those with the seed, with ids found there, and those pointed at."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from workbench.operations.trace.seeds import IDS, Seed, is_id
from workbench.operations.trace.sightings import Sighting

DEPTH: Final = 2
"""How often ids that were found lead on, unless the user says otherwise."""
FLOWS: Final = 8
"""Different flows from which on an id that they share tells nothing of any of them."""


class Refused(msgspec.Struct, frozen=True):
    """An id that was found and not followed.

    Attributes:
        id: The id.
        reason: Why not, in words.
    """

    id: str
    reason: str


class Flow(msgspec.Struct, frozen=True):
    """What belongs together.

    Attributes:
        members: Which of the sightings, counted from 0.
        ids: Every id that leads to them, the seed's value first where it is one; how often one was followed for it.
        next: The ids that are yet to be looked for: what has them may not be at hand.
        refused: What was not followed.
    """

    members: tuple[int, ...]
    ids: dict[str, int]
    next: tuple[str, ...]
    refused: tuple[Refused, ...]


class Place(msgspec.Struct, frozen=True):
    """A place where a value stands in events.

    Attributes:
        name: As a query names it.
        events: In how many events.
        flows: How many different correlation ids these have.
    """

    name: str
    events: int
    flows: int


def close(
    sightings: Sequence[Sighting],
    seed: Seed,
    chosen: AbstractSet[str] | None = None,
    depth: int = DEPTH,
) -> Flow:
    """The flow of a seed among some events.

    Args:
        sightings: What is at hand, more than the flow.
        seed: What it begins with.
        chosen: The places in which the seed's value counts; None: any.
        depth: How often ids that were found lead on. Pointers lead on always: they are exact.
    """
    carrying: dict[str, list[int]] = defaultdict(list)
    pointing: dict[object, list[int]] = defaultdict(list)
    placed: dict[object, list[int]] = defaultdict(list)
    for number, each in enumerate(sightings):
        for id in each.ids:
            carrying[id].append(number)
        for pointer in each.pointers:
            pointing[pointer].append(number)
        if each.delivery.identity is not None:
            placed[each.delivery.identity].append(number)

    def follow_pointers(begin: Iterable[int]) -> set[int]:
        found, waiting = set(begin), list(begin)
        while waiting:
            each = sightings[waiting.pop()]
            near = list(pointing.get(each.delivery.identity, ()))
            for to in (each.delivery.identity, *each.pointers):
                near += placed.get(to, ())
            waiting += (new := [number for number in near if number not in found])
            found.update(new)
        return found

    def begins(each: Sighting) -> bool:
        return bool(each.places) if chosen is None else not chosen.isdisjoint(each.places)

    ids = {seed.value: 0} if seed.place in (None, *IDS) and (chosen is None or chosen & {*IDS}) else {}
    refused: dict[str, Refused] = {}
    members = follow_pointers([number for number, each in enumerate(sightings) if begins(each)])
    for step in range(1, depth + 1):
        new = _ids_of([sightings[number] for number in members], {*ids, *refused})
        for id in new:
            flows = {sightings[number].facts.correlation for number in carrying[id]}
            if (reason := _reason_against(id, len(flows))) is None:
                ids[id] = step
            else:
                refused[id] = Refused(id, reason)
        grown = follow_pointers(members.union(*(carrying[id] for id in new if id in ids)))
        if grown == members:
            break
        members = grown
    return Flow(
        tuple(sorted(members)),
        ids,
        tuple(id for id, step in ids.items() if step),
        tuple(refused.values()),
    )


def listed(sightings: Iterable[Sighting]) -> list[Place]:
    """The places in which the seed's value stands, those with ids first, then the fullest."""
    events: dict[str, int] = defaultdict(int)
    flows: dict[str, set[str | None]] = defaultdict(set)
    for each in sightings:
        for name in each.places:
            events[name] += 1
            flows[name].add(each.facts.correlation)
    found = [Place(name, events[name], len(flows[name])) for name in events]
    return sorted(found, key=lambda place: (place.name not in IDS, -place.events, place.name))


def must_choose(seed: Seed, sightings: Iterable[Sighting]) -> bool:
    """Whether only the user can tell which of the places is meant: what is no id stands by chance in several."""
    having = [each for each in sightings if each.places]
    names = {name for each in having for name in each.places}
    if seed.place is not None or len(names) < 2 or len({each.facts.correlation for each in having}) < 2:
        return False
    return not is_id(seed.value) or names.isdisjoint(IDS)


def _ids_of(members: Iterable[Sighting], known: AbstractSet[str]) -> list[str]:
    found = {
        fact.value
        for each in members
        for fact in each.facts.found
        if fact.kind in IDS and not (fact.kind == "causation" and _is_span(fact.value))
    }
    return sorted(found - known)


def _is_span(value: str) -> bool:
    """Whether it is a span's id, which no event has for its own."""
    return len(value) == 16 and not value.strip("0123456789abcdef")


def _reason_against(id: str, flows: int) -> str | None:
    if not is_id(id):
        return "is no id that can stand for one thing only"
    return f"is in {flows:,} flows" if flows > FLOWS else None
