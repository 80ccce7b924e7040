"""What became of the events that were sent, the newest first; and how far the sending that goes on is."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from views.widgets.panel import Panel
from views.widgets.progress_row import Progress, ProgressRow
from views.widgets.publish.row_list import RowList
from workbench.decode.display import cells, visible
from workbench.model.receipt import Receipt
from workbench.operations.publish import Published
from workbench.operations.sending import Received, Sending

MOST: Final = 2_000
"""Receipts that stay listed."""


class Receipts(RowList[Received]):
    """A row for each receipt: when it came, where the event landed or why not, and how long that took."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", show=False)]

    class Chosen(Message):
        """Somebody wants to see where an event landed."""

        def __init__(self, received: Received) -> None:
            super().__init__()
            self.received = received

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id, "None yet: ctrl+s sends.")
        self._received: list[Received] = []

    def add(self, received: Sequence[Received]) -> None:
        """List more receipts."""
        if received:
            self._received[:0] = reversed(received)
            del self._received[MOST:]
            # The cursor stays on its receipt, and on the newest where it was there.
            at = self.cursor
            self.show_rows(self._received)
            self.cursor = at + len(received) if at else 0

    def action_choose(self) -> None:
        """Show where the event landed."""
        if (received := self.row) is not None:
            self.post_message(self.Chosen(received))

    def draw(self, row: Received, width: int) -> Text:
        """One row."""
        receipt, place = row.receipt, row.receipt.position
        text = Text(no_wrap=True, end="")
        sign, look = _sign(receipt)
        text.append(f"{sign} ", look)
        moment = datetime.fromtimestamp(row.time / 1000)
        text.append(f"{moment:%H:%M:%S}.{row.time % 1000:03}  ", "muted")
        took = "" if row.took is None else "  <1 ms" if row.took < 0.001 else f"  {row.took * 1000:,.0f} ms"
        room = max(width - text.cell_len - len(took), 1)
        if receipt.error is not None:
            said = str(receipt.error)
        else:
            # A long name is cut, and not where in it the event is.
            where = f" {place.partition}:{place.offset}" if place else ""
            where += "  sent again, maybe there twice" if receipt.resent else ""
            name = ", ".join(each.name for each in row.route) or str(row.address)
            said = f"{visible(name, max(room - len(where), 4))}{where}"
        said = visible(said, room)
        text.append(said, look if receipt.error is not None else "")
        text.append(" " * (room - cells(said)))
        return text.append(took, "muted")


def _sign(receipt: Receipt) -> tuple[str, str]:
    """The sign of what became of an event, and how it is drawn."""
    if receipt.error is None:
        return "✔", "live"
    return ("?", "warn") if receipt.state == "unknown" else ("✖", "dead")


class ReceiptsPanel(Panel):
    """The receipts, and a sending's progress below them."""

    DEFAULT_CSS = """
    ReceiptsPanel {
        height: 1fr;
        & Receipts { height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__(title="Receipts", id="receipts-panel")

    def compose(self) -> ComposeResult:
        yield Receipts(id="receipts")
        yield ProgressRow()

    def add(self, received: Sequence[Received]) -> None:
        """List more receipts."""
        self.query_one(Receipts).add(received)

    def count(self, published: Published) -> None:
        """Say how many there were of each since the screen was opened."""
        refused = f"  {published.refused:,} ✖" if published.refused else ""
        unknown = f"  {published.unknown:,} ?" if published.unknown else ""
        self.state = f"{published.confirmed:,} ✔{refused}{unknown}" if published.confirmed or published.failed else ""
        self._note()

    def show_progress(self, sending: Sending | None, stop: str = "") -> None:
        """Show how far a sending is, and in the border how it is stopped; None: none goes on."""
        self.note = stop
        progress = None
        if sending is not None:
            published = sending.published
            progress = Progress(
                sending.done, sending.count, sending.seconds, published.refused, "refused", published.unknown
            )
        self.query_one(ProgressRow).show(progress)

    def end(self, received: Sequence[Received], published: Published) -> None:
        """A sending has ended: list its last receipts, and how many there were of each."""
        self.add(received)
        self.count(published)
        self.show_progress(None)

    def _note(self) -> None:
        self.keys = [("enter", "go to the event")] if self.state else ()
