"""Dead letters: groups of failures; so far it leads to the endpoints that hold them."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from views.widgets.explanation import Explanation
from views.widgets.options import Options
from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import cells, shorten_middle, visible
from workbench.model.endpoint import Endpoint
from workbench.model.wording import quantity
from workbench.operations.watch import Watch

_LONGEST = 50
"""Cells of an endpoint's address."""


class DeadLetters(WorkbenchScreen):
    """Groups of failures; so far it leads to the endpoints that hold them."""

    ACTIONS_OF = "dead_letters"

    def compose_body(self) -> ComposeResult:
        with Panel(title="Dead letters", classes="explained"):
            with Vertical(id="failed"):
                yield Static("", id="dead-head")
                yield Options(id="dead")
                yield Static(
                    "Not there yet: failures grouped by reason, origin and type, edited and moved back so that"
                    " nothing is lost.",
                    id="dead-note",
                )
            yield Explanation(
                "No endpoint holds dead letters.",
                "A dead-letter queue or topic is listed here as soon as there is anything in it, with how much and"
                " where that comes from; enter opens it, with its reasons counted above its events.",
                [(self.key_of("events"), "all endpoints"), (self.key_of("connections"), "connections")],
                "✖      67  kafka/payments-dlt  ← payments",
            )

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self.query_one(Options).focus()

    def show_listing(self, watch: Watch | None) -> None:
        """List the endpoints that hold dead letters."""
        super().show_listing(watch)
        dead = self._endpoints()
        self.query_one("#failed").display, self.query_one(Explanation).display = bool(dead), not dead
        width = max((cells(visible(str(each.address), _LONGEST)) for each in dead), default=0)
        self.query_one("#dead-head", Static).update(Text(f"    count  {'endpoint'.ljust(width)}  from", "muted"))
        self.query_one(Options).show([_line_of(endpoint, width) for endpoint in dead], "")
        panel = self.query_one(Panel)
        many = sum(each.depth or 0 for each in dead)
        panel.state = f"{many:,} in {quantity(len(dead), 'endpoint')}" if dead else ""
        panel.keys = (("enter", "open its events"), ("W", "there: its reasons")) if dead else ()

    def on_option_list_option_selected(self, event: Options.OptionSelected) -> None:
        """Open it, unless it was emptied in the meantime."""
        if event.option_index < len(dead := self._endpoints()):
            self.host.open_endpoint(dead[event.option_index].address)

    def _endpoints(self) -> Sequence[Endpoint]:
        return [each for each in self.context.endpoints() if each.holds_dead_letters]


def _line_of(endpoint: Endpoint, width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("✖ ", "dead").append(f"{endpoint.depth or 0:>7,}  ")
    address = shorten_middle(str(endpoint.address), _LONGEST)
    line.append(address + " " * max(width - cells(address), 0))
    return line.append(f"  {visible(', '.join(each.name for each in endpoint.dead_letters_of), 60)}", "muted")
