"""The journal keeps every message as it came, for this user alone, until it is forgotten; and what is wrong with it is
one sentence."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.command import run
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import StoreError
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_file import Entry, journal_folder, read_head, reading
from workbench.operations.journal.journal_thread import JournalThread
from workbench.operations.journal.operation import EntryState, Operation
from workbench.operations.journal.records import find_journal, read_entries, read_record, records
from workbench.operations.journal.retention import forget, keep_within

SOURCE = Address("rabbit", "orders.dead")
SECRET = b"card 4111-1111-1111-1111"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, for this program and for those that it starts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def operation(id: str = "0123456789ab", begun: int = 1) -> Operation:
    return Operation(id, "move", begun, "me@here", SOURCE, "rabbit=amqp://here/", "3 messages", b"")


def entry(sequence: int, body: bytes = SECRET, state: int = EntryState.IN_FLIGHT) -> Entry:
    message = Delivery(Event(b"key", body, None, Content((("h", b"\xff"),))), SOURCE, 5, None, "", True, 3)
    return Entry(sequence, b"key-%d" % sequence, message, Address("rabbit", "orders"), state)


def journalled(id: str = "0123456789ab", begun: int = 1, count: int = 3, ended: bool = False) -> Path:
    """A journal of some messages, closed; without an end it is as of a program that died."""
    with closing(Journal.create(operation(id, begun))) as journal:
        journal.add([entry(number) for number in range(count)])
        if ended:
            journal.mark_done((), range(count), 9)
            journal.end("done", 9, "3 moved.")
        return journal.path


EVENTS = st.builds(
    Event,
    key=st.none() | st.binary(max_size=9),
    body=st.none() | st.binary(max_size=99),
    wire=st.none() | st.builds(Wire, st.sampled_from(["amqp-0-9-1", "kafka-2"]), st.binary(max_size=99)),
    timestamp=st.none() | st.integers(0, 2**63 - 1),
)


@given(events=st.lists(EVENTS, max_size=4), offset=st.integers(0, 2**63 - 1))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_messages_come_back_byte_for_byte(events: list[Event], offset: int) -> None:
    entries = [
        Entry(number, b"%d" % number, Delivery(event, SOURCE, 7, Position("3", str(offset))), None)
        for number, event in enumerate(events)
    ]
    with closing(Journal.create(operation())) as journal:
        path = journal.path
        journal.add(entries)
    assert list(read_entries(path)) == entries
    forget(path)


def test_only_this_user_may_read_it() -> None:
    with closing(Journal.create(operation())) as journal:
        journal.add([entry(0)])
        folder = journal_folder()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_it_is_locked_while_it_is_worked_on() -> None:
    with closing(Journal.create(operation())) as journal:
        assert read_record(journal.path).state == "running"
        with pytest.raises(StoreError, match="is running: it is being worked on by another program"):
            Journal.reopen(journal.path)
        with pytest.raises(StoreError, match="is running"):
            forget(journal.path)
        other = run("workbench", "journal", "forget", operation().id, "--yes")
        assert other.code == 1 and "is running" in other.err
    assert read_record(journal.path).state == "interrupted"


def test_a_program_that_is_killed_leaves_what_it_noted_to_be_gone_on_with() -> None:
    script = (
        "import os, signal\n"
        "from tests.unit.test_journal import *\n"
        "journal = Journal.create(operation())\n"
        "journal.add([entry(number) for number in range(3)])\n"
        "journal.mark_done([0, 1], [], 5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    path = find_journal(operation().id)
    record = read_record(path)
    assert (record.state, record.counts.confirmed, record.counts.in_flight) == ("interrupted", 2, 1)
    with closing(Journal.reopen(path)) as journal:
        assert journal.next_sequence() == 3
        # What the source has for certain is first.
        assert [sequence for sequence, *_ in journal.open_entries()] == [2, 0, 1]
    assert list(read_entries(path, EntryState.IN_FLIGHT)) == [entry(2)]


HALF: Final = Content(
    (
        ("half \ud83d of a name", "\\ud83d and \udc00"),
        ("number", 2**80),
        ("decimal", Decimal("1.50")),
        ("table", {"\udfff": ["\ud800", {"deep": "\\\ud800"}], "at": datetime(2026, 1, 2, 3, 4, 5)}),
    ),
    {"content_type": "text/\ud800"},
)
"""What only an embedded broker's message holds."""


@pytest.mark.parametrize(
    "written", (HALF, Content((("decimal", Decimal(1)),)), Content((("text", "\ud800"),)), Content((("n", -(2**70)),)))
)
def test_every_message_is_kept_as_it_came(written: Content) -> None:
    kept = entry(0)
    event = msgspec.structs.replace(kept.message.event, written=written)
    message = msgspec.structs.replace(kept.message, event=event)
    kept = msgspec.structs.replace(kept, message=message, copy=event)
    with closing(Journal.create(operation())) as journal:
        journal.add([kept])
        assert list(read_entries(journal.path)) == [kept]


def test_a_damaged_message_is_told_in_a_sentence() -> None:
    with closing(Journal.create(operation())) as journal:
        journal.add([entry(0)])
        for damaged in (b"\xc1", b"\xc1\xc7\x01\x01x", b"\xc1\x90", b"\x90", b""):
            with closing(sqlite3.connect(journal.path)) as database, database:
                database.execute("UPDATE message SET message = ?", (damaged,))
            with pytest.raises(StoreError, match="cannot be read"):
                list(read_entries(journal.path))


def test_what_is_forgotten_while_it_is_listed_is_left_out() -> None:
    paths = [journalled(f"{number:012x}", count=20) for number in range(25)]

    def forget_all() -> None:
        for each in paths:
            forget(each)

    forgetting = threading.Thread(target=forget_all)
    forgetting.start()
    wrong: list[str] = []
    while forgetting.is_alive():
        wrong += records()[1]
    assert (wrong, records()) == ([], ([], []))


def test_what_is_forgotten_leaves_no_byte(state: Path) -> None:
    kept, gone = journalled("aaaaaaaaaaaa"), journalled("bbbbbbbbbbbb", count=200)
    assert any(SECRET in path.read_bytes() for path in journal_folder().glob("bbbb*"))
    forget(gone)
    assert list(journal_folder().glob("bbbb*")) == []
    assert [record.path for record in records()[0]] == [kept]
    forget(kept)
    assert [path for path in state.rglob("*") if path.is_file() and SECRET in path.read_bytes()] == []


def test_the_oldest_finished_ones_are_forgotten_beyond_the_budget_and_no_other() -> None:
    journalled("aaaaaaaaaaaa", 1)
    journalled("bbbbbbbbbbbb", 2, ended=True)
    journalled("cccccccccccc", 3, ended=True)
    size = max(record.bytes for record in records()[0])
    assert keep_within(10 * size) == []
    assert keep_within(2 * size + 1) == ["bbbbbbbbbbbb"]
    assert keep_within(0) == ["cccccccccccc"]
    assert [record.operation.id for record in records()[0]] == ["aaaaaaaaaaaa"]


@pytest.mark.parametrize("content", [b"", b"not a journal", b"SQLite format 3\x00" + b"\xff" * 4_000])
def test_a_damaged_or_foreign_file_is_one_sentence_and_hides_no_other(content: bytes) -> None:
    good = journalled("aaaaaaaaaaaa")
    bad = journal_folder() / "bbbbbbbbbbbb.journal"
    bad.write_bytes(content)
    found, wrong = records()
    assert [record.path for record in found] == [good]
    [sentence] = wrong
    assert sentence.startswith(f"{bad} cannot be read: ") and sentence.endswith(".") and "\n" not in sentence
    for read in (read_record, Journal.reopen, lambda path: list(read_entries(path))):
        with pytest.raises(StoreError, match="cannot be read"):
            read(bad)
    listed = run("workbench", "journal", "--json")
    assert (listed.code, len(listed.records)) == (3, 1)
    assert listed.err == f"{sentence}\n"
    assert run("workbench", "journal", "forget", "bbbb", "--yes").code == 1


@pytest.mark.parametrize(("damage", "what"), [("operation SET head", "operation"), ("message SET message", "message")])
@pytest.mark.parametrize("value", ["NULL", "'text'", "7"])
def test_a_column_of_another_type_is_one_sentence(damage: str, what: str, value: str) -> None:
    path = journalled("aaaaaaaaaaaa")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT OR REPLACE INTO message VALUES (0, x'', NULL)")
        database.execute("INSERT OR REPLACE INTO entry VALUES (0, x'01', 'm/q', 0, 0, '', 0)")
        database.execute(f"UPDATE {damage} = {value}")
    sentence = f"aaaaaaaaaaaa.journal cannot be read: it has no {what} where one should be."
    if what == "operation":
        assert [each.endswith(sentence) for each in records()[1]] == [True]
    else:
        with pytest.raises(StoreError, match=sentence):
            list(read_entries(path))


@pytest.mark.parametrize("after", (lambda path: records(), lambda path: forget(path)), ids=("listed", "forgotten"))
def test_what_is_forgotten_while_it_is_read_leaves_no_file_behind(after: Callable[[Path], object]) -> None:
    path, other = journalled(), journalled("00000000000a")
    with reading(path) as database:
        assert read_head(database).id == operation().id
        forget(path)
        assert read_head(database).id == operation().id
    path = journalled()
    with reading(path) as database:
        assert read_head(database).id == operation().id
        # As far as it has come when its program dies.
        path.unlink()
    assert [*journal_folder().glob("*-wal")]
    after(other)
    assert not [*journal_folder().glob("*.journal-*")]


def test_a_journal_of_a_newer_version_is_not_touched() -> None:
    path = journalled()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE operation SET form = form + 1")
    before = path.read_bytes()
    for read in (read_record, Journal.reopen):
        with pytest.raises(StoreError, match="another version wrote it"):
            read(path)
    assert path.read_bytes() == before


def test_where_nothing_can_be_written_nothing_begins(state: Path) -> None:
    (state / "event-workbench").write_text("not a folder")
    with pytest.raises(StoreError, match=r"The journal in .* cannot be written: .*\. Nothing is moved without it\."):
        Journal.create(operation())


def test_a_disk_that_is_full_is_one_sentence_and_what_was_noted_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal.create(operation())) as journal:
        journal.add([entry(0)])
        # SQLite says of a file that may not grow what it says of a disk that has no room.
        [(pages,)] = journal._database.execute("PRAGMA page_count")
        journal._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"cannot be written: database or disk is full\. Nothing is moved"):
            journal.add([entry(number, b"." * 4_000) for number in range(1, 50)])
        assert journal.counts().total == 1
        path = journal.path
    assert list(read_entries(path)) == [entry(0)]


def test_a_journal_that_is_there_is_not_begun_again() -> None:
    path = journalled(ended=True)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="was begun already"):
        Journal.create(operation())
    assert path.read_bytes() == before


def test_a_disk_without_room_leaves_nothing_of_a_journal_that_could_not_begin() -> None:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot be written: .*\. Nothing is moved without it"):
            Journal.create(operation())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [path.name for path in journal_folder().iterdir()] == [f"{operation().id}.lock"]
    # Nobody holds its lock, and it can begin when there is room.
    journalled()


@pytest.mark.parametrize("ask", [Journal.next_sequence, Journal.counts, Journal.open_entries, Journal.keys])
async def test_a_disk_that_gives_nothing_back_is_one_sentence(ask: Callable[[Journal], object]) -> None:
    with closing(Journal.create(operation())) as journal, JournalThread(journal) as thread:
        journal._database.execute("DROP TABLE entry")
        with pytest.raises(StoreError, match=r"0123456789ab\.journal cannot be read: no such table: entry\."):
            await thread.do(ask)


async def test_a_message_that_is_damaged_is_one_sentence() -> None:
    with closing(Journal.create(operation())) as journal, JournalThread(journal) as thread:
        journal.add([entry(0)])
        journal._database.execute("UPDATE message SET message = x'c1'")
        with pytest.raises(StoreError, match="cannot be read: "):
            await thread.do(Journal.entry, 0)


async def test_who_is_cancelled_again_and_again_waits_for_what_the_disk_does() -> None:
    written, may_write = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def write(_: Journal) -> None:
        may_write.wait()
        loop.call_soon_threadsafe(written.set)

    with closing(Journal.create(operation())) as journal, JournalThread(journal) as thread:
        async with asyncio.TaskGroup() as group:
            doing = group.create_task(thread.do(write))
            for _ in range(3):
                await asyncio.sleep(0)
                doing.cancel()
            await asyncio.sleep(0)
            assert not doing.done()
            may_write.set()
        assert doing.cancelled()
        await written.wait()


def test_messages_are_shown_masked(tmp_path: Path) -> None:
    with closing(Journal.create(operation())) as journal:
        journal.add([entry(0, b'{"card": "4111-1111", "n": 1}')])
    config = tmp_path / "workbench.toml"
    config.write_text('masks = ["body.card"]\n[connections.rabbit]\nurl = "amqp://127.0.0.1:1"\n')
    shown = run("workbench", "journal", "show", "0123", "--messages", "--config", str(config))
    assert shown.code == 0, shown
    assert "4111" not in shown.out + shown.err
    assert shown.records[0]["body"]["json"]["n"] == 1


def test_an_id_that_is_not_unique_or_not_there_is_one_sentence() -> None:
    journalled("aaaaaaaaaaaa")
    journalled("aaaabbbbbbbb")
    with pytest.raises(StoreError, match="2 operations begin with 'aaaa'"):
        find_journal("aaaa")
    for absent in ("cccc", "*", "../x", ""):
        with pytest.raises(StoreError, match=r"There is no operation|operations begin"):
            find_journal(absent)
