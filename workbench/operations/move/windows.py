"""Windows: messages that are journalled, published, confirmed and settled together."""

from collections.abc import Set
from typing import Final

import msgspec

from workbench.model.event import Delivery
from workbench.operations.journal.journal_file import Entry
from workbench.operations.journal.operation import EntryState
from workbench.operations.move.choice import Removal, Way
from workbench.operations.move.outbox import Outgoing

WINDOW: Final = 1_000
"""Messages of a window."""
WINDOW_BYTES: Final = 16_777_216
"""Bytes of messages in a window, unless one is larger."""
WAITING: Final = 1
"""Windows that wait to be finished, beside the one that is and the one that is sent."""
IN_FLIGHT: Final = WINDOW * (WAITING + 2)
"""Messages that can be published and not yet confirmed: what a crash may publish a second time."""


class Item(msgspec.Struct, frozen=True, gc=False):
    """A message on its way through.

    Attributes:
        key: What it is found by in its source; empty: see `Entry.key`.
        claimed: Its number in the claim; None where nothing is claimed.
        sequence: Its number in the journal; None: it is only passed over.
        confirmed: Whether its target has it already.
    """

    key: bytes
    claimed: int | None
    sequence: int | None
    confirmed: bool = False


class Window:
    """Messages that go through together."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        """All of them, in order."""
        self.entries: list[Entry] = []
        """What the journal is to have of those that it does not have yet."""
        self.outgoing: list[Outgoing] = []
        """What is published."""
        self.again: list[int] = []
        """The numbers of those that are published once more, and that their targets may have by now."""
        self.retried: list[int] = []
        """The numbers of those that are published once more, and that their targets did not take before."""
        self._size = 0

    def add(self, item: Item, delivery: Delivery, way: Way | Removal) -> None:
        """Take a message in that the journal does not have yet."""
        assert item.sequence is not None
        if isinstance(way, Removal):
            entry = Entry(item.sequence, item.key, delivery, None, EntryState.CONFIRMED)
        else:
            entry = Entry(item.sequence, item.key, delivery, way.address, copy=way.event)
        self.entries.append(entry)
        self._take(item, delivery)

    def add_again(self, item: Item, delivery: Delivery, refused: bool) -> None:
        """Take a message in that the journal has, and that was perhaps published before; or that its target refused."""
        assert item.sequence is not None
        (self.retried if refused else self.again).append(item.sequence)
        self._take(item, delivery)

    def _take(self, item: Item, delivery: Delivery) -> None:
        self.items.append(item)
        self._size += delivery.memory

    def is_full(self, most: int) -> bool:
        """Whether they go on: there are `most` of them, or they are large."""
        many = len(self.entries) + len(self.again) + len(self.retried) >= most or len(self.items) >= WINDOW
        return many or self._size >= WINDOW_BYTES

    def drop(self, lapsed: Set[int]) -> int:
        """Leave out what is claimed by others now, and second copies: what was taken for one may be the first, claimed
        anew. How many were not taken before."""
        gone = {each.sequence for each in self.items if each.claimed in lapsed or not each.key}
        fresh = sum(each.sequence in gone and each.key != b"" for each in self.entries)
        fresh += sum(each in gone for each in self.retried)
        self.items = [each for each in self.items if each.claimed not in lapsed and each.key]
        self.entries = [each for each in self.entries if each.sequence not in gone]
        self.outgoing = [each for each in self.outgoing if each.sequence not in gone]
        self.again = [each for each in self.again if each not in gone]
        self.retried = [each for each in self.retried if each not in gone]
        return fresh
