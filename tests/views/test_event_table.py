"""The event table on a real store, moved by keys and mouse, and read as it is drawn."""

import asyncio
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Static

from tests.hostile import deliveries as hostile
from views.theme import ThemedApp
from views.widgets import event_rows
from views.widgets.dividers import Dividers
from views.widgets.event_table import SIGNS, EventTable
from workbench.decode.codec import query_value
from workbench.decode.display import cells, shorten_middle
from workbench.decode.preview import preview
from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import QueryError
from workbench.model.event import Delivery, Event, Position
from workbench.model.look import Look
from workbench.query.field import Field
from workbench.query.query import Reading, compile, quote
from workbench.store.archive import Archive
from workbench.store.batch import encode
from workbench.store.store import Budget, Store, open_store
from workbench.store.view import View
from workbench.table.columns import COLUMNS, column_of, fit

TOPIC = Address("kafka", "payments")
NOW = round(datetime.now().replace(hour=12, minute=0, second=0, microsecond=0).timestamp() * 1000)
READING = Reading(Conventions.load([]).facts, query_value)
HEIGHT = 12
OBEYED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me")


def event(number: int, time: int | None = None, body: bytes | None = None, address: Address = TOPIC) -> Delivery:
    """The event `n<number>`, at that many milliseconds past noon."""
    headers = (("correlation_id", f"7f3a90c2-0000-4000-8000-{number // 2:012x}"), ("type", f"Type{number % 3}"))
    body = body if body is not None else b'{"n":"n%d"}' % number
    return Delivery(
        Event(b"key-%d" % number, body, None, Content(headers), NOW + (number if time is None else time)),
        address,
        NOW,
        Position("0", str(number)),
    )


def events(start: int, end: int) -> list[Delivery]:
    return [event(number) for number in range(start, end)]


class Screen(ThemedApp):
    """The table alone, and what it told."""

    CSS = f"EventTable {{ height: {HEIGHT}; }} Static {{ height: 1; }}"

    def __init__(self) -> None:
        super().__init__()
        self.moved: list[int | None] = []
        self.opened: list[int] = []

    def compose(self) -> ComposeResult:
        yield EventTable(id="table")
        yield Static("below", id="below")

    def on_mount(self) -> None:
        self.table.focus()

    @property
    def table(self) -> EventTable:
        return self.query_one(EventTable)

    def on_event_rows_moved(self, message: EventTable.Moved) -> None:
        self.moved.append(message.sequence)

    def on_event_table_opened(self, message: EventTable.Opened) -> None:
        self.opened.append(message.sequence)


class Bench:
    """A table over a store."""

    def __init__(self, app: Screen, pilot: Pilot[None], store: Store) -> None:
        self.app, self.pilot, self.store = app, pilot, store
        self.look = store.look(Look(TOPIC, "tail", 0))
        self.view = View(store)

    @property
    def table(self) -> EventTable:
        return self.app.table

    async def show(self, text: str = "") -> None:
        """Another view, on all that is there and matches."""
        self.view = View(self.store, compile(text, NOW, self.store.reading))
        self.table.show(self.store, self.view)
        await self.grow([])

    async def grow(self, some: Sequence[Delivery]) -> None:
        """Store events and let the table know."""
        await self.store.append(self.look, some)
        await self.view.catch_up()
        self.table.update_rows()
        await self.pause()

    @property
    def width(self) -> int:
        """Cells of a line that the scrollbar does not hide."""
        return self.table.scrollable_content_region.width

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pause()

    async def click(self, x: int, y: int, times: int = 1) -> None:
        await self.pilot.click(EventTable, offset=(x, y), times=times)
        await self.pause()

    async def pause(self) -> None:
        """Let what is fetched be fetched and drawn."""
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    @property
    def lines(self) -> list[str]:
        """The table as it is drawn, header first."""
        return [self.table.render_line(y).text for y in range(self.table.size.height)]

    @property
    def shown(self) -> list[str]:
        """Which events can be seen."""
        return re.findall(r'"n":"(n\d+)"', "".join(self.lines))

    @property
    def at(self) -> str:
        """The line with the cursor's sign."""
        (line,) = [line for line in self.lines if line.startswith("▌")]
        return line


@asynccontextmanager
async def bench(
    folder: Path,
    first: Sequence[Delivery] = (),
    *,
    columns: int = 120,
    reading: Reading = READING,
    budget: Budget | None = None,
) -> AsyncIterator[Bench]:
    app = Screen()
    async with (
        open_store(folder, budget or Budget(), reading) as store,
        app.run_test(size=(columns, HEIGHT + 1)) as pilot,
    ):
        made = Bench(app, pilot, store)
        await store.append(made.look, first)
        await made.show()
        yield made


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of seven deliveries, so that a few deliveries are many rows."""
    monkeypatch.setattr("workbench.store.store.COUNT", 7)


def names(numbers: Iterable[int]) -> list[str]:
    return [f"n{number}" for number in numbers]


# Moving.


async def test_the_table_begins_at_the_end_and_follows(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        assert it.shown == names(range(89, 100))
        assert it.table.cursor == 99
        await it.grow(events(100, 103))
        assert it.shown == names(range(92, 103))
        assert "n102" in it.at
        assert it.app.moved == [99, 102]


async def test_keys_move_the_cursor_and_the_lines_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        for key, at, top in (
            ("up", 98, 89),
            ("pageup", 87, 87),
            ("down", 88, 87),
            ("home", 0, 0),
            ("up", 0, 0),
            ("pagedown", 11, 1),
            ("end", 99, 89),
            ("down", 99, 89),
        ):
            await it.press(key)
            assert (it.table.cursor, it.shown[0]) == (at, f"n{top}"), key
            assert f'"n{at}"' in it.at
        it.table.action_half_page_up()
        assert it.table.cursor == 94
        it.table.action_half_page_down()
        assert it.table.cursor == 99


async def test_going_up_stops_following_and_going_to_the_end_begins_it(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 5)) as it:
        assert (it.table.follow, it.table.cursor) == (True, 4)
        await it.press("up")
        await it.grow(events(5, 7))
        assert (it.table.follow, it.table.cursor) == (False, 3)
        await it.press("end")
        await it.grow(events(7, 9))
        assert (it.table.follow, it.table.cursor) == (True, 8)


async def test_a_list_that_is_not_followed_begins_at_its_top(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        it.table.follow = False
        await it.show("key ~ '0$'")
        assert it.table.cursor == 0
        assert it.shown == names(range(0, 100, 10))
        assert it.table.unseen == 0


async def test_the_cursor_is_told_of_whenever_it_is_on_another_event(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        assert it.app.moved == []
        await it.grow(events(0, 2))
        await it.press("up", "up", "down")
        assert it.app.moved == [1, 0, 1]
        await it.show("key = nothing")
        assert it.app.moved == [1, 0, 1, None]
        assert it.table.cursor is None


async def test_the_cursor_can_be_put_on_an_event(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        it.table.go_to(40)
        await it.pause()
        assert it.table.cursor == 40
        assert "n40" in it.shown
        it.table.go_to(1000)
        assert it.table.cursor == 40


async def test_cursor_and_lines_stay_on_their_events_when_others_come_in_before(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(number, 1000 + number) for number in range(100)]) as it:
        it.table.go_to(50)
        await it.pause()
        before = it.shown
        await it.grow([event(number, number) for number in range(200, 230)])
        assert it.table.cursor == 50
        assert it.shown == before
        await it.press("down")
        assert it.table.cursor == 51


async def test_lines_stay_when_the_cursor_is_out_of_sight(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(number, 1000 + number) for number in range(100)]) as it:
        await it.press("home")
        it.table.scroll_to(y=50, animate=False)
        await it.pause()
        assert it.shown == names(range(50, 61))
        await it.grow([event(number, number) for number in range(200, 230)])
        assert it.shown == names(range(50, 61))
        assert it.table.cursor == 0


# The mouse.


async def test_a_click_goes_to_an_event_and_another_opens_it(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        await it.click(30, 3)
        assert it.table.cursor == 91
        assert it.app.opened == []
        assert not it.table.follow
        await it.click(30, 3)
        assert it.app.opened == [91]
        await it.click(30, 5, times=2)
        assert it.app.opened == [91, 93]


async def test_the_wheel_scrolls_and_following_ends(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        it.table.post_message(MouseScrollUp(it.table, 5, 5, 0, -1, 0, False, False, False))
        await it.pause()
        assert not it.table.follow
        assert it.shown[-1] != "n99"
        assert len(it.shown) == HEIGHT - 1
        assert it.table.cursor == 99


# What is new.


async def test_what_comes_in_unseen_is_counted_on_a_chip_that_leads_there(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        await it.press("home")
        assert it.table.unseen == 0
        await it.grow(events(100, 1304))
        assert it.table.unseen == 1204
        assert it.lines[-1].endswith(" ↓ 1,204 new ")
        assert it.width == 120 - it.table.scrollbar_size_vertical
        assert cell_len(it.lines[-1]) == it.width
        await it.click(it.width - 3, HEIGHT - 1)
        assert it.table.follow
        assert (it.table.cursor, it.table.unseen) == (1303, 0)
        assert "new" not in it.lines[-1]


async def test_who_was_at_the_end_has_seen_it(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 50)) as it:
        await it.press("up")
        await it.grow(events(50, 53))
        assert it.table.unseen == 3
        it.table.scroll_to(y=1000, animate=False)
        await it.pause()
        assert it.table.unseen == 0
        await it.grow(events(53, 54))
        assert it.table.unseen == 1


async def test_what_was_there_before_the_list_was_shown_is_not_new(tmp_path: Path, small_rows: None) -> None:
    async with bench(tmp_path) as it:
        it.table.follow = False
        await it.store.append(it.look, events(0, 100))
        it.view = View(it.store)
        it.table.show(it.store, it.view)
        await it.view.catch_up(changed=it.table.update_rows)
        await it.pause()
        assert (it.table.cursor, it.table.unseen) == (0, 0)
        await it.grow(events(100, 101))
        assert it.table.unseen == 1


async def test_what_comes_in_out_of_sight_repaints_nothing_but_the_chip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        await it.press("home")
        await it.grow(events(100, 101))
        painted: list[int] = []
        render = EventTable.render_line

        def rendered(table: EventTable, y: int) -> Strip:
            painted.append(y)
            return render(table, y)

        monkeypatch.setattr(EventTable, "render_line", rendered)
        await it.grow(events(101, 102))
        assert painted == [HEIGHT - 1]
        assert it.table.vertical_scrollbar.window_virtual_size == it.table.virtual_size.height == 103
        assert it.table.max_scroll_y == 103 - HEIGHT


# Marks.


async def test_marking_goes_on_and_marks_are_seen(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 5)) as it:
        await it.press("home")
        it.table.toggle_mark()
        it.table.toggle_mark()
        assert it.table.marks == {0, 1}
        assert it.table.cursor == 2
        assert [line[1] for line in it.lines[1:4]] == ["●", "●", " "]
        it.table.go_to(0)
        it.table.toggle_mark()
        assert it.table.marks == {1}


async def test_shift_and_an_arrow_mark_what_the_cursor_passes(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 9)) as it:
        await it.press("home", "shift+down", "shift+down")
        assert it.table.marks == {0, 1, 2}
        await it.press("end", "shift+up")
        assert it.table.marks == {0, 1, 2, 7, 8}


async def test_a_range_is_marked_from_where_it_was_begun_to_the_cursor(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        await it.press("home", "down")
        it.table.mark_range()
        await it.press("down", "down")
        assert [line[1] for line in it.lines[1:6]] == [" ", "○", "○", "○", " "]
        await it.press("pagedown")
        it.table.mark_range()
        assert it.table.marks == set(range(1, 15))
        it.table.mark_range()
        await it.press("up")
        it.table.leave_range()
        assert it.table.marks == set(range(1, 15))


async def test_all_are_marked_or_none_or_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 50_000)) as it:
        await it.table.mark_all()
        assert it.table.mark_count == 50_000
        await it.show("key ~ '[05]$'")
        assert it.table.mark_count == 10_000
        await it.table.invert_marks()
        assert it.table.mark_count == 0
        await it.show()
        assert it.table.mark_count == 40_000
        await it.table.mark_all()
        await it.table.mark_all()
        assert it.table.marks == frozenset()


async def test_a_filter_hides_marks_and_does_not_forget_them(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 5)) as it:
        await it.press("home")
        it.table.toggle_mark()
        it.table.toggle_mark()
        await it.show("key = key-1")
        assert it.table.marks == {1}
        await it.show()
        assert it.table.marks == {0, 1}


# What was dropped.


async def test_what_was_dropped_leaves_and_the_cursor_goes_to_what_is_nearest(tmp_path: Path, small_rows: None) -> None:
    async with bench(tmp_path, events(0, 14), budget=Budget(events=20)) as it:
        await it.press("home")
        it.table.toggle_mark()
        it.table.go_to(12)
        it.table.toggle_mark()
        await it.press("home")
        await it.store.append(it.look, events(14, 21))
        await it.store.flush()
        await it.grow([])
        assert it.store.first == 7
        assert it.table.cursor == 7
        assert it.table.marks == {12}
        assert it.shown == names(range(7, 18))
        assert it.app.moved[-1] == 7


async def test_a_line_whose_event_was_dropped_before_it_was_drawn_says_so(tmp_path: Path, small_rows: None) -> None:
    async with bench(tmp_path, events(0, 14), budget=Budget(events=20)) as it:
        await it.press("home")
        it.table._cells.clear()
        await it.store.append(it.look, events(14, 21))
        await it.store.flush()
        it.table._fetch_missing()
        await it.pause()
        assert "no longer held" in it.lines[1]


# Columns.


async def test_columns_are_what_conventions_say(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(0)]) as it:
        assert it.lines[0].split() == ["time", "from", "type", "correlation", "key", "body"]
        assert it.lines[1].split() == [
            "▌",
            "12:00:00.000",
            "payments",
            "Type0",
            f"7f3a90c2-0000-4000-8000-{0:012x}",
            "key-0",
            '{"n":"n0"}',
        ]


async def test_every_column_can_be_shown_in_any_order(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(7)], columns=240) as it:
        assert {column.id for column in it.table.all_columns} == {column.id for column in COLUMNS}
        it.table.columns = list(reversed(it.table.all_columns))
        await it.pause()
        assert re.split(r"  +", it.lines[0].strip()) == [column.title for column in reversed(COLUMNS)]
        words = it.lines[1].split()
        assert words[1] == '{"n":"n7"}'
        assert words[-1] == "12:00:00.007"
        assert "0:7" in words


async def test_a_narrow_screen_has_only_what_is_needed(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 30), columns=80) as it:
        assert it.lines[0].split() == ["time", "from", "type", "correlation", "body"]
        await it.pilot.resize_terminal(120, HEIGHT + 1)
        await it.pause()
        assert "key" in it.lines[0]
        it.table.columns = it.table.all_columns[:2]
        await it.pilot.resize_terminal(80, HEIGHT + 1)
        await it.pause()
        assert it.lines[0].split() == ["time", "from"]


async def test_a_body_of_which_there_would_be_a_shard_leaves_its_room_to_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 30), columns=56) as it:
        assert it.lines[0].split() == ["time", "from", "type", "correlation"]
        it.table.columns = [column_of(id) for id in ("time", "from", "type", "correlation", "body")]
        await it.pause()
        assert it.lines[0].split()[:4] == ["time", "from", "type", "correlation"] and "bo" in it.lines[0]


async def test_a_click_on_a_header_chooses_the_column_that_is_widened(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 3)) as it:
        assert it.table.chosen_column == "key"
        await it.click(it.lines[0].index("from") + 1, 0)
        assert it.table.chosen_column == "from"
        assert it.table.cursor == 2
        before = it.lines[0].index("type")
        it.table.widen(it.table.chosen_column, 5)
        await it.pause()
        assert it.lines[0].index("type") == before + 5
        it.table.widen(it.table.chosen_column, -100)
        await it.pause()
        assert it.lines[0].index("type") == it.lines[0].index("from") + 6
        it.table.widen("body", 5)
        await it.pause()
        assert {cell_len(line) for line in it.lines} == {it.width}


def failing(number: int, reason: str = "", **headers: str) -> Delivery:
    """A dead letter, as Spring Kafka writes it."""
    found = [
        ("kafka_dlt-exception-message", reason or f"card {number} declined"),
        ("type", "PaymentAuthorised"),
        *headers.items(),
    ]
    return Delivery(Event(b"k", b'{"total":%d}' % number, None, Content(tuple(found)), NOW + number), TOPIC, NOW)


def row(it: Bench, y: int) -> list[str]:
    """What stands in a line's columns."""
    return re.split(r"  +", it.lines[y][SIGNS:].strip())


async def test_a_column_is_as_wide_as_what_was_seen_in_it_and_narrows_only_with_another_list(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(0)], columns=120) as it:
        before = it.lines[0]
        long = Content((("type", "PaymentAuthorisedByTheBank"),))
        one = event(1)
        await it.grow([msgspec.structs.replace(one, event=msgspec.structs.replace(one.event, written=long))])
        assert "PaymentAuthorisedByTheBank  " in it.lines[2]
        wide = it.lines[0]
        assert wide.index("correlation") > before.index("correlation")
        await it.grow(events(2, 9))
        assert it.lines[0] == wide
        await it.show("type starts Type")
        assert it.lines[0] == before


@pytest.mark.parametrize("columns", [80, 120, 220])
async def test_nothing_is_cut_while_space_is_empty(tmp_path: Path, columns: int) -> None:
    body = b'{"customer":"c-%s"}' % (b"4" * 30)
    async with bench(tmp_path, [event(number, body=body) for number in range(3)], columns=columns) as it:
        it.table.columns = [column_of(path) for path in ("time", "correlation", "header.correlation_id", "body")]
        await it.pause()
        for line in it.lines[1:4]:
            spare = len(line) - len(line.rstrip())
            assert spare == 0 or "…" not in line
        assert {cell_len(line) for line in it.lines[:4]} == {it.width}


async def test_of_wide_characters_as_many_fit_as_there_is_room_for(tmp_path: Path) -> None:
    wide = Content((("type", "支払いが承認されました"),))
    one = event(0)
    async with bench(
        tmp_path, [msgspec.structs.replace(one, event=msgspec.structs.replace(one.event, written=wide))]
    ) as it:
        assert "支払いが承認されました  " in it.lines[1]
        assert {cell_len(line) for line in it.lines[:2]} == {it.width}


async def test_the_users_width_wins_over_what_is_seen(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 3)) as it:
        it.table.widen("correlation", -100)
        await it.pause()
        assert "7f3…  " in it.lines[1]
        await it.grow(events(3, 5))
        assert "7f3…  " in it.lines[1]


async def test_dead_letters_say_first_why_they_are(tmp_path: Path) -> None:
    async with bench(tmp_path, [failing(number) for number in range(3)]) as it:
        it.table.show(it.store, it.view, mixed=False, failed=True)
        await it.pause()
        assert row(it, 0) == ["time", "reason", "type", "correlation"]
        assert row(it, 1)[1:3] == ["card 0 declined", "PaymentAuthorised"]
        await it.pilot.resize_terminal(140, HEIGHT + 1)
        await it.pause()
        assert row(it, 0) == ["time", "reason", "type", "correlation", "body"]


async def test_a_long_reason_has_the_room_that_ids_and_types_do_not_need(tmp_path: Path) -> None:
    reason = 'Cannot invoke "Account.currency()" because "account" is null'
    async with bench(tmp_path, [failing(0, reason)]) as it:
        it.table.show(it.store, it.view, mixed=False, failed=True)
        await it.pause()
        assert row(it, 1)[1:3] == [reason, "PaymentAuthorised"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("header.retry", "3"),
        ("header.nested.a[1]", "two"),
        ("body.lines[].sku", "s1, s2"),
        ("body.lines", '[{"sku": "s1"}, {"sku": "s2"}]'),
        ("body.total", "1.10"),
        ("property.priority", "5"),
        ("partition", "0"),
        ("origin", "orders"),
    ],
)
async def test_any_path_of_a_query_can_be_a_column(tmp_path: Path, path: str, text: str) -> None:
    headers = (("retry", b"3"), ("nested", {"a": ["one", "two"]}), ("x-first-death-queue", "orders"))
    body = b'{"lines":[{"sku":"s1"},{"sku":"s2"}],"total":1.10}'
    written = Content(headers, {"priority": 5})
    one = Delivery(Event(b"k", body, None, written), TOPIC, NOW, Position("0", "1"))
    async with bench(tmp_path, [one], columns=200) as it:
        it.table.add_column(path)
        await it.pause()
        assert it.table.chosen_column == path
        assert row(it, 0)[-2:] == [path, "body"]
        assert row(it, 1)[-2] == text
        it.table.add_column(path)
        assert [column.id for column in it.table.columns].count(path) == 1


async def test_a_column_that_is_no_field_is_refused(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 1)) as it:
        before = it.table.columns
        with pytest.raises(QueryError, match="Unknown field total"):
            it.table.add_column("total")
        assert it.table.columns == before


async def test_a_path_is_looked_up_only_for_rows_in_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Delivery] = []
    values = Field.values

    def counted(field: Field, delivery: Delivery) -> list[object]:
        asked.append(delivery)
        return values(field, delivery)

    monkeypatch.setattr(Field, "values", counted)
    async with bench(tmp_path, events(0, 5_000)) as it:
        it.table.add_column("header.type")
        await it.pause()
        await it.press("home", "end")
        assert len(asked) <= 4 * (HEIGHT - 1)


async def test_what_is_masked_is_in_no_column_of_a_path(tmp_path: Path) -> None:
    reading = Reading(Conventions.load([]).facts, query_value, Masking(["body.card"]).apply)
    async with bench(tmp_path, [event(0, body=b'{"card":"4111-1111"}')], reading=reading) as it:
        it.table.add_column("body.card")
        await it.pause()
        assert "*********" in it.lines[1] and "4111" not in it.lines[1]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), st.text(max_size=9))
def test_a_column_shows_what_a_query_compares(value: Any, name: str) -> None:
    body = json.dumps({name: [value]}).encode()
    delivery = Delivery(Event(None, body), TOPIC, NOW)
    text = f"body.{quote(name)}[0]"
    assert Field(text).values(delivery) == [json.loads(body)[name][0]]
    assert compile(f"{text} exists").matches(delivery)


async def test_left_and_right_choose_a_column(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 3)) as it:
        await it.press("right", "right")
        assert it.table.chosen_column == "from"
        await it.press("left", "left")
        assert it.table.chosen_column == "body"


# Dividers.


async def test_a_gap_stands_between_the_events_before_and_after_it(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 4)) as it:
        it.table.gaps = [(NOW + 1, "70.2 s · the program stood still")]
        await it.pause()
        assert [line.split()[1:2] for line in it.lines[1:6]][2] == ["70.2"]
        assert "── 70.2 s · the program stood still ───" in it.lines[3]
        assert '"n1"' in it.lines[2] and '"n2"' in it.lines[4]
        assert cell_len(it.lines[3]) == it.width
        await it.press("home", "down", "down")
        assert it.table.cursor == 2
        await it.click(30, 3)
        assert it.table.cursor == 2
        await it.press("up")
        assert it.table.cursor == 1
        it.table.toggle_mark()
        it.table.toggle_mark()
        assert it.table.marks == {1, 2}


async def test_lines_move_by_the_gaps_between_them(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        it.table.gaps = [(NOW + number, f"gap {number}") for number in (-1, 10, 10, 50, 99)]
        await it.pause()
        assert "gap 99" in it.lines[-1] and '"n99"' in it.lines[-2]
        assert it.table.virtual_size.height == 1 + 100 + 5
        await it.press("home")
        assert "gap -1" in it.lines[1] and '"n0"' in it.lines[2]
        await it.press(*["down"] * 11)
        assert it.table.cursor == 11
        assert [each for each in it.lines if "gap 10" in each] == it.lines[-3:-1]
        it.table.scroll_to(y=0, animate=False)
        await it.pause()
        seen = []
        for y in range(0, 95):
            it.table.scroll_to(y=y, animate=False)
            await it.pause()
            seen.append(it.lines[1])
        assert sum("gap" in line for line in seen) >= 4
        found = [int(each) for line in seen for each in re.findall(r'"n":"n(\d+)"', line)]
        assert found == sorted(set(found))


@given(st.lists(st.integers(0, 9), max_size=6))
def test_each_line_is_a_row_or_a_divider(before: list[int]) -> None:
    dividers = Dividers([(row, str(row)) for row in before])
    lines: list[int | str] = []
    for row in range(10):
        lines += [str(row)] * before.count(row)
        lines.append(row)
    for line, what in enumerate(lines):
        if isinstance(what, int):
            assert (dividers.row_of(line), dividers.line_of(what), dividers.text_in(line)) == (what, line, None)
            assert dividers.first_line_of(what) == line - before.count(what)
        else:
            assert (dividers.row_of(line), dividers.text_in(line)) == (int(what), what)


async def test_with_several_connections_each_event_says_from_which(tmp_path: Path) -> None:
    async with bench(tmp_path, [event(0)]) as it:
        assert " payments " in it.lines[1]
        rabbit = Address("rabbit", "orders", "exchange")
        it.look = it.store.look(Look(rabbit, "tail", 0))
        await it.grow([event(1, address=rabbit)])
        assert "kafka/payments" in it.lines[1]
        assert "rabbit/exchange:orders " in it.lines[2]


async def test_times_of_other_days_have_their_date_and_relative_times_their_age(tmp_path: Path) -> None:
    noon = datetime.fromtimestamp(NOW / 1000)
    past = [noon - timedelta(days=400), noon - timedelta(days=1), noon]
    times = [round(time.timestamp() * 1000) - NOW for time in past]
    async with bench(tmp_path, [event(number, time) for number, time in enumerate(times)]) as it:
        longest = "%Y-%m-%d %H:%M:%S.%f"
        assert [line[2:25] for line in it.lines[1:4]] == [each.strftime(longest)[:23] for each in past]
        it.table.widen("time", -11)
        await it.pause()
        same_year = past[1].year == noon.year
        assert [line[2:14].strip() for line in it.lines[1:4]] == [
            past[0].strftime("%Y-%m-%d"),
            past[1].strftime("%m-%d %H:%M" if same_year else "%Y-%m-%d"),
            "12:00:00.000",
        ]
        it.table.relative_times = True
        await it.pause()
        assert it.lines[1].split()[:2] in (["400", "d"], ["399", "d"])


async def test_a_correlation_keeps_its_colour_and_others_have_others(tmp_path: Path) -> None:
    def colours() -> list[str]:
        found = []
        for y in range(1, 11):
            (style,) = [segment.style for segment in it.table.render_line(y) if "7f3a90" in segment.text]
            found.append(style.color.name if style and style.color else "")
        return found

    async with bench(tmp_path, events(0, 11)) as it:
        assert len(set(colours())) == 1
        it.table.coloured = True
        await it.pause()
        drawn = colours()
        assert drawn[0::2] == drawn[1::2]
        assert len(set(drawn)) > 2


# What stands in the cells.


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (None, "∅"),
        (b"", ""),
        (b'{"a": 1,"b":"x  y"}', '{"a": 1,"b":"x  y"}'),
        (
            b'{"n":"Zo\\u00eb \\ud83d\\ude00 \\\\u00eb \\u0022 \\u001b \\ud83d"}',
            '{"n":"Zoë 😀 \\\\u00eb \\u0022 \\u001b \\ud83d"}',
        ),
        (b"C:\\u00eb", "C:\\u00eb"),
        (b'{\n  "a": 1.10,\n  "b": "x  y\\n\\" {",\n  "a": 2\n}\n', '{"a":1.10,"b":"x  y\\n\\" {","a":2}'),
        (b"[error]\n it  failed", "[error]\n it  failed"),
        (b"\x82\xa1a\x01\xa1b\x93\x01\xc4\x02\xff\xfe\xc0", '{"a":1,"b":[1,0xfffe,null]}'),
        (b"\xff\xfe\xfd", "0xfffefd"),
        (b"\0\0\0\0\x2a" + b'{"framed": 1}', '{"framed":1}'),
    ],
)
def test_a_body_is_one_line(body: bytes | None, line: str) -> None:
    assert preview(Event(None, body)) == line


def test_a_body_of_megabytes_is_looked_at_only_at_its_beginning() -> None:
    class Counted(bytes):
        read = 0

        def __getitem__(self, key: Any) -> Any:
            part = super().__getitem__(key)
            Counted.read += len(part) if isinstance(part, bytes) else 1
            return part

    body = Counted(b'{\n "a": "' + b"x" * 10_000_000 + b'"}')
    assert len(preview(Event(None, body))) < 3_000
    assert 0 < Counted.read < 100_000


@pytest.mark.parametrize(
    ("text", "width", "line"),
    [
        ("7f3a90c2-c2", 12, "7f3a90c2-c2"),
        ("7f3a90c2-0000-c2c2", 12, "7f3a90…-c2c2"),
        ("7f3a90c2", 4, "7f3…"),
        ("日本語テキスト日本語", 9, "日本…本語"),
        ("ends with …", 20, "ends with …"),
    ],
)
def test_ids_are_cut_in_the_middle(text: str, width: int, line: str) -> None:
    assert shorten_middle(text, width) == line


def test_every_cell_is_as_wide_as_it_should_be() -> None:
    texts = ["", "a", "日本語テキスト", "e\u0301" * 30, "\x1b[31m" * 9, "\u202e" * 9, "\ud800" * 9]
    for column in COLUMNS:
        for text in texts:
            for width in range(1, 30):
                assert cells(fit(text, width, column)) == width


# Strangers.


@pytest.mark.parametrize("columns", [30, 80, 200])
async def test_no_event_breaks_a_line(tmp_path: Path, columns: int) -> None:
    async with bench(tmp_path, columns=columns) as it:
        if columns == 200:
            it.table.columns = it.table.all_columns
        it.table.relative_times = columns == 30
        found = list(filter(_can_be_stored, (delivery for _, delivery in hostile(huge=False))))
        await it.grow(found)
        await it.press("home")
        for top in range(0, len(found), HEIGHT - 1):
            it.table.scroll_to(y=top, animate=False)
            await it.pause()
            for strip in [it.table.render_line(y) for y in range(HEIGHT)]:
                assert strip.cell_length == it.width == sum(cell_len(each.text) for each in strip)
                assert not [each for each in strip.text if unicodedata.category(each) in OBEYED]
                assert strip.text.strip() != "…"
        assert it.width <= columns


def _can_be_stored(delivery: Delivery) -> bool:
    # Lone surrogates in a header's name come from no broker's bytes.
    try:
        encode(delivery)
    except UnicodeEncodeError:
        return False
    return True


async def test_what_is_masked_is_not_drawn(tmp_path: Path) -> None:
    masking = Masking(["body.card", "header.correlation_id"])
    reading = Reading(Conventions.load([]).facts, query_value, masking.apply)
    body = json.dumps({"card": "4111-1111", "n": "n0"}).encode()
    async with bench(tmp_path, [event(0, body=body)], columns=240, reading=reading) as it:
        it.table.columns = it.table.all_columns
        await it.pause()
        assert "*********" in it.lines[1]
        assert "4111" not in it.lines[1]
        assert "7f3a" not in it.lines[1]


async def test_the_screen_goes_on_while_a_large_body_is_masked(tmp_path: Path) -> None:
    large = json.dumps([{"card": "4111-1111"}] * 40_000).encode()
    steps = 0
    during: list[int] = []

    def apply(delivery: Delivery) -> Delivery:
        before = steps
        masked = Masking([r"~ \d{4}-\d{4}"]).apply(delivery)
        if delivery.event.body == large:
            during.append(steps - before)
        return masked

    reading = Reading(Conventions.load([]).facts, query_value, apply)
    async with bench(tmp_path, events(0, 5), reading=reading) as it, asyncio.TaskGroup() as group:
        growing = group.create_task(it.grow([event(5, body=large)]))
        while not growing.done():
            await asyncio.sleep(0)
            steps += 1
        assert during
        assert min(during) > 10
        assert "4111" not in "".join(it.lines)


# Nothing there.


async def test_where_nothing_is_a_sentence_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path, columns=40) as it:
        it.table.empty = Text("Choose an endpoint: enter opens a topic, b looks into a \x1b queue.")
        lines = [line.strip() for line in it.lines if line.strip()]
        assert " ".join(lines) == "Choose an endpoint: enter opens a topic, b looks into a ␛ queue."
        assert len(lines) > 1
        assert {cell_len(line) for line in it.lines} == {40}
        await it.press("down", "up", "end", "home", "pageup", "pagedown")
        it.table.toggle_mark()
        await it.click(5, 5)
        assert (it.table.cursor, it.table.marks, it.app.opened) == (None, frozenset(), [])


async def test_one_empty_list_after_another_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.table.empty = Text("Nothing is there.")
        it.view = View(it.store)
        it.table.show(it.store, it.view)
        await it.pause()
        await it.grow([])
        shown = [strip.text.strip() for strip in it.app.screen._compositor.render_strips()]
        assert "Nothing is there." in shown


async def test_a_list_that_is_not_asked_yet_is_not_called_empty(tmp_path: Path) -> None:
    async with bench(tmp_path, events(0, 3)) as it:
        it.table.empty = Text("Nothing is there.")
        it.view = View(it.store)
        it.table.show(it.store, it.view)
        await it.pause()
        assert "".join(it.lines).strip() == ""
        assert it.app.moved == [2]
        await it.grow([])
        assert it.shown == names(range(3))


# A million.


async def test_a_million_rows_are_scrolled_and_only_those_in_sight_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    rows = Archive.rows

    async def counted(self: Archive, sequences: Iterable[int]) -> list[Delivery | None]:
        wanted = list(sequences)
        fetched.extend(wanted)
        return await rows(self, wanted)

    monkeypatch.setattr(Archive, "rows", counted)
    one = event(0)
    async with bench(tmp_path) as it:
        for _ in range(100):
            await it.store.append(it.look, [one] * 10_000)
        await it.grow([])
        assert it.table.cursor == 999_999
        page = HEIGHT - 1
        assert len(fetched) <= 2 * page
        # With the page above and the page below, which the next key may lead to.
        for key in ("home", "pagedown", "end", "pageup", "up"):
            fetched.clear()
            await it.press(key)
            assert len(fetched) <= 3 * page, key
            assert "".join(it.lines).count('{"n":"n0"}') == page
        for y in (123_456, 999_000, 500_000):
            fetched.clear()
            it.table.scroll_to(y=y, animate=False)
            await it.pause()
            assert fetched[:page] == list(range(y, y + page)) and len(fetched) <= 3 * page
        assert len(it.table._cells) <= event_rows.KEPT
        assert it.table.virtual_size.height == 1_000_001


async def test_what_comes_in_is_fetched_once_and_drawn_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, events(0, 100)) as it:
        drawn: list[str] = []
        settle = EventTable._settle

        def settled(table: EventTable, fetched: bool = False) -> None:
            settle(table, fetched)
            drawn.append(it.lines[-1])

        monkeypatch.setattr(EventTable, "_settle", settled)
        for number in range(1, 6):
            await it.grow(events(number * 1_000, number * 1_000 + 1_000))
            assert len(drawn) == number
        assert all('{"n":"n' in line for line in drawn)
