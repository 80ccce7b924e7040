"""How to reach a RabbitMQ: what a connection's URL says, read once."""

import re
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from workbench.connecting.config import Connection, Secret, password_in_url
from workbench.connecting.logins import Login
from workbench.connecting.tls import OPTIONS, tls_context, tls_files
from workbench.model.errors import ConfigError

KNOWN: Final = ("management", "heartbeat", *OPTIONS)
"""The options of a URL."""
GUEST: Final = "guest"

HEARTBEAT: Final = 20
"""Seconds, where the URL says nothing."""


class Access(msgspec.Struct, frozen=True):
    """Where the broker is and how to get in.

    Attributes:
        name: The connection's name, for addresses and sentences.
        hosts: Host and port of each node; the first that answers is used.
        vhost: The virtual host.
        user: The user, `guest` where the URL names none (https://www.rabbitmq.com/docs/uri-spec).
        password: Its password.
        tls: The TLS settings; None for plain AMQP.
        management: The management API's address on each node, without credentials; the first that answers is used.
        management_user: Who asks there.
        management_password: Its password.
        management_tls: The TLS settings there; None for http.
        heartbeat: Seconds between signs of life; a broker that is silent for longer counts as lost.
    """

    name: str
    hosts: tuple[tuple[str, int], ...]
    vhost: str
    user: str
    password: Secret
    tls: ssl.SSLContext | None
    management: tuple[str, ...]
    management_user: str
    management_password: Secret
    management_tls: ssl.SSLContext | None
    heartbeat: int = HEARTBEAT

    @classmethod
    def read(cls, connection: Connection) -> "Access":
        """Read `amqp[s]://user:password@host:port/vhost?management=URL&heartbeat=SECONDS&ca=FILE&cert=FILE&key=FILE`.

        Raises:
            ConfigError: An option is unknown, or names a file or URL that cannot be used.
        """
        options = connection.known_options(*KNOWN)
        secure = connection.scheme == "amqps"
        tls = tls_context(connection.name, **tls_files(connection.name, options))
        hosts = _hosts(connection)
        user = connection.user or GUEST
        password = connection.password or Secret(GUEST if user == GUEST else "")
        parts = _management(connection)
        heartbeat = options.get("heartbeat") or str(HEARTBEAT)
        if not re.fullmatch(r"[1-9]\d{0,3}", heartbeat):
            raise ConfigError(f"{connection.name}: heartbeat= is a number of seconds, 1 or more.")
        return cls(
            name=connection.name,
            hosts=hosts,
            vhost=connection.path if connection.path else "/",
            user=user,
            password=password,
            tls=tls if secure else None,
            management=tuple(f"{parts.scheme}://{place}{parts.path.rstrip('/')}" for place in _places(parts)),
            management_user=unquote(parts.username) if parts.username else user,
            management_password=password_in_url(parts.password, parts.username) if parts.password else password,
            management_tls=tls if parts.scheme == "https" else None,
            heartbeat=int(heartbeat),
        )


def logins(connection: Connection) -> Sequence[Login]:
    """Who gets a password: the nodes and the management API, which may have a login of its own.

    Raises:
        ConfigError: `management=` cannot be used.
    """
    found = [Login(host, port, clear=connection.scheme != "amqps") for host, port in _hosts(connection)]
    parts = _management(connection)
    option = "management" if parts.password else ""
    for place in _places(parts):
        each = urlsplit(f"//{place}")
        port = each.port or (443 if parts.scheme == "https" else 80)
        found.append(Login(each.hostname or "", port, clear=parts.scheme != "https", option=option))
    return list(dict.fromkeys(found))


def _hosts(connection: Connection) -> tuple[tuple[str, int], ...]:
    usual = 5671 if connection.scheme == "amqps" else 5672
    return tuple((host, port or usual) for host, port in connection.hosts)


def _management(connection: Connection) -> SplitResult:
    """The URL of the management API, which may have several hosts, separated by commas.

    Raises:
        ConfigError: The connection names none that can be used.
    """
    scheme, port = ("https", 15671) if connection.scheme == "amqps" else ("http", 15672)
    hosts = dict.fromkeys(f"{_in_brackets(host)}:{port}" for host, _ in connection.hosts)
    try:
        parts = urlsplit(connection.options.get("management") or f"{scheme}://{','.join(hosts)}")
        usable = all(map(_is_place, _places(parts)))
    except ValueError:
        usable = False
    if not usable or parts.scheme not in ("http", "https"):
        raise ConfigError(
            f"{connection.name}: management= is not a URL of the management API, such as http://localhost:15672."
        )
    return parts


def _places(parts: SplitResult) -> Sequence[str]:
    """The hosts of a URL, with their ports where it has them."""
    return parts.netloc.rpartition("@")[2].split(",")


def _is_place(text: str) -> bool:
    parts = urlsplit(f"//{text}")
    # What ends in a colon is the beginning of another URL, as in `http://a,http://b`.
    return bool(parts.hostname) and not text.endswith(":") and (parts.port is None or parts.port in range(1, 65536))


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
