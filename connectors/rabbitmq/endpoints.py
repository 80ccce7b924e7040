"""Queues, streams and exchanges as endpoints: what each can do, what looking costs, where dead letters go."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.rabbitmq import taps
from connectors.rabbitmq.queue_type import KINDS
from connectors.rabbitmq.topology import Binding, Exchange, Queue
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Consumer, Endpoint, LookCost
from workbench.model.errors import ConnectorError
from workbench.model.target_rules import Burden, Rules

UNKNOWN: Final = ("type", "not known")
"""The detail of a queue of which not even the kind is known."""

_STARTS: Final = Ability.BY_POSITION | Ability.BY_TIME | Ability.FROM_END
_STREAM: Final = Ability.PUBLISH | Ability.PROPERTIES | Ability.BROWSE | Ability.TAIL | _STARTS
_QUEUE: Final = Ability.PUBLISH | Ability.PROPERTIES | Ability.BROWSE | Ability.CLAIM | Ability.REMOVE
_SINGLE: Final = "single-active-consumer"
_DEFAULT_LIMIT: Final = 20
_TROUBLES: Final = {
    "down": "its node is down (down)",
    "minority": "most of its members are down, and it works with a majority only (minority)",
}
"""What the states mean in which a queue gives and takes nothing."""
_BURDENS: Final = (
    Burden("header", "CC", "would have a copy sent to each queue that it names"),
    Burden("header", "BCC", "would have a copy sent to each queue that it names"),
    Burden("header", "x-delivery-count", "is the broker's own count"),
    Burden("header", "x-acquired-count", "is the broker's own count"),
)
_MARKED: Final = "Messages are marked as redelivered, and consumers do not get them while the look lasts."


def of_queue(
    queue: Queue,
    connection: str,
    tappable: bool,
    version: tuple[int, ...],
    ready: int | None = None,
    consumers: int | None = None,
) -> Endpoint:
    """A queue or stream.

    Args:
        queue: As the management API tells it.
        connection: The connection's name.
        tappable: Whether an exchange that can be tapped leads to it.
        version: The broker's.
        ready: Messages that can be read now, where that is known better.
        consumers: Consumers it has now, where that is known better.
    """
    kind = KINDS.get(queue.type, "classic queue")
    ready = (queue.messages if kind == "stream" else queue.messages_ready) if ready is None else ready
    consumers = queue.consumers if consumers is None else consumers
    abilities, price = _STREAM, LookCost()
    if kind != "stream":
        price = _price(delivery_limit(queue, version)) if kind == "quorum queue" else LookCost(_MARKED)
        hidden = queue.exclusive or (queue.setting(_SINGLE) and consumers)
        abilities = Ability.PUBLISH | Ability.PROPERTIES if hidden else _QUEUE
    if tappable:
        abilities |= Ability.TAIL
    return Endpoint(
        Address(connection, queue.name),
        kind,
        "log" if kind == "stream" else "queue",
        abilities,
        depth=ready,
        published=queue.published,
        consumers=consumers,
        held=None if kind == "stream" else queue.messages_unacknowledged,
        dead_letters_to=_dead_letters_to(queue, connection),
        cost=price,
        trouble=_TROUBLES.get(queue.state or "", ""),
        detail=tuple(_queue_detail(queue)),
        readers=tuple(
            Consumer(each.consumer_tag, each.channel, each.prefetch_count, each.active, each.ack_required)
            for each in queue.consumer_details
        ),
    )


def check_works(endpoint: Endpoint) -> None:
    """Nothing, if it works.

    Raises:
        ConnectorError: It can be neither read nor written now. RabbitMQ itself would let us wait for a minute.
    """
    if endpoint.trouble:
        raise ConnectorError(f"{endpoint.address} can be neither read nor written now: {endpoint.trouble}.")


def recounted(queue: Endpoint, answer: tuple[int, int] | ConnectorError) -> Endpoint | ConnectorError:
    """A listed queue with its messages and consumers as a passive declare tells them, or why they are not known.

    For a quorum queue without a leader the broker answers with none of both (`rabbit_quorum_queue:stat`).
    """
    if isinstance(answer, ConnectorError):
        return answer
    if queue.trouble:
        return ConnectorError(f"The queue can be neither read nor written now: {queue.trouble}.")
    ready, consumers = answer
    return msgspec.structs.replace(queue, depth=ready, consumers=consumers)


def amqp_only_endpoint(
    address: Address, reason: str, version: tuple[int, ...], kind: str | None, ready: int, consumers: int
) -> Endpoint:
    """An endpoint of which only AMQP tells, which says of a queue neither its settings nor its policies.

    Args:
        address: Where it is.
        reason: Why the management API tells nothing.
        version: The broker's.
        kind: A queue's kind; None where not even that is known.
        ready: Messages that can be read now.
        consumers: Consumers it has now.
    """
    detail: tuple[tuple[str, str], ...] = (("not known", reason),)
    if address.namespace == "exchange":
        abilities = Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES
        return Endpoint(address, "exchange", "routes", abilities, detail=detail)
    if kind is None:
        detail = (UNKNOWN, *detail)
    if kind == "stream":
        return Endpoint(address, kind, "log", _STREAM, ready, consumers=consumers, detail=detail)
    # A quorum queue is the kind that takes the most care.
    kind = kind or "quorum queue"
    limit = _DEFAULT_LIMIT if version >= (4,) else None
    price = _unsure_price(limit, UNKNOWN not in detail) if kind == "quorum queue" else LookCost(_MARKED)
    return Endpoint(address, kind, "queue", _QUEUE, ready, consumers=consumers, cost=price, detail=detail)


def rules(endpoint: Endpoint, version: tuple[int, ...], headers_size: int, user: str) -> Rules:
    """What an endpoint can hold of an event.

    What streams do to headers was measured on 3.10 and 4.0: AMQP 1.0, in which they keep messages, has no such values
    in its application properties (part 3, 3.2.5). RabbitMQ 4.0 keeps the headers of a message in a map.

    Args:
        endpoint: Which.
        version: The broker's.
        headers_size: Bytes that properties and headers may take on this connection.
        user: Who is logged in.
    """
    kind = endpoint.kind
    stream = kind == "stream"
    forgets, forgets_beyond = ("", None) if endpoint.family != "queue" else _forgets(dict(endpoint.detail))
    return Rules(
        endpoint.address,
        "RabbitMQ",
        encoding="amqp-0-9-1",
        null_bodies=False,
        lost_properties=frozenset(("cluster_id",)) if stream else frozenset(),
        keys=kind == "exchange",
        key_size=255,
        repeated_headers=version < (4,),
        refused_headers=frozenset(("decimal",)) if stream else frozenset(),
        lost_headers=frozenset(("array", "table")) if stream else frozenset(),
        headers_size=headers_size,
        time_step=1000,
        burdens=(*_BURDENS, Burden("property", "user_id", "belongs to another user, which RabbitMQ refuses", user)),
        forgets=forgets,
        forgets_beyond=forgets_beyond,
    )


def _forgets(detail: Mapping[str, str]) -> tuple[str, int | None]:
    """What a queue does with its oldest messages when it is full, and beyond how many; see `Rules`."""
    if "not known" in detail:
        return "may have a length limit, which is not known, and then drops its oldest", None
    if detail.get("overflow", "drop-head") != "drop-head":
        return "", None
    most, most_bytes = detail.get("max-length"), detail.get("max-length-bytes")
    if most is not None and most_bytes is None and most.isdecimal():
        return f"drops its oldest beyond {int(most):,} (max-length)", int(most)
    if most is not None or most_bytes is not None:
        return "drops its oldest beyond its max-length-bytes", None
    return "", None


def why_not(endpoint: Endpoint, ability: Ability) -> str:
    """Why an endpoint cannot do this, in a sentence that says what to do instead."""
    address, detail = endpoint.address, dict(endpoint.detail)
    if ability is Ability.TAIL and "not known" in detail:
        return f"{address} cannot be tapped without knowing its bindings: {detail['not known']}"
    if ability is Ability.TAIL and endpoint.kind == "exchange":
        return f"{address} is of type {detail.get('type')}: a tap would take its messages instead of copying them."
    if ability is Ability.TAIL:
        return (
            f"{address} cannot be tapped: only the default exchange leads to it, and nothing can be bound to that;"
            " browse it instead."
        )
    if endpoint.kind == "exchange":
        return f"{address} is an exchange, which holds no messages: tail it instead."
    if endpoint.kind == "stream":
        return f"{address} is a stream, which gives nothing up: browse it and publish what you choose."
    if "exclusive" in detail:
        return f"{address} is exclusive to another connection: nobody else can read it."
    return f"{address} has a single active consumer, which alone gets messages: stop it, or tail the queue instead."


def _unsure_price(limit: int | None, known: bool) -> LookCost:
    """That of a queue whose settings and policies are not known, and perhaps not even its kind."""
    counted = f"of which a message has {limit}, or fewer" if limit is not None else "of which a message may have few"
    return LookCost(f"{_MARKED} Each look {'counts' if known else 'may count'} as a delivery, {counted}.", limit=limit)


def _price(limit: int | None) -> LookCost:
    counted = f", of which a message has {limit}" if limit is not None else "; no limit is set"
    return LookCost(f"{_MARKED} Each look counts as a delivery{counted}.", limit=limit)


def _dead_letters_to(queue: Queue, connection: str) -> tuple[Address, ...]:
    exchange, key = queue.setting("dead-letter-exchange"), queue.setting("dead-letter-routing-key")
    if not isinstance(exchange, str):
        return ()
    if exchange:
        return (Address(connection, exchange, "exchange"),)
    return (Address(connection, key if isinstance(key, str) else queue.name),)


def of_exchange(exchange: Exchange, connection: str) -> Endpoint:
    """An exchange."""
    abilities = Ability.KEYS | Ability.PROPERTIES
    if not exchange.internal:
        abilities |= Ability.PUBLISH
    if exchange.type in taps.TAPPABLE and exchange.name:
        abilities |= Ability.TAIL
    return Endpoint(
        Address(connection, exchange.name, "exchange"),
        "exchange",
        "routes",
        abilities,
        published=exchange.published,
        cost=LookCost("Every message is copied once more: the broker is slower while the tap is open."),
        detail=(("type", exchange.type), *((("policy", exchange.policy),) if exchange.policy else ())),
    )


def link_dead_letters(endpoints: Sequence[Endpoint], bindings: Sequence[Binding]) -> list[Endpoint]:
    """The same endpoints, by name, with the dead letters followed through the exchanges that they go to."""
    sources: dict[Address, list[Address]] = {}
    routes: dict[str, list[str]] = {}
    for binding in bindings:
        if binding.destination_type == "queue":
            routes.setdefault(binding.source, []).append(binding.destination)
    complete = []
    for endpoint in endpoints:
        reached = list(endpoint.dead_letters_to)
        for target in endpoint.dead_letters_to:
            if target.namespace == "exchange":
                reached += [Address(target.connection, name) for name in dict.fromkeys(routes.get(target.name, ()))]
        for address in reached:
            sources.setdefault(address, []).append(endpoint.address)
        complete.append(msgspec.structs.replace(endpoint, dead_letters_to=tuple(reached)))
    found = []
    for endpoint in complete:
        if of := sources.get(endpoint.address):
            # The broker counts what is published, and not the dead letters that it moves itself.
            endpoint = msgspec.structs.replace(endpoint, dead_letters_of=tuple(of), published=None)
        found.append(endpoint)
    return sorted(found, key=lambda endpoint: (endpoint.address.name, endpoint.address.namespace))


def delivery_limit(queue: Queue, version: tuple[int, ...]) -> int | None:
    """After how many returns a quorum queue gives a message up; None: never.

    20 by default since 4.0 (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling); negative is none.
    """
    limits = [limit for limit in queue.settings("delivery-limit") if isinstance(limit, int)]
    limit: int | None = min(limits) if limits else None
    if limit is None:
        return _DEFAULT_LIMIT if version >= (4,) else None
    return limit if limit >= 0 else None


def _queue_detail(queue: Queue) -> list[tuple[str, str]]:
    facts: list[tuple[str, Any]] = [
        ("type", queue.type),
        ("policy", queue.policy),
        ("unacknowledged", queue.messages_unacknowledged or None),
        ("acknowledged a second", queue.acknowledged),
        ("exclusive", "yes" if queue.exclusive else None),
        ("durable", None if queue.durable else "no"),
        ("state", queue.state if queue.state not in (None, "running") else None),
    ]
    facts += [
        (name, queue.setting(name))
        for name in ("max-length", "max-length-bytes", "message-ttl", "overflow", "expires", _SINGLE)
    ]
    return [(name, str(value)) for name, value in facts if value is not None]
