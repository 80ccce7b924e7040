"""Events as the lines of a table that grows, with the columns of the screen."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from workbench.cli.output import UNCUT
from workbench.decode.display import cells, visible
from workbench.decode.preview import LOOKED_AT
from workbench.model.event import Delivery
from workbench.query.field import Field
from workbench.query.query import Reading
from workbench.table.cells import Cells, cells_of
from workbench.table.columns import COLUMNS, FAILED, FEW_CELLS, GAP, Column, ColumnLayout, column_of, fit

_ENOUGH: Final = 20
"""Events that show how wide a column has to be; where fewer are there at first, it is as wide as such texts are."""
_ALWAYS: Final = ("time", "body")


class EventTable:
    """The lines of a table that grows: titles again where a column comes in, or the terminal has another width."""

    def __init__(self, columns: Sequence[Column] | None, reading: Reading, mixed: bool, several: bool) -> None:
        self._picked = columns
        self._reading = reading
        known = {column.id for column in COLUMNS}
        self._fields = [Field(column.field, reading) for column in columns or () if column.id not in known]
        self._several = several
        self._width = 0
        self._layout = ColumnLayout(lambda: self._width, lambda: self._width < FEW_CELLS)
        self._layout.mixed = mixed
        self._used: set[str] = {*_ALWAYS, "from"}
        self._room: Sequence[tuple[Column, int]] = ()
        self._day = date.today()

    def lines(self, batch: Sequence[Delivery], width: int) -> Iterator[str]:
        """The lines of a batch.

        Args:
            batch: As they may be seen.
            width: Terminal cells of a line; `UNCUT`: nothing has to be cut.
        """
        limit = max(min(width, UNCUT), LOOKED_AT)
        found = [cells_of(each, self._reading.facts(each), self._fields, limit) for each in batch]
        if not found:
            return
        if not self._room:
            self._layout.failed = sum("reason" in each.texts for each in found) > len(found) / 2
        used = self._used.union(*(each.texts.keys() for each in found))
        if not self._room or width != self._width or used - self._used:
            self._used, self._width = used, width
            before = [column for column, _ in self._room], [room for _, room in self._room]
            self._arrange(found)
            if before != ([column for column, _ in self._room], [room for _, room in self._room]):
                titles = [msgspec.structs.replace(column, cut="end") for column, _ in self._room]
                yield self._line([column.title for column in titles], titles)
        for each in found:
            local = _local(each.time)
            if local and local.date() != self._day and any(column.id == "time" for column, _ in self._room):
                self._day = local.date()
                yield f"── {self._day.isoformat()} ──"
            yield self._line([self._text(each, column) for column, _ in self._room])

    def _arrange(self, found: Sequence[Cells]) -> None:
        """Choose columns, and their widths by what is in them."""
        columns = list(self._picked) if self._picked is not None else self._usual()
        self._layout.picked = columns
        for column in columns:
            for each in found:
                self._layout.note(column.id, self._text(each, column))
            if len(found) < _ENOUGH:
                self._layout.note(column.id, "-" * column.width)
        self._room = self._layout.arrange(self._width)

    def _usual(self) -> list[Column]:
        """The columns that the screen shows, and where there is room the position, by which an event is asked for."""
        narrow = self._width < FEW_CELLS
        if self._layout.failed:
            # There is no inspector beside the table, so that the body stays; the reason takes the room of the type.
            left_out = {"type" if narrow else "", "" if self._layout.mixed else "from"}
            columns = [column_of(name) for name in FAILED if name not in left_out]
        else:
            self._layout.picked = None
            columns = [column for column in self._layout.columns if column.id in self._used]
        if not narrow and "position" in self._used:
            columns.insert(2 if self._layout.mixed else 1, column_of("position"))
        return columns

    def _text(self, found: Cells, column: Column) -> str:
        match column.id:
            case "time" | "seen":
                local = _local(found.time if column.id == "time" else found.seen)
                return local.strftime("%H:%M:%S.%f")[:12] if local else "?"
            case "from":
                return found.address if self._several else found.endpoint
            case id:
                return found.texts.get(id, "")

    def _line(self, texts: Sequence[str], columns: Sequence[Column] | None = None) -> str:
        parts: list[str] = []
        for text, (column, room) in zip(texts, self._room, strict=True):
            if self._width < UNCUT:
                parts.append(fit(text, room, column if columns is None else columns[len(parts)]))
            else:
                whole = visible(text, UNCUT)
                # Whoever reads on needs the whole of an id more than straight columns.
                space = " " * ((room if column.width else 0) - cells(whole))
                parts.append(space + whole if column.side == "right" else whole + space)
        return (" " * GAP).join(parts).rstrip(" ")


def _local(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000)
    except (ValueError, OverflowError, OSError):
        # A producer may claim any time at all.
        return None
