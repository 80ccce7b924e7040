"""The thread of a store that writes: everything here runs on that one thread."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from workbench.store.batch import Columns
from workbench.store.database import create, failures, reopen, url

_INSERT: Final = f"REPLACE INTO batches VALUES ({', '.join('?' * len(Columns.__struct_fields__))})"


class Writer:
    """A store's file, open for writing. Each method is one transaction, or a StoreError and nothing done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = create(path)

    def save(self, looks: Sequence[tuple[int, str]], columns: Columns | None = None) -> None:
        """Save looks (their JSON, by number) and perhaps a row; it takes the place of one that began like it."""
        with self._transaction() as database:
            database.executemany("REPLACE INTO looks VALUES (?, ?)", looks)
            if columns is not None:
                database.execute(_INSERT, msgspec.structs.astuple(columns))

    def drop(self, first: int) -> None:
        """Drop the rows that begin below a sequence number; their space is used again."""
        with self._transaction() as database:
            database.execute("DELETE FROM batches WHERE first < ?", (first,))

    def move_to(self, path: Path) -> None:
        """Copy everything to an empty file and go on there; if that fails, delete it."""
        try:
            with failures(path):
                self._database.execute("VACUUM INTO ?", (url(path),))
            moved = reopen(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._database.close()
        self._path, self._database = path, moved

    def close(self, *, finished: bool) -> None:
        """Close the file; where it is `finished`, so that nothing lies beside it and any SQLite opens it."""
        if finished:
            # A reader that is still busy keeps it from being one file; it is whole all the same.
            with suppress(sqlite3.OperationalError):
                self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with failures(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                # Some errors have ended the transaction themselves.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
