"""Arrivals as deliveries: properties stay bytes, and only what the model asks for is read out of them.

Queues that count deliveries and streams write a header of their own into each message they hand out. The count and
the offset become the delivery's attempt and position, and the header goes, so that the event is what its producer sent.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from connectors.rabbitmq.frames import Arrival
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, Position
from workbench.model.wire import Wire, decode, timestamp, without_header

_OFFSET: Final = "x-stream-offset"
_COUNT: Final = "x-delivery-count"
# A header as the broker writes it: length and name, the type of a 64-bit integer, the integer.
_ENTRIES: Final = {name: bytes((len(name),)) + name.encode() + b"l" for name in (_OFFSET, _COUNT)}
_HEADERS: Final = 0x20
_long = Struct(">q").unpack_from
_table = Struct(">I")


def deliveries(arrivals: Sequence[Arrival], address: Address, seen_at: int, kind: str) -> list[Delivery]:
    """What arrived from one queue.

    Args:
        arrivals: As the channel handed them over.
        address: The endpoint that was read.
        seen_at: When, in milliseconds since 1970 UTC.
        kind: What it is. A stream's messages have a position, and its redelivered flag means nothing; a quorum queue
            counts deliveries.
    """
    log, counted = kind == "stream", kind == "quorum queue"
    found = []
    for arrival in arrivals:
        _, redelivered, exchange, key, properties, body = arrival
        number: int | None = None
        if log:
            number, properties = _take_number(properties, _OFFSET)
        elif counted:
            number, properties = _take_number(properties, _COUNT) if redelivered else (0, properties)
        wire = Wire("amqp-0-9-1", properties)
        found.append(
            Delivery(
                Event(key, body, wire, timestamp=timestamp(wire)),
                address,
                seen_at,
                Position("", str(number)) if log and number is not None else None,
                _text(exchange),
                None if log else redelivered,
                number if counted else None,
            )
        )
    return found


def attempt(arrival: Arrival) -> int:
    """How often a quorum queue has handed a message out before."""
    return (_take_number(arrival[4], _COUNT)[0] or 0) if arrival[1] else 0


def offset(arrival: Arrival) -> int | None:
    """A stream message's offset."""
    return _take_number(arrival[4], _OFFSET)[0]


def _take_number(properties: bytes, name: str) -> tuple[int | None, bytes]:
    """The number in a header that the broker wrote, and the properties without it."""
    entry = _ENTRIES[name]
    begin = properties.find(entry)
    if begin >= 0 and properties.find(entry, begin + 1) < 0:
        end = begin + len(entry) + 8
        # Property flags, then the short strings content_type and content_encoding, then the header table.
        at = 2
        for flag in (0x80, 0x40):
            if properties[0] & flag:
                at += 1 + properties[at]
        length = _table.unpack_from(properties, at)[0] - (end - begin)
        if length:
            rest = (properties[:at], _table.pack(length), properties[at + 4 : begin], properties[end:])
        else:
            rest = (bytes((properties[0] & ~_HEADERS,)), properties[1:at], properties[end:], b"")
        return _long(properties, end - 8)[0], b"".join(rest)
    if begin < 0 and entry[:-1] not in properties:
        return None, properties
    # It is written otherwise than brokers do, or its bytes occur in a value as well.
    wire = Wire("amqp-0-9-1", properties)
    try:
        numbers = [value for key, value in decode(wire).headers if key == name and isinstance(value, int)]
        return (numbers[-1], without_header(wire, name).data) if numbers else (None, properties)
    except FormatError:
        return None, properties


@lru_cache(maxsize=1024)
def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
