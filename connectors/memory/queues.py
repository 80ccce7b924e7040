"""Queues: messages waiting, each at a place that it comes back to."""

import heapq
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from typing import Final, Literal
from zlib import crc32

import msgspec

from connectors.memory.dead_lettering import Deaths
from connectors.memory.headers import with_headers
from workbench.model.event import Event

Order = Literal["arrival", "by key", "none"]
"""In which order messages are taken: in that of their arrival, in that among those of one key, or in none."""

AT_ONCE: Final = 10
"""Messages of one key that are taken at once where the order is `by key`; the others wait until those are settled or
back, as in a FIFO queue of SQS."""


class QueueSettings(msgspec.Struct, frozen=True):
    """How a queue behaves; the first names are those of RabbitMQ's arguments, the others are what other brokers have.

    Attributes:
        kind: What it is called. A classic queue counts no deliveries, every other does.
        message_ttl: Milliseconds after which a message at the head expires; None: never.
        max_length: Messages that may wait; None: any number.
        overflow: What happens at `max_length`: the oldest message leaves, or the new one is refused.
        dead_letter_exchange: Where dead letters go, empty for the default exchange; None: they are deleted.
        dead_letter_routing_key: With which key; None: their own.
        delivery_limit: How often a queue that counts takes a message back; -1: any number. 20 as in RabbitMQ 4.0.
        exclusive: Belongs to its one consumer: goes when that goes, and is not listed.
        order: In which order messages are taken.
        lease: Milliseconds for which a consumer may hold what it took; None: as long as it is there.
        rest: Milliseconds for which a message that came back cannot be taken.
        numbered: Gives each message a number by which it can be looked at without being taken.
    """

    kind: str = "classic queue"
    message_ttl: int | None = None
    max_length: int | None = None
    overflow: Literal["drop-head", "reject-publish"] = "drop-head"
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    delivery_limit: int = 20
    exclusive: bool = False
    order: Order = "arrival"
    lease: int | None = None
    rest: int = 0
    numbered: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts how often each message was delivered."""
        return self.kind != "classic queue"

    @property
    def keeps_keys(self) -> bool:
        """Whether a message keeps the key that it was published with."""
        return self.order == "by key"


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
        self.keeps_time = bool(settings.rest)
        """Whether time does anything here: what comes back rests, or a message that expires has come in."""
        self._ready: list[tuple[int, Message]] = []
        self._resting: list[tuple[int, int, Message]] = []

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
        return self.settings.delivery_limit if self.settings.counts and self.settings.delivery_limit >= 0 else None

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

    @property
    def resting(self) -> int:
        """How many messages came back and cannot be taken yet."""
        return len(self._resting)

    @property
    def next_rested(self) -> int | None:
        """When the next message that came back can be taken again, in milliseconds since 1970 UTC; None: none rests."""
        return self._resting[0][0] if self._resting else None

    def waiting(self) -> list[Message]:
        """The messages that nobody has taken, in the order of their arrival."""
        waiting = [message for _, message in self._ready] + [message for _, _, message in self._resting]
        return sorted(waiting, key=lambda message: message.place)

    def push(self, event: Event, exchange: str, deaths: Deaths, expiration: str | None, now: int) -> None:
        """Put a message at the tail."""
        self.last_place += 1
        own = None if expiration is None else int(expiration)
        lives = [ttl for ttl in (self.settings.message_ttl, own) if ttl is not None]
        expires = now + min(lives) if lives else None
        self.keeps_time |= expires is not None
        self._make_ready(Message(self.last_place, event, exchange, expires, expiration, deaths))

    def put_back(self, message: Message, now: int) -> None:
        """Put a message that was taken at its place."""
        if self.settings.rest:
            heapq.heappush(self._resting, (now + self.settings.rest, message.place, message))
        else:
            self._make_ready(message)

    def end_rest(self) -> None:
        """Let the message that has rested longest be taken again."""
        self._make_ready(heapq.heappop(self._resting)[2])

    def pop(self) -> Message:
        """Take the message at the head."""
        return heapq.heappop(self._ready)[1]

    def take(self, limit: int | None, last_place: int | None, held: Set[bytes]) -> list[Message]:
        """Take messages in this queue's order.

        Args:
            limit: At most so many; None: any number.
            last_place: None from behind this place; None: from anywhere.
            held: The keys of messages that are held; nothing of them is taken where the order is `by key`.
        """
        taken: list[Message] = []
        left: list[Message] = []
        keys = Counter[bytes]()
        by_key = self.settings.order == "by key"
        while self._ready and (limit is None or len(taken) < limit):
            message = self.pop()
            if last_place is not None and message.place > last_place:
                left.append(message)
                if self.settings.order != "none":
                    break
            elif by_key and (_key(message) in held or keys[_key(message)] == AT_ONCE):
                left.append(message)
            else:
                taken.append(message)
                if by_key:
                    keys[_key(message)] += 1
        for message in left:
            self._make_ready(message)
        return taken

    def clear(self) -> None:
        """Delete what nobody has taken."""
        self._ready.clear()
        self._resting.clear()

    def id_of(self, place: int) -> str | None:
        """What the queue calls the message at a place; None where it names none: those with leases do."""
        return None if self.settings.lease is None else str(place)

    def event_for_consumer(self, message: Message) -> Event:
        """The event as a consumer of this queue gets it: a quorum queue writes how often it was delivered before."""
        if self.settings.kind != "quorum queue" or not message.returns:
            return message.event
        return with_headers(message.event, {"x-delivery-count": message.returns})

    def _make_ready(self, message: Message) -> None:
        rank = message.place
        if self.settings.order == "none":
            # Any order will do that is another one each time, and the same in every run.
            rank += crc32(b"%d %d" % (message.place, message.returns)) << 64
        heapq.heappush(self._ready, (rank, message))

    @property
    def _room(self) -> float:
        return float("inf") if self.settings.max_length is None else self.settings.max_length


def _key(message: Message) -> bytes:
    return message.event.key or b""
