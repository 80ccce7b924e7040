"""The messages of an operation, a line each."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.dialogs.dialog import Dialog


class MessagePage(Dialog[None]):
    """The first messages of an operation, and how far each is."""

    DEFAULT_CSS = """
    MessagePage .wide { height: auto; min-height: 8; max-height: 90%; }
    MessagePage VerticalScroll { height: auto; max-height: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", show=False)]

    def __init__(self, title: str, lines: Sequence[Text], more: str) -> None:
        """Show.

        Args:
            title: Which operation.
            lines: A line for each message, fit for the terminal.
            more: What is not shown, in a sentence; empty: nothing.
        """
        super().__init__()
        self._title, self._lines, self._more = title, lines, more

    def compose(self) -> ComposeResult:
        lines = [*self._lines] or [Text("It holds no messages.", "muted")]
        if self._more:
            lines.append(Text(self._more, "muted"))
        with self.frame(self._title, ("esc", "close"), ("↑ ↓", "scroll"), wide=True), VerticalScroll():
            yield Static(Text("\n").join(lines))

    def on_mount(self) -> None:
        """Scroll with the arrows."""
        self.query_one(VerticalScroll).focus()
