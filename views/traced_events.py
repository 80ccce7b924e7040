"""The story on Trace with the event at its cursor, and what can be done with that event and with the whole trace."""

from pathlib import Path
from typing import Final

import msgspec
from textual import on, work
from textual.widgets import Input

from views.export import body_text, line_text
from views.flow_search import FlowSearch
from views.host import Host
from views.steady_app import KEY_WORK
from views.widgets.inspector.inspector import Inspector
from views.widgets.inspector.page import Tab
from views.widgets.panel import Panel
from views.widgets.trace_story import TraceStory
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.endpoint import Ability
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.wording import quantity
from workbench.operations.trace import words
from workbench.operations.trace.forest import Trace

_FORMATS: Final = (".ndjson", ".mmd", ".json")


class TracedEvents(WorkbenchScreen):
    """Shows the event at the cursor of a trace, and acts on it."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._search: FlowSearch | None = None
        self._shown: Delivery | None = None

    @property
    def _story(self) -> TraceStory:
        return self.query_one(TraceStory)

    @property
    def _inspector(self) -> Inspector:
        return self.query_one(Inspector)

    @property
    def _found(self) -> Trace:
        return self._search.found if self._search is not None else Trace()

    @on(TraceStory.Moved)
    def _show_event(self) -> None:
        step = self._story.step
        shown = step.delivery if step is not None else None
        # What is being read stays where it is when others come.
        if shown is None or shown != self._shown:
            self._inspector.show(shown, self.context.session.reading, step is not None and step.is_dead_letter)
        self._shown = shown
        self._label_event()

    @on(Inspector.Labelled)
    def _label_event(self) -> None:
        panel, step = self.query_one("#traced", Panel), self._story.step
        panel.title = f"Event {self._story.number + 1}" if step is not None else "Event"
        panel.state = self._inspector.tabs
        gathering = self._search.gathering if self._search is not None else None
        if step is not None and gathering is not None:
            groups = gathering.passed_by(step.delivery)
            place = words.place_of(step)
            panel.note = f"{place} · read by {', '.join(groups)}" if groups else place

    def action_show_tab(self, tab: Tab) -> None:
        """Show a tab of the event that was clicked in its panel's border."""
        self._inspector.tab = tab
        self._inspector.focus()

    def _no_event(self) -> str | None:
        return None if self._story.step is not None else "There is no event: type or paste an id first."

    def _no_flow(self) -> str | None:
        gathering = self._search.gathering if self._search is not None else None
        return None if gathering is not None else "Nothing is followed: type or paste an id first."

    def cannot_inspect(self) -> str | None:
        return self._no_event()

    def do_inspect(self) -> None:
        if self.focused is self._inspector:
            self._inspector.action_toggle()
            return
        self.query_one("#traced").display = True
        self._inspector.focus()

    def cannot_shape(self) -> str | None:
        if self._story.is_tree and not self._story.lanes_fit:
            return "Lanes have no room here: there are too many endpoints for this width."
        return self._no_event()

    def do_shape(self) -> None:
        self._story.toggle_tree()

    def cannot_coverage(self) -> str | None:
        return self._no_flow()

    def do_coverage(self) -> None:
        from views.dialogs.coverage import CoverageList

        assert self._search is not None and self._search.gathering is not None
        gathering = self._search.gathering
        missing = [(str(where), reason) for where, reason in gathering.unseen]
        seen: list[tuple[str, str]] = []
        for address, covered in gathering.coverage.items():
            about = str(msgspec.structs.replace(covered, notes=()))
            (seen if covered.complete else missing).append((str(address), about))
        self.app.push_screen(CoverageList(missing, seen))

    def cannot_flow(self) -> str | None:
        return None if self.query_one(Input).value.strip() else "There is no id yet: type or paste one."

    def do_flow(self) -> None:
        steps = self._found.steps
        correlation = next((step.facts.correlation for step in steps if step.facts.correlation), None)
        self.host.show_flow(correlation or self.query_one(Input).value.strip())

    def cannot_clone(self) -> str | None:
        if self.context.session.reading.masked is not None:
            return "Values are masked here: o shows the events, of which a copy can be made."
        return self._no_event()

    def do_clone(self) -> None:
        if (step := self._story.step) is not None:
            self.host.clone_event(step.delivery)

    def cannot_move(self) -> str | None:
        if self.host.operation is not None:
            return f"{self.host.operation.what} is running: one operation runs at a time."
        if (why := self._no_event()) is not None or (step := self._story.step) is None:
            return why
        endpoint = self.context.endpoint(step.delivery.address)
        if endpoint is None or Ability.BROWSE not in endpoint.abilities:
            return f"Nothing is held in {visible(str(step.delivery.address), 60)}: there is nothing to move."
        if self.context.session.reading.masked is not None:
            return "Values are masked here: o shows the events, from where it can be moved."
        return None

    def do_move(self) -> None:
        from views.moving import Moving, scope_of_one

        if (step := self._story.step) is not None:
            Moving(self, [scope_of_one(step.delivery)]).ask()

    def cannot_copy(self) -> str | None:
        return self._no_event()

    def do_copy(self) -> None:
        if self.focused is self._inspector:
            self.host.copy(self._inspector.text_to_copy(), "The value at the cursor")
        elif (step := self._story.step) is not None:
            self.host.copy(*body_text(step.delivery))

    def cannot_copy_line(self) -> str | None:
        return self._no_event()

    def do_copy_line(self) -> None:
        if (step := self._story.step) is not None:
            try:
                self.host.copy(line_text(step.delivery), "The event's line")
            except WorkbenchError as error:
                self.host.say(str(error), "error")

    def cannot_export_trace(self) -> str | None:
        return self._no_event()

    def do_export_trace(self) -> None:
        self.host.ask(
            f"Export {quantity(len(self._found.steps), 'event')}",
            "The file to write: .ndjson for events, .mmd for a Mermaid diagram, .json for OTLP spans.",
            self._export,
            "trace.ndjson",
            wrong=_why_no_format,
        )

    def _export(self, name: str) -> None:
        self._write(Path(name).expanduser())

    @work(exclusive=True, group=KEY_WORK)
    async def _write(self, path: Path) -> None:
        from workbench.operations.export.file import write_trace

        found = self._found
        try:
            left_out = await write_trace(found, path)
        except WorkbenchError as error:
            self.host.say(str(error), "error")
        else:
            written = f"{quantity(len(found.steps) - left_out, 'event')} written to {path}"
            if left_out:
                reason = "NDJSON cannot write a text that holds half a character"
                self.host.say(f"{written}, {left_out:,} left out: {reason}.", "warning")
            else:
                self.host.say(f"{written}.")


def _why_no_format(name: str) -> str | None:
    if Path(name).suffix in _FORMATS:
        return None
    return f"Its name ends in {', '.join(_FORMATS)}: which is to be made?"
