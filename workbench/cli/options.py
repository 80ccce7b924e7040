"""The options by which a command is told its connections.

They are declared on every command, `workbench` itself among them, so that nothing that costs is imported here.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from workbench.connecting.level import Level

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., object])

_GIVEN: Final = "workbench.options"
_RECORD: Final = "workbench.record"


class Options:
    """What the connection options have collected so far, before and behind the command's name."""

    def __init__(self) -> None:
        self.connection: list[str] = []
        self.config: Path | None = None
        self.guard: str | None = None
        self.confirm: list[str] = []


def given_options(context: click.Context) -> Options:
    """What a command was given, kept in its context until a session is made of it."""
    options: Options = context.meta.setdefault(_GIVEN, Options())
    return options


def given_record(context: click.Context) -> Path | None:
    """The file that `--record` of the screen names."""
    return context.meta.get(_RECORD)


def config_option(command: Command) -> Command:
    """Add `--config`, before or behind the command's name; kept in the context."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_collect,
        help="Configuration file. Default: ./workbench.toml, else the one in your config folder.",
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
            shell_complete=_connections,
            help="Confirm a production connection by name in advance, for scripts. Repeatable.",
        ),
        click.option(
            "--guard",
            type=click.Choice([level.name.lower() for level in Level]),
            expose_value=False,
            callback=_collect,
            help="What is allowed on connections given by URL. Default: move on this machine, observe elsewhere.",
        ),
        config_option,
        click.option(
            "-c",
            "--connection",
            metavar="[NAME=]URL|NAME",
            multiple=True,
            expose_value=False,
            callback=_collect,
            shell_complete=_connections,
            help="A connection: a URL, or the name of a configured connection. Repeatable.",
        ),
    ):
        command = decorate(command)
    return command


def record_option(command: Command) -> Command:
    """Add the screen's `--record`, kept in the context: it may stand before or behind what is opened."""
    return click.option(
        "--record",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_record,
        help="Record everything the screen reads to a file; open it again with `workbench FILE`.",
    )(command)


def _collect(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    options = given_options(context)
    if isinstance(value, tuple):
        getattr(options, str(parameter.name)).extend(value)
    elif value is not None:
        setattr(options, str(parameter.name), value)


def _record(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None:
        context.meta[_RECORD] = value


def _connections(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    # Only a shell that completes needs it.
    offered: list[CompletionItem[str]] = import_module("workbench.cli.completion").connections(
        context, parameter, incomplete
    )
    return offered
