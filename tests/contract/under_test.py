"""What the contract suite must know of a broker: its kinds of endpoint, and how one is made and seen from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol
from uuid import uuid4

import pytest

from tests.contract.samples import Keeps, Keys, samples
from workbench.connecting.config import Connection
from workbench.model.address import Address, Namespace
from workbench.model.endpoint import Ability
from workbench.model.event import Event


@dataclass(frozen=True)
class Kind:
    """What the suite must know of a kind of endpoint.

    Attributes:
        abilities: Exactly those that it claims.
        keeps: How much of properties and headers it keeps.
        keys: Which keys it keeps.
        holds: A look takes the messages and gives them back (a classic or quorum queue); it may have dead letters.
        counts: It counts deliveries, and has a delivery limit (a quorum queue).
        routes: It keeps nothing and hands on by routing key (an exchange).
    """

    abilities: Ability
    keeps: Keeps
    keys: Keys = "none"
    holds: bool = False
    counts: bool = False
    routes: bool = False

    @property
    def log(self) -> bool:
        """Whether it keeps what was read, in the order that it came."""
        return not self.holds and not self.routes

    def events(self, count: int) -> Sequence[Event]:
        """So many events that this kind of endpoint can keep in full."""
        return samples(count, self.keeps, self.keys, Ability.TOMBSTONES in self.abilities)


@dataclass(frozen=True)
class Place:
    """An endpoint made for one test.

    Attributes:
        address: The endpoint.
        fed_by: Publish here, and a tail of `address` shows it: for a queue an exchange bound to it by `#`.
        read_at: Browse here to see what was published to `address`: for an exchange a classic queue bound to it.
    """

    address: Address
    fed_by: Address
    read_at: Address


class BrokerUnderTest(Protocol):
    """A broker, seen from outside: nothing here goes through the connector."""

    @property
    def connection(self) -> Connection:
        """A connection that works."""
        ...

    @property
    def intruder(self) -> Connection:
        """The same with the password `wrong-password`."""
        ...

    @property
    def nowhere(self) -> Connection:
        """A connection to where no broker answers."""
        ...

    async def create(
        self,
        kind: str,
        *,
        partitions: int = 1,
        pattern: str = "#",
        dead_letters_to: Address | None = None,
        delivery_limit: int | None = None,
    ) -> Place:
        """A new endpoint with a name of its own, ready for use; removed after the test.

        Args:
            kind: One that the broker has.
            partitions: Of a topic.
            pattern: By which an exchange's queue is bound to it.
            dead_letters_to: A queue (through the default exchange) or an exchange, with the dead letters' own keys.
            delivery_limit: Of a quorum queue; None: the broker's default.
        """
        ...

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Let a consumer group commit offsets, by partition. Only where there are groups."""
        ...

    async def inventory(self) -> set[str]:
        """The names of all queues, topics and consumer groups there are, also the temporary ones of connectors."""
        ...


needs = pytest.mark.needs
"""Selects the kinds of endpoint that a test is for: `needs(Ability.TAIL, lacks=Ability.GROUPS, holds=True)`."""


class Contract:
    """What all parts of the suite share. A broker's module adds `kinds`, and the fixture `broker`."""

    kinds: ClassVar[Mapping[str, Kind]]

    def missing(self, broker: BrokerUnderTest, kind: str) -> Address:
        """The address of an endpoint that does not exist."""
        namespace: Namespace = "exchange" if self.kinds[kind].routes else "queue"
        return Address(broker.connection.name, f"contract-missing-{uuid4().hex}", namespace)
