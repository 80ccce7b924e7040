"""How often each reason occurs among the deliveries of some looks, counted as they are stored, a batch at a time.

Reasons that differ only in what looks like an id or a number are one: `order 17 not found` and `order 18 not found` are
`order … not found`. The counting is done where searching is done, and never on the event loop.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, TypeAlias

import msgspec

from workbench.model.event import Delivery
from workbench.query.alike import query_for, same_for_all
from workbench.query.query import Reading
from workbench.store.archive import Archive
from workbench.store.by_row import ByRow

DIFFERENT: Final = 1_000
"""Reasons of one row that are told apart; those beyond are counted as one."""
_OTHER: Final = "…"


class Reason(msgspec.Struct, frozen=True):
    """One reason.

    Attributes:
        text: What it says, with `…` for what differs; empty where no reason is known.
        count: How many deliveries have it.
        query: What selects them.
    """

    text: str
    count: int
    query: str


Counts: TypeAlias = dict[str, tuple[int, str | None]]
"""By what is the same: how often, and the whole text where it is always the same."""


class ReasonTally:
    """The reasons of all deliveries of some looks, as far as they were counted.

    Args:
        archive: Where they are.
        looks: Whose.
    """

    def __init__(self, archive: Archive, looks: Iterable[int]) -> None:
        self.looks: Final = frozenset(looks)
        """Whose deliveries are counted."""
        self.reasons: Sequence[Reason] = ()
        """The reasons, the most frequent first."""
        self._counts: Final = ByRow(archive, _count, _merge)

    @property
    def counted(self) -> int:
        """How many deliveries were counted."""
        return sum(reason.count for reason in self.reasons)

    @property
    def waiting(self) -> int:
        """How many deliveries of all looks are still to be asked."""
        return self._counts.waiting

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be counted, or less."""
        return self._counts.is_behind

    async def catch_up(self, executor: Executor | None = None) -> None:
        """Count what was stored since the last time, or a part of it; what was dropped counts no longer.

        Args:
            executor: Where to count: `Workers`. None: on the archive's own thread.

        Raises:
            StoreError: The file is damaged.
        """
        await self._counts.catch_up(self.looks, executor)
        total: Counts = {}
        for counts in self._counts.made.values():
            _merge(total, counts)
        ordered = sorted(total.items(), key=lambda item: (-item[1][0], item[0]))
        self.reasons = [
            Reason(key if text is None else text, count, query_for("reason", key, text))
            for key, (count, text) in ordered
        ]


def _count(deliveries: Iterable[Delivery], reading: Reading) -> Counts:
    texts = Counter(reading.facts(reading.mask(delivery)).reason or "" for delivery in deliveries)
    counts: Counts = {}
    for text, count in texts.items():
        _merge(counts, {same_for_all(text) if len(counts) < DIFFERENT else _OTHER: (count, text)})
    return counts


def _merge(counts: Counts, more: Counts) -> Counts:
    """Add more to counts; returns them."""
    for key, (count, text) in more.items():
        before, known = counts.get(key, (0, text))
        counts[key] = before + count, text if text == known else None
    return counts
