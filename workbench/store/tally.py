"""How often each reason occurs among the deliveries of some looks, counted as they are stored, a batch at a time.

Reasons that differ only in what looks like an id or a number are one: `order 17 not found` and `order 18 not found` are
`order … not found`. The counting is done where searching is done, and never on the event loop.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from sys import maxsize
from typing import Final, TypeAlias

import msgspec

from workbench.model.event import Delivery
from workbench.query.alike import query_for, same_for_all
from workbench.query.query import Reading
from workbench.store.archive import Archive
from workbench.store.batch import Chunk
from workbench.store.database import failures, read
from workbench.store.stored_row import stored_row

AT_ONCE: Final = 8
"""Stored rows that are counted in one go."""
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
        self._archive: Final = archive
        self._by_row: dict[int, Counts] = {}
        self._upto = archive.first

    @property
    def counted(self) -> int:
        """How many deliveries were counted."""
        return sum(reason.count for reason in self.reasons)

    @property
    def waiting(self) -> int:
        """How many deliveries of all looks are still to be asked."""
        return self._archive.upto - max(self._upto, self._archive.first)

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be counted, or less."""
        return self._upto < self._archive.upto or min(self._by_row, default=maxsize) < self._archive.first

    async def catch_up(self, executor: Executor | None = None) -> None:
        """Count what was stored since the last time, or a part of it; what was dropped counts no longer.

        Args:
            executor: Where to count: `Workers`. None: on the archive's own thread.

        Raises:
            StoreError: The file is damaged.
        """
        archive = self._archive
        self._by_row = {first: counts for first, counts in self._by_row.items() if first >= archive.first}
        start = max(self._upto, archive.first)
        rows = archive.rows_from(start)[:AT_ONCE]
        if rows:
            asked = [row.first for row in rows if not row.looks.isdisjoint(self.looks)]
            arguments = asked, self.looks, archive.reading, start
            if executor is None:
                found = await archive.on_reader(count_rows, archive.path, *arguments)
            else:
                found = await archive.on_workers(executor, count_rows, *arguments)
            self._add(found, rows[-1].first + rows[-1].count)
        else:
            for chunk in archive.chunks_from(start):
                found = await archive.on_reader(count_chunk, chunk, self.looks, archive.reading, start)
                self._add(found, chunk.first + len(chunk.deliveries))
        total: Counts = {}
        for counts in self._by_row.values():
            _merge(total, counts)
        ordered = sorted(total.items(), key=lambda item: (-item[1][0], item[0]))
        self.reasons = [
            Reason(key if text is None else text, count, query_for("reason", key, text))
            for key, (count, text) in ordered
        ]

    def _add(self, found: Mapping[int, Counts], upto: int) -> None:
        for first, counts in found.items():
            _merge(self._by_row.setdefault(first, {}), counts)
        self._upto = upto


def count_rows(
    path: Path, firsts: Sequence[int], looks: frozenset[int], reading: Reading, start: int
) -> dict[int, Counts]:
    """Count the reasons in stored rows.

    Args:
        path: The store's file.
        firsts: Which rows, by the sequence numbers with which they begin.
        looks: Whose deliveries.
        reading: How they are understood.
        start: The first sequence number to count.

    Returns:
        The counts of each row.

    Raises:
        StoreError: The file is gone, damaged or no store.
    """
    found = {}
    with closing(read(path)) as database, failures(path):
        for first in firsts:
            row = stored_row(database, first)
            if row is not None:
                mine = [index for index in range(max(start - first, 0), row.count) if row.looks[index] in looks]
                found[first] = _count((row.delivery(index, {}) for index in mine), reading)
    return found


def count_chunk(chunk: Chunk, looks: frozenset[int], reading: Reading, start: int) -> dict[int, Counts]:
    """The same for deliveries in memory."""
    indices = range(max(start - chunk.first, 0), len(chunk.deliveries))
    return {chunk.first: _count((chunk.deliveries[each] for each in indices if chunk.looks[each] in looks), reading)}


def _count(deliveries: Iterable[Delivery], reading: Reading) -> Counts:
    texts = Counter(reading.facts(reading.mask(delivery)).reason or "" for delivery in deliveries)
    counts: Counts = {}
    for text, count in texts.items():
        _merge(counts, {same_for_all(text) if len(counts) < DIFFERENT else _OTHER: (count, text)})
    return counts


def _merge(counts: Counts, more: Counts) -> None:
    for key, (count, text) in more.items():
        before, known = counts.get(key, (0, text))
        counts[key] = before + count, text if text == known else None
