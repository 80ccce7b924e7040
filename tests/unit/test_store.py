"""The store, held against a plain list; and what becomes of its file when things go wrong."""

import asyncio
import fcntl
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_query import READING, deliveries
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import StoreError
from workbench.model.event import Damaged, Delivery, Event, Position
from workbench.model.look import Coverage, Look, Span
from workbench.query.query import Reading, compile
from workbench.store import batch
from workbench.store.archive import Archive, open_recording
from workbench.store.batch import decode, encode
from workbench.store.session_file import private_file
from workbench.store.sqlite_export import export
from workbench.store.store import Budget, Store, open_store
from workbench.store.view import View
from workbench.store.workers import Workers

TOPIC = Address("kafka", "payments")
LOOK = Look(TOPIC, "tail", 0)
NOW = 1_800_000_000_000


def event(number: int, time: int | None = None, body: bytes | None = None) -> Delivery:
    body = body if body is not None else b'{"n":%d,"parity":"%s"}' % (number, b"odd" if number % 2 else b"even")
    headers = (("correlation_id", f"flow-{number // 10}"),)
    written = Event(b"%d" % number, body, None, Content(headers), number if time is None else time)
    return Delivery(written, TOPIC, NOW, Position("0", str(number)))


def events(count: int, start: int = 0) -> list[Delivery]:
    return [event(number) for number in range(start, start + count)]


async def all_of(archive: Archive) -> list[Delivery | None]:
    return await archive.rows(range(archive.first, archive.upto))


async def matching(archive: Archive, text: str, looks: Sequence[int] | None = None, **options: Any) -> list[int]:
    view = View(archive, compile(text, NOW, READING), looks, **options)
    await view.catch_up()
    return list(view.sequences)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of seven deliveries, so that a few deliveries are many rows."""
    monkeypatch.setattr("workbench.store.store.COUNT", 7)


@pytest.fixture(scope="module")
def pool() -> Any:
    with Workers(2) as executor:
        yield executor


# Against a plain list.


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(deliveries(), max_size=6)), max_size=8),
    st.sampled_from(["", "x", "body.a exists", "header.a = 150 or key = x", "not correlation exists", "key ~ x"]),
    st.sampled_from([None, (0,), (0, 2)]),
    st.integers(0, 8),
)
async def test_views_are_what_a_plain_list_would_hold(
    tmp_path_factory: pytest.TempPathFactory,
    appended: list[tuple[int, list[Delivery]]],
    text: str,
    looks: Sequence[int] | None,
    flushed: int,
) -> None:
    query = compile(text, NOW, READING)
    plain: list[tuple[int, Delivery]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("workbench.store.store.COUNT", 7)
        async with open_store(tmp_path_factory.mktemp("store"), reading=READING) as store:
            numbers = [store.look(LOOK) for _ in range(3)]
            view = View(store, query, looks, "stored")
            for index, (look, some) in enumerate(appended):
                plain += [(look, delivery) for delivery in some]
                assert await store.append(numbers[look], some) == len(plain)
                if index == flushed:
                    await store.flush()
                if index % 2:
                    await view.catch_up()
            await view.catch_up()
            assert [encode(each) for each in await all_of(store) if each] == [encode(each) for _, each in plain]
            mine = [pair for pair in plain if looks is None or pair[0] in looks]
            assert view.examined == len(mine)
            assert list(view.sequences) == [
                sequence
                for sequence, (look, delivery) in enumerate(plain)
                if (looks is None or look in looks) and query.matches(delivery)
            ]


@given(deliveries())
def test_a_delivery_is_read_as_it_was_stored(delivery: Delivery) -> None:
    restored = decode(encode(delivery))
    assert restored.event.content == delivery.event.content
    assert msgspec.structs.replace(restored.event, written=Content()) == msgspec.structs.replace(
        delivery.event, written=Content()
    )
    assert (restored.address, restored.position, restored.seen_at) == (
        delivery.address,
        delivery.position,
        delivery.seen_at,
    )


def test_values_keep_their_types() -> None:
    headers = (
        ("decimal", Decimal("1.10")),
        ("large", -(2**80)),
        ("local", datetime(2026, 11, 23, 10)),
        ("time", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("table", {"list": [Decimal("1"), b"\xff", None, 2**64]}),
    )
    delivery = Delivery(Event(written=Content(headers, {"priority": 2**70})), TOPIC, NOW)
    assert decode(encode(delivery)) == delivery


async def test_others_get_their_turn_while_a_large_batch_is_stored() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with open_store() as store, asyncio.TaskGroup() as group:
        look = store.look(LOOK)
        waiting = group.create_task(others())
        await store.append(look, events(3_000))
        waiting.cancel()
        assert turns >= 5
        assert [each.event.key for each in await all_of(store) if each] == [b"%d" % number for number in range(3_000)]


async def test_what_was_appended_can_be_read_at_once(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), events(3))
        assert await all_of(store) == events(3)
        assert await store.get(2) == event(2)
        assert await store.get(3) is None


async def test_full_rows_are_written_and_the_rest_stays_in_memory(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        look = store.look(LOOK)
        for start in range(0, 5000, 300):
            await store.append(look, events(min(300, 5000 - start), start))
        await until(lambda: len(store.rows_from(0)) == 2)
        assert await all_of(store) == events(5000)
        assert await store.rows([4999, 0, 2000, 7000]) == [event(4999), event(0), event(2000), None]


async def test_large_bodies_make_small_rows(tmp_path: Path) -> None:
    body = b"x" * (batch.SIZE // 2)
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), [event(number, body=body) for number in range(7)])
        await store.flush()
        assert [row.count for row in store.rows_from(0)] == [2, 2, 2, 1]
        assert await store.get(6) == event(6, body=body)


async def test_times_beyond_64_bits_do_not_stop_the_store(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), [event(0, 2**63 - 1), event(1, -(2**63))])
        await store.flush()
        assert await matching(store, "") == [1, 0]


# Views.


async def test_a_view_orders_several_partitions_by_time(
    tmp_path: Path, small_rows: None, pool: ProcessPoolExecutor
) -> None:
    times = [(number * 37) % 1000 for number in range(3000)]
    async with open_store(tmp_path) as store:
        view = View(store)
        for start in range(0, 3000, 250):
            await store.append(store.look(LOOK), [event(start + at, times[start + at]) for at in range(250)])
            if start % 500:
                await view.catch_up(pool)
        await view.catch_up(pool)
        assert list(view.sequences) == sorted(range(3000), key=times.__getitem__)


async def test_worker_processes_find_the_same_as_the_thread(
    tmp_path: Path, small_rows: None, pool: ProcessPoolExecutor
) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        await store.append(store.look(LOOK), events(1000))
        await store.flush()
        for text in ("body.parity = odd", "flow-3", "correlation = flow-7 and body.n > 75", "body.n >= 990"):
            view = View(store, compile(text, NOW, READING))
            steps: list[None] = []
            await view.catch_up(pool, partial(steps.append, None))
            assert list(view.sequences) == await matching(store, text)
            assert len(steps) > 3


async def test_a_view_asks_only_about_what_is_new(tmp_path: Path, small_rows: None) -> None:
    asked: list[str] = []

    def counting(delivery: Delivery) -> Delivery:
        asked.append(str(delivery.position))
        return delivery

    async with open_store(tmp_path) as store:
        view = View(store, compile("not missing", NOW, Reading(masked=counting)))
        for start in range(0, 60, 5):
            await store.append(store.look(LOOK), events(5, start))
            await view.catch_up()
        assert len(asked) == len(set(asked)) == len(view) == 60


async def test_a_view_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, small_rows: None, pool: ProcessPoolExecutor
) -> None:
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), events(2000))
        await store.flush()
        view = View(store, compile("body.parity = even", NOW))

        def stop_soon() -> None:
            if len(view) > 50:
                stopped.cancel()

        async with asyncio.TaskGroup() as group:
            stopped = group.create_task(view.catch_up(pool, stop_soon))
        assert 50 < len(view) < 1000
        await view.catch_up(pool)
        assert list(view.sequences) == list(range(0, 2000, 2))


async def test_what_is_masked_cannot_be_found(tmp_path: Path) -> None:
    reading = Reading(masked=lambda seen: msgspec.structs.replace(seen, event=Event(seen.event.key, b'"***"')))
    async with open_store(tmp_path, reading=reading) as store:
        await store.append(store.look(LOOK), events(10))
        await store.flush()
        for text, count in (("even", 0), ("'***'", 10), ("body.n exists", 0)):
            view = View(store, compile(text, NOW, reading))
            await view.catch_up()
            assert len(view) == count


# The budget.


async def test_beyond_its_budget_the_store_drops_whole_oldest_rows_and_says_how_many(
    tmp_path: Path, small_rows: None
) -> None:
    async with open_store(tmp_path, Budget(events=100)) as store:
        look = store.look(LOOK)
        view, stored = View(store), View(store, order="stored")
        for start in range(0, 1000, 10):
            await store.append(look, events(10, start))
            await view.catch_up()
            await stored.catch_up()
        await store.flush()
        await view.catch_up()
        await stored.catch_up()
        assert 90 <= store.upto - store.first <= 100 + 7
        assert store.first % 7 == 0
        assert await all_of(store) == events(1000 - store.first, store.first)
        assert await store.get(0) is None
        assert list(view.sequences) == list(stored.sequences) == list(range(store.first, 1000))


async def test_the_budget_counts_bytes_too(tmp_path: Path, small_rows: None) -> None:
    async with open_store(tmp_path, Budget(size=100_000)) as store:
        look = store.look(LOOK)
        for number in range(300):
            await store.append(look, [event(number, body=b"x" * 1000)])
        await store.flush()
        size = sum(row.size for row in store.rows_from(0))
        assert 80_000 < size <= 100_000
        pages = store.path.stat().st_size + store.path.with_suffix(".db-wal").stat().st_size
        assert pages < 100_000_000


# The file.


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_the_file_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with open_store(folder) as store:
        await store.append(store.look(LOOK), events(3000))
        await store.flush()
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert files(folder) == []


async def test_a_session_may_end_while_rows_wait_to_be_written(
    tmp_path: Path, small_rows: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), events(2000))
    await asyncio.sleep(0)
    assert files(tmp_path) == [] and not caplog.records


async def test_two_sessions_live_side_by_side(tmp_path: Path) -> None:
    async with open_store(tmp_path) as one, open_store(tmp_path) as other:
        await one.append(one.look(LOOK), events(10))
        await other.append(other.look(LOOK), events(10, 500))
        await one.flush()
        await other.flush()
        assert await one.get(0) == event(0)
        assert await other.get(0) == event(500)
    assert files(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"No events can be stored in .*file"):
        async with open_store(tmp_path / "file"):
            pass


SESSION = """
    import asyncio, os, resource, signal, sys
    from pathlib import Path
    from tests.unit.test_store import *

    async def main():
        async with open_store(Path(sys.argv[1]), reading=READING) as store:
            {}

    asyncio.run(main())
"""


def session(folder: Path, body: str) -> "subprocess.Popen[str]":
    """A process of its own with an open store."""
    code = textwrap.dedent(SESSION).format(textwrap.indent(textwrap.dedent(body), " " * 8).strip())
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]") -> list[str]:
    """What it printed until it ended."""
    output, _ = process.communicate(timeout=60)
    return output.splitlines()


APPENDING = """
    look = store.look(LOOK)
    for start in range(0, 10**9, 500):
        await store.append(look, events(500, start))
        if start == 5000:
            print("appending", flush=True)
"""


def killed_while(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert process.stdout.readline() == "appending\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


async def test_what_a_killed_session_left_is_swept_by_the_next(tmp_path: Path) -> None:
    async with open_store(tmp_path) as living:
        await living.append(living.look(LOOK), events(10))
        killed_while(session(tmp_path, APPENDING))
        assert len([name for name in files(tmp_path) if name.endswith(".lock")]) == 2
        async with open_store(tmp_path):
            assert len([name for name in files(tmp_path) if name.endswith(".lock")]) == 2
        await living.flush()
        assert await living.get(9) == event(9)
    assert files(tmp_path) == []


def test_worker_processes_end_with_a_killed_session(tmp_path: Path) -> None:
    process = session(
        tmp_path,
        """
        with Workers(1) as pool:
            print(await asyncio.get_running_loop().run_in_executor(pool, os.getpid), flush=True)
            print("appending", flush=True)
            signal.pause()
        """,
    )
    assert process.stdout
    worker = int(process.stdout.readline())
    killed_while(process)
    asyncio.run(until(lambda: not alive(worker)))


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked about (Z) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


FULL = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    look = store.look(LOOK)
    stored = 0
    try:
        for start in range(0, 10**6, 500):
            stored = await store.append(look, events(500, start))
    except StoreError as error:
        print(error)
    upto = store.upto
    print(upto >= stored, await all_of(store) == events(upto))
    print(len(await matching(store, "body.parity = even")) == upto // 2)
    try:
        await store.append(look, events(1))
    except StoreError as error:
        print(store.upto == upto)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
"""


def test_a_full_disk_is_one_sentence_and_what_was_stored_can_still_be_read(tmp_path: Path) -> None:
    sentence, *rest = said(session(tmp_path, FULL))
    assert sentence.startswith(f"There is no space to store more events in {tmp_path}: free some")
    assert rest == ["True True", "True", "True"]
    assert files(tmp_path) == []


AGAIN = """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    look = store.look(LOOK)
    refused = 0
    for start in range(0, 60_000, 500):
        try:
            await store.append(look, events(500, start))
        except StoreError:
            refused += 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            await store.append(look, events(500, start))
    await store.flush()
    print(refused, await all_of(store) == events(60_000))
"""


def test_when_there_is_space_again_nothing_is_missing(tmp_path: Path) -> None:
    assert said(session(tmp_path, AGAIN)) == ["1 True"]


# Recordings.


@asynccontextmanager
async def recorded(folder: Path, count: int) -> AsyncIterator[Path]:
    path = folder / "shop.recording"
    async with open_store(folder / "state", reading=READING) as store:
        look = store.look(LOOK)
        await store.append(look, events(count))
        await store.record(path)
        await store.append(look, events(count, count))
        store.cover(look, Coverage(2 * count, (Span("0", "0", str(2 * count)),)))
    yield path


async def test_a_recording_stays_and_is_read_as_it_was(tmp_path: Path) -> None:
    async with recorded(tmp_path, 3000) as path:
        assert files(tmp_path) == ["shop.recording", "state"]
        assert files(tmp_path / "state") == []
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        before = path.read_bytes()
        async with open_recording(path, READING) as recording:
            assert await all_of(recording) == events(6000)
            assert recording.looks[0].coverage.read == 6000
            assert await matching(recording, "body.parity = odd and body.n > 5990") == [5991, 5993, 5995, 5997, 5999]
            assert await matching(recording, "correlation = flow-599") == [*range(5990, 6000)]
        assert path.read_bytes() == before


async def test_a_view_goes_on_when_recording_begins(
    tmp_path: Path, small_rows: None, pool: ProcessPoolExecutor
) -> None:
    async with open_store(tmp_path / "state") as store:
        look = store.look(LOOK)
        view = View(store, compile("even", NOW))
        await store.append(look, events(200))
        await view.catch_up(pool)
        await store.record(tmp_path / "recording")
        await store.append(look, events(200, 200))
        await view.catch_up(pool)
        assert list(view.sequences) == list(range(0, 400, 2))


async def test_nothing_stays_in_the_private_file_of_what_is_recorded(tmp_path: Path) -> None:
    async with open_store(tmp_path / "state") as store:
        await store.append(store.look(LOOK), events(3000))
        await store.record(tmp_path / "recording")
        assert [name.rpartition(".")[2] for name in files(tmp_path / "state")] == ["lock"]
        assert await all_of(store) == events(3000)
        with pytest.raises(StoreError, match="is already being recorded"):
            await store.record(tmp_path / "another")
        assert files(tmp_path) == ["recording", "recording-shm", "recording-wal", "state"]
    assert files(tmp_path) == ["recording", "state"]
    assert files(tmp_path / "state") == []


async def next_save(store: Store) -> None:
    """Return when the time has passed after which a recording is saved again."""
    turn = store._recording
    await until(lambda: store._recording is not turn)


async def test_a_recording_of_what_stands_still_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.store.SAVED", 0.005)
    path = tmp_path / "recording"
    async with open_store(tmp_path / "state") as store:
        look = store.look(LOOK)
        await store.record(path)
        with closing(sqlite3.connect(path)) as reader:

            def changes() -> int:
                """A number that changes with each transaction of another's (https://sqlite.org/pragma.html)."""
                return int(reader.execute("PRAGMA data_version").fetchone()[0])

            async def has_changed(before: int) -> bool:
                """Whether anything is written before some times have passed at which it could be."""
                for _ in range(5):
                    await next_save(store)
                await store._on_thread(lambda: None)
                return changes() != before

            before = changes()
            await store.append(look, events(10))
            assert await has_changed(before)
            before = changes()
            assert not await has_changed(before)
            store.cover(look, Coverage(10, (Span("0", "0", "10"),)))
            assert await has_changed(before)
            await store.append(look, events(5, 10))
            before = changes()
            assert await has_changed(before)
    async with open_recording(path) as recording:
        assert await all_of(recording) == events(15)


class Held(Executor):
    """Begins nothing before it is let go."""

    def __init__(self, begun: int) -> None:
        self.begun = begun
        self.thread = ThreadPoolExecutor(1)
        self.let_go = threading.Event()
        self.thread.submit(self.let_go.wait)

    def submit(self, *call: Any, **named: Any) -> Future[Any]:
        self.begun -= 1
        return self.thread.submit(*call, **named)


async def test_a_search_that_runs_when_recording_begins_finds_the_private_file(
    tmp_path: Path, small_rows: None
) -> None:
    held = Held(2)
    async with open_store(tmp_path / "state") as store:
        await store.append(store.look(LOOK), events(300))
        await store.flush()
        view = View(store, compile("even", NOW))
        async with asyncio.TaskGroup() as group:
            group.create_task(view.catch_up(held))
            await until(lambda: held.begun <= 0)
            recording = group.create_task(store.record(tmp_path / "recording"))
            await until(lambda: store.recorded)
            assert not recording.done()
            held.let_go.set()
        assert list(view.sequences) == list(range(0, 300, 2))
        assert [name.rpartition(".")[2] for name in files(tmp_path / "state")] == ["lock"]
    held.thread.shutdown()


def test_a_recording_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "killed.recording"
    process = session(
        tmp_path / "state",
        f"""
        look = store.look(LOOK)
        await store.record(Path({str(path)!r}))
        await store.append(look, events(2500))
        with sqlite3.connect({str(path)!r}) as database:
            while database.execute("SELECT sum(count) FROM batches").fetchone()[0] != 2500:
                await asyncio.sleep(0.01)
        print("appending", flush=True)
        await asyncio.sleep(60)
        """,
    )
    killed_while(process)

    async def read() -> None:
        async with open_recording(path) as recording:
            assert await all_of(recording) == events(2500)

    asyncio.run(read())


async def test_a_recording_never_overwrites_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    async with open_store(tmp_path / "state") as store:
        with pytest.raises(StoreError, match="already exists"):
            await store.record(tmp_path / "taken")
        await store.append(store.look(LOOK), events(10))
        assert await store.get(9) == event(9)
    assert (tmp_path / "taken").read_text() == "mine"


async def test_a_recording_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with recorded(tmp_path, 10) as path:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 2")
        database.close()
        with pytest.raises(StoreError, match="recording of a newer version"):
            async with open_recording(path):
                pass


@pytest.mark.parametrize("content", [b"", b"not a database at all, but a text", b"SQLite format 3\0" + b"\xff" * 5000])
async def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(StoreError, match=r"is not a recording|is damaged"):
        async with open_recording(tmp_path / "file"):
            pass


async def test_a_missing_recording_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no file"):
        async with open_recording(tmp_path / "none"):
            pass


async def test_a_damaged_event_says_so(tmp_path: Path) -> None:
    async with recorded(tmp_path, 100) as path:
        with sqlite3.connect(path) as database:
            database.execute("UPDATE batches SET deliveries = zeroblob(length(deliveries))")
        database.close()
        async with open_recording(path) as recording:
            assert isinstance(await recording.get(0), Damaged)


async def test_an_export_has_a_row_for_each_event(tmp_path: Path) -> None:
    target = tmp_path / "shop.db"
    async with recorded(tmp_path, 20) as path:
        assert export(path, target, READING) == 40
        with pytest.raises(StoreError, match="already exists"):
            export(path, target, READING)
    with sqlite3.connect(target) as database:
        rows = database.execute(
            'SELECT sequence, endpoint, "offset", key, json_extract(body, "$.n"), correlation,'
            ' json_extract(headers, "$[0][1]"), time FROM events WHERE sequence IN (0, 39) ORDER BY sequence'
        ).fetchall()
        looks = database.execute("SELECT endpoint, json_extract(coverage, '$.read') FROM looks").fetchall()
    database.close()
    assert rows == [
        (0, "kafka/payments", 0, "0", 0, "flow-0", "flow-0", "1970-01-01T00:00:00.000Z"),
        (39, "kafka/payments", 39, "39", 39, "flow-3", "flow-3", "1970-01-01T00:00:00.039Z"),
    ]
    assert looks == [("kafka/payments", 40)]


def test_private_files_are_locked_against_every_other_session(tmp_path: Path) -> None:
    with private_file(tmp_path) as path:
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)


async def test_appending_from_many_tails_at_once_keeps_each_in_order(tmp_path: Path, small_rows: None) -> None:
    chance = random.Random(7)
    async with open_store(tmp_path) as store:

        async def tail(number: int) -> None:
            look = store.look(LOOK)
            at = 0
            while at < 200:
                size = min(chance.randint(1, 9), 200 - at)
                await store.append(look, events(size, number * 1000 + at))
                at += size
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(tail(number))
        for look in range(5):
            view = View(store, None, [look], "stored")
            await view.catch_up()
            mine = await store.rows(array("q", view.sequences))
            assert mine == events(200, look * 1000)


async def test_a_name_that_is_not_utf_8_is_kept_as_it_is_spelled(tmp_path: Path) -> None:
    written = Content((("\ud800", ["\udfff", {"\ud800": 1}]),), {"type": "\udcff"})
    strange = Delivery(Event(b"k", b"b", None, written), Address("r", "q\udcff"), NOW, exchange="\udcfe")
    async with open_store(tmp_path) as store:
        await store.append(store.look(LOOK), [strange])
        await store.flush()
        kept = await store.get(0)
    assert kept is not None and kept.exchange == r"\udcfe" and kept.address.name == r"q\udcff"
    assert kept.event.headers == ((r"\ud800", [r"\udfff", {r"\ud800": 1}]),)
    assert kept.event.properties == {"type": r"\udcff"}
