"""The terminal lent to the user's own editor or pager, while all else goes on: taps, looks, what is published."""

import asyncio
import os
import shlex
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Final

from textual.app import App, SuspendNotSupported

from workbench.connecting.environment import child_environment
from workbench.model.errors import ConfigError

GRACE: Final = 2.0
"""Seconds that an editor has to end, where the program is ended meanwhile."""


async def edit_externally(app: App[None], body: bytes, variable: str, otherwise: str) -> bytes:
    """What a user makes of a body in the program that an environment variable names.

    Until that program ends, the terminal is its own: the app reads no key and draws nothing. The event loop goes on, so
    that no heartbeat is missed and nothing that arrives is lost.

    Args:
        app: Whose terminal is lent.
        body: What is in the file that the program is given.
        variable: `EDITOR` or `PAGER`.
        otherwise: The program where the variable is not set.

    Raises:
        ConfigError: The program cannot be started, what it left cannot be read, or this terminal cannot be lent.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        path = Path(folder) / f"body{_suffix(body)}"
        try:
            command = [*shlex.split(os.environ.get(variable) or otherwise), str(path)]
            path.write_bytes(body)
            await _lend_terminal(app, command)
            return path.read_bytes()
        except (OSError, ValueError) as error:
            raise ConfigError(f"${variable} cannot be started: {error}.") from None


async def _lend_terminal(app: App[None], command: list[str]) -> None:
    failed: Exception | None = None
    # Textual comes back only if nothing is raised within. Until it has, whatever draws or prints would write into the
    # other program's picture.
    try:
        with (
            app.batch_update(),
            app.suspend(),
            redirect_stdout(StringIO()),
            redirect_stderr(StringIO()),
            _leave_interrupts(),
        ):
            try:
                process = await asyncio.create_subprocess_exec(*command, env=child_environment())
            except (OSError, ValueError) as error:
                failed = error
            else:
                await _wait_for(process)
    except SuspendNotSupported:
        raise ConfigError("This terminal cannot be handed to another program.") from None
    app.refresh(layout=True)
    if failed is not None:
        raise failed


async def _wait_for(process: Process) -> None:
    try:
        await process.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(GRACE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        raise


@contextmanager
def _leave_interrupts() -> Iterator[None]:
    """The terminal sends Ctrl+C to all who share it, and it is meant for who is in front."""
    # A handler, and not SIG_IGN: what is ignored stays ignored in the program that is started.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _suffix(body: bytes) -> str:
    start = body.lstrip()[:1]
    return ".json" if start in (b"{", b"[") else ".xml" if start == b"<" else ".txt"
