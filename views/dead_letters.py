"""Dead letters: groups of failures; so far it leads to the endpoints that hold them."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.widgets.options import Options
from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.endpoint import Endpoint
from workbench.operations.watch import Watch


class DeadLetters(WorkbenchScreen):
    """Groups of failures; so far it leads to the endpoints that hold them."""

    ACTIONS_OF = "dead_letters"

    def compose_body(self) -> ComposeResult:
        with Panel(title="Dead letters", classes="planned"), VerticalScroll():
            yield Static(
                Text(
                    "Failures grouped by reason, origin and type, to be edited and moved back so that nothing is"
                    " lost.\n\nThe groups are not there yet, and nothing can be moved yet. What works: enter opens"
                    " one of these endpoints on the Events screen, with its reasons counted above its events; W goes"
                    " to them, and enter filters by one."
                )
            )
            yield Options(id="dead")

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self.query_one(Options).focus()

    def show_listing(self, watch: Watch | None) -> None:
        """List the endpoints that hold dead letters."""
        super().show_listing(watch)
        lines = [_line_of(endpoint) for endpoint in self._endpoints()]
        self.query_one(Options).show(lines, "No dead-letter endpoint holds anything.")

    def on_option_list_option_selected(self, event: Options.OptionSelected) -> None:
        """Open it, unless it was emptied in the meantime."""
        if event.option_index < len(dead := self._endpoints()):
            self.host.open_endpoint(dead[event.option_index].address)

    def _endpoints(self) -> Sequence[Endpoint]:
        return [each for each in self.context.endpoints() if each.holds_dead_letters]


def _line_of(endpoint: Endpoint) -> Text:
    line = Text("✖ ", no_wrap=True)
    line.append(f"{endpoint.depth or 0:>7,}  ")
    line.append(visible(str(endpoint.address), 60))
    line.append(f"  ← {visible(', '.join(each.name for each in endpoint.dead_letters_of), 60)}", "muted")
    return line
