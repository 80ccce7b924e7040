"""What the contract suite must know of a broker: its kinds of endpoint, and how one is made and seen from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol
from uuid import uuid4

import pytest

from tests.contract.samples import Keeps, Keys, samples
from workbench.connecting.config import Connection
from workbench.model.address import Address, Namespace
from workbench.model.endpoint import Ability, Family
from workbench.model.event import Delivery, Event

Order = Literal["arrival", "by key", "none"]
"""In which order events are seen: in that in which they came (within a partition, where there are partitions), in that
among those of one key, or in none."""

Times = Literal["published", "arrival", "any"]
"""Which time an event has: its publisher's where that gave one, that of its arrival, or whatever the broker likes."""

Positions = Literal["counted", "ascending", "none"]
"""What identifies an event: offsets that count from 0, offsets that ascend and say no more, or nothing."""


@dataclass(frozen=True)
class Kind:
    """What the suite must know of a kind of endpoint. It is held to all of it: what is said here and not true, fails.

    Attributes:
        name: What its endpoints say they are.
        family: How it treats events.
        abilities: Exactly those that it claims.
        keeps: How much of properties and headers it keeps.
        keys: Which keys it keeps; where it keeps none, its rules say what takes their place.
        times: Which time an event has.
        positions: What identifies an event.
        named: Whether its broker gives each event a name of its own.
        order: In which order events are seen.
        countable: Whether it says its depth.
        whole: Whether one look sees all there is; else its coverage says that it did not.
        free: Whether a look costs nothing; else its price is said in words.
        holds: Whether a look takes the messages and gives them back.
        gives_back_at_once: Whether what was held can be taken again as soon as it was given back, or some time later.
        leases: Whether what is claimed goes back when a lease is over.
        counts: Whether it counts deliveries and has a delivery limit.
        dead_letters: Whether its dead letters can go to another endpoint of this kind.
        tapped: Whether exchanges feed it, so that a tail sees what comes through them.
    """

    name: str
    family: Family
    abilities: Ability
    keeps: Keeps
    keys: Keys = "none"
    times: Times = "any"
    positions: Positions = "none"
    named: bool = False
    order: Order = "arrival"
    countable: bool = True
    whole: bool = True
    free: bool = True
    holds: bool = False
    gives_back_at_once: bool = True
    leases: bool = False
    counts: bool = False
    dead_letters: bool = False
    tapped: bool = False

    @property
    def placed(self) -> bool:
        """Whether it can be chosen where a look begins."""
        return self.family == "log" or Ability.BY_POSITION in self.abilities

    def events(self, count: int) -> Sequence[Event]:
        """So many events that this kind of endpoint can keep in full, but for their times where it gives its own."""
        timed = self.times != "any"
        return samples(count, self.keeps, self.keys, timed, Ability.TOMBSTONES in self.abilities)

    def bodies(self, seen: Sequence[Delivery | Event]) -> list[bytes | None]:
        """What a test tells events apart by, in an order that is the same for the same events of this kind."""
        events = [item.event if isinstance(item, Delivery) else item for item in seen]
        if self.order == "none":
            events.sort(key=lambda event: event.body or b"")
        elif self.order == "by key":
            events.sort(key=lambda event: event.key or b"")
        return bodies(events)


def bodies(seen: Sequence[Delivery | Event]) -> list[bytes | None]:
    """What a test tells events apart by, in the order seen."""
    return [(item.event if isinstance(item, Delivery) else item).body for item in seen]


@dataclass(frozen=True)
class Place:
    """An endpoint made for one test.

    Attributes:
        address: The endpoint.
        fed_by: Publish here, and a tail of `address` shows it: for a tapped queue an exchange bound to it by `#`.
        read_at: Browse here to see what was published to `address`: for an exchange a queue bound to it.
    """

    address: Address
    fed_by: Address
    read_at: Address


class BrokerUnderTest(Protocol):
    """A broker, seen from outside: nothing here goes through the connector.

    Attributes:
        connection: A connection that works.
        intruder: The same with the password `wrong-password`.
        nowhere: A connection to where no broker answers.
    """

    connection: Connection
    intruder: Connection
    nowhere: Connection

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
            kind: The name of one that the broker has.
            partitions: Of a log that has any.
            pattern: By which an exchange's queue is bound to it.
            dead_letters_to: A queue (through the default exchange) or an exchange, with the dead letters' own keys.
            delivery_limit: Where deliveries are counted; None: the broker's default.
        """
        ...

    async def commit(self, group: str, address: Address, offsets: Mapping[int, int]) -> None:
        """Let a consumer group commit offsets, by partition. Only where there are groups."""
        raise AssertionError("a kind of endpoint has `Ability.GROUPS`, and nothing here commits")

    async def lapse(self, address: Address) -> None:
        """Let the leases of all that is held of an endpoint be over. Only where there are leases."""
        raise AssertionError("a kind of endpoint `leases`, and nothing here lets a lease be over")

    async def inventory(self) -> set[str]:
        """The names of all queues, topics and consumer groups there are, also the temporary ones of connectors."""
        ...


needs = pytest.mark.needs
"""Selects the kinds of endpoint that a test is for: `needs(Ability.TAIL, lacks=Ability.GROUPS, order="arrival")`."""


class Contract:
    """What all parts of the suite share. A broker's module adds `kinds`, and the fixture `broker`."""

    kinds: ClassVar[Sequence[Kind]]

    def missing(self, broker: BrokerUnderTest, kind: Kind) -> Address:
        """The address of an endpoint that does not exist."""
        namespace: Namespace = "exchange" if kind.family == "routes" else "queue"
        return Address(broker.connection.name, f"contract-missing-{uuid4().hex}", namespace)
