"""When a peer was last heard, however late a program that stood still notices.

A process that was stopped, or whose machine was suspended, finds in its socket what came before its peer gave up. That
is no sign of life: what came after it is lost, and the loss begins where the program stood still.
"""

import asyncio
import time
from typing import Final

_TICK: Final = 1.0
_STOOD: Final = 3.0
"""Seconds without a tick after which the program counts as having stood still."""
_STALE: Final = 5.0
"""Seconds in which what is received after that may have waited in the socket."""
# Counts while the machine is suspended, where the platform has such a clock; the wall clock may be set by anyone.
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LastHeard:
    """When something was received last, on a connection that is open on the running event loop."""

    def __init__(self) -> None:
        self.at = _now()
        """In milliseconds since 1970 UTC. While the program may still be reading what came before it stood still, when
        that began."""
        self._ticked = time.clock_gettime(_CLOCK)
        self._stale_until = 0.0
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def note(self) -> None:
        """Something came."""
        self._notice()
        if self._ticked >= self._stale_until:
            self.at = _now()

    def stop(self) -> None:
        """Nothing will come any more."""
        self._timer.cancel()

    def _tick(self) -> None:
        self._notice()
        self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _notice(self) -> None:
        now = time.clock_gettime(_CLOCK)
        if now - self._ticked > _STOOD:
            self._stale_until = now + _STALE
        self._ticked = now


def _now() -> int:
    return time.time_ns() // 1_000_000
