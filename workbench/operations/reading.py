"""Reads all that is in logs, queues and recordings, several at once, and hands each event on with its facts."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workbench.connecting.connector import Stream
from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.model.start import FromEnd, Window
from workbench.operations.browse_defaults import beginning_of
from workbench.operations.trace.scope import without_held
from workbench.session import Session

_AT_ONCE: Final = 6


class Reading:
    """What was read, and of what."""

    def __init__(
        self, session: Session, window: Window, add: Callable[[Delivery, Facts], None], most: int | None = None
    ) -> None:
        """Begin with nothing.

        Args:
            session: Whose endpoints.
            window: The stretch of time that is read of logs, and kept of all else.
            add: Takes each event, masked.
            most: Events of one endpoint that are read, of a log the newest; None: all.
        """
        self._session, self._window, self._add, self._most = session, window, add, most
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.coverage: dict[Address | Path, Coverage] = {}
        """What was read of each endpoint and each recording."""
        self.latest = 0
        """The time of the newest event, in milliseconds since 1970 UTC."""

    async def read(self, endpoints: list[Endpoint]) -> None:
        """Read endpoints; what is wrong with one of them is a gap in its coverage."""
        async with asyncio.TaskGroup() as group:
            for endpoint in endpoints:
                group.create_task(self._read(endpoint))

    async def _read(self, endpoint: Endpoint) -> None:
        address = endpoint.address
        start = beginning_of(endpoint, self._window.since)
        if start is not None and self._most is not None and Ability.FROM_END in endpoint.abilities:
            start = FromEnd(self._most)
        stream: Stream | None = None
        async with self._slots:
            try:
                async with self._session.browse(address, start, self._most) as stream:
                    await self._take(stream)
                covered = stream.coverage
            except WorkbenchError as error:
                covered = (stream.coverage if stream is not None else Coverage()).cut_short(str(error))
            except asyncio.CancelledError:
                if stream is not None:
                    self.coverage[address] = stream.coverage.cut_short("stopped")
                raise
        self.coverage[address] = without_held(covered, endpoint)

    async def take(self, path: Path, stream: Stream) -> None:
        """Read a recording."""
        await self._take(stream)
        self.coverage[path] = stream.coverage

    async def _take(self, stream: Stream) -> None:
        reading = self._session.reading
        async for batch in stream:
            for delivery in batch:
                seen = await reading.mask_off_loop(delivery)
                if self._window.holds(seen.time[0]):
                    self.latest = max(self.latest, seen.time[0])
                    self._add(seen, reading.facts(seen))
            await asyncio.sleep(0)
