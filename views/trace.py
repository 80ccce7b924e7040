"""Trace: one correlation id across all connections; so far it leads to the events that are held."""

from typing import Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from views.catch_up import CatchUp
from views.host import Host
from views.widgets.panel import Panel
from views.workbench_screen import WorkbenchScreen
from workbench.model.wording import quantity

COUNTED: Final = 0.5
"""Seconds between two counts of what is held, while more is stored."""


class Trace(WorkbenchScreen):
    """One correlation id across all connections; so far it leads to the events that are held."""

    ACTIONS_OF = "trace"
    FIELD_KEYS = (("enter", "show events"), ("esc", "leave the field"))

    id_followed = ""
    """The id; empty: none was given."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._counting = CatchUp(self, self._count_held, COUNTED)

    def compose_body(self) -> ComposeResult:
        with Panel(title="Trace", classes="planned"), VerticalScroll():
            yield Static(
                Text(
                    "One correlation id across all brokers as one story: lanes for endpoints, rows for events, arrows"
                    " for what caused what, and what could not be seen.\n\nThat picture is not drawn yet. What works:"
                    " type or paste an id, and enter shows every event of its flow that was read so far, on the"
                    " Events screen and in order of time."
                )
            )
            yield Input(placeholder="a correlation, message or causation id", select_on_focus=False)
            yield Static("", id="held")

    def on_mount(self) -> None:
        self.listen_to_store()

    def on_screen_resume(self) -> None:
        """Count what was stored while another screen was shown."""
        self._count()

    def on_workbench_screen_store_changed(self) -> None:
        self._count()

    def follow(self, id: str) -> None:
        """Show how many events of an id are held."""
        self.id_followed = id.strip()
        self.query_one(Input).value = self.id_followed
        self._count()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field shows the events."""
        self.id_followed = event.value.strip()
        self.action_act("flow")

    def cannot_flow(self) -> str | None:
        return None if self.id_followed else "There is no id yet: type or paste one."

    def do_flow(self) -> None:
        self.host.show_flow(self.id_followed)

    def _count(self) -> None:
        """Say how many events of the id are held, and again while more are stored."""
        if self.id_followed and self.is_current:
            self._counting.request()

    async def _count_held(self) -> None:
        found = await self.context.archive.by_id(self.id_followed)
        sentence = (
            f"Read so far: {quantity(len(found), 'event')} with this id; enter shows the flow."
            if found
            else "No event read so far has it."
        )
        if not self.is_closed:
            self.query_one("#held", Static).update(Text(sentence))
