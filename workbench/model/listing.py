"""Listings: what there is, as far as it could be read."""

from collections.abc import Iterable
from typing import TypeVar

from workbench.model.look import Gap

Item = TypeVar("Item")


class Listing(list[Item]):
    """What there is, and which parts of it could not be read: one odd queue hides no other."""

    def __init__(self, items: Iterable[Item] = (), gaps: Iterable[Gap] = ()) -> None:
        """List `items`.

        Args:
            items: What there is.
            gaps: What could not be read, and why.
        """
        super().__init__(items)
        self.gaps = tuple(gaps)
        """What could not be read."""
