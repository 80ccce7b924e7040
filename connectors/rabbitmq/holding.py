"""Holding messages of a queue: they are received and not acknowledged, so that ending the channel gives them back.

That way keeps the order on classic and quorum queues of every version measured, on two conditions. One channel has few
consumers: beyond 32, quorum queues return in another order. And a quorum queue puts what is given back behind what was
given back before, so that all of that has to be held. Messages are received in steps, each a consumer with a
larger prefetch, so that neither a large queue nor a slow reader fills the memory, and so that a message near its
delivery limit is seen before many are held.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.frames import Arrival
from workbench.model.endpoint import Endpoint
from workbench.model.errors import EndpointNotFound

MOST: Final = 50_000
"""Messages held at once at most: a prefetch is 16 bits wide."""

SILENCE: Final = 1.0
"""Seconds without a message after which a pass ends, unless the queue says that messages are ready."""

_PATIENCE: Final = 5
"""Silences endured while messages are ready: a busy broker is slow, and a consumer behind a single active one waits."""

_STEPS: Final = 30
_STEP: Final = 1_024
_STEP_BYTES: Final = 67_108_864


class Holding:
    """Messages of one queue in our hands.

    Attributes:
        held: How many were received.
        exhausted: Whether more could be there, but the number of steps is used up.
    """

    def __init__(self, client: Client, channel: Channel, endpoint: Endpoint) -> None:
        self._client = client
        self._channel = channel
        self._queue = endpoint.address.name
        self._contested = bool(endpoint.consumers)
        # A quorum queue's count may be old by some milliseconds.
        self._most = endpoint.depth or 0
        self._returning = endpoint.kind == "quorum queue"
        self._last: Arrival | None = None
        self._step = 1 if self._returning else _STEP
        self._steps = 0
        self._bytes = 0
        self.held = 0
        self.exhausted = False

    async def receive(self, wanted: int) -> AsyncGenerator[Sequence[Arrival], None]:
        """Receive so many messages, or fewer where the queue has no more for us."""
        while self._steps < _STEPS:
            missing = wanted - self.held
            if missing <= 0:
                return
            before = self.held
            # Quorum queues give back in the order of the consumers' tags.
            tag = f"look-{self._steps:02}"
            self._steps += 1
            size = min(missing, self._step)
            await self._channel.qos(size)
            await self._channel.consume(self._queue, tag, {"x-priority": -1})
            while self.held - before < size and (arrivals := await self._arrivals()):
                self.held += len(arrivals)
                self._last = arrivals[-1]
                self._bytes += sum(len(arrival[5]) for arrival in arrivals)
                yield arrivals
            await self._channel.cancel(tag)
            if self.held - before < size:
                return
            average = self._bytes // self.held + 1
            self._step = max(1, min(self._step * (4 if self._step < _STEP else 2), _STEP_BYTES // average))
        self.exhausted = self.held < wanted

    async def _arrivals(self) -> Sequence[Arrival]:
        for _ in range(_PATIENCE):
            if arrivals := await self._channel.arrivals_within(SILENCE):
                return arrivals
            if not (await self._channel.count(self._queue))[0]:
                break
        return ()

    async def rest(self) -> AsyncIterator[Sequence[Arrival]]:
        """Receive what must be held as well so that giving back keeps the order, as far as one pass can hold it."""
        if arrived := self._channel.fetch():
            self.held += len(arrived)
            self._last = arrived[-1]
            yield arrived
        if self._returning and self._last is not None and self._last[1]:
            async with aclosing(self.receive(MOST)) as receiving:
                async for arrivals in receiving:
                    yield arrivals
                    if not arrivals[-1][1]:
                        break

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


_RETURNS: Final = 50
_RETURN: Final = 0.02
"""Seconds between two questions whether the messages are back: a quorum queue of 4.0 returns them a little later."""
