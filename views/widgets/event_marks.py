"""Which events of the table are marked."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from workbench.store.view import Rows

_AT_ONCE: Final = 20_000
"""Marks that are set before others get the event loop."""


class Marks:
    """Marked events by their sequence numbers. What a list does not show stays marked, and counts again when it does.

    Which of them a list shows is found out once for the list, and not again as it grows behind the last mark.
    """

    def __init__(self) -> None:
        self._all: Final[set[int]] = set()
        self._here: set[int] = set()
        self._last = -1
        self._asked: tuple[Rows, int] | None = None

    def __bool__(self) -> bool:
        return bool(self._all)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._all

    def within(self, rows: Rows) -> set[int]:
        """Those that a list shows; not to be changed."""
        if (asked := self._question(rows)) != self._asked:
            self._here, self._asked = self._all.intersection(rows.sequences) if self._all else set(), asked
        return self._here

    def add(self, rows: Rows, sequences: Iterable[int]) -> None:
        """Mark events that a list shows."""
        some = set(sequences)
        self.within(rows).update(some)
        self._all.update(some)
        self._last = max(self._last, max(some, default=-1))
        self._asked = self._question(rows)

    def remove(self, rows: Rows, sequences: Iterable[int]) -> None:
        """Mark events that a list shows no longer."""
        some = set(sequences)
        self.within(rows).difference_update(some)
        self._all.difference_update(some)

    async def toggle_all(self, rows: Rows) -> None:
        """Mark all events that a list shows by now; none, if they all are."""
        change = self.remove if len(self.within(rows)) == len(rows.sequences) else self.add
        for some in _pieces(rows):
            change(rows, some)
            await asyncio.sleep(0)

    async def invert(self, rows: Rows) -> None:
        """Mark those events of a list that are not marked, and no others of it."""
        marked = frozenset(self.within(rows))
        for some in _pieces(rows):
            self.add(rows, [each for each in some if each not in marked])
            self.remove(rows, [each for each in some if each in marked])
            await asyncio.sleep(0)

    def forget(self, first: int) -> None:
        """Forget those below a sequence number: they are no longer held."""
        gone = [each for each in self._all if each < first]
        self._all.difference_update(gone)
        self._here.difference_update(gone)

    def _question(self, rows: Rows) -> tuple[Rows, int]:
        return rows, min(rows.upto, self._last + 1)


def _pieces(rows: Rows) -> Sequence[Sequence[int]]:
    sequences = rows.sequences[:]
    return [sequences[at : at + _AT_ONCE] for at in range(0, len(sequences), _AT_ONCE)]
