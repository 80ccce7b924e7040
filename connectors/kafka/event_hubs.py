"""Azure Event Hubs by its Kafka endpoint: `eventhubs://POLICY:KEY@NAMESPACE.servicebus.windows.net/HUB`.

It is a Kafka that offers less (`versions.py`), logs users in by their connection string, takes requests of less than a
megabyte, and forgets connections that say nothing
(https://learn.microsoft.com/azure/event-hubs/apache-kafka-configurations).
"""

from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import quote, urlsplit

from connectors.kafka.connector import KafkaConnector
from connectors.kafka.settings import Settings
from workbench.connecting.config import Connection, Secret
from workbench.connecting.logins import Login
from workbench.model.errors import ConfigError

_USER: Final = "$ConnectionString"
"""Who logs in, whatever the policy is called; the connection string is the password."""
_KNOWN: Final = ("ca",)
_PORT: Final = 9093
_REQUEST: Final = 1_000_000
"""Bytes of the largest request, as the service advises. It closes the connection over one of more than 1,046,528."""
_IDLE: Final = 180.0
"""Seconds, as the service advises. It forgets a connection on which nothing was said for 240, and says nothing."""
_EXAMPLE: Final = "eventhubs://POLICY:KEY@NAMESPACE.servicebus.windows.net"


class EventHubsConnector(KafkaConnector):
    """One Event Hubs namespace, or one hub of it: its hubs are the endpoints."""

    broker: ClassVar = "Event Hubs"
    kind: ClassVar = "event hub"
    options: ClassVar = _KNOWN

    def __init__(self, connection: Connection) -> None:
        """Read the connection; the namespace is reached at first use.

        Raises:
            ConfigError: It has an option that there is not, or lacks a policy or its key.
        """
        super().__init__(connection, settings_of(connection))

    @staticmethod
    def logins(connection: Connection) -> Sequence[Login]:
        """Who gets the key: always through TLS."""
        return [Login(host, port or _PORT, clear=False) for host, port in connection.hosts]


def settings_of(connection: Connection) -> Settings:
    """How to reach a namespace: `eventhubs://POLICY:KEY@HOST/HUB?ca=FILE`.

    Raises:
        ConfigError: It has an option that there is not, or lacks a policy or its key.
    """
    name, options = connection.name, connection.known_options(*_KNOWN)
    if not connection.user or connection.password is None or not connection.password.reveal():
        raise ConfigError(f"{name}: Event Hubs lets in who has a policy and its key: write {_EXAMPLE}.")
    [(host, port), *others] = connection.hosts
    if others or (connection.path and "/" in connection.path):
        raise ConfigError(f"{name}: an eventhubs:// connection has one host and at most one hub: {_EXAMPLE}/HUB.")
    login = f"SharedAccessKeyName={connection.user};SharedAccessKey={connection.password.reveal()}"
    hub = f";EntityPath={connection.path}" if connection.path else ""
    return Settings(
        name=name,
        hosts=((host, port or _PORT),),
        user=_USER,
        password=Secret(f"Endpoint=sb://{host}/;{login}{hub}"),
        tls=True,
        ca=options.get("ca"),
        called=connection.user,
        only=connection.path or None,
        max_request=_REQUEST,
        max_idle=_IDLE,
        amqp=True,
    )


def url_of(text: str) -> tuple[str, str | None]:
    """The URL of a connection string as Azure's portal shows it, and its key, if it has one.

    `Endpoint=sb://HOST/;SharedAccessKeyName=POLICY;SharedAccessKey=KEY;EntityPath=HUB`, in any order and spelling of
    small and capital letters; other keys mean nothing here
    (https://learn.microsoft.com/azure/event-hubs/event-hubs-get-connection-string).

    Raises:
        ConfigError: It names no host or no policy.
    """
    pairs = [pair.partition("=") for pair in text.strip().strip("\"'").split(";")]
    said = {key.strip().lower(): value.strip() for key, _, value in pairs}
    try:
        endpoint = urlsplit(said.get("endpoint", ""))
        host = endpoint.netloc if endpoint.scheme == "sb" and endpoint.hostname and "@" not in endpoint.netloc else ""
    except ValueError:
        host = ""
    if not host:
        raise ConfigError("This connection string names no namespace: it has no Endpoint=sb://HOST/.")
    if not (policy := said.get("sharedaccesskeyname")):
        raise ConfigError(
            f"The connection string of {host} names no policy: it has no SharedAccessKeyName, and Event Hubs lets a"
            " Kafka client in by nothing else that such a string can hold."
        )
    path = f"/{quote(hub, safe='')}" if (hub := said.get("entitypath")) else ""
    return f"eventhubs://{quote(policy, safe='')}@{host}{path}", said.get("sharedaccesskey")
