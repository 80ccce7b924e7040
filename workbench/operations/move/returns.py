"""What comes back: copies of an operation that are in its source again, while it goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Final

from workbench.model.endpoint import Ability
from workbench.model.errors import ConnectorError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.operations.dead.originals import whole_events
from workbench.operations.move.copies import stamp_of
from workbench.operations.move.plan import Plan
from workbench.operations.move.standing import Standing, past_of
from workbench.session import Session

_LOOK: Final = 0.5
"""Seconds between two questions whether a source has grown."""
_UNSURE: Final = 1_000
"""Dead letters whose originals are asked for again at most."""


class Returns:
    """Counts what comes back into `standing`.

    Args:
        session: Through whose connections the source is looked at.
        plan: What is carried out.
        standing: How far it is.
        stopped: Set to wait no longer.
        begin: The number of the first message that is taken now: what a queue had back before the operation was resumed
            is counted, and says nothing of those.
    """

    def __init__(
        self, session: Session, plan: Plan, standing: Standing, stopped: asyncio.Event, begin: int = 0
    ) -> None:
        self._session = session
        self._plan = plan
        self._begin = begin if plan.removes else 0
        self._standing = standing
        self._stopped = stopped
        self._unsure: list[Delivery] = []
        self.recent = 0
        """Messages that came back, of those that were taken now."""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Count what comes back to a log meanwhile; a queue is looked at after each step of a canary.

        Raises:
            ConnectorError: The log of a canary cannot be followed.
        """
        plan = self._plan
        if plan.removes or plan.purpose != "move":
            yield
            return
        connector = await self._session.connector(plan.source.connection)
        endpoint = await connector.endpoint(plan.source)
        if Ability.TAIL not in endpoint.abilities:
            yield
            return
        follows, standing = asyncio.Event(), self._standing

        async def count() -> None:
            # What cannot be followed is not counted, and the move goes on; but a canary would watch nothing.
            try:
                with nullcontext() if plan.canary else suppress(ConnectorError):
                    async with self._session.tail(plan.source) as stream:
                        standing.returned = 0
                        follows.set()
                        async for batch in stream:
                            standing.returned += await self._count_own(batch)
            finally:
                follows.set()

        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                counting = group.create_task(count())
                await follows.wait()
                try:
                    yield
                finally:
                    counting.cancel()

    async def wait(self) -> bool:
        """Wait after a step of a canary; whether any message came back that was taken now."""
        plan, standing = self._plan, self._standing
        standing.returned = standing.returned or 0
        until = time.monotonic() + plan.watch
        connector = await self._session.connector(plan.source.connection)
        source = await connector.endpoint(plan.source)
        await standing.note(f"{standing.moved:,} {past_of(plan)}, and watched for {plan.watch:g} s")
        expected = plan.depth - standing.moved
        while (left := until - time.monotonic()) > 0 and not self.recent and not self._stopped.is_set():
            standing.tell(f"watching for {left:.0f} s whether any comes back", force=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), min(left, _LOOK))
            if plan.removes and (depth := (await connector.refresh(source)).depth or 0) > expected:
                # It has grown, by what came back or by others: it is looked at once for each time.
                self.recent = 0
                standing.returned, expected = await self._count_in_source(depth), depth
            if self._unsure:
                standing.returned += await self._count_own(())
        return self.recent > 0

    async def _count_in_source(self, depth: int) -> int:
        count = 0
        # What comes back is at the end.
        async with self._session.browse(self._plan.source, limit=depth) as stream:
            async for batch in stream:
                count += await self._count_own(batch)
        return count

    async def _count_own(self, batch: Sequence[Delivery]) -> int:
        """How many of these are copies of this operation, whatever a dead letter lacks of the copy that it was. Those
        that cannot be told yet are asked about with the next."""
        asked, self._unsure = [*self._unsure, *batch], []
        events = await whole_events(self._session, asked)
        self._unsure += [each for each, event in zip(asked, events, strict=True) if event is None][-_UNSURE:]
        stamps = [stamp_of(event) for event in events if event is not None]
        own = [stamp[1] for stamp in stamps if stamp is not None and stamp[0] == self._plan.id]
        self.recent += sum(number >= self._begin for number in own)
        return len(own)
