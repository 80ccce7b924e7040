"""The form in which a draft is written: target, headers and properties, body; and what is found out about it."""

import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import Input, TextArea

from views.dialogs.field_dialog import field_form, field_of
from views.dialogs.form import Answers
from views.external_editor import edit_externally
from views.host import Host
from views.kept_drafts import KeptDrafts
from views.painting import Rows
from views.steady_app import KEY_WORK
from views.widgets.endpoint_card import EndpointCard
from views.widgets.fields import TextField
from views.widgets.key_bar import KeyBar
from views.widgets.panel import Panel
from views.widgets.publish.body_editor import BodyEditor
from views.widgets.publish.body_panel import BodyPanel
from views.widgets.publish.draft_fields import DraftFields, counts, with_dropped
from views.widgets.publish.event_preview import EventPreview
from views.widgets.publish.how_many import HowManyPanel
from views.widgets.publish.target_panel import TargetPanel
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.environment import Variables
from workbench.connecting.plain_files import content_of
from workbench.decode.display import visible
from workbench.decode.json_text import lay_out_json
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, StoreError, WorkbenchError
from workbench.model.event import Delivery, Event
from workbench.operations.drafts.check import Answer, DraftCheck
from workbench.operations.drafts.difference import changed_lines, differences
from workbench.operations.drafts.model import Draft, Field, Target, aim_at, from_template, is_text, next_target
from workbench.operations.drafts.render import Verdict, verdict
from workbench.operations.edit.external_program import EDITOR
from workbench.operations.template import Template, template_file, templates_folder, variables_of
from workbench.operations.template_process import TemplateProcess
from workbench.operations.watch import Watch
from workbench.session import Session

PAUSE: Final = 0.25
"""Seconds without a key after which what was written is rendered, judged and kept."""
_LOADED: Final = 64 << 20
"""Bytes of a file that may become a body."""


class DraftForm(WorkbenchScreen):
    """A screen with a draft that is being written. A subclass composes the form's parts among its own."""

    ACTIONS_OF = "publish"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._draft = Draft()
        self._drafts = KeptDrafts(host)
        self._seed = secrets.randbits(128)
        self._templates = TemplateProcess()
        self._check = DraftCheck(self._session, self._templates)
        self._answer = Answer(None, ())
        self._answered: Draft | None = None
        self._rendered: tuple[Draft, Event | None] = Draft(), None
        self._pause: Timer | None = None

    @property
    def _session(self) -> Session:
        return self.context.session

    def compose_writing(self) -> ComposeResult:
        """Headers, properties and body."""
        with Rows(id="writing"):
            actions = ("add_field", "edit_field", "keep_field", "remove_field")
            with Panel(title="Headers and properties", actions=actions, id="fields-panel"):
                yield DraftFields(id="fields")
            yield BodyPanel()
            # Shown where a wide screen leaves room for it.
            with Panel(title="Endpoint", id="aimed-at"):
                yield EndpointCard(can_focus=False, id="card")

    def show_listing(self, watch: Watch | None) -> None:
        """Say anew who receives it."""
        super().show_listing(watch)
        address = self._check.address(self._draft)
        if address is not None and (watch is None or watch.name == address.connection) and not self.is_closed:
            self._show_endpoint()
            self._ask()

    def do_theme(self) -> None:
        super().do_theme()
        self._settle()

    def on_screen_suspend(self) -> None:
        """Something else is shown, perhaps for good."""
        self._drafts.keep(self._draft)

    async def on_unmount(self) -> None:
        """What was typed last may not have been kept yet."""
        self._drafts.keep(self._draft)
        await self._templates.close()

    def _open(self, draft: Draft, variables: Variables | None = None) -> None:
        """Begin with a draft; `variables`: what it may read of the environment as a template."""
        self._templates.variables = variables or self._session.variables
        self._draft = draft
        self._drafts.begin(draft)
        self._answer = Answer(None, ())
        self._target_panel.begin(draft)
        self._write_target()
        self._write("count", str(draft.count))
        self._write("rate", "" if draft.rate is None else f"{draft.rate:g}")
        self.query_one(DraftFields).begin(draft)
        self.query_one(BodyPanel).show(draft)
        self._settle()

    def _write_target(self) -> None:
        draft = self._draft
        self._write("target", draft.target)
        self._write("key", self._key_text)
        self._write("partition", "" if draft.partition is None else str(draft.partition))

    def _change(self, draft: Draft) -> None:
        """Go on with a draft that was changed at once, and keep it."""
        self._draft = draft
        self.query_one(DraftFields).show(draft)
        self._settle_and_keep()

    def _write(self, id: str, text: str) -> None:
        field = self.query_one(f"#{id}", TextField)
        field.value = text
        field.cursor_position = len(text)

    @property
    def _target_panel(self) -> TargetPanel:
        return self.query_one(TargetPanel)

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
        if (body := self.query_one(BodyPanel).take_changed()) is not None:
            changes["body"] = body
        partition, count, rate = (self._value(id) for id in ("partition", "count", "rate"))
        changes["partition"] = int(partition[:9]) if partition else None
        changes["count"] = max(int(count[:9] or 1), 1)
        changes["rate"] = _rate(rate)
        self._draft = msgspec.structs.replace(self._draft, **changes)

    def _value(self, id: str) -> str:
        return self.query_one(f"#{id}", TextField).value

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _note_typing(self) -> None:
        before = self._draft
        self._take_in()
        if self._draft == before:
            return
        self.query_one(HowManyPanel).show(self._draft.count, self._draft.rate)
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self._settle_and_keep)

    def _settle_and_keep(self) -> None:
        self._settle()
        self._drafts.keep(self._draft)

    def _settle(self) -> None:
        """Say what can be said at once, and find out the rest."""
        draft = self._draft
        endpoint = self._show_endpoint()
        self._target_panel.show_origin(draft, self._next_target, self.key_of("aim"))
        self.query_one(KeyBar).update()
        self.query_one("#fields-panel", Panel).state = counts(draft)
        self.query_one(HowManyPanel).show(draft.count, draft.rate)
        self.query_one(BodyEditor).show_notes(changed_lines(draft))
        self._show_first(draft, endpoint)

    def _show_endpoint(self) -> Endpoint | None:
        """Show the target, as it was listed."""
        endpoint = self._endpoint
        self._target_panel.show_endpoint(endpoint, self._draft.partition)
        watch = self.context.watches.get(endpoint.address.connection) if endpoint is not None else None
        self.query_one(EndpointCard).show(endpoint, watch)
        return endpoint

    @work(exclusive=True, group="check")
    async def _show_first(self, draft: Draft, endpoint: Endpoint | None) -> None:
        """Make the first event and show it; then ask its target's broker about it."""
        event, preview, body = None, self.query_one(EventPreview), self.query_one(BodyPanel)
        try:
            event = await self._check.first_event(draft, self._seed)
            delivery = Delivery(event, endpoint.address if endpoint else Address("?", "?"), time.time_ns() // 1_000_000)
            seen = await self._session.reading.mask_off_loop(delivery)
            found = verdict(event)
        except FormatError as error:
            found = Verdict(str(error), wrong=True)
        if self.is_closed:
            return
        body.judge(found.sentence, found.wrong, draft.template)
        if event is None:
            preview.show_error(found.sentence)
        else:
            differing = list(differences(draft, event)) if draft.original else None
            preview.show(seen.event, differing)
        self._rendered = draft, event
        self._ask()

    @work(exclusive=True, group="ask")
    async def _ask(self) -> None:
        """Ask the target's broker about the event that was made last."""
        draft, event = self._rendered
        endpoint = self._endpoint
        watch = self.context.watches.get(endpoint.address.connection) if endpoint is not None else None
        answer = await self._check.ask(draft, event, endpoint, watch.groups if watch is not None else ())
        if not self.is_closed:
            self._answer, self._answered = answer, draft
            self._target_panel.show_audience(answer.audience)
            self._target_panel.show_remarks(answer.remarks)

    @property
    def _endpoint(self) -> Endpoint | None:
        """The target, as it was listed."""
        address = self._check.address(self._draft)
        return self.context.endpoint(address) if address is not None else None

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
        self.host.say(sentence, "error" if wrong else "information")

    @property
    def _next_target(self) -> Target | None:
        return next_target(self._draft)

    def cannot_aim(self) -> str | None:
        return None if self._next_target is not None else "This event was nowhere else."

    def do_aim(self) -> None:
        self._take_in()
        if (target := self._next_target) is not None:
            self._draft = aim_at(self._draft, target)
            self._write_target()
            self._settle_and_keep()

    # Headers, properties and the body.

    def do_add_field(self) -> None:
        self.host.fill(field_form(), lambda answers: self._add_field(field_of(answers)))

    def _add_field(self, answer: tuple[str, Field]) -> None:
        where, field = answer
        old = getattr(self._draft, where)
        if where == "properties":
            old = tuple(each for each in old if each.name != field.name)
        self._change(msgspec.structs.replace(self._draft, **{where: (*old, field)}))

    def cannot_remove_field(self) -> str | None:
        if self.query_one(DraftFields).place is not None:
            return None
        return f"There is no header at the cursor: {self.key_of('add_field')} adds one."

    def cannot_edit_field(self) -> str | None:
        return None if self.query_one(DraftFields).at_fold else self.cannot_remove_field()

    def do_edit_field(self) -> None:
        fields = self.query_one(DraftFields)
        if fields.at_fold:
            fields.toggle()
        if (place := fields.place) is None:
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

        self.host.fill(field_form(place.where, old), changed)

    def do_remove_field(self) -> None:
        place = self.query_one(DraftFields).place
        if place is not None:
            self._change(place.put(self._draft))

    def cannot_keep_field(self) -> str | None:
        fields = self.query_one(DraftFields)
        if fields.at_fold:
            return None
        if (place := fields.place) is None or not place.field(self._draft).change:
            return "This field stays as it is: a clone drops dead-letter headers and generates new ids."
        return None

    def do_keep_field(self) -> None:
        fields = self.query_one(DraftFields)
        if fields.at_fold:
            self._change(with_dropped(self._draft, not any(each.dropped for each in self._draft.headers)))
        elif (place := fields.place) is not None:
            old = place.field(self._draft)
            self._change(place.put(self._draft, msgspec.structs.replace(old, changed=not old.changed)))

    def do_as_template(self) -> None:
        self._take_in()
        self._change(msgspec.structs.replace(self._draft, template=not self._draft.template))

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
            self._replace_body(lay_out_json(text, len(text) * 100 + 100).text.encode())
        except FormatError as error:
            self._tell(f"The body is {error}.", wrong=True)

    def cannot_edit_body(self) -> str | None:
        return None if is_text(self._draft) else "The body is not editable text: l loads a file."

    @work(exclusive=True, group=KEY_WORK)
    async def do_edit_body(self) -> None:
        self._take_in()
        before = self._draft.body or b""
        try:
            body = await edit_externally(self.app, before, EDITOR)
        except WorkbenchError as error:
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
            self._replace_body(content_of(path, largest=_LOADED))
        except StoreError as error:
            self._tell(str(error), wrong=True)
        except OSError as error:
            self._tell(f"{path} cannot be read: {error.strerror}.", wrong=True)

    def _replace_body(self, body: bytes | None) -> None:
        self._take_in()
        self._draft = msgspec.structs.replace(self._draft, body=body, hidden=False)
        self.query_one(BodyPanel).show(self._draft)
        self._settle_and_keep()

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
            self._open(from_template(Template.read(template_file(name)), self._draft), variables_of(name))
        except WorkbenchError as error:
            self._tell(str(error), wrong=True)


def _rate(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if rate > 0 else None
