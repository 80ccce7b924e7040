"""A row as it lies in a file that may be damaged: of each of its deliveries something can be said.

Bytes may be flipped, a column cut short, a page lost: what can be read is read, a delivery that cannot is `Damaged`.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Damaged, Delivery, Event
from workbench.model.look import Coverage, Gap, Look
from workbench.store.batch import decode, slice_delivery

_COLUMNS: Final = ("looks", "times", "opaque", "ends", "deliveries")


class StoredRow:
    """One row. Made by `stored_row`.

    Attributes:
        first: The sequence number of its first delivery; the others follow without a gap.
        count: How many there are.
        looks: Each one's look.
        times: Each one's time, in milliseconds since 1970 UTC.
        opaque: Which of them needles must not be asked about, counted from 0.
        ends: Where each ends in `deliveries`.
        deliveries: As `batch.encode` wrote them, one behind the other.
    """

    __slots__ = ("count", "deliveries", "ends", "first", "looks", "opaque", "times")

    def __init__(self, first: int, count: int, columns: Mapping[str, bytes]) -> None:
        self.first = first
        self.count = count
        self.looks = _fill("I", columns["looks"], count)
        self.times = _fill("q", columns["times"], count)
        self.opaque = array("I", [index for index in _numbers("I", columns["opaque"]) if index < count])
        self.ends = _fill("I", columns["ends"], count)
        self.deliveries = columns["deliveries"]

    @property
    def size(self) -> int:
        """The bytes of its deliveries."""
        return len(self.deliveries)

    def data(self, index: int) -> bytes:
        """The stored bytes of one delivery, counted from 0."""
        return slice_delivery(self.deliveries, self.ends, index)

    def delivery(self, index: int, looks: Mapping[int, Look]) -> Delivery:
        """One delivery, counted from 0.

        Args:
            index: Which.
            looks: What the file says of looks: where a damaged one was seen.
        """
        try:
            return decode(self.data(index))
        except StoreError as error:
            look = looks.get(self.looks[index])
            address = look.address if look is not None else LOST
            said = str(error).removeprefix("A stored event is ")
            return Damaged(Event(body=said.encode("utf-8", "backslashreplace")), address, self.times[index])


LOST: Final = Address("damaged", "unknown")
"""Where something was seen of which that can no longer be read."""


def stored_row(database: sqlite3.Connection, first: int, *, deliveries: bool = True) -> StoredRow | None:
    """Read a row; None if there is none that begins there.

    Args:
        database: The file.
        first: The sequence number of the row's first delivery.
        deliveries: Whether they are wanted; else only what is known of them.
    """
    names = _COLUMNS if deliveries else _COLUMNS[:2]
    columns = {name: b"" for name in _COLUMNS}
    try:
        found = database.execute(f"SELECT count, {', '.join(names)} FROM batches WHERE first = ?", (first,)).fetchone()
        if found is None:
            return None
        count, *values = found
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        count, values = None, [_column(database, name, first) for name in names]
    columns |= {name: value for name, value in zip(names, values, strict=True) if isinstance(value, bytes)}
    sizes = {len(columns["looks"]) // 4, len(columns["times"]) // 8}
    if deliveries:
        sizes.add(len(columns["ends"]) // 4)
    if sizes != {count}:
        count = true_count(database, first, count, sizes)
    return StoredRow(first, count, columns)


def true_count(database: sqlite3.Connection, first: int, count: object, sizes: set[int]) -> int:
    """How many deliveries a row has whose columns do not agree: the next row begins behind them.

    Args:
        database: The file.
        first: Where the row begins.
        count: What its column says.
        sizes: What the others say.
    """
    (following,) = database.execute("SELECT min(first) FROM batches WHERE first > ?", (first,)).fetchone()
    if isinstance(following, int):
        return min(following - first, _MOST)
    return max(sizes) or (count if isinstance(count, int) and 0 < count < _MOST else 0)


def stored_firsts(database: sqlite3.Connection) -> list[int]:
    """Where the rows begin.

    Raises:
        sqlite3.DatabaseError: A page cannot be used.
        StoreError: The pages go round in a circle, or count where nothing was stored.
    """
    return [first for (first,) in _ascending(database.execute("SELECT first FROM batches ORDER BY first"))]


def stored_looks(database: sqlite3.Connection) -> dict[int, Look]:
    """The looks, by their numbers.

    Raises:
        sqlite3.DatabaseError: A page cannot be used.
        StoreError: The pages go round in a circle.
    """
    rows = database.execute("SELECT id, CAST(look AS BLOB) FROM looks ORDER BY id")
    return {id: stored_look(id, text) for id, text in _ascending(rows)}


def _ascending(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The same rows, by whose first column they are ordered: pages that share a page would give it for ever."""
    last = -1
    for row in rows:
        if not last < row[0] < _LAST:
            raise StoreError("The recording is damaged: its rows are out of order.")
        last = row[0]
        yield row


def stored_look(id: int, text: object) -> Look:
    """A look as it was saved, or what can be said of one that can no longer be read."""
    try:
        return msgspec.json.decode(text if isinstance(text, bytes) else b"", type=Look)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Look(LOST, "browse", 0, Coverage(gaps=(Gap(f"what look {id} covered", "damaged"),)))


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite found a page that it cannot use, rather than no file or no space."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT


_MOST: Final = 1 << 16
"""More than any row has."""
_LAST: Final = 1 << 62
"""Beyond any sequence number."""


def _column(database: sqlite3.Connection, name: str, first: int) -> object:
    try:
        found = database.execute(f"SELECT {name} FROM batches WHERE first = ?", (first,)).fetchone()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return b""
    return found[0] if found else b""


def _numbers(code: Literal["I", "q"], column: bytes) -> "array[int]":
    numbers = array(code)
    numbers.frombytes(column[: len(column) // numbers.itemsize * numbers.itemsize])
    return numbers


def _fill(code: Literal["I", "q"], column: bytes, count: int) -> "array[int]":
    numbers = _numbers(code, column)
    if len(numbers) != count:
        del numbers[count:]
        numbers.extend([numbers[-1] if numbers else 0] * (count - len(numbers)))
    return numbers
