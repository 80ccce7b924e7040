"""Several streams as one, in the order their batches come in; none reads far ahead of who takes the batches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeAlias

from workbench.connecting.connector import Stream
from workbench.connecting.error_log import log_unexpected
from workbench.model.address import Address
from workbench.model.errors import (
    AccessRefused,
    ConnectorError,
    LoginRefused,
    WorkbenchError,
    unwrap_exception_group,
)
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Interruption

AHEAD: Final = 4
"""Batches a stream may be ahead of the reader; then its broker has to wait."""
NOTICED: Final = 0.25
"""Seconds between two looks at whether a stream's connection is lost, or back."""
AHEAD_SIZE: Final = 16 * 1024 * 1024
"""Bytes that all streams together may be ahead of the reader; a batch that is larger waits alone."""

TellOutages: TypeAlias = Callable[
    [Mapping[Address, Interruption], Sequence[Address], Mapping[Address, WorkbenchError]], None
]


class Merged:
    """The batches of several streams; ends when all have ended. A stream that breaks leaves the others running."""

    def __init__(self, streams: Mapping[Address, Stream]) -> None:
        self._streams = streams
        self._batches: asyncio.Queue[tuple[Sequence[Delivery], int] | None] = asyncio.Queue(AHEAD * len(streams))
        self._size = 0
        self._room = asyncio.Condition()
        self.errors: dict[Address, WorkbenchError] = {}
        """Why streams broke, those that did."""

    @property
    def coverage(self) -> Mapping[Address, Coverage]:
        """What each stream has covered."""
        return {address: stream.coverage for address, stream in self._streams.items()}

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        running = len(self._streams)
        while running:
            waiting = await self._batches.get()
            if waiting is None:
                running -= 1
                continue
            batch, size = waiting
            yield batch
            # Only now the reader is done with it.
            async with self._room:
                self._size -= size
                self._room.notify_all()

    @property
    def interruptions(self) -> Mapping[Address, Interruption]:
        """The streams whose connection is lost at the moment."""
        found = {address: stream.interruption for address, stream in self._streams.items()}
        return {address: lost for address, lost in found.items() if lost is not None and address not in self.errors}

    async def tell_outages(self, tell: TellOutages) -> None:
        """Tell, for as long as it is not cancelled, of which streams the connection was just lost, of which it is back,
        and which have broken."""
        away: Mapping[Address, Interruption] = {}
        ended = set(self.errors)
        while True:
            await asyncio.sleep(NOTICED)
            now = self.interruptions
            lost = {address: now[address] for address in now if address not in away}
            back = [address for address in away if address not in now and address not in self.errors]
            broken = {address: error for address, error in self.errors.items() if address not in ended}
            ended |= broken.keys()
            if lost or back or broken:
                tell(lost, back, broken)
            away = now

    async def pump(self, address: Address) -> None:
        """Hand on one stream's batches until it ends or breaks."""
        try:
            async for batch in self._streams[address]:
                size = _size(batch)
                async with self._room:
                    while self._size and self._size + size > AHEAD_SIZE:
                        await self._room.wait()
                    self._size += size
                await self._batches.put((batch, size))
        except WorkbenchError as error:
            self.errors[address] = error
        except Exception as error:
            self.errors[address] = ConnectorError(log_unexpected(error, f"Reading {address}"))
        await self._batches.put(None)


def _size(batch: Sequence[Delivery]) -> int:
    size = 0
    for delivery in batch:
        event = delivery.event
        if event.body is not None:
            size += len(event.body)
        if event.wire is not None:
            size += len(event.wire.data)
        elif headers := event.written.headers:
            size += sum([len(value) for _, value in headers if isinstance(value, bytes | str)])
    return size


@asynccontextmanager
async def merge(
    streams: Mapping[Address, AbstractAsyncContextManager[Stream]],
    *,
    partly: bool = False,
    tell: TellOutages | None = None,
) -> AsyncIterator[Merged]:
    """Enter all streams, then read them side by side. Entered means: all are subscribed.

    Args:
        streams: What to read.
        partly: Whether those that this user may not read are left out, if there are others; `errors` has them.
        tell: Told of which the connection is lost, of which it is back, and which have broken; None: nobody is.

    Raises:
        ConnectorError: On entering: one of them cannot be opened, which the sentence names; none is read then.
    """
    errors: dict[Address, WorkbenchError] = {}
    failures: list[Exception] = []
    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            leaving = asyncio.Event()
            entered: dict[Address, Stream] = {}
            for address, stream in streams.items():
                opened: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
                group.create_task(_hold(stream, opened, leaving, failures))
                try:
                    entered[address] = await _name(address, opened)
                except AccessRefused as error:
                    if not partly or isinstance(error, LoginRefused) or len(errors) + 1 == len(streams):
                        raise
                    errors[address] = error
            together = Merged(entered)
            together.errors |= errors
            async with asyncio.TaskGroup() as pumping:
                pumps = [pumping.create_task(together.pump(address)) for address in entered]
                if tell is not None:
                    pumps.append(pumping.create_task(together.tell_outages(tell)))
                try:
                    yield together
                finally:
                    for pump in pumps:
                        pump.cancel()
            leaving.set()
    if failures:
        raise failures[0]


async def _hold(
    stream: AbstractAsyncContextManager[Stream],
    opened: "asyncio.Future[Stream]",
    leaving: asyncio.Event,
    failures: list[Exception],
) -> None:
    """Enter a stream, and leave it with the others, side by side: hundreds, one by one, take longer than anyone waits.
    What goes wrong at one on leaving keeps no other from being left."""
    try:
        async with stream as entered:
            if not opened.done():
                opened.set_result(entered)
            await leaving.wait()
    except Exception as error:
        if opened.done():
            failures.append(error)
        else:
            opened.set_exception(error)


async def _name(address: Address, opened: "asyncio.Future[Stream]") -> Stream:
    try:
        return await opened
    except ConnectorError as error:
        if str(address) in str(error):
            raise
        raise type(error)(f"{address}: {error}") from error
