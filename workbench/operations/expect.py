"""Expecting: subscribe, set something off, and wait for the events that should come of it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import msgspec

from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.errors import WorkbenchError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.operations.merge import Merged, merge
from workbench.query.query import Query

OTHERS = 20
"""Events that came instead and are kept to be shown, the newest ones."""


class Expectation(msgspec.Struct, frozen=True):
    """What came.

    Attributes:
        matches: The events that matched, in the order of their arrival, at most as many as were waited for.
        others: The newest of those that did not match.
        arrived: How many came in all.
        exit_code: What the command ended with; None where there was none, or where it had not ended.
        coverage: What was read of each endpoint.
        errors: Why streams broke, those that did.
    """

    matches: tuple[Delivery, ...]
    others: tuple[Delivery, ...]
    arrived: int
    exit_code: int | None
    coverage: Mapping[Address, Coverage]
    errors: Mapping[Address, WorkbenchError]


async def expect(
    streams: Mapping[Address, AbstractAsyncContextManager[Stream]],
    query: Query,
    count: int,
    seconds: float,
    command: Callable[[], Awaitable[int]] | None = None,
) -> Expectation:
    """Wait for `count` matching events; the command is run once everything is subscribed, so that no reply is missed.

    Args:
        streams: Where to look, not yet entered.
        query: What to wait for.
        count: How many; returns as soon as they are there.
        seconds: How long to wait, counted from the subscription.
        command: Sets things off and returns its exit code; waited for too. One that fails ends the waiting at once.

    Raises:
        ConnectorError: A stream cannot be opened; the command is not run then.
    """
    waiting = _Waiting(query, count)
    exit_code = None

    async def run(command: Callable[[], Awaitable[int]]) -> None:
        nonlocal exit_code
        if exit_code := await command():
            raise _CommandFailed

    async with merge(streams) as together:
        with suppress(TimeoutError, _CommandFailed), unwrap_exception_group():
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                if command:
                    group.create_task(run(command))
                await waiting.read(together)
    # Leaving completes the coverage: only then it is known whether copies were dropped.
    coverage, errors = together.coverage, dict(together.errors)
    return Expectation(tuple(waiting.matches), tuple(waiting.others), waiting.arrived, exit_code, coverage, errors)


class _CommandFailed(Exception):
    """There is nothing to wait for any more."""


class _Waiting:
    """What has come so far."""

    def __init__(self, query: Query, count: int) -> None:
        self._query = query
        self._count = count
        self.matches: list[Delivery] = []
        self.others: deque[Delivery] = deque(maxlen=OTHERS)
        self.arrived = 0

    async def read(self, together: Merged) -> None:
        """Read until enough has matched, or everything has ended."""
        async for batch in together:
            # What is masked before it is asked about may take a second, and the connections must go on meanwhile.
            masked = self._query.reading.masked is not None
            if await asyncio.to_thread(self._take, batch) if masked else self._take(batch):
                return

    def _take(self, batch: Sequence[Delivery]) -> bool:
        for delivery in batch:
            self.arrived += 1
            if self._query.matches(delivery):
                self.matches.append(delivery)
                if len(self.matches) == self._count:
                    return True
            else:
                self.others.append(delivery)
        return False
