"""The keys of a screen, with what each does."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from views.actions import Action, key_name
from views.dialogs.dialog import Dialog


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
        table.add_column(no_wrap=True, style="key")
        table.add_column(ratio=1)
        for action in self._actions:
            keys = " ".join(key_name(key) for key in self._own(action).split(",") if key)
            table.add_row(Text(keys or ":"), Text(action.help))
        verbs = (("esc", "close"), ("↑ ↓", "scroll"), (":", "do anything by name"))
        with self.frame(f"Keys of {self._title}", *verbs, wide=True), VerticalScroll():
            yield Static(table)
