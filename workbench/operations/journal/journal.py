"""The journal: each operation on a broker in a file of its own, every message whole before anything is done with it."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from workbench.operations.journal.journal_file import (
    Entry,
    count_entries,
    create_file,
    lock_file,
    open_file,
    read_head,
    select_entries,
    unreadable,
    unwritable,
)
from workbench.operations.journal.operation import Counts, EntryState, Operation, State
from workbench.operations.journal.packing import pack

_TWICE: Final = 1
_TOGETHER: Final = 250
"""Rows of one statement. SQLite takes 32,766 values (https://www.sqlite.org/limits.html)."""
PROVISIONAL: Final = 5_000
"""Milliseconds for which a source that let a message go may still give it back: a broker that was killed 50 ms after it
had acknowledgements for 2,000 messages of a classic queue had them all again, and none after a second."""


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
        path, lock = create_file(operation)
        try:
            database = open_file(path)
        except sqlite3.Error as error:
            lock.close()
            raise unwritable(error) from error
        return cls(path, lock, database, operation)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Go on with a journal.

        Raises:
            StoreError: It cannot be read, or a program works on it.
        """
        with ExitStack() as opened:
            lock = opened.enter_context(lock_file(path))
            try:
                database = opened.enter_context(closing(open_file(path)))
                operation = read_head(database)
                with database:
                    database.execute("UPDATE operation SET state = 'running', ended = NULL")
            except (OSError, sqlite3.Error, msgspec.MsgspecError) as error:
                raise unreadable(path, error) from error
            opened.pop_all()
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
        targets = {each.target for each in entries}
        texts = {each: None if each is None else str(each) for each in targets}
        messages = [
            (each.sequence, pack(each.message), None if each.copy is None else pack(each.copy)) for each in entries
        ]
        rows = [
            (each.sequence, each.key, texts[each.target], each.state, each.twice, each.error or None)
            for each in entries
        ]
        with self._writing() as database:
            _insert(database, "INSERT INTO message VALUES", "(?, ?, ?)", messages)
            _insert(database, "INSERT INTO entry VALUES", "(?, ?, ?, ?, ?, ?, NULL)", rows)

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

    def mark_retried(self, sequences: Iterable[int]) -> None:
        """Note messages that their target did not take, and that are about to be published once more.

        Raises:
            StoreError: The disk did not take it.
        """
        rows = ((EntryState.IN_FLIGHT, each) for each in sequences)
        with self._writing() as database:
            database.executemany("UPDATE entry SET state = ?, error = NULL WHERE sequence = ?", rows)

    def mark_doubtful(self, sequences: Iterable[int]) -> None:
        """Note messages that were confirmed, and that the source may have still: what is like them is published.

        Raises:
            StoreError: The disk did not take it.
        """
        rows = ((_TWICE, each) for each in sequences)
        with self._writing() as database:
            database.executemany("UPDATE entry SET twice = ? WHERE sequence = ?", rows)

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

    def note_newcomers(self, keys: Mapping[bytes, int]) -> None:
        """Note messages by their keys that the source had not delivered to anybody before, with how many there are of
        each; adds to what was noted before.

        Raises:
            StoreError: The disk did not take it.
        """
        add = "INSERT INTO newcomer VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET count = count + excluded.count"
        with self._writing() as database:
            database.executemany(add, keys.items())

    def end(self, state: State, at: int, remark: str) -> None:
        """Note how the operation ended.

        Raises:
            StoreError: The disk did not take it.
        """
        with self._writing() as database:
            database.execute("UPDATE operation SET state = ?, ended = ?, remark = ?", (state, at, remark))
            database.execute("INSERT INTO step VALUES(?, ?)", (at, remark))

    def next_sequence(self) -> int:
        """The number of the next message."""
        [(last,)] = self._database.execute("SELECT max(sequence) FROM entry")
        return 0 if last is None else last + 1

    def counts(self) -> Counts:
        """How many messages are how far."""
        return count_entries(self._database)

    def open_entries(self) -> list[tuple[int, bytes, int]]:
        """The number, the key and the state of what may still be in the source, in this order: what the targets did not
        take; what was in flight; what they confirmed; and what the source let go so shortly before the last of all that
        a broker which died then has it again."""
        found = self._database.execute(
            "SELECT sequence, key, state FROM entry WHERE state IN (?1, ?2, ?3) OR state = ?4 AND settled >="
            " (SELECT max(settled) FROM entry) - ?5 ORDER BY state != ?1, state, sequence",
            (EntryState.FAILED, EntryState.IN_FLIGHT, EntryState.CONFIRMED, EntryState.SETTLED, PROVISIONAL),
        )
        return found.fetchall()

    def copies(self, keys: Collection[bytes]) -> Counter[bytes]:
        """How many messages there are of each of these keys, however far they are."""
        return Counter(key for (key,) in self._database.execute("SELECT key FROM entry") if key in keys)

    def keys(self) -> Counter[bytes]:
        """The keys of what the targets have confirmed, or what is deleted, with how many there are of each."""
        done = (EntryState.CONFIRMED, EntryState.SETTLED)
        return Counter(key for (key,) in self._database.execute("SELECT key FROM entry WHERE state IN (?, ?)", done))

    def newcomers(self) -> Counter[bytes]:
        """What was noted of them."""
        return Counter(dict(self._database.execute("SELECT key, count FROM newcomer").fetchall()))

    def entry(self, sequence: int) -> Entry | None:
        """One message; None: there is none of this number."""
        return next(select_entries(self._database, "WHERE sequence = ?", (sequence,)), None)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._database:
                yield self._database
        except sqlite3.Error as error:
            raise unwritable(error) from error


def _ranges(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of numbers that follow one another."""
    for _, run in groupby(enumerate(sorted(sequences)), lambda each: each[1] - each[0]):
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1]


def _insert(database: sqlite3.Connection, into: str, form: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert many rows by few statements: SQLite runs beside Python's threads only for as long as a statement does, and
    a thread that stops for each row waits for the event loop each time."""
    for begin in range(0, len(rows), _TOGETHER):
        some = rows[begin : begin + _TOGETHER]
        database.execute(into + ", ".join([form] * len(some)), [*chain.from_iterable(some)])
