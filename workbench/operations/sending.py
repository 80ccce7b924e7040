"""One sending while it goes on: what each event's receipt says, how long it took, and how far it all is."""

import asyncio
import time
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final

import msgspec

from workbench.model.address import Address
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.operations.publish import Published

LISTED: Final = 1_000
"""Receipts of one sending that are listed; the others are counted."""


class Received(msgspec.Struct, frozen=True):
    """A receipt, as it is listed.

    Attributes:
        receipt: What became of the event.
        address: Where it was sent.
        route: Who got it there, as far as that was known before.
        time: When the receipt came, in milliseconds since 1970 UTC.
        took: Seconds from handing the event over to the receipt; None: not known.
    """

    receipt: Receipt
    address: Address
    route: tuple[Address, ...]
    time: int
    took: float | None

    @property
    def found_at(self) -> Address:
        """Where the event can be looked at."""
        return self.route[0] if self.route else self.address


class Sending:
    """One sending: what is known of it so far.

    Attributes:
        address: Where to.
        count: How many events.
        stopped: Set to send no more of them.
        published: What the broker has answered so far.
    """

    def __init__(self, address: Address, count: int, route: tuple[Address, ...] = ()) -> None:
        self.address: Final = address
        self._route: Final = route
        self.count: Final = count
        self.stopped: Final = asyncio.Event()
        self.published = Published(0, 0)
        self._start = time.monotonic()
        self._given = 0
        # The number of each batch's first event, and when it was handed over.
        self._first = array("Q")
        self._at = array("d")
        self._received: list[Received] = []
        self._listed = 0

    async def note(self, batches: AsyncIterable[Sequence[Event]]) -> AsyncIterator[Sequence[Event]]:
        """The same events, with a note of when they were handed over."""
        async for batch in batches:
            self._first.append(self._given)
            self._at.append(time.monotonic())
            self._given += len(batch)
            yield batch

    def add_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Take receipts in."""
        self.published += receipts
        now, moment = time.time_ns() // 1_000_000, time.monotonic()
        for receipt in receipts:
            # Room is kept for refusals: that the rest went well can be counted.
            if self._listed < (LISTED if receipt.error is not None else LISTED // 2):
                self._listed += 1
                batch = bisect_right(self._first, receipt.sequence) - 1
                took = moment - self._at[batch] if batch >= 0 else None
                self._received.append(Received(receipt, self.address, self._route, now, took))

    def take_received(self) -> list[Received]:
        """The receipts to list since the last time."""
        received, self._received = self._received, []
        return received

    @property
    def done(self) -> int:
        """Events that are answered for."""
        return self.published.confirmed + self.published.failed

    @property
    def seconds(self) -> float:
        """Since when it goes on."""
        return time.monotonic() - self._start

    def summary(self) -> str:
        """What it came to, in a sentence."""
        unsent = self.count - self.done
        stopped = f"; stopped, {unsent:,} were not sent" if unsent else ""
        return f"{self.published.summary(f' to {self.address}')}{stopped}."
