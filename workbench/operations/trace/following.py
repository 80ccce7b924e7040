"""What arrives while a trace is followed: at logs, and at queues where taps are allowed, from now on."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from workbench.connecting.connector import Stream
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.retry import Backoff
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectionLost, ConnectorError, WorkbenchError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Gap, stretch
from workbench.operations.trace.scope import Plan
from workbench.session import Session

_AHEAD: Final = 8
"""Batches that wait for whoever takes them, at most; then the brokers wait."""


class Arrivals:
    """The batches that arrive at some endpoints, in the order in which they come in. Made by `arrivals`."""

    def __init__(self, session: Session, endpoints: Sequence[Endpoint]) -> None:
        self._session = session
        self._endpoints = endpoints
        self._errors: dict[Address, WorkbenchError] = {}
        self._streams: dict[Address, Stream] = {}
        self._missed: dict[Address, tuple[Gap, ...]] = {}
        self._lost: dict[Address, Gap] = {}
        self._heard: set[Address] = set()
        self._told: set[str] = set()
        self._batches: asyncio.Queue[Sequence[Delivery]] = asyncio.Queue(_AHEAD)

    @property
    def errors(self) -> Mapping[Address, WorkbenchError]:
        """Why endpoints are not followed."""
        return self._errors

    @property
    def followed(self) -> Sequence[Address]:
        """Where events are waited for."""
        return [each.address for each in self._endpoints if each.address not in self._errors]

    @property
    def gaps(self) -> Mapping[Address, Sequence[Gap]]:
        """What was missed at endpoints that are followed."""
        return {each.address: gaps for each in self._endpoints if (gaps := self._gaps_of(each.address))}

    @property
    def complete(self) -> bool:
        """Whether nothing was missed."""
        return not self._errors and not self.gaps

    def news(self) -> Sequence[str]:
        """What is not followed and what was missed, as far as it was not told before; a sentence each."""
        said = [f"{address} is not followed: {error}" for address, error in self._errors.items()]
        heard, self._heard = self._heard, set()
        said += [f"{address}: {Coverage(gaps=(gap,)).remarks}" for address in heard for gap in self._gaps_of(address)]
        new = [sentence for sentence in said if sentence not in self._told]
        self._told.update(new)
        return new

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        """The batches, and an empty one where there is news; ends where nothing is followed any more."""
        while self.followed or not self._batches.empty():
            yield await self._batches.get()

    async def begin(self, group: asyncio.TaskGroup) -> list["asyncio.Task[None]"]:
        """Subscribe to all; returns when each is subscribed or cannot be."""
        opened = [asyncio.Event() for _ in self._endpoints]
        tasks = [
            group.create_task(self._run(each.address, is_open))
            for each, is_open in zip(self._endpoints, opened, strict=True)
        ]
        for is_open in opened:
            await is_open.wait()
        return tasks

    def _gaps_of(self, address: Address) -> tuple[Gap, ...]:
        stream, lost = self._streams.get(address), self._lost.get(address)
        now = stream.coverage.gaps if stream is not None else ()
        return (*self._missed.get(address, ()), *now, *((lost,) if lost is not None else ()))

    async def _put(self, address: Address, batch: Sequence[Delivery] = ()) -> None:
        self._heard.add(address)
        await self._batches.put(batch)

    async def _run(self, address: Address, opened: asyncio.Event) -> None:
        backoff = Backoff()
        try:
            while True:
                try:
                    await self._take(address, opened, backoff)
                    return
                except ConnectionLost as error:
                    opened.set()
                    since = (lost.since if (lost := self._lost.get(address)) is not None else None) or _now()
                    self._lost[address] = Gap(f"what came {stretch(since)}", str(error).rstrip("."), since)
                    await self._put(address)
                    backoff.fail(str(error), 0)
                    await backoff.wait()
        except WorkbenchError as error:
            self._errors[address] = error
        except Exception as error:
            self._errors[address] = ConnectorError(log_unexpected(error, f"Following {address}"))
        finally:
            opened.set()
        if address in self._errors:
            await self._put(address)

    async def _take(self, address: Address, opened: asyncio.Event, backoff: Backoff) -> None:
        async with self._session.tail(address) as stream:
            opened.set()
            self._streams[address] = stream
            if (lost := self._lost.pop(address, None)) is not None and lost.since is not None:
                until = _now()
                missed = Gap(f"what came {stretch(lost.since, until)}", lost.reason, lost.since, until)
                self._missed[address] = (*self._missed.get(address, ()), missed)
            try:
                while True:
                    try:
                        async for batch in stream:
                            backoff.reset()
                            await self._put(address, batch)
                        return
                    except ConnectionLost as error:
                        await self._put(address)
                        backoff.fail(str(error), 0)
                        await backoff.wait()
            finally:
                del self._streams[address]
                self._missed[address] = (*self._missed.get(address, ()), *stream.coverage.gaps)


def _now() -> int:
    return round(time.time() * 1000)


@asynccontextmanager
async def arrivals(session: Session, plan: Plan, taps: bool) -> AsyncIterator[Arrivals]:
    """Follow what a trace looks at. Entered means subscribed: nothing that is published from then on is missed.

    Args:
        session: Whose connections.
        plan: The endpoints.
        taps: Whether queues are tapped: every message is copied once more then.
    """
    endpoints = [*plan.logs, *(plan.queues if taps else ())]
    arriving = Arrivals(session, [each for each in endpoints if Ability.TAIL in each.abilities])
    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            tasks = await arriving.begin(group)
            try:
                yield arriving
            finally:
                for task in tasks:
                    task.cancel()
