"""Taps: a queue of our own, bound so that it gets copies, from which nothing is taken away.

A tap sees what exchanges route. It is deleted when it is left, and exclusive, so that it ends with the connection at
the latest. It is bounded: when its reader is too slow, the oldest copies are dropped, which is said.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Final

import msgspec

from connectors.rabbitmq import firehose
from connectors.rabbitmq.back_pressure import BackPressure
from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.deliveries import deliveries
from connectors.rabbitmq.frames import Arrival
from connectors.rabbitmq.topology import Binding, Exchange
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectorError, Unsupported
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, stretch
from workbench.model.wording import quantity

PREFIX: Final = "workbench.tap."
"""How the names of taps begin."""
_DROPPED: Final = ".dropped"
"""How the name of the queue ends that counts what a tap has dropped."""
PERMISSIONS: Final = (
    f"a tap is a temporary queue, for which its user needs configure, write and read on {PREFIX}*, and write on"
    " amq.default"
)
"""What a user needs for one, in words."""

TAPPABLE: Final = ("direct", "fanout", "topic", "headers")
"""Exchange types that copy to every matching queue. Others, such as consistent hash, share out among the queues."""

LENGTH: Final = 100_000
"""Copies that wait for a slow reader at most."""

LENGTH_BYTES: Final = 268_435_456

_COUNTED_BYTES: Final = 16_777_216
"""Bytes of dropped copies that the broker keeps until they are counted."""

WAITING: Final = 67_108_864
"""Bytes of copies that wait for a slow reader in this program; the others wait in the tap."""

ASK: Final = 5.0
"""Seconds between two questions whether copies were dropped, and whether some wait."""
_STRETCHES: Final = 20
"""Stretches of time that are told apart, in which copies were dropped."""


class Join(msgspec.Struct, frozen=True):
    """A binding that a tap makes."""

    exchange: str
    key: str
    arguments: Mapping[str, Any] = {}


class Plan(msgspec.Struct, frozen=True):
    """What a tap will see.

    Attributes:
        joins: The bindings it makes.
        gaps: What it cannot see.
        notes: What else to know, in sentences.
    """

    joins: tuple[Join, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


def of_exchange(
    exchange: Exchange, bindings: Sequence[Binding], alternate: bool, pattern: str | None, address: Address
) -> Plan:
    """How to tap an exchange without changing where its messages go.

    Args:
        exchange: Which.
        bindings: What it routes now.
        alternate: Whether it has an alternate exchange, whose messages a new key would divert.
        pattern: The binding key that the user asks for.
        address: For sentences.

    Raises:
        Unsupported: It cannot be tapped, or not with this pattern.
    """
    if exchange.name == "":
        raise Unsupported(f"{address}: the default exchange cannot be bound; tail or browse the queues instead.")
    if exchange.type not in TAPPABLE:
        raise Unsupported(
            f"{address} is of type {exchange.type}: a further queue there would take messages from the others."
        )
    existing = _distinct([Join(exchange.name, binding.routing_key, binding.table) for binding in bindings])
    if pattern is not None:
        if exchange.type not in ("direct", "topic"):
            raise Unsupported(f"{address} is of type {exchange.type} and does not route by key: leave the pattern out.")
        if alternate and all(join.key != pattern for join in existing):
            raise Unsupported(
                f"{address} has an alternate exchange, from which the new key {pattern!r} would divert messages:"
                " choose a key that is bound already."
            )
        return Plan((Join(exchange.name, pattern),))
    if exchange.type == "fanout":
        return Plan((Join(exchange.name, ""),))
    if exchange.type != "direct" and not alternate:
        # No key and no condition: all of it. Without an alternate exchange, nobody misses what only the tap gets.
        everything = (
            Join(exchange.name, "#") if exchange.type == "topic" else Join(exchange.name, "", {"x-match": "all"})
        )
        return Plan(
            (everything,), notes=("a mandatory message that only the tap gets is not returned to its publisher",)
        )
    if not existing:
        raise Unsupported(f"Nothing is bound to {address}, so that nothing passes through it: name a key to wait for.")
    return Plan(
        existing, (Gap("messages with keys that nothing is bound with", "a tap binds the keys that are bound"),)
    )


def of_queue(bindings: Sequence[Binding], types: Mapping[str, str], tracing: bool, address: Address) -> Plan:
    """How to see what arrives in a queue, by the bindings that the queue has.

    Args:
        bindings: What is routed to it.
        types: The types of the exchanges, by name.
        tracing: Whether the firehose is on.
        address: For sentences.

    Raises:
        Unsupported: No exchange that can be tapped leads to it.
    """
    routed = [binding for binding in bindings if binding.source]
    joins = [
        Join(binding.source, binding.routing_key, binding.table)
        for binding in routed
        if types.get(binding.source) in TAPPABLE
    ]
    if tracing:
        joins.append(Join(firehose.EXCHANGE, firehose.DEFAULT))
    if not joins:
        raise Unsupported(
            f"{address} cannot be tapped: only the default exchange leads to it, and nothing can be bound to that;"
            " turn on the firehose, or browse the queue instead."
        )
    missed = sorted({binding.source for binding in routed if types.get(binding.source) not in TAPPABLE})
    gaps = [Gap(f"messages through exchange {name!r}", "a tap would take them") for name in missed]
    if tracing:
        return Plan(_distinct(joins), (firehose.UNSEEN, *gaps), (firehose.NOTE,))
    return Plan(_distinct(joins), (_STRAIGHT, *gaps))


def _distinct(joins: Sequence[Join]) -> tuple[Join, ...]:
    return tuple({msgspec.json.encode((join.exchange, join.key, join.arguments)): join for join in joins}.values())


async def declare(channel: Channel, name: str) -> None:
    """Make the temporary queues of a tap: one for the copies, and one that counts those that were dropped.

    Raises:
        AccessRefused: This user lacks a permission.
    """
    dropped = f"{name}{_DROPPED}"
    await channel.declare_temporary(dropped, {"x-max-length": LENGTH, "x-max-length-bytes": _COUNTED_BYTES})
    await channel.declare_temporary(
        name,
        {
            "x-max-length": LENGTH,
            "x-max-length-bytes": LENGTH_BYTES,
            # Any other way of keeping the length would refuse messages to their producers.
            "x-overflow": "drop-head",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dropped,
        },
    )


class Tap:
    """Copies of what arrives, for as long as they are read.

    Attributes:
        coverage: What was read so far.
    """

    gapless: ClassVar = False

    def __init__(self, address: Address, plan: Plan) -> None:
        self._client: Client
        self._channel: Channel
        self._address = address
        self._plan = plan
        self._name = f"{PREFIX}{uuid.uuid4().hex}"
        self._traced = any(join.exchange == firehose.EXCHANGE for join in plan.joins)
        self._pressure: BackPressure
        self._asked = time.monotonic()
        self._caught_up = time.time_ns() // 1_000_000
        self._unasked = False
        self._dropped: list[tuple[int, int, int]] = []
        self.coverage = Coverage(gaps=plan.gaps, notes=plan.notes)

    async def open(self, client: Client) -> "Tap":
        """Declare, bind and read: from now on nothing is missed.

        Raises:
            AccessRefused: The user lacks a permission for it; the sentence says which ones a tap needs.
        """
        try:
            return await self._open(client)
        except AccessRefused as error:
            raise AccessRefused(
                f"{self._address} cannot be tapped: {PERMISSIONS}, and read on the exchanges that lead to it. {error}"
            ) from error

    async def _open(self, client: Client) -> "Tap":
        self._client, self._channel = client, await client.channel()
        try:
            await declare(self._channel, self._name)
            self._channel.keep(WAITING)
            self._pressure = BackPressure(self._channel, self._name, "tap")
            await self._pressure.begin()
            for join in self._plan.joins:
                await self._channel.bind(self._name, join.exchange, join.key, join.arguments)
        except BaseException:
            await self._remove()
            raise
        return self

    async def close(self) -> None:
        """Count what was dropped, and delete the tap."""
        try:
            if self._channel.ended is None:
                await self._count_dropped()
        finally:
            await self._remove()

    async def _remove(self) -> None:
        # The broker has kept the queues of a channel that it closed.
        with suppress(ConnectorError):
            channel = self._channel if self._channel.ended is None else await self._client.channel()
            for name in (self._name, f"{self._name}{_DROPPED}"):
                channel.delete(name)
            await channel.close()

    async def renew(self, client: Client) -> "Tap":
        """A new tap, bound as this one was."""
        return await Tap(self._address, self._plan).open(client)

    def _without_trace(self, arrival: Arrival) -> Arrival | None:
        return firehose.traced_message(arrival, self._address.name) if arrival[2] == _FIREHOSE else arrival

    def lost_since(self, heard: int) -> int:
        """What waited in the tap is lost with it: since nothing waited, or since the broker was heard."""
        return min(heard, self._caught_up) if self._unasked else heard

    async def _ask(self) -> None:
        """Find out whether copies were dropped, and whether some wait."""
        self._asked = time.monotonic()
        if self._channel.ended is not None:
            return
        asked = time.time_ns() // 1_000_000
        await self._count_dropped()
        self._unasked = bool((await self._channel.count(self._name))[0])
        if not self._unasked:
            self._caught_up = asked

    async def _count_dropped(self) -> None:
        if dropped := await self._channel.purge(f"{self._name}{_DROPPED}"):
            self._drop(self._caught_up, time.time_ns() // 1_000_000, dropped)

    def _drop(self, since: int, until: int, count: int) -> None:
        dropped = self._dropped
        if dropped and since <= dropped[-1][1]:
            dropped[-1] = (dropped[-1][0], until, dropped[-1][2] + count)
        else:
            dropped.append((since, until, count))
        if len(dropped) > _STRETCHES:
            dropped[:2] = [(dropped[0][0], dropped[1][1], dropped[0][2] + dropped[1][2])]
        gaps = [
            Gap(
                f"part of what arrived {stretch(begin, end)}, at least {quantity(lost, 'message')}",
                _TOO_SLOW,
                begin,
                end,
                lost,
            )
            for begin, end, lost in dropped
        ]
        self.coverage = msgspec.structs.replace(self.coverage, gaps=(*self._plan.gaps, *gaps))

    async def next(self) -> Sequence[Delivery]:
        """The next copies."""
        arrivals: list[Arrival] = []
        while not arrivals:
            if time.monotonic() - self._asked > ASK and self._unasked:
                await self._ask()
            await self._pressure.let_more_come({})
            arrivals = await (self._channel.arrivals_within(ASK) if self._unasked else self._channel.arrivals())
            if not arrivals:
                continue
            self._unasked = True
            self._pressure.note(arrivals)
            if self._traced:
                arrivals = [arrival for arrived in arrivals if (arrival := self._without_trace(arrived))]
        self.coverage = msgspec.structs.replace(self.coverage, read=self.coverage.read + len(arrivals))
        return deliveries(arrivals, self._address, int(time.time() * 1000), "exchange")


_FIREHOSE: Final = firehose.EXCHANGE.encode()
_STRAIGHT: Final = Gap(
    "messages published straight to the queue", "a tap sees what comes through an exchange; the firehose is off"
)
_TOO_SLOW: Final = (
    f"the reader was slow or stood still, and a tap holds {LENGTH:,} messages, or {LENGTH_BYTES // 1_048_576} MB"
)
