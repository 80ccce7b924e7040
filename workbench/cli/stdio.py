"""Standard output and standard error: the one door to the terminal, and threads that write.

**A terminal is sent visible characters only**, and those escapes that stand in this file. Whatever a command prints,
in whatever format and to whichever stream, goes through here, and what is no terminal gets it as it is.

**A reader that stands still holds up no event loop.**

A pager that is left open, a terminal under Ctrl+S or a slow pipe takes no bytes for minutes. Meanwhile connections have
to be kept alive, so a command hands over what it prints (`write`, `say`) and, where there may be much of it, waits for
room (`drain`): then its streams wait, too, and their brokers.
"""

import asyncio
import errno
import os
import select
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from workbench.connecting.url import without_typed_passwords
from workbench.decode.display import visible, visible_json, visible_lines

AHEAD: Final = 1 << 20
"""Bytes that may wait for the reader before `drain` waits for it."""
_BEAT: Final = 1.0
"""Seconds between two looks whether a pipe still has a reader."""


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a stream, else stdout, is a terminal."""
    return (stream or sys.stdout).isatty()


def write(lines: bytes, to: TextIO | None = None) -> None:
    """Hand lines over to stdout, or to `to`; they come out in order. Off an event loop it returns when they are out.

    On a terminal they are lines of visible characters.

    Raises:
        OSError: What was written before could not be.
    """
    _hand_over(visible_lines(lines) if is_terminal(to) else lines, to)


def write_json(lines: bytes, to: TextIO | None = None) -> None:
    """Hand lines of JSON over, as `write` does; on a terminal, what it could obey is written in JSON's escapes.

    Raises:
        OSError: What was written before could not be.
    """
    _hand_over(visible_json(lines) if is_terminal(to) else lines, to)


def show_progress(line: str) -> None:
    """Put a line where the last one of these was, on stderr if that is a terminal; an empty one clears it. Where nobody
    can be told, nothing happens."""
    if is_terminal(sys.stderr):
        import shutil

        shown = visible(line, shutil.get_terminal_size().columns - 1)
        with suppress(OSError):
            _hand_over(f"\r\x1b[K{shown}".encode(), sys.stderr)


def _hand_over(data: bytes, to: TextIO | None) -> None:
    file = _file(to or sys.stdout)
    file.write(data)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        file.wait()


def say(sentence: str) -> None:
    """Tell the user on stderr, in one line of visible characters. Where nobody can be told, nothing happens."""
    with suppress(OSError):
        write(visible(hide_passwords(sentence)).encode() + b"\n", sys.stderr)


def hide_passwords(text: str) -> str:
    """What is said of the command line, without what may be a password in it."""
    return without_typed_passwords(text, sys.argv[1:])


def end_with_reader() -> None:
    """Have the task that calls this cancelled when stdout takes no more: as soon as something could not be written, and
    of a pipe as soon as its reader is gone, even if there is nothing to write. `why_ended` tells that it was so."""
    global _tell
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        # The loop may have been left since.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)

    _tell = cancel
    _file(sys.stdout)


def why_ended() -> OSError | None:
    """Why stdout takes no more; None: it does."""
    try:
        file = _files.get(_place_of(sys.stdout))
    except OSError as error:
        return error
    return file.error if file is not None else None


async def drain() -> None:
    """Return when there is room for more on stdout and stderr: at most `AHEAD` bytes wait.

    Raises:
        OSError: stdout takes no more, e.g. since its reader went away.
    """
    await _wait(AHEAD)


async def drain_all(seconds: float | None = None) -> None:
    """Return when everything is written, or after so many seconds.

    Raises:
        OSError: stdout takes no more, e.g. since its reader went away.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _wait(0)


def flush() -> None:
    """Wait until stderr has everything, because a question follows, which holds up everything anyway."""
    with suppress(OSError):
        _file(sys.stderr).wait()


async def _wait(most: int) -> None:
    for file in list(_files.values()):
        try:
            await file.drain(most)
        except OSError:
            if file is _file(sys.stdout):
                raise


class _File:
    """A file that is written by a thread of its own."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pieces: list[bytes] = []
        self._size = 0
        self.error: OSError | None = None
        """Why it takes no more; None: it does."""
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
        # A daemon: what nobody reads must not keep a program alive that was told to stop.
        threading.Thread(target=self._run, name=f"writer-{descriptor}", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._changed:
            if self.error is not None:
                raise self.error
            self._pieces.append(data)
            self._size += len(data)
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size == 0)
            if self.error is not None:
                raise self.error

    async def drain(self, most: int) -> None:
        room = asyncio.Event()
        with self._changed:
            if self._size > most:
                self._waiting.append((asyncio.get_running_loop(), room, most))
            else:
                room.set()
        await room.wait()
        if self.error is not None:
            raise self.error

    # On the thread.

    def _run(self) -> None:
        # What is no pipe has no reader that could go away.
        beat = _BEAT if _is_pipe(self._descriptor) else None
        while True:
            with self._changed:
                waited = self._changed.wait_for(lambda: self._pieces, beat)
                pieces, self._pieces = self._pieces, []
            data = b"".join(pieces)
            del pieces
            error = self._put(data) if waited else self._without_reader()
            with self._changed:
                self._size -= len(data)
                if error is not None:
                    beat = None
                    self.error = error
                    self._pieces.clear()
                    self._size = 0
                self._changed.notify_all()
                content = [waiting for waiting in self._waiting if self._size <= waiting[2]]
                self._waiting = [waiting for waiting in self._waiting if self._size > waiting[2]]
            for loop, room, _ in content:
                # The loop may have been left since.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(room.set)
            if error is not None and _tell is not None and why_ended() is error:
                _tell()

    def _without_reader(self) -> OSError | None:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) if poll.poll(0) else None

    def _put(self, data: bytes) -> OSError | None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Whoever shares the terminal or the pipe with us may have made it so.
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll()
            except OSError as error:
                return error
        return None


_files: Final[dict[tuple[int, int], _File]] = {}
_tell: Callable[[], None] | None = None


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _place_of(stream: TextIO) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_dev, status.st_ino


def _file(stream: TextIO) -> _File:
    """The one writer of a file, so that stdout and stderr keep their order where they are the same one."""
    place = _place_of(stream)
    if place not in _files:
        _files[place] = _File(stream.fileno())
    return _files[place]
