"""Stored deliveries to be read: a recording, or what the store has so far."""

import asyncio
import sqlite3
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

from workbench.model.event import Delivery
from workbench.model.look import Look
from workbench.query.query import PLAIN, Reading
from workbench.store.batch import Chunk, Row
from workbench.store.database import failures, read
from workbench.store.stored_row import StoredRow, stored_firsts, stored_looks, stored_row

_SIZE: Final = "SELECT length(deliveries) FROM batches WHERE first = ?"

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

AT_ONCE: Final = 4 * 1024 * 1024
"""Bytes of deliveries that `read` hands over at once; one delivery may be larger."""
MOST_AT_ONCE: Final = 500
"""Deliveries that it hands over at once."""
_CACHED: Final = 4
"""Rows kept as they were read: scrolling asks for neighbours."""


class Archive:
    """Deliveries by sequence number, which counts from 0 in the order in which they were stored."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path = path
        """The file, for `search`."""
        self.reading: Final = reading
        """How deliveries are understood."""
        self._looks: dict[int, Look] = {}
        self._rows: list[Row] = []
        self._reader: Final = ThreadPoolExecutor(1, "store-reader")
        self._database: sqlite3.Connection | None = None
        self._recent: OrderedDict[int, StoredRow] = OrderedDict()
        self._work: Final[set[asyncio.Future[Any]]] = set()

    @property
    def looks(self) -> Mapping[int, Look]:
        """The looks, by the number they were given."""
        return self._looks

    @property
    def first(self) -> int:
        """The smallest sequence number still there; so many have been dropped."""
        return self._rows[0].first if self._rows else self.upto

    @property
    def upto(self) -> int:
        """The sequence number that the next delivery gets."""
        return self._rows[-1].first + self._rows[-1].count if self._rows else 0

    def rows_from(self, start: int) -> Sequence[Row]:
        """The stored rows that hold `start` or come behind it; none if it is only in memory."""
        index = bisect_right(self._rows, start, key=lambda row: row.first)
        if index and start < self._rows[index - 1].first + self._rows[index - 1].count:
            index -= 1
        return self._rows[index:]

    def chunks_from(self, start: int) -> Sequence[Chunk]:
        """What is only in memory and holds `start` or comes behind it."""
        return ()

    async def get(self, sequence: int) -> Delivery | None:
        """One delivery; None if there is none of this number, or no longer."""
        return (await self.rows([sequence]))[0]

    async def rows(self, sequences: Iterable[int]) -> list[Delivery | None]:
        """Deliveries, in the order asked for; None for those that are not there, or no longer.

        Raises:
            StoreError: The file is damaged.
        """
        wanted = list(sequences)
        found: dict[int, Delivery] = {}
        stored: dict[int, list[int]] = {}
        for sequence in wanted:
            for row in self.rows_from(sequence)[:1]:
                if row.first <= sequence:
                    stored.setdefault(row.first, []).append(sequence)
            for chunk in self.chunks_from(sequence)[:1]:
                if chunk.first <= sequence < chunk.first + len(chunk.deliveries):
                    found[sequence] = chunk.deliveries[sequence - chunk.first]
        if stored:
            found |= await self.on_reader(self._fetch, stored)
        return [found.get(sequence) for sequence in wanted]

    async def looks_of(self, sequences: Iterable[int]) -> list[int | None]:
        """The looks that found deliveries, in the order asked for; None for those that are not there, or no longer.

        Raises:
            StoreError: The file is damaged.
        """
        found: list[int | None] = []
        for sequence in sequences:
            look = None
            for chunk in self.chunks_from(sequence)[:1]:
                if chunk.first <= sequence < chunk.first + len(chunk.deliveries):
                    look = chunk.looks[sequence - chunk.first]
            for row in self.rows_from(sequence)[:1]:
                if row.first <= sequence:
                    stored = await self.on_reader(self._row, row.first)
                    if stored is not None and sequence - row.first < stored.count:
                        look = stored.looks[sequence - row.first]
            found.append(look)
        return found

    async def read(self, sequences: Sequence[int]) -> AsyncIterator[list[Delivery]]:
        """Stored deliveries, in the order asked for, in batches of a bounded size; those that are gone are left out.

        Raises:
            StoreError: The file cannot be read.
        """
        at = 0
        while at < len(sequences):
            found, count = await self.on_reader(self._fetch_some, sequences[at : at + MOST_AT_ONCE])
            at += count
            if found:
                yield found

    def on_reader(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> "asyncio.Future[Result]":
        """Run something on the thread that reads this file."""
        return asyncio.get_running_loop().run_in_executor(self._reader, function, *arguments)

    def on_workers(
        self, executor: Executor, function: Callable[[Path, *Arguments], Result], *arguments: *Arguments
    ) -> "asyncio.Future[Result]":
        """Run a function of this file on others' threads or processes."""
        work = asyncio.get_running_loop().run_in_executor(executor, function, self.path, *arguments)
        self._work.add(work)
        work.add_done_callback(self._work.discard)
        return work

    async def close(self) -> None:
        """Close the file; what is being read of it is stopped."""
        if self._database is not None:
            self._database.interrupt()
        await self.on_reader(self._forget_database)
        self._reader.shutdown()

    # On the reader's thread.

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = read(self.path)
        return self._database

    def _forget_database(self) -> None:
        self._recent.clear()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _fetch(self, wanted: Mapping[int, Sequence[int]]) -> dict[int, Delivery]:
        found: dict[int, Delivery] = {}
        for first, sequences in wanted.items():
            row = self._row(first)
            if row is not None:
                found |= {
                    sequence: row.delivery(sequence - first, self._looks)
                    for sequence in sequences
                    if sequence - first < row.count
                }
        return found

    def _fetch_some(self, sequences: Sequence[int]) -> tuple[list[Delivery], int]:
        """As many deliveries as make a batch, and of how many sequence numbers they are."""
        found: list[Delivery] = []
        size = 0
        for number, sequence in enumerate(sequences):
            row = next((self._row(row.first) for row in self.rows_from(sequence)[:1] if row.first <= sequence), None)
            if row is None or sequence - row.first >= row.count:
                continue
            data = len(row.data(sequence - row.first))
            if found and size + data > AT_ONCE:
                return found, number
            size += data
            found.append(row.delivery(sequence - row.first, self._looks))
        return found, len(sequences)

    def _row(self, first: int) -> StoredRow | None:
        row = self._recent.pop(first, None)
        if row is None:
            with failures(self.path):
                row = stored_row(self._connection(), first)
            if row is None:
                return None
        self._recent[first] = row
        if len(self._recent) > _CACHED:
            self._recent.popitem(last=False)
        return row

    def _load(self) -> tuple[dict[int, Look], list[Row]]:
        with failures(self.path):
            database = self._connection()
            looks = stored_looks(database)
            rows = []
            for first in stored_firsts(database):
                size = database.execute(_SIZE, (first,)).fetchone()[0]
                row = stored_row(database, first, deliveries=False)
                if row is not None and row.count:
                    rows.append(Row(first, row.count, size or 0, frozenset(row.looks)))
        return looks, rows

    async def load(self) -> None:
        """Read what the file holds.

        Raises:
            StoreError: It is no recording, damaged, or of a newer version.
        """
        self._looks, self._rows = await self.on_reader(self._load)


@asynccontextmanager
async def open_recording(path: Path, reading: Reading = PLAIN) -> AsyncIterator[Archive]:
    """A recording, to be read; nothing in it is changed.

    Args:
        path: The file.
        reading: How deliveries are understood.

    Raises:
        StoreError: It is not there, no recording, damaged, or of a newer version of this program.
    """
    archive = Archive(path, reading)
    try:
        await archive.load()
        yield archive
    finally:
        await archive.close()
