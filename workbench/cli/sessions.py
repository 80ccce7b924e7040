"""The session that a command's options ask for; passwords and production names are asked for on the terminal."""

import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from workbench.cli.ending import ending_by_itself
from workbench.cli.option_values import option_values
from workbench.cli.stdio import flush, say
from workbench.connecting.config import Connection, Secret
from workbench.connecting.config_file import ConfigFile, expand
from workbench.connecting.config_sources import find_config
from workbench.connecting.connection_formats import connection_of, is_connection
from workbench.connecting.level import Level
from workbench.connecting.logins import describe_receivers
from workbench.connecting.passwords import AskPassword
from workbench.connecting.url import given_name
from workbench.decode.display import visible
from workbench.model.errors import ConfigError
from workbench.session import Session

_NO_CLUSTER: Final = "off"
"""Searches here, whatever is configured."""


def named_config() -> Path | None:
    """The file that `--config` names."""
    return option_values(click.get_current_context()).config


def need_connection(session: Session, named: object = None) -> None:
    """See that there is something to ask.

    Args:
        session: Whose connections.
        named: What the user has named of them; empty: nothing, so that all are meant.

    Raises:
        ConfigError: Nothing is named, and there is no connection.
    """
    if not session.names and not named:
        untrusted = f", or name one that is not trusted: {', '.join(session.untrusted)}" if session.untrusted else ""
        raise ConfigError(f"No connection is given: add -c NAME=URL{untrusted}.")


def current_config() -> ConfigFile:
    """The configuration that the command's options name.

    Raises:
        ConfigError: It cannot be read, or says something that is not known here.
    """
    return find_config(named_config())


def session_of(context: click.Context, ask_password: AskPassword | None = None) -> Session:
    """The session that a command's options ask for, not yet entered.

    Args:
        context: The command's.
        ask_password: Asks for a password; None: asks on the terminal.

    Raises:
        ConfigError: A connection or the configuration cannot be used.
    """
    options = option_values(context)
    config = find_config(options.config)
    given: list[Connection | str] = []
    for text in options.connection:
        if text not in config.connections and is_connection(expanded := with_variables(text)):
            connection = connection_of(expanded)
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
        return _ask(question, default="", show_default=False) == connection.name

    cluster = options.cluster or config.cluster
    if cluster == _NO_CLUSTER:
        cluster = None
    session = Session(given, config, confirm, ask_password or partial(_ask_password, cluster), cluster)
    session.variables = (options.variables or session.variables) | options.env
    session.tell = lambda sentence: say(f"workbench: {sentence}")
    return session


def with_variables(text: str) -> str:
    """What `-c` is given, with the environment variables that it names.

    Raises:
        ConfigError: One is not set.
    """
    return expand(text, given_name(text) or "-c")


async def _ask_password(cluster: str | None, connection: Connection, reason: ConfigError | None) -> Secret:
    if reason is not None:
        raise reason
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{connection.name}: the URL names user {connection.user!r} but no password, and there is no terminal"
            " to ask for it."
        )
    question = f"Password of {connection.user} on {connection.name} ({describe_receivers(connection, cluster)})"
    return Secret(_ask(question, hide_input=True))


def _ask(question: str, **how: Any) -> str:
    """Ask on the terminal."""
    flush()
    try:
        with ending_by_itself():
            return str(click.prompt(visible(question), err=True, **how))
    except click.Abort:
        # Ends the loop at once, and with it what else would be asked.
        raise KeyboardInterrupt from None
