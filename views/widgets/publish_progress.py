"""A sending as it goes: how far it is, and where each event add_receipts."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from rich.text import Text
from textual.widgets import RichLog, Static

from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.receipt import Receipt
from workbench.operations.publish import Published

LISTED: Final = 1_000
"""Receipts of one sending that are listed; the others are counted."""
_BAR: Final = 20


class Sending:
    """One sending: what is known of it so far.

    Attributes:
        address: Where to.
        count: How many events.
        stopped: Set to send no more of them.
        published: What the broker has answered so far.
    """

    def __init__(self, address: Address, count: int) -> None:
        self.address: Final = address
        self.count: Final = count
        self.stopped: Final = asyncio.Event()
        self.published = Published(0, 0)
        self._start = time.monotonic()
        self._lines: list[Text] = []
        self._listed = 0

    def add_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Take receipts in."""
        self.published += receipts
        for receipt in receipts:
            refused = receipt.error is not None
            # Room is kept for refusals: that the rest went well can be counted.
            if self._listed < (LISTED if refused else LISTED // 2):
                self._listed += 1
                self._lines.append(self._line(receipt))

    def lines(self) -> list[Text]:
        """The receipts to list since the last time."""
        lines, self._lines = self._lines, []
        return lines

    def progress(self) -> Text:
        """How far it is, and how fast."""
        done = self._count_answered
        full = _BAR * done // self.count
        rate = done / max(time.monotonic() - self._start, 0.001)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append("█" * full + "░" * (_BAR - full))
        line.append(f" {100 * done // self.count} %  {done:,} of {self.count:,} · {rate:,.0f}/s")
        if failed := self.published.failed:
            line.append(f" · ✖ {failed:,} refused", "bold")
        line.append("   stopping …, escape abandons" if self.stopped.is_set() else "   escape stops")
        return line

    def summary(self) -> str:
        """What it came to, in a sentence."""
        unsent = self.count - self._count_answered
        stopped = f"; stopped, {unsent:,} were not sent" if unsent else ""
        return f"{self.published.summary(f' to {self.address}')}{stopped}."

    @property
    def _count_answered(self) -> int:
        return self.published.confirmed + self.published.failed

    def _line(self, receipt: Receipt) -> Text:
        place = receipt.position
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append("✖ " if receipt.error else "● ", "bold")
        line.append(f"{receipt.sequence:>6,}  ", "muted")
        if receipt.error is not None:
            line.append(visible(str(receipt.error)))
        else:
            line.append(visible(str(self.address), 60))
            line.append(visible(f" {place.partition}:{place.offset}" if place else ""))
            line.append("  sent again, maybe there twice" if receipt.resent else "")
        return line


class Receipts(RichLog):
    """The receipts of the last sending."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, max_lines=LISTED + 10, wrap=False, min_width=20)

    def add(self, lines: Sequence[Text]) -> None:
        """List more receipts."""
        if lines:
            self.write(Text("\n").join(lines))


class OutcomeLine(Static):
    """A line that tells how things stand: progress, what came of it, or what is wrong."""

    def tell(self, sentence: str, wrong: bool = False) -> None:
        """Tell something."""
        self.update(Text(f"{'✖ ' if wrong else ''}{visible(sentence)}", "bold" if wrong else ""))
