"""What is to happen, in the order of its times."""

import heapq
from collections.abc import Callable


class Agenda:
    """Actions, each at its time; it has no clock of its own, and is moved on by who has.

    Attributes:
        now: Up to when everything has happened, in milliseconds since 1970 UTC.
    """

    def __init__(self, now: int) -> None:
        self.now = now
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._added = 0

    @property
    def due(self) -> int | None:
        """When the next action is due, in milliseconds since 1970 UTC; None: there is none."""
        return self._entries[0][0] if self._entries else None

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Let something happen so many milliseconds from now; of one time, what was added first is first."""
        self._added += 1
        heapq.heappush(self._entries, (self.now + max(int(delay), 1), self._added, action))

    def next(self) -> Callable[[], None]:
        """Take the next action off, and let it be its time: never an earlier one than it was."""
        due, _, action = heapq.heappop(self._entries)
        self.now = max(self.now, due)
        return action
