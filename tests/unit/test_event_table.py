"""The table that commands print: the columns of the screen, as wide as the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.hostile import deliveries
from workbench.cli.event_table import EventTable
from workbench.cli.output import UNCUT
from workbench.decode.codec import query_value
from workbench.decode.display import cells, visible
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import encode
from workbench.query.query import Reading
from workbench.table.columns import column_of

READING = Reading(facts=Conventions.load([]).facts, body=query_value)
NOW = round(datetime.now().replace(hour=12, minute=0, second=0, microsecond=0).timestamp() * 1000)
FLOW = "7f3a90c2-0000-4000-8000-000000000001"
DIED = 1_764_000_000_000


def seen(
    body: bytes = b"{}", position: Position | None = None, time: int | None = NOW, death: Any = None, **headers: Value
) -> Delivery:
    if death is not None:
        headers["x-death"] = [death]
    event = Event(b"k-1", body, encode(Content(tuple(headers.items()))), timestamp=time)
    return Delivery(event, Address("r", "orders"), NOW, position)


def table(batches: Sequence[Sequence[Delivery]], width: int = 120, columns: str = "", mixed: bool = False) -> list[str]:
    picked = [column_of(name) for name in columns.split(",")] if columns else None
    lines = EventTable(picked, READING, mixed, False)
    return [line for batch in batches for line in lines.lines(batch, width)]


def test_the_facts_stand_in_the_columns_of_the_screen() -> None:
    title, row = table([[seen(b'{"a":1}', correlation_id=FLOW, type="OrderPlaced")]])
    assert title.split() == ["time", "type", "correlation", "key", "body"]
    assert row.split() == ["12:00:00.000", "OrderPlaced", FLOW, "k-1", '{"a":1}']


def test_several_endpoints_are_told_apart_and_a_log_says_positions() -> None:
    title, row = table([[seen(position=Position("3", "1200"))]], mixed=True)
    assert title.split() == ["time", "from", "position", "key", "body"]
    assert row.split() == ["12:00:00.000", "orders", "3:1200", "k-1", "{}"]


def test_a_dead_letter_says_why_and_when_it_died() -> None:
    death = {"queue": "q", "exchange": "", "reason": "rejected", "time": datetime.fromtimestamp(DIED / 1000, UTC)}
    title, day, row = table([[seen(time=None, death=death, correlation_id=FLOW)]])
    assert title.split() == ["time", "reason", "type", "correlation", "body"]
    died = datetime.fromtimestamp(DIED / 1000)
    assert day == f"── {died:%Y-%m-%d} ──"
    assert row.split()[:2] == [f"{died:%H:%M:%S.000}", "rejected"]


def test_an_event_that_carries_its_time_is_told_by_that() -> None:
    death = {"queue": "q", "exchange": "", "reason": "rejected", "time": datetime.fromtimestamp(DIED / 1000, UTC)}
    assert "12:00:00.000" in table([[seen(death=death)]])[-1]


def test_a_column_that_comes_in_later_gets_titles_anew() -> None:
    lines = table([[seen()], [seen()], [seen(type="OrderPlaced")], [seen(type="OrderShipped")]])
    titles = [line.split() for line in lines if line.startswith("time")]
    assert titles == [["time", "key", "body"], ["time", "type", "key", "body"]]
    assert len(lines) == 6


def test_chosen_columns_stand_as_they_were_chosen() -> None:
    event = seen(b'{"total": 12.50, "id": 7}', retry="3")
    title, row = table([[event]], columns="body.total,header.retry,size,seen,time")
    assert title.split() == ["body.total", "header.retry", "size", "seen", "time"]
    assert row.split() == ["12.50", "3", "25", "12:00:00.000", "12:00:00.000"]


def test_chosen_columns_stay_though_nothing_is_in_them() -> None:
    title, row = table([[seen()]], columns="time,causation,body")
    assert title.split() == ["time", "caused", "by", "body"]
    assert row.split() == ["12:00:00.000", "{}"]


def test_off_a_terminal_nothing_is_cut() -> None:
    key, body = "k" * 300, b'{"a":"' + b"x" * 40_000 + b'"}'
    event = Event(key.encode(), body, encode(Content((("correlation_id", FLOW),))), timestamp=NOW)
    row = table([[Delivery(event, Address("r", "orders"), NOW)]], UNCUT)[-1]
    assert row.split() == ["12:00:00.000", FLOW, key, body.decode()]


@pytest.mark.parametrize(
    "inside", [b"\x02H\x00\x0cBerlin\xff\xfe", b'{"city":"Berlin"}', b"\x06Berlin"], ids=["avro", "json", "text"]
)
def test_a_body_in_a_registrys_frame_is_shown_without_the_frame(inside: bytes) -> None:
    row = table([[seen(b"\0" + (42).to_bytes(4) + inside)]])[-1]
    assert row.split()[2] in (f"0x{inside.hex()}", visible(inside.decode("utf-8", "replace")))
    assert "␀" not in row


@pytest.mark.parametrize("width", [40, 80, 120, 220])
def test_no_line_is_wider_than_the_terminal_and_none_is_torn(width: int) -> None:
    for mixed in (False, True):
        for line in table([[delivery] for _, delivery in deliveries(huge=False)], width, mixed=mixed):
            assert "\n" not in line
            assert line == visible(line)
            assert cells(line) <= width


@pytest.mark.parametrize("columns", ["body.a,time", "header.x,body", "correlation,reason,message,causation,attempts"])
def test_whatever_a_stranger_wrote_chosen_columns_show_it(columns: str) -> None:
    lines = table([[delivery for _, delivery in deliveries(huge=False)]], 100, columns)
    assert all(line == visible(line) and cells(line) <= 100 for line in lines)
