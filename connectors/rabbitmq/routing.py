"""Who gets a message: the way through exchanges, bindings and alternate exchanges, as the broker would go it.

https://www.rabbitmq.com/docs/e2e, https://www.rabbitmq.com/docs/ae and https://www.rabbitmq.com/docs/sender-selected
"""

from collections.abc import Mapping, Sequence
from typing import Final, get_args

from connectors.rabbitmq.topology import Binding, Exchange, Topology
from workbench.model.address import Address
from workbench.model.content import Value
from workbench.model.errors import EndpointNotFound
from workbench.model.event import Event
from workbench.model.route import ExchangeType, Route, binding_matches

_TYPES: Final = get_args(ExchangeType)
_FOLLOWED: Final = 50
"""Exchanges that are followed of one message: each is a question to the broker."""


async def route(topology: Topology, address: Address, event: Event) -> Route:
    """Who gets a message that is published to an exchange.

    Raises:
        EndpointNotFound: There is no such exchange.
        ConnectorError: The management API cannot be asked.
    """
    headers = dict(event.headers)
    keys = [event.key or b"", *_more_keys(headers)]
    if not address.name:
        return Route(tuple([Address(address.connection, name) for name in await _queues(topology, keys)]))
    queues: dict[str, None] = {}
    remarks: dict[str, None] = {}
    asked: set[str] = set()
    waiting = [address.name]
    while waiting and len(asked) < _FOLLOWED:
        name = waiting.pop()
        if name in asked:
            continue
        asked.add(name)
        exchange = await topology.exchange(name)
        bindings = await topology.bindings_from(name)
        matching = [each for each in bindings if any(_matches(exchange, each, key, headers) for key in keys)]
        for binding in matching:
            if binding.destination_type == "exchange":
                waiting.append(binding.destination)
            else:
                queues[binding.destination] = None
        if exchange.type not in _TYPES:
            remarks[
                f"The exchange {name} is of type {exchange.type}: which of its queues get the event, it decides."
            ] = None
        elif not matching and (alternate := exchange.alternate):
            waiting.append(alternate)
        elif not matching and await topology.alternate(exchange):
            remarks[f"The exchange {name} has an alternate exchange, which gets the event."] = None
    if waiting:
        remarks[f"Only {_FOLLOWED} exchanges were followed."] = None
    return Route(tuple(Address(address.connection, name) for name in queues), tuple(remarks))


def _matches(exchange: Exchange, binding: Binding, key: bytes, headers: Mapping[str, Value]) -> bool:
    for type in _TYPES:
        if exchange.type == type:
            return binding_matches(type, binding.routing_key.encode(), binding.table, key, headers)
    return True


def _more_keys(headers: Mapping[str, Value]) -> Sequence[bytes]:
    """The keys that the headers CC and BCC add."""
    values = [headers.get(name) for name in ("CC", "BCC")]
    return [
        key.encode() for value in values if isinstance(value, list | tuple) for key in value if isinstance(key, str)
    ]


async def _queues(topology: Topology, keys: Sequence[bytes]) -> Sequence[str]:
    """Which keys are the names of queues, as the default exchange takes them."""
    found = []
    for name in dict.fromkeys(key.decode("utf-8", "replace") for key in keys):
        try:
            found.append((await topology.queue(name)).name if name else "")
        except EndpointNotFound:
            continue
    return list(filter(None, found))
