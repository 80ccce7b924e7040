"""Connectors and the screen, found through entry points: known by name without being imported."""

from functools import cache
from typing import Any

import msgspec

from workbench.connecting.config import Connection, without_secrets_in
from workbench.connecting.connector import Connector
from workbench.connecting.entry_points import OWN, entry_points
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.hosts import machine_of
from workbench.model.errors import ConfigError, WorkbenchError

CONNECTORS = "event_workbench.connectors"
"""The entry-point group: the name is a URL scheme, the object makes a `Connector` from a `Connection`."""


def names(group: str = CONNECTORS) -> list[str]:
    """The names registered in a group, sorted; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group)})


def load(name: str, group: str = CONNECTORS) -> Any:
    """Import what is registered under a name.

    Raises:
        ConfigError: Nothing is, or two packages claim the name, or it cannot be imported.
    """
    entries = [entry for entry in entry_points(group) if entry.name == name]
    what = f"{name}://" if group == CONNECTORS else repr(name)
    if not entries:
        raise ConfigError(f"Unknown connection type {what}. Available: {', '.join(names(group))}.")
    if len({entry.value for entry in entries}) > 1:
        owners = " and ".join(sorted(entry.package for entry in entries))
        raise ConfigError(f"Two packages claim {what}: {owners}. Uninstall one of them.")
    try:
        return entries[0].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} is provided by {entries[0].package}, which cannot be loaded: {error}.") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(log_unexpected(error, f"Loading {entries[0].package}, which provides {what},")) from error


@cache
def is_own(scheme: str) -> bool:
    """Whether the connector of a scheme comes with this program."""
    return any(entry.name == scheme and entry.package == OWN for entry in entry_points(CONNECTORS))


@cache
def is_embedded(scheme: str) -> bool:
    """Whether the brokers of a scheme live in this process and end with it, so that nobody else's work is disturbed.

    Only a connector that comes with this program may say so: a plugin's word lifts no guard, and ends no journal.

    Raises:
        ConfigError: The connector cannot be imported.
    """
    return is_own(scheme) and bool(getattr(load(scheme), "embedded", False))


def is_same_broker(one: Connection, other: Connection) -> bool:
    """Whether two connections lead to one broker, as far as their URLs say: they have a machine and its port in
    common."""
    same_kind = None
    for host, port in one.hosts:
        for others_host, others_port in other.hosts:
            if machine_of(host) != machine_of(others_host):
                continue
            if port is not None and others_port is not None:
                if port == others_port:
                    return True
                continue
            # The usual port of a scheme is its connector's affair; amqp and amqps are one.
            if same_kind is None:
                same_kind = _are_of_one_kind(one.scheme, other.scheme)
            if same_kind:
                return True
    return False


def leads_within(one: Connection, other: Connection) -> bool:
    """Whether a connection can lead to no other broker than another connection does, as far as their URLs say."""
    return all(is_same_broker(msgspec.structs.replace(one, hosts=(place,)), other) for place in one.hosts)


def _are_of_one_kind(scheme: str, other: str) -> bool:
    """Whether one connector speaks two schemes, or one that stands in the other's package: eventhubs and kafka."""
    return any(
        f"{one}.".startswith(f"{another}.") or f"{another}.".startswith(f"{one}.")
        for one in _modules(scheme)
        for another in _modules(other)
    )


def _modules(scheme: str) -> set[str]:
    return {entry.value.partition(":")[0] for entry in entry_points(CONNECTORS) if entry.name == scheme}


def check_options(connection: Connection) -> None:
    """See that a connector knows all options of a connection, as far as its class says which it knows (`options`).

    Raises:
        ConfigError: No connector speaks its scheme, or it has an option that the connector does not know.
    """
    known = getattr(load(connection.scheme), "options", None)
    if known is not None:
        connection.known_options(*known)


def connect(connection: Connection) -> Connector:
    """The connector for a connection, not yet entered.

    Raises:
        ConfigError: No connector speaks its scheme, or it has options that the connector does not know.
    """
    made = load(connection.scheme)
    try:
        connector: Connector = made(connection)
    except WorkbenchError as error:
        if is_own(connection.scheme):
            raise
        raise without_secrets_in(error) from None
    except (Exception, SystemExit) as error:
        raise ConfigError(
            log_unexpected(error, f"{connection.name}: making a {connection.scheme}:// connector")
        ) from error
    return connector
