"""How many events are sent, and how fast; and how far a sending is."""

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from views.widgets.fields import FieldRow, TextField
from views.widgets.panel import Panel
from workbench.model.wording import quantity


class HowManyPanel(Panel):
    """The fields `count` and `rate`, and what they come to."""

    DEFAULT_CSS = """
    HowManyPanel {
        height: auto;
        & #count, & #rate { width: 12; }
        & #comes-to { height: 1; color: $muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__(title="How many", id="how-many")

    def compose(self) -> ComposeResult:
        with FieldRow():
            yield Static("count", classes="label first")
            yield TextField(id="count", restrict=r"[0-9]*", select_on_focus=True)
            yield Static("rate", classes="label")
            yield TextField(id="rate", placeholder="full", restrict=r"[0-9.]*", select_on_focus=True)
            yield Static("/s", classes="label first")
        yield Static("", id="comes-to")

    def show(self, count: int, rate: float | None) -> None:
        """Say what it comes to."""
        seconds = count / rate if rate else 0
        pace = f" at {rate:,g}/s: {span(seconds)}" if rate else " at once" if count == 1 else " as fast as confirmed"
        self.query_one("#comes-to", Static).update(Text(f"{quantity(count, 'event')}{pace}", no_wrap=True))


def span(seconds: float) -> str:
    """A span of time in its largest unit that fits: `6 s`, `4 min`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1):,.0f} s"
