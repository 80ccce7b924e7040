"""Groups of dead letters: which failed for the same reason, from the same place, with the same type."""

from collections.abc import Iterator
from typing import Final

import msgspec

from workbench.facts.facts import Facts
from workbench.facts.times import time_in
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.query.alike import query_for, same_for_all
from workbench.query.condition import equals
from workbench.query.field import Field
from workbench.query.operators import number_in
from workbench.table.cells import time_of, values_text

MOST: Final = 1_000
"""Groups that are told apart; dead letters of any other go into one of all others."""
_SLOTS: Final = 128
"""Stretches of time in which arrivals are counted, at most."""
_LONGEST: Final = 2_000
"""Characters of a text by which groups are told apart."""


class Arrivals:
    """How many came when, in stretches of time that double in length as they get too many."""

    def __init__(self) -> None:
        self.stretch = 1_000
        """Milliseconds of one."""
        self.counts: dict[int, int] = {}
        """How many, by the number of the stretch since 1970 UTC."""

    def add(self, time: int) -> None:
        """Count one that came at a time, in milliseconds since 1970 UTC."""
        slot = time // self.stretch
        self.counts[slot] = self.counts.get(slot, 0) + 1
        while len(self.counts) > _SLOTS:
            self.stretch *= 2
            halved: dict[int, int] = {}
            for slot, count in self.counts.items():
                halved[slot // 2] = halved.get(slot // 2, 0) + count
            self.counts = halved

    def between(self, since: int, until: int, parts: int) -> list[int]:
        """How many came in each of so many equal parts of a time, from `since` up to and with `until`."""
        found = [0] * parts
        length = max(until - since + 1, 1)
        for slot, count in self.counts.items():
            middle = slot * self.stretch + self.stretch // 2
            found[min(max((middle - since) * parts // length, 0), parts - 1)] += count
        return found


class Group(msgspec.Struct):
    """Dead letters that have the same in common.

    Attributes:
        reason: Why they failed, `…` for what differs; empty: no reason is known. With `by`, what they have there.
        origin: Where they come from, a queue's, a topic's or an exchange's name; empty: not known.
        type: Their type; empty: none is known.
        text: The whole reason, where it is always the same, else None.
        condition: What selects by the value that they have in common in place of a reason; None: no query can.
        count: How many they are.
        oldest: When the first died, in milliseconds since 1970 UTC.
        newest: When the last died.
        attempts: How often the one was tried that was tried most; None: nobody counts.
        arrivals: When they died.
        places: How many are where.
        ends: Whether all of their reasons end as `reason` does, and do not only begin so.
    """

    reason: str
    origin: str
    type: str
    text: str | None
    condition: str | None = None
    count: int = 0
    oldest: int = 0
    newest: int = 0
    attempts: int | None = None
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    places: dict[Address, int] = msgspec.field(default_factory=dict)
    ends: bool = True


class Groups:
    """Gathers dead letters into groups.

    Args:
        by: What tells groups apart, instead of their reasons.
    """

    def __init__(self, by: Field | None = None) -> None:
        self._by: Final = by
        self._groups: dict[tuple[str, str, str], Group] = {}
        self.counted = 0
        """How many dead letters there are in all groups."""
        self.others: Group | None = None
        """Those of groups beyond `MOST`; None: there are none."""

    def __iter__(self) -> Iterator[Group]:
        """The groups, the largest first."""
        return iter(sorted(self._groups.values(), key=lambda group: (-group.count, group.reason, group.origin)))

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, delivery: Delivery, facts: Facts) -> None:
        """Take a dead letter into its group."""
        whole = self._text_of(delivery, facts)
        key = (whole if self._by is not None else same_for_all(whole), origin_of(facts), facts.type or "")
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) < MOST:
                condition = None if self._by is None else _condition(self._by, delivery)
                group = self._groups[key] = Group(*key, text=whole, condition=condition)
            else:
                group = self.others = self.others or Group("", "", "", None)
        elif whole != group.text:
            group.text = None
        group.ends = group.ends and len(whole) < _LONGEST
        self.counted += 1
        _count(group, delivery, facts)

    def _text_of(self, delivery: Delivery, facts: Facts) -> str:
        text = (facts.reason or "") if self._by is None else values_text(self._by.values(delivery))
        return text[:_LONGEST]

    def query_of(self, group: Group) -> str | None:
        """What selects the dead letters of a group; None: no query can."""
        what = group.condition if self._by is not None else query_for("reason", group.reason, group.text, group.ends)
        if what is None:
            return None
        rest = [query_for(name, text, text) for name, text in (("origin", group.origin), ("type", group.type))]
        return " and ".join([what, *rest])


def _condition(by: Field, delivery: Delivery) -> str | None:
    values = by.values(delivery)
    if not values:
        return f"not {by.text} exists"
    if len(values) > 1:
        return None
    value = values[0]
    if isinstance(value, str) and (number_in(value) is not None or value in ("true", "false", "null")):
        # In quotes it would be a text alone, and not what is spelled alike.
        return f"{by.text} = {value}"
    try:
        return equals(by.text, value).has  # type: ignore[arg-type]
    except FormatError:
        return None


def origin_of(facts: Facts) -> str:
    """Where a dead letter comes from, by name: the queue or the topic, else the exchange; empty: not known."""
    origin = facts.origin
    return (origin.queue or origin.topic or origin.exchange or "") if origin is not None else ""


def died_at(delivery: Delivery, facts: Facts) -> int:
    """When a dead letter died, in milliseconds since 1970 UTC; where nothing says so, when it was published."""
    failure = facts.failure
    died = time_in(failure.time) if failure is not None and failure.time else None
    return time_of(delivery, facts) if died is None else died


def _count(group: Group, delivery: Delivery, facts: Facts) -> None:
    at = died_at(delivery, facts)
    group.oldest = min(group.oldest, at) if group.count else at
    group.newest = max(group.newest, at) if group.count else at
    group.count += 1
    group.arrivals.add(at)
    group.places[delivery.address] = group.places.get(delivery.address, 0) + 1
    attempts = facts.attempts if facts.attempts is not None else delivery.attempt
    if attempts is not None:
        group.attempts = max(attempts, group.attempts or 0)
