"""The installed command in a pseudo-terminal, with every byte that it sends there."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.e2e.command import INSTALLED

SEQUENCE = re.compile(
    rb"\x1b(?:\[[0-9:;<=>?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)
"""What a terminal obeys and does not draw."""
_LOOK = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONFAULTHANDLER": "1"}


def sent_to_terminal(*arguments: str, columns: int = 80, rows: int = 24) -> bytes:
    """Run `workbench` with both outputs on a terminal, to its end; returns what the terminal received."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [INSTALLED, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=_without_size()
    )
    os.close(theirs)
    received = []
    try:
        while chunk := _read(ours):
            received.append(chunk)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return b"".join(received)


def _without_size() -> dict[str, str]:
    """The environment; whoever runs the tests may have said there how wide their own terminal is."""
    return {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        # Linux's way of saying that nobody holds the other end any more.
        return b""


def _take_terminal() -> None:
    """Make stdin the controlling terminal, as it is of what a user starts, so that it sends signals for keys."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """The screen in a pseudo-terminal: keys go in, and what it draws comes out."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 120,
        rows: int = 40,
        program: Path | None = None,
        environment: Mapping[str, str] = {},
        folder: Path | None = None,
    ) -> None:
        """Start `workbench`, or another program, with a terminal's usual variables besides those given, in a folder."""
        self.received = bytearray()
        """All that the terminal was sent."""
        self._pressed = 0
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [program or INSTALLED, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**_without_size(), **_LOOK, **environment},
            cwd=folder,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, as a connection does that is lost."""
        if self._ours >= 0:
            os.close(self._ours)
        self._ours = -1

    def press(self, keys: str | bytes) -> None:
        """Send keys as a terminal does: in one burst."""
        self._pressed = len(self.received)
        os.write(self._ours, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, and tell the program as terminals do."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGWINCH)

    @property
    def settings(self) -> list[Any]:
        """How the terminal treats what is typed, as `termios.tcgetattr` has it."""
        return termios.tcgetattr(self._ours)

    def forget(self) -> None:
        """Let go of what was received."""
        self.received.clear()
        self._pressed = 0

    def drain(self, quiet: float = 0.1, most: float = 10.0) -> bytes:
        """Take what is drawn until nothing was for `quiet` seconds, or `most` seconds have passed; returns it."""
        drawn, end = bytearray(), time.monotonic() + most
        while time.monotonic() < end and (chunk := self.take(quiet)):
            drawn += chunk
        return bytes(drawn)

    def take(self, seconds: float) -> bytes:
        """Take what was drawn, or is next within so many seconds; returns it, empty where nothing is."""
        chunk = _read(self._ours) if select.select([self._ours], [], [], seconds)[0] else b""
        self.received += chunk
        return chunk

    def until(self, text: str, seconds: float = 90.0) -> None:
        """Take what is drawn until a text was drawn, in one run of one style, since keys were pressed last."""
        end = time.monotonic() + seconds
        while text.encode() not in self.received[self._pressed :]:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"{text!r} was not drawn; the last bytes are {bytes(self.received[-3000:])!r}")
            self.drain(0.05, 1.0)

    def wait(self) -> int:
        """Wait for the program's end; returns its exit code."""
        # What was typed ahead is done first.
        end = time.monotonic() + 120
        while self.process.poll() is None and time.monotonic() < end:
            self.drain(0.1, 1.0)
        self.drain(0.1, 1.0)
        if self.process.poll() is None:
            # Python's fault handler says what each thread is doing.
            self.process.send_signal(signal.SIGABRT)
            self.drain(0.5, 5.0)
            raise AssertionError(f"it goes on; the last bytes are {bytes(self.received[-6000:])!r}")
        return self.process.wait()
