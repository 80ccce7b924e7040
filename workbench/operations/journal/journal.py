"""The journal: each operation on a broker in a file of its own, every message whole before anything is done with it.

A file is SQLite with a write-ahead log and `synchronous=FULL`: what is noted is on the disk when the note returns. It
is locked by the program that works on it, so that no other resumes what is running; a program that dies lets go.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from workbench.connecting.folders import state_path
from workbench.connecting.state_files import new_private, sync_folder, try_lock
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Delivery, Event
from workbench.operations.journal.operation import Counts, EntryState, Operation, State, place_of
from workbench.session import PROCESS

_SCHEMA: Final = """
CREATE TABLE operation(form INTEGER, head BLOB, state TEXT, ended INTEGER, remark TEXT);
CREATE TABLE message(sequence INTEGER PRIMARY KEY, message BLOB, copy BLOB);
CREATE TABLE entry(
    sequence INTEGER PRIMARY KEY, key BLOB, target TEXT, state INTEGER, twice INTEGER, error TEXT, settled INTEGER);
CREATE TABLE step(at INTEGER, what TEXT);
CREATE TABLE stays(reason TEXT PRIMARY KEY, count INTEGER);
"""
"""Messages are apart from what is noted of them, so that a note writes no message anew."""
_FORM: Final = 2
_SUFFIX: Final = ".journal"
_TWICE: Final = 1
_TRIES: Final = 10
_PAUSE: Final = 0.03
"""Seconds between two attempts to lock a journal."""
_LONG: Final = 86_400
"""Seconds for which no process with an embedded broker is expected to run."""

BUDGET: Final = 2_147_483_648
"""Bytes that the journals of finished operations may take together; beyond it the oldest are forgotten."""


PROVISIONAL: Final = 5_000
"""Milliseconds for which a source that let a message go may still give it back: a broker that was killed 50 ms after it
had acknowledgements for 2,000 messages of a classic queue had them all again, and none after a second."""


class Entry(msgspec.Struct, frozen=True):
    """A message in a journal.

    Attributes:
        sequence: Its number in its operation, from 0; the end of its copy's stamp.
        key: What it is found by in its source: see `workbench.operations.move.copies.key_of`.
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


class Journal:
    """One operation's journal, open to be written by this program alone."""

    def __init__(self, path: Path, lock: IO[bytes], database: sqlite3.Connection, operation: Operation) -> None:
        """See `create` and `reopen`."""
        self.path = path
        """The file."""
        self.operation = operation
        """What is done."""
        self._lock = lock
        self._database = database

    @classmethod
    def create(cls, operation: Operation) -> Self:
        """Begin the journal of an operation.

        Raises:
            StoreError: The folder cannot be written, so nothing must be done.
        """
        path = journal_folder() / f"{operation.id}{_SUFFIX}"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _lock(path)
            # By its name it is found when it is one: a program may die here.
            unfinished = path.with_suffix(".unfinished")
            new_private(unfinished).close()
            with closing(sqlite3.connect(unfinished)) as beginning, beginning:
                beginning.executescript(_SCHEMA)
                head = msgspec.msgpack.encode(operation)
                beginning.execute("INSERT INTO operation VALUES(?, ?, 'running', NULL, '')", (_FORM, head))
            unfinished.rename(path)
            sync_folder(path.parent)
            database = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise _unwritable(error) from error
        return cls(path, lock, database, operation)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Go on with a journal.

        Raises:
            StoreError: It cannot be read, or a program works on it.
        """
        lock = _lock(path)
        try:
            database = _open(path)
            with closing_on_error(database):
                operation = _head(database)
                with database:
                    database.execute("UPDATE operation SET state = 'running', ended = NULL")
        except (OSError, sqlite3.Error, msgspec.MsgspecError) as error:
            lock.close()
            raise StoreError(f"{path} cannot be read: {error}.") from error
        return cls(path, lock, database, operation)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._lock.close()

    def add(self, entries: Sequence[Entry]) -> None:
        """Note messages that are about to be published, or deleted; they are on the disk on return.

        Raises:
            StoreError: They are not: nothing must be done with them.
        """
        encode = msgspec.msgpack.Encoder().encode
        messages = [
            (each.sequence, encode(each.message), None if each.copy is None else encode(each.copy)) for each in entries
        ]
        rows = [
            (each.sequence, each.key, _text(each.target), each.state, each.twice, each.error or None)
            for each in entries
        ]
        with self._writing() as database:
            database.executemany("INSERT INTO message VALUES(?, ?, ?)", messages)
            database.executemany("INSERT INTO entry VALUES(?, ?, ?, ?, ?, ?, NULL)", rows)

    def mark(self, sequences: Sequence[int], state: int) -> None:
        """Note how far messages are.

        Raises:
            StoreError: The disk did not take it.
        """
        with self._writing() as database:
            self._mark(database, sequences, state)

    def mark_done(self, confirmed: Sequence[int], settled: Sequence[int], at: int) -> None:
        """Note messages that their target has confirmed, and others that their source has let go of.

        Args:
            confirmed: The numbers of the first.
            settled: The numbers of the others.
            at: When these were let go, in milliseconds since 1970 UTC.

        Raises:
            StoreError: The disk did not take it.
        """
        with self._writing() as database:
            self._mark(database, confirmed, EntryState.CONFIRMED)
            self._mark(database, settled, EntryState.SETTLED, at)

    def _mark(
        self, database: sqlite3.Connection, sequences: Sequence[int], state: int, settled: int | None = None
    ) -> None:
        rows = ((state, settled, *each) for each in _ranges(sequences))
        database.executemany("UPDATE entry SET state = ?, settled = ? WHERE sequence BETWEEN ? AND ?", rows)

    def mark_failed(self, errors: Iterable[tuple[int, str]]) -> None:
        """Note messages that their target did not take, each with the reason.

        Raises:
            StoreError: The disk did not take it.
        """
        rows = ((EntryState.FAILED, why, each) for each, why in errors)
        with self._writing() as database:
            database.executemany("UPDATE entry SET state = ?, error = ? WHERE sequence = ?", rows)

    def mark_twice(self, sequences: Iterable[int]) -> None:
        """Note messages that are about to be published a second time.

        Raises:
            StoreError: The disk did not take it.
        """
        rows = ((EntryState.IN_FLIGHT, _TWICE, each) for each in sequences)
        with self._writing() as database:
            database.executemany("UPDATE entry SET state = ?, twice = ? WHERE sequence = ?", rows)

    def note(self, at: int, what: str) -> None:
        """Note a step of the operation.

        Args:
            at: When, in milliseconds since 1970 UTC.
            what: What happened, a sentence.

        Raises:
            StoreError: The disk did not take it.
        """
        with self._writing() as database:
            database.execute("INSERT INTO step VALUES(?, ?)", (at, what))

    def note_stays(self, reasons: dict[str, int]) -> None:
        """Note why messages were left where they are, with how many; adds to what was noted before.

        Raises:
            StoreError: The disk did not take it.
        """
        add = "INSERT INTO stays VALUES(?, ?) ON CONFLICT(reason) DO UPDATE SET count = count + excluded.count"
        with self._writing() as database:
            database.executemany(add, reasons.items())

    def end(self, state: State, at: int, remark: str) -> None:
        """Note how the operation ended.

        Raises:
            StoreError: The disk did not take it.
        """
        with self._writing() as database:
            database.execute("UPDATE operation SET state = ?, ended = ?, remark = ?", (state, at, remark))
            database.execute("INSERT INTO step VALUES(?, ?)", (at, remark))

    @property
    def next_sequence(self) -> int:
        """The number of the next message."""
        [(last,)] = self._database.execute("SELECT max(sequence) FROM entry")
        return 0 if last is None else last + 1

    def counts(self) -> Counts:
        """How many messages are how far."""
        return _counts(self._database)

    def open_entries(self) -> Iterator[tuple[int, bytes, int]]:
        """The number, the key and the state of what may still be in the source: what it was not seen to let go, and
        what it let go so shortly before the last of all that a broker which died then has it again."""
        yield from self._database.execute(
            "SELECT sequence, key, state FROM entry WHERE state < ?1 OR state = ?1 AND settled >="
            " (SELECT max(settled) FROM entry) - ?2 ORDER BY sequence",
            (EntryState.SETTLED, PROVISIONAL),
        )

    def keys(self) -> Counter[bytes]:
        """The keys of what the targets have confirmed, or what is deleted, with how many there are of each."""
        done = (EntryState.CONFIRMED, EntryState.SETTLED)
        return Counter(key for (key,) in self._database.execute("SELECT key FROM entry WHERE state IN (?, ?)", done))

    def entry(self, sequence: int) -> Entry | None:
        """One message; None: there is none of this number."""
        return next(_entries(self._database, "WHERE sequence = ?", (sequence,)), None)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._database:
                yield self._database
        except sqlite3.Error as error:
            raise _unwritable(error) from error


class Record(msgspec.Struct, frozen=True):
    """An operation as it is listed.

    Attributes:
        path: Its journal.
        operation: What was asked for.
        state: How it stands: what was running when its program died is interrupted.
        ended: When it ended, in milliseconds since 1970 UTC; None: it did not.
        remark: How it ended, a sentence; empty where it did not.
        counts: Its messages.
        bytes: What its journal takes on the disk.
    """

    path: Path
    operation: Operation
    state: State
    ended: int | None
    remark: str
    counts: Counts
    bytes: int

    @property
    def can_go_on(self) -> bool:
        """Whether there is something left to resume."""
        return self.state in ("interrupted", "stopped") or (self.state == "done" and self.counts.open > 0)

    @property
    def why_no_undo(self) -> str | None:
        """Why it cannot be undone, whatever its targets hold, a sentence; None: nothing speaks against it."""
        id = self.operation.id
        if self.state in ("running", "interrupted"):
            return f"Operation {id} is {self.state}: it can be undone when it has come to its end."
        if self.operation.kind == "undo":
            return f"Operation {id} is an undo itself: move the messages again instead."
        return None


def records() -> tuple[list[Record], list[str]]:
    """All operations, the newest first; and a sentence for each journal that cannot be read. Those of other processes'
    embedded brokers are left out: these brokers cannot be reached from here, or are gone."""
    found, wrong = _all_records()
    return [each for each in found if each.operation.process in ("", PROCESS)], wrong


def _all_records() -> tuple[list[Record], list[str]]:
    found, wrong = [], []
    for path in journal_folder().glob(f"*{_SUFFIX}"):
        try:
            found.append(read_record(path))
        except StoreError as error:
            wrong.append(str(error))
    return sorted(found, key=lambda each: (-each.operation.begun, each.operation.id)), wrong


def read_record(path: Path) -> Record:
    """An operation as it is listed.

    Raises:
        StoreError: The journal cannot be read.
    """
    with _reading(path) as database:
        operation = _head(database)
        [(state, ended, remark)] = database.execute("SELECT state, ended, remark FROM operation")
        counts = _counts(database)
    if state == "running" and not _is_locked(path):
        state = "interrupted"
    size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*") if each.exists())
    return Record(path, operation, state, ended, remark, counts, size)


def find_journal(id: str) -> Path:
    """The journal of an operation.

    Args:
        id: Its id, or how that begins.

    Raises:
        StoreError: There is none, or several begin so.
    """
    found = sorted(journal_folder().glob(f"*{_SUFFIX}"))
    named = [path for path in found if path.name.startswith(id)] if id.isalnum() else []
    if len(named) == 1:
        return named[0]
    if named:
        raise StoreError(f"{len(named)} operations begin with {id!r}: give more of the id.")
    raise StoreError(f"There is no operation {id!r} in the journal.")


def read_entries(path: Path, state: int | None = None) -> Generator[Entry, None, None]:
    """The messages of an operation, in order.

    Raises:
        StoreError: The journal cannot be read.
    """
    with _reading(path) as database:
        if state is None:
            yield from _entries(database, "", ())
        else:
            yield from _entries(database, "WHERE state = ?", (state,))


def settled_by_target(path: Path) -> dict[Address | None, int]:
    """How many messages each target has for good; None: how many were deleted.

    Raises:
        StoreError: The journal cannot be read.
    """
    with _reading(path) as database:
        rows = database.execute(
            "SELECT target, count(*) FROM entry WHERE state = ? GROUP BY target", (EntryState.SETTLED,)
        ).fetchall()
    return {Address.parse(target) if target else None: count for target, count in rows}


class Originals:
    """The messages of an operation, one by one, while somebody asks for them."""

    def __init__(self, path: Path) -> None:
        """Of the journal at `path`, which is opened when it is first asked."""
        self._path = path
        self._database: sqlite3.Connection | None = None

    def find(self, sequence: int) -> Entry | None:
        """The message of a number; None: there is none.

        Raises:
            StoreError: The journal cannot be read.
        """
        try:
            if self._database is None:
                self._database = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=5)
            return next(_entries(self._database, "WHERE sequence = ?", (sequence,)), None)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}.") from error


def read_steps(path: Path) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """The steps of an operation, each with its time in milliseconds since 1970 UTC; and why messages were left, with
    how many.

    Raises:
        StoreError: The journal cannot be read.
    """
    with _reading(path) as database:
        steps = database.execute("SELECT at, what FROM step ORDER BY rowid").fetchall()
        return steps, dict(database.execute("SELECT reason, count FROM stays ORDER BY count DESC").fetchall())


def read_failures(path: Path) -> dict[str, int]:
    """Why messages of an operation failed, with how many, the most frequent first.

    Raises:
        StoreError: The journal cannot be read.
    """
    select = "SELECT error, count(*) FROM entry WHERE state = ? GROUP BY error ORDER BY count(*) DESC"
    with _reading(path) as database:
        return dict(database.execute(select, (EntryState.FAILED,)).fetchall())


def settled_before(identity: str, source: Address, but: str = "") -> set[bytes]:
    """The keys of what earlier moves have taken care of.

    Args:
        identity: Of the source's connection.
        source: The source.
        but: The id of an operation that does not count.
    """
    keys: set[bytes] = set()
    for record in records()[0]:
        operation = record.operation
        if operation.kind != "move" or operation.id == but or not same_source(operation, identity, source):
            continue
        with suppress(StoreError), _reading(record.path) as database:
            settled = (EntryState.CONFIRMED, EntryState.SETTLED)
            keys.update(key for (key,) in database.execute("SELECT key FROM entry WHERE state IN (?, ?)", settled))
    return keys


def settled_keys(path: Path) -> Generator[bytes, None, None]:
    """The keys of what an operation has taken care of.

    Raises:
        StoreError: The journal cannot be read.
    """
    with _reading(path) as database:
        settled = (EntryState.CONFIRMED, EntryState.SETTLED)
        for (key,) in database.execute("SELECT key FROM entry WHERE state IN (?, ?)", settled):
            yield key


def same_source(operation: Operation, identity: str, source: Address) -> bool:
    """Whether an operation takes from a source, whatever its connection is called."""
    of = operation.source
    same = of.namespace == source.namespace and of.name == source.name
    return same and place_of(operation.identity) == place_of(identity)


def forget(path: Path) -> None:
    """Delete a journal, with all messages that it holds.

    Raises:
        StoreError: A program works on it, or it cannot be deleted.
    """
    with closing(_lock(path)):
        _delete(path)


def _delete(path: Path) -> None:
    try:
        # The write-ahead log holds messages too.
        for each in (path, *path.parent.glob(f"{path.name}-*")):
            each.unlink(missing_ok=True)
        _lock_path(path).unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be deleted: {error.strerror}.") from error


def forget_embedded() -> None:
    """Forget what was done on this process's embedded brokers, which end with it; and on those of processes that died
    at least a day ago."""
    long_ago = (time.time() - _LONG) * 1000
    for record in _all_records()[0]:
        of = record.operation
        if of.process == PROCESS or (of.process and record.state != "running" and of.begun < long_ago):
            with suppress(StoreError):
                forget(record.path)


def keep_within(budget: int = BUDGET) -> list[str]:
    """Forget the oldest finished operations, as far as the journals are larger than a budget; what is not finished is
    kept. The ids of those that were forgotten."""
    found, _ = records()
    taken = sum(each.bytes for each in found)
    forgotten = []
    for record in reversed(found):
        if taken <= budget:
            break
        if record.state == "done" and not record.counts.open:
            with suppress(StoreError):
                forget(record.path)
                forgotten.append(record.operation.id)
                taken -= record.bytes
    return forgotten


@contextmanager
def closing_on_error(database: sqlite3.Connection) -> Iterator[None]:
    """Close a database if anything goes wrong within."""
    try:
        yield
    except BaseException:
        database.close()
        raise


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        # Not "immutable": a program may be writing it.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5)) as database:
            yield database
    except (sqlite3.Error, msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}.") from error


def _open(path: Path) -> sqlite3.Connection:
    # Batches are written in worker threads, one at a time.
    database = sqlite3.connect(path, check_same_thread=False, timeout=5)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    # What is forgotten is erased, and not only unlinked from its page.
    database.execute("PRAGMA secure_delete=ON")
    return database


def _head(database: sqlite3.Connection) -> Operation:
    [(form, head)] = database.execute("SELECT form, head FROM operation")
    if form != _FORM:
        raise sqlite3.DatabaseError("a newer version wrote it")
    return msgspec.msgpack.decode(head, type=Operation)


def _counts(database: sqlite3.Connection) -> Counts:
    by_state = dict(database.execute("SELECT state, count(*) FROM entry GROUP BY state").fetchall())
    [(twice,)] = database.execute("SELECT count(*) FROM entry WHERE twice")
    return Counts(
        in_flight=by_state.get(EntryState.IN_FLIGHT, 0),
        confirmed=by_state.get(EntryState.CONFIRMED, 0),
        settled=by_state.get(EntryState.SETTLED, 0),
        failed=by_state.get(EntryState.FAILED, 0),
        gone=by_state.get(EntryState.GONE, 0),
        twice=twice,
    )


def _entries(database: sqlite3.Connection, where: str, values: Sequence[int]) -> Iterator[Entry]:
    columns = "sequence, key, message, target, state, twice, error, copy"
    select = f"SELECT {columns} FROM entry JOIN message USING (sequence) {where} ORDER BY sequence"
    for sequence, key, message, target, state, twice, error, copied in database.execute(select, values):
        delivery = msgspec.msgpack.decode(message, type=Delivery)
        address = Address.parse(target) if target else None
        copy = None if copied is None else msgspec.msgpack.decode(copied, type=Event)
        yield Entry(sequence, key, delivery, address, state, bool(twice), error or "", copy)


def _ranges(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of numbers that follow one another."""
    for _, run in groupby(enumerate(sorted(sequences)), lambda each: each[1] - each[0]):
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1]


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def _lock_path(path: Path) -> Path:
    # SQLite loses its own locks on a file that its process opens and closes once more.
    return path.with_suffix(".lock")


def _lock(path: Path) -> IO[bytes]:
    # Whoever lists operations asks for each whether it is locked, and has it for a moment.
    for _ in range(_TRIES):
        try:
            lock = try_lock(_lock_path(path))
        except OSError as error:
            raise _unwritable(error) from error
        if lock is not None:
            break
        time.sleep(_PAUSE)
    if lock is None:
        raise StoreError(f"Operation {path.stem} is running: it is being worked on by another program.")
    return lock


def _is_locked(path: Path) -> bool:
    try:
        lock = try_lock(_lock_path(path), make=False)
    except OSError:
        return False
    if lock is None:
        return True
    lock.close()
    return False


def _unwritable(error: Exception) -> StoreError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return StoreError(f"The journal in {journal_folder()} cannot be written: {why}. Nothing is moved without it.")
