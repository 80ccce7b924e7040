"""A number, and an id, looked for in events that are held: beside DuckDB and grep over the NDJSON of the same events.

    python -m tests.benchmarks.numbers [EVENTS]

The processes that search are started, and the files are read once, before it counts. What is compared takes turns, and
a ratio is that of two neighbours.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.benchmarks.peers import installed
from tests.benchmarks.store import LOOK, batches, correlation, delivery
from workbench.decode import ndjson
from workbench.decode.codec import query_value
from workbench.facts.conventions import Conventions
from workbench.query.query import Reading, compile
from workbench.store.store import open_store
from workbench.store.view import View
from workbench.store.workers import Workers

ROUNDS = 5
NUMBER = "body.total > 990"
DUCKDB = "2.0.1"
_QUERY = (
    "SELECT count(*) FROM read_json('{}', columns = {{body: 'STRUCT(json STRUCT(total DOUBLE))'}})"
    " WHERE body.json.total > 990"
)


_ANSWER = """
import duckdb, sys, time
for query in sys.stdin:
    began = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute("SET enable_progress_bar = false")
        (found,) = connection.execute(query).fetchone()
    print(time.perf_counter() - began, found, flush=True)
"""


def main(count: int) -> None:
    """Start DuckDB and compare with it."""
    command = [str(installed("duckdb", DUCKDB) / "python"), "-c", _ANSWER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as duckdb:
        asyncio.run(compare(count, duckdb))


async def compare(count: int, duckdb: "subprocess.Popen[str]") -> None:
    """Fill a store, write its events to a file, and compare."""
    reading = Reading(facts=Conventions.load([]).facts, body=query_value)
    wanted = correlation(count // 2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.ndjson"
        with file.open("wb") as lines:
            for number in range(count):
                lines.write(ndjson.encode(delivery(number)))
        async with open_store(Path(folder), reading=reading) as store:
            look = store.look(LOOK)
            for batch in batches(count):
                await store.append(look, batch)
            await store.flush()
            workers = Workers(2)

            async def ours(text: str) -> tuple[float, int]:
                began = time.perf_counter()
                view = View(store, compile(text, reading=reading))
                await view.catch_up(workers)
                return time.perf_counter() - began, len(view)

            def theirs() -> tuple[float, int]:
                assert duckdb.stdin is not None and duckdb.stdout is not None
                print(_QUERY.format(file), file=duckdb.stdin, flush=True)
                seconds, found = duckdb.stdout.readline().split()
                return float(seconds), int(found)

            def grep() -> tuple[float, int]:
                began = time.perf_counter()
                done = subprocess.run(["grep", "-c", wanted, file], capture_output=True, check=True)
                return time.perf_counter() - began, int(done.stdout)

            print(f"{count:,} events held, {file.stat().st_size / 1e6:,.0f} MB as NDJSON")
            for what, text, name, other in ((NUMBER, NUMBER, "DuckDB", theirs), ("an id", wanted, "grep -c", grep)):
                figures = []
                for turn in range(ROUNDS + 1):
                    (mine, found), (others, same) = await ours(text), other()
                    assert found == same, (what, found, same)
                    if turn:
                        figures.append((mine, others, mine / others))
                seconds, beside, ratio = (median(column) for column in zip(*figures, strict=True))
                print(
                    f"  {what:18} {seconds:.3f} s  {name} {beside:.3f} s  ratio {ratio:.2f}  {found:,} found",
                    flush=True,
                )
            workers.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
