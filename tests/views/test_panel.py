"""The frame around a part of a screen: what stands in its border, and how the focus is seen."""

import pytest
from rich.cells import cell_len
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Input

from tests.views.driver import running
from views.painting import Backdrop
from views.theme import ThemedApp
from views.widgets.panel import Panel, edge


class Framed(ThemedApp):
    def compose(self) -> ComposeResult:
        yield Panel(Input(), title="漢字" * 40 + "\x1b[31m", id="one")
        yield Panel(Input(), title="Events", id="two")

    @property
    def lines(self) -> list[str]:
        return [strip.text for strip in self.screen._compositor.render_strips()]


async def test_titles_states_keys_and_notes_stand_in_the_border_and_are_cut_to_it() -> None:
    app = Framed()
    async with app.run_test(size=(40, 20)) as pilot:
        two = app.query_one("#two", Panel)
        two.state, two.keys, two.note = (
            "● live",
            [("/", "filter"), ("n", "a key for which there is no room")],
            "3 marked",
        )
        app.query_one("#one", Panel).state = "12"
        await pilot.pause()
        assert all(cell_len(line) == 40 for line in app.lines)
        assert any("… ━━" in line and line.endswith("━ 12 ━┓") for line in app.lines), app.lines
        top = next(line for line in app.lines if "Events" in line)
        assert top.startswith("╭─ Events ──") and top.endswith(" ● live ─╮")
        assert app.lines[-1].startswith("╰─ / filter ──") and app.lines[-1].endswith(" 3 marked ─╯")
        assert "\x1b" not in "".join(app.lines)


async def test_what_leads_away_stays_in_the_border_where_other_keys_have_no_room() -> None:
    app = Framed()
    async with app.run_test(size=(40, 20)) as pilot:
        app.query_one("#two", Panel).keys = [("enter", "dry run only"), ("s", "keep it in a file"), ("esc", "cancel")]
        await pilot.pause()
        assert app.lines[-1].startswith("╰─ enter dry run only  esc cancel ──")


async def test_the_panel_with_the_focus_has_a_heavy_border() -> None:
    app = Framed()
    async with app.run_test(size=(40, 20)) as pilot:
        await pilot.press("tab")
        assert any(line.startswith("┏━ Events ━━") for line in app.lines)
        assert any(line.startswith("╭─ 漢字") for line in app.lines)


@pytest.mark.parametrize("width", range(30))
def test_a_border_is_never_wider_than_its_room(width: int) -> None:
    for left in ("", "Events", "漢字" * 20):
        for right in ("", "12", "漢字" * 20):
            assert edge(Content(left), right, width, "─", "").cell_length <= width


async def test_a_narrow_screen_has_titles_and_no_borders() -> None:
    async with running((99, 24)) as driver:
        await driver.shows("Endpoints")
        assert not any(letter in driver.text for letter in "╭╮╰╯┏┓┗┛┃│")
        await driver.pilot.resize_terminal(100, 24)
        await driver.shows("┏━ Endpoints", "╭─ Event")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (220, 60)])
async def test_what_lies_behind_others_is_drawn_as_all_its_lines_would_be(size: tuple[int, int]) -> None:
    async with running(size) as driver:
        await driver.open()
        behind = [
            each for each in driver.app.screen.walk_children(Widget, with_self=True) if isinstance(each, Backdrop)
        ]
        assert len(behind) > 5
        # Behind a dialog lies what it was opened on, dimmed.
        await driver.press("question_mark")
        assert driver.app.screen is not driver.app.base_screen
        for each in (*behind, driver.app.screen):
            width, height = each.outer_size
            for top, bottom in ((0, height), (1, height), (0, 1), (2, 5), (height - 3, height)):
                drawn = each.render_lines(Region(0, top, width, bottom - top)) if bottom > top else []
                lines = [Widget.render_lines(each, Region(0, row, width, 1)) for row in range(top, bottom)]
                assert [list(strip) for strip in drawn] == [list(strip) for (strip,) in lines]
