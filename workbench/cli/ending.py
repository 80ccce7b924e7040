"""How a program ends that is told to: by itself if it can, and in any case soon.

TERM and the end of the terminal end a command as Ctrl+C does, so that what was taken is given back. Whatever keeps it
from that, a thread that waits for ever or an event loop that is busy, does not keep it from ending: a broker gives back
by itself what a connection held that is gone.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from workbench.cli.exit_codes import Exit

SECONDS: Final = 1.7
"""Seconds in which a program may end by itself that TERM or HUP tell to, or a second Ctrl+C."""
INTERRUPTED: Final = 5.0
"""Seconds in which it may end by itself after Ctrl+C."""
IN_HAND: Final = 60.0
"""The same while it moves or publishes: what is on its way is seen to first."""
_LAST: Final = 0.2
"""Seconds later, the operating system ends it."""
_TURN: Final = 0.05
"""Seconds in which Python's own handler of a signal usually has its turn."""

_patience = INTERRUPTED
_last_things: Final[list[Callable[[], None]]] = []


def before_the_end(last: Callable[[], None]) -> None:
    """Have something done, on a thread, before a program is ended that does not end by itself."""
    _last_things.append(last)


@contextmanager
def finishing_what_is_in_hand() -> Iterator[None]:
    """Give what is done inside the time to see to what is on its way after Ctrl+C: `IN_HAND`."""
    global _patience
    before, _patience = _patience, IN_HAND
    try:
        yield
    finally:
        _patience = before


def end_on_signals(cancel: Callable[[], object]) -> None:
    """Have TERM, HUP and one Ctrl+C end this program; called on the event loop of its main thread.

    Args:
        cancel: Asks the program to end by itself, as asyncio does on Ctrl+C.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # `nohup` asks for the contrary.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, cancel)
            # The event loop is woken all the same; this is called although it may be busy.
            # What the operating system does meanwhile is interrupted, as asyncio would not have it.
            signal.signal(number, lambda *_: end_within(SECONDS))
    interrupt = signal.getsignal(signal.SIGINT)
    if callable(interrupt):
        signal.signal(signal.SIGINT, _Interrupt(interrupt))


@contextmanager
def ending_by_itself() -> Iterator[None]:
    """Have TERM, HUP and Ctrl+C end by `KeyboardInterrupt` what is done inside: a question on the terminal, which holds
    up the event loop, and has to give the terminal back as it was."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    stopped = threading.Event()

    def stop(number: int, _: object) -> None:
        if not stopped.is_set():
            stopped.set()
            end_within(_patience if number == signal.SIGINT else SECONDS)
            raise KeyboardInterrupt

    asked_for = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in asked_for:
        signal.signal(number, stop)
    try:
        with _interrupting(asked_for, stopped):
            yield
    finally:
        for number in asked_for:
            signal.signal(number, before[number])


@contextmanager
def _interrupting(numbers: Collection[int], stopped: threading.Event) -> Iterator[None]:
    """Have signals interrupt what this thread, the main one, waits for in the operating system.

    One that another thread received does not by itself, nor one that came just before the wait began: Python has noted
    it, and its handler waits for this thread to go on.
    """
    this = threading.get_ident()
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    outer = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)

    def interrupt() -> None:
        # It ends with the other end of the pipe.
        while noted := os.read(ours, 1):
            if outer >= 0:
                # The event loop, too, is woken by what is noted.
                with suppress(OSError):
                    os.write(outer, noted)
            if noted[0] in numbers and not stopped.wait(_TURN):
                signal.pthread_kill(this, noted[0])
        os.close(ours)

    threading.Thread(target=interrupt, daemon=True, name="signals").start()
    try:
        yield
    finally:
        stopped.set()
        signal.set_wakeup_fd(outer)
        os.close(theirs)


class _Interrupt:
    """What Ctrl+C does: what it did before, and the second one does not wait."""

    def __init__(self, before: Callable[[int, Any], Any]) -> None:
        self._before = before
        self._again = False

    def __call__(self, number: int, frame: Any) -> None:
        end_within(SECONDS if self._again else _patience)
        self._again = True
        self._before(number, frame)


def end_within(seconds: float, code: Exit = Exit.STOPPED) -> None:
    """End the process at the latest then, with this exit code; what is done first by itself counts."""
    # For when no thread gets its turn; first, since a thread may be what was interrupted while it was being started.
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, min(seconds + _LAST, left or seconds + _LAST))
    ending = threading.Timer(seconds, _end, [code])
    ending.daemon = True
    ending.start()


def _end(code: Exit) -> None:
    for last in _last_things:
        with suppress(Exception):
            last()
    os._exit(code)
