"""Passes over a queue of the embedded broker: its messages are held, and given back or given up."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

from connectors.memory.broker import Broker, Consumer
from connectors.memory.queues import Message
from connectors.memory.streams import BATCH, answering, of_queue
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap
from workbench.model.receipt import Outcome


class QueuePass:
    """What waits in a queue when the pass begins, held until it ends and then given back, each message to its place.

    A message that would not survive its return is put at the tail instead.

    Attributes:
        messages: Those that were taken, in order.
    """

    def __init__(self, broker: Broker, queue: str, address: Address, limit: int | None) -> None:
        """Take nothing yet.

        Args:
            broker: Where the queue is.
            queue: Its name there.
            address: Under which address.
            limit: At most so many messages; None: all.
        """
        held = sum(len(consumer.held) for consumer in broker.consumers(broker.queues[queue]))
        self._broker = broker
        self._consumer: Consumer = broker.consume(queue)
        self._address = address
        self._last_place = self._consumer.queue.last_place
        self._limit = self._consumer.queue.depth if limit is None else limit
        self._held = held
        self._resting = self._consumer.queue.resting
        self._behind = 0
        self._returned = 0
        self._renewed = 0
        self.messages: list[Message] = []

    @property
    def coverage(self) -> Coverage:
        """What was read, what consumers hold, and the price that was paid."""
        notes = []
        if self._returned:
            limit = self._consumer.queue.limit
            counted = "" if limit is None else f", one of {limit} deliveries counted"
            notes.append(f"{self._returned:,} marked as redelivered{counted}")
        if self._renewed:
            notes.append(f"{self._renewed:,} had used up their deliveries and were put at the end of the queue")
        gaps = [
            Gap(f"{count:,} messages", reason)
            for count, reason in (
                (self._held, "held by consumers"),
                (self._resting, "given back a moment ago"),
                (self._behind, "behind others of their key"),
            )
            if count
        ]
        return Coverage(len(self.messages), gaps=tuple(gaps), notes=tuple(notes))

    async def take(self) -> Sequence[Delivery]:
        """The next batch; empty at the end of the pass.

        Raises:
            ConnectionLost: The broker was stopped.
        """
        await asyncio.sleep(0)
        answering(self._broker)
        taken = self._consumer.take(min(self._limit - len(self.messages), BATCH), self._last_place)
        self.messages += taken
        if not taken and len(self.messages) < self._limit:
            waiting = self._consumer.queue.waiting()
            self._behind = sum(message.place <= self._last_place for message in waiting) - self._resting
        return [of_queue(self._broker, self._consumer.queue, message, self._address) for message in taken]

    def acknowledge(self, message: Message) -> ConnectionLost | None:
        """Give a message up; the error if the connection broke before."""
        if message.place not in self._consumer.held:
            return ConnectionLost(f"{self._address} took the message back when the broker was stopped.")
        self._consumer.acknowledge([message])
        return None

    def close(self) -> None:
        """Give back everything that is held. May be called again."""
        limit = self._consumer.queue.limit
        doomed = [held for held in self._consumer.held.values() if limit is not None and held.returns >= limit]
        self._consumer.renew(doomed)
        self._renewed += len(doomed)
        self._returned += len(self._consumer.held)
        self._consumer.close()


class QueueLook:
    """A pass that only looks: everything is given back when the last message was seen."""

    interruption: Final = None
    """A stopped broker is an error at once."""

    def __init__(self, through: QueuePass) -> None:
        self._pass = through

    @property
    def coverage(self) -> Coverage:
        """That of the pass."""
        return self._pass.coverage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        if batch := await self._pass.take():
            return batch
        self._pass.close()
        raise StopAsyncIteration


class QueueClaims:
    """A pass of which messages can be settled: those are gone."""

    def __init__(self, through: QueuePass) -> None:
        self._pass = through
        self._settled: set[int] = set()

    @property
    def coverage(self) -> Coverage:
        """That of the pass."""
        return self._pass.coverage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        if batch := await self._pass.take():
            return batch
        raise StopAsyncIteration

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Give these up: see `workbench.connecting.connector.Claims`."""
        claimed = range(len(self._pass.messages))
        if any(sequence not in claimed or sequence in self._settled for sequence in sequences):
            raise ValueError("a sequence was settled before, or never claimed")
        self._settled.update(sequences)
        return [Outcome(sequence, self._pass.acknowledge(self._pass.messages[sequence])) for sequence in sequences]
