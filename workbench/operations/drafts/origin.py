"""Where a dead letter came from, as places to publish to: what its facts say, found among what is listed."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from workbench.facts.facts import Facts, Origin
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.event import Delivery
from workbench.operations.drafts.model import Target

_DIGITS: Final = 10
"""Digits of the number of a partition."""


class Origins(msgspec.Struct, frozen=True):
    """Where a dead letter can go.

    Attributes:
        targets: The origin first, then whatever else its facts name, and last where it was read. Without an origin
            that is listed, only the last.
        story: Where it came from, in a line; empty: its facts do not say.
        missing: Places that its facts name and that are not listed.
    """

    targets: tuple[Target, ...]
    story: str = ""
    missing: tuple[str, ...] = ()


def origins(delivery: Delivery, facts: Facts, listed: Mapping[Address, Endpoint]) -> Origins | None:
    """Where a dead letter came from; None for an event that is none.

    Only its own connection is looked at: a name says nothing about another broker.

    Args:
        delivery: As it was seen.
        facts: What the conventions say of it.
        listed: What there is.
    """
    said = list(_origins(facts))
    if not said:
        return None
    found: list[Target] = []
    missing: list[str] = []
    for origin in said:
        for target in _targets(origin, delivery):
            endpoint = listed.get(target.address)
            if endpoint is None:
                missing.append(f"{target.what} {target.address.name}")
            elif target.address != delivery.address and not any(_same(target, each) for each in found):
                found.append(_fit(target, endpoint))
    read_at = Target(delivery.address, "where it was read")
    endpoint = listed.get(delivery.address)
    targets = (*found, _fit(read_at, endpoint) if endpoint is not None else read_at)
    return Origins(targets, _story(said[0]), tuple(dict.fromkeys(missing)))


def _origins(facts: Facts) -> Iterable[Origin]:
    """What each convention says, in order of precedence: together they may name a place that never was."""
    for convention in dict.fromkeys(fact.convention for fact in facts.found):
        origin = Facts(tuple(fact for fact in facts.found if fact.convention == convention)).origin
        if origin is not None and (origin.queue or origin.topic or origin.exchange):
            yield origin


def _targets(origin: Origin, delivery: Delivery) -> Iterable[Target]:
    connection = delivery.address.connection
    if origin.topic:
        said = origin.partition or ""
        partition = int(said) if said.isascii() and said.isdecimal() and len(said) < _DIGITS else None
        yield Target(Address(connection, origin.topic), "the topic", partition=partition)
    if origin.queue:
        # The narrowest way: the other queues of an exchange have had the event.
        yield Target(Address(connection, origin.queue), "the queue")
    if origin.exchange:
        key = None if origin.key is None else origin.key.encode()
        yield Target(Address(connection, origin.exchange, "exchange"), "the exchange", key)


def _fit(target: Target, endpoint: Endpoint) -> Target:
    """The target without a partition that it has not, and without a key where none is kept."""
    if target.partition is not None and target.partition >= (endpoint.partitions or 0):
        target = msgspec.structs.replace(target, partition=None)
    return target if Ability.KEYS in endpoint.abilities else msgspec.structs.replace(target, key=b"")


def _same(one: Target, other: Target) -> bool:
    return (one.address, one.key or b"") == (other.address, other.key or b"")


def _story(origin: Origin) -> str:
    parts = []
    if origin.topic:
        place = f" {origin.partition}:{origin.offset}" if origin.partition and origin.offset else ""
        parts.append(f"topic {origin.topic}{place}")
    if origin.queue:
        parts.append(f"queue {origin.queue}")
    if origin.exchange:
        key = f" with key {origin.key}" if origin.key else ""
        parts.append(f"exchange {origin.exchange}{key}")
    return ", ".join(parts)
