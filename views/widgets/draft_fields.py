"""The headers and properties of a draft: a table of them."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from rich.text import Text
from textual.widgets import DataTable

from workbench.decode.display import visible
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
