"""Which events of the table are marked."""

from collections.abc import Iterable
from typing import Final

from workbench.store.view import Rows


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

    def forget(self, first: int) -> None:
        """Forget those below a sequence number: they are no longer held."""
        gone = [each for each in self._all if each < first]
        self._all.difference_update(gone)
        self._here.difference_update(gone)

    def _question(self, rows: Rows) -> tuple[Rows, int]:
        return rows, min(rows.upto, self._last + 1)
