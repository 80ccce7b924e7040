"""Queues, topics and exchanges as endpoints: what each can do, what looking costs, where dead letters go."""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial

from connectors.memory.broker import Broker
from connectors.memory.exchanges import Exchange
from connectors.memory.logs import LogKind, Topic
from connectors.memory.queues import Queue, QueueSettings
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Consumer, Endpoint, LookCost

_QUEUE = Ability.BROWSE | Ability.CLAIM | Ability.REMOVE | Ability.PUBLISH | Ability.PROPERTIES
_DEFAULT_EXCHANGE = Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES
_EXCHANGE = Ability.TAIL | _DEFAULT_EXCHANGE
_STARTS = Ability.BY_POSITION | Ability.BY_TIME | Ability.FROM_END
_TOPIC = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.CLAIM
    | Ability.ATOMIC
    | Ability.PUBLISH
    | _STARTS
    | Ability.SCAN
    | Ability.GROUPS
    | Ability.PARTITIONS
    | Ability.KEYS
    | Ability.TOMBSTONES
    | Ability.PROPERTIES
)
_BARE_LOG = (
    Ability.BROWSE
    | Ability.TAIL
    | Ability.PUBLISH
    | Ability.BY_POSITION
    | Ability.BY_TIME
    | Ability.PARTITIONS
    | Ability.KEYS
)
_STREAM = Ability.BROWSE | Ability.TAIL | Ability.PUBLISH | _STARTS | Ability.PROPERTIES
_LOGS: Mapping[LogKind, Ability] = {"topic": _TOPIC, "stream": _STREAM, "bare log": _BARE_LOG}


def endpoint_of(broker: Broker, connection: str, found: Queue | Topic | Exchange) -> Endpoint:
    """One of a broker's queues, topics and exchanges.

    Args:
        broker: The broker.
        connection: The connection's name.
        found: Which.
    """
    match found:
        case Queue():
            return of_queue(broker, connection, found, broker.dead_letter_sources(), broker.bound_queues())
        case Topic():
            return of_topic(broker, connection, found)
        case _:
            return of_exchange(broker, connection, found)


def of_queue(
    broker: Broker, connection: str, queue: Queue, sources: Mapping[str, Sequence[str]], bound: Set[str]
) -> Endpoint:
    """A queue.

    Args:
        broker: The broker.
        connection: The connection's name.
        queue: Which.
        sources: The queues whose dead letters a queue gets, by its name.
        bound: The queues that an exchange leads to.
    """
    exchange = queue.settings.dead_letter_exchange
    to = [Address(connection, exchange, "exchange")] if exchange else []
    to += [Address(connection, target.name) for target in broker.dead_letter_queues(queue)]
    of = sources.get(queue.name, ())
    abilities = _QUEUE
    if queue.name in bound or queue.settings.numbered:
        abilities |= Ability.TAIL
    if queue.settings.numbered:
        abilities |= Ability.BY_POSITION
    if queue.settings.keeps_keys:
        abilities |= Ability.KEYS
    return Endpoint(
        Address(connection, queue.name),
        queue.settings.kind,
        "queue",
        abilities,
        depth=queue.depth,
        published=queue.published,
        consumers=len(broker.consumers(queue)),
        held=sum(len(each.held) for each in broker.consumers(queue)),
        dead_letters_to=tuple(to),
        dead_letters_of=tuple(map(partial(Address, connection), of)),
        cost=_look_cost(queue),
        detail=tuple(_details(queue.settings)),
    )


def of_exchange(broker: Broker, connection: str, exchange: Exchange) -> Endpoint:
    """An exchange; the default one has no name."""
    price = LookCost("Every message is copied once more while the tap is open.")
    of = [
        queue.name
        for queue in broker.queues.values()
        if exchange.name and queue.settings.dead_letter_exchange == exchange.name
    ]
    return Endpoint(
        Address(connection, exchange.name, "exchange"),
        "exchange",
        "routes",
        _EXCHANGE if exchange.name else _DEFAULT_EXCHANGE,
        published=exchange.published if exchange.name else None,
        dead_letters_of=tuple(map(partial(Address, connection), of)),
        cost=price if exchange.name else LookCost(),
        detail=(("type", exchange.type),),
    )


def of_topic(broker: Broker, connection: str, topic: Topic) -> Endpoint:
    """A topic or stream."""
    to = [other.name for other in broker.topics.values() if topic.name in other.dead_letters_of]
    return Endpoint(
        Address(connection, topic.name),
        topic.kind,
        "log",
        _LOGS[topic.kind],
        depth=None if topic.bare else topic.depth,
        published=None if topic.bare else topic.published,
        partitions=len(topic.partitions) if topic.partitioned else None,
        dead_letters_to=tuple(map(partial(Address, connection), to)),
        dead_letters_of=tuple(map(partial(Address, connection), topic.dead_letters_of)),
        cost=LookCost("Takes from the reads that consumers share.") if topic.bare else LookCost(),
    )


def readers_of(broker: Broker, queue: Queue) -> tuple[Consumer, ...]:
    """Who consumes from a queue."""
    found = broker.consumers(queue)
    return tuple(Consumer(each.tag, "", each.prefetch, active=True, acknowledges=True) for each in found)


def _look_cost(queue: Queue) -> LookCost:
    if queue.settings.numbered:
        return LookCost()
    sentence = "Sets `redelivered`; while the look is open, consumers do not get what it shows."
    if queue.limit is None:
        return LookCost(sentence)
    used = max((message.returns for message in queue.waiting()), default=0)
    return LookCost(f"{sentence} Counts as a delivery: {used} of {queue.limit} are used.", used, queue.limit)


def _details(settings: QueueSettings) -> Iterator[tuple[str, str]]:
    for name in ("message_ttl", "max_length", "lease", "dead_letter_exchange", "dead_letter_routing_key"):
        if (value := getattr(settings, name)) is not None:
            yield name.replace("_", "-"), str(value)
