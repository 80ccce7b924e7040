"""The file of an operation: where it is, what its tables hold, and who works on it.

It is SQLite with a write-ahead log and `synchronous=FULL`: what is written is on the disk when the write returns. It is
locked by the program that works on it, so that no other resumes what is running; a program that dies lets go.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import msgspec

from workbench.connecting.folders import state_path
from workbench.connecting.state_files import make_private_folder, new_on_disk, sync_folder, try_lock
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Delivery, Event
from workbench.operations.journal.operation import Counts, EntryState, Operation
from workbench.operations.journal.packing import unpack

_SCHEMA: Final = """
CREATE TABLE operation(form INTEGER, head BLOB, state TEXT, ended INTEGER, remark TEXT);
CREATE TABLE message(sequence INTEGER PRIMARY KEY, message BLOB, copy BLOB);
CREATE TABLE entry(
    sequence INTEGER PRIMARY KEY, key BLOB, target TEXT, state INTEGER, twice INTEGER, error TEXT, settled INTEGER);
CREATE TABLE step(at INTEGER, what TEXT);
CREATE TABLE stays(reason TEXT PRIMARY KEY, count INTEGER);
CREATE TABLE newcomer(key BLOB PRIMARY KEY, count INTEGER);
"""
"""Messages are apart from what is noted of them, so that a note writes no message anew."""
_FORM: Final = 3
SUFFIX: Final = ".journal"
_TRIES: Final = 10
_PAUSE: Final = 0.03
"""Seconds between two attempts to lock a journal."""


class Entry(msgspec.Struct, frozen=True):
    """A message in a journal.

    Attributes:
        sequence: Its number in its operation, from 0; the end of its copy's stamp.
        key: What it is found by in its source: see `workbench.operations.move.copies.key_of`. Empty: it is a second
            copy of what an undo takes back, and is only taken away.
        message: As it came.
        target: Where its copy goes; None: it is deleted.
        state: An `EntryState`.
        twice: Whether the target may have it twice.
        error: Why it failed; empty where it did not.
        copy: What is published, where the message was edited: once, whatever happens. None: the message as it came.
    """

    sequence: int
    key: bytes
    message: Delivery
    target: Address | None
    state: int = EntryState.IN_FLIGHT
    twice: bool = False
    error: str = ""
    copy: Event | None = None


def journal_folder() -> Path:
    """Where the journals are: the platform's state folder."""
    return state_path("journal")


def remove_left_files() -> None:
    """Remove what SQLite has beside journals that are gone: whoever begins to read one while it is forgotten leaves it
    behind.

    Raises:
        OSError: It cannot be removed.
    """
    for each in journal_folder().glob(f"*{SUFFIX}-*"):
        if not each.with_name(each.name.rpartition("-")[0]).exists():
            each.unlink(missing_ok=True)


def size_of_files(prefix: str = "") -> int:
    """Bytes that files of journals take on the disk, whoever made them; only those whose names begin so."""
    size = 0
    for each in journal_folder().glob(f"{prefix}*"):
        # A program may end meanwhile, or forget.
        with suppress(FileNotFoundError):
            size += each.stat().st_size
    return size


def create_file(operation: Operation) -> tuple[Path, IO[bytes]]:
    """Make the file of an operation. Its path, and its lock, which is held.

    Raises:
        StoreError: The folder cannot be written, or there is one of this id.
    """
    path = _path_of(operation.id)
    try:
        make_private_folder(path.parent)
        with ExitStack() as opened:
            lock = opened.enter_context(lock_file(path))
            check_not_begun(operation.id)
            # By its name it is found when it is one: a program may die here.
            unfinished = path.with_suffix(".unfinished")
            unfinished.unlink(missing_ok=True)
            with new_on_disk(unfinished) as file, closing(sqlite3.connect(unfinished)) as beginning, beginning:
                # It comes to the disk as a whole, and not with each of these.
                beginning.executescript(f"PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN; {_SCHEMA}")
                head = msgspec.msgpack.encode(operation)
                beginning.execute("INSERT INTO operation VALUES(?, ?, 'running', NULL, '')", (_FORM, head))
            file.close()
            unfinished.rename(path)
            opened.callback(_remove, path)
            sync_folder(path.parent)
            opened.pop_all()
    except (OSError, sqlite3.Error) as error:
        raise unwritable(error) from error
    return path, lock


def check_not_begun(id: str) -> None:
    """Refuse to begin an operation again.

    Raises:
        StoreError: There is one of this id.
    """
    if _path_of(id).exists():
        raise StoreError(
            f"Plan {id} was begun already: `workbench journal resume {id}` goes on with it, if it has not come to its"
            " end; else plan again."
        )


def _path_of(id: str) -> Path:
    return journal_folder() / f"{id}{SUFFIX}"


def _remove(path: Path) -> None:
    with suppress(OSError):
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()


def open_file(path: Path) -> sqlite3.Connection:
    """Open a journal to be written, by one thread at a time, whichever that is."""
    database = sqlite3.connect(path, check_same_thread=False, timeout=5)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    # What is forgotten is erased, and not only unlinked from its page.
    database.execute("PRAGMA secure_delete=ON")
    return database


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal to be read, which a program may be writing.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        # Not "immutable": a program may be writing it.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5)) as database:
            yield database
    except (sqlite3.Error, msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        raise unreadable(path, error) from error


def read_head(database: sqlite3.Connection) -> Operation:
    """What was asked for."""
    [(form, head)] = database.execute("SELECT form, head FROM operation")
    if form != _FORM:
        raise sqlite3.DatabaseError("another version wrote it")
    return msgspec.msgpack.decode(_bytes(head, "operation"), type=Operation)


def count_entries(database: sqlite3.Connection) -> Counts:
    """How many messages are how far."""
    by_state: Counter[int] = Counter()
    twice = extra = 0
    select = "SELECT state, key = x'', count(*), sum(twice) FROM entry GROUP BY 1, 2"
    for state, is_extra, count, doubtful in database.execute(select):
        by_state[state] += count
        twice += doubtful
        extra += count if is_extra and state == EntryState.SETTLED else 0
    return Counts(
        in_flight=by_state[EntryState.IN_FLIGHT],
        confirmed=by_state[EntryState.CONFIRMED],
        settled=by_state[EntryState.SETTLED],
        failed=by_state[EntryState.FAILED],
        gone=by_state[EntryState.GONE],
        twice=twice,
        extra=extra,
    )


def select_entries(database: sqlite3.Connection, where: str, values: Sequence[int], limit: str = "") -> Iterator[Entry]:
    """The messages that a condition of SQL names, in order."""
    columns = "sequence, key, message, target, state, twice, error, copy"
    select = f"SELECT {columns} FROM entry JOIN message USING (sequence) {where} ORDER BY sequence {limit}"
    for sequence, key, message, target, state, twice, error, copied in database.execute(select, values):
        delivery = unpack(_bytes(message, "message"), Delivery)
        address = Address.parse(target) if target else None
        copy = None if copied is None else unpack(_bytes(copied, "message"), Event)
        yield Entry(sequence, key, delivery, address, state, bool(twice), error or "", copy)


def _bytes(stored: object, what: str) -> bytes:
    """What a column has, which in a damaged journal may be of any type."""
    if not isinstance(stored, bytes):
        raise sqlite3.DatabaseError(f"it has no {what} where one should be")
    return stored


def lock_path(path: Path) -> Path:
    """What is locked for a journal."""
    # SQLite loses its own locks on a file that its process opens and closes once more.
    return path.with_suffix(".lock")


def lock_file(path: Path) -> IO[bytes]:
    """Lock a journal; closing lets go.

    Raises:
        StoreError: A program works on it.
    """
    # Whoever lists operations asks for each whether it is locked, and has it for a moment.
    for _ in range(_TRIES):
        try:
            lock = try_lock(lock_path(path))
        except OSError as error:
            raise unwritable(error) from error
        if lock is not None:
            break
        time.sleep(_PAUSE)
    if lock is None:
        raise StoreError(f"Operation {path.stem} is running: it is being worked on by another program.")
    return lock


def is_locked(path: Path) -> bool:
    """Whether a program works on a journal."""
    try:
        lock = try_lock(lock_path(path), make=False)
    except OSError:
        return False
    if lock is None:
        return True
    lock.close()
    return False


def unreadable(path: Path, error: Exception) -> StoreError:
    """What is said where a journal cannot be read."""
    return StoreError(f"{path} cannot be read: {error}.")


def unwritable(error: Exception) -> StoreError:
    """What is said where a journal cannot be written."""
    why = error.strerror if isinstance(error, OSError) else str(error)
    return StoreError(f"The journal in {journal_folder()} cannot be written: {why}. Nothing is moved without it.")
