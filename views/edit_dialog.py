"""Asks what is changed about each message on its way; the body of a single one may be edited in `$EDITOR`."""

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, Final, NamedTuple

import msgspec
from rich.text import Text
from textual import work
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.dialogs.form import Answers, Entry, Form
from views.external_editor import edit_externally
from views.steady_app import KEY_WORK
from views.widgets.panel import Panel
from workbench.decode.display import visible
from workbench.facts.tiers import Tiers
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Event
from workbench.model.wording import quantity
from workbench.operations.edit.by_hand import text_left, text_to_edit
from workbench.operations.edit.edit import Edit, check
from workbench.operations.edit.external_program import EDITOR
from workbench.operations.template import Template, template_file, templates_folder


class One(NamedTuple):
    """The only message that is edited.

    Attributes:
        event: As it came.
        seen: As its user may see it.
    """

    event: Event
    seen: Event


class EditDialog(Form):
    """Asks for an edit; `edit` is what was answered."""

    DEFAULT_CSS = """
    EditDialog {
        & .dialog { width: 84; }
        & #by-hand { height: auto; margin-bottom: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+e", "edit_body", show=False, priority=True)]

    def __init__(self, before: Answers, tiers: Tiers, one: One | None) -> None:
        """Ask.

        Args:
            before: What was answered the last time.
            tiers: Says what is locked.
            one: The only message; None: there are several, or it is not at hand.
        """
        self.edit = Edit()
        """What was answered."""
        self._tiers: Final = tiers
        self._one: Final = one
        text = before.get("text")
        self._text = str(text) if text is not None and one is not None else None
        names = sorted(path.stem for path in templates_folder().glob("*.toml"))
        super().__init__(
            "Edit on the way",
            [
                Entry(
                    part.id,
                    part.label,
                    str(before.get(part.id, "")),
                    True,
                    part.example,
                    wrong=partial(self._why_wrong, part),
                    completed=(lambda: names) if part.id == "template" else None,
                )
                for part in _PARTS
            ],
            "plan anew",
            "What is not named stays, byte for byte. The original stays in the journal; the plan shows the difference.",
        )

    def on_mount(self) -> None:
        """Say how the body stands, and what can be done."""
        self.query_one(".dialog > VerticalScroll", VerticalScroll).mount(Static("", id="by-hand"), before=1)
        editor = [("ctrl+e", "body in $EDITOR")] if self._one is not None else []
        self.query_one(Panel).keys = (("enter", "plan anew"), *editor, ("tab", "next field"), ("esc", "cancel"))
        self._tell()

    def take(self, answers: Answers) -> None:
        """Keep what was answered, each field of which will do; together they may not."""
        try:
            edits = [part.read(str(answers[part.id]).strip()) for part in _PARTS if str(answers[part.id]).strip()]
            self.edit = _joined([Edit(text=self._text), *edits])
        except WorkbenchError as error:
            # A file that there was a moment ago.
            self.say_wrong("template", str(error))
            return
        if self.edit.values and self.edit.template is None:
            self.say_wrong("values", "There is no template to set them in.")
            return
        self.dismiss(answers if self._text is None else {**answers, "text": self._text})

    @work(group=KEY_WORK, exclusive=True)
    async def action_edit_body(self) -> None:
        """Edit the only message's body by hand."""
        if self._one is None:
            self._tell("Only a selected message can be edited by hand: a patch or a template edits them all.")
            return
        try:
            own = text_to_edit(self._one.event, self._one.seen)
            before = own if self._text is None else self._text
            left = await edit_externally(self.app, before.encode(), EDITOR)
            text = text_left(before, left.decode())
        except UnicodeDecodeError:
            self._tell("What the editor left is not UTF-8.")
        except WorkbenchError as error:
            self._tell(str(error))
        else:
            if text is not None:
                self._text = None if text == own else text
            self._tell()

    def _tell(self, wrong: str = "") -> None:
        """Say how the body stands, or what is wrong with editing it."""
        if not self.is_attached:
            return
        if wrong:
            said = Text(f"✖ {visible(wrong)}", "dead")
        elif self._text is not None:
            said = Text(f"The body is edited by hand: {quantity(self._text.count(chr(10)) + 1, 'line')} now.", "live")
        else:
            said = Text("")
        static = self.query_one("#by-hand", Static)
        static.display = bool(said)
        static.update(said)

    def _why_wrong(self, part: "_Part", text: str) -> str | None:
        try:
            if text.strip():
                check(part.read(text.strip()), self._tiers)
        except WorkbenchError as error:
            return str(error)
        return None


class _Part(NamedTuple):
    """A field of the form.

    Attributes:
        id: Its name among the answers.
        label: Its name for the user.
        example: What stands there while it is empty.
        read: The edit that a text in it says.
    """

    id: str
    label: str
    example: str
    read: Callable[[str], Edit]


def _joined(edits: Sequence[Edit]) -> Edit:
    """One edit of several, each of which says something else."""
    nothing = Edit()
    said = {
        name: value
        for edit in edits
        for name, value in msgspec.structs.asdict(edit).items()
        if value != getattr(nothing, name)
    }
    return Edit(**said)


def _names(text: str) -> tuple[str, ...]:
    """Words, quoted as for a shell where there are blanks in them."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise FormatError(f"{text!r} cannot be read: {str(error).lower()}.") from None


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for word in _names(text):
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise FormatError(f"{word!r} is not NAME=VALUE; a value with blanks is put in quotes.")
        pairs.append((name, value))
    return tuple(pairs)


def _property(name: str) -> str:
    return name.replace("-", "_")


_PARTS: Final = (
    _Part("merge", "merge into body", '{"currency": "EUR"}', lambda text: Edit(merge=text)),
    _Part("patch", "JSON Patch", '[{"op": "remove", "path": "/note"}]', lambda text: Edit(patch=text)),
    _Part(
        "template",
        "template",
        "a TOML file, or one of yours",
        lambda text: Edit(template=Template.read(template_file(text))),
    ),
    _Part("values", "set in template", "id=7 note='a b'", lambda text: Edit(values=dict(_pairs(text)))),
    _Part("key", "key", "as it is", lambda text: Edit(key=text.encode("utf-8", "surrogateescape"))),
    _Part("headers", "set headers", "tenant=north note='a b'", lambda text: Edit(headers=_pairs(text))),
    _Part("without", "remove headers", "x-debug x-trace", lambda text: Edit(without_headers=_names(text))),
    _Part(
        "properties",
        "set properties",
        "priority=5",
        lambda text: Edit(properties=tuple((_property(name), value) for name, value in _pairs(text))),
    ),
    _Part(
        "without_properties",
        "remove properties",
        "expiration",
        lambda text: Edit(without_properties=tuple(map(_property, _names(text)))),
    ),
)
