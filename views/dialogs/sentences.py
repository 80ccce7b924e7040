"""Dialogs that tell something: a sentence to agree to, and an exception that nobody expected."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from views.dialogs.dialog import Dialog
from workbench.decode.display import visible


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
        with self.frame(self._title, ("enter", self._yes), ("esc", "cancel")):
            yield Static(Text(visible(self._sentence)))


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
        with self.frame("Unexpected error", ("enter", "go on"), ("q", "quit")):
            yield Static(Text(visible(self._sentence)))

    def action_leave(self) -> None:
        """End the program."""
        self._leave(self._sentence)
