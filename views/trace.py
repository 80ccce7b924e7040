"""Trace: one correlation id across all connections; so far it leads to the events that are held."""

import asyncio
from typing import Final

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from views.workbench_screen import WorkbenchScreen

COUNTED: Final = 0.5
"""Seconds between two counts of what is held, while more is stored."""


class Trace(WorkbenchScreen):
    """One correlation id across all connections; so far it leads to the events that are held."""

    ACTIONS_OF = "trace"

    id_followed = ""
    """The id; empty: none was given."""

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(classes="planned"):
            yield Static(Text("Trace"), classes="planned-title")
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

    def on_mount(self) -> None:
        self._counting = self._count_again = False
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
        self._count_again = True
        if not self._counting and self.id_followed and self.is_current:
            self._keep_counting()

    @work(group="count")
    async def _keep_counting(self) -> None:
        self._counting = True
        try:
            while self._count_again and self.is_current:
                self._count_again = False
                found = await self.context.archive.by_id(self.id_followed)
                held = f"{len(found):,} events of it are held: enter shows them."
                if self.closed:
                    return
                self.query_one("#held", Static).update(Text(held if found else "No event held carries it."))
                await asyncio.sleep(COUNTED)
        finally:
            self._counting = False
