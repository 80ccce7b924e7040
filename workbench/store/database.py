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


_SCHEMA: Final = [(b"table", statement.encode().split()) for statement in _TABLES.split(";") if statement.strip()]
_LIMITS: Final = {
    # https://www.sqlite.org/c3ref/c_limit_attached.html: no more than the statements of this room need.
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 32,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 2,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 10_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


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
    """Open a store for reading, beside the one that writes. It may be a stranger's: nothing in it is ever executed.

    Raises:
        StoreError: The file is not there, is no store, has other tables than a store, or comes from a newer version of
            this program.
    """
    if not path.is_file():
        raise StoreError(f"There is no file {path}.")
    with failures(path):
        try:
            database = _connect(path, "ro")
            for limit, most in _LIMITS.items():
                database.setlimit(limit, most)
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
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
    with failures(path):
        # A view or a trigger under a table's name could keep whoever reads it busy for ever.
        schema = database.execute(
            "SELECT CAST(type AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema ORDER BY rowid LIMIT ?", [len(_SCHEMA) + 1]
        )
        if [(kind, (sql or b"").split()) for kind, sql in schema] == _SCHEMA:
            return database
    database.close()
    raise StoreError(f"{path} has other tables than this program's recordings, and is not read.")


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
