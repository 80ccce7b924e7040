"""The installed command in a pseudo-terminal, with every byte that it sends there."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from tests.e2e.command import INSTALLED


def sent_to_terminal(*arguments: str, columns: int = 80, rows: int = 24) -> bytes:
    """Run `workbench` with both outputs on a terminal, to its end; returns what the terminal received."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen([INSTALLED, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
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


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        # Linux's way of saying that nobody holds the other end any more.
        return b""
