"""Publish: an event is written, or made of another, looked at as it will be sent, and sent."""

import secrets

from textual import on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.worker import Worker

from views.dialogs.choice import Choice
from views.draft_form import DraftForm
from views.host import Host
from views.kept_drafts import line_of
from views.painting import Columns, Rows
from views.widgets.panel import Panel
from views.widgets.publish.body_editor import BodyEditor
from views.widgets.publish.draft_fields import DraftFields
from views.widgets.publish.event_preview import EventPreview
from views.widgets.publish.how_many import HowManyPanel
from views.widgets.publish.receipts import Receipts, ReceiptsPanel
from views.widgets.publish.target_panel import TargetPanel
from views.workbench_screen import WayBack
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Delivery
from workbench.operations.drafts.clone import clone
from workbench.operations.drafts.model import Draft
from workbench.operations.drafts.render import Rendering
from workbench.operations.publish import Published, at_rate, begin, publish, until
from workbench.operations.sending import Sending
from workbench.operations.template_process import TemplateProcess


class PublishScreen(DraftForm):
    """Target, headers, body; how many; a preview of the first event; and the receipts of those that were sent."""

    DEFAULT_CSS = """
    PublishScreen {
        & #sides { height: 1fr; }
        & #writing { width: 3fr; }
        & #outcome { width: 2fr; }
        & #fields-panel { height: auto; max-height: 45%; }
        & #fields { max-height: 100%; }
        & #preview-panel { height: 1fr; }
        & #preview-panel VerticalScroll { scrollbar-gutter: stable; }
        &.narrow #sides { layout: vertical; }
        &.narrow #writing { width: 1fr; height: 2fr; }
        &.narrow #outcome { width: 1fr; height: 1fr; min-height: 7; }
        &.narrow #fields-panel { max-height: 5; }
        &.narrow #comes-to { display: none; }
        &.narrow.receipts #preview-panel, &.narrow #receipts-panel { display: none; }
        &.narrow.receipts #receipts-panel { display: block; }
        & #aimed-at { display: none; }
        &.wide #writing { layout: grid; grid-size: 2 2; grid-columns: 1fr 1fr; grid-rows: 1fr 1fr; width: 2fr; }
        &.wide #outcome { width: 1fr; }
        &.wide #fields-panel { height: 1fr; max-height: 100%; }
        &.wide #body-panel { height: 1fr; row-span: 2; }
        &.wide #aimed-at { display: block; height: 1fr; }
    }
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._sending: Sending | None = None
        self._worker: Worker[None] | None = None
        self._published = Published(0, 0)

    @property
    def busy(self) -> bool:
        """Whether events are being published."""
        return self._sending is not None

    def compose_body(self) -> ComposeResult:
        yield TargetPanel(self._targets)
        with Columns(id="sides"):
            yield from self.compose_writing()
            with Rows(id="outcome"):
                yield HowManyPanel()
                yield ReceiptsPanel()
                with Panel(title="As it will be sent", id="preview-panel"), VerticalScroll(can_focus=False):
                    yield EventPreview(id="preview")

    def on_mount(self) -> None:
        drafts = self._drafts.load()
        self._open(drafts[0] if drafts else Draft())
        self.set_interval(0.1, self._show_progress)

    async def begin(self, what: Address | Delivery | None, into_body: bool = False) -> None:
        """Write an event; what is being written or published already is not disturbed.

        Args:
            what: Where to, or what to clone; None: the draft that was left last, or an empty one.
            into_body: Whether the cursor is put into the body, if that can be edited.
        """
        if what is not None and self.busy:
            self._tell(f"Events are being published: {self.key_of('stop')} stops that.", wrong=True)
        elif what is not None:
            self._drafts.keep(self._draft)
            draft = await self._draft_of(what)
            if self.is_closed:
                return
            self._open(draft)
        # A clone's target is what to look at first.
        aimed = into_body or (bool(self._draft.target) and not isinstance(what, Delivery))
        endpoint = self._endpoint
        if not aimed:
            field = "#target"
        elif endpoint is not None and endpoint.family == "routes" and not self._draft.key and not into_body:
            # Where it goes hangs on the key.
            field = "#key"
        else:
            field = "#body" if self.query_one(BodyEditor).display else "#fields"
        self.query_one(field).focus()

    # Drafts.

    async def _draft_of(self, what: Address | Delivery) -> Draft:
        match what:
            case Address() as address:
                return Draft(target=str(address))
            case Delivery() as delivery:
                reading = self._session.reading
                masked = await reading.mask_off_loop(delivery)
                watch = self.context.watches.get(delivery.address.connection)
                aim = self._may_go_back(delivery.address.connection)
                try:
                    return clone(delivery, reading, watch.endpoints if watch is not None else None, aim, masked)
                except FormatError as error:
                    self._tell(str(error), wrong=True)
                    return Draft()

    def _may_go_back(self, name: str) -> bool:
        """Whether a clone may go back to the connection it came from unasked: only where nobody was careful."""
        try:
            connection = self._session.describe(name)
            level = self._session.level(name)
        except WorkbenchError:
            return False
        careful = self._session.is_production(name) or (connection.level is not None and not connection.loopback)
        return level >= Level.PUBLISH and not careful

    # Sending.

    def cannot_send(self) -> str | None:
        return f"Events are being published: {self.key_of('stop')} stops that." if self.busy else None

    def do_send(self) -> None:
        self._take_in()
        self._settle()
        draft = self._draft
        try:
            if not draft.target.strip():
                self.query_one("#target").focus()
                raise FormatError("There is no target: write connection/name.")
            if self._value("rate") and draft.rate is None:
                raise FormatError(f"The rate {self._value('rate')!r} is not a number above 0.")
            address = self._session.address(draft.target.strip())
        except WorkbenchError as error:
            self._tell(str(error), wrong=True)
            return
        self._sending = Sending(address, draft.count, self._route_of(draft))
        self.keys_changed()
        self.add_class("receipts")
        self._worker = self._send(self._sending, draft)

    def _route_of(self, draft: Draft) -> tuple[Address, ...]:
        """Who gets a draft's events, if that is known of it as it is now."""
        answered, route = self._answered, self._answer.route
        same = answered is not None and (answered.target, answered.key) == (draft.target, draft.key)
        return route.endpoints if same and route is not None else ()

    @work(group="publish")
    async def _send(self, sending: Sending, draft: Draft) -> None:
        sentence, wrong = "Cancelled. The outcome of messages in flight is unknown.", True
        try:
            async with TemplateProcess(self._templates.variables) as templates:
                events = await begin(Rendering(draft, self._seed).events(sending.count, templates))
                connector = await self._session.connector(sending.address.connection)
                paced = at_rate(events, draft.rate) if draft.rate is not None else events
                where = None if draft.partition is None else str(draft.partition)
                noted = sending.note(until(sending.stopped, paced))
                await publish(connector, sending.address, noted, sending.add_receipts, where, self._tell_obstacle)
            sentence, wrong = sending.summary(), sending.published.failed > 0
        except WorkbenchError as error:
            sentence = f"{error} {sending.published.told_until}"
        finally:
            self._sending = None
            # The key that stops works no more.
            self.keys_changed()
            self._published = self._published.with_others(sending.published)
            if self.is_mounted:
                self.query_one(ReceiptsPanel).end(sending.take_received(), self._published)
                self._tell(sentence, wrong)
                # The next sending is of other events.
                self._seed = secrets.randbits(128)
                self._settle()
                self._drafts.keep(self._draft)

    def _tell_obstacle(self, obstacle: str | None) -> None:
        self._tell(obstacle or "The broker takes events again.", wrong=obstacle is not None)

    def _show_progress(self) -> None:
        if (sending := self._sending) is not None:
            panel = self.query_one(ReceiptsPanel)
            panel.add(sending.take_received())
            panel.count(self._published.with_others(sending.published))
            what = "abandons those in flight" if sending.stopped.is_set() else "stops"
            panel.show_progress(sending, f"{self.key_of('stop')} {what}")

    @on(Receipts.Chosen)
    def _show_event(self, event: Receipts.Chosen) -> None:
        received = event.received
        if received.receipt.error is not None:
            self._tell(str(received.receipt.error), wrong=True)
        else:
            self.host.show_event(received.found_at, received.receipt.position)

    @property
    def can_stop(self) -> bool:
        """Whether events are being published, or exported."""
        return self.busy or super().can_stop

    def do_stop(self) -> None:
        if not self.busy:
            super().do_stop()
        elif self._sending is not None and not self._sending.stopped.is_set():
            self._sending.stopped.set()
        elif self._worker is not None:
            self._worker.cancel()

    def way_back(self) -> WayBack | None:
        """What escape does now."""
        if self.is_writing:
            return WayBack("leave the field", self.query_one(DraftFields).focus)
        return WayBack("stop", self.do_stop) if self.busy else WayBack("go back", self.host.go_back)

    def cannot_publish(self) -> str | None:
        return f"This is where events are published: {self.key_of('send')} sends."

    cannot_compose = cannot_publish

    def do_drafts(self) -> None:
        self._drafts.keep(self._draft)
        drafts = [Draft(), *self._drafts.load()]
        self.app.push_screen(
            Choice("Drafts", [line_of(draft) for draft in drafts], "open"), lambda at: self._reopen(drafts, at)
        )

    def _reopen(self, drafts: list[Draft], at: int | None) -> None:
        if at is not None:
            self._open(drafts[at])

    def do_outcome(self) -> None:
        self.toggle_class("receipts")
