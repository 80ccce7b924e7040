"""Who gets a connection's password, so that its user is told before it is sent."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from workbench.connecting.config import Connection
from workbench.connecting.hosts import is_loopback
from workbench.connecting.plugins import load
from workbench.model.errors import ConfigError


class Login(msgspec.Struct, frozen=True):
    """A place where a password is sent.

    Attributes:
        host: Its name or address.
        port: Its port.
        clear: Whether whoever is on the way can read the password.
        option: The option of the URL that has this login; empty: it is the connection's own.
    """

    host: str
    port: int
    clear: bool
    option: str = ""

    @property
    def place(self) -> str:
        """As a user writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_exposed(self) -> bool:
        """Whether the password leaves this machine in clear."""
        return self.clear and not is_loopback(self.host)


@runtime_checkable
class LoginTeller(Protocol):
    """A connector's class that says where its passwords go; of others the hosts of the URL are said."""

    @staticmethod
    def logins(connection: Connection) -> Sequence[Login]:
        """The places, each login once; raises `ConfigError` where the connection cannot be used."""


def logins_of(connection: Connection) -> Sequence[Login]:
    """Where a connection's password is sent; empty where its connector does not say."""
    try:
        made = load(connection.scheme)
        return made.logins(connection) if isinstance(made, LoginTeller) else ()
    except ConfigError:
        return ()


def describe_receivers(connection: Connection, cluster: str | None = None) -> str:
    """Every host that gets the connection's own password: `h1:5672 (unencrypted) and h2:15672`.

    Args:
        connection: Whose.
        cluster: The address of the Dask scheduler whose workers search, if some do.
    """
    own = [each for each in logins_of(connection) if not each.option]
    said = [f"{each.place}{' (unencrypted)' if each.is_exposed else ''}" for each in own]
    places = _listed(said or connection.places)
    if cluster is None or not _is_searched_in_ranges(connection):
        return places
    return f"{places}; for a search, {cluster}{' (unencrypted)' if _is_clear(cluster) else ''} and its workers"


def exposure_to_cluster(connection: Connection, cluster: str) -> str | None:
    """What a user must be told before workers of a Dask cluster search through a connection; None: nothing."""
    if not _is_clear(cluster) or not (connection.password or any(each.option for each in logins_of(connection))):
        return None
    return f"{connection.name}: its password goes unencrypted to {cluster} and its workers."


def _is_clear(cluster: str) -> bool:
    """Whether what a scheduler is told leaves this machine in clear."""
    return not cluster.startswith("tls:") and not is_loopback(urlsplit(cluster).hostname or "")


def _is_searched_in_ranges(connection: Connection) -> bool:
    """Whether its logs can be searched by a cluster: see `workbench.connecting.connector.RangeConnector`."""
    try:
        return hasattr(load(connection.scheme), "scan_range")
    except ConfigError:
        return False


def exposure(connection: Connection) -> str | None:
    """What a user must be told before the passwords of a connection are sent, as far as it has them; None: nothing."""
    exposed: dict[str, list[str]] = {}
    for each in logins_of(connection):
        if each.is_exposed and (each.option or connection.password is not None):
            exposed.setdefault(each.option, []).append(each.place)
    told = [
        f"{f'the password in {option}=' if option else 'its password'} goes unencrypted to {_listed(places)}"
        for option, places in exposed.items()
    ]
    return f"{connection.name}: {' and '.join(told)}." if told else None


def _listed(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
