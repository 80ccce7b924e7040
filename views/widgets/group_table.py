"""A consumer group, a line for each partition that it reads."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, cast

from rich.text import Text
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from workbench.decode.display import shorten_middle, visible
from workbench.model.groups import Group, GroupPartition
from workbench.model.wording import age

if TYPE_CHECKING:
    from textual.widgets import DataTable

_COLUMNS = ("endpoint", "part", "committed", "end", "lag", "oldest", "member")
_ROOMY: Final = 100
"""Cells of the table from which names have more room."""
_SHORT: Final = 22
_LONG: Final = 40


class GroupTable(Vertical):
    """How far a group has got; enter on a partition opens the very event that it is to read next."""

    OWN_KEYS: ClassVar[Sequence[tuple[str, str]]] = (("enter", "open the event it reads next"),)
    """What its keys do, for footer and border."""

    class Chosen(Message):
        """A partition was chosen."""

        def __init__(self, group: Group, partition: GroupPartition) -> None:
            super().__init__()
            self.group = group
            self.partition = partition

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._group: Group | None = None

    @property
    def shown(self) -> Group | None:
        """The group; None: none was shown yet."""
        return self._group

    def _parts(self) -> Iterator[Widget]:
        """Imported and made for the first group that is shown: the first picture would wait for it."""
        from views.widgets.row_table import RowTable

        yield Static("", id="group-gaps")
        table = RowTable()
        for column in _COLUMNS:
            table.add_column(column, key=column)
        yield table

    def show(self, group: Group) -> None:
        """Draw a group as it was listed; the cursor stays where it is if it is the same."""
        if self._group is None:
            self.mount(*self._parts())
        table = cast("DataTable[Text]", self.query_one("DataTable"))
        same = self._group is not None and self._group.name == group.name
        self._group = group
        gaps = self.query_one("#group-gaps", Static)
        gaps.display = bool(group.gaps)
        unknown = [f"Not known: {visible(gap.what, 60)} ({visible(gap.reason, 200)})" for gap in group.gaps]
        gaps.update(Text().append("\n".join(unknown), "muted"))
        room = _LONG if self.size.width >= _ROOMY else _SHORT
        rows = [_row(partition, room) for partition in group.partitions]
        if same and table.row_count == len(rows):
            for number, row in enumerate(rows):
                for column, cell in zip(_COLUMNS, row, strict=True):
                    table.update_cell(str(number), column, cell, update_width=True)
            return
        table.clear()
        for number, row in enumerate(rows):
            table.add_row(*row, key=str(number))

    def on_data_table_row_selected(self, event: "DataTable.RowSelected") -> None:
        """Tell which partition."""
        event.stop()
        if self._group is not None and event.cursor_row < len(self._group.partitions):
            self.post_message(self.Chosen(self._group, self._group.partitions[event.cursor_row]))


def _row(partition: GroupPartition, room: int) -> Sequence[Text]:
    oldest = "" if partition.oldest_unread is None else age(time.time() - partition.oldest_unread / 1000)
    return (
        Text(shorten_middle(partition.address.name, room)),
        Text(partition.partition, justify="right"),
        Text(partition.committed or "none", justify="right"),
        Text(partition.end, justify="right"),
        Text(f"{partition.lag:,}", "bold" if partition.lag else "muted", justify="right"),
        Text(oldest, justify="right"),
        Text(shorten_middle(partition.member or "", room), "muted"),
    )
