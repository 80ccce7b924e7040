"""`workbench`, with the time that its event loop takes for each turn: while one lasts, no key is answered.

`python turns.py LOG ARGUMENT…` runs the program as it is installed, and writes the turns that took long into a file, a
line of JSON each. The time of a turn is the program's own: without that in which one of its threads was ready to run
and no processor was free for it, be it the loop's or one that held what the loop's waited for. So a busy machine makes
no turn longer.
"""

import asyncio
import json
import os
import selectors
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

NOTED: Final = 0.2
"""Seconds of its own from which a turn is written down, with where it was."""
_TICK: Final = 0.1
"""Seconds after which there is a turn, whatever happens: one that comes late was kept from running by other threads."""
_LAST: Final = 3
"""Stacks that are told of a turn."""
_DEEPEST: Final = 12
"""Calls that are told of a stack."""


class Turn(NamedTuple):
    """A turn that took long.

    Attributes:
        seconds: Of the program's own time.
        longest: The callback or coroutine that took the most of it, and its seconds.
        stacks: Where it was, each `NOTED` seconds of the clock, the innermost call first.
    """

    seconds: float
    longest: str
    stacks: Sequence[str]

    def __str__(self) -> str:
        return "\n".join((f"{self.seconds:.2f} s: {self.longest}", *self.stacks))


def read_turns(log: Path) -> Sequence[Turn]:
    """The turns that a program has written down so far."""
    lines = log.read_text().splitlines() if log.exists() else ()
    return [Turn(**json.loads(line)) for line in lines]


class _Clock:
    """The time between two moments that is the program's own, measured on its main thread."""

    def __init__(self) -> None:
        self._main = os.open("/proc/self/schedstat", os.O_RDONLY)
        self._began = self._now()
        self.note_others()

    def _now(self) -> int:
        # Nanoseconds on a processor, nanoseconds of waiting for one: Linux's Documentation/scheduler/sched-stats.rst.
        return time.monotonic_ns() - int(os.pread(self._main, 100, 0).split()[1])

    def note_others(self) -> None:
        """Note how long the other threads have waited so far, often: it takes too long for each turn."""
        self._others = self._waits_of_others()

    def _waits_of_others(self) -> Mapping[str, int]:
        waits = {}
        for thread in Path("/proc/self/task").iterdir():
            # It may have ended meanwhile.
            with suppress(OSError):
                waits[thread.name] = int((thread / "schedstat").read_text().split()[1])
        del waits[str(os.getpid())]
        return waits

    def lap(self) -> float:
        """Seconds since this was asked for last; exact only where it might be more than `NOTED`."""
        began, self._began = self._began, self._now()
        if (seconds := (self._began - began) / 1e9) > NOTED:
            waits = self._waits_of_others()
            seconds -= sum(waits[thread] - self._others.get(thread, 0) for thread in waits) / 1e9
        return seconds


class _Watched(asyncio.SelectorEventLoop):
    """An event loop that writes down which of its turns took long."""

    def __init__(self, log: Path) -> None:
        self._clock = _Clock()
        super().__init__(_Selector(log, self._clock))
        self.call_soon(self._tick)

    def _tick(self) -> None:
        self._clock.note_others()
        self.call_later(_TICK, self._tick)


class _Selector(selectors.DefaultSelector):
    """Where the loop waits between two turns."""

    def __init__(self, log: Path, clock: _Clock) -> None:
        super().__init__()
        self._log = log.open("a", buffering=1)
        self._stacks: deque[str] = deque(maxlen=_LAST)
        self._clock = clock
        self._longest = 0.0, ""
        self._wrap_steps()
        signal.signal(signal.SIGALRM, self._take_stack)
        self._begin()

    def select(self, timeout: float | None = None) -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._note(self._clock.lap())
        ready = super().select(timeout)
        if (late := self._clock.lap() - (timeout or 0)) > 0:
            self._note(late, "waiting for other threads")
        self._begin()
        return ready

    def close(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().close()

    def _take_stack(self, _: int, frame: FrameType | None) -> None:
        self._stacks.append("".join(reversed(traceback.format_stack(frame, _DEEPEST))))

    def _begin(self) -> None:
        self._stacks.clear()
        self._longest = 0.0, ""
        signal.setitimer(signal.ITIMER_REAL, NOTED, NOTED)

    def _wrap_steps(self) -> None:
        run = asyncio.Handle._run

        def timed(handle: Any) -> None:
            began = time.monotonic()
            callback = handle._callback
            run(handle)
            if (seconds := time.monotonic() - began) > self._longest[0]:
                self._longest = seconds, _name(callback)

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]

    def _note(self, seconds: float, what: str = "") -> None:
        if seconds > NOTED:
            longest = what or f"{self._longest[1]} ({self._longest[0]:.2f} s of the clock)"
            self._log.write(json.dumps(Turn(round(seconds, 3), longest, tuple(self._stacks))._asdict()) + "\n")


def _name(callback: Any) -> str:
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"{getattr(owner.get_coro(), '__qualname__', '')} of {owner.get_name()}"
    return getattr(callback, "__qualname__", "") or repr(callback)


def main(log: str, *arguments: str) -> None:
    """Run `workbench`, on an event loop that is watched."""
    from workbench.__main__ import main as workbench

    sys.argv = ["workbench", *arguments]
    policy = asyncio.DefaultEventLoopPolicy()
    policy._loop_factory = lambda: _Watched(Path(log))  # type: ignore[attr-defined]
    asyncio.set_event_loop_policy(policy)
    workbench()


if __name__ == "__main__":
    # What lies beside this file is no module of the program's.
    del sys.path[0]
    main(*sys.argv[1:])
