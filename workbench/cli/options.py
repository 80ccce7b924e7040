"""The options by which a command is told its connections."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from workbench.cli import completion
from workbench.cli.sessions import collect
from workbench.connecting.config import Level

Command = TypeVar("Command", bound=Callable[..., object])


def config_option(command: Command) -> Command:
    """Add `--config`, before or behind the command's name; kept in the context."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=collect,
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
            callback=collect,
            shell_complete=completion.connections,
            help="Type a production connection's name beforehand, as a script does; may be repeated.",
        ),
        click.option(
            "--guard",
            type=click.Choice([level.name.lower() for level in Level]),
            expose_value=False,
            callback=collect,
            help="What may be done through connections given by URL: move on this machine, observe elsewhere.",
        ),
        config_option,
        click.option(
            "-c",
            "--connection",
            metavar="[NAME=]URL|NAME",
            multiple=True,
            expose_value=False,
            callback=collect,
            shell_complete=completion.connections,
            help="A connection: a URL, or the name of a configured one; may be repeated.",
        ),
    ):
        command = decorate(command)
    return command
