"""The query's field, written in by keys and read as it is drawn."""

import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from views.theme import DARK, LIGHT, ThemedApp
from views.widgets.query_bar import QueryBar
from workbench.query.query import Query, compile


class WorkbenchScreen(Screen[None]):
    """Has keys of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "app.go('pane')"), Binding("escape", "app.go('back')")]
    AUTO_FOCUS = ""

    def compose(self) -> ComposeResult:
        yield QueryBar(lambda text: compile(text, 0), id="query")
        table = Static("the table", id="table")
        table.can_focus = True
        yield table


class Program(ThemedApp):
    """The field above something else that takes the focus; and what it told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str | None] = []
        self.left = 0
        self.went: list[str] = []

    def get_default_screen(self) -> WorkbenchScreen:
        return WorkbenchScreen()

    def on_query_bar_changed(self, message: QueryBar.Changed) -> None:
        self.told.append(message.query.text if isinstance(message.query, Query) else message.query)

    def on_query_bar_left(self) -> None:
        self.left += 1
        self.screen.query_one("#table").focus()

    def action_go(self, where: str) -> None:
        self.went.append(where)


class Bench:
    """A field in a terminal of its own."""

    def __init__(self, app: Program, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def bar(self) -> QueryBar:
        return self.app.screen.query_one(QueryBar)

    @property
    def field(self) -> Input:
        return self.app.screen.query_one(Input)

    async def write(self, text: str) -> None:
        """Write a text at once: a key at a time, a slow machine might pause behind half of it."""
        self.field.insert_text_at_cursor(text)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(400):
            if condition():
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"never came: {self.screen()}")

    def screen(self) -> list[str]:
        """The whole terminal, without the spaces at the ends."""
        lines = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in line).rstrip() for line in lines]

    def below(self) -> list[str]:
        """What stands below the field."""
        lines = self.screen()
        return lines[1 : lines.index("the table")]

    def colours_below(self) -> set[str]:
        """The colours of the text in the line below the field."""
        line = self.app.screen._compositor.render_strips()[1]
        styles = [segment.style for segment in line if segment.text.strip() and segment.style]
        return {style.color.triplet.hex for style in styles if style.color and style.color.triplet}


@asynccontextmanager
async def opened(width: int = 100) -> AsyncIterator[Bench]:
    app = Program()
    async with app.run_test(size=(width, 10)) as pilot:
        bench = Bench(app, pilot)
        bench.bar.focus_field()
        await pilot.pause()
        yield bench


async def test_the_field_takes_the_focus_and_one_line() -> None:
    async with opened() as bench:
        assert bench.field.has_focus
        assert bench.screen()[0].startswith("/ type = OrderPlaced") and bench.screen()[1] == "the table"


@pytest.mark.parametrize(
    ("matching", "of", "doing", "said"),
    [
        (312, 48210, "", "312 of 48,210 held"),
        (12000, 48210, "searching…", "searching… 12,000 of 48,210 held"),
        (0, 7, "", "0 of 7 held"),
        (0, 0, "reading…", "reading…"),
    ],
)
async def test_how_many_match_is_said_on_the_right(matching: int, of: int, doing: str, said: str) -> None:
    async with opened() as bench:
        bench.bar.count(matching, of, doing)
        await bench.pilot.pause()
        assert bench.screen()[0].endswith(said)


async def test_what_is_wrong_has_the_colours_of_the_theme_that_is_changed_to() -> None:
    async with opened() as bench:
        await bench.write("reason contain x")
        await bench.pilot.press("enter")
        for theme, colours in (("workbench-dark", DARK), ("workbench-light", LIGHT)):
            bench.app.theme = theme
            await bench.until(lambda dead=colours.dead: dead in bench.colours_below())  # type: ignore[misc]


async def test_enter_lets_a_query_hold_and_leaves() -> None:
    async with opened() as bench:
        await bench.write("size > 100")
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert (bench.app.told, bench.app.left) == (["size > 100"], 1)
        assert bench.below() == []


async def test_a_pause_lets_a_query_hold_and_the_field_goes_on() -> None:
    async with opened() as bench:
        await bench.write("size > 100")
        await bench.until(lambda: bench.app.told)
        assert bench.app.told[-1] == "size > 100" and bench.app.left == 0 and bench.field.has_focus
        told = len(bench.app.told)
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        # It held already.
        assert (len(bench.app.told), bench.app.left) == (told, 1)


async def test_an_emptied_field_lets_everything_match() -> None:
    async with opened() as bench:
        await bench.write("x")
        await bench.pilot.press("enter")
        bench.bar.focus_field()
        await bench.pilot.press("backspace", "enter")
        await bench.pilot.pause()
        assert bench.app.told == ["x", None]


async def test_what_is_no_query_is_not_told_and_not_left_by_enter() -> None:
    async with opened() as bench:
        await bench.write("size > ")
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert (bench.app.told, bench.app.left) == ([], 0)
        assert bench.below() == [" " * 9 + "^ Missing value."]
        await bench.write("5")
        assert "Missing" not in "".join(bench.below())


async def test_an_error_is_told_after_a_pause_under_its_column() -> None:
    async with opened() as bench:
        await bench.write("total = 5")
        await bench.until(lambda: "^" in "".join(bench.below()))
        (said,) = bench.below()
        assert said.startswith("  ^ Unknown field total. Write body.total")
        assert bench.app.told == []


async def test_where_there_is_no_room_behind_the_caret_the_error_stands_before_it() -> None:
    async with opened(width=46) as bench:
        await bench.write("body.a = 1 and body.b = 2 and size > ")
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert bench.below() == ["Missing value. ^".rjust(40)]


async def test_an_error_waits_while_a_symbol_is_being_written() -> None:
    async with opened() as bench:
        await bench.write("size > 5 and (siz")
        # What the pause brings, without waiting for it.
        assert bench.bar._ask() is False
        await bench.pilot.pause()
        assert bench.below()[0].split() == ["size"]
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert "Missing closing parenthesis." in "".join(bench.below())


async def test_escape_leaves_with_what_was_written_if_it_is_a_query() -> None:
    async with opened() as bench:
        await bench.write("size > 100")
        await bench.pilot.press("escape")
        await bench.pilot.pause()
        assert (bench.app.told[-1:], bench.app.left, bench.bar.value) == (["size > 100"], 1, "size > 100")
        assert bench.app.went == []


async def test_escape_brings_back_what_held_if_it_is_none() -> None:
    async with opened() as bench:
        await bench.write("size > 100")
        await bench.pilot.press("enter")
        bench.bar.focus_field()
        await bench.write(" and (")
        await bench.pilot.press("escape")
        await bench.pilot.pause()
        assert (bench.app.told, bench.app.left, bench.bar.value) == (["size > 100"], 2, "size > 100")
        assert bench.below() == []


async def test_a_value_that_is_set_holds_without_a_word() -> None:
    async with opened() as bench:
        await bench.write("(")
        bench.bar.value = "size > 100"
        await bench.pilot.pause()
        assert bench.screen()[0].startswith("/ size > 100") and bench.bar.value == "size > 100"
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert (bench.app.told, bench.app.left) == ([], 1)


async def test_queries_that_were_left_are_found_again_each_once() -> None:
    async with opened() as bench:
        for text in ("one", "two", "one", "three"):
            bench.field.value = text
            await bench.pilot.press("enter")
            bench.bar.focus_field()
        bench.field.value = "draft"
        values = []
        for key in ("up", "up", "up", "up", "down", "down", "down", "down"):
            await bench.pilot.press(key)
            values.append(bench.bar.value)
        assert values == ["three", "one", "two", "two", "one", "three", "draft", "draft"]


async def test_what_is_written_over_one_of_them_is_a_draft() -> None:
    async with opened() as bench:
        await bench.write("one")
        await bench.pilot.press("enter")
        bench.bar.focus_field()
        await bench.pilot.press("up")
        await bench.write("s")
        await bench.pilot.press("up", "down")
        assert bench.bar.value == "ones"


# Completion.


async def test_candidates_stand_below_while_something_is_written() -> None:
    async with opened() as bench:
        await bench.write("re")
        assert bench.below()[0].split() == ["reason"]
        await bench.write("ason ")
        assert bench.below()[0].split()[:3] == ["=", "!=", ">"]
        bench.app.screen.query_one("#table").focus()
        await bench.pilot.pause()
        assert bench.below() == []


async def test_tab_writes_a_candidate_and_then_the_next() -> None:
    async with opened() as bench:
        await bench.write("size > 5 and t")
        values = []
        for key in ("tab", "tab", "tab", "shift+tab"):
            await bench.pilot.press(key)
            await bench.pilot.pause()
            values.append(bench.bar.value)
        assert values == [f"size > 5 and {name}" for name in ("time", "type", "time", "type")]
        assert bench.app.went == []
        await bench.write(" sta")
        await bench.pilot.press("tab")
        assert bench.bar.value == "size > 5 and type starts"


async def test_a_candidate_is_written_in_the_middle() -> None:
    async with opened() as bench:
        await bench.write("corr = x")
        await bench.pilot.press(*["left"] * 4, "tab")
        assert bench.bar.value == "correlation = x" and bench.field.cursor_position == len("correlation")


async def test_tab_goes_on_where_nothing_can_be_completed() -> None:
    async with opened() as bench:
        await bench.pilot.press("tab")
        assert bench.app.went == ["pane"]
        await bench.write("reas")
        await bench.pilot.press("tab")
        assert (bench.bar.value, bench.app.went) == ("reason", ["pane"])
        await bench.pilot.press("tab")
        assert (bench.bar.value, bench.app.went) == ("reason", ["pane", "pane"])


async def test_the_best_candidate_is_dim_behind_what_is_written_and_right_takes_it() -> None:
    async with opened() as bench:
        await bench.write("size > 5 and corre")
        await bench.until(lambda: bench.screen()[0].startswith("/ size > 5 and correlation"))
        assert bench.bar.value == "size > 5 and corre"
        await bench.pilot.press("right")
        assert bench.bar.value == "size > 5 and correlation"


# A stranger's text.


async def test_what_cannot_be_seen_is_not_pasted() -> None:
    async with opened() as bench:
        for text, kept in (
            ("\x1b[31mred\x07", "[31mred"),
            ("a\u202eb\u200bc", "abc"),
            ("one\u00a0two\tthree", "one two three"),
            ("x\ud800y", "xy"),
            ("日本 = 'é'", "日本 = 'é'"),
        ):
            bench.bar.value = ""
            bench.field.post_message(Paste(text))
            await bench.pilot.pause()
            assert bench.bar.value == kept
            drawn = "".join(bench.screen())
            assert not [each for each in drawn if unicodedata.category(each) in ("Cc", "Cf", "Cs")]


async def test_markup_is_text() -> None:
    async with opened() as bench:
        await bench.write("[bold]x[/] = 5")
        await bench.pilot.press("enter")
        await bench.pilot.pause()
        assert "Unknown field [bold]x[/]." in "".join(bench.below())


async def test_letters_never_leave_the_field() -> None:
    async with opened() as bench:
        await bench.pilot.press(*"jkgGq?nN1")
        assert bench.bar.value == "jkgGq?nN1" and bench.app.went == []
