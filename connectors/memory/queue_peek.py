"""What is in a queue that numbers its messages, seen without being taken."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

import msgspec

from connectors.memory.broker import Broker
from connectors.memory.queues import Queue
from connectors.memory.streams import BATCH, Changes, of_queue, require_running
from workbench.model.address import Address
from workbench.model.event import Delivery, Position
from workbench.model.look import Coverage, Gap
from workbench.model.wording import quantity


class QueuePeek:
    """The messages of a queue by their numbers, also those that consumers hold; no consumer notices.

    Args:
        broker: Where the queue is.
        queue: What to look at.
        address: Under which address.
        start: The first number to show.
        end: The last; None: go on for ever, waiting for `changes`.
        limit: At most so many messages; None: all.
        changes: Wakes a look that goes on for ever.
    """

    interruption: Final = None
    """A stopped broker is an error at once."""

    def __init__(
        self,
        broker: Broker,
        queue: Queue,
        address: Address,
        start: int = 0,
        end: int | None = None,
        limit: int | None = None,
        changes: Changes | None = None,
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._address = address
        self._next = start
        self._end = end
        self._limit = limit
        self._changes = changes
        self._read = 0
        self._missed = 0

    @property
    def coverage(self) -> Coverage:
        """What was read; and of what came in meanwhile, how much was gone before it was seen."""
        gone = Gap(quantity(self._missed, "message"), "taken by consumers before they were seen")
        return Coverage(self._read, gaps=(gone,) if self._missed else ())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        while True:
            await asyncio.sleep(0)
            require_running(self._broker).observe()
            if batch := self._look():
                return batch
            if self._changes is None:
                raise StopAsyncIteration
            await self._changes.wait()

    def _look(self) -> Sequence[Delivery]:
        room = BATCH if self._limit is None else min(BATCH, self._limit - self._read)
        held = [message for each in self._broker.consumers(self._queue) for message in each.held.values()]
        last = self._queue.last_place if self._end is None else self._end
        there = [each for each in (*self._queue.waiting(), *held) if self._next <= each.place <= last]
        seen = sorted(there, key=lambda message: message.place)[:room]
        if seen:
            if self._changes is not None:
                self._missed += seen[-1].place + 1 - self._next - len(seen)
            self._next = seen[-1].place + 1
            self._read += len(seen)
        taken = {message.place for message in held}
        return [
            msgspec.structs.replace(
                of_queue(self._broker, self._queue, message, self._address),
                position=Position("", str(message.place)),
                state="locked" if message.place in taken else None,
            )
            for message in seen
        ]
