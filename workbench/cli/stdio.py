"""Standard output and standard error, written by threads: a reader that stands still holds up no event loop.

A pager that is left open, a terminal under Ctrl+S or a slow pipe takes no bytes for minutes. Meanwhile connections have
to be kept alive, so a command hands over what it prints (`write`, `say`) and, where there may be much of it, waits for
room (`drain`): then its streams wait, too, and their brokers.
"""

import asyncio
import os
import select
import sys
import threading
from contextlib import suppress
from typing import Final, TextIO

from workbench.decode.display import visible

AHEAD: Final = 1 << 20
"""Bytes that may wait for the reader before `drain` waits for it."""


def write(data: bytes, to: TextIO | None = None) -> None:
    """Hand bytes over to stdout, or to `to`; they come out in order. Off an event loop it returns when they are out.

    Raises:
        OSError: What was written before could not be.
    """
    file = _file(to or sys.stdout)
    file.write(data)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        file.wait()


def say(sentence: str) -> None:
    """Tell the user on stderr, in one line of visible characters. Where nobody can be told, nothing happens."""
    with suppress(OSError):
        write(visible(sentence).encode() + b"\n", sys.stderr)


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
        self._error: OSError | None = None
        self._changed = threading.Condition()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = []
        # A daemon: what nobody reads must not keep a program alive that was told to stop.
        threading.Thread(target=self._run, name=f"writer-{descriptor}", daemon=True).start()

    def write(self, data: bytes) -> None:
        with self._changed:
            if self._error is not None:
                raise self._error
            self._pieces.append(data)
            self._size += len(data)
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size == 0)
            if self._error is not None:
                raise self._error

    async def drain(self, most: int) -> None:
        room = asyncio.Event()
        with self._changed:
            if self._size > most:
                self._waiting.append((asyncio.get_running_loop(), room, most))
            else:
                room.set()
        await room.wait()
        if self._error is not None:
            raise self._error

    # On the thread.

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces)
                pieces, self._pieces = self._pieces, []
            data = b"".join(pieces)
            del pieces
            error = self._put(data)
            with self._changed:
                self._size -= len(data)
                if error is not None:
                    self._error = error
                    self._pieces.clear()
                    self._size = 0
                self._changed.notify_all()
                content = [waiting for waiting in self._waiting if self._size <= waiting[2]]
                self._waiting = [waiting for waiting in self._waiting if self._size > waiting[2]]
            for loop, room, _ in content:
                # The loop may have been left since.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(room.set)

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


def _file(stream: TextIO) -> _File:
    """The one writer of a file, so that stdout and stderr keep their order where they are the same one."""
    status = os.fstat(stream.fileno())
    place = (status.st_dev, status.st_ino)
    if place not in _files:
        _files[place] = _File(stream.fileno())
    return _files[place]
