"""A recording that is damaged somewhere: what cannot be read says so, and the rest is read."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.e2e.command import run
from workbench.decode import ndjson
from workbench.model.address import Address
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Damaged, Delivery, Event, Position
from workbench.model.look import Look
from workbench.query.query import compile
from workbench.store.archive import open_recording
from workbench.store.batch import COUNT
from workbench.store.database import _APPLICATION, _TABLES, VERSION
from workbench.store.sqlite_export import export
from workbench.store.store import open_store
from workbench.store.view import View

ADDRESS = Address("rabbit", "orders")
MANY = 2 * COUNT + 7
"""Two full rows, and one that is not."""
PAGE = 65_536
START = 1_700_000_000_000
TABLES = f"{_TABLES} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}"


def event(number: int) -> Delivery:
    body = b'{"number":%d}' % number
    return Delivery(Event(b"k", body, timestamp=START + number), ADDRESS, START, Position("0", str(number)))


@pytest.fixture
async def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.db"
    async with open_store(tmp_path / "state") as store:
        await store.record(path)
        await store.append(store.look(Look(ADDRESS, "tail", START)), list(map(event, range(MANY))))
    return path


def change(path: Path, column: str, first: int, how: Callable[[bytes], object]) -> None:
    """Damage one column of the row that begins at a sequence number."""
    with closing(sqlite3.connect(path)) as database, database:
        (value,) = database.execute(f"SELECT {column} FROM batches WHERE first = ?", (first,)).fetchone()
        database.execute(f"UPDATE batches SET {column} = ? WHERE first = ?", (how(value), first))


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda value: value[:at] + bytes([value[at] ^ 0xFF]) + value[at + 1 :]


def half(value: bytes) -> bytes:
    return value[: len(value) // 2]


async def read(path: Path, query: str = "") -> Sequence[Delivery]:
    async with open_recording(path) as archive:
        view = View(archive, compile(query) if query else None)
        await view.catch_up()
        found = [each async for batch in archive.read(view.sequences) for each in batch]
        assert found == [each for each in await archive.rows(view.sequences) if each is not None]
        return found


def numbers(found: Sequence[Delivery]) -> set[int]:
    return {int(each.position.offset) for each in found if each.position is not None}


async def test_a_byte_of_one_event(recording: Path) -> None:
    # The first byte of an event says that it is an array of seven.
    change(recording, "deliveries", COUNT, flipped(0))
    found = await read(recording)
    [damaged] = [each for each in found if isinstance(each, Damaged)]
    assert damaged.event.body is not None and damaged.event.body.startswith(b"damaged: ")
    assert damaged.address == ADDRESS
    assert damaged.time[0] == START + COUNT
    assert numbers(found) == set(range(MANY)) - {COUNT}


@pytest.mark.parametrize("column", ["looks", "times", "opaque", "ends", "deliveries"])
@pytest.mark.parametrize("how", [half, lambda value: value[:-3], lambda value: b"", lambda value: 7])
async def test_a_column_that_is_cut_short_or_something_else(
    recording: Path, column: str, how: Callable[[bytes], object]
) -> None:
    change(recording, column, COUNT, how)
    found = await read(recording)
    assert len(found) == MANY
    assert numbers(found) >= {*range(COUNT), *range(2 * COUNT, MANY)}
    if column in ("looks", "times", "opaque"):
        assert numbers(found) == set(range(MANY))
    else:
        assert sum(isinstance(each, Damaged) for each in found) == MANY - len(numbers(found)) > 0


@pytest.mark.parametrize("count", [0, 1, COUNT - 1, COUNT + 1, 2**40, -5, "many"])
@pytest.mark.parametrize("first", [0, 2 * COUNT])
async def test_a_wrong_count(recording: Path, count: object, first: int) -> None:
    with closing(sqlite3.connect(recording)) as database, database:
        database.execute("UPDATE batches SET count = ? WHERE first = ?", (count, first))
    assert numbers(await read(recording)) == set(range(MANY))


@pytest.mark.parametrize("junk", [b"\xff\xfe", b"{", b"[" * 100_000, b'{"address": 7}', None])
async def test_a_look(recording: Path, junk: bytes | None) -> None:
    with closing(sqlite3.connect(recording)) as database, database:
        database.execute("UPDATE looks SET look = CAST(coalesce(?, '') AS TEXT)", (junk,))
    assert numbers(await read(recording)) == set(range(MANY))
    async with open_recording(recording) as archive:
        [look] = archive.looks.values()
        assert not look.coverage.complete


async def test_places_that_lead_back(recording: Path) -> None:
    change(recording, "ends", 0, lambda value: value[:400] + bytes(400) + value[800:])
    assert len(await read(recording)) == MANY
    found = await read(recording, f"body.number = {COUNT + 1}")
    assert COUNT + 1 in numbers(found)


async def test_what_cannot_be_read_cannot_be_ruled_out(recording: Path) -> None:
    change(recording, "deliveries", 0, flipped(0))
    found = await read(recording, "body.number >= 0 and body.number < 5")
    assert numbers(found) == {1, 2, 3, 4}
    assert any(isinstance(each, Damaged) for each in found)


@pytest.mark.parametrize("page", range(1, 9))
async def test_a_page_that_is_lost(recording: Path, page: int) -> None:
    whole = await asyncio.to_thread(recording.read_bytes)
    assert len(whole) >= 9 * PAGE
    damaged = whole[: page * PAGE] + bytes(PAGE) + whole[(page + 1) * PAGE :]
    await asyncio.to_thread(recording.write_bytes, damaged)
    try:
        found = await read(recording)
    except StoreError as error:
        assert str(error) == f"{recording} is damaged."
    else:
        assert len(numbers(found)) >= MANY - COUNT


async def test_bytes_flipped_anywhere_in_the_events(recording: Path) -> None:
    for first in (0, COUNT, 2 * COUNT):
        change(
            recording, "deliveries", first, lambda value: bytes(each ^ (at % 97 == 0) for at, each in enumerate(value))
        )
    assert len(await read(recording)) == MANY
    export(recording, recording.with_name("exported.db"))


def test_commands_read_what_is_left_and_publish_nothing_that_is_damaged(recording: Path) -> None:
    change(recording, "deliveries", 2 * COUNT, flipped(0))
    browsed = run("workbench", "browse", str(recording), "--json", "--from", "end-7")
    assert browsed.code == 0, browsed.err
    damaged, *others = browsed.records
    assert damaged["damaged"].startswith("damaged: ")
    assert damaged["address"] == "rabbit/orders"
    assert [line["position"]["offset"] for line in others] == list(range(2 * COUNT + 1, MANY))
    assert "not seen: 1 event (damaged in the recording)" in browsed.err
    with pytest.raises(FormatError):
        ndjson.decode(msgspec.json.encode(damaged))
    as_table = run("workbench", "browse", str(recording), "-o", "table", "--from", "end-7")
    assert "damaged: " in as_table.out
    exported = recording.with_name("exported.db")
    assert export(recording, exported) == MANY


def test_a_name_that_is_not_utf8(recording: Path) -> None:
    name = recording.with_name("r\udcff.db")
    recording.rename(name)
    done = run("workbench", "browse", str(name), "--json", "--from", "end-7")
    assert (done.code, len(done.records)) == (0, 7), done.err
    again = run("workbench", "browse", str(name), "--from", "end-7", "--record", str(name.with_name("s\udcff.db")))
    assert again.code == 0, again.err


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
STRANGE = {
    "an endless view": f"ALTER TABLE batches RENAME TO b; CREATE VIEW batches AS {ENDLESS} i AS first FROM n",
    "endless looks": f"ALTER TABLE looks RENAME TO l; CREATE VIEW looks AS {ENDLESS} i AS id, '' AS look FROM n",
    "a view beside them": "CREATE VIEW more AS SELECT 1",
    "a trigger": "CREATE TRIGGER t AFTER DELETE ON looks BEGIN SELECT 1; END",
    "an index": "CREATE INDEX i ON batches(count)",
    "a table more": "CREATE TABLE t (x)",
    "a table less": "DROP TABLE looks",
    "a generated column": "ALTER TABLE batches ADD COLUMN x AS (count * 2)",
    "another type": "DROP TABLE looks; CREATE TABLE looks (id INTEGER PRIMARY KEY, look BLOB NOT NULL)",
    "a column more": "ALTER TABLE looks ADD COLUMN x DEFAULT 7",
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE.keys())
async def test_a_recording_with_other_tables_is_not_read(recording: Path, tmp_path: Path, change: str) -> None:
    with closing(sqlite3.connect(recording)) as database:
        database.executescript(change)
    sentence = "has other tables than this program's recordings, and is not read"
    with pytest.raises(StoreError, match=sentence):
        await read(recording)
    with pytest.raises(StoreError, match=sentence):
        export(recording, tmp_path / "exported.db")


@pytest.mark.parametrize("firsts", [[-5], [2**62], [2**63 - 1]])
async def test_a_row_that_begins_nowhere(recording: Path, firsts: list[int]) -> None:
    with closing(sqlite3.connect(recording)) as database, database:
        database.execute("UPDATE batches SET first = ? WHERE first = 0", firsts)
    with pytest.raises(StoreError, match="damaged"):
        await read(recording)


async def test_pages_that_lead_to_the_same_page_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "circle.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(TABLES)
        database.executemany("INSERT INTO looks VALUES (?, ?)", [(number, "x" * 300) for number in range(500)])
        database.commit()
        (root,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'looks'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    pages = bytearray(path.read_bytes())
    page = memoryview(pages)[(root - 1) * size : root * size]
    assert page[0] == 5, "the root is an interior page"
    # Every cell, and the pointer behind them, leads to the first child (https://www.sqlite.org/fileformat2.html).
    cells = int.from_bytes(page[3:5], "big")
    places = [int.from_bytes(page[12 + 2 * cell : 14 + 2 * cell], "big") for cell in range(cells)]
    child = bytes(page[places[0] : places[0] + 4])
    for place in (*places, 8):
        page[place : place + 4] = child
    path.write_bytes(pages)
    with pytest.raises(StoreError, match="damaged"):
        await read(path)
