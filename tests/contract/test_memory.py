"""The embedded broker passes the contract."""

from collections.abc import Iterator, Mapping
from typing import ClassVar
from uuid import uuid4

import pytest

from connectors.memory import Broker, QueueSettings, embedded_broker
from tests.contract.suite import ConnectorContract
from tests.contract.under_test import Kind, Place
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability


class Memory:
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
        if kind == "topic":
            self._broker.declare_topic(name, partitions)
            return Place(address, address, address)
        self._broker.declare_exchange(exchange.name)
        settings = QueueSettings(
            "quorum queue" if kind == "quorum queue" else "classic queue",
            dead_letter_exchange=_exchange(dead_letters_to),
            dead_letter_routing_key=_key(dead_letters_to),
            delivery_limit=20 if delivery_limit is None else delivery_limit,
        )
        self._broker.declare_queue(name, settings)
        self._broker.bind(exchange.name, name, pattern)
        return Place(exchange if kind == "exchange" else address, exchange, address)

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Commit offsets."""
        for partition, offset in offsets.items():
            self._broker.commit(group, address.name, partition, offset)

    async def inventory(self) -> set[str]:
        """All names, with those of taps."""
        return {*self._broker.queues, *self._broker.topics, *self._broker.committed}


def _exchange(dead_letters_to: Address | None) -> str | None:
    if dead_letters_to is None:
        return None
    return dead_letters_to.name if dead_letters_to.namespace == "exchange" else ""


def _key(dead_letters_to: Address | None) -> str | None:
    return dead_letters_to.name if dead_letters_to and dead_letters_to.namespace == "queue" else None


_QUEUE = Ability.BROWSE | Ability.TAIL | Ability.CLAIM | Ability.REMOVE | Ability.PUBLISH | Ability.PROPERTIES


class TestMemory(ConnectorContract):
    """The suite against `memory://`."""

    kinds: ClassVar[Mapping[str, Kind]] = {
        "classic queue": Kind(_QUEUE, keeps="wire", holds=True),
        "quorum queue": Kind(_QUEUE, keeps="wire", holds=True, counts=True),
        "exchange": Kind(
            Ability.TAIL | Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES, keeps="wire", keys="words", routes=True
        ),
        "topic": Kind(
            Ability.BROWSE
            | Ability.TAIL
            | Ability.PUBLISH
            | Ability.BY_POSITION
            | Ability.BY_TIME
            | Ability.FROM_END
            | Ability.GROUPS
            | Ability.PARTITIONS
            | Ability.KEYS
            | Ability.TOMBSTONES
            | Ability.PROPERTIES,
            keeps="records",
            keys="any",
        ),
    }

    @pytest.fixture
    def broker(self) -> Iterator[Memory]:
        """A broker of its own for each test."""
        yield Memory(f"contract-{uuid4().hex}")
