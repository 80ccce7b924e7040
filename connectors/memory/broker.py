"""The embedded broker: queues that dead-letter as in RabbitMQ 4.0, and partitioned logs as in Kafka, in memory.

A state machine without tasks or threads: every call changes the state and returns. Time is what `clock` says; whatever
fell due since the last call happens first, in the order in which it fell due.
"""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import TypeAlias

from connectors.memory.dead_lettering import Death, Deaths, Reason, add_death, dead_letter, in_circles
from connectors.memory.exchanges import Binding, Exchange
from connectors.memory.logs import LogKind, Topic
from connectors.memory.queues import Message, Queue, QueueSettings
from workbench.model.content import Headers, Value
from workbench.model.errors import EndpointNotFound, FormatError, PublishRejected
from workbench.model.event import Event
from workbench.model.groups import Member
from workbench.model.route import ExchangeType

Clock: TypeAlias = Callable[[], int]
"""Tells the time in milliseconds since 1970 UTC."""


def wall_clock() -> int:
    """The machine's time."""
    return time.time_ns() // 1_000_000


class Broker:
    """Queues, exchanges and topics under one roof, shared by all connections of this process that name it.

    Attributes:
        name: Its name in `memory://NAME`.
        clock: Where it has the time from; a test may put its own here.
        users: Who may connect, name and password; empty: everybody.
        queues: By name.
        exchanges: By name, without the default exchange.
        topics: By name; no queue and no topic share a name.
        committed: The offsets that consumer groups have committed: by group, then by topic and partition.
        members: Who is in each consumer group now, by the group's name.
        watchers: Called after every change, without saying which.
        running: Whether it answers.
        ledgers: Who keeps each ledger now: whoever opened it last.
    """

    def __init__(self, name: str, clock: Clock = wall_clock) -> None:
        self.name = name
        self.clock = clock
        self.users: dict[str, str] = {}
        self.queues: dict[str, Queue] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.topics: dict[str, Topic] = {}
        self.committed: dict[str, dict[tuple[str, int], int]] = {}
        self.members: dict[str, tuple[Member, ...]] = {}
        self.watchers: set[Callable[[], None]] = set()
        self.running = True
        self.ledgers: dict[str, object] = {}
        self._consumers: list[Consumer] = []
        self._now = clock()

    def declare_queue(self, name: str, settings: QueueSettings | None = None) -> Queue:
        """A new, empty queue, bound to the default exchange by its name.

        Raises:
            ValueError: The name is taken.
        """
        self._must_be_free(name)
        queue = self.queues[name] = Queue(name, settings or QueueSettings())
        return queue

    def declare_exchange(self, name: str, type: ExchangeType = "topic") -> Exchange:
        """A new exchange.

        Raises:
            ValueError: The name is taken.
        """
        if not name or name in self.exchanges:
            raise ValueError(f"there is an exchange {name!r} already")
        exchange = self.exchanges[name] = Exchange(name, type)
        return exchange

    def declare_topic(
        self, name: str, partitions: int = 1, retention: int | None = None, kind: LogKind = "topic"
    ) -> Topic:
        """A new, empty topic or stream.

        Args:
            name: Its name.
            partitions: How many.
            retention: Events that each partition keeps; None: all.
            kind: A stream has one partition.

        Raises:
            ValueError: The name is taken.
        """
        self._must_be_free(name)
        topic = self.topics[name] = Topic(name, partitions, retention, kind)
        return topic

    def bind(self, exchange: str, queue: str, key: str = "", arguments: Mapping[str, Value] | None = None) -> None:
        """Let an exchange hand messages to a queue: see `Binding`."""
        binding = Binding(self.queues[queue].name, key.encode(), arguments or {})
        self.exchanges[exchange].bindings.append(binding)

    def delete(self, name: str) -> None:
        """Delete a queue with its bindings, or a topic with its groups' offsets."""
        if self.queues.pop(name, None):
            self._consumers = [consumer for consumer in self._consumers if consumer.queue.name != name]
            for exchange in self.exchanges.values():
                exchange.bindings = [binding for binding in exchange.bindings if binding.queue != name]
        else:
            del self.topics[name]
            for offsets in self.committed.values():
                for key in [key for key in offsets if key[0] == name]:
                    del offsets[key]
        self.wake()

    def publish(self, exchange: str, event: Event) -> None:
        """Publish to an exchange, empty for the default one; the event's key is the routing key.

        Raises:
            PublishRejected: No queue took it, or one is full; the others that it was routed to have it.
            EndpointNotFound: There is no such exchange.
        """
        self.observe()
        key = event.key or b""
        try:
            content = event.content
        except FormatError as error:
            raise PublishRejected(f"The event's properties cannot be read: {error}") from error
        expiration = content.properties.get("expiration")
        if expiration is not None and not str(expiration).isdecimal():
            raise PublishRejected(f"{expiration!r} is no expiration: write whole milliseconds, such as '60000'.")
        targets = self.route(exchange, key, content.headers)
        if exchange:
            self.exchanges[exchange].published += 1
        if not targets:
            at = f"exchange {exchange!r}" if exchange else "the default exchange"
            raise PublishRejected(f"No queue is bound to {at} for the routing key {_text_of(key)}.")
        full = [queue.name for queue in targets if queue.full]
        event = _without_null(event, key)
        for queue in targets:
            if not queue.full:
                self._push(queue, event, exchange, (), None if expiration is None else str(expiration))
        self.wake()
        if full:
            raise PublishRejected(f"Queue {full[0]!r} is full and refuses what is published.")

    def send(self, queue: str, event: Event) -> None:
        """Publish straight to a queue that keeps keys, whatever the event's key is.

        Raises:
            PublishRejected: It is full.
            EndpointNotFound: There is no such queue.
        """
        self.observe()
        if queue not in self.queues:
            raise EndpointNotFound(f"There is no queue {queue!r}.")
        to = self.queues[queue]
        if to.full:
            raise PublishRejected(f"Queue {queue!r} is full and refuses what is published.")
        self._push(to, _without_null(event, event.key or b""), "", (), None)
        self.wake()

    def append(self, topic: str, event: Event, partition: int | None = None) -> tuple[int, int]:
        """Append an event to a topic and return its partition and offset: see `Topic.append`.

        Raises:
            PublishRejected: There is no such partition, or a bare log is to take a null body.
            EndpointNotFound: There is no such topic.
        """
        self.observe()
        log = self.topics.get(topic)
        if log is None:
            raise EndpointNotFound(f"There is no topic {topic!r}.")
        if log.bare and event.body is None:
            raise PublishRejected(f"{topic!r} takes no event without a body.")
        try:
            place = log.append(event, partition, self._now)
        except IndexError:
            raise PublishRejected(f"Topic {topic!r} has no partition {partition}.") from None
        self.wake()
        return place

    def consume(self, queue: str, tag: str = "", prefetch: int = 0) -> "Consumer":
        """A new consumer of a queue.

        Args:
            queue: Which.
            tag: The name it gives itself.
            prefetch: How many messages it says it will hold; 0: any number.

        Raises:
            EndpointNotFound: There is no such queue.
        """
        if queue not in self.queues:
            raise EndpointNotFound(f"There is no queue {queue!r}.")
        consumer = Consumer(self, self.queues[queue], tag, prefetch)
        self._consumers.append(consumer)
        return consumer

    def consumers(self, queue: Queue) -> list["Consumer"]:
        """Who reads a queue."""
        return [consumer for consumer in self._consumers if consumer.queue is queue]

    def held_keys(self, queue: Queue) -> Set[bytes]:
        """The keys of what is held of a queue that keeps keys; of others none."""
        if not queue.settings.keeps_keys:
            return frozenset()
        return {message.event.key or b"" for each in self.consumers(queue) for message in each.held.values()}

    def commit(self, group: str, topic: str, partition: int, offset: int | None) -> None:
        """Note that a consumer group has read a partition up to before an offset; None: that it has committed none."""
        offsets = self.committed.setdefault(group, {})
        if offset is not None:
            offsets[topic, partition] = offset
        else:
            offsets.pop((topic, partition), None)
            if not offsets:
                del self.committed[group]
        self.wake()

    def committed_offsets(self, group: str, topic: str) -> dict[int, int]:
        """How far a consumer group has got, by partition; empty for a group that never read the topic."""
        offsets = self.committed.get(group, {})
        return {partition: offset for (name, partition), offset in offsets.items() if name == topic}

    def dead_letter_sources(self) -> Mapping[str, Sequence[str]]:
        """For each queue that holds dead letters, the queues whose dead letters they are; all in one go."""
        sources: dict[str, list[str]] = {}
        for queue in self.queues.values():
            for target in self.dead_letter_queues(queue):
                sources.setdefault(target.name, []).append(queue.name)
        return sources

    def bound_queues(self) -> Set[str]:
        """The queues that are bound to an exchange."""
        return {binding.queue for exchange in self.exchanges.values() for binding in exchange.bindings}

    def dead_letter_queues(self, queue: Queue) -> list[Queue]:
        """The queues that a queue's dead letters may go to."""
        exchange, key = queue.settings.dead_letter_exchange, queue.settings.dead_letter_routing_key
        if exchange is None or (exchange and exchange not in self.exchanges):
            return []
        if not exchange or key is not None:
            return self.route(exchange, (queue.name if key is None else key).encode(), ())
        bound = dict.fromkeys(binding.queue for binding in self.exchanges[exchange].bindings)
        return [self.queues[name] for name in bound]

    def observe(self) -> None:
        """Let happen what has fallen due."""
        until = max(self.clock(), self._now)
        happened = False
        while (due := self.due()) is not None and due[0] <= until:
            self._now = max(self._now, due[0])
            due[1]()
            happened = True
        self._now = until
        if happened:
            self.wake()

    def due(self) -> tuple[int, Callable[[], None]] | None:
        """When something happens by itself, in milliseconds since 1970 UTC, and what; None: nothing will.

        As in RabbitMQ, a message expires when it is at the head of its queue and not before.
        """
        first: tuple[int, Callable[[], None]] | None = None
        # Asked at each step of the demo: most queues hold nothing that time changes.
        for queue in [each for each in self.queues.values() if each.keeps_time]:
            expires = head.expires if (head := queue.head) is not None else None
            if expires is not None and (first is None or expires < first[0]):
                first = expires, partial(self._expire, queue)
            rested = queue.next_rested if queue.settings.rest else None
            if rested is not None and (first is None or rested < first[0]):
                first = rested, queue.end_rest
        for consumer in [each for each in self._consumers if each.leased_until is not None]:
            until = consumer.leased_until
            if until is not None and (first is None or until < first[0]):
                first = until, consumer.lapse
        return first

    def stop(self) -> None:
        """Break all connections, as a crash would: what was taken is back in its queue. Everything else is kept."""
        self.running = False
        for consumer in list(self._consumers):
            consumer.close()
        self.wake()

    def start(self) -> None:
        """Answer again."""
        self.running = True
        self.wake()

    def wake(self) -> None:
        """Tell the watchers that something has changed."""
        for watcher in list(self.watchers):
            watcher()

    def _must_be_free(self, name: str) -> None:
        if not name or name in self.queues or name in self.topics:
            raise ValueError(f"there is a queue or topic {name!r} already")

    def route(self, exchange: str, key: bytes, headers: Headers) -> list[Queue]:
        """The queues that get a message published to an exchange."""
        if not exchange:
            names = [key.decode(errors="replace")]
        elif exchange in self.exchanges:
            names = self.exchanges[exchange].route(key, headers)
        else:
            raise EndpointNotFound(f"There is no exchange {exchange!r}.")
        return [self.queues[name] for name in names if name in self.queues]

    def _push(self, queue: Queue, event: Event, exchange: str, deaths: Deaths, expiration: str | None) -> None:
        queue.push(event, exchange, deaths, expiration, self._now)
        self._make_room(queue)

    def _make_room(self, queue: Queue) -> None:
        while queue.overflowing:
            queue.dropped += 1
            self._bury(queue, queue.pop(), "maxlen")

    def _expire(self, queue: Queue) -> None:
        self._bury(queue, queue.pop(), "expired")

    def _put_back(self, queue: Queue, message: Message) -> None:
        message.returns += 1
        if queue.limit is not None and message.returns > queue.limit:
            self._bury(queue, message, "delivery_limit")
        else:
            queue.put_back(message, self._now)

    def _bury(self, queue: Queue, message: Message, reason: Reason) -> None:
        """Dead-letter a message that has left its queue, or delete it where there is nowhere to go."""
        exchange = queue.settings.dead_letter_exchange
        if exchange is None:
            return
        key = message.event.key or b""
        death = Death(queue.name, reason, message.exchange, key, self._now, message.expiration)
        deaths = add_death(message.deaths, death)
        if queue.settings.dead_letter_routing_key is not None:
            key = queue.settings.dead_letter_routing_key.encode()
        letter = dead_letter(message.event, deaths, key)
        try:
            targets = self.route(exchange, key, letter.headers)
        except EndpointNotFound:
            return
        if exchange:
            self.exchanges[exchange].published += 1
        for target in targets:
            if not target.full and not in_circles(deaths, target.name):
                self._push(target, letter, exchange, deaths, None)


class Consumer:
    """Takes messages from a queue and holds them until each is acknowledged, rejected or given back."""

    def __init__(self, broker: Broker, queue: Queue, tag: str = "", prefetch: int = 0) -> None:
        self.queue = queue
        self.tag = tag
        self.prefetch = prefetch
        self.held: dict[int, Message] = {}
        """What it holds, by place."""
        self.leased_until: int | None = None
        """When what it holds goes back by itself, in milliseconds since 1970 UTC; None: it does not. Taking more begins
        the time anew for all."""
        self.lapsed: list[Message] = []
        """What it lost when its lease was over, for whoever asks and empties it."""
        self._broker = broker

    def take(self, limit: int | None = None, last_place: int | None = None) -> list[Message]:
        """Take what is waiting, in order.

        Args:
            limit: At most so many.
            last_place: None from behind this place.
        """
        self._broker.observe()
        taken = self.queue.take(limit, last_place, self._broker.held_keys(self.queue))
        self.held.update((message.place, message) for message in taken)
        if self.held and self.queue.settings.lease is not None:
            self.leased_until = self._broker.clock() + self.queue.settings.lease
        return taken

    def lapse(self) -> None:
        """Lose what is held, because the lease is over: it goes back."""
        self.leased_until = None
        self.lapsed += self.held.values()
        self.give_back(list(self.held.values()))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Be done with messages: they are gone.

        Raises:
            ValueError: One of them is not held.
        """
        self._let_go(messages)

    def reject(self, messages: Sequence[Message]) -> None:
        """Refuse messages: they are dead-lettered, or deleted where the queue has no dead-letter exchange.

        Raises:
            ValueError: One of them is not held.
        """
        for message in self._let_go(messages):
            self._broker._bury(self.queue, message, "rejected")
        self._broker.wake()

    def give_back(self, messages: Sequence[Message]) -> None:
        """Return messages, each to its place; beyond the delivery limit a quorum queue dead-letters them instead.

        Raises:
            ValueError: One of them is not held.
        """
        for message in self._let_go(messages):
            self._broker._put_back(self.queue, message)
        self._broker._make_room(self.queue)
        self._broker.wake()

    def renew(self, messages: Sequence[Message]) -> None:
        """Put messages at the tail of the queue as if they were new: their deliveries and time to live begin again.

        Raises:
            ValueError: One of them is not held.
        """
        for message in self._let_go(messages):
            self._broker._push(self.queue, message.event, message.exchange, message.deaths, message.expiration)
        self._broker.wake()

    def close(self) -> None:
        """Consume no more: what is held goes back. An exclusive queue is deleted. May be called again."""
        if self not in self._broker._consumers:
            return
        self.give_back(list(self.held.values()))
        self._broker._consumers.remove(self)
        if self.queue.settings.exclusive:
            self._broker.delete(self.queue.name)
        self._broker.wake()

    def _let_go(self, messages: Sequence[Message]) -> Sequence[Message]:
        for message in messages:
            if self.held.get(message.place) is not message:
                raise ValueError(f"message {message.place} of {self.queue.name!r} is not held by this consumer")
        for message in messages:
            del self.held[message.place]
        self._broker.observe()
        return messages


_brokers: dict[str, Broker] = {}


def embedded_broker(name: str) -> Broker:
    """The broker that `memory://NAME` reaches in this process: empty when first asked for, gone with the process."""
    if name not in _brokers:
        _brokers[name] = Broker(name)
    return _brokers[name]


def _without_null(event: Event, key: bytes) -> Event:
    """The event as a queue keeps it, which knows neither a null body nor a null key."""
    if event.body is not None and event.key is not None:
        return event
    return Event(key, event.body or b"", event.wire, event.written, event.timestamp, event.timestamp_type)


def _text_of(key: bytes) -> str:
    return repr(key.decode(errors="backslashreplace"))
