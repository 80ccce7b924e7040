"""Operations as they are listed and read, by whoever does not carry them out."""

from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.operations.journal.journal_file import (
    SUFFIX,
    Entry,
    count_entries,
    is_locked,
    journal_folder,
    read_head,
    reading,
    remove_left_files,
    select_entries,
    size_of_files,
)
from workbench.operations.journal.operation import Counts, EntryState, Operation, State, place_of
from workbench.session import PROCESS


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
    def done(self) -> int | None:
        """Messages that were moved, deleted or taken back for good; None: the broker did it, and `remark` says it."""
        return None if self.operation.by_broker else self.counts.done

    @property
    def can_go_on(self) -> bool:
        """Whether there is something left to resume."""
        return self.why_no_resume is None

    @property
    def why_no_resume(self) -> str | None:
        """Why it cannot be resumed, a sentence; None: nothing speaks against it."""
        operation = self.operation
        if self.state == "running":
            return f"Operation {operation.id} is running."
        if self.state == "done" and not self.counts.open:
            return f"Operation {operation.id} is done: nothing is left."
        if operation.by_broker:
            return (
                f"The broker carried operation {operation.id} out by itself, and nothing of it is journalled: what it"
                f" did not move is in {operation.source} still, and can be moved anew."
            )
        return None

    @property
    def why_no_undo(self) -> str | None:
        """Why it cannot be undone, whatever its targets hold, a sentence; None: nothing speaks against it."""
        id = self.operation.id
        if self.operation.by_broker:
            return f"The broker carried operation {id} out by itself: nothing of it is journalled."
        if self.state in ("running", "interrupted"):
            return f"Operation {id} is {self.state}: it can be undone when it has come to its end."
        if self.operation.kind == "undo":
            return f"Operation {id} is an undo itself: move the messages again instead."
        return None


def records() -> tuple[list[Record], list[str]]:
    """All operations, the newest first; and a sentence for each journal that cannot be read. Those of other processes'
    embedded brokers are left out: these brokers cannot be reached from here, or are gone."""
    found, wrong = all_records()
    return [each for each in found if each.operation.process in ("", PROCESS)], wrong


def all_records() -> tuple[list[Record], list[str]]:
    """The same with those of other processes' embedded brokers."""
    found, wrong = [], []
    for path in journal_folder().glob(f"*{SUFFIX}"):
        try:
            found.append(read_record(path))
        except StoreError as error:
            # It may be forgotten by now.
            if path.exists():
                wrong.append(str(error))
    with suppress(OSError):
        remove_left_files()
    return sorted(found, key=lambda each: (-each.operation.begun, each.operation.id)), wrong


def read_record(path: Path) -> Record:
    """An operation as it is listed.

    Raises:
        StoreError: The journal cannot be read.
    """
    with reading(path) as database:
        operation = read_head(database)
        [(state, ended, remark)] = database.execute("SELECT state, ended, remark FROM operation")
        counts = count_entries(database)
    if state == "running" and not is_locked(path):
        state = "interrupted"
    return Record(path, operation, state, ended, remark, counts, size_of_files(path.name))


def undos_of(id: str) -> list[Record]:
    """The operations that take an operation back, the newest first."""
    return [each for each in records()[0] if each.operation.undoes == id]


def find_journal(id: str) -> Path:
    """The journal of an operation.

    Args:
        id: Its id, or how that begins.

    Raises:
        StoreError: There is none, or several begin so.
    """
    found = sorted(journal_folder().glob(f"*{SUFFIX}"))
    named = [path for path in found if path.name.startswith(id)] if id.isalnum() else []
    if len(named) == 1:
        return named[0]
    if named:
        raise StoreError(f"{len(named)} operations begin with {id!r}: give more of the id.")
    raise StoreError(f"There is no operation {id!r} in the journal.")


def read_entries(path: Path, state: int | None = None, after: int = -1, most: int = -1) -> Generator[Entry, None, None]:
    """The messages of an operation, in order.

    Args:
        path: Its journal.
        state: Only those of this `EntryState`; None: all.
        after: Only those behind this number.
        most: At most so many; -1: all.

    Raises:
        StoreError: The journal cannot be read.
    """
    with reading(path) as database:
        where = "WHERE sequence > ?1" if state is None else "WHERE sequence > ?1 AND state = ?3"
        yield from select_entries(database, where, (after, most) if state is None else (after, most, state), "LIMIT ?2")


def settled_by_target(path: Path) -> tuple[Counter[Address | None], Counter[Address | None]]:
    """How many messages each target has for good, and how many of these it may have twice; None: how many were deleted.

    Raises:
        StoreError: The journal cannot be read.
    """
    select = "SELECT target, count(*), sum(twice) FROM entry WHERE state = ? GROUP BY target"
    settled: Counter[Address | None] = Counter()
    twice: Counter[Address | None] = Counter()
    with reading(path) as database:
        for target, count, doubtful in database.execute(select, (EntryState.SETTLED,)):
            address = Address.parse(target) if target else None
            settled[address], twice[address] = count, doubtful
    return settled, twice


def find_entries(path: Path, sequences: Iterable[int]) -> dict[int, Entry]:
    """Messages of an operation by their numbers, as far as there are any.

    Raises:
        StoreError: The journal cannot be read.
    """
    with reading(path) as database:
        found = (next(select_entries(database, "WHERE sequence = ?", (each,)), None) for each in sequences)
        return {each.sequence: each for each in found if each is not None}


def read_steps(path: Path) -> tuple[list[tuple[int, str]], dict[str, int]]:
    """The steps of an operation, each with its time in milliseconds since 1970 UTC; and why messages were left, with
    how many.

    Raises:
        StoreError: The journal cannot be read.
    """
    with reading(path) as database:
        steps = database.execute("SELECT at, what FROM step ORDER BY rowid").fetchall()
        return steps, dict(database.execute("SELECT reason, count FROM stays ORDER BY count DESC").fetchall())


def read_failures(path: Path) -> dict[str, int]:
    """Why messages of an operation failed, with how many, the most frequent first.

    Raises:
        StoreError: The journal cannot be read.
    """
    select = "SELECT error, count(*) FROM entry WHERE state = ? GROUP BY error ORDER BY count(*) DESC"
    with reading(path) as database:
        return dict(database.execute(select, (EntryState.FAILED,)).fetchall())


def settled_before(identity: str, source: Address, source_id: str, but: str = "") -> set[bytes]:
    """The keys of what earlier moves have taken care of.

    Args:
        identity: Of the source's connection.
        source: The source.
        source_id: What tells it from another of its name; empty: nothing.
        but: The id of an operation that does not count.
    """
    keys: set[bytes] = set()
    for record in records()[0]:
        operation = record.operation
        if operation.kind != "move" or operation.id == but or not same_source(operation, identity, source):
            continue
        if source_id and operation.source_id not in ("", source_id):
            # What had its name, and its positions, is gone.
            continue
        with suppress(StoreError), reading(record.path) as database:
            settled = (EntryState.CONFIRMED, EntryState.SETTLED)
            keys.update(key for (key,) in database.execute("SELECT key FROM entry WHERE state IN (?, ?)", settled))
    return keys


def settled_keys(path: Path) -> Generator[bytes, None, None]:
    """The keys of what an operation has taken care of.

    Raises:
        StoreError: The journal cannot be read.
    """
    with reading(path) as database:
        settled = (EntryState.CONFIRMED, EntryState.SETTLED)
        for (key,) in database.execute("SELECT key FROM entry WHERE state IN (?, ?)", settled):
            yield key


def same_source(operation: Operation, identity: str, source: Address) -> bool:
    """Whether an operation takes from a source, whatever its connection is called."""
    of = operation.source
    same = of.namespace == source.namespace and of.name == source.name
    return same and place_of(operation.identity) == place_of(identity)
