"""A dialog that lets a user choose one of several lines."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets.option_list import Option

from views.dialogs.dialog import Dialog
from views.widgets.options import DialogOptions


class Choice(Dialog[int | None]):
    """Asks for one of several; gives its number from 0, or None when it was left."""

    DEFAULT_CSS = """
    Choice OptionList { padding: 0; height: auto; max-height: 14; }
    Choice OptionList, Choice OptionList:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", show=False)]

    def __init__(self, title: str, lines: Sequence[Text], verb: str) -> None:
        """Ask.

        Args:
            title: What for.
            lines: What there is.
            verb: What enter does, in a word or two.
        """
        super().__init__()
        self._title, self._lines, self._verb = title, lines, verb

    def compose(self) -> ComposeResult:
        with self.frame(self._title, ("enter", self._verb), ("esc", "cancel")):
            yield DialogOptions(*(Option(line) for line in self._lines))

    def on_option_list_option_selected(self, event: DialogOptions.OptionSelected) -> None:
        """That one."""
        self.dismiss(event.option_index)
