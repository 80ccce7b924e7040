"""Back-off: how long to wait before a broker that is away is tried again, and what is said meanwhile."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from workbench.model.look import Interruption

PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before the first, second… attempt to reach a broker again; the last one is kept."""


class Backoff:
    """Attempts that failed one after the other, each followed by a longer pause.

    Attributes:
        pause: Seconds between the last failure and the next attempt.
    """

    def __init__(self, pauses: Sequence[float] | None = None) -> None:
        self.pause = 0.0
        self._pauses = PAUSES if pauses is None else pauses
        self._failures = 0

    def fail(self, reason: str, since: int) -> Interruption:
        """Count an attempt that failed; returns what is true until the next one.

        Args:
            reason: Why, in a sentence.
            since: When the broker was last heard, in milliseconds since 1970 UTC.
        """
        self.pause = self._pauses[min(self._failures, len(self._pauses) - 1)]
        self._failures += 1
        return Interruption(reason, since, round((time.time() + self.pause) * 1000))

    def reset(self) -> None:
        """An attempt succeeded: what fails next is the first failure again."""
        self._failures = 0

    async def wait(self) -> None:
        """Return when it is time for the next attempt."""
        await asyncio.sleep(self.pause)
