"""The headers and properties of a draft: a table of them, and the dialog in which one is written."""

from collections.abc import Sequence
from typing import ClassVar, Final, Literal, NamedTuple

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Checkbox, DataTable, Static

from views.dialogs import Dialog
from views.widgets.fields import TextField
from workbench.decode.display import visible
from workbench.model.errors import FormatError
from workbench.operations.drafts.model import Draft, Field

MOST: Final = 500
"""Fields that are listed: a stranger may have sent ten thousand headers, and all of them are sent."""
_COLUMNS: Final = ("", "name", "value", "in a clone", "kind")
_SIGNS: Final = {"fresh": "↻", "dropped": "✖"}


class Place(NamedTuple):
    """Which field of a draft."""

    where: Literal["properties", "headers"]
    number: int

    def field(self, draft: Draft) -> Field:
        """The field."""
        fields: tuple[Field, ...] = getattr(draft, self.where)
        return fields[self.number]

    def put(self, draft: Draft, *fields: Field) -> Draft:
        """The draft with these in the field's place."""
        old: tuple[Field, ...] = getattr(draft, self.where)
        return msgspec.structs.replace(draft, **{self.where: (*old[: self.number], *fields, *old[self.number + 1 :])})


class DraftFields(DataTable[Text]):
    """A line for each property, then for each header: what it is, and what becomes of it in a clone."""

    DEFAULT_CSS = """
    DraftFields {
        height: auto; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0;
    }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row")
        self._places: Sequence[Place] = ()

    @property
    def place(self) -> Place | None:
        """The field at the cursor."""
        return self._places[self.cursor_row] if self.cursor_row in range(len(self._places)) else None

    def show(self, draft: Draft) -> None:
        """Draw a draft's fields; the cursor stays in its row."""
        row = self.cursor_row
        self._places = [
            *(Place("properties", number) for number in range(len(draft.properties))),
            *(Place("headers", number) for number in range(len(draft.headers))),
        ][:MOST]
        # The columns too: they would stay as wide as what they held before.
        self.clear(columns=True)
        for title in _COLUMNS:
            self.add_column(title)
        for place in self._places:
            self.add_row(*_row(place.where, place.field(draft)))
        more = len(draft.properties) + len(draft.headers) - len(self._places)
        if more:
            self.add_row(Text(), Text(f"… {more:,} more are sent"), Text(), Text(), Text())
        self.move_cursor(row=row, animate=False)

    def action_cursor_top(self) -> None:
        """Go to the first."""
        self.action_scroll_top()

    def action_cursor_bottom(self) -> None:
        """Go to the last."""
        self.action_scroll_bottom()


class Tick(Checkbox):
    """A checkbox whose tick is there or is not, where others only change its colour."""

    BUTTON_INNER = " "

    def watch_value(self) -> None:
        """Draw it."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()


class FieldDialog(Dialog[tuple[str, Field] | None]):
    """Asks for a header or a property; gives `headers` or `properties` and the field, or None when it was left."""

    DEFAULT_CSS = """
    FieldDialog {
        align: center middle;
        & Checkbox { border: none; padding: 0; background: transparent; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, where: str = "headers", field: Field | None = None) -> None:
        """Ask.

        Args:
            where: `headers` or `properties`.
            field: What to begin with; a field that is left as it is stays the original's.
        """
        super().__init__()
        self._where = where
        self._field = field

    def compose(self) -> ComposeResult:
        field = self._field or Field("", "")
        with Vertical(classes="dialog"):
            yield Static(Text("A header or a property"), classes="dialog-title")
            yield Static(Text("Name"))
            yield TextField(field.name, id="name")
            yield Static(Text("Value"))
            yield TextField(field.value, id="value")
            yield Tick(
                Text("a property, such as content_type or correlation_id"), self._where == "properties", id="property"
            )
            yield Tick(
                Text('typed: 5, true, null, {"time":"2026-11-23T10:00:00Z"}, {"base64":"AAE="}'),
                field.kind != "text",
                id="typed",
            )
            yield Static("", classes="dialog-error")
            yield Static(Text("enter take it   tab next   space tick   escape leave"), classes="dialog-keys")

    def on_input_submitted(self) -> None:
        """Take it, or say what is wrong with it."""
        name, value = (self.query_one(f"#{id}", TextField).value for id in ("name", "value"))
        is_property, typed = (self.query_one(f"#{id}", Tick).value for id in ("property", "typed"))
        where = "properties" if is_property else "headers"
        field = Field(name, value, "typed" if typed else "text")
        try:
            if not name:
                raise FormatError("It has no name.")
            field.written()
        except FormatError as error:
            self.query_one(".dialog-error", Static).update(Text(f"✖ {visible(str(error))}"))
            return
        old = self._field
        same = old is not None and (old.name, old.value, old.kind != "text", self._where) == (name, value, typed, where)
        self.dismiss((where, old if same and old is not None else field))


def _row(where: str, field: Field) -> tuple[Text, ...]:
    gone = "strike dim" if field.dropped else ""
    sign = "" if not field.change else _SIGNS[field.change] if field.changed else "="
    does = {"": "", "fresh": "made anew", "dropped": "dropped"}[field.change] if field.changed else "kept"
    return (
        Text(sign, "bold"),
        Text(visible(field.name, 24), gone or "bold"),
        Text(visible(field.value, 24), gone),
        Text(visible(f"{does}: {field.reason}" if field.change else "")),
        Text("property" if where == "properties" else field.kind, "muted"),
    )
