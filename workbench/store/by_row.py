"""What is made of the deliveries in an archive, row by row, as they are stored; what was dropped counts no longer.

It is made where searching is done, and never on the event loop.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from sys import maxsize
from typing import Final, Generic, TypeAlias, TypeVar

from workbench.model.event import Delivery
from workbench.query.query import Reading
from workbench.store.archive import Archive
from workbench.store.batch import Chunk
from workbench.store.database import failures, read
from workbench.store.stored_row import stored_row

Made = TypeVar("Made")
Make: TypeAlias = Callable[[Iterable[Delivery], Reading], Made]

AT_ONCE: Final = 8
"""Stored rows of which something is made in one go."""


class ByRow(Generic[Made]):
    """What was made of the deliveries of an archive so far."""

    def __init__(self, archive: Archive, make: Make[Made], merge: Callable[[Made, Made], Made]) -> None:
        """Begin with nothing.

        Args:
            archive: Where the deliveries are.
            make: Makes something of a part of a row, not masked yet; a function of a module, for it goes to processes.
            merge: Makes one of two parts of a row.
        """
        self._archive: Final = archive
        self._make: Final = make
        self._merge: Final = merge
        self._upto = archive.first
        self.made: dict[int, Made] = {}
        """What was made, by the sequence number with which the row begins."""

    @property
    def waiting(self) -> int:
        """How many deliveries, of all looks, are still to be asked."""
        return self._archive.upto - max(self._upto, self._archive.first)

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be asked, or less to be counted."""
        return self._upto < self._archive.upto or min(self.made, default=maxsize) < self._archive.first

    async def catch_up(self, looks: frozenset[int], executor: Executor | None = None) -> None:
        """Ask what was stored since the last time, or a part of it; what was dropped is let go.

        Args:
            looks: Whose deliveries count.
            executor: Where to ask: `Workers`. None: on the archive's own thread.

        Raises:
            StoreError: The file is damaged.
        """
        archive = self._archive
        self.made = {first: made for first, made in self.made.items() if first >= archive.first}
        start = max(self._upto, archive.first)
        rows = archive.rows_from(start)[:AT_ONCE]
        if rows:
            asked = [row.first for row in rows if not row.looks.isdisjoint(looks)]
            arguments = self._make, asked, looks, archive.reading, start
            if executor is None:
                found = await archive.on_reader(_make_of_rows, archive.path, *arguments)
            else:
                found = await archive.on_workers(executor, _make_of_rows, *arguments)
            for first, made in found.items():
                self._add(first, made)
            self._upto = rows[-1].first + rows[-1].count
        else:
            for chunk in archive.chunks_from(start):
                made = await archive.on_reader(_make_of_chunk, self._make, chunk, looks, archive.reading, start)
                self._add(chunk.first, made)
                self._upto = chunk.first + len(chunk.deliveries)

    def _add(self, first: int, made: Made) -> None:
        self.made[first] = self._merge(self.made[first], made) if first in self.made else made


def _make_of_rows(
    path: Path, make: Make[Made], firsts: Sequence[int], looks: frozenset[int], reading: Reading, start: int
) -> dict[int, Made]:
    """What is made of stored rows.

    Args:
        path: The store's file.
        make: Makes it.
        firsts: Which rows, by the sequence numbers with which they begin.
        looks: Whose deliveries.
        reading: How they are understood.
        start: The first sequence number that counts.

    Raises:
        StoreError: The file is gone, damaged or no store.
    """
    found = {}
    with closing(read(path)) as database, failures(path):
        for first in firsts:
            row = stored_row(database, first)
            if row is not None:
                mine = [at for at in range(max(start - first, 0), row.count) if row.looks[at] in looks]
                found[first] = make((row.delivery(at, {}) for at in mine), reading)
    return found


def _make_of_chunk(make: Make[Made], chunk: Chunk, looks: frozenset[int], reading: Reading, start: int) -> Made:
    """The same of deliveries in memory."""
    indices = range(max(start - chunk.first, 0), len(chunk.deliveries))
    return make((chunk.deliveries[at] for at in indices if chunk.looks[at] in looks), reading)
