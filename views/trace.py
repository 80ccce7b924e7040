"""Trace: one flow across all connections, what caused what, and where it stands."""

from typing import Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Input, Static

from views import trace_verdict
from views.flow_list import FlowList
from views.flow_search import FlowSearch
from views.followed_flow import FollowedFlow, now
from views.host import Host
from views.widgets.fields import TextField
from views.widgets.flow_table import FlowTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.key_bar import KeyBar
from views.widgets.panel import NARROW, Panel
from views.widgets.trace_rows import missing_of
from views.widgets.trace_story import TraceStory
from views.widgets.usual_path import UsualPath
from views.workbench_screen import WayBack
from workbench.model.wording import quantity
from workbench.operations.saga.paths import Saga
from workbench.operations.trace import words
from workbench.operations.trace.forest import Trace as Flow
from workbench.operations.trace.gathering import Gathering

_LISTED: Final = 5
"""Ids that were followed, of which so many are listed where nothing is followed."""


class Trace(FollowedFlow):
    """A field for an id; under it the flow as lanes or as a tree, and the event at the cursor in full. Where nothing is
    followed, the flows that are known, the stuck ones first, and the usual path beside the one at the cursor."""

    ACTIONS_OF = "trace"
    FIELD_KEYS = (("enter", "trace"), ("esc", "leave the field"))

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._said = Text()
        self._table, self._usual = FlowTable(now, id="flow-table"), UsualPath()
        parts = self._table, self._usual
        self._flows = FlowList(self, host, parts, now, self._say_of_flows, self._follow_listed)
        self._judged: tuple[Flow, object, Saga | None] | None = None

    def compose_body(self) -> ComposeResult:
        with Panel(title="Trace", id="story"):
            yield TextField(placeholder="a correlation, message or trace id, or body.orderId=4711", id="seed")
            yield Static("", id="verdict")
            yield TraceStory(id="flow")
            yield self._table
        with Panel(title="Event", id="traced"):
            yield Inspector(id="traced-event")
        with Panel(title="Usual path", id="usual"):
            yield self._usual

    def on_mount(self) -> None:
        self.listen_to_store()
        self._say()
        self.set_interval(1, self._tick)

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def on_screen_resume(self) -> None:
        """Draw what was stored while another screen was shown."""
        if self._listing and self.focused is None:
            self._table.focus()
        self.on_workbench_screen_store_changed()

    def on_workbench_screen_store_changed(self) -> None:
        if self.is_current:
            self._flows.update()
            self._asking.request()

    # The flows that are known.

    def actor(self, action: str) -> object:
        """While the flows are listed, they are what keys are about."""
        return self._flows if self._listing and hasattr(self._flows, f"do_{action}") else self

    def cannot_flows(self) -> str | None:
        return "The flows are listed already." if self._listing else None

    def list_flows(self) -> None:
        """List them, in the place of what is followed."""
        self._listing = True
        self._flows.update()
        self._say()
        self._table.focus()

    def _say_of_flows(self) -> None:
        """More is known of the flows."""
        if not self.is_closed and self.is_current:
            self._say()

    def _follow_listed(self, saga: Saga) -> None:
        self._begin(saga.flow.correlation, None, from_list=True)

    @on(FlowTable.Moved)
    def _show_path(self) -> None:
        if self._listing:
            self._say()

    @on(FlowTable.Chosen)
    def _follow_chosen(self) -> None:
        self.action_act("inspect")

    @property
    def _saga(self) -> Saga | None:
        """How what is followed stands beside the usual path of its type."""
        search, judgement = self._search, self._flows.judgement
        if search is None or search.is_searching or not search.found.steps:
            return None
        found = search.found
        if search.is_live:
            return self._flows.saga_of(found, now())
        if self._judged is None or self._judged[0] is not found or self._judged[1] is not judgement:
            self._judged = found, judgement, self._flows.saga_of(found, search.until)
        return self._judged[2]

    # What is drawn.

    def _tick(self) -> None:
        if not self.is_current:
            return
        self._flows.tick()
        if self._listing or self._search is not None:
            self._say()

    def _say(self) -> None:
        """Say where the flow stands, in the line above it and in the border."""
        panel, search = self.query_one("#story", Panel), self._search
        saga = self._saga if not self._listing else None
        said = self._flow_verdict() if self._listing or search is None else self._verdict(search, saga)
        if said != self._said:
            self._said = said
            self.query_one("#verdict", Static).update(said)
        panel.title = "Flows" if self._listing else "Trace"
        if self._listing:
            panel.state, panel.note = self._flows.state, self._flows.note
            self._say_path()
        elif search is not None:
            self._story.lack(missing_of(search.found, saga))
            found, gathering = search.found, search.gathering
            panel.state = " · ".join(filter(None, [words.summary(found) if found.steps else "", search.state]))
            panel.note = "" if gathering is None else f"{search.wanted.back} · {_seen(gathering)}"
        self.query_one(KeyBar).update()
        self._arrange()

    def _say_path(self) -> None:
        panel = self.query_one("#usual", Panel)
        panel.title, panel.state = self._flows.path_title
        width, height = self.size
        self._flows.show_path(max(width - (4 if width >= NARROW else 0), 20), max(height // 2 - 5, 3))

    def _flow_verdict(self) -> Text:
        said = self._flows.verdict()
        if self._flows.saga is not None or self._flows.is_reading:
            return said
        recent = [each for each, _ in self._recent][:_LISTED]
        can_read = self._flows.cannot_read() is None
        return said.append(trace_verdict.first_text(recent, can_read, self.key_of, self.key_of("trace", "events")))

    def _verdict(self, search: FlowSearch, saga: Saga | None) -> Text:
        if search.failure or not search.found.steps:
            return trace_verdict.no_flow_text(search, self.key_of)
        return trace_verdict.flow_text(search.found, saga, now(), self.size.width >= NARROW)

    def _arrange(self) -> None:
        steps = bool(self._found.steps)
        narrow = self.size.width < NARROW
        inspecting = self.focused is self._inspector and not self._listing
        self.query_one("#traced").display = steps and not self._listing and (not narrow or inspecting)
        self.query_one("#story").display = not (steps and narrow and inspecting)
        # Hidden while it is searched again, it would lose the focus to the field.
        self._story.display = bool(self._recent) and not self._listing
        self._table.display = self._listing
        self.query_one("#usual").display = self._listing and self._flows.saga is not None

    def on_descendant_focus(self) -> None:
        self._arrange()

    # What can be done.

    def way_back(self) -> WayBack | None:
        """Leave the field or the event, stop what runs, or go back."""
        if self.is_writing:
            return WayBack("leave the field", self._leave_field)
        if self.focused is self._inspector:
            return WayBack("back to the flow", self._story.focus)
        if self._listing:
            if self._flows.is_reading:
                return WayBack("stop reading", self._flows.stop)
            return WayBack("go back", self.host.go_back)
        if self._search is not None and self._search.is_searching:
            return WayBack("stop searching", self._stop)
        if self._from_list:
            return WayBack("back to the flows", self.list_flows)
        return WayBack("go back", self.host.go_back)

    def _leave_field(self) -> None:
        self.set_focus(self._table if self._listing else self._story if self._story.display else None)

    def _stop(self) -> None:
        if self._search is not None:
            self._search.stop()
            self._say()

    def do_pane(self) -> None:
        if self._listing:
            field, table = self.query_one(Input), self._table
            (table if self.focused is field else field).focus()
            return
        if not self._found.steps:
            self.query_one(Input).focus()
            return
        order = [self.query_one(Input), self._story, self._inspector]
        at = order.index(self.focused) if self.focused in order else 0
        following = order[(at + 1) % len(order)]
        if following is self._inspector:
            self.query_one("#traced").display = True
        self.query_one("#story").display = True
        following.focus()

    def _no_event(self) -> str | None:
        return "There is no event here: enter follows the flow." if self._listing else super()._no_event()


def _seen(gathering: Gathering) -> str:
    """What was looked at, in short."""
    events = sum(covered.read for covered in gathering.coverage.values())
    holes = len(gathering.unseen) + sum(not covered.complete for covered in gathering.coverage.values())
    seen = f"{events:,} in {quantity(len(gathering.coverage), 'endpoint')}"
    return f"{seen} · not seen: {holes}" if holes else seen
