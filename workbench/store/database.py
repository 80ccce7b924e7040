"""The SQLite file under a store: its tables, its version, and its errors as sentences."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from workbench.model.errors import StoreError

VERSION: Final = 1
"""Raised when an older program could not read what this one writes."""

_APPLICATION: Final = 0x45764E74
"""Marks our files among all SQLite files (https://www.sqlite.org/pragma.html#pragma_application_id)."""

_TABLES: Final = """
CREATE TABLE looks (id INTEGER PRIMARY KEY, look TEXT NOT NULL);
CREATE TABLE batches (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
    looks BLOB NOT NULL, times BLOB NOT NULL, opaque BLOB NOT NULL, ends BLOB NOT NULL, deliveries BLOB NOT NULL
);
"""


def create(path: Path) -> sqlite3.Connection:
    """Make an empty file into a session's store and open it for the one thread that writes.

    Raises:
        StoreError: There is no space, or no right to write.
    """
    with failures(path):
        database = _connect(path, "rw")
        # Should the machine stop, the file is swept: nothing needs to reach the disk, and nobody waits until it does.
        database.execute("PRAGMA synchronous = OFF")
        # A page holds 64 KB: a row is then some twenty pages and not three hundred.
        database.execute("PRAGMA page_size = 65536")
        database.executescript(
            f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT"
        )
        return _for_writing(database, "OFF")


def reopen(path: Path) -> sqlite3.Connection:
    """Open a store that is to stay, for the one thread that writes.

    Raises:
        StoreError: It cannot be written.
    """
    with failures(path):
        # Should the machine stop, the last seconds are lost, never the file.
        return _for_writing(_connect(path, "rw"), "NORMAL")


def read(path: Path) -> sqlite3.Connection:
    """Open a store for reading, beside the one that writes.

    Raises:
        StoreError: The file is not there, is no store, or comes from a newer version of this program.
    """
    if not path.is_file():
        raise StoreError(f"There is no file {path}.")
    with failures(path):
        try:
            database = _connect(path, "ro")
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise StoreError(f"{path} is not a recording of this program.") from None
            raise
    if application != _APPLICATION:
        database.close()
        raise StoreError(f"{path} is not a recording of this program.")
    if version > VERSION:
        database.close()
        raise StoreError(f"{path} is a recording of a newer version of this program: update it to open the recording.")
    return database


@contextmanager
def failures(path: Path) -> Iterator[None]:
    """Turns what SQLite reports into one sentence.

    Raises:
        StoreError: What was done inside failed.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreError(_sentence(path, error)) from error


def _sentence(path: Path, error: sqlite3.DatabaseError) -> str:
    # The low byte is the kind; the others say which call failed.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR:
        return (
            f"There is no space to store more events in {path.parent}: free some, then go on; what was read so far can"
            " still be seen."
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY):
        return f"{path} cannot be opened or written: check its permissions and those of its folder."
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is damaged."
    return f"{path} cannot be used: {error}."


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, which its owner sees to.
    return sqlite3.connect(
        f"{url(path)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=30
    )


def url(path: Path) -> str:
    """How SQLite is told of a file whose name may hold any bytes (https://sqlite.org/uri.html)."""
    return f"file:{quote(os.fsencode(path))}"


def _for_writing(database: sqlite3.Connection, synchronous: Literal["OFF", "NORMAL"]) -> sqlite3.Connection:
    # Readers and the writer never wait for one another.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    return database
