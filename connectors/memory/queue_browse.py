"""Passes over a queue of the embedded broker: its messages are held, and given back or given up."""

import asyncio
from collections.abc import Sequence, Set
from typing import Final, Self

from connectors.memory.broker import Broker, Consumer
from connectors.memory.queues import Message
from connectors.memory.streams import BATCH, of_queue, require_running
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, ConnectorError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap
from workbench.model.receipt import Outcome
from workbench.model.wording import quantity


class QueuePass:
    """What waits in a queue when the pass begins, held until it ends and then given back, each message to its place.

    A message that would not survive its return is put at the tail instead.
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
        self._taken = 0
        self._sequences: dict[int, int] = {}
        self._in_hand: dict[int, Message] = {}

    @property
    def coverage(self) -> Coverage:
        """What was read, what consumers hold, and the price that was paid."""
        notes = []
        if self._returned:
            limit = self._consumer.queue.limit
            counted = "" if limit is None else f", one of {limit} deliveries counted"
            notes.append(f"{self._returned:,} marked as redelivered{counted}")
        if self._renewed:
            notes.append(f"{self._renewed:,} had used up their deliveries and were published to the tail of the queue")
        gaps = [
            Gap(quantity(count, "message"), reason)
            for count, reason in (
                (self._held, "held by consumers"),
                (self._resting, "given back a moment ago"),
                (self._behind, "behind others of their key"),
            )
            if count
        ]
        return Coverage(self._taken, gaps=tuple(gaps), notes=tuple(notes))

    async def take(self) -> Sequence[Delivery]:
        """The next batch; empty at the end of the pass.

        Raises:
            ConnectionLost: The broker was stopped.
        """
        await asyncio.sleep(0)
        require_running(self._broker)
        taken = self._consumer.take(min(self._limit - self._taken, BATCH), self._last_place)
        for sequence, message in enumerate(taken, self._taken):
            self._sequences[message.place] = sequence
            self._in_hand[sequence] = message
        self._taken += len(taken)
        if not taken and self._taken < self._limit:
            waiting = self._consumer.queue.waiting()
            self._behind = sum(message.place <= self._last_place for message in waiting) - self._resting
        return [of_queue(self._broker, self._consumer.queue, message, self._address) for message in taken]

    def lapsed(self) -> Sequence[int]:
        """Those that are held no more since the last time, because the lease was over."""
        self._broker.observe()
        lapsed, self._consumer.lapsed = self._consumer.lapsed, []
        sequences = [self._sequences.pop(message.place) for message in lapsed]
        for sequence in sequences:
            del self._in_hand[sequence]
        return sequences

    def holds(self, sequence: int) -> bool:
        """Whether a message was taken and is neither given up nor back."""
        return sequence in self._in_hand

    def acknowledge(self, sequence: int) -> ConnectionLost | None:
        """Give up a message that is held; the error if the connection broke before."""
        message = self._in_hand.pop(sequence)
        self._sequences.pop(message.place, None)
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

    def __init__(self, through: QueuePass, address: Address) -> None:
        self._pass = through
        self._address = address
        self._lapsed: set[int] = set()

    @property
    def coverage(self) -> Coverage:
        """That of the pass."""
        return self._pass.coverage

    @property
    def lapsed(self) -> Set[int]:
        """Those whose lease was over before they were settled."""
        self._lapsed.update(self._pass.lapsed())
        return self._lapsed

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        self._lapsed.update(self._pass.lapsed())
        if batch := await self._pass.take():
            return batch
        raise StopAsyncIteration

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Give these up: see `workbench.connecting.connector.Claims`."""
        lapsed = self.lapsed
        if len({*sequences}) < len(sequences) or not all(
            self._pass.holds(sequence) or sequence in lapsed for sequence in sequences
        ):
            raise ValueError("a sequence was settled before, or never claimed")
        return [self._settle(sequence) for sequence in sequences]

    def _settle(self, sequence: int) -> Outcome:
        if sequence in self._lapsed:
            self._lapsed.remove(sequence)
            return Outcome(sequence, ConnectorError(f"{self._address} has the message again: its lease was over."))
        error = self._pass.acknowledge(sequence)
        return Outcome(sequence) if error is None else Outcome.failed(sequence, error)
