"""The flows on Trace: read from what is held and what is asked for, judged as they grow, the stuck ones first."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from rich.text import Text
from textual.screen import Screen
from textual.worker import Worker

from views.catch_up import CatchUp, is_running
from views.host import Host
from views.steady_app import KEY_WORK
from views.widgets.flow_table import SIGNS, FlowTable
from views.widgets.usual_path import UsualPath
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import WorkbenchError
from workbench.model.look import Coverage
from workbench.model.start import Since
from workbench.model.wording import quantity, time_span
from workbench.operations.browse_defaults import beginning_of, price_sentence
from workbench.operations.saga.flows import Flows, occurrence_of
from workbench.operations.saga.held import HeldFlows, Judgement, read_until
from workbench.operations.saga.paths import LEAST, Saga, judge
from workbench.operations.saga.words import death, departure
from workbench.operations.search import DECODED_RATE
from workbench.operations.trace.forest import Trace
from workbench.operations.trace.scope import WINDOWS, Plan, Scope
from workbench.store.ingest import Ended, Ingestion

FEW: Final = 2_000
"""Events whose facts are read in this process: more would make the event loop wait."""
_JUDGED: Final = 0.5
"""Seconds between two judgements, at least."""
_EASE: Final = 4
"""Times as long as a judgement took, before the next."""
_AT_ONCE: Final = 1.0
"""Seconds of reading after which what is known so far is judged."""
_SIDE_BY_SIDE: Final = 6
"""Endpoints that are read at once."""
_FOLLOWED: Final = 50
"""Topics and streams that are followed at most."""
_LONG: Final = 1_000
"""Events from which on a trace is not judged: the event loop would wait."""
_TICKS: Final = 5
"""Seconds between two judgements where nothing arrives, while something is followed: what does not come is late."""


class FlowList:
    """Keeps the list of flows, and the path beside the one at the cursor, up with what is held."""

    def __init__(
        self,
        node: Screen[None],
        host: Host,
        parts: tuple[FlowTable, UsualPath],
        now: Callable[[], int],
        changed: Callable[[], None],
        follow: Callable[[Saga], None],
    ) -> None:
        """Know no flow yet.

        Args:
            node: Whose workers do it.
            host: The program.
            parts: What shows it.
            now: The present, in milliseconds since 1970 UTC.
            changed: Called when something is to be said anew.
            follow: Follows a flow.
        """
        self._node: Final = node
        self._host: Final = host
        self._table, self._path = parts
        self._now: Final = now
        self._changed: Final = changed
        self._follow: Final = follow
        self._held: Final = HeldFlows(host.context.archive)
        self._judging: Final = CatchUp(node, self._judge, _JUDGED)
        self._reader: Worker[None] | None = None
        self._total = self._read = 0
        self._window = 0
        self._read_at: int | None = None
        self._looked = False
        self._unseen: Sequence[tuple[Address | str, str]] = ()
        self._asked: dict[Address, Endpoint] = {}
        self._left_out: Mapping[Address, str] = {}
        self._followed: list[Ingestion] = []
        self._failure = ""
        self._ticks = 0

    @property
    def saga(self) -> Saga | None:
        """The flow at the cursor; None: there is none."""
        return self._table.saga

    @property
    def judgement(self) -> Judgement:
        """How all flows stand, as far as they were judged."""
        return self._held.judgement

    @property
    def is_reading(self) -> bool:
        """Whether what was asked for is being read."""
        return is_running(self._reader)

    @property
    def is_following(self) -> bool:
        """Whether what arrives is added."""
        return any(not isinstance(each.state, Ended) for each in self._followed)

    def update(self) -> None:
        """There may be more: read and judge it, off the event loop."""
        if self._held.is_behind or not self._held.judgement.flows:
            self._judging.request()

    def tick(self) -> None:
        """A second has passed: what has not come by now may be late."""
        self._ticks = (self._ticks + 1) % _TICKS
        if not self._ticks and self._held.judgement.flows and self._running:
            self._judging.request()

    async def _judge(self) -> None:
        held, context = self._held, self._host.context
        begun = time.monotonic()
        try:
            while held.is_behind and time.monotonic() - begun < _AT_ONCE:
                await held.catch_up(context.workers if held.waiting > FEW else None)
            if not self._node.is_attached:
                return
            begun = time.monotonic()
            await held.judge(self._now(), self._running, context.workers if held.occurrences > FEW else None)
        except WorkbenchError as error:
            self._failure = str(error)
            self._changed()
            return
        if self._node.is_attached:
            self._table.show(held.judgement.sagas, held.judgement.paths)
            self._changed()
            await asyncio.sleep(_EASE * (time.monotonic() - begun))
        if held.is_behind:
            self._judging.request()

    @property
    def _running(self) -> list[int]:
        """The looks that wait for what arrives."""
        return [each.look for each in self._host.context.ingestions.running if each.kind == "tail"]

    # What is said.

    def verdict(self) -> Text:
        """How the flow at the cursor stands; where there is none, why."""
        judgement, saga = self._held.judgement, self._table.saga
        if self._failure:
            return Text(visible(self._failure), "dead")
        if saga is None:
            return self._nothing()
        if not judgement.paths:
            types = len({each.type for each in judgement.sagas})
            return Text(
                f"{quantity(judgement.flows, 'flow')} of {quantity(types, 'type')}: {LEAST} whole ones of a type teach"
                " its usual path; what departs from it is marked then.",
                "muted",
            )
        look = "dead" if saga.stuck else "muted" if saga.state in ("complete", "under way", "unknown") else "warn"
        return Text().append(f"{SIGNS[saga.state]} ", look).append(visible(_sentence(saga)), "bold")

    def _nothing(self) -> Text:
        events = self._held.events
        if self.is_reading or self._held.is_behind:
            return Text("Reading …", "muted")
        if events:
            return Text().append(f"None of the {quantity(events, 'event')} held has a correlation id.", "muted")
        said = "No event is held yet. Flows are listed here by their ids, the stuck ones first."
        return Text().append(said, "muted")

    @property
    def state(self) -> str:
        """How many flows there are, and what goes on, for the border."""
        judgement, said = self._held.judgement, []
        if judgement.flows:
            stuck = judgement.counts.get("stuck", 0)
            said.append(f"{stuck:,} stuck of {quantity(judgement.flows, 'flow')}")
        if self.is_reading:
            said.append(f"reading {self._read:,} of {quantity(self._total, 'endpoint')}")
        elif self._held.waiting > FEW:
            said.append(f"{self._held.waiting:,} events to go")
        elif self.is_following:
            said.append("● live")
        return " · ".join(said)

    @property
    def note(self) -> str:
        """What the flows are of, and what not, for the border."""
        held, judgement = self._held, self._held.judgement
        if not held.events:
            return ""
        said = [f"of {quantity(held.events, 'event')} held"]
        if self._read_at is not None and not self.is_following:
            said.append(f"read at {datetime.fromtimestamp(self._read_at / 1000):%H:%M:%S}")
        if len(judgement.sagas) < judgement.flows:
            said.append(f"the worst {len(judgement.sagas):,} listed")
        if held.let_go:
            said.append(f"{quantity(held.let_go, 'older event')} let go")
        if judgement.cut:
            said.append(f"{judgement.cut:,} not judged")
        if self._unseen:
            said.append(f"not seen: {len(self._unseen):,}")
        return " · ".join(said)

    def show_path(self, width: int, most: int) -> None:
        """Draw the path of the flow at the cursor, in so many cells, with so many steps at most."""
        saga = self._table.saga
        self._path.show(saga, self._held.judgement.paths.get(saga.type) if saga is not None else None, width, most)

    @property
    def path_title(self) -> tuple[str, str]:
        """What the path is of, and what it was learned from."""
        saga = self._table.saga
        path = self._held.judgement.paths.get(saga.type) if saga is not None else None
        if saga is None or path is None:
            return "Usual path", "none is known" if saga is not None else ""
        return f"Usual path of {path.type}", f"learned from {quantity(path.flows, 'flow')}"

    # A trace beside its path.

    def saga_of(self, found: Trace, until: int) -> Saga | None:
        """How a trace stands beside the paths that were learned; None: no path is known, or it is too long.

        Args:
            found: The trace.
            until: Up to when it was searched, in milliseconds since 1970 UTC.
        """
        paths = self._held.judgement.paths
        if not paths or not found.steps or len(found.steps) > _LONG:
            return None
        flows = Flows()
        for step in found.steps:
            if (seen := occurrence_of(step.delivery, step.facts)) is not None:
                flows.add(msgspec.structs.replace(seen, correlation=""))
        context = self._host.context
        # Logs were searched for it just now; queues are known as far as they were browsed.
        places = read_until(context.archive.looks, until, self._running)
        queues = {str(each.address) for each in context.endpoints() if each.family != "log"}
        known = {place: at for place, at in places.items() if at is not None and place in queues}
        saga = next((judge(flow, paths, until, known) for flow in flows), None)
        return saga if saga is not None and saga.state != "unknown" else None

    # What can be done, by the names of the actions.

    def cannot_inspect(self) -> str | None:
        return None if self.saga is not None else "No flow is listed: type or paste an id, or read some."

    def do_inspect(self) -> None:
        if (saga := self.saga) is not None:
            self._follow(saga)

    cannot_flow = cannot_inspect

    def do_flow(self) -> None:
        if (saga := self.saga) is not None:
            self._host.show_flow(saga.flow.correlation)

    def do_coverage(self) -> None:
        from views.dialogs.coverage import CoverageList

        self._node.app.push_screen(CoverageList(*self.coverage()))

    def cannot_read(self) -> str | None:
        """Why nothing more can be read now; None: it can."""
        if self._host.context.store is None:
            return "This is a recording: the flows of all that it has are listed."
        return "What was asked for is being read: escape stops it." if self.is_reading else None

    def cannot_widen_window(self) -> str | None:
        if self._window == len(WINDOWS):
            return "Topics and streams were read from their beginning already."
        return self.cannot_read()

    def do_widen_window(self) -> None:
        self._node.run_worker(self._offer_logs(), group=KEY_WORK, exclusive=True)

    async def _offer_logs(self) -> None:
        plan = await self._survey()
        if plan is None:
            return
        if not plan.logs:
            self._host.say("There is no topic or stream that could be read.", "warning")
            return
        words, back = WINDOWS[self._window]
        logs = "1 topic or stream" if len(plan.logs) == 1 else f"{len(plan.logs):,} topics and streams"
        when = words if back is None else f"of the last {words}"
        most = sum(each.depth or 0 for each in plan.logs)
        sentence = (
            f"The events of {logs} {when} will be read and held: {most:,} at most, which takes about"
            f" {time_span(max(most / DECODED_RATE, 1))}. Reading never consumes."
        )

        def read() -> None:
            self._window += 1
            self._begin(plan, plan.logs, None if back is None else self._now() - back, looked=False)

        self._host.agree("Read flows", sentence, "read", read)

    cannot_look_into = cannot_read

    def do_look_into(self) -> None:
        self._node.run_worker(self._offer_queues(), group=KEY_WORK, exclusive=True)

    async def _offer_queues(self) -> None:
        plan = await self._survey(look=True)
        if plan is None:
            return
        if not plan.queues:
            self._host.say("There is no queue to look into.", "warning")
            return
        messages = sum(each.depth or 0 for each in plan.queues)
        sentence = price_sentence(len(plan.queues), messages, (price for _, price in plan.prices))
        self._host.agree(
            "Look into queues", sentence, "look", lambda: self._begin(plan, plan.queues, None, looked=True)
        )

    async def _survey(self, look: bool = False) -> Plan | None:
        try:
            plan = await self._host.context.survey(Scope(look=look or self._looked))
        except WorkbenchError as error:
            self._host.say(str(error), "error")
            return None
        return plan if self._node.is_attached else None

    def _begin(self, plan: Plan, endpoints: Sequence[Endpoint], since: int | None, looked: bool) -> None:
        self._looked = self._looked or looked
        self._unseen = plan.unseen
        self._asked |= {each.address: each for each in endpoints}
        self._total, self._read, self._read_at, self._failure = len(endpoints), 0, self._now(), ""
        self._reader = self._node.run_worker(self._read_all(endpoints, since), group="flows", exclusive=True)
        self._changed()

    async def _read_all(self, endpoints: Sequence[Endpoint], since: int | None) -> None:
        slots = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def take(endpoint: Endpoint) -> None:
            async with slots:
                ingestion = self._host.context.browse(endpoint.address, beginning_of(endpoint, since), None)
                try:
                    await ingestion.wait_closed()
                finally:
                    ingestion.stop()
            self._read += 1
            self._changed()

        try:
            async with asyncio.TaskGroup() as group:
                for endpoint in endpoints:
                    group.create_task(take(endpoint))
        finally:
            # What was read is judged, and then said, when this is over.
            if self._node.is_attached:
                self._judging.request()

    def stop(self) -> None:
        """Read no more."""
        if self._reader is not None:
            self._reader.cancel()
        self._changed()

    # What arrives.

    def cannot_follow_trace(self) -> str | None:
        if self.is_following:
            return None
        if self._host.context.store is None:
            return "This is a recording: nothing arrives."
        places, _ = self._places()
        if not places:
            return "No topic or stream is read yet that could be followed."
        if len(places) > _FOLLOWED:
            return f"{len(places):,} topics and streams are too many to follow: open those of interest on Events."
        return None

    def _places(self) -> tuple[list[Endpoint], dict[Address, str]]:
        """Which of the endpoints that were read are followed; and of the others why not."""
        context = self._host.context
        live = {each.address for each in context.ingestions.running if each.kind == "tail"}
        places, left_out = [], {}
        for address in dict.fromkeys(look.address for look in context.archive.looks.values() if look.kind != "scan"):
            # What was made since the connection was listed is known by having been read.
            endpoint = context.endpoint(address) or self._asked.get(address)
            if endpoint is None:
                left_out[address] = "it is listed no more"
            elif endpoint.family == "log" and Ability.TAIL in endpoint.abilities:
                places.append(endpoint)
            elif endpoint.family != "routes" and address not in live:
                left_out[address] = "to follow a queue is not free: open it on Events, and follow it there"
        return places, left_out

    def do_follow_trace(self) -> None:
        if self.is_following:
            for each in self._followed:
                each.stop()
            self._followed, self._left_out, self._read_at = [], {}, self._now()
        else:
            since = self._read_at
            places, self._left_out = self._places()
            self._followed = [
                self._host.context.tail(
                    each.address, Since(since) if since is not None and Ability.BY_TIME in each.abilities else None
                )
                for each in places
            ]
            if self._left_out:
                first, *others = self._left_out
                more = f" and {len(others):,} more" if others else ""
                self._host.say(f"Not followed: {first}{more} ({self._left_out[first]}).", "warning")
        self._changed()

    def coverage(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """What was not seen, and what was: endpoints, and why or how much."""
        missing = [(str(where), reason) for where, reason in self._unseen]
        missing += [(str(address), f"not followed: {reason}") for address, reason in self._left_out.items()]
        seen: list[tuple[str, str]] = []
        last: dict[Address, Coverage] = {}
        for look in self._host.context.archive.looks.values():
            if look.kind != "scan":
                last[look.address] = look.coverage
        for address, covered in last.items():
            about = str(msgspec.structs.replace(covered, notes=()))
            (seen if covered.complete else missing).append((str(address), about))
        return missing, seen


def _sentence(saga: Saga) -> str:
    """How a flow stands."""
    if said := departure(saga):
        return said
    if saga.flow.dead is not None:
        return f"{saga.flow.dead.type} failed: {death(saga.flow.dead)}"
    if saga.state == "under way":
        return f"{saga.next} is to come next"
    return "all that usually comes has come" if saga.state == "complete" else f"too few flows begin with {saga.type}"
