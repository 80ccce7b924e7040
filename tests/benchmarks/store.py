"""The store, side by side with a list in memory and with SQLite as one would first use it: a row for each event.

    python -m tests.benchmarks.store [EVENTS]

Prints rates and ratios of one run. Ratios are what to compare: rates drift with whatever else the machine does.
"""

import asyncio
import resource
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event, Position
from workbench.model.look import Look
from workbench.query.query import Reading, compile
from workbench.store.store import Store, open_store
from workbench.store.view import View
from workbench.store.workers import Workers

BATCH = 500
TOPIC = Address("kafka", "payments")
LOOK = Look(TOPIC, "tail", 0)
TYPES = ("OrderPlaced", "PaymentRequested", "PaymentSettled", "PaymentDeclined")


def batches(count: int) -> Iterator[Sequence[Delivery]]:
    """JSON events of 400 bytes with two headers, from twelve partitions, ten events to a correlation."""
    for start in range(0, count, BATCH):
        yield [delivery(number) for number in range(start, min(start + BATCH, count))]


def delivery(number: int) -> Delivery:
    """One event; all that is in it follows from its number."""
    body = (
        f'{{"id":{number},"orderId":"A-{number // 10}","type":"{TYPES[number % 4]}","customer":{{"city":"Berlin"}},'
        f'"total":{number % 1000}.50,"items":[{{"sku":"S-{number % 97}","qty":2}}],"note":"'
    ).encode()
    headers = (("correlation_id", correlation(number)), ("attempt", b"1"))
    event = Event(b"%d" % number, body.ljust(398, b".") + b'"}', None, Content(headers), 1_700_000_000_000 + number)
    return Delivery(event, TOPIC, 1_800_000_000_000, Position(str(number % 12), str(number // 12)))


def correlation(number: int) -> str:
    """Ten neighbours share one."""
    return f"7f3a90c2-0000-4000-8000-{number // 10:012x}"


def facts(delivery: Delivery) -> Facts:
    """What the conventions that ship say."""
    return Conventions.load([]).facts(delivery)


def resident() -> float:
    """Megabytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


@contextmanager
def lags(into: list[float]) -> Iterator[None]:
    """How much later than asked for the event loop wakes, in milliseconds, every 2 ms meanwhile."""
    loop = asyncio.get_running_loop()
    over = False

    def tick(due: float) -> None:
        now = loop.time()
        into.append((now - due) * 1000)
        if not over:
            loop.call_at(now + 0.002, tick, now + 0.002)

    loop.call_soon(tick, loop.time())
    yield
    over = True


def report(what: str, seconds: float, count: int, note: str = "") -> None:
    """One line."""
    print(f"{what:46} {seconds:6.2f} s {count / seconds / 1000:8.0f} k/s  {note}", flush=True)


def bare_list(count: int) -> float:
    """Batches made and kept, as if memory were endless; the time to make them is in all figures."""
    began = time.perf_counter()
    for _ in batches(count):
        pass
    return time.perf_counter() - began


def row_per_event(folder: Path, count: int) -> float:
    """SQLite with a row for each event and an index on the correlation."""
    database = sqlite3.connect(folder / "rows.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(
        "CREATE TABLE events (sequence INTEGER PRIMARY KEY, time INTEGER, partition TEXT, offset TEXT, key BLOB,"
        " body BLOB, correlation TEXT, attempt BLOB)"
    )
    database.execute("CREATE INDEX correlations ON events (correlation)")
    began = time.perf_counter()
    for batch in batches(count):
        database.execute("BEGIN")
        database.executemany(
            "INSERT INTO events (time, partition, offset, key, body, correlation, attempt)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    each.event.timestamp,
                    each.position.partition if each.position else None,
                    each.position.offset if each.position else None,
                    each.event.key,
                    each.event.body,
                    *(value for _, value in each.event.headers),
                )
                for each in batch
            ],
        )
        database.execute("COMMIT")
    seconds = time.perf_counter() - began
    database.close()
    (folder / "rows.db").unlink()
    return seconds


async def filtered(store: Store, text: str, executor: Executor | None, reading: Reading) -> None:
    """One filter over all, with the event loop's lag meanwhile."""
    view = View(store, compile(text, 1_800_000_000_000, reading))
    late: list[float] = []
    steps: list[float] = []
    began = time.perf_counter()
    with lags(late):
        await view.catch_up(executor, lambda: steps.append(time.perf_counter() - began))
    seconds = time.perf_counter() - began
    first = f"first answer {steps[0] * 1000:.0f} ms"
    where = "processes" if executor else "a thread"
    report(f"  {text[:32]:32} in {where}", seconds, view.examined, f"{len(view):,} match; {first}; {worst(late)}")


def worst(late: list[float]) -> str:
    """The lag that one wake in a hundred exceeds."""
    return f"lag p99 {sorted(late)[int(len(late) * 0.99)]:.1f} ms"


async def measured(folder: Path, count: int) -> None:
    """Everything about one store."""
    making = bare_list(count)
    report("events made, and dropped", making, count)
    reading = Reading(facts)
    before = resident()
    async with open_store(folder, reading=reading) as store:
        look = store.look(LOOK)
        late: list[float] = []
        began = time.perf_counter()
        with lags(late):
            for batch in batches(count):
                await store.append(look, batch)
                await asyncio.sleep(0)
            await store.flush()
        storing = time.perf_counter() - began
        report("appended to the store", storing, count, worst(late))
        print(f"{'memory':46} {resident() - before:6.0f} MB more than before, {resident():.0f} MB in all")
        print(f"{'on disk':46} {store.path.stat().st_size / 1e6:6.0f} MB")
        rows = row_per_event(folder, count)
        report("a row for each event, indexed", rows, count)
        print(
            f"{'beyond making the events':46} the store {storing - making:.2f} s, rows {rows - making:.2f} s:"
            f" {(rows - making) / (storing - making):.1f} times as long"
        )
        with Workers() as pool:
            middle = count // 2
            for text in (
                f"'{correlation(middle)}'",
                f"body.orderId = A-{middle // 10}",
                f"correlation = {correlation(middle)} and body.total > 1",
                "body.type = PaymentDeclined",
                "body.total > 990",
                "type = PaymentDeclined and body.total > 990",
                "endpoint = payments",
                "key ~ '77$'",
            ):
                await filtered(store, text, pool, reading)
                await filtered(store, text, None, reading)
        print(f"{'memory at the end':46} {resident():6.0f} MB; {threading.active_count()} threads")


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asyncio.run(measured(Path(folder), count))


if __name__ == "__main__":
    main()
