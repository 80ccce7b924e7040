"""The embedded broker passes the contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar
from uuid import uuid4

import msgspec
import pytest

from connectors.memory import Broker, QueueSettings, embedded_broker
from connectors.memory.broker import wall_clock
from tests.contract.actions import ActionsContract
from tests.contract.suite import ConnectorContract
from tests.contract.under_test import BrokerUnderTest, Kind, Place
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability


class Memory(BrokerUnderTest):
    """An embedded broker of the test's own."""

    def __init__(self, name: str) -> None:
        self._broker: Broker = embedded_broker(name)
        self._broker.users["workbench"] = "right-password"
        self._stopped = embedded_broker(f"{name}-stopped")
        self._stopped.stop()
        self.connection = Connection.parse(f"memory=memory://workbench:right-password@{name}")
        self.intruder = Connection.parse(f"memory=memory://workbench:wrong-password@{name}")
        self.nowhere = Connection.parse(f"memory=memory://{name}-stopped")

    async def create(
        self,
        kind: str,
        *,
        partitions: int = 1,
        pattern: str = "#",
        dead_letters_to: Address | None = None,
        delivery_limit: int | None = None,
    ) -> Place:
        """An endpoint with a new name."""
        name = uuid4().hex
        address = Address("memory", name)
        exchange = Address("memory", f"{name}-exchange", "exchange")
        if kind in ("topic", "bare log"):
            self._broker.declare_topic(name, partitions, kind="topic" if kind == "topic" else "bare log")
            return Place(address, address, address)
        settings = msgspec.structs.replace(
            _SETTINGS.get(kind, QueueSettings()),
            dead_letter_exchange=_exchange(dead_letters_to),
            dead_letter_routing_key=_key(dead_letters_to),
            delivery_limit=20 if delivery_limit is None else delivery_limit,
        )
        self._broker.declare_queue(name, settings)
        if kind not in ("classic queue", "quorum queue", "exchange"):
            return Place(address, address, address)
        self._broker.declare_exchange(exchange.name)
        self._broker.bind(exchange.name, name, pattern)
        return Place(exchange if kind == "exchange" else address, exchange, address)

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Commit offsets."""
        for partition, offset in offsets.items():
            self._broker.commit(group, address.name, partition, offset)

    async def lapse(self, address: Address) -> None:
        """Turn the clock on by as much as a lease is long."""
        self._broker.clock = lambda: wall_clock() + _LEASE
        self._broker.observe()

    async def inventory(self) -> set[str]:
        """All names, with those of taps."""
        return {*self._broker.queues, *self._broker.topics, *self._broker.committed}


_LEASE = 30_000
_SETTINGS = {
    "quorum queue": QueueSettings("quorum queue"),
    "unordered queue": QueueSettings("unordered queue", order="none", lease=_LEASE, rest=20),
    "grouped queue": QueueSettings("grouped queue", order="by key", lease=_LEASE),
    "numbered queue": QueueSettings("numbered queue", lease=_LEASE, numbered=True),
}


def _exchange(dead_letters_to: Address | None) -> str | None:
    if dead_letters_to is None:
        return None
    return dead_letters_to.name if dead_letters_to.namespace == "exchange" else ""


def _key(dead_letters_to: Address | None) -> str | None:
    return dead_letters_to.name if dead_letters_to and dead_letters_to.namespace == "queue" else None


_TAKEN = Ability.BROWSE | Ability.CLAIM | Ability.REMOVE | Ability.PUBLISH | Ability.PROPERTIES
_CLASSIC = Kind(
    "classic queue",
    "queue",
    _TAKEN | Ability.TAIL,
    keeps="wire",
    free=False,
    holds=True,
    dead_letters=True,
    tapped=True,
)
_UNORDERED = Kind(
    "unordered queue",
    "queue",
    _TAKEN,
    keeps="wire",
    order="none",
    free=False,
    holds=True,
    gives_back_at_once=False,
    leases=True,
    named=True,
    counts=True,
    dead_letters=True,
)
_LOG = Ability.BROWSE | Ability.TAIL | Ability.PUBLISH | Ability.BY_POSITION | Ability.BY_TIME | Ability.PARTITIONS


class TestMemory(ConnectorContract):
    """The suite against `memory://`."""

    kinds: ClassVar[Sequence[Kind]] = (
        _CLASSIC,
        replace(_CLASSIC, name="quorum queue", counts=True),
        _UNORDERED,
        replace(
            _UNORDERED,
            name="grouped queue",
            abilities=_TAKEN | Ability.KEYS,
            keys="words",
            order="by key",
            whole=False,
            gives_back_at_once=True,
        ),
        Kind(
            "numbered queue",
            "queue",
            _TAKEN | Ability.TAIL | Ability.BY_POSITION,
            keeps="wire",
            positions="ascending",
            named=True,
            leases=True,
            counts=True,
            dead_letters=True,
        ),
        Kind(
            "exchange",
            "routes",
            Ability.TAIL | Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES,
            keeps="wire",
            keys="words",
        ),
        Kind(
            "topic",
            "log",
            _LOG
            | Ability.CLAIM
            | Ability.ATOMIC
            | Ability.FROM_END
            | Ability.SCAN
            | Ability.GROUPS
            | Ability.KEYS
            | Ability.TOMBSTONES
            | Ability.PROPERTIES,
            keeps="records",
            keys="any",
            times="published",
            positions="counted",
        ),
        Kind(
            "bare log",
            "log",
            _LOG | Ability.KEYS,
            keeps="nothing",
            keys="words",
            times="arrival",
            positions="ascending",
            countable=False,
            free=False,
        ),
    )

    @pytest.fixture
    def broker(self) -> Iterator[Memory]:
        """A broker of its own for each test."""
        yield Memory(f"contract-{uuid4().hex}")


class Shop(Memory):
    """The simulated shop's RabbitMQ, whose connector offers something besides."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.connection = Connection.parse(f"shop=demo://{name}/rabbit?clock=1795694400000&pace=0")


class TestShop(ActionsContract):
    actions = ("deploy",)

    @pytest.fixture
    def broker(self) -> Iterator[Shop]:
        yield Shop(f"shop-{uuid4().hex}")
