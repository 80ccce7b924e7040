"""What the shell offers when its user asks for the rest of a word; click speaks with the shell.

Whatever goes wrong, nothing is offered and nothing is said: the shell would print it into the line being written.
"""

import asyncio
import atexit
import logging
import os
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import click
from click.shell_completion import CompletionItem

from workbench.cli.sessions import session_of
from workbench.connecting.config import Connection, Secret
from workbench.model.errors import ConfigError, WorkbenchError
from workbench.session import Session

PATIENCE: Final = 0.7
"""Seconds that the brokers have to list what they hold."""
LIMIT: Final = 1.0
"""Seconds after which the process ends, whatever still keeps it; both are counted from the start of the listing."""

_PLAIN: Final = re.compile(r"\w[\w./:@%+=,-]*")
"""What no shell takes for more than a word: names are a stranger's, and shells insert what they are offered."""


def connections(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The connections, given and configured."""
    with suppress(WorkbenchError):
        session = _session(context)
        return _items(incomplete, dict.fromkeys((*session.names, *session.config.connections)))
    return []


def addresses(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """Addresses on the session's connections, as far as they are listed in time."""
    # Neither a name server nor a driver can be made to give up in time: their thread is left behind, and nobody waits
    # for it at the end.
    end = threading.Timer(LIMIT, os._exit, (0,))
    end.daemon = True
    end.start()
    atexit.register(os._exit, 0)
    logging.disable()
    found: list[str] = []
    listing = threading.Thread(target=_list, args=(context, incomplete, found), daemon=True)
    listing.start()
    listing.join(PATIENCE)
    return _items(incomplete, sorted(found))


def addresses_or_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Addresses, and files where there is no such address."""
    return [CompletionItem(incomplete, type="file"), *addresses(context, parameter, incomplete)]


def addresses_or_connections(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """Connections, and addresses on them."""
    return connections(context, parameter, incomplete) + addresses(context, parameter, incomplete)


def _items(incomplete: str, texts: Iterable[str]) -> list[CompletionItem[str]]:
    return [CompletionItem(text) for text in texts if text.startswith(incomplete) and _PLAIN.fullmatch(text)]


def _list(context: click.Context, incomplete: str, found: list[str]) -> None:
    # A plugin may raise anything.
    with suppress(Exception):
        asyncio.run(_find_addresses(context, incomplete, found))


async def _find_addresses(context: click.Context, incomplete: str, found: list[str]) -> None:
    async with _session(context) as session, asyncio.TaskGroup() as group:
        named, slash, _ = incomplete.partition("/")
        names = [named] if slash and named in session.config.connections else session.names
        names = [each for each in names if each not in session.config.strangers]
        for name in names:
            group.create_task(_list_one(session, name, incomplete, found))


async def _list_one(session: Session, name: str, incomplete: str, found: list[str]) -> None:
    said = session.config.connections.get(name)
    if said is not None and said.has_source:
        # To press a key must run no command and open no dialog.
        return
    with suppress(WorkbenchError):
        listed = await (await session.connector(name)).endpoints()
        # With a single connection its name may be left out.
        short = session.names == [name] and not incomplete.startswith(f"{name}/")
        found += [str(each.address).partition("/")[2] if short else str(each.address) for each in listed]


def _session(context: click.Context) -> Session:
    return session_of(context, _ask_nobody)


async def _ask_nobody(connection: Connection, reason: ConfigError | None) -> Secret | None:
    """To press a key asks for nothing."""
    raise ConfigError(f"{connection.name} has no password.")
