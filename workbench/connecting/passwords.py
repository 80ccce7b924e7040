"""Passwords that a configuration does not hold itself: a command prints them, or the system's keyring has them."""

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import Final, TypeAlias

from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import Configured
from workbench.connecting.environment import child_environment, child_python
from workbench.connecting.keyring_process import Answer
from workbench.model.errors import ConfigError

KEYRING: Final = "event-workbench"
"""The service under which the keyring has passwords, see `keyring_entry`."""
DEADLINE: Final = 60.0
"""Seconds that a command or the keyring may take: their user may have to unlock something."""
_LONGEST: Final = 1 << 16
"""Bytes of a password; a command that prints more prints something else."""

AskPassword: TypeAlias = Callable[[Connection, ConfigError | None], Awaitable[Secret | None]]
"""Asks the user for a connection's password; the error says why its command or the keyring gave none, where it has one.
None: there is nobody to ask, and none is used. Raises `ConfigError` where the user gives none."""


async def ask_nobody(connection: Connection, reason: ConfigError | None) -> Secret | None:
    """There is nobody to ask."""
    if reason is not None:
        raise reason
    return None


def keyring_entry(connection: Connection) -> str:
    """The name under which the keyring has a connection's password: `shop ops@rabbit.example:5671`. Another user or
    another host under the same name gets nothing."""
    user = "" if connection.user is None else f"{connection.user}@"
    return f"{connection.name} {user}{','.join(connection.places)}"


def keyring_command(verb: str, connection: Connection) -> str:
    """What its user types to put a connection's password into the keyring (`set`), or to delete it (`del`)."""
    return f"keyring {verb} {KEYRING} {shlex.quote(keyring_entry(connection))}"


async def password(connection: Connection, said: Configured, terminal: bool) -> Secret | None:
    """The password of a connection from where its configuration says; None: it does not say.

    Args:
        connection: Whose.
        said: What is configured of it.
        terminal: Whether a command or the keyring may ask its user on this terminal.

    Raises:
        ConfigError: It cannot be had, or not within `DEADLINE`.
    """
    if said.password_command:
        return Secret(await _from_command(said.password_command, connection.name, terminal))
    if said.keyring:
        return Secret(await _from_keyring(connection, terminal))
    return None


async def _from_command(command: str, name: str, terminal: bool) -> str:
    what = f"{name}: its password_command"
    code, printed = await _run(["/bin/sh", "-c", command], what, terminal)
    try:
        # What follows the first line is what its user has noted beside the password: https://www.passwordstore.org.
        password = printed.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: what its password_command prints is not UTF-8.") from None
    if code or not password:
        raise ConfigError(f"{what} gave no password (exit code {code}).")
    return password


async def _from_keyring(connection: Connection, terminal: bool) -> str:
    """Ask in a process: a backend may ask its user, on the terminal, and wait for good."""
    if find_spec("keyring") is None:
        raise ConfigError(
            f"{connection.name}: the system's keyring cannot be asked without its package:"
            " pip install 'event-workbench[keyring]'."
        )
    what = f"{connection.name}: the system's keyring"
    command = [*child_python("workbench.connecting.keyring_process"), KEYRING, keyring_entry(connection)]
    code, printed = await _run(command, what, terminal)
    match code:
        case Answer.FOUND:
            return printed.decode()
        case Answer.NONE:
            said = f"`{keyring_command('set', connection)}` puts one there"
            raise ConfigError(f"{connection.name}: the keyring has no password for it: {said}.")
        case Answer.FAILED:
            raise ConfigError(f"{what} cannot be asked: it failed with {printed.decode()}.")
    raise ConfigError(f"{what} cannot be asked: what asked it ended with exit code {code}.")


async def _run(command: Sequence[str], what: str, terminal: bool) -> tuple[int, bytes]:
    """The exit code of a command, and what it prints."""
    # Without the terminal it gets a session of its own, so that it cannot even open /dev/tty; gpg's agent would be told
    # of the terminal by a variable.
    environment = child_environment()
    if not terminal:
        environment.pop("GPG_TTY", None)
    async with _pipe() as (output, printed):
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=None if terminal else DEVNULL,
                stdout=output,
                stderr=DEVNULL,
                start_new_session=not terminal,
                env=environment,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"{what} cannot be started: {error}.") from None
        finally:
            os.close(output)
        try:
            async with asyncio.timeout(DEADLINE):
                found = await _first(printed, _LONGEST + 1)
                if len(found) > _LONGEST:
                    raise ConfigError(f"{what} prints more than a password.")
                return await process.wait(), found
        except BaseException as error:
            await _end(process, whole_session=not terminal)
            if isinstance(error, TimeoutError):
                raise ConfigError(f"{what} gave no password within {DEADLINE:g} s.") from None
            raise


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[int, asyncio.StreamReader]]:
    """A pipe to be written by another program, which may leave it open for good."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb")
    )
    try:
        yield theirs, reader
    finally:
        transport.close()


async def _first(reader: asyncio.StreamReader, count: int) -> bytes:
    """So many bytes, or as many as there are."""
    try:
        return await reader.readexactly(count)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _end(process: Process, whole_session: bool) -> None:
    """End what is left of a command: what it started may outlive its shell."""
    with suppress(ProcessLookupError):
        if whole_session:
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    await process.wait()
