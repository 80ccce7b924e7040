"""The options by which a command is told its connections.

They are declared on every command, `workbench` itself among them, so that nothing that costs is imported here.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from workbench.cli.option_values import collect, collect_record
from workbench.connecting.level import Level

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., object])


def config_option(command: Command) -> Command:
    """Add `--config`, before or behind the command's name; kept in the context."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=collect,
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
            callback=collect,
            shell_complete=_connections,
            help="Confirm a production connection by name in advance, for scripts. Repeatable.",
        ),
        click.option(
            "--guard",
            type=click.Choice([level.name.lower() for level in Level]),
            expose_value=False,
            callback=collect,
            help="What is allowed on connections given by URL. Default: publish on this machine, observe elsewhere.",
        ),
        config_option,
        click.option(
            "-c",
            "--connection",
            metavar="[NAME=]URL|NAME",
            multiple=True,
            expose_value=False,
            callback=collect,
            shell_complete=_connections,
            help="A connection: a URL, or the name of a configured connection. Repeatable.",
        ),
    ):
        command = decorate(command)
    return command


def env_option(command: Command) -> Command:
    """Add `--env`, kept in the context: what templates may read of the environment."""
    return click.option(
        "--env",
        metavar="NAME",
        multiple=True,
        expose_value=False,
        callback=collect,
        help="Let the template read an environment variable, as {{ env.NAME }}. Repeatable.",
    )(command)


def cluster_option(command: Command) -> Command:
    """Add `--cluster`, before or behind the command's name; kept in the context."""
    return click.option(
        "--cluster",
        metavar="ADDRESS|off",
        expose_value=False,
        callback=collect,
        help="Search Kafka on a Dask cluster: the address of its scheduler, such as tcp://scheduler:8786.",
    )(command)


def record_option(command: Command) -> Command:
    """Add the screen's `--record`, kept in the context: it may stand before or behind what is opened."""
    return click.option(
        "--record",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=collect_record,
        help="Record everything the screen reads to a file; open it again with `workbench FILE`.",
    )(command)


def _connections(context: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    # Only a shell that completes needs it.
    from workbench.cli import completion

    return completion.connections(context, parameter, incomplete)
