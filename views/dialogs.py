"""What asks or tells on top of a screen: a question with a text, a sentence to agree to, the keys."""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from views.actions import Action, key_name
from workbench.decode.display import visible

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A question on top of the screens, which is answered once, and only while it is the one that is asked."""

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Give the answer and go."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()


def accept_any(text: str) -> str | None:
    """Any text will do."""
    return None


def do_nothing() -> None:
    """Do nothing."""


class Ask(Dialog[str | None]):
    """Asks for a line of text; None when it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(
        self,
        title: str,
        question: str,
        value: str = "",
        wrong: Callable[[str], str | None] = accept_any,
        hidden: bool = False,
    ) -> None:
        """Ask.

        Args:
            title: What for.
            question: In a sentence or two.
            value: What stands there at first.
            wrong: Why a text will not do, in a sentence; None: it will.
            hidden: Whether what is typed is not shown.
        """
        super().__init__()
        self._hidden = hidden
        self._title, self._question, self._value, self._wrong = title, question, value, wrong

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(visible(self._title)), classes="dialog-title")
            yield Static(Text(self._question))
            yield Input(self._value, select_on_focus=False, password=self._hidden)
            yield Static("", classes="dialog-error")
            yield Static(Text("enter go on   escape leave"), classes="dialog-keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or say what is wrong with it."""
        if (sentence := self._wrong(event.value)) is not None:
            self.query_one(".dialog-error", Static).update(Text(sentence))
        else:
            self.dismiss(event.value)


class Agree(Dialog[bool]):
    """Tells something that wants a yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", show=False),
        Binding("enter,y", "dismiss(True)", show=False),
    ]

    def __init__(self, title: str, sentence: str, yes: str) -> None:
        """Ask.

        Args:
            title: What for.
            sentence: What will happen.
            yes: What enter does, in a word or two.
        """
        super().__init__()
        self._title, self._sentence, self._yes = title, sentence, yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(visible(self._title)), classes="dialog-title")
            yield Static(Text(self._sentence))
            yield Static(Text(f"enter {self._yes}   escape leave"), classes="dialog-keys")


class Keys(Dialog[None]):
    """The keys of a screen, with what each does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss(None)", show=False)]

    def __init__(self, title: str, actions: Sequence[Action], own: Callable[[Action], str]) -> None:
        """Show.

        Args:
            title: The screen's.
            actions: What can be done there.
            own: An action's keys, as the user has settled them.
        """
        super().__init__()
        self._title, self._actions, self._own = title, actions, own

    def compose(self) -> ComposeResult:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(ratio=1)
        for action in self._actions:
            keys = " ".join(key_name(key) for key in self._own(action).split(",") if key)
            table.add_row(Text(keys or ":"), Text(action.help))
        with Vertical(classes="dialog wide"):
            yield Static(Text(f"Keys of {self._title}"), classes="dialog-title")
            with VerticalScroll():
                yield Static(table)
            yield Static(Text("escape leaves   ↑ ↓ scroll   : does anything by name"), classes="dialog-keys")


class Unexpected(Dialog[None]):
    """Tells of an exception that nobody expected, and lets the user go on or leave."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss(None)", show=False),
        Binding("q,ctrl+c", "leave", show=False),
    ]

    def __init__(self, sentence: str, leave: Callable[[str], None]) -> None:
        """Tell.

        Args:
            sentence: What happened, and where more is said.
            leave: Ends the program with this sentence.
        """
        super().__init__()
        self._sentence, self._leave = sentence, leave

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text("Unexpected error"), classes="dialog-title")
            yield Static(Text(visible(self._sentence)))
            yield Static(Text("enter goes on   q leaves"), classes="dialog-keys")

    def action_leave(self) -> None:
        """End the program."""
        self._leave(self._sentence)
