"""How a command runs: its connections, one event loop, errors as one sentence, exit codes."""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import click
import msgspec

from workbench.cli import completing
from workbench.cli.stdio import flush, flushed, say
from workbench.connecting.config import Connection, Level, Secret
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.keeping import left_behind, told_of
from workbench.connecting.passwords import AskPassword
from workbench.model.errors import AddressError, ConfigError, QueryError, WorkbenchError
from workbench.reading.display import shown
from workbench.session import Session

P = ParamSpec("P")
Command = TypeVar("Command", bound=Callable[..., object])


class Exit(IntEnum):
    """Exit codes, as the README lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY = 3
    NOT_FOUND = 4
    STOPPED = 130


class _Options(msgspec.Struct):
    """What the connection options have collected so far, before and behind the command's name."""

    connection: list[str] = []
    config: Path | None = None
    guard: str | None = None
    confirm: list[str] = []


_KEPT: Final = "workbench.options"
_GRACE: Final = 1.0
"""Seconds in which the reader of a command that was stopped may take what was printed."""


def config_option(command: Command) -> Command:
    """Add `--config`, before or behind the command's name; kept in the context."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_collect,
        help="The configuration: ./workbench.toml, or else the one in your config folder.",
    )(command)


def connection_options(command: Command) -> Command:
    """Add `-c`, `--config`, `--guard` and `--confirm`, before or behind the command's name; kept in the context."""
    for decorate in (
        click.option(
            "--confirm",
            metavar="NAME",
            multiple=True,
            expose_value=False,
            callback=_collect,
            shell_complete=completing.connections,
            help="Type a production connection's name beforehand, as a script does; may be repeated.",
        ),
        click.option(
            "--guard",
            type=click.Choice([level.name.lower() for level in Level]),
            expose_value=False,
            callback=_collect,
            help="What may be done through connections given by URL: move on this machine, observe elsewhere.",
        ),
        config_option,
        click.option(
            "-c",
            "--connection",
            metavar="[NAME=]URL|NAME",
            multiple=True,
            expose_value=False,
            callback=_collect,
            shell_complete=completing.connections,
            help="A connection: a URL, or the name of a configured one; may be repeated.",
        ),
    ):
        command = decorate(command)
    return command


def with_session(
    command: Callable[Concatenate[Session, P], Awaitable[int | None]],
) -> Callable[P, None]:
    """Make a click command of a coroutine: it is given a session, and what it returns is the exit code."""

    @connection_options
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        context = click.get_current_context()

        async def main() -> int | None:
            async with session_of(context) as session:
                warn_of(session.config)
                return await command(session, *args, **kwargs)

        _tell_left_behind()
        sys.exit(guarded(main))

    return run


def warn_of(config: ConfigFile) -> None:
    """Tell on stderr what a user must know of a file in the working directory."""
    if config.warning:
        say(f"workbench: {config.warning}")


def _tell_left_behind() -> None:
    for path in left_behind():
        say(f"workbench: {told_of(path)}")


def guarded(main: Callable[[], Awaitable[int | None]]) -> int:
    """Run to the end on an event loop; returns the exit code, with what went wrong said on stderr."""

    async def awaited() -> int | None:
        # TERM ends a command as Ctrl+C does, so that what was taken to look at is given back in either case.
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        patience = None
        try:
            return await main()
        except asyncio.CancelledError:
            # Whoever reads the output may stand still for ever.
            patience = _GRACE
            raise
        finally:
            await flushed(patience)

    try:
        return asyncio.run(awaited()) or Exit.DONE
    except (ConfigError, AddressError, QueryError) as error:
        return fail(str(error), Exit.USAGE)
    except WorkbenchError as error:
        return fail(str(error), Exit.FAILED)
    except (KeyboardInterrupt, asyncio.CancelledError, click.Abort):
        return Exit.STOPPED
    except OSError as error:
        # What stdout did not take is given up: Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return fail("The reader of the output went away.", Exit.FAILED)
        where = f"{error.filename}: " if error.filename else "Reading or writing failed: "
        return fail(f"{where}{error.strerror or error}.", Exit.FAILED)


def named_config() -> Path | None:
    """The file that `--config` names."""
    options: _Options = click.get_current_context().meta[_KEPT]
    return options.config


def current_config() -> ConfigFile:
    """The configuration that the command's options name.

    Raises:
        ConfigError: It cannot be read, or says something that is not known here.
    """
    return ConfigFile.find(named_config())


def fail(sentence: str, code: Exit) -> Exit:
    """Tell the user on stderr what is wrong, in one line of visible characters; returns `code`."""
    say(f"workbench: {sentence}")
    return code


def _collect(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    options = context.meta.setdefault(_KEPT, _Options())
    if isinstance(value, tuple):
        getattr(options, str(parameter.name)).extend(value)
    elif value is not None:
        setattr(options, str(parameter.name), value)


def session_of(context: click.Context, ask_password: AskPassword | None = None) -> Session:
    """The session that a command's options ask for, not yet entered.

    Args:
        context: The command's.
        ask_password: Asks for a password; None: asks on the terminal.

    Raises:
        ConfigError: A connection or the configuration cannot be used.
    """
    options: _Options = context.meta[_KEPT]
    given: list[Connection | str] = []
    for text in options.connection:
        if ":" in text:
            connection = Connection.parse(text)
            level = Level[options.guard.upper()] if options.guard else None
            given.append(msgspec.structs.replace(connection, level=level))
        else:
            given.append(text)

    async def confirm(connection: Connection, wanted: Level) -> bool:
        if connection.name in options.confirm:
            return True
        if not sys.stdin.isatty():
            return False
        question = f"{connection.name} is production. Type its name to go on with what needs {wanted.name.lower()!r}"
        return _asked(question, default="", show_default=False) == connection.name

    return Session(given, ConfigFile.find(options.config), confirm, ask_password or _ask_password)


async def _ask_password(connection: Connection, reason: ConfigError | None) -> Secret:
    if reason is not None:
        raise reason
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{connection.name}: the URL names user {connection.user!r} but no password, and there is no terminal"
            " to ask for it."
        )
    return Secret(_asked(f"Password of {connection.user} on {connection.name} ({connection.place})", hide_input=True))


def _asked(question: str, **how: Any) -> str:
    """Ask on the terminal; Ctrl+C ends the program, where asyncio's handler would only wait for the answer."""
    flush()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return str(click.prompt(shown(question), err=True, **how))
    finally:
        signal.signal(signal.SIGINT, before)
