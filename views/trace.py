"""Trace: one flow across all connections, what caused what, and where it stands."""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Input, Static
from textual.worker import Worker, get_current_worker

from views.catch_up import CatchUp
from views.export import body_text, line_text
from views.flow_list import WINDOWS, FlowList
from views.host import Host
from views.steady_app import KEY_WORK
from views.widgets.fields import TextField
from views.widgets.flow_table import FlowTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.inspector.tabs import Tab
from views.widgets.key_bar import KeyBar
from views.widgets.panel import NARROW, Panel
from views.widgets.trace_story import TraceStory
from views.widgets.usual_path import UsualPath
from views.workbench_screen import WayBack, WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.endpoint import Ability
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.start import Window
from workbench.model.wording import quantity
from workbench.operations.browse_defaults import price_sentence
from workbench.operations.saga.paths import Saga
from workbench.operations.saga.words import departure
from workbench.operations.trace import words
from workbench.operations.trace.following import arrivals
from workbench.operations.trace.forest import Trace as Flow
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import Plan, Scope, survey
from workbench.operations.trace.seeds import Seed

_PAINTED: Final = 0.1
"""Seconds between two pictures of what is found."""
_ASKED: Final = 0.3
"""Seconds between two questions to the store, while more is stored."""
_RECENT: Final = 20
"""Ids that are remembered."""


class Trace(WorkbenchScreen):
    """A field for an id; under it the flow as lanes or as a tree, and the event at the cursor in full. Where nothing is
    followed, the flows that are known, the stuck ones first, and the usual path beside the one at the cursor."""

    ACTIONS_OF = "trace"
    FIELD_KEYS = (("enter", "trace"), ("esc", "leave the field"))

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._gathering: Gathering | None = None
        self._begun_with: Delivery | None = None
        self._chosen: frozenset[str] | None = None
        self._failure = ""
        self._window = 0
        self._look = self._searching = self._following = self._stopped = False
        self._gatherer: Worker[None] | None = None
        self._follower: Worker[None] | None = None
        self._shown: Delivery | None = None
        self._aimed: Delivery | None = None
        self._settled = False
        self._listing, self._from_list = True, False
        self._searched_until = 0
        self._said = Text()
        self._table, self._usual = FlowTable(_now, id="flow-table"), UsualPath()
        parts = self._table, self._usual
        self._flows = FlowList(self, host, parts, _now, self._say_of_flows, self._follow_listed)
        self._judged: tuple[Flow, object, Saga | None] | None = None
        self._recent: deque[tuple[str, Delivery | None]] = deque(maxlen=_RECENT)
        self._painting = CatchUp(self, self._paint, _PAINTED)
        self._asking = CatchUp(self, self._ask_store, _ASKED)

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

    @property
    def _story(self) -> TraceStory:
        return self.query_one(TraceStory)

    @property
    def _inspector(self) -> Inspector:
        return self.query_one(Inspector)

    @property
    def _found(self) -> Flow:
        return self._gathering.trace if self._gathering is not None else Flow()

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
        if self._gathering is not None and not self._searching and self.is_current:
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
        found, judgement = self._found, self._flows.judgement
        if self._searching or not found.steps:
            return None
        if self._following:
            return self._flows.saga_of(found, _now())
        if self._judged is None or self._judged[0] is not found or self._judged[1] is not judgement:
            self._judged = found, judgement, self._flows.saga_of(found, self._searched_until)
        return self._judged[2]

    # What is followed.

    def follow(self, id: str) -> None:
        """Follow an id."""
        self._begin(id.strip(), None)

    def follow_event(self, delivery: Delivery) -> None:
        """Follow the flow of an event: by its correlation id, else by another, else by what it points at."""
        facts = self.context.session.reading.facts(self.context.session.reading.mask(delivery))
        if ids := facts.ids:
            self._begin(ids[0], None)
            return
        position = delivery.position
        place = f" {position.partition}:{position.offset}" if position is not None else ""
        self._begin(f"{delivery.address}{place}", delivery)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field follows what is in it."""
        text = event.value.strip()
        self._begin(text, dict(self._recent).get(text), from_list=self._listing or self._from_list)

    def _begin(self, text: str, begun_with: Delivery | None, from_list: bool = False) -> None:
        self.query_one(Input).value = text
        self._chosen = None
        self._begun_with = begun_with
        self._look = False
        if text:
            self._listing, self._from_list = False, from_list
            others = [each for each in self._recent if each[0] != text]
            self._recent = deque([(text, begun_with), *others], maxlen=_RECENT)
            self._again()

    def _again(self) -> None:
        """Gather what is followed, as far and as wide as is asked for now."""
        self._following = False
        self.workers.cancel_group(self, "trace-follow")
        self._story.display = True
        self._story.focus()
        self._gatherer = self._gather(self.query_one(Input).value)

    def _again_if_agreed(self, title: str, change: Callable[[], None]) -> None:
        """Gather anew after a change; where queues are looked into, that costs what it did, and is asked again."""

        def begin() -> None:
            change()
            self._again()

        if self._look:
            self._ask_to_look(title, begin)
        else:
            begin()

    @work(exclusive=True, group="trace")
    async def _gather(self, text: str) -> None:
        self._gathering, self._failure, self._searching, self._stopped = None, "", True, False
        self._settled = False
        self._story.show(Flow(), 0)
        self._painting.request()
        try:
            session = self.context.session
            back = WINDOWS[self._window][1]
            window = Window(None if back is None else _now() - back)
            scope = Scope(window=window, look=self._look)
            seed = Seed(text) if self._begun_with is not None else Seed.parse(text)
            plan = await survey(session, scope) if self.context.store is not None else Plan()
            gathering = Gathering(
                session,
                self.context.archive,
                seed,
                plan,
                scope,
                self._chosen,
                self.context.workers,
                self._begun_with,
                self._painting.request,
            )
            self._gathering = gathering
            await gathering.run()
        except WorkbenchError as error:
            self._failure = str(error)
            return
        finally:
            # One that was cancelled ends after the next has begun.
            if get_current_worker() is self._gatherer:
                self._searching = False
                self._searched_until = _now()
                if not self.is_closed:
                    self._painting.request()
        if gathering.places:
            await self.host.pause()
            if not self.is_closed and self.is_current and self._gathering is gathering:
                self._choose(gathering)

    def _choose(self, gathering: Gathering) -> None:
        """Ask which of the places of a value is meant."""
        from views.dialogs.choice import Choice

        lines = [
            Text()
            .append(visible(place.name, 40), "bold")
            .append(f"  {quantity(place.events, 'event')}, {quantity(place.flows, 'correlation')}", "muted")
            for place in gathering.places
        ]

        def follow(number: int | None) -> None:
            if number is not None:
                chosen = frozenset({gathering.places[number].name})
                self._again_if_agreed("Follow it", lambda: setattr(self, "_chosen", chosen))

        title = f"{visible(gathering.seed.value, 30)} stands in several places"
        self.app.push_screen(Choice(title, lines, "follow"), follow)

    async def _ask_store(self) -> None:
        gathering = self._gathering
        if gathering is not None and not self._searching and await gathering.look_again() and not self.is_closed:
            self._painting.request()

    # What is drawn.

    async def _paint(self) -> None:
        if self._gathering is not None and self._following and not self._searching:
            await self._gathering.catch_up()
        if self.is_closed:
            return
        found = self._found
        if found.steps or self._story.step is not None:
            at = found.stuck if found.stuck is not None else found.last
            step = self._story.step
            # Where it stands may change until all is searched; the cursor goes along, unless its user has moved it.
            aims = step is None or (not self._settled and step.delivery == self._aimed)
            self._story.show(found, at if aims else None)
            if aims and (step := self._story.step) is not None:
                self._aimed = step.delivery
            self._settled = not self._searching
        self._say()

    def _tick(self) -> None:
        if self.is_current:
            self._flows.tick()
        if self.is_current and (self._searching or self._found.steps or self._listing):
            self._say()

    def _say(self) -> None:
        """Say where the flow stands, in the line above it and in the border."""
        panel, gathering, found = self.query_one("#story", Panel), self._gathering, self._found
        said = self._flow_verdict() if self._listing else self._verdict()
        if said != self._said:
            self._said = said
            self.query_one("#verdict", Static).update(said)
        panel.title = "Flows" if self._listing else "Trace"
        if self._listing:
            panel.state, panel.note = self._flows.state, self._flows.note
            self._say_path()
            self.query_one(KeyBar).update()
            self._arrange()
            return
        state = [words.summary(found)] if found.steps else []
        if self._searching:
            progress = gathering.progress if gathering is not None else None
            state.append(f"searching {progress.share:.0%}" if progress is not None and progress.total else "searching")
        elif self._following:
            state.append("● live")
        panel.state = " · ".join(state)
        panel.note = "" if gathering is None else f"{WINDOWS[self._window][0]} · {_seen(gathering)}"
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
        recent = "".join(f"\n  {visible(each, 60)}" for each, _ in list(self._recent)[:5])
        said.append(f"\n\n{self.key_of('recent')} goes back to one of these:{recent}" if recent else "", "muted")
        said.append(
            "\n\nPaste or type an id: its events on all connections become one story, with what caused", "muted"
        )
        said.append(" what.\n", "muted")
        said.append(f"{self.key_of('trace', 'events')} on any event does the same.", "muted")
        if self._flows.cannot_read() is None:
            said.append(f"\n\n  {self.key_of('widen_window')}  reads the flows of topics and streams; asks first")
            said.append(f"\n  {self.key_of('look_into')}  reads those of queues; asks first")
        return said

    def _verdict(self) -> Text:
        gathering, found = self._gathering, self._found
        if self._failure:
            return Text(visible(self._failure), "dead")
        if found.steps:
            stuck = found.stuck is not None
            dead = found.stuck is not None and found.steps[found.stuck].is_dead_letter
            sign = words.sign(found.steps[found.stuck]) if found.stuck is not None else words.SEEN
            said = Text().append(f"{sign} ", "dead" if dead else "warn" if stuck else "live")
            said.append(visible(words.verdict(found, _now())), "bold")
            for oddity in words.oddities(found)[:1] if self.size.width >= NARROW else ():
                said.append(f"  ·  {visible(oddity)}", "muted")
            saga = self._saga
            if saga is None or not (departs := departure(saga)):
                return said
            departed = Text().append("✖ stuck: " if saga.stuck else "? ", "dead" if saga.stuck else "warn")
            departed.append(visible(departs), "bold" if saga.stuck else "muted")
            # What no broker knows to be stuck is told first; what waits where somebody can see it tells itself.
            return Text("\n").join([departed, said] if saga.stuck and not stuck else [said, departed])
        if self._searching or gathering is None:
            return Text("Searching …", "muted")
        if gathering.places:
            key = self.key_of("recent")
            return Text(f"This value stands in several places: {key}, or enter in the field, asks again which.", "warn")
        if self._stopped:
            return Text("The search was stopped: what was not searched may hold it.", "warn")
        return self._not_found(gathering)

    def _not_found(self, gathering: Gathering) -> Text:
        """That there is nothing, and what may be done about it."""
        read = sum(each.read for each in gathering.coverage.values())
        said = Text().append("Not found", "warn")
        said.append(f" in {read:,} events of {quantity(len(gathering.coverage), 'endpoint')}.\n")
        if gathering.scope.window.since is not None:
            window = WINDOWS[self._window][0]
            said.append(f"\n  {self.key_of('widen_window')}  searches topics and streams further back than {window}")
        if gathering.plan.prices and not gathering.scope.look:
            queues = quantity(len(gathering.plan.prices), "queue")
            messages = quantity(gathering.plan.messages, "message")
            said.append(f"\n  {self.key_of('look_into')}  looks into {queues} with {messages}; asks first")
        if self.cannot_follow_trace() is None:
            said.append(f"\n  {self.key_of('follow_trace')}  waits for it to arrive")
        if not gathering.complete:
            said.append(f"\n  {self.key_of('coverage')}  shows what could not be seen")
        return said

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
        if step is not None and self._gathering is not None:
            groups = self._gathering.passed_by(step.delivery)
            place = words.place_of(step)
            panel.note = f"{place} · read by {', '.join(groups)}" if groups else place

    def action_show_tab(self, tab: Tab) -> None:
        """Show a tab of the event that was clicked in its panel's border."""
        self._inspector.tab = tab
        self._inspector.focus()

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
        if self._searching:
            return WayBack("stop searching", self._stop)
        if self._from_list:
            return WayBack("back to the flows", self.list_flows)
        return WayBack("go back", self.host.go_back)

    def _leave_field(self) -> None:
        self.set_focus(self._table if self._listing else self._story if self._story.display else None)

    def _stop(self) -> None:
        self.workers.cancel_group(self, "trace")
        self._searching, self._stopped = False, True
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

    def cannot_inspect(self) -> str | None:
        return self._no_event()

    def do_inspect(self) -> None:
        if self.focused is self._inspector:
            self._inspector.action_toggle()
            return
        self.query_one("#traced").display = True
        self._inspector.focus()

    def _no_event(self) -> str | None:
        if self._listing:
            return "There is no event here: enter follows the flow."
        return None if self._story.step is not None else "There is no event: type or paste an id first."

    def _no_flow(self) -> str | None:
        return None if self._gathering is not None else "Nothing is followed: type or paste an id first."

    def cannot_look_into(self) -> str | None:
        if (reason := self._no_flow()) is not None:
            return reason
        assert self._gathering is not None
        if not self._gathering.plan.prices:
            return "There is no queue to look into."
        return "The queues were looked into already." if self._look else None

    def do_look_into(self) -> None:
        def look() -> None:
            self._look = True
            self._again()

        self._ask_to_look("Look into queues", look)

    def _ask_to_look(self, title: str, look: Callable[[], None]) -> None:
        """Say what browsing the queues costs, and do it if that is agreed to."""
        if self._gathering is None:
            return
        plan = self._gathering.plan
        sentence = price_sentence(len(plan.prices), plan.messages, (price for _, price in plan.prices))
        self.host.agree(title, sentence, "look", look)

    def cannot_follow_trace(self) -> str | None:
        if (reason := self._no_flow()) is not None or self._following:
            return reason
        assert self._gathering is not None
        plan = self._gathering.plan
        followed = (*plan.logs, *(plan.queues if self._look else ()))
        if not any(Ability.TAIL in endpoint.abilities for endpoint in followed):
            return "Nothing that was looked at can be followed."
        return None

    def do_follow_trace(self) -> None:
        self._following = not self._following
        if self._following:
            self._follower = self._follow()
        else:
            self.workers.cancel_group(self, "trace-follow")
        self._say()

    @work(exclusive=True, group="trace-follow")
    async def _follow(self) -> None:
        gathering = self._gathering
        if gathering is None:
            return
        try:
            async with arrivals(self.context.session, gathering.plan, self._look) as arriving:
                async for batch in arriving:
                    for sentence in arriving.news():
                        self.host.say(sentence, "warning")
                    if gathering.take(batch) and not self.is_closed:
                        self._painting.request()
                self.host.say("Nothing is left to follow.", "warning")
        finally:
            if get_current_worker() is self._follower:
                self._following = False
                if not self.is_closed:
                    self._painting.request()

    def cannot_widen_window(self) -> str | None:
        if self._window + 1 == len(WINDOWS):
            return "Topics and streams are searched from their beginning already."
        return self._no_flow()

    def do_widen_window(self) -> None:
        wider = self._window + 1
        self._again_if_agreed("Search further back", lambda: setattr(self, "_window", wider))

    def cannot_shape(self) -> str | None:
        if self._story.is_tree and not self._story.lanes_fit:
            return "Lanes have no room here: there are too many endpoints for this width."
        return self._no_event()

    def do_shape(self) -> None:
        self._story.toggle_tree()

    cannot_coverage = _no_flow

    def do_coverage(self) -> None:
        from views.dialogs.coverage import CoverageList

        assert self._gathering is not None
        gathering = self._gathering
        missing = [(str(where), reason) for where, reason in gathering.unseen]
        seen: list[tuple[str, str]] = []
        for address, covered in gathering.coverage.items():
            about = str(msgspec.structs.replace(covered, notes=()))
            (seen if covered.complete else missing).append((str(address), about))
        self.app.push_screen(CoverageList(missing, seen))

    def cannot_recent(self) -> str | None:
        return None if self._recent else "No id was followed yet."

    def do_recent(self) -> None:
        from views.dialogs.choice import Choice

        recent = list(self._recent)

        def follow(number: int | None) -> None:
            if number is not None:
                self._begin(*recent[number], from_list=self._listing or self._from_list)

        self.app.push_screen(Choice("Recent ids", [Text(visible(each, 66)) for each, _ in recent], "follow"), follow)

    def cannot_flow(self) -> str | None:
        return None if self.query_one(Input).value.strip() else "There is no id yet: type or paste one."

    def do_flow(self) -> None:
        found = self._found
        correlation = next((step.facts.correlation for step in found.steps if step.facts.correlation), None)
        self.host.show_flow(correlation or self.query_one(Input).value.strip())

    def cannot_clone(self) -> str | None:
        if self.context.session.reading.masked is not None:
            return "Values are masked here: o shows the events, of which a copy can be made."
        return self._no_event()

    def do_clone(self) -> None:
        if (step := self._story.step) is not None:
            self.host.clone_event(step.delivery)

    cannot_copy = cannot_copy_line = _no_event

    def do_copy(self) -> None:
        if self.focused is self._inspector:
            self.host.copy(self._inspector.text_to_copy(), "The value at the cursor")
        elif (step := self._story.step) is not None:
            self.host.copy(*body_text(step.delivery))

    def do_copy_line(self) -> None:
        if (step := self._story.step) is not None:
            try:
                self.host.copy(line_text(step.delivery), "The event's line")
            except WorkbenchError as error:
                self.host.say(str(error), "error")

    cannot_export_trace = _no_event

    def do_export_trace(self) -> None:
        self.host.ask(
            f"Export {quantity(len(self._found.steps), 'event')}",
            "The file to write: .ndjson for events, .mmd for a Mermaid diagram, .json for OTLP spans.",
            self._export,
            "trace.ndjson",
            wrong=lambda name: (
                None
                if Path(name).suffix in _FORMATS
                else f"Its name ends in {', '.join(_FORMATS)}: which is to be made?"
            ),
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


def _now() -> int:
    return round(time.time() * 1000)


_FORMATS: Final = (".ndjson", ".mmd", ".json")


def _seen(gathering: Gathering) -> str:
    """What was looked at, in short."""
    events = sum(covered.read for covered in gathering.coverage.values())
    holes = len(gathering.unseen) + sum(not covered.complete for covered in gathering.coverage.values())
    seen = f"{events:,} in {quantity(len(gathering.coverage), 'endpoint')}"
    return f"{seen} · not seen: {holes}" if holes else seen
