"""The one form of questions: labelled fields, what is wrong with one beneath it, verbs in the border."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from views.dialogs.dialog import Dialog
from views.widgets.fields import Completing, TextField
from views.widgets.lists import CheckList, ChoiceList, Submitted, Toggle
from workbench.decode.display import cells, visible


def accept_any(text: str) -> str | None:
    """Any text will do."""
    return None


class Entry(msgspec.Struct, frozen=True):
    """A line of text to be written.

    Attributes:
        id: Its name among the answers.
        label: Its name for the user; empty: none is needed.
        value: What stands there at first.
        own: Whether that is the user's own, which is gone on with, and no proposal: that is selected when the field is
            entered, and who types replaces it.
        placeholder: An example, while it is empty.
        hidden: Whether what is typed is not shown.
        shown: What is shown of what is typed, as long as that.
        wrong: Why a text will not do, in a sentence; None: it will.
        completed: What a text that begins so is completed to; None: nothing is.
    """

    id: str
    label: str = ""
    value: str = ""
    own: bool = False
    placeholder: str = ""
    hidden: bool = False
    shown: Callable[[str], str] = str
    wrong: Callable[[str], str | None] = accept_any
    completed: Callable[[], Iterable[str]] | None = None


class Choose(msgspec.Struct, frozen=True):
    """One of a few to be chosen.

    Attributes:
        id: Its name among the answers.
        label: Its name for the user.
        choices: What there is; each with a note, or "".
        chosen: The number of what is chosen at first. The answer is a number, too.
    """

    id: str
    label: str
    choices: Sequence[tuple[str, str]]
    chosen: int = 0


class Check(msgspec.Struct, frozen=True):
    """Several of many to be chosen, in an order.

    Attributes:
        id: Its name among the answers.
        label: Its name for the user; empty: none is needed.
        items: What there is, in order.
        checked: Which of them are checked at first. The answer is a tuple of those that are, in the order they are in.
    """

    id: str
    label: str
    items: Sequence[str]
    checked: Sequence[str]


class Switch(msgspec.Struct, frozen=True):
    """A yes or no.

    Attributes:
        id: Its name among the answers.
        label: What is so while it is on.
        value: Whether it is on at first. The answer is a bool.
    """

    id: str
    label: str
    value: bool = False


Field = Entry | Choose | Check | Switch
Answers = Mapping[str, str | int | bool | tuple[str, ...]]
"""What was answered, by the fields' ids."""


def no_error(answers: Answers) -> tuple[str, str] | None:
    """Nothing is wrong."""
    return None


class Form(Dialog[Answers | None]):
    """Asks for the values of some fields; gives them by their ids, or None when it was left.

    What is typed is kept until it will do: what is wrong is said beneath its field, which the focus goes to.
    """

    DEFAULT_CSS = """
    Form {
        & .dialog > VerticalScroll { height: auto; max-height: 100%; }
        & .field-label { color: $muted; text-style: $muted-style; }
        & .form-row, & .form-value { height: auto; }
        & ChoiceList, & CheckList, & Toggle, & .field-error { margin-left: 1; }
        & .form-question { margin-bottom: 1; }
        & .field-error { color: $dead; height: auto; display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(
        self,
        title: str,
        fields: Sequence[Field],
        verb: str,
        question: str = "",
        wrong: Callable[[Answers], tuple[str, str] | None] = no_error,
    ) -> None:
        """Ask.

        Args:
            title: What for.
            fields: What is asked for, in order.
            verb: What enter does, in a word or two.
            question: In a sentence or two; empty: the labels say enough.
            wrong: What is wrong with the whole, once each field will do: the id of the field to go to, and a sentence.
        """
        super().__init__()
        self._title, self._fields, self._verb = title, fields, verb
        self._question, self._wrong = question, wrong

    def compose(self) -> ComposeResult:
        verbs = [("enter", self._verb)]
        if len(self._fields) > 1:
            verbs.append(("tab", "next field"))
        if any(isinstance(field, Choose | Switch | Check) for field in self._fields):
            verbs.append(("space", "choose"))
        if any(isinstance(field, Check) for field in self._fields):
            verbs.append(("ctrl+↑↓", "move"))
        with self.frame(self._title, *verbs, ("esc", "cancel")), VerticalScroll(can_focus=False):
            if self._question:
                yield Static(Text(self._question), classes="form-question")
            width = max((cells(field.label) + 2 for field in self._fields if _is_labelled(field)), default=0)
            for field in self._fields:
                with Horizontal(classes="form-row"):
                    label = Static(Text(field.label if _is_labelled(field) else ""), classes="field-label")
                    label.styles.width = width
                    yield label
                    with Vertical(classes="form-value"):
                        yield _widget_of(field)
                        yield Static("", classes="field-error", id=f"{field.id}-error")

    def on_mount(self) -> None:
        """Begin with the first field."""
        self.query_one(f"#{self._fields[0].id}").focus()

    @on(Input.Submitted)
    @on(Submitted)
    def _submit(self) -> None:
        self.action_take()

    @property
    def answers(self) -> Answers:
        """What the fields say now."""
        return {field.id: _answer_of(self.query_one(f"#{field.id}")) for field in self._fields}

    def action_take(self) -> None:
        """Take it, or say what is wrong with it."""
        answers = self.answers
        for field in self._fields:
            self.say_wrong(field.id, None)
        for field in self._fields:
            if isinstance(field, Entry) and (sentence := field.wrong(str(answers[field.id]))) is not None:
                self.say_wrong(field.id, sentence)
                return
        if (found := self._wrong(answers)) is not None:
            self.say_wrong(*found)
        else:
            self.take(answers)

    def take(self, answers: Answers) -> None:
        """The answers will do. Who needs time to see that they do overrides this, and may still `say_wrong`."""
        self.dismiss(answers)

    def say_wrong(self, id: str, sentence: str | None) -> None:
        """Say beneath a field what is wrong with it, and go there.

        Args:
            id: The field's.
            sentence: What; None: nothing any more.
        """
        error = self.query_one(f"#{id}-error", Static)
        error.display = sentence is not None
        if sentence is not None:
            error.update(Content(f"✖ {visible(sentence)}"))
            widget = self.query_one(f"#{id}")
            if isinstance(widget, TextField):
                # What was typed is mended, not replaced, unless it cannot be seen.
                widget.select_on_focus = widget.password
            widget.focus()
            if isinstance(widget, TextField) and widget.password:
                widget.select_all()


def _is_labelled(field: Field) -> bool:
    """Whether its label stands before it: a switch has its own behind it."""
    return bool(field.label) and not isinstance(field, Switch)


def _widget_of(field: Field) -> Widget:
    match field:
        case Entry():
            return TextField(
                field.value,
                field.placeholder,
                field.id,
                suggester=None if field.completed is None else Completing(field.completed),
                hidden=field.hidden,
                shown=field.shown,
                select_on_focus=not field.own,
            )
        case Choose():
            return ChoiceList(field.choices, field.chosen, field.id)
        case Check():
            return CheckList(field.items, field.checked, field.id)
        case Switch():
            return Toggle(Text(field.label), field.value, id=field.id)


def _answer_of(widget: Widget) -> str | int | bool | tuple[str, ...]:
    match widget:
        case TextField():
            return widget.value
        case ChoiceList():
            return widget.chosen
        case CheckList():
            return widget.checked
        case Toggle():
            return widget.value
        case _:
            raise TypeError(f"{widget} is no field")
