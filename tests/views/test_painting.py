"""What is drawn of a screen: each part that has changed by itself, and nothing that lies behind or between."""

import pytest
from rich.text import Text
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from connectors.memory.queues import QueueSettings
from tests.views.driver import NAME, running, shop
from views.app import Workbench
from views.widgets.key_bar import KeyBar
from views.widgets.title_bar import TitleBar
from workbench.connecting.config import Connection


class Terminal:
    """The characters that a terminal shows by what was painted on it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def paint(self, update: object) -> None:
        """Take an update."""
        match update:
            case LayoutUpdate():
                self.lines = ["".join(strip.text for strip in line) for line in update.strips]
            case ChopsUpdate():
                for y, begin, end in update.spans:
                    for stop, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                        if strip is not None and x <= end and stop > begin:
                            text = strip.text[: min(stop, end) - x]
                            self.lines[y] = self.lines[y][:x] + text + self.lines[y][x + len(text) :]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What the program paints, which without a terminal it would not."""
    shown, display = Terminal(), Workbench._display

    def paint(app: Workbench, screen: Screen[object], renderable: object) -> None:
        if screen is app.screen:
            shown.paint(renderable)
        display(app, screen, renderable)  # type: ignore[arg-type]

    monkeypatch.setattr(Workbench, "_display", paint)
    return shown


async def test_bars_at_both_ends_of_the_screen_are_drawn_without_what_is_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: set[str] = set()

    def render_lines(widget: Widget, crop: Region) -> list[Strip]:
        drawn.add(type(widget).__name__)
        return render(widget, crop)

    # What all widgets draw their lines by.
    render = Widget.render_lines
    monkeypatch.setattr(Widget, "render_lines", render_lines)
    broker = shop()
    # What is listed again may be drawn again.
    once = Connection.parse(f"{NAME}=memory://{broker.name}?watch=off")
    async with running(broker=broker, connections=[once]) as driver:
        await driver.open()
        await driver.until_settled()
        drawn.clear()
        driver.one(TitleBar).refresh()
        driver.one(KeyBar).refresh()
        await driver.until(lambda: drawn)
        assert drawn == {"TitleBar", "KeyBar"}


async def test_what_is_painted_part_by_part_is_what_the_screen_shows(terminal: Terminal) -> None:
    async with running((120, 30)) as driver:
        await driver.open()
        for key in (
            "up",
            "pageup",
            "space",
            "enter",
            "right",
            "escape",
            "S",
            "question_mark",
            "down",
            "escape",
            "z",
            "4",
        ):
            await driver.press(key)
            await driver.until_settled()
            assert terminal.lines == driver.lines, key


async def test_a_terminal_is_sent_no_more_than_what_is_drawn(terminal: Terminal) -> None:
    evil = "queue\x1b]52;c;cm0=\x07\x1b]0;owned\x07\u202e\u200b"
    broker = shop()
    broker.declare_queue("of a kind", QueueSettings(evil))
    async with running(broker=broker) as driver:
        await driver.app.screen.mount(Static(Text(evil)))
        await driver.until(lambda: any("queue]52;c;cm0=]0;owned" in line for line in terminal.lines))
    assert [line for line in terminal.lines if not line.isprintable()] == []
