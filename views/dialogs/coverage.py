"""What a trace looked at, and what it did not."""

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.dialogs.dialog import Dialog
from workbench.decode.display import shorten_middle, visible


class CoverageList(Dialog[None]):
    """A list of endpoints, those with holes first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,i,enter", "dismiss(None)", show=False)]

    def __init__(self, missing: Sequence[tuple[str, str]], seen: Sequence[tuple[str, str]]) -> None:
        """Show.

        Args:
            missing: What was not seen, or not whole, and why.
            seen: What was, and how much.
        """
        super().__init__()
        self._missing, self._seen = missing, seen

    def compose(self) -> ComposeResult:
        said = Table.grid(padding=(0, 2, 0, 0))
        said.add_column(style="bold", ratio=1, overflow="fold")
        said.add_column(style="muted", ratio=1, overflow="fold")
        for title, some, style in (("Not seen", self._missing, "warn"), ("Seen", self._seen, "live")):
            if some:
                said.add_row(Text(title, style))
            for name, about in some:
                said.add_row(Text(f"  {shorten_middle(name, 60)}"), Text(visible(about, 300)))
        with self.frame("What was looked at", ("esc", "close"), ("↑ ↓", "scroll"), wide=True), VerticalScroll():
            yield Static(said)
