"""What arrives while a trace is followed: at logs, and at queues where taps are allowed, from now on."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from workbench.connecting.error_log import log_unexpected
from workbench.connecting.retry import Backoff
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectionLost, ConnectorError, WorkbenchError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.operations.trace.scope import Plan
from workbench.session import Session

_AHEAD: Final = 8
"""Batches that wait for whoever takes them, at most; then the brokers wait."""


class Arrivals:
    """The batches that arrive at some endpoints, in the order in which they come in. Made by `arrivals`."""

    def __init__(self, session: Session, endpoints: Sequence[Endpoint]) -> None:
        self.coverage: Final[dict[Address, Coverage]] = {}
        """What was seen at each endpoint."""
        self._session = session
        self._endpoints = endpoints
        self._errors: dict[Address, WorkbenchError] = {}
        self._batches: asyncio.Queue[Sequence[Delivery]] = asyncio.Queue(_AHEAD)

    @property
    def errors(self) -> Mapping[Address, WorkbenchError]:
        """Why endpoints are not followed."""
        return self._errors

    @property
    def followed(self) -> Sequence[Address]:
        """Where events are waited for."""
        return [each.address for each in self._endpoints if each.address not in self._errors]

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        while True:
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

    async def _run(self, address: Address, opened: asyncio.Event) -> None:
        backoff = Backoff()
        try:
            while True:
                try:
                    await self._take(address, opened, backoff)
                    return
                except ConnectionLost as error:
                    # It is said by the coverage, once it goes on.
                    opened.set()
                    backoff.fail(str(error), 0)
                    await backoff.wait()
        except WorkbenchError as error:
            self._errors[address] = error
        except Exception as error:
            self._errors[address] = ConnectorError(log_unexpected(error, f"Following {address}"))
        finally:
            opened.set()

    async def _take(self, address: Address, opened: asyncio.Event, backoff: Backoff) -> None:
        async with self._session.tail(address) as stream:
            opened.set()
            try:
                while True:
                    try:
                        async for batch in stream:
                            backoff.reset()
                            await self._batches.put(batch)
                        return
                    except ConnectionLost as error:
                        backoff.fail(str(error), 0)
                        await backoff.wait()
            finally:
                self.coverage[address] = stream.coverage


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
