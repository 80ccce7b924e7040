"""Queues: messages waiting in order, each at a place that it comes back to."""

import heapq
from dataclasses import dataclass
from typing import Literal

import msgspec

from connectors.memory.dead_lettering import Deaths
from connectors.memory.headers import with_headers
from workbench.model.event import Event

QueueKind = Literal["classic queue", "quorum queue"]


class QueueSettings(msgspec.Struct, frozen=True):
    """How a queue behaves; the names are those of RabbitMQ's arguments.

    Attributes:
        kind: Only quorum queues count deliveries.
        message_ttl: Milliseconds after which a message at the head expires; None: never.
        max_length: Messages that may wait; None: any number.
        overflow: What happens at `max_length`: the oldest message leaves, or the new one is refused.
        dead_letter_exchange: Where dead letters go, empty for the default exchange; None: they are deleted.
        dead_letter_routing_key: With which key; None: their own.
        delivery_limit: How often a quorum queue takes a message back; -1: any number. 20 as in RabbitMQ 4.0.
        exclusive: Belongs to its one consumer: goes when that goes, and is not listed.
    """

    kind: QueueKind = "classic queue"
    message_ttl: int | None = None
    max_length: int | None = None
    overflow: Literal["drop-head", "reject-publish"] = "drop-head"
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    delivery_limit: int = 20
    exclusive: bool = False


@dataclass(slots=True, eq=False)
class Message:
    """An event in a queue.

    Attributes:
        place: Where in the queue: counted up, never used again.
        event: As published, or as dead-lettered.
        exchange: Through which it came, empty for the default exchange.
        expires: When it may go, in milliseconds since 1970 UTC; None: never.
        expiration: Its own time to live, as its publisher wrote it; None if it has none.
        deaths: In which queues it died before.
        returns: How often it was delivered and came back.
    """

    place: int
    event: Event
    exchange: str
    expires: int | None
    expiration: str | None
    deaths: Deaths
    returns: int = 0

    @property
    def redelivered(self) -> bool:
        """Whether it was delivered before."""
        return self.returns > 0


class Queue:
    """What one queue holds and nobody has taken. What happens to it, the broker decides."""

    def __init__(self, name: str, settings: QueueSettings) -> None:
        self.name = name
        self.settings = settings
        self.last_place = 0
        """The place of the message that came last."""
        self.dropped = 0
        """How many messages left for want of room."""
        self._ready: list[tuple[int, Message]] = []

    @property
    def published(self) -> int:
        """How many messages ever came in."""
        return self.last_place

    @property
    def depth(self) -> int:
        """How many messages can be taken."""
        return len(self._ready)

    @property
    def limit(self) -> int | None:
        """How often a message may come back; None: any number."""
        counts = self.settings.kind == "quorum queue" and self.settings.delivery_limit >= 0
        return self.settings.delivery_limit if counts else None

    @property
    def full(self) -> bool:
        """Whether the next message is refused."""
        return self.settings.overflow == "reject-publish" and self.depth >= self._room

    @property
    def overflowing(self) -> bool:
        """Whether the message at the head has to leave."""
        return self.settings.overflow == "drop-head" and self.depth > self._room

    @property
    def head(self) -> Message | None:
        """The message that is delivered next, or None."""
        return self._ready[0][1] if self._ready else None

    def waiting(self) -> list[Message]:
        """The messages that can be taken, in order."""
        return [message for _, message in sorted(self._ready, key=lambda entry: entry[0])]

    def push(self, event: Event, exchange: str, deaths: Deaths, expiration: str | None, now: int) -> None:
        """Put a message at the tail."""
        self.last_place += 1
        own = None if expiration is None else int(expiration)
        lives = [ttl for ttl in (self.settings.message_ttl, own) if ttl is not None]
        expires = now + min(lives) if lives else None
        self.put_back(Message(self.last_place, event, exchange, expires, expiration, deaths))

    def put_back(self, message: Message) -> None:
        """Put a message at its place."""
        heapq.heappush(self._ready, (message.place, message))

    def pop(self) -> Message:
        """Take the message at the head."""
        return heapq.heappop(self._ready)[1]

    def clear(self) -> None:
        """Delete what can be taken."""
        self._ready.clear()

    def delivered(self, message: Message) -> Event:
        """The event as a consumer of this queue gets it: a quorum queue writes how often it was delivered before."""
        if self.settings.kind == "classic queue" or not message.returns:
            return message.event
        return with_headers(message.event, {"x-delivery-count": message.returns})

    @property
    def _room(self) -> float:
        return float("inf") if self.settings.max_length is None else self.settings.max_length
