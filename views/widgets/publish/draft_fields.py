"""The headers and properties of a draft: a row for each, and what becomes of it in a clone."""

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from rich.text import Text

from views.widgets.publish.row_list import RowList
from workbench.decode.display import cells, visible
from workbench.operations.drafts.model import Draft, Field

MOST: Final = 500
"""Fields that are listed: a stranger may have sent ten thousand headers, and all of them are sent."""
_NAMES: Final = 30
"""Cells of the longest name."""


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


class Fold(msgspec.Struct, frozen=True):
    """The row that stands for all that the clone drops."""

    count: int
    reasons: str
    opened: bool


class More(msgspec.Struct, frozen=True):
    """The row that stands for what is not listed."""

    count: int


class DraftFields(RowList[tuple[Place, Field] | Fold | More]):
    """A row for each property, then for each header; what a clone drops is folded into one."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id, "None: n adds one.")
        self._draft = Draft()
        self._opened = False
        self._names = 0

    @property
    def place(self) -> Place | None:
        """The field at the cursor."""
        row = self.row
        return row[0] if isinstance(row, tuple) else None

    @property
    def at_fold(self) -> bool:
        """Whether the cursor is on what the clone drops."""
        return isinstance(self.row, Fold)

    def begin(self, draft: Draft) -> None:
        """Draw another draft's fields, from the first."""
        self.cursor, self._opened = 0, False
        self.show(draft)

    def show(self, draft: Draft) -> None:
        """Draw a draft's fields; the cursor stays in its row."""
        self._draft = draft
        fields = list(_fields(draft))
        dropped = [each for each in fields if each[1].change == "dropped" and (self._opened or each[1].dropped)]
        others = [each for each in fields if each not in dropped] if len(fields) <= MOST else fields
        rows: list[tuple[Place, Field] | Fold | More] = [*others[:MOST]]
        if dropped and others is not fields:
            reasons = ", ".join(dict.fromkeys(field.reason for _, field in dropped))
            rows.append(Fold(sum(field.dropped for _, field in dropped), reasons, self._opened))
            rows += dropped if self._opened else ()
        if len(fields) > MOST:
            rows.append(More(len(fields) - MOST))
        names = [row[1].name for row in rows if not isinstance(row, Fold | More)]
        self._names = max((min(cells(visible(name)), _NAMES) for name in names), default=0)
        self.show_rows(rows)

    def toggle(self) -> None:
        """Unfold what the clone drops, or fold it."""
        self._opened = not self._opened
        self.show(self._draft)

    def draw(self, row: tuple[Place, Field] | Fold | More, width: int) -> Text:
        """One row: a sign, the name, the value, and what kind it is."""
        text = Text(no_wrap=True, end="")
        if isinstance(row, More):
            return text.append(
                visible(f"… {row.count:,} more {'is' if row.count == 1 else 'are'} sent", width), "muted"
            )
        if isinstance(row, Fold):
            way = "enter hides" if row.opened else "enter shows"
            said = f"{row.count:,} dropped: {row.reasons}  ({way}, space keeps)"
            return text.append(visible(f"{'▾' if row.opened else '▸'} {said}", width), "muted")
        place, field = row
        gone = "strike muted" if field.dropped else ""
        text.append(f"{_sign(field)} ", "live" if field.fresh else "muted")
        name = visible(field.name, max(min(self._names, width // 2), 1))
        text.append(name, gone)
        text.append(" " * max(min(self._names, width // 2) - cells(name) + 2, 1))
        kind = "property" if place.where == "properties" else "" if field.kind == "text" else field.kind
        room = max(width - text.cell_len - (cells(kind) + 2 if kind else 0), 1)
        value = visible(f"made anew: {field.reason}" if field.fresh else field.value, room)
        text.append(value, gone or ("muted" if field.fresh else ""))
        if kind and width - text.cell_len > cells(kind):
            text.append(" " * (width - text.cell_len - cells(kind)))
            text.append(kind, "muted")
        return text


def counts(draft: Draft) -> str:
    """How many fields are kept, new and dropped, for a border."""
    fields = [field for _, field in _fields(draft)]
    dropped = sum(field.dropped for field in fields)
    new = sum(field.fresh or (field.of is None and bool(draft.original)) for field in fields)
    if not draft.original:
        return f"{len(fields):,}" if fields else ""
    parts = (f"{len(fields) - dropped - new:,} kept", f"{new:,} new" if new else "", f"{dropped:,} dropped")
    return " · ".join(part for part in parts if part and part != "0 dropped")


def with_dropped(draft: Draft, dropped: bool) -> Draft:
    """The draft with all that its clone drops dropped, or kept."""
    return _map(draft, lambda field: _mark_changed(field, dropped) if field.change == "dropped" else field)


def _map(draft: Draft, change: Callable[[Field], Field]) -> Draft:
    return msgspec.structs.replace(
        draft, properties=tuple(map(change, draft.properties)), headers=tuple(map(change, draft.headers))
    )


def _mark_changed(field: Field, changed: bool) -> Field:
    return msgspec.structs.replace(field, changed=changed)


def _fields(draft: Draft) -> Iterator[tuple[Place, Field]]:
    for number, field in enumerate(draft.properties):
        yield Place("properties", number), field
    for number, field in enumerate(draft.headers):
        yield Place("headers", number), field


def _sign(field: Field) -> str:
    if not field.change:
        return " "
    return {"fresh": "↻", "dropped": "✖"}[field.change] if field.changed else "="
