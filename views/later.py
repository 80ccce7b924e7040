"""The screens that come later: what each will do, and what can be done in its place today."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from views.widgets.options import Options
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import shown
from workbench.model.endpoint import Endpoint
from workbench.operations.watch import Watch


class Trace(WorkbenchScreen):
    """One correlation id across all connections; so far it leads to the events that are held."""

    ACTIONS_OF = "trace"

    id_followed = ""
    """The id; empty: none was given."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(classes="later"):
            yield Static(Text("Trace"), classes="later-title")
            yield Static(
                Text(
                    "One correlation id across all brokers as one story: lanes for endpoints, rows for events, arrows"
                    " for what caused what, and what could not be seen.\n\nThat picture is not drawn yet. What works:"
                    " type or paste an id, and enter shows all that is held of its flow on the Events screen, from"
                    " every endpoint that was looked at, in the order of time."
                )
            )
            yield Input(placeholder="a correlation id, a message id or the id of a cause", select_on_focus=False)
            yield Static("", id="held")

    def follow(self, id: str) -> None:
        """Show how many events of an id are held."""
        self.id_followed = id.strip()
        self.query_one(Input).value = self.id_followed
        if self.id_followed:
            self.run_worker(self._count(self.id_followed), exclusive=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field shows the events."""
        self.id_followed = event.value.strip()
        self.action_act("flow")

    def cannot_flow(self) -> str | None:
        return None if self.id_followed else "There is no id yet: type or paste one."

    def do_flow(self) -> None:
        self.workbench.show_flow(self.id_followed)

    async def _count(self, id: str) -> None:
        found = await self.context.archive.by_id(id)
        sentence = f"{len(found):,} events of it are held: enter shows them." if found else "No event held carries it."
        if not self.closed:
            self.query_one("#held", Static).update(Text(sentence))


class DeadLetters(WorkbenchScreen):
    """Groups of failures; so far it leads to the endpoints that hold them."""

    ACTIONS_OF = "dead_letters"

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(classes="later"):
            yield Static(Text("Dead letters"), classes="later-title")
            yield Static(
                Text(
                    "Failures grouped by reason, origin and type, to be edited and moved back so that nothing is"
                    " lost.\n\nThe groups are not there yet, and nothing can be moved yet. What works: enter goes to"
                    " one of these endpoints on the Events screen, where / filters by reason, such as:"
                    " reason contains declined"
                )
            )
            yield Options(id="dead")

    def on_screen_resume(self) -> None:
        """Go to the list."""
        self.query_one(Options).focus()

    def listed(self, watch: Watch | None) -> None:
        """List the endpoints that hold dead letters."""
        super().listed(watch)
        lines = [_dead(endpoint) for endpoint in self._dead()]
        self.query_one(Options).show(lines, "No dead-letter endpoint holds anything.")

    def on_option_list_option_selected(self, event: Options.OptionSelected) -> None:
        """Go there, unless it was emptied in the meantime."""
        if event.option_index < len(dead := self._dead()):
            self.workbench.show_endpoint(dead[event.option_index].address)

    def _dead(self) -> Sequence[Endpoint]:
        return [each for each in self.context.endpoints() if each.holds_dead_letters]


class Journal(WorkbenchScreen):
    """What was changed on brokers; nothing is yet."""

    ACTIONS_OF = "journal"

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(classes="later"):
            yield Static(Text("Journal"), classes="later-title")
            yield Static(
                Text(
                    "Every move as a line: what was moved, from where to where, what failed; to resume, undo or"
                    " forget.\n\nNothing can be moved yet, so there is nothing to list. What was published is said on"
                    " the Publish screen (6), a receipt an event."
                )
            )


def _dead(endpoint: Endpoint) -> Text:
    line = Text("✖ ", no_wrap=True)
    line.append(f"{endpoint.depth or 0:>7,}  ")
    line.append(shown(str(endpoint.address), 60))
    line.append(f"  ← {shown(', '.join(each.name for each in endpoint.dead_letters_of), 60)}", "dim")
    return line
