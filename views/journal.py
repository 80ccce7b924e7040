"""Journal: what was changed on brokers; nothing is yet."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen


class Journal(WorkbenchScreen):
    """What was changed on brokers; nothing is yet."""

    ACTIONS_OF = "journal"

    def compose_body(self) -> ComposeResult:
        with Panel(title="Journal", classes="planned"), VerticalScroll():
            yield Static(
                Text(
                    "Every move as a line: what was moved, from where to where, what failed; to resume, undo or"
                    " forget.\n\nNothing can be moved yet, so there is nothing to list. What was published is said on"
                    " the Publish screen (6), one receipt per event."
                )
            )
