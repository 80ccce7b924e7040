"""The terminal as the program reads it."""

import os
import re
import selectors
from codecs import getincrementaldecoder
from contextlib import suppress
from typing import Any, Final, TextIO

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver

_AT_ONCE: Final = 4096
"""Bytes read in one go."""
_PIECE: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b|[^\x1b]+")
"""A control sequence, or what is between two: what cannot be read is lost alone."""


class _Screen:
    """What is drawn on; a terminal that is gone takes anything, for the thread that writes must go on for the program
    to end."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


class TerminalDriver(LinuxDriver):
    """Textual's own, but for five things: bytes that are no text or no key are no reason to stop reading, a terminal
    that is gone is, and takes what is drawn; what was typed before the terminal is given back is the program's; and
    a program that stood still without a warning goes on with one reader of the terminal and not with two."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Read and draw on the terminal; the arguments are Textual's."""
        super().__init__(*args, **options)
        if self._file is not None:
            self._file = _Screen(self._file)  # type: ignore[assignment]

    def _sigcont_application(self, *_: object) -> None:
        # Not in the handler: what it interrupts may hold the lock of what is to be drawn.
        self._loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if not self._auto_restart:
            return
        if self._key_thread is not None and self._key_thread.is_alive():
            # SIGSTOP gives no time to give the terminal back, and a shell may have set it as it wants it since.
            self.suspend_application_mode()
            self._must_signal_resume = True
        elif not self._must_signal_resume:
            # The program has ended, or has no terminal yet.
            return
        self.resume_application_mode()

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._app.call_later(self._app.panic)

    def run_input_thread(self) -> None:
        """Read keys, clicks and pastes until the program gives the terminal back.

        Raises:
            OSError: The terminal is gone.
        """
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            last = False
            while not last:
                last = self.exit_event.is_set()
                if selector.select(0 if last else 0.1):
                    if not (read := os.read(self.fileno, _AT_ONCE)):
                        raise OSError("The terminal is gone.")
                    for piece in _PIECE.findall(decode(read)):
                        try:
                            for event in parser.feed(piece):
                                self.process_message(event)
                        except ValueError:
                            # What it takes for a key, such as `ESC [ 27 ; 1 : 1 u`, and cannot read.
                            parser = XTermParser(self._debug)
                for event in parser.tick():
                    self.process_message(event)
