"""Passes over a source: how its messages are got hold of, and how it has back what was not moved."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Final

from workbench.connecting.connector import Claims, Purpose
from workbench.connecting.guard import Guarded
from workbench.model.errors import ConnectorError
from workbench.model.event import Delivery, Position
from workbench.model.start import Beginning
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_thread import JournalThread
from workbench.operations.move.choice import Choice
from workbench.operations.move.copies import key_of
from workbench.operations.move.outbox import Outbox, outbox_of
from workbench.operations.move.pipeline import Pace, Pipeline, is_atomic
from workbench.operations.move.plan import Plan
from workbench.operations.move.standing import Standing
from workbench.operations.positions import read_stretch, stretches
from workbench.session import Session

PASS_SECONDS: Final = 600.0
"""Seconds for which messages are held at most: brokers close the channel of whoever holds one too long, after half an
hour unless they are told otherwise (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout)."""
RETURN: Final = 5.0
"""Seconds for which a source is given to have back what was held over a lost connection."""
_TOLD: Final = 20.0
"""Seconds in which a broker tells how many messages somebody holds: a node of RabbitMQ that has just become the leader
of a quorum queue does after 5 s (`quorum_tick_interval`) and what its management API takes to collect it."""
_LOOK: Final = 0.25
"""Seconds between two questions what a source has."""

Messages = Callable[[], AsyncIterator[Sequence[Delivery]]]


class Passes:
    """Goes through a source as often as it is asked to.

    Args:
        session: Whose connections.
        plan: What to do.
        choice: Which messages go where.
        journal: Where every message is kept before anything is done with it.
        standing: How far it is.
        stopped: Set to end after the messages in hand.
        messages: The messages, where they are not read from the plan's source.
    """

    def __init__(
        self,
        session: Session,
        plan: Plan,
        choice: Choice,
        journal: JournalThread,
        standing: Standing,
        stopped: asyncio.Event,
        messages: Messages | None,
    ) -> None:
        self._session = session
        self._plan = plan
        self._journal = journal
        self._standing = standing
        self._stopped = stopped
        self._messages = messages
        self._pace = Pace(plan.rate, stopped)
        self._pipeline = Pipeline(plan, choice, journal, standing, self._pace, messages is None, self._is_over)
        self._seconds = PASS_SECONDS
        self._until = math.inf
        self._lost = False
        self.awaits_return = False
        """Whether the source may not have back yet what was held over a connection that is lost."""
        self.hidden = 0
        """Messages that somebody held when the source had to have all of them back."""
        self.lapsed = False
        """Whether others had messages of the last pass before they were published."""

    async def once(self) -> bool:
        """Go through the source once. Whether there may be more that was not reached.

        Raises:
            ConnectorError: It is lost, or a target is.
            StoreError: The journal cannot be written.
        """
        self._lost = self._lost or self.awaits_return
        await self._standing.load(self._lost)
        further = False
        if self._plan.ledger:
            await self._with_ledger()
        elif self._plan.removes:
            further = await self._through_queue()
        else:
            await self._through_log()
        self._lost = further and self._lost
        return further

    def shorten(self, seconds: float) -> None:
        """Hold messages for so long at most: their broker closes the channel of who holds them longer."""
        self._seconds = min(self._seconds, max(seconds, 1.0))

    def _is_over(self) -> bool:
        return self._standing.is_round_over() or time.monotonic() >= self._until

    # Queues.

    async def _through_queue(self) -> bool:
        """Hold messages in as many claims as it takes, and give back what was not moved in the order in which it was
        taken. Whether there may be more: the time was up."""
        connector = await self._session.connector(self._plan.source.connection)
        # Nothing is held while one only waits.
        await self._pace.wait()
        if self.awaits_return:
            await self._until_returned(connector)
        # What was there when the plan was made, and what its broker may have again.
        budget = self._plan.depth - self._standing.moved + self._standing.perhaps_back
        self._until = time.monotonic() + self._seconds
        self.lapsed = False
        purpose: Purpose = "destroy" if self._plan.purpose == "delete" else "move"
        async with outbox_of(self._session, None) as outbox, left_in_order() as held:
            # What others had is decided about anew, in the next pass.
            while budget > 0 and not self.lapsed and not self._is_over():
                most = min(budget, self._standing.wanted if self._standing.takes_all else budget)
                context = connector.claim(self._plan.source, purpose, most)
                claims = await context.__aenter__()
                held.append(context)
                taken, kept = await self._through_claim(claims, outbox)
                budget -= taken
                if not kept:
                    held.remove(context)
                    await context.__aexit__(None, None, None)
                if not taken:
                    break
        return self.lapsed or (budget > 0 and time.monotonic() >= self._until)

    async def _through_claim(self, claims: Claims, outbox: Outbox) -> tuple[int, int]:
        """Take one claim's messages through. How many were claimed, and how many of these are held still."""
        taken = 0

        async def deliveries() -> AsyncIterator[Sequence[Delivery]]:
            nonlocal taken
            async for batch in claims:
                taken += len(batch)
                await self._standing.meet(batch)
                yield batch

        passed = await self._pipeline.carry(deliveries(), claims, outbox)
        self.lapsed = self.lapsed or passed.lapsed
        return taken, taken - passed.let_go

    async def _until_returned(self, connector: Guarded) -> None:
        """Wait until the source has back what was held over a connection that is lost: its broker may notice late, or
        still be starting."""
        until = time.monotonic() + RETURN
        source = await connector.endpoint(self._plan.source)
        while True:
            if (source.depth or 0) >= self._plan.depth - self._standing.let_go:
                self.awaits_return, self.hidden = False, 0
                return
            if (left := until - time.monotonic()) <= 0 or self._stopped.is_set():
                # Somebody may have taken them; or they are held still.
                self.hidden = await self._held_by_others(connector)
                return
            self._standing.tell("waiting for what the source has back")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), min(left, _LOOK))
            source = await connector.refresh(source)

    async def _held_by_others(self, connector: Guarded) -> int:
        """How many messages of the source somebody holds, as soon as its broker tells: 0 where it does not."""
        until = time.monotonic() + (0 if self._session.is_embedded(self._plan.source.connection) else _TOLD)
        while (held := (await connector.endpoint(self._plan.source)).held) is None:
            if time.monotonic() >= until or self._stopped.is_set():
                return 0
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), _LOOK)
        return held

    # Logs.

    async def _with_ledger(self) -> None:
        """Go over a log with a ledger, which is kept at the broker."""
        plan = self._plan
        connector = await self._session.connector(plan.source.connection)
        async with connector.transaction(ledger_of(plan.id)) as transaction:
            inside = transaction if is_atomic(plan) else None
            async with outbox_of(self._session, inside) as outbox, transaction.claim(plan.source, "move") as claims:
                await self._pipeline.carry(claims, claims, outbox)

    async def _through_log(self) -> None:
        """Copy from a log that keeps no place for us: the journal alone says how far one is."""
        done = await self._journal.do(Journal.keys)
        async with outbox_of(self._session, None) as outbox:
            by_position = self._plan.scope == "selected" and self._messages is None
            async with aclosing(self._selected(done) if by_position else self._not_done(done)) as found:
                await self._pipeline.carry(found, None, outbox)

    async def _selected(self, done: Counter[bytes]) -> AsyncGenerator[Sequence[Delivery], None]:
        """What was selected, by partition in the order of the offsets."""
        keys = (key.decode() for key in map(bytes.fromhex, self._plan.selected) if key not in done)
        places = (Position(partition, offset) for partition, _, offset in (key.rpartition(":") for key in keys))
        for stretch in stretches(places):
            async with aclosing(read_stretch(self._session, self._plan.source, stretch)) as reading:
                async for batch in reading:
                    yield batch

    async def _not_done(self, done: Counter[bytes]) -> AsyncGenerator[Sequence[Delivery], None]:
        async with AsyncExitStack() as stack:
            batches: AsyncIterable[Sequence[Delivery]]
            if self._messages is not None:
                batches = self._messages()
            else:
                batches = await stack.enter_async_context(self._session.browse(self._plan.source, Beginning()))
            async for batch in batches:
                left = []
                for delivery in batch:
                    key = key_of(delivery)
                    if done[key] > 0:
                        done[key] -= 1
                    else:
                        left.append(delivery)
                if left:
                    yield left


def ledger_of(id: str) -> str:
    """The name of the ledger of an operation, as the broker's own tools show it."""
    return f"workbench-move-{id}"


@asynccontextmanager
async def left_in_order() -> AsyncIterator[list[AbstractAsyncContextManager[Claims]]]:
    """A list of claims that are entered: all of them give back, in the order in which they took, whatever goes wrong in
    one of them and however often it is cancelled meanwhile. What went wrong first is raised in the end."""
    held: list[AbstractAsyncContextManager[Claims]] = []
    wrong: BaseException | None = None
    try:
        yield held
    except BaseException as error:
        wrong = error
    for context in held:
        try:
            await context.__aexit__(None, None, None)
        except (ConnectorError, asyncio.CancelledError) as error:
            if wrong is None or isinstance(error, asyncio.CancelledError):
                wrong = error
    try:
        if wrong is not None:
            raise wrong
    finally:
        # Its traceback leads here.
        del wrong
