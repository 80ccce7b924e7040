"""What a `kafka://` URL says: where to begin, and how to get in."""

import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

from workbench.connecting.config import Connection, Secret
from workbench.connecting.hosts import is_this_machine
from workbench.connecting.logins import Login
from workbench.connecting.tls import OPTIONS, tls_context, tls_files
from workbench.model.errors import ConfigError, ConnectorError

KNOWN: Final = ("tls", "sasl", *OPTIONS)
"""The options of a URL."""
_MECHANISMS = {"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"}


class Settings(msgspec.Struct, frozen=True):
    """How to reach a cluster: `kafka://user:password@h1:9092,h2?tls&sasl=scram-sha-512&ca=FILE&cert=FILE&key=FILE`.

    Attributes:
        name: The connection's, for sentences.
        hosts: Brokers to begin with; any one of them names the others.
        user: For SASL; None where no one logs in.
        password: For SASL.
        mechanism: SASL's, in its own spelling; `PLAIN` where the URL has a user and does not say.
        tls: Whether to speak TLS. Naming a file is saying so.
        ca: File of the authorities to trust instead of the system's.
        cert: File of the client's certificate, and of its key unless `key` is given.
        key: File of the client's key.
        called: Who logs in, in a user's words; None: the user.
        only: The one topic to see; None: all.
        max_request: Bytes of the largest request, where the broker hangs up over a larger one; None: unknown.
        max_idle: Seconds after which a connection that was not used is taken for lost, and made anew.
        amqp: Whether producers may have spoken AMQP 1.0, whose values then stand in headers.
    """

    name: str
    hosts: tuple[tuple[str, int], ...]
    user: str | None = None
    password: Secret | None = None
    mechanism: str = "PLAIN"
    tls: bool = False
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    called: str | None = None
    only: str | None = None
    max_request: int | None = None
    max_idle: float = 540.0
    amqp: bool = False

    @classmethod
    def of(cls, connection: Connection) -> "Settings":
        """Read a connection.

        Raises:
            ConfigError: It has an option, or a value of one, that this connector does not know.
        """
        name, options = connection.name, connection.known_options(*KNOWN)
        files = tls_files(name, options)
        if connection.path:
            raise ConfigError(f"{name}: kafka:// connections have no path, and this one has {connection.path!r}.")
        if (tls := options.get("tls", "" if files else "no")) not in ("", "no"):
            raise ConfigError(f"{name}: tls takes no value: write ?tls, or leave it out.")
        if (mechanism := options.get("sasl", "plain").lower()) not in _MECHANISMS:
            raise ConfigError(f"{name}: sasl={mechanism} is not known: there are {', '.join(_MECHANISMS)}.")
        if "sasl" in options and connection.user is None:
            raise ConfigError(f"{name}: sasl= needs a user: write kafka://USER:PASSWORD@HOST.")
        if connection.user is not None and connection.password is None:
            raise ConfigError(f"{name}: user {connection.user!r} has no password: write kafka://USER:PASSWORD@HOST.")
        return cls(
            name=name,
            hosts=tuple((host, port or 9092) for host, port in connection.hosts),
            user=connection.user,
            password=connection.password,
            mechanism=_MECHANISMS[mechanism],
            tls=tls != "no",
            ca=files.get("ca"),
            cert=files.get("cert"),
            key=files.get("key"),
        )

    @property
    def logins(self) -> Sequence[Login]:
        """Who gets the password, as far as it is known before one of them is asked for the others."""
        clear = not self.tls and self.mechanism == "PLAIN"
        return [] if self.user is None else [Login(host, port, clear) for host, port in self.hosts]

    def check_login(self, host: str, port: int) -> None:
        """See that a password goes in clear to another machine only after its user was told that it does.

        Raises:
            ConnectorError: The URL names this machine alone, and the cluster, behind a tunnel, names another one.
        """
        if not self.logins or any(each.is_exposed for each in self.logins) or is_this_machine(host):
            return
        if (there := Login(host, port, self.logins[0].clear)).is_exposed:
            raise ConnectorError(
                f"The cluster names a broker at {there.place}, to which the password would go unencrypted: name it in"
                " the URL, too, if that is meant, or log in by ?tls or ?sasl=scram-sha-512."
            )

    @property
    def who(self) -> str | None:
        """Who logs in, for sentences; None: nobody."""
        return self.called or self.user

    @property
    def protocol(self) -> str:
        """Kafka's word for the combination: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
        return ("SASL_" if self.user is not None else "") + ("SSL" if self.tls else "PLAINTEXT")

    def context(self) -> ssl.SSLContext | None:
        """What to speak TLS with; None where it is not spoken.

        Raises:
            ConfigError: A file is missing or is not what it should be.
        """
        if not self.tls:
            return None
        return tls_context(self.name, self.ca, self.cert, self.key)
