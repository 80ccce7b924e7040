"""Who receives what is published to a target: read from what is listed, and of an exchange from its routes."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from workbench.decode.display import visible_bytes
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.groups import Group
from workbench.model.route import Route
from workbench.model.wording import quantity

_NAMED: Final = 4
"""Names that stand in a sentence."""


class Audience(msgspec.Struct, frozen=True):
    """Who receives an event, in a line.

    Attributes:
        sentence: For people, without a full stop.
        kind: "good", or "warn" where nobody reads it now, or "wrong" where nobody will.
    """

    sentence: str
    kind: Literal["good", "warn", "wrong"] = "good"


def audience(endpoint: Endpoint, key: bytes | None, groups: Sequence[Group], route: Route | None) -> Audience:
    """Who receives an event.

    Args:
        endpoint: Where it is published, as it was listed.
        key: Its key.
        groups: The consumer groups of the connection.
        route: Which queues get it; None where that is not known, or the endpoint keeps what it gets.
    """
    if Ability.PUBLISH not in endpoint.abilities:
        return Audience(f"{endpoint.address} takes no events", "wrong")
    match endpoint.family:
        case "routes":
            return _of_routes(endpoint, key, route)
        case "log":
            return _of_log(endpoint, groups)
    if endpoint.consumers is None:
        return Audience(f"{endpoint.kind}: its consumers are not known")
    if not endpoint.consumers:
        return Audience(f"{endpoint.kind}: no consumer reads it now, so it waits", "warn")
    return Audience(f"{quantity(endpoint.consumers, 'consumer')} of this {endpoint.kind} can get it")


def _of_routes(endpoint: Endpoint, key: bytes | None, route: Route | None) -> Audience:
    if route is None:
        return Audience(endpoint.kind)
    sure = f"; {route.remarks[0].rstrip('.')}" if route.remarks else ""
    if not route.endpoints:
        said = f"no queue for key {visible_bytes(key, 60)}" if key else "no queue for an event without a key"
        return Audience(f"{said}{sure}", "warn" if sure else "wrong")
    count = len(route.endpoints)
    verb = "gets" if count == 1 else "get"
    return Audience(f"{quantity(count, 'queue')} {verb} it: {_names(each.name for each in route.endpoints)}{sure}")


def _of_log(endpoint: Endpoint, groups: Sequence[Group]) -> Audience:
    what = endpoint.kind if endpoint.partitions is None else quantity(endpoint.partitions, "partition")
    if Ability.GROUPS not in endpoint.abilities:
        return Audience(what)
    readers = [group.name for group in groups if any(each.address == endpoint.address for each in group.partitions)]
    if not readers:
        return Audience(f"{what}, no consumer group reads it", "warn")
    return Audience(f"{what}, read by {_names(readers)}")


def _names(names: Iterable[str]) -> str:
    some = list(names)
    more = f" and {len(some) - _NAMED:,} more" if len(some) > _NAMED else ""
    return f"{', '.join(some[:_NAMED])}{more}"
