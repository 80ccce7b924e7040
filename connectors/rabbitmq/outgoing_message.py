"""A message on its way to an exchange: what of it RabbitMQ cannot take, and why one came back."""

import math
import re
from typing import Final

import msgspec

from connectors.rabbitmq.frames import Returned
from workbench.model.address import Address
from workbench.model.content import text
from workbench.model.errors import ConnectorError, EndpointNotFound, FormatError, PublishRejected
from workbench.model.event import Event
from workbench.model.wire import Wire, decode, encode, field_types, manifest

PREAMBLE: Final = 20
"""Bytes of a frame around properties and headers, which have to fit into one."""
_RISKY: Final = frozenset({"decimal", "int16"})
"""Types of headers for which a stream, or any queue where the letter is `U`, closes the connection."""
_RISKY_LETTERS: Final = re.compile(rb"[DU][\x00-\x1f]")
"""What their letters and values begin with, and other bytes may, too."""
_MAY_BE_INFINITE: Final = frozenset({"float32", "float64", "array", "table"})
"""Types of headers that are such numbers, or may hold some."""
_NO_ROUTE: Final = 312


class Target:
    """Where events go.

    Attributes:
        address: Its address.
        exchange: What is published to; empty: the default exchange.
        queue: The routing key of all events, to reach a queue; None: each event has its own.
    """

    __slots__ = ("address", "exchange", "queue")

    def __init__(self, address: Address) -> None:
        name = address.name.encode("utf-8", "surrogateescape")
        self.address = address
        self.exchange = name if address.namespace == "exchange" else b""
        self.queue = None if address.namespace == "exchange" else name


class Outgoing:
    """A message that the broker has not answered for.

    Attributes:
        size: What it takes of the window, in bytes.
    """

    __slots__ = ("body", "key", "properties", "resent", "returned", "sequence", "size", "target")

    def __init__(self, sequence: int, target: Target, key: bytes, properties: bytes, body: bytes) -> None:
        self.sequence = sequence
        self.target = target
        self.key = key
        self.properties = properties
        self.body = body
        self.size = len(body) + len(properties)
        self.returned: Returned | None = None
        self.resent = False


def prepare(sequence: int, target: Target, event: Event, frame_max: int) -> Outgoing:
    """The message that an event makes.

    Args:
        sequence: The event's number.
        target: Where it goes.
        event: The event.
        frame_max: Bytes of the largest frame that the broker takes.

    Raises:
        FormatError: RabbitMQ could not take it; the sentence goes on from what did not take it.
    """
    key = target.queue if target.queue is not None else event.key or b""
    properties = properties_of(event)
    if len(key) > 255:
        raise FormatError(f"its key has {len(key)} bytes, and AMQP allows 255")
    if len(properties) > frame_max - PREAMBLE:
        raise FormatError(
            f"its properties and headers take {len(properties):,} bytes, and this broker takes {frame_max - PREAMBLE:,}"
        )
    return Outgoing(sequence, target, key, properties, event.body or b"")


def is_risky(message: Outgoing, user: str) -> bool:
    """Whether the broker may find a message invalid, and close the channel over it.

    Args:
        message: The message.
        user: Who is logged in.
    """
    properties = message.properties
    if not message.key.isascii() and isinstance(text(message.key), bytes):
        return True
    # Property flags: bit 8 is expiration, bit 4 is user_id.
    flagged = len(properties) >= 2 and (properties[0] & 0x01 or properties[1] & 0x10)
    lettered = (b"D" in properties or b"U" in properties) and _RISKY_LETTERS.search(properties) is not None
    if not flagged and not lettered and b"\x02CC" not in properties and b"\x03BCC" not in properties:
        return False
    wire = Wire("amqp-0-9-1", properties)
    try:
        if lettered and any(kind in _RISKY for _, kind in field_types(wire)):
            return True
        content = decode(wire)
    except FormatError:
        return True
    sender, expiration = content.properties.get("user_id"), content.properties.get("expiration")
    if sender is not None and sender != user:
        return True
    if expiration is not None and not re.fullmatch(r"\d{1,18}", str(expiration)):
        return True
    return any(
        name in ("CC", "BCC") and not (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value))
        for name, value in content.headers
    )


def returned_error(message: Outgoing, returned: Returned) -> ConnectorError:
    """Why no queue took a message."""
    target, reason = message.target, f"{returned.text} ({returned.code})"
    if target.queue is not None and returned.code == _NO_ROUTE:
        return EndpointNotFound(
            f"{target.address} did not take an event: there is no queue {target.address.name!r}: {reason}."
        )
    key = message.key.decode(errors="replace")
    where = f"no queue is bound to exchange {target.address.name!r} for the key {key!r}"
    return PublishRejected(f"{target.address} did not take an event: {where}: {reason}.")


def properties_of(event: Event) -> bytes:
    """The property list to send: the event's own bytes, or what the user wrote.

    Raises:
        FormatError: RabbitMQ could not read it, and would close the connection with all that is on its way.
    """
    if event.wire is not None and event.wire.encoding == "amqp-0-9-1":
        data, types = event.wire.data, manifest(event.wire).types
        # The exponent of what is not finite is all ones.
        may_be_infinite = not types.isdisjoint(_MAY_BE_INFINITE) and (b"\x7f" in data or b"\xff" in data)
        if may_be_infinite and not all(_is_finite(value) for _, value in event.headers):
            raise FormatError("a header holds a number that is not finite, which RabbitMQ cannot take")
        return data
    content = event.content
    if event.timestamp is not None and "timestamp" not in content.properties:
        properties = {**content.properties, "timestamp": event.timestamp // 1000}
        content = msgspec.structs.replace(content, properties=properties)
    return encode(content).data


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))
