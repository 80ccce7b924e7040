"""Holding messages of a queue: they are received and not acknowledged, so that ending the channel gives them back.

That way keeps the order on classic and quorum queues of every version measured, on two conditions. One channel has few
consumers: beyond 32, quorum queues return in another order. And a quorum queue puts what is given back behind what was
given back before, so that all of that has to be held. Messages are received in steps, each a consumer with a
larger prefetch, so that neither a large queue nor a slow reader fills the memory, and so that a message near its
delivery limit is seen before many are held.

Nothing may be given back unseen, for it could be at its delivery limit. RabbitMQ drops what is on its way to a consumer
that is cancelled, and counts it: so a consumer is cancelled when it holds all that it may. What is acknowledged before
lets it have more, so that one consumer can take all that is wanted while what it has received is dealt with; but no
more is acknowledged than lets it have that.

A quorum queue's client in the broker holds acknowledgements back while 32 of its commands are not applied, and forgets
them when the channel ends. Starting and ending a consumer waits for what was applied before, so that all has been sent.
"""

import asyncio
import sys
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.frames import Arrival
from workbench.model.endpoint import Endpoint
from workbench.model.errors import EndpointNotFound

MOST: Final = 50_000
"""Messages held at most, by one consumer, whose prefetch is 16 bits wide, and by a look that is not asked for more."""

SILENCE: Final = 1.0
"""Seconds without a message after which a pass ends, unless the queue says that messages are ready."""

_PATIENCE: Final = 5
"""Silences endured while messages are ready: a busy broker is slow, and a consumer behind a single active one waits."""

_UNAPPLIED: Final = 16
"""Acknowledgements that may be on their way when a channel is ended."""

_STEPS: Final = 30
_STEP: Final = 1_024
_FIRST_STEP: Final = 16
"""Before anything is known of their sizes."""
_STEP_BYTES: Final = 67_108_864

MOST_BYTES: Final = 268_435_456
"""Bytes of messages that a pass takes in its hands; what holds them meanwhile is the broker's memory."""


class Holding:
    """Messages of one queue in our hands.

    Attributes:
        held: How many were received and are still to be given back.
        exhausted: Why the pass ended though more could be there; empty where it did not.
    """

    def __init__(self, client: Client, channel: Channel, endpoint: Endpoint, growth: int = 4) -> None:
        """Hold messages of `endpoint` on a channel that has received none; each step is `growth` times as large as the
        one before it, as long as steps are small."""
        self._client = client
        self._channel = channel
        self._queue = endpoint.address.name
        self._contested = bool(endpoint.consumers)
        # A quorum queue's count may be old by some milliseconds.
        self._most = endpoint.depth or 0
        self._returning = endpoint.kind == "quorum queue"
        self._growth = growth
        self._received = 0
        # Of the consumer that runs: where it began and may end, what it may hold at once, how many of these were
        # acknowledged, and whether the queue has no more for it.
        self._begin = self._until = self._prefetch = self._acknowledged = 0
        self._is_dry = False
        self._aside: list[Arrival] = []
        self._one = asyncio.Lock()
        self._unapplied = 0
        self._last: Arrival | None = None
        self._tag: str | None = None
        self._step = 1 if self._returning else _FIRST_STEP
        self._steps = 0
        self._bytes = 0
        self.held = 0
        self.exhausted = ""

    async def receive(self, wanted: int, most: int = sys.maxsize) -> AsyncGenerator[Sequence[Arrival], None]:
        """Receive so many messages, or fewer where the queue has no more for us, or where they are larger than `most`
        bytes together."""
        while self._steps < _STEPS:
            missing = wanted - self._received
            if missing <= 0:
                return
            left = most - self._channel.fetched
            if left <= 0:
                self.exhausted = f"{most // 1_048_576:,} MB is what one pass holds"
                return
            if self._received:
                self._step = min(self._step, max(1, left * self._received // (self._channel.fetched + 1)))
            await self._consume(min(missing, self._step, MOST), missing)
            while arrivals := await self._next():
                yield arrivals
            await self.finish()
            if arrivals := self.aside():
                yield arrivals
            if self._is_dry:
                return
            # Of the bodies: properties grow with each look, and the next look has to hold as many messages as this one.
            average = self._bytes // self._received + 1
            self._step = max(1, min(self._step * (self._growth if self._step < _STEP else 2), _STEP_BYTES // average))
        if self._received < wanted:
            self.exhausted = "one pass holds no more"

    async def _consume(self, prefetch: int, most: int) -> None:
        # Quorum queues give back in the order of the consumers' tags.
        tag = f"look-{self._steps:02}"
        self._steps += 1
        self._begin, self._until, self._prefetch = self._received, self._received + most, prefetch
        self._acknowledged, self._is_dry = 0, False
        await self._channel.qos(prefetch)
        self._tag = tag
        await self._channel.consume(self._queue, tag, {"x-priority": -1})
        self._unapplied = 0

    async def _next(self) -> Sequence[Arrival]:
        """What comes next to the consumer; nothing at the end of its step."""
        async with self._one:
            return self.aside() or (await self._more() if self._tag is not None else ())

    @property
    def _end(self) -> int:
        """How many messages will have been received when the consumer holds all that it may."""
        return self._begin + self._prefetch + self._acknowledged

    async def _more(self) -> Sequence[Arrival]:
        if self._is_dry or self._received >= self._end:
            return ()
        for _ in range(_PATIENCE):
            if arrivals := await self._channel.arrivals_within(SILENCE):
                return self._note(arrivals)
            if not (await self._channel.count(self._queue))[0]:
                break
        self._is_dry = True
        return ()

    def _note(self, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        self.held += len(arrivals)
        self._received += len(arrivals)
        self._bytes += sum(len(arrival[5]) for arrival in arrivals)
        self._last = arrivals[-1]
        return arrivals

    async def finish(self) -> None:
        """Put aside what the consumer may still receive, and end it: then messages can be acknowledged."""
        async with self._one:
            if self._tag is None:
                return
            while arrivals := await self._more():
                self._aside += arrivals
            tag, self._tag = self._tag, None
            await self._channel.cancel(tag)
            if arrivals := self._channel.fetch():
                self._aside += self._note(arrivals)

    def room(self, numbers: Sequence[int]) -> int:
        """How many of these can be acknowledged, from the first; the others when the consumer was ended by `finish`,
        which then waits for no more than is wanted.

        Args:
            numbers: Of messages that were received, counted from 0, in order.
        """
        if self._tag is None:
            return len(numbers)
        return min(len(numbers), bisect_left(numbers, self._begin) + self._until - self._end)

    def acknowledge(self, numbers: Sequence[int], left: int) -> None:
        """Acknowledge messages for which there is room.

        Args:
            numbers: Their numbers, in order.
            left: The first that is not acknowledged then: all before it are.
        """
        at = bisect_left(numbers, left)
        if at:
            self._channel.acknowledge_until(_tag(numbers[at - 1]))
        self._channel.acknowledge(map(_tag, numbers[at:]))
        self._acknowledged += len(numbers) - bisect_left(numbers, self._begin)
        # Up to the first that is left it is a command for each consumer that has received some.
        self._unapplied += len(numbers) - at + (self._steps if at else 0)

    async def _apply(self) -> None:
        """Start a consumer, which waits for what is not applied; it receives one message at most."""
        ready, _ = await self._channel.count(self._queue)
        await self._consume(1, 1)
        self._is_dry = not ready

    def aside(self) -> Sequence[Arrival]:
        """What was put aside, which then is so no more; else the next to be received."""
        arrivals, self._aside = self._aside, []
        return arrivals

    async def rest(self, going_on: Callable[[], bool]) -> AsyncGenerator[Sequence[Arrival], None]:
        """Receive what was on its way; and, where `going_on` says so, what must be held as well so that giving back
        keeps the order, as far as one pass can hold it."""
        if self._returning and self._tag is None and self._unapplied > _UNAPPLIED:
            await self._apply()
        await self.finish()
        if arrivals := self.aside():
            yield arrivals
        if going_on() and self._returning and self._last is not None and self._last[1]:
            async with aclosing(self.receive(MOST)) as receiving:
                async for arrivals in receiving:
                    yield arrivals
                    if not arrivals[-1][1] or not going_on():
                        break
            await self.finish()
            if arrivals := self.aside():
                yield arrivals

    async def give_back(self) -> None:
        """Return everything that was not acknowledged, and wait until it is there for others."""
        if self._channel.ended is not None:
            return
        asking = await self._client.channel()
        try:
            before, _ = await asking.count(self._queue)
        except EndpointNotFound:
            # The queue was deleted meanwhile: there is nothing to give back to.
            return
        finally:
            await self._channel.close()
        # Consumers may take at once what comes back.
        if self.held and not self._contested:
            for _ in range(_RETURNS):
                if (await asking.count(self._queue))[0] >= min(before + self.held, self._most):
                    break
                await asyncio.sleep(_RETURN)
        await asking.close()


def _tag(number: int) -> int:
    """The delivery tag of a message: its channel has received no others before."""
    return number + 1


_RETURNS: Final = 50
_RETURN: Final = 0.02
"""Seconds between two questions whether the messages are back: a quorum queue of 4.0 returns them a little later."""
