"""Carrying a plan out: round by round, over as many passes as it takes, and to its end whatever connection is lost.

What the source still has after a crash or a lost connection is found by its key in the journal: what was confirmed is
settled without being published again.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from workbench.connecting.retry import Backoff
from workbench.model.errors import AccessRefused, ConnectionLost, ConnectorError, Unsupported
from workbench.model.wording import quantity
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_thread import JournalThread
from workbench.operations.journal.operation import State
from workbench.operations.move.choice import Choice
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.passes import Messages, Passes
from workbench.operations.move.pipeline import is_atomic
from workbench.operations.move.places import check_places
from workbench.operations.move.plan import Plan
from workbench.operations.move.returns import Returns
from workbench.operations.move.standing import Standing
from workbench.session import Session

CERTAIN: Final = 2.0
"""Seconds after which what a source let go is gone for good, if its broker still lives."""
_ATTEMPTS: Final = 6


def _nobody(_: Progress) -> None:
    """Nobody is told."""


async def run(
    session: Session,
    plan: Plan,
    choice: Choice,
    journal: Journal,
    on_progress: Callable[[Progress], None] = _nobody,
    stopped: asyncio.Event | None = None,
    messages: Messages | None = None,
) -> Ended:
    """Carry a plan out, or do further what was interrupted.

    Args:
        session: Whose connections.
        plan: What to do.
        choice: Which messages go where.
        journal: Where every message is kept before anything is done with it.
        on_progress: Told how far it is, a few times a second.
        stopped: Set to end after the messages in hand.
        messages: The messages, where they are not read from the plan's source.

    Raises:
        WorkbenchError: It cannot begin; nothing was moved.
        StoreError: The journal cannot be written; what is in it can be resumed.
    """
    stopped = stopped or asyncio.Event()
    await choice.prepare()
    with JournalThread(journal) as thread:
        standing = Standing(plan, choice, thread, on_progress, stopped)
        passes = Passes(session, plan, choice, thread, standing, stopped, messages)
        begin = await thread.do(Journal.next_sequence)
        passes.awaits_return = begin > 0
        await standing.note("resumed" if passes.awaits_return else "begun")
        returns = Returns(session, plan, standing, stopped, begin)
        return await _Run(session, plan, standing, passes, returns, stopped).carry_out()


class _Run:
    """One operation while it is carried out."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        standing: Standing,
        passes: Passes,
        returns: Returns,
        stopped: asyncio.Event,
    ) -> None:
        self._session = session
        self._plan = plan
        self._standing = standing
        self._passes = passes
        self._stopped = stopped
        self._returns = returns
        self._losses = 0

    async def carry_out(self) -> Ended:
        """Do it."""
        standing = self._standing
        state: State = "done"
        why = ""
        try:
            async with self._returns.watched():
                # A canary that is resumed takes its first steps anew, with further messages.
                await standing.load(self._passes.awaits_return)
                for step in (*self._plan.canary, None):
                    await self._round(step)
                    if self._stopped.is_set():
                        state, why = "stopped", "Stopped by its user."
                        break
                    standing.begin_round(None)
                    if step is None or standing.is_full():
                        break
                    if await self._returns.wait():
                        state = "stopped"
                        why = f"Stopped: {quantity(self._returns.recent, 'message')} came back to {self._plan.source}."
                        break
                await self._make_certain()
                if self._stopped.is_set() and state == "done":
                    # That nothing comes back is not certain: to resume it finds out.
                    state, why = "stopped", "Stopped by its user."
                elif state == "done":
                    why = await self._growth()
        except ConnectorError as error:
            state, why = "interrupted", str(error)
        if state == "done" and standing.is_missing and (hidden := self._passes.hidden):
            state = "interrupted"
            why = f"{quantity(hidden, 'message')} of {self._plan.source} are held by a consumer, and cannot be seen."
        return await standing.end(state, why, is_atomic(self._plan))

    async def _round(self, limit: int | None) -> None:
        """Move so many further messages, and go on after a lost connection as often as it helps."""
        standing = self._standing
        standing.begin_round(limit)
        backoff, failures = Backoff(), 0
        connector = await self._session.connector(self._plan.source.connection)
        while True:
            moved, began = standing.moved, time.monotonic()
            self._losses = connector.losses
            try:
                if failures:
                    # What was lost may have led elsewhere before.
                    await check_places(self._session, self._plan)
                further = await self._passes.once()
            except ConnectorError as error:
                if standing.moved > moved:
                    failures = 0
                    backoff.reset()
                failures += 1
                self._passes.awaits_return = True
                hopeless = isinstance(error, Unsupported | AccessRefused)
                if hopeless or failures >= _ATTEMPTS or self._stopped.is_set():
                    raise
                if not isinstance(error, ConnectionLost):
                    # It may have been held too long for this broker.
                    self._passes.shorten((time.monotonic() - began) / 2)
                await standing.note(f"lost: {error}")
                standing.tell(f"lost, and tried again: {error}", force=True)
                backoff.fail(str(error), 0)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), backoff.pause)
                continue
            if not further or self._stopped.is_set():
                return
            if standing.moved == moved:
                failures += 1
                if not self._passes.lapsed:
                    return
                if failures >= _ATTEMPTS:
                    raise ConnectorError(
                        f"{self._plan.source} takes messages back before they are published: its leases are too short."
                    )

    async def _growth(self) -> str:
        """Of a queue that nobody has watched, what is to be said where it has more messages than were left in it."""
        plan, standing = self._plan, self._standing
        if not plan.removes or plan.purpose != "move" or plan.undoes or standing.returned is not None:
            return ""
        try:
            connector = await self._session.connector(plan.source.connection)
            depth = (await connector.endpoint(plan.source)).depth or 0
        except ConnectorError:
            # All has moved.
            return ""
        more = depth - max(plan.depth - standing.moved, 0)
        return (
            f"{plan.source} has got {quantity(more, 'message')} meanwhile, sent to it or come back: --canary tells."
            if more > 0
            else ""
        )

    async def _make_certain(self) -> None:
        """Wait until what a queue let go is gone for good; where its broker was lost meanwhile, look once more. Who is
        stopped does not wait: the last messages are looked for when it is resumed."""
        # A broker of this process lives as long as whoever asks.
        if not self._plan.removes or self._session.is_embedded(self._plan.source.connection):
            return
        standing = self._standing
        for _ in range(_ATTEMPTS):
            left = standing.last_settled + CERTAIN - time.monotonic()
            if left <= 0 or not standing.last_settled:
                return
            standing.tell("making sure", force=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), left)
            if self._stopped.is_set():
                return
            connector = await self._session.connector(self._plan.source.connection)
            try:
                await connector.endpoint(self._plan.source)
                if connector.losses == self._losses:
                    return
            except ConnectionLost:
                pass
            await standing.note("looked at once more: its broker may have died behind the last messages that it let go")
            self._passes.awaits_return = True
            await self._round(None)
