"""Passwords that a configuration does not hold itself: a command prints them, or the system's keyring has them."""

import asyncio
import os
import shlex
import signal
import threading
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from typing import Final, TypeAlias

from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import Configured
from workbench.connecting.environment import child_environment
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
        terminal: Whether a command may ask its user on this terminal.

    Raises:
        ConfigError: It cannot be had, or not within `DEADLINE`.
    """
    if said.password_command:
        return Secret(await _output_of(said.password_command, connection.name, terminal))
    if said.keyring:
        return Secret(await _from_keyring(connection))
    return None


async def _output_of(command: str, name: str, terminal: bool) -> str:
    # Without the terminal it gets a session of its own, so that it cannot even open /dev/tty; gpg's agent would be told
    # of the terminal by a variable.
    environment = child_environment()
    if not terminal:
        environment.pop("GPG_TTY", None)
    async with _pipe() as (output, printed):
        try:
            process = await asyncio.create_subprocess_shell(
                command,
                stdin=None if terminal else DEVNULL,
                stdout=output,
                stderr=DEVNULL,
                start_new_session=not terminal,
                env=environment,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(f"{name}: its password_command cannot be started: {error}.") from None
        finally:
            os.close(output)
        try:
            async with asyncio.timeout(DEADLINE):
                found = await _first(printed, _LONGEST + 1)
                if len(found) > _LONGEST:
                    raise ConfigError(f"{name}: its password_command prints more than a password.")
                code = await process.wait()
        except BaseException as error:
            await _end(process, whole_session=not terminal)
            if isinstance(error, TimeoutError):
                raise ConfigError(f"{name}: its password_command did not end within {DEADLINE:g} s.") from None
            raise
    try:
        # What follows the first line is what its user has noted beside the password: https://www.passwordstore.org.
        password = found.decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: what its password_command prints is not UTF-8.") from None
    if code or not password:
        raise ConfigError(f"{name}: its password_command gave no password (exit code {code}).")
    return password


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


async def _from_keyring(connection: Connection) -> str:
    """Ask on a thread that nobody waits for at the end of the program: a keyring may wait for its user for good."""
    name, entry = connection.name, keyring_entry(connection)
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[str | None] = loop.create_future()

    def settle(found: str | None, error: Exception | None) -> None:
        if not asked.done():
            asked.set_result(found) if error is None else asked.set_exception(error)

    def ask() -> None:
        import keyring

        found, failed = None, None
        try:
            found = keyring.get_password(KEYRING, entry)
        except Exception as error:
            # A backend may raise anything: of its bus, its library, its system.
            failed = error
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, found, failed)

    if find_spec("keyring") is None:
        raise ConfigError(
            f"{name}: the system's keyring cannot be asked without its package: pip install 'event-workbench[keyring]'."
        )
    threading.Thread(target=ask, daemon=True, name="keyring").start()
    try:
        async with asyncio.timeout(DEADLINE):
            found = await asked
    except TimeoutError:
        raise ConfigError(f"{name}: the system's keyring did not answer within {DEADLINE:g} s.") from None
    except Exception as error:
        # Its text may quote what the keyring's file holds.
        kind = type(error).__name__
        raise ConfigError(f"{name}: the system's keyring cannot be asked: it failed with {kind}.") from None
    if found is None:
        raise ConfigError(
            f"{name}: the keyring has no password for it: `{keyring_command('set', connection)}` puts one there."
        )
    return found
