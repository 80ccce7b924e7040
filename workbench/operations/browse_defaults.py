"""Where a browse begins and how much it shows: one policy for the command line and the screen."""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, Literal

from workbench.model.endpoint import Ability, Endpoint
from workbench.model.event import Delivery
from workbench.model.look import Gap
from workbench.model.start import Beginning, FromEnd, Since, Start
from workbench.model.wording import quantity

LAST: Final = 500
"""Events with which a log opens, and which a queue shows: the newest of a log, the oldest of a queue."""
_UNASKED: Final = 50_000
"""Messages of a queue that a look without a limit holds, at most."""
_MOST: Final = 256 << 20
"""Bytes of events that are held, at most, to find the newest or the first of several logs."""
_SENTENCE_END: Final = re.compile(r"(?<=\.) ")


def place_of(
    endpoint: Endpoint, start: Start | None, limit: int | None = None, until: int | None = None, chosen: bool = False
) -> tuple[Start | None, int | None]:
    """Where a browse begins, and how many events it asks its connector for, at most.

    Args:
        endpoint: What is browsed.
        start: Where it was asked to begin; None: a log with its newest events, a queue with its oldest.
        limit: How many events are wanted; None: of a log from a given place all, otherwise `LAST`.
        until: Only events before this time are wanted, in milliseconds since 1970 UTC.
        chosen: Whether a query chooses among the events: among the `LAST` newest of a log, or as many as are wanted if
            these are more; of a queue among all that one look holds, or as many as are wanted if these are more.
    """
    narrowed = chosen or until is not None
    if endpoint.family != "log":
        # Whoever wants more than a connector shows unasked has it look as far.
        return start, (limit if limit and limit > _UNASKED else None) if narrowed else limit or LAST
    if start is None and Ability.FROM_END in endpoint.abilities:
        return FromEnd(max(limit or LAST, LAST if narrowed else 0), until), None
    return start, None if narrowed else limit


def price_of(endpoint: Endpoint) -> str:
    """What a browse of an endpoint costs, to be said before it begins; empty: nothing."""
    return endpoint.cost.sentence if Ability.BROWSE in endpoint.abilities else ""


def price_sentence(queues: int, messages: int, prices: Iterable[str]) -> str:
    """What it costs to look into several queues, each sentence of it said once, to be agreed to."""
    once = " ".join(dict.fromkeys(sentence for price in prices for sentence in _SENTENCE_END.split(price)))
    return f"{quantity(queues, 'queue')} with {quantity(messages, 'message')} will be browsed once. {once}"


def beginning_of(endpoint: Endpoint, since: int | None) -> Start | None:
    """Where to begin to read all of an endpoint.

    Args:
        endpoint: Which.
        since: From when on a log is wanted, in milliseconds since 1970 UTC; None or 0: from its beginning.
    """
    if endpoint.family != "log":
        return None
    return Since(since) if since and Ability.BY_TIME in endpoint.abilities else Beginning()


def opening_of(endpoint: Endpoint) -> Literal["browse", "tail"] | None:
    """How an endpoint is read as soon as it is opened: a log is followed, anything else is browsed; None: it is not,
    because that has a price or cannot be done."""
    if price_of(endpoint):
        return None
    if endpoint.family == "log" and Ability.TAIL in endpoint.abilities:
        return "tail"
    return "browse" if Ability.BROWSE in endpoint.abilities else None


class Few:
    """The newest, or the first, of the events of several logs: so many, in the order of time."""

    def __init__(self, count: int, newest: bool) -> None:
        """
        Args:
            count: How many.
            newest: Which are kept: the newest, or the first from where the logs were read.
        """
        self._count = count
        self._newest = newest
        self._heap: list[tuple[int, int, int, int, Delivery]] = []
        self._size = 0
        self._added = 0
        self._dropped = 0

    def add(self, log: int, deliveries: Sequence[Delivery]) -> None:
        """Take what was read of a log, in its order. What is no longer among those wanted is let go."""
        sign = 1 if self._newest else -1
        for delivery in deliveries:
            time, size = delivery.time[0], delivery.memory
            entry = (sign * time, sign * log, sign * self._added, size, delivery)
            self._added += 1
            self._size += size
            if len(self._heap) < self._count:
                heapq.heappush(self._heap, entry)
            else:
                self._size -= heapq.heappushpop(self._heap, entry)[3]
            while self._size > _MOST and len(self._heap) > 1:
                self._size -= heapq.heappop(self._heap)[3]
                self._count -= 1
                self._dropped += 1

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was wanted and is too large to be held."""
        if not self._dropped:
            return ()
        return (Gap(f"{self._dropped:,} of the events", f"all together are more than {_MOST >> 20} MB"),)

    def __iter__(self) -> Iterator[Delivery]:
        """Those that are kept: by time, but of one log in its own order."""
        logs: dict[int, list[tuple[int, int, int, int, Delivery]]] = {}
        for entry in sorted(self._heap, key=lambda each: abs(each[2])):
            logs.setdefault(abs(entry[1]), []).append(entry)
        ranked = []
        for log, entries in sorted(logs.items()):
            times = accumulate((delivery.time[0] for *_, delivery in entries), max)
            ranked += [(time, log, entry[4]) for time, entry in zip(times, entries, strict=True)]
        ranked.sort(key=lambda each: each[:2])
        return (delivery for _, _, delivery in ranked)
