"""Journal: what was changed on brokers; nothing is yet."""

from textual.app import ComposeResult

from views.widgets.explanation import Explanation
from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen


class Journal(WorkbenchScreen):
    """What was changed on brokers; nothing is yet."""

    ACTIONS_OF = "journal"

    def compose_body(self) -> ComposeResult:
        with Panel(title="Journal", classes="explained"):
            yield Explanation(
                "Nothing was moved, and nothing can be moved yet.",
                "Each move will be a line here: what was moved, from where to where, and what failed; to be resumed,"
                " undone or forgotten.",
                [(self.key_of("compose"), "what was published has its receipts on Publish")],
                "10:03:22   67 of payments-dlt → payments   67 copied   0 failed   0 returned",
            )
