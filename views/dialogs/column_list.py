"""A dialog in which the columns of a table are chosen from a list, put in order, and found by typing."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from views.dialogs.dialog import Dialog
from views.widgets.fields import TextField
from views.widgets.lists import CheckList
from workbench.decode.display import visible


class _Find(TextField):
    """What is looked for. Columns are in no need of a space, which checks one."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key writes here."""
        return key != "space" and super().check_consume_key(key, character)


class ColumnList(Dialog[tuple[str, ...] | None]):
    """Asks which columns there are to be; gives their names in order, or None when it was left.

    What is typed filters the list; where it is a field that is not in the list, enter adds it.
    """

    DEFAULT_CSS = """
    ColumnList {
        & .dialog { padding: 0 2; }
        & CheckList { margin-top: 1; height: auto; max-height: 20; }
        & .column-note { color: $muted; height: auto; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("enter", "take", show=False, priority=True),
        Binding("space", "check", show=False, priority=True),
        Binding("down", "go(1)", show=False, priority=True),
        Binding("up", "go(-1)", show=False, priority=True),
        Binding("ctrl+down", "move(1)", show=False, priority=True),
        Binding("ctrl+up", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, names: Sequence[str], shown: Sequence[str], wrong: Callable[[str], str | None]) -> None:
        """Ask.

        Args:
            names: All columns that there are, those that are shown first and in order.
            shown: Those that are shown.
            wrong: Why what is typed names no column, in a sentence; None: it does.
        """
        super().__init__()
        self._names, self._checked, self._wrong = names, shown, wrong

    def compose(self) -> ComposeResult:
        verbs = (("enter", "show"), ("space", "choose"), ("ctrl+↑↓", "move"), ("esc", "cancel"))
        with self.frame("Columns", *verbs):
            yield _Find(placeholder="type to find, or any field: header.NAME, body.PATH")
            yield CheckList(self._names, self._checked)
            yield Static("", classes="column-note")

    def on_mount(self) -> None:
        """Write first."""
        self.query_one(TextField).focus()
        self._filter()

    @on(Input.Changed)
    def _filter(self) -> None:
        text, columns = self._text, self.query_one(CheckList)
        columns.filter(text)
        note = ""
        if not columns.option_count:
            note = self._wrong(text) or f"enter adds {text}."
        self.query_one(".column-note", Static).update(Content(visible(note)))
        self.query_one(".column-note").display = bool(note)

    @property
    def _text(self) -> str:
        return self.query_one(TextField).value.strip()

    def action_take(self) -> None:
        """Take what is checked; or add what is typed, where it is in no list."""
        columns = self.query_one(CheckList)
        if columns.option_count:
            self.dismiss(columns.checked)
        elif self._wrong(self._text) is None:
            columns.add(self._text)
            self.query_one(TextField).value = ""

    def action_check(self) -> None:
        """Check the line at the cursor, or not any more."""
        self.query_one(CheckList).action_select()

    def action_go(self, lines: int) -> None:
        """Go down or up."""
        columns = self.query_one(CheckList)
        if lines > 0:
            columns.action_cursor_down()
        else:
            columns.action_cursor_up()

    def action_move(self, lines: int) -> None:
        """Move the line at the cursor down or up."""
        self.query_one(CheckList).action_move(lines)
