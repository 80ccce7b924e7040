"""A dialog that lets a user choose one of several lines."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static
from textual.widgets.option_list import Option

from views.dialogs import Dialog
from views.widgets.options import Options


class Choice(Dialog[int | None]):
    """Asks for one of several; gives its number from 0, or None when it was left."""

    DEFAULT_CSS = """
    Choice {
        align: center middle;
        & OptionList { border: none; height: auto; max-height: 14; background: transparent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", show=False),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Text]) -> None:
        """Ask.

        Args:
            title: What for.
            lines: What there is.
        """
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._title), classes="dialog-title")
            yield Options(*(Option(line) for line in self._lines))
            yield Static(Text("enter go on   escape leave"), classes="dialog-keys")

    def on_option_list_option_selected(self, event: Options.OptionSelected) -> None:
        """That one."""
        self.dismiss(event.option_index)

    def action_down(self) -> None:
        """Go down."""
        self.query_one(Options).action_cursor_down()

    def action_up(self) -> None:
        """Go up."""
        self.query_one(Options).action_cursor_up()
