"""A body in the user's own editor or pager, which has the terminal meanwhile; the event loop goes on."""

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from workbench.connecting.environment import child_environment
from workbench.model.errors import ConfigError
from workbench.store.session_file import private_file

GRACE: Final = 2.0
"""Seconds that an editor has to end, where the program is ended meanwhile."""


class Program(NamedTuple):
    """A program of the user's choice.

    Attributes:
        variables: Of the environment, the first of which that is set names it, with its arguments as a shell has them.
        otherwise: Which it is where none is set.
    """

    variables: Sequence[str]
    otherwise: str


EDITOR: Final = Program(("VISUAL", "EDITOR"), "vi")
PAGER: Final = Program(("PAGER",), "less")


async def run_in_front(command: Sequence[str]) -> None:
    """Run a program that has the terminal until it ends. It inherits no password.

    Raises:
        OSError: It cannot be started.
        ValueError: Its name is none.
    """
    with _leave_interrupts():
        process = await asyncio.create_subprocess_exec(*command, env=child_environment())
        await _wait_for(process)


async def edit_in_program(
    program: Program, body: bytes, run: Callable[[Sequence[str]], Awaitable[None]] = run_in_front
) -> bytes:
    """What a user makes of a body.

    Args:
        program: In which.
        body: What is in the file that it is given.
        run: Runs it, by its name and its arguments.

    Raises:
        ConfigError: It cannot be started, or what it left cannot be read.
        StoreError: There is no place for the file.
    """
    with private_file(suffix=_suffix(body)) as path:
        variable = next(filter(os.environ.get, program.variables), program.variables[-1])
        try:
            command = [*shlex.split(os.environ.get(variable) or program.otherwise), str(path)]
            path.write_bytes(body)
            await run(command)
            return path.read_bytes()
        except (OSError, ValueError) as error:
            raise ConfigError(f"${variable} cannot be started: {error}.") from None


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
