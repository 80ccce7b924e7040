"""Publish: an event is written, or made of another, looked at as it will be sent, and sent."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static, TextArea
from textual.worker import Worker

from views.dialogs.choice import Choice
from views.dialogs.field_dialog import field_form, field_of
from views.dialogs.form import Answers
from views.external_editor import edit_externally
from views.host import Host
from views.kept_drafts import KeptDrafts, line_of
from views.steady_app import KEY_WORK
from views.widgets.body_editor import BodyEditor
from views.widgets.draft_fields import DraftFields
from views.widgets.event_preview import EventPreview
from views.widgets.fields import Completing, TextField
from views.widgets.publish_progress import OutcomeLine, Receipts, Sending
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.level import Level
from workbench.decode.display import visible, visible_bytes
from workbench.decode.json_text import lay_out
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConfigError, FormatError, StoreError, WorkbenchError
from workbench.model.event import Delivery, Event
from workbench.model.target_rules import Rules
from workbench.operations.drafts.clone import clone
from workbench.operations.drafts.model import Draft, Field, from_template, is_text
from workbench.operations.drafts.render import Rendering, Verdict, remarks, verdict
from workbench.operations.publish import at_rate, begin, publish, until
from workbench.operations.template import Template, template_file, templates_folder
from workbench.operations.template_process import TemplateProcess
from workbench.session import Session

PAUSE: Final = 0.25
"""Seconds without a key after which what was written is rendered, judged and kept."""
_LOADED: Final = 64 << 20
"""Bytes of a file that may become a body."""


class PublishScreen(WorkbenchScreen):
    """Target, key, headers, body; a preview of the first event; and the receipts of those that were sent."""

    ACTIONS_OF = "publish"
    DEFAULT_CSS = """
    PublishScreen {
        & .line { height: 1; }
        & .line Static { width: auto; padding: 0 1; color: $muted; }
        & #target { width: 1fr; }
        & #key { width: 1fr; }
        & #partition, & #count, & #rate { width: 10; }
        & #sides { height: 1fr; }
        & #writing { width: 3fr; }
        & #outcome { width: 2fr; border-left: vkey $frame; padding: 0 1; }
        & #fields { max-height: 40%; min-height: 2; }
        & #body { height: 1fr; }
        & #locked { height: 1fr; padding: 0 1; color: $muted; }
        & #verdict { height: 1; padding: 0 1; background: $panel; }
        & #remarks { height: auto; max-height: 4; color: $warn; }
        & .heading { height: 1; text-style: bold; }
        & #preview-pane { height: 1fr; }
        & #receipts { height: 1fr; background: $background; }
        & #outcome-line { height: auto; max-height: 3; min-height: 1; padding: 0 1; background: $panel; }
        &.narrow #sides { layout: vertical; }
        &.narrow #writing { width: 1fr; height: 2fr; }
        &.narrow #outcome { width: 1fr; height: 1fr; border-left: none; }
    }
    """

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._draft = Draft()
        self._drafts = KeptDrafts(host)
        self._seed = secrets.randbits(128)
        self._rules: dict[Address, Rules | None] = {}
        self._pause: Timer | None = None
        self._sending: Sending | None = None
        self._worker: Worker[None] | None = None
        self._receipts_shown = False
        self._written = ""
        self._templates = TemplateProcess()

    @property
    def _session(self) -> Session:
        return self.context.session

    @property
    def busy(self) -> bool:
        """Whether events are being published."""
        return self._sending is not None

    def compose_body(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield Static("target")
            yield TextField(
                placeholder="connection/name; → completes", id="target", suggester=Completing(self._targets)
            )
            yield Static("partition")
            yield TextField(id="partition", placeholder="any", restrict=r"[0-9]*")
        with Horizontal(classes="line"):
            yield Static("key   ")
            yield TextField(id="key")
            yield Static("count")
            yield TextField(id="count", restrict=r"[0-9]*")
            yield Static("rate/s")
            yield TextField(id="rate", placeholder="full", restrict=r"[0-9.]*")
        with Horizontal(id="sides"):
            with Vertical(id="writing"):
                yield DraftFields(id="fields")
                yield BodyEditor(id="body")
                yield Static("", id="locked")
                yield Static("", id="verdict")
            with Vertical(id="outcome"):
                yield Static("", id="remarks")
                yield Static("Preview of the first event", classes="heading", id="preview-heading")
                with VerticalScroll(id="preview-pane"):
                    yield EventPreview(id="preview")
                yield Static("Receipts", classes="heading", id="receipts-heading")
                yield Receipts(id="receipts")
        yield OutcomeLine("", id="outcome-line")

    def on_mount(self) -> None:
        self._tell("ctrl+s sends; escape leaves a field, then s does.")
        drafts = self._drafts.load()
        self._open(drafts[0] if drafts else Draft())
        self.set_interval(0.1, self._show_progress)

    def begin(self, what: Address | Delivery | None, into_body: bool = False) -> None:
        """Write an event; what is being written or published already is not disturbed.

        Args:
            what: Where to, or what to clone; None: the draft that was left last, or an empty one.
            into_body: Whether the cursor is put into the body, if that can be edited.
        """
        if what is not None and self.busy:
            self._tell("Events are being published: escape stops that.", wrong=True)
        elif what is not None:
            self._drafts.keep(self._draft)
            self._open(self._draft_of(what))
        field = "#target" if not self._draft.target else "#body" if self._draft.locked is None else "#fields"
        self.query_one("#body" if into_body and self._draft.locked is None else field).focus()

    def on_resize(self, event: Resize) -> None:
        self._show_outcome()

    def on_screen_suspend(self) -> None:
        """Something else is shown, perhaps for good."""
        self._drafts.keep(self._draft)

    async def on_unmount(self) -> None:
        """What was typed last may not have been kept yet."""
        self._drafts.keep(self._draft)
        await self._templates.close()

    # Drafts.

    def _draft_of(self, what: Address | Delivery) -> Draft:
        match what:
            case Address() as address:
                return Draft(target=str(address))
            case Delivery() as delivery:
                watch = self.context.watches.get(delivery.address.connection)
                aim = self._may_go_back(delivery.address.connection)
                try:
                    return clone(delivery, self._session.reading, watch.endpoints if watch is not None else None, aim)
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
        careful = connection.production or (connection.level is not None and not connection.loopback)
        return level >= Level.PUBLISH and not careful

    def _open(self, draft: Draft) -> None:
        """Begin with a draft."""
        self._draft = draft
        self._drafts.begin(draft)
        self._write("target", draft.target)
        self._write("key", self._key_text)
        self._write("partition", "" if draft.partition is None else str(draft.partition))
        self._write("count", str(draft.count))
        self._write("rate", "" if draft.rate is None else f"{draft.rate:g}")
        key = self.query_one("#key", TextField)
        bytes_shown = "masked" if draft.hidden_key else visible_bytes(draft.key, 30)
        key.placeholder = f"{bytes_shown}: kept until you type" if draft.key else ""
        self.query_one(DraftFields).show(draft)
        self._show_body()
        self._settle()

    def _change(self, draft: Draft) -> None:
        """Go on with a draft whose fields or body were changed at once."""
        self._draft = draft
        self.query_one(DraftFields).show(draft)
        self._settle()

    def _write(self, id: str, text: str) -> None:
        field = self.query_one(f"#{id}", TextField)
        field.value = text
        field.cursor_position = len(text)

    def _show_body(self) -> None:
        """Put the body into its editor, or say why it is not there."""
        body, reason = self._draft.body, self._draft.locked
        editor, said = self.query_one(BodyEditor), self.query_one("#locked", Static)
        self._written = "" if reason or not body else body.decode()
        if not editor.show(self._written):
            reason = "has line ends of several kinds"
            editor.show("")
            self._written = ""
        if body is None:
            said.update(Text("∅ No body: a tombstone. N writes one."))
        elif reason:
            size = "" if reason.endswith("bytes") else f" {len(body):,} bytes."
            ways = "e opens it in $EDITOR, l" if is_text(self._draft) else "l"
            sentence = f"The body is sent byte for byte and not edited here, for it {visible(reason)}."
            said.update(Text(f"{sentence}{size} {ways} takes another."))
        said.display = body is None or reason is not None
        editor.display = not said.display

    @property
    def _key_text(self) -> str:
        """The key as its field shows it; what is masked or no text is not shown, and kept until something is typed."""
        if self._draft.hidden_key:
            return ""
        try:
            return (self._draft.key or b"").decode()
        except UnicodeDecodeError:
            return ""

    def _take_in(self) -> None:
        """Take what stands in the fields into the draft."""
        changes: dict[str, object] = {"target": self._value("target")}
        if (key := self._value("key")) != self._key_text:
            changes |= {"key": key.encode("utf-8", "replace") or None, "hidden_key": False}
        if (body := self.query_one(BodyEditor).text) != self._written:
            changes["body"] = body.encode("utf-8", "replace")
            self._written = body
        partition, count, rate = (self._value(id) for id in ("partition", "count", "rate"))
        changes["partition"] = int(partition[:9]) if partition else None
        changes["count"] = max(int(count[:9] or 1), 1)
        changes["rate"] = _rate(rate)
        self._draft = msgspec.structs.replace(self._draft, **changes)

    def _value(self, id: str) -> str:
        return self.query_one(f"#{id}", TextField).value

    # While it is written.

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _note_typing(self) -> None:
        before = self._draft
        self._take_in()
        if self._draft == before:
            return
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self._settle_and_keep)

    def _settle_and_keep(self) -> None:
        self._settle()
        self._drafts.keep(self._draft)

    def _settle(self) -> None:
        """Render the first event, and say what is to be said of it."""
        self._preview(self._draft)

    @work(exclusive=True, group="preview")
    async def _preview(self, draft: Draft) -> None:
        event, address = None, self._address()
        try:
            event = await self._first_event(draft)
        except FormatError as error:
            failure = str(error)
        if self.is_closed:
            return
        preview = self.query_one(EventPreview)
        if event is None:
            self._judge(Verdict(failure, wrong=True))
            preview.show_error(failure)
        else:
            self._judge(verdict(event))
            delivery = Delivery(event, address or Address("?", "?"), time.time_ns() // 1_000_000)
            preview.show(self._session.reading.mask(delivery).event)
        endpoint = next((each for each in self.context.endpoints() if each.address == address), None)
        rules = self._rules_of(endpoint)
        said = "\n".join(f"⚠ {visible(each)}" for each in remarks(self._draft, event, address, endpoint, rules))
        made_from = [f"clone of {visible(self._draft.made_from)}"] if self._draft.made_from else []
        self.query_one("#remarks", Static).update(Text("\n".join([*made_from, *filter(None, [said])])))
        self.query_one("#remarks").display = bool(made_from or said)

    def _rules_of(self, endpoint: Endpoint | None) -> Rules | None:
        """What a target can hold; where that is not known yet, it is asked for, and all is settled again."""
        if endpoint is None:
            return None
        if endpoint.address not in self._rules:
            self._rules[endpoint.address] = None
            self._ask(endpoint.address)
        return self._rules[endpoint.address]

    @work(group="rules")
    async def _ask(self, address: Address) -> None:
        try:
            self._rules[address] = await (await self._session.connector(address.connection)).rules(address)
        except WorkbenchError:
            # Sending asks again, and says what is wrong.
            del self._rules[address]
            return
        if self.is_mounted:
            self._settle()

    def _judge(self, found: Verdict) -> None:
        mode = "template · " if self._draft.template else ""
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{'✖ ' if found.wrong else '● '}{mode}{visible(found.sentence)}", "bold" if found.wrong else "")
        self.query_one("#verdict", Static).update(line)

    async def _first_event(self, draft: Draft) -> Event:
        """The first event that a draft makes.

        Raises:
            FormatError: It makes none.
        """
        [batch] = [batch async for batch in Rendering(draft, self._seed).events(1, self._templates)]
        return batch[0]

    def _address(self) -> Address | None:
        try:
            return self._session.address(self._draft.target.strip()) if self._draft.target.strip() else None
        except WorkbenchError:
            return None

    def _targets(self) -> Iterable[str]:
        """The addresses that can be published to, as a user may write them."""
        alone = len(self._session.names) == 1
        for endpoint in self.context.endpoints():
            if Ability.PUBLISH in endpoint.abilities:
                written = str(endpoint.address)
                yield written
                if alone:
                    yield written.partition("/")[2]

    def _tell(self, sentence: str, wrong: bool = False) -> None:
        self.query_one(OutcomeLine).tell(sentence, wrong)

    # Sending.

    def cannot_send(self) -> str | None:
        return "Events are being published: escape stops that." if self.busy else None

    def do_send(self) -> None:
        self._take_in()
        self._settle()
        draft = self._draft
        try:
            if not draft.target.strip():
                raise FormatError("There is no target: write connection/name.")
            if self._value("rate") and draft.rate is None:
                raise FormatError(f"The rate {self._value('rate')!r} is not a number above 0.")
            address = self._session.address(draft.target.strip())
        except WorkbenchError as error:
            self._tell(str(error), wrong=True)
            return
        self._sending = Sending(address, draft.count)
        self.query_one(Receipts).clear()
        self._receipts_shown = True
        self._show_outcome()
        self._worker = self._send(self._sending, draft)

    @work(group="publish")
    async def _send(self, sending: Sending, draft: Draft) -> None:
        sentence, wrong = "Cancelled. The outcome of messages in flight is unknown.", True
        try:
            events = await begin(Rendering(draft, self._seed).events(sending.count, self._templates))
            connector = await self._session.connector(sending.address.connection)
            paced = at_rate(events, draft.rate) if draft.rate is not None else events
            where = None if draft.partition is None else str(draft.partition)
            await publish(connector, sending.address, until(sending.stopped, paced), sending.add_receipts, where)
            sentence, wrong = sending.summary(), sending.published.failed > 0
        except WorkbenchError as error:
            sentence = f"{error} {sending.published.told_until}"
        finally:
            self._sending = None
            if self.is_mounted:
                self.query_one(Receipts).add(sending.lines())
                self._tell(sentence, wrong)
                # The next sending is of other events.
                self._seed = secrets.randbits(128)
                self._settle()
                self._drafts.keep(self._draft)

    def _show_progress(self) -> None:
        if self._sending is not None:
            self.query_one(Receipts).add(self._sending.lines())
            self.query_one(OutcomeLine).update(self._sending.progress())

    def do_back(self) -> None:
        if isinstance(self.focused, Input | TextArea):
            self.query_one(DraftFields).focus()
        elif self._sending is None:
            self.host.go_back()
        elif not self._sending.stopped.is_set():
            self._sending.stopped.set()
        elif self._worker is not None:
            self._worker.cancel()

    def cannot_publish(self) -> str | None:
        return "This is where events are published: s or ctrl+s sends."

    cannot_compose = cannot_publish

    # Headers, properties and the body.

    def do_add_field(self) -> None:
        self.host.fill(field_form(), lambda answers: self._add_field(field_of(answers)))

    def _add_field(self, answer: tuple[str, Field]) -> None:
        where, field = answer
        old = getattr(self._draft, where)
        if where == "properties":
            old = tuple(each for each in old if each.name != field.name)
        self._change(msgspec.structs.replace(self._draft, **{where: (*old, field)}))
        self._drafts.keep(self._draft)

    def _no_field(self) -> str | None:
        return (
            None if self.query_one(DraftFields).place is not None else "There is no header at the cursor: n adds one."
        )

    cannot_edit_field = _no_field
    cannot_remove_field = _no_field

    @on(DataTable.RowSelected)
    def _edit_selected(self) -> None:
        self.action_act("edit_field")

    def do_edit_field(self) -> None:
        place = self.query_one(DraftFields).place
        if place is None:
            return
        old = place.field(self._draft)

        def changed(answers: Answers) -> None:
            answer = field_of(answers, place.where, old)
            if answer == (place.where, old):
                return
            if answer[0] == place.where:
                self._change(place.put(self._draft, answer[1]))
            else:
                self._draft = place.put(self._draft)
                self._add_field(answer)
            self._drafts.keep(self._draft)

        self.host.fill(field_form(place.where, old), changed)

    def do_remove_field(self) -> None:
        place = self.query_one(DraftFields).place
        if place is not None:
            self._change(place.put(self._draft))
            self._drafts.keep(self._draft)

    def cannot_keep_field(self) -> str | None:
        place = self.query_one(DraftFields).place
        if place is None or not place.field(self._draft).change:
            return "This field stays as it is: a clone drops dead-letter headers and generates new ids."
        return None

    def do_keep_field(self) -> None:
        place = self.query_one(DraftFields).place
        if place is not None:
            old = place.field(self._draft)
            self._change(place.put(self._draft, msgspec.structs.replace(old, changed=not old.changed)))
            self._drafts.keep(self._draft)

    def do_as_template(self) -> None:
        self._take_in()
        self._change(msgspec.structs.replace(self._draft, template=not self._draft.template))
        self._drafts.keep(self._draft)

    def do_null_body(self) -> None:
        self._take_in()
        self._replace_body(b"" if self._draft.body is None else None)

    def cannot_lay_out(self) -> str | None:
        if self._draft.body is None or self._draft.locked:
            return "There is no text to format."
        return None

    def do_lay_out(self) -> None:
        self._take_in()
        text = (self._draft.body or b"").decode()
        try:
            self._replace_body(lay_out(text, len(text) * 100 + 100).text.encode())
        except FormatError as error:
            self._tell(f"The body is {error}.", wrong=True)

    def cannot_edit_body(self) -> str | None:
        return None if is_text(self._draft) else "The body is not editable text: l loads a file."

    @work(exclusive=True, group=KEY_WORK)
    async def do_edit_body(self) -> None:
        self._take_in()
        before = self._draft.body or b""
        try:
            body = await edit_externally(self.app, before, "EDITOR", "vi")
        except ConfigError as error:
            self._tell(str(error), wrong=True)
        else:
            if body != before and not self.is_closed:
                self._replace_body(body)

    def do_load_body(self) -> None:
        self.host.ask("Body", "The file to load as the body.", self._load, verb="load")

    def _load(self, name: str) -> None:
        path = Path(name).expanduser()
        try:
            if path.stat().st_size > _LOADED:
                raise StoreError(f"{path} is larger than {_LOADED:,} bytes.")
            self._replace_body(path.read_bytes())
        except StoreError as error:
            self._tell(str(error), wrong=True)
        except OSError as error:
            self._tell(f"{path} cannot be read: {error.strerror}.", wrong=True)

    def _replace_body(self, body: bytes | None) -> None:
        self._take_in()
        self._draft = msgspec.structs.replace(self._draft, body=body, hidden=False)
        self._show_body()
        self._settle()
        self._drafts.keep(self._draft)

    def do_open_template(self) -> None:
        names = sorted(path.stem for path in templates_folder().glob("*.toml"))
        known = (
            f"a TOML file, or one of yours: {', '.join(names)}"
            if names
            else f"a TOML file; none is in {templates_folder()}"
        )
        self.host.ask("Template", visible(f"Which, {known}."), self._open_template, verb="open")

    def _open_template(self, name: str) -> None:
        self._take_in()
        try:
            self._open(from_template(Template.read(template_file(name)), self._draft))
        except WorkbenchError as error:
            self._tell(str(error), wrong=True)

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
        self._receipts_shown = not self._receipts_shown
        self._show_outcome()

    def _show_outcome(self) -> None:
        """Preview and receipts, or where there is no room one of them."""
        narrow = self.has_class("narrow")
        for ids, there in (
            (("#preview-heading", "#preview-pane"), not narrow or not self._receipts_shown),
            (("#receipts-heading", "#receipts"), not narrow or self._receipts_shown),
        ):
            for id in ids:
                self.query_one(id).display = there


def _rate(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if rate > 0 else None
