"""Recordings for other tools: a row for each event, with its headers decoded, for sqlite3, DuckDB and Datasette."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from workbench.decode import ndjson
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Delivery
from workbench.query.query import PLAIN, Reading
from workbench.store.database import failures, read
from workbench.store.session_file import new_file
from workbench.store.stored_row import stored_firsts, stored_looks, stored_row

_TABLES: Final = """
CREATE TABLE looks (id INTEGER PRIMARY KEY, endpoint TEXT, kind TEXT, at TEXT, coverage TEXT);
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY, look INTEGER REFERENCES looks(id), endpoint TEXT, time TEXT, time_type TEXT,
    seen_at TEXT, partition, "offset", exchange TEXT, redelivered INTEGER, attempt INTEGER, type TEXT, correlation TEXT,
    message TEXT, causation TEXT, reason TEXT, key, body, headers TEXT, properties TEXT
);
"""
_COLUMNS: Final = 20


def export(source: Path, target: Path, reading: Reading = PLAIN) -> int:
    """Write a recording, or what a store has written so far, as a table `events` with a row for each.

    Times are ISO 8601 in UTC. Keys and bodies are text where they are UTF-8, else blobs; `headers` and `properties` are
    JSON as in NDJSON lines (ndjson.py). What is masked stays masked. It computes for long: run it in a worker.

    Args:
        source: The recording.
        target: The file to make.
        reading: How deliveries are understood.

    Returns:
        How many events were written.

    Raises:
        StoreError: The recording cannot be read, there is such a file already, or there is no space.
    """
    with closing(read(source)) as recording:
        new_file(target)
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as database, failures(target):
                database.executescript(_TABLES)
                database.execute("BEGIN")
                database.executemany("INSERT INTO looks VALUES (?, ?, ?, ?, ?)", _looks(recording, source))
                marks = ", ".join("?" * _COLUMNS)
                written = database.executemany(
                    f"INSERT INTO events VALUES ({marks})", _events(recording, source, reading)
                ).rowcount
                database.execute("COMMIT")
                return max(written, 0)
        except StoreError:
            target.unlink(missing_ok=True)
            raise


class _Line(msgspec.Struct):
    """What is taken from an event's NDJSON line."""

    seen_at: str | int
    time: str | int | None = None
    headers: msgspec.Raw = msgspec.Raw(b"null")
    properties: msgspec.Raw = msgspec.Raw(b"null")


def _looks(recording: sqlite3.Connection, source: Path) -> Iterator[tuple[Any, ...]]:
    with failures(source):
        for id, look in stored_looks(recording).items():
            coverage = msgspec.json.encode(look.coverage).decode()
            yield id, str(look.address), look.kind, look.at, coverage


def _events(recording: sqlite3.Connection, source: Path, reading: Reading) -> Iterator[tuple[Any, ...]]:
    with failures(source):
        looks = stored_looks(recording)
        for first in stored_firsts(recording):
            if (row := stored_row(recording, first)) is None:
                continue
            for index, look in enumerate(row.looks):
                delivery = reading.mask(row.delivery(index, looks))
                yield first + index, look, *_event(delivery, reading)


def _event(delivery: Delivery, reading: Reading) -> tuple[Any, ...]:
    event = delivery.event
    facts = reading.facts(delivery)
    try:
        line = _decode_line(ndjson.encode(delivery))
    except FormatError:
        # Its headers hold what no JSON can say.
        line = _Line(delivery.seen_at, event.timestamp)
    place = ndjson.position(delivery.position) if delivery.position is not None else {}
    return (
        str(delivery.address),
        line.seen_at if line.time is None else line.time,
        delivery.time[1],
        line.seen_at,
        place.get("partition"),
        place.get("offset"),
        delivery.exchange,
        delivery.redelivered,
        delivery.attempt,
        *(next(iter(facts.all(kind)), None) for kind in ("type", "correlation", "message", "causation")),
        next(iter(facts.all("failure.reason")), None),
        _text_or_bytes(event.key),
        _text_or_bytes(event.body),
        bytes(line.headers).decode(),
        bytes(line.properties).decode(),
    )


def _text_or_bytes(data: bytes | None) -> str | bytes | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


_decode_line: Final = msgspec.json.Decoder(_Line).decode
