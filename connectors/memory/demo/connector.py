"""`demo://shop/rabbit` and `demo://shop/kafka`: two connections to one shop."""

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from connectors.memory.broker import Broker, embedded_broker
from connectors.memory.connector import MemoryConnector
from connectors.memory.demo.shop import HISTORY, Settings, Shop
from connectors.memory.demo.static_shop import open_shop
from connectors.memory.streams import require_running
from workbench.connecting.config import Connection
from workbench.connecting.connector import Action
from workbench.model.content import Content
from workbench.model.errors import ConfigError, ConnectionLost
from workbench.model.event import Event

FACES: Final = ("rabbit", "kafka")
_OPTIONS: Final = ("seed", "clock", "pace")

_DEPLOY: Final = "Fix the demo's payment service, so that payments it rejected succeed when moved back."


class _Open:
    """A shop and how many connections it has."""

    def __init__(self, settings: Settings) -> None:
        self.shop = Shop(settings)
        self.connections = 0


_open: dict[tuple[str, Settings], _Open] = {}
"""The shops that are open, by their names and settings: both faces show one shop when both are asked for the same."""


class DemoConnector(MemoryConnector):
    """A connection to a face of the shop, which is opened with the first connection and gone with the last.

    Without a face, `demo://shop` is a shop that stands still, on one broker.
    """

    options: ClassVar[Sequence[str]] = _OPTIONS

    def __init__(self, connection: Connection) -> None:
        self._face = connection.path or None
        self._settings = _settings(connection)
        plain = msgspec.structs.replace(connection, path=None, options={}) if self._face else connection
        super().__init__(plain)
        self._shop: Shop | None = None
        if self._face is None and not (still := embedded_broker(self._broker_name)).queues:
            open_shop(still)

    async def __aenter__(self) -> "DemoConnector":
        if self._face is not None:
            key = self._broker_name, self._settings
            opened = _open.get(key) or _Open(self._settings)
            if not opened.connections:
                opened.shop.open()
            opened.connections += 1
            _open[key] = opened
            self._shop = opened.shop
        return await super().__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        await super().__aexit__(*exception)
        if self._shop is not None:
            self._shop = None
            key = self._broker_name, self._settings
            opened = _open[key]
            opened.connections -= 1
            if not opened.connections:
                opened.shop.close()
                del _open[key]

    @property
    def _broker(self) -> Broker:
        if self._face is None:
            return super()._broker
        if self._shop is None:
            raise ConnectionLost(f"{self._connection.name}: the shop is closed.")
        return require_running(self._shop.rabbit if self._face == "rabbit" else self._shop.kafka)

    def actions(self) -> Sequence[Action]:
        """Of its RabbitMQ, which takes deployments: the one that fixes the payment service."""
        return [Action("deploy", _DEPLOY, self._deploy)] if self._face == "rabbit" else []

    async def _deploy(self) -> str:
        # To the shop a deployment is an event like any other.
        event = Event(
            body=b'{"service":"payments","version":"1.1"}',
            written=Content((), {"content_type": "application/json"}),
        )
        self._broker.send("deployments", event)
        return "payments 1.1 is deployed: what it rejected before succeeds from now on."


def _settings(connection: Connection) -> Settings:
    if not connection.path:
        return Settings()
    if connection.path not in FACES:
        raise ConfigError(f"{connection.name}: a shop has two brokers: write demo://shop/rabbit or demo://shop/kafka.")
    try:
        settings = msgspec.convert(connection.known_options(*_OPTIONS), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{connection.name}: seed is a number, clock milliseconds since 1970 and pace events a second: {error}."
        ) from None
    if not 0 <= settings.pace <= 1000 or not HISTORY <= (settings.clock or HISTORY) < 2**47:
        raise ConfigError(f"{connection.name}: pace is 0 to 1000 events a second, clock a time after 1970.")
    return settings
