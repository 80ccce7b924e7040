"""Events: what survives a move; and deliveries: an event seen somewhere."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from workbench.model.address import Address
from workbench.model.content import Content, Headers, Value
from workbench.model.wire import Wire, decode

TimestampType = Literal["create", "append", "received"]
"""Who set a timestamp: the producer, the broker when it appended the event, or this program when it read it."""
_OVERHEAD: Final = 600
"""Bytes that a delivery takes beside those of its event, roughly."""


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a producer published, byte for byte.

    Attributes:
        key: Kafka's record key, RabbitMQ's routing key; None where there is none, which is not the same as empty.
        body: The payload; None is a tombstone, which is not the same as empty.
        wire: Properties and headers as this broker sent them; None for an event that a user wrote or edited, and for
            brokers whose headers have no types to lose.
        written: Properties and headers where there is no `wire`.
        timestamp: Milliseconds since 1970 UTC, None where the event carries none.
        timestamp_type: Who set `timestamp`.
    """

    key: bytes | None = None
    body: bytes | None = None
    wire: Wire | None = None
    written: Content = Content()
    timestamp: int | None = None
    timestamp_type: TimestampType = "create"

    @property
    def content(self) -> Content:
        """Headers and properties, decoded from `wire` where there is one.

        Raises:
            FormatError: The wire bytes are not what their encoding says.
        """
        return decode(self.wire) if self.wire is not None else self.written

    @property
    def headers(self) -> Headers:
        """Names and values in order, duplicates kept; decoded as `content` is."""
        return self.content.headers

    @property
    def properties(self) -> Mapping[str, Value]:
        """The broker's named fields that are set; decoded as `content` is."""
        return self.content.properties


class Position(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """A place in a log. Texts, because not every log's numbers fit 64 bits.

    Attributes:
        partition: Kafka's partition number, empty for a log that has none.
        offset: The offset in it.
    """

    partition: str
    offset: str


class Delivery(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An event seen somewhere. Where its broker numbers or names events, that identifies it; else nothing does.

    Attributes:
        event: What was seen.
        address: Where: the endpoint that was read.
        seen_at: When, in milliseconds since 1970 UTC.
        position: Its place in the log; None in a queue.
        exchange: The exchange it came through; None where there are none, empty for RabbitMQ's default exchange.
        redelivered: Whether the broker delivered it before; None where brokers do not say.
        attempt: How often it was delivered before, where the broker counts; else None.
        id: The broker's own name for it at this address; None where it gives none.
        state: The broker's word for what keeps it from its consumers, such as "locked", "scheduled" or "deferred"; None
            for one that they can get.
    """

    event: Event
    address: Address
    seen_at: int
    position: Position | None = None
    exchange: str | None = None
    redelivered: bool | None = None
    attempt: int | None = None
    id: str | None = None
    state: str | None = None

    @property
    def identity(self) -> tuple[Address, Position | str] | None:
        """What tells it from every other delivery, whoever looks at it and how often; None where nothing does."""
        place = self.id if self.position is None else self.position
        return None if place is None else (self.address, place)

    @property
    def time(self) -> tuple[int, TimestampType]:
        """The event's own time in milliseconds since 1970 UTC, else when it was seen; and who set it."""
        if self.event.timestamp is None:
            return self.seen_at, "received"
        return self.event.timestamp, self.event.timestamp_type

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes, roughly."""
        event = self.event
        wire = event.wire.data if event.wire is not None else b""
        return _OVERHEAD + len(event.body or b"") + len(event.key or b"") + len(wire)


class Damaged(Delivery, frozen=True, gc=False, array_like=True):
    """A delivery that was stored and can no longer be read: its body says so, in place of the event's own."""
