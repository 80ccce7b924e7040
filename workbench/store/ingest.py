"""Several streams side by side, into one store.

None reads ahead of it: a store whose disk is slow makes its streams wait, and those their broker, by a prefetch that is
used up or by partitions that are not asked for more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final, Literal

import msgspec

from workbench.connecting.connector import Stream
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.retry import Backoff
from workbench.model.address import Address
from workbench.model.errors import (
    ConnectionLost,
    WorkbenchError,
    unwrap_exception_group,
)
from workbench.model.look import Coverage, Interruption, Look
from workbench.store.store import Store

COVERED: Final = 1.0
"""Seconds from one time to the next that a running look tells the store what it has covered."""


class Ended(msgspec.Struct, frozen=True):
    """A look that reads no more.

    Attributes:
        error: Why it could not go on; None: all was read, or it was stopped.
    """

    error: WorkbenchError | None = None


State = Literal["opening", "running"] | Interruption | Ended


class Ingestion:
    """One look on its way into a store, begun by `Ingestions.begin`."""

    def __init__(
        self,
        kind: Literal["browse", "tail", "scan"],
        address: Address,
        open: Callable[[], AbstractAsyncContextManager[Stream]],
        store: Store,
        changed: Callable[["Ingestion"], object],
    ) -> None:
        self.kind: Final = kind
        """How it looks."""
        self.address: Final = address
        """At what."""
        self.look: Final = store.look(Look(address, kind, round(time.time() * 1000)))
        """Its number in the store."""
        self.count = 0
        """How many deliveries it has stored."""
        self._open = open
        self._store = store
        self._changed = changed
        self._state: State = "opening"
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: WorkbenchError | None = None
        self._heard = round(time.time() * 1000)
        self._coverage = Coverage()

    @property
    def state(self) -> State:
        """How it stands; `Interruption`: it goes on by itself once the broker is back."""
        if self._state == "running" and self._stream is not None and self._stream.interruption is not None:
            return self._stream.interruption
        return self._state

    @property
    def coverage(self) -> Coverage:
        """What it has read so far, or in the end."""
        return self._stream.coverage if self._stream is not None else self._coverage

    def stop(self) -> None:
        """Read no more; what it took to look is given back."""
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait until it reads no more, and what it took is given back."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def start(self, group: asyncio.TaskGroup) -> "asyncio.Task[None]":
        """Begin to read."""
        self._task = group.create_task(self._run())
        # Also where it is stopped before it began.
        self._task.add_done_callback(self._end)
        return self._task

    async def _run(self) -> None:
        try:
            await self._read()
        except WorkbenchError as error:
            self._error = error
        except Exception as error:
            # An odd event must end its own look, and not the program with all others.
            self._error = WorkbenchError(log_unexpected(error, f"Storing what {self.address} holds"))

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._store.cover(self.look, self._coverage)
        self._set(Ended(self._error))

    async def _read(self) -> None:
        async with AsyncExitStack() as stack:
            stream = await self._open_stream(stack)
            try:
                self._stream = stream
                self._set("running")
                with unwrap_exception_group():
                    async with asyncio.TaskGroup() as group:
                        covering = group.create_task(self._keep_covered(stream))
                        await self._take(stream)
                        covering.cancel()
            finally:
                self._stream = None
                self._coverage = stream.coverage
        # Leaving completes it: with the price that was paid.
        self._coverage = stream.coverage

    async def _open_stream(self, stack: AsyncExitStack) -> Stream:
        backoff = Backoff()
        while True:
            try:
                return await stack.enter_async_context(self._open())
            except ConnectionLost as error:
                if self.kind != "tail":
                    raise
                await self._wait(error, backoff)

    async def _take(self, stream: Stream) -> None:
        """Store a stream's batches until it ends. A connection that is lost while tailing is waited for."""
        backoff = Backoff()
        while True:
            try:
                async for batch in stream:
                    self._heard = round(time.time() * 1000)
                    await self._store.append(self.look, batch)
                    self.count += len(batch)
                    backoff.reset()
                    self._set("running")
                    # A stream that has more at hand would hand it over before a key gets its turn.
                    await asyncio.sleep(0)
                return
            except ConnectionLost as error:
                if self.kind != "tail":
                    raise
                await self._wait(error, backoff)

    async def _wait(self, error: ConnectionLost, backoff: Backoff) -> None:
        self._set(backoff.fail(str(error), self._heard))
        await backoff.wait()

    def _set(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._changed(self)

    async def _keep_covered(self, stream: Stream) -> None:
        """Tell the store again and again, for what is missed is missed also where nothing arrives behind it."""
        while True:
            if (coverage := stream.coverage) != self._coverage:
                self._coverage = coverage
                self._store.cover(self.look, coverage)
            await asyncio.sleep(COVERED)


class Ingestions:
    """The looks into one store. Made by `ingestions`."""

    def __init__(self, store: Store, group: asyncio.TaskGroup) -> None:
        self.listeners: Final[set[Callable[[Ingestion], object]]] = set()
        """Called with a look whose state has changed, on the event loop."""
        self._store = store
        self._group = group
        self._running: dict[asyncio.Task[None], Ingestion] = {}

    def begin(
        self,
        kind: Literal["browse", "tail", "scan"],
        address: Address,
        open: Callable[[], AbstractAsyncContextManager[Stream]],
    ) -> Ingestion:
        """Begin to look; whatever goes wrong is the look's state.

        Args:
            kind: `browse` and `scan` end where their endpoint ended; `tail` goes on, and waits for a broker that is
                away.
            address: What is looked at.
            open: Opens the stream; called again while the broker cannot be reached.
        """
        ingestion = Ingestion(kind, address, open, self._store, self._notify)
        task = ingestion.start(self._group)
        self._running[task] = ingestion
        task.add_done_callback(self._running.pop)
        return ingestion

    @property
    def running(self) -> list[Ingestion]:
        """The looks that have not ended."""
        return list(self._running.values())

    def of_connection(self, name: str) -> list[Ingestion]:
        """The looks through a connection that have not ended."""
        return [each for each in self._running.values() if each.address.connection == name]

    def stop(self) -> None:
        """Let all looks end."""
        for task in self._running:
            task.cancel()

    def _notify(self, ingestion: Ingestion) -> None:
        for listener in tuple(self.listeners):
            listener(ingestion)


@asynccontextmanager
async def ingestions(store: Store) -> AsyncIterator[Ingestions]:
    """Looks into a store; on leaving, those that still run are stopped and what they took is given back."""
    async with asyncio.TaskGroup() as group:
        begun = Ingestions(store, group)
        try:
            yield begun
        finally:
            begun.stop()
