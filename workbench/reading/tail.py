"""Several streams as one, in the order in which their batches arrive."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.errors import ConnectorError, lone_error
from workbench.model.event import Delivery
from workbench.model.look import Coverage

AHEAD = 4
"""Batches a stream may be ahead of the reader; then its broker has to wait."""


class Merged:
    """The batches of several streams; ends when all have ended. A stream that breaks leaves the others running."""

    def __init__(self, streams: Mapping[Address, Stream]) -> None:
        self._streams = streams
        self._batches: asyncio.Queue[Sequence[Delivery] | None] = asyncio.Queue(AHEAD * len(streams))
        self.errors: dict[Address, ConnectorError] = {}
        """Why streams broke, those that did."""

    @property
    def coverage(self) -> Mapping[Address, Coverage]:
        """What each stream has covered."""
        return {address: stream.coverage for address, stream in self._streams.items()}

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        running = len(self._streams)
        while running:
            batch = await self._batches.get()
            if batch is None:
                running -= 1
            else:
                yield batch

    async def pump(self, address: Address) -> None:
        """Hand on one stream's batches until it ends or breaks."""
        try:
            async for batch in self._streams[address]:
                await self._batches.put(batch)
        except ConnectorError as error:
            self.errors[address] = error
        await self._batches.put(None)


@asynccontextmanager
async def merged(streams: Mapping[Address, AbstractAsyncContextManager[Stream]]) -> AsyncIterator[Merged]:
    """Enter all streams, then read them side by side. Entered means: all are subscribed.

    Raises:
        ConnectorError: On entering: one of them cannot be opened; none is read then.
    """
    async with AsyncExitStack() as stack:
        entered = {address: await stack.enter_async_context(stream) for address, stream in streams.items()}
        with lone_error():
            async with asyncio.TaskGroup() as group:
                together = Merged(entered)
                pumps = [group.create_task(together.pump(address)) for address in entered]
                try:
                    yield together
                finally:
                    for pump in pumps:
                        pump.cancel()
