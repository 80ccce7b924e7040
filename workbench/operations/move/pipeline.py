"""The way of messages through an operation: gathered in windows, journalled, published, confirmed, journalled, settled.

Each of these is done to one window while others are behind and before it, so that nothing waits for one message, and so
that never more than `IN_FLIGHT` messages are between two of these steps.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Sequence, Set
from contextlib import suppress
from typing import Final, NamedTuple

from workbench.connecting.connector import Claims
from workbench.model.errors import ConnectorError, FormatError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_thread import JournalThread
from workbench.operations.journal.operation import EntryState
from workbench.operations.move import windows
from workbench.operations.move.choice import Choice, Removal, Stay
from workbench.operations.move.copies import key_of
from workbench.operations.move.outbox import Answers, Outbox, Outgoing
from workbench.operations.move.plan import Plan
from workbench.operations.move.standing import Standing
from workbench.operations.move.windows import Item, Window

_PACE: Final = 0.25
"""Seconds for which messages go out together where there is a rate."""


class Pace:
    """Keeps to a rate."""

    def __init__(self, rate: float | None, stopped: asyncio.Event) -> None:
        """Let `rate` messages a second go, or as many as come; none waits any longer when `stopped` is set."""
        self._rate = rate
        self._stopped = stopped
        self._due = 0.0

    @property
    def together(self) -> int:
        """How many messages may go at once."""
        return windows.WINDOW if self._rate is None else max(1, min(windows.WINDOW, round(self._rate * _PACE)))

    async def wait(self, count: int = 0) -> None:
        """Wait until the next may go, which then are so many."""
        if self._rate is None:
            return
        if (left := self._due - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), left)
        self._due = max(self._due, time.monotonic()) + count / self._rate


class Passed(NamedTuple):
    """What went through.

    Attributes:
        let_go: How many of the claimed messages the source has let go.
        lapsed: Whether others had some of them before they were published.
    """

    let_go: int
    lapsed: bool


class _Answered(NamedTuple):
    """A window whose answers are noted, with the numbers of those that were confirmed, and of those that failed."""

    window: Window
    confirmed: Set[int]
    failed: Set[int]
    unknown: ConnectorError | None


class Pipeline:
    """Takes what one claim holds, or what a log has, through.

    Args:
        plan: What to do.
        choice: Which messages go where.
        journal: Where every message is kept before anything is done with it.
        standing: How far it is.
        pace: Keeps to the plan's rate.
        from_source: Whether the messages are read from the plan's source, and not from a journal.
        is_over: Whether no further messages are wanted.
    """

    def __init__(
        self,
        plan: Plan,
        choice: Choice,
        journal: JournalThread,
        standing: Standing,
        pace: Pace,
        from_source: bool,
        is_over: Callable[[], bool],
    ) -> None:
        self._plan = plan
        self._choice = choice
        self._journal = journal
        self._standing = standing
        self._pace = pace
        self._from_source = from_source
        self._is_over = is_over
        self._is_atomic = is_atomic(plan)
        self._lapsed = False
        self._let_go = 0

    async def carry(self, batches: AsyncIterable[Sequence[Delivery]], claims: Claims | None, outbox: Outbox) -> Passed:
        """Take messages through.

        Args:
            batches: The messages, in order.
            claims: What holds them; None: nothing has to.
            outbox: The way to their targets.

        Raises:
            ConnectorError: The source or a target is lost, and with it what is held.
            StoreError: The journal cannot be written.
        """
        gathered: asyncio.Queue[Window | None] = asyncio.Queue(1)
        sent: asyncio.Queue[tuple[Window, Answers] | None] = asyncio.Queue(windows.WAITING)
        answered: asyncio.Queue[_Answered | None] = asyncio.Queue(1)

        async def send_all() -> None:
            while (window := await gathered.get()) is not None:
                await sent.put((window, await self._send(window, claims, outbox)))
                if self._is_atomic:
                    # A transaction decides on all that was published: it must not hold what the ledger does not cover
                    # yet.
                    await sent.join()
            await sent.put(None)

        async def note_all() -> None:
            while (each := await sent.get()) is not None:
                found = await self._note(*each)
                await answered.put(found)
                if found.unknown is not None:
                    # It is raised when what was confirmed is settled: until then nothing more is sent.
                    return
            await answered.put(None)

        async def settle_all() -> None:
            while (each := await answered.get()) is not None:
                await self._settle(each, claims)
                if each.unknown is not None:
                    raise each.unknown
                sent.task_done()
                self._standing.tell()
            await self._standing.mark_done()

        self._lapsed, self._let_go = False, 0
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                for stage in (send_all, note_all, settle_all):
                    group.create_task(stage())
                await self._gather(batches, claims is not None, gathered)
                await gathered.put(None)
        return Passed(self._let_go, self._lapsed)

    # Gathering.

    async def _gather(
        self, batches: AsyncIterable[Sequence[Delivery]], claimed: bool, gathered: "asyncio.Queue[Window | None]"
    ) -> None:
        """Decide about messages, and gather those that go on."""
        window = Window()
        number = 0
        most = self._pace.together
        is_first = self._plan.rate is None
        async for batch in batches:
            await self._choice.foresee(batch)
            for delivery in batch:
                if self._is_over():
                    # What comes now stays. A log's ledger must not pass over it, and a queue has it back.
                    break
                if self._is_planned(delivery):
                    await self._take(delivery, number if claimed else None, window)
                number += 1
                if window.is_full(most):
                    await self._pace.wait(len(window.outgoing))
                    await gathered.put(window)
                    window = Window()
            if self._is_over():
                break
            if is_first and window.items:
                # Whoever journals and publishes begins while more comes.
                is_first = False
                await gathered.put(window)
                window = Window()
            self._standing.tell()
            await asyncio.sleep(0)
        if window.items:
            await self._pace.wait(len(window.outgoing))
            await gathered.put(window)

    def _is_planned(self, delivery: Delivery) -> bool:
        """Whether it was there when the plan was made."""
        if delivery.position is None or not self._plan.ends:
            return True
        end = self._plan.ends.get(delivery.position.partition)
        return end is not None and int(delivery.position.offset) < int(end)

    async def _take(self, delivery: Delivery, claimed: int | None, window: Window) -> None:
        """Decide about a message; it goes on, or it stays."""
        standing = self._standing
        key = key_of(delivery)
        from_queue = self._from_source and delivery.position is None
        known = standing.take_known(key, delivery, from_queue)
        if known is not None and known[1] in (EntryState.CONFIRMED, EntryState.SETTLED):
            window.items.append(Item(key, claimed, known[0], confirmed=True))
            return
        refused = known is not None and known[1] == EntryState.FAILED
        beyond = (known is None or refused) and standing.is_full()
        # What a ledger does not pass over holds back what comes behind it.
        if (beyond and not self._plan.ledger) or (known is not None and known[0] in standing.given_up):
            return
        found = await self._choice.decide(delivery)
        if isinstance(found, Stay):
            if found.why == "cannot" and not beyond:
                standing.count_left(found.reason)
            self._pass_over(key, claimed, window)
            return
        if beyond:
            return
        sequence = standing.sequence if known is None else known[0]
        if isinstance(found, Removal):
            if found.extra:
                # Where it comes back it is told by its stamp again. By its key it could be taken for the first copy.
                key = b""
                if (before := standing.take_known(key, delivery, from_queue)) is not None:
                    window.items.append(Item(key, claimed, before[0], confirmed=True))
                    return
        else:
            if known is not None and found.event is not None:
                # It is edited once: what may be there already must not differ from what is sent again.
                kept = await self._journal.do(Journal.entry, sequence)
                found = found._replace(event=found.event if kept is None else kept.copy)
            try:
                event = self._choice.outgoing(delivery, found, sequence)
            except FormatError as error:
                standing.count_left(str(error).rstrip("."))
                self._pass_over(key, claimed, window)
                return
            window.outgoing.append(Outgoing(sequence, found.address, found.partition, event))
        item = Item(key, claimed, sequence, confirmed=isinstance(found, Removal))
        standing.taken += bool(key) and (known is None or refused)
        if known is None:
            standing.sequence += 1
            window.add(item, delivery, found)
        else:
            window.add_again(item, delivery, refused)

    def _pass_over(self, key: bytes, claimed: int | None, window: Window) -> None:
        """Let a ledger say that a message was dealt with: the log keeps it."""
        if self._plan.ledger:
            window.items.append(Item(key, claimed, None))

    # Sending.

    async def _send(self, window: Window, claims: Claims | None, outbox: Outbox) -> Answers:
        """Journal a window, and hand it to the publishers."""
        if claims is not None and (claims.lapsed or self._lapsed):
            # Others have them by now: what is not published yet is not published.
            self._standing.taken -= window.drop(claims.lapsed)
            self._lapsed = True
        if window.entries:
            await self._journal.do(Journal.add, window.entries)
        if window.again and not self._is_atomic:
            await self._journal.do(Journal.mark_twice, window.again)
        if window.retried:
            await self._journal.do(Journal.mark_retried, window.retried)
        return await outbox.send(window.outgoing)

    # Noting and settling.

    async def _note(self, window: Window, answers: Answers) -> _Answered:
        """Wait for a window's answers, and note them."""
        receipts = await answers.all()
        confirmed: list[int] = []
        resent: list[int] = []
        failed: list[tuple[int, str]] = []
        unknown: ConnectorError | None = None
        for sequence, receipt in receipts.items():
            if receipt.error is None:
                confirmed.append(sequence)
                if receipt.resent:
                    resent.append(sequence)
            elif receipt.state == "unknown":
                unknown = receipt.error
            else:
                failed.append((sequence, str(receipt.error)))
        if failed:
            await self._standing.fail(failed)
        if unknown is not None and self._is_atomic:
            # What may be in the transaction must not be decided on while its place in the ledger is not.
            raise unknown
        if resent:
            await self._journal.do(Journal.mark_twice, resent)
        if confirmed and not self._is_atomic:
            await self._standing.mark_done(confirmed)
        return _Answered(window, {*confirmed}, {sequence for sequence, _ in failed}, unknown)

    async def _settle(self, answered: _Answered, claims: Claims | None) -> None:
        """Let the source go of what was confirmed."""
        window, confirmed, failed, _ = answered
        let_go: list[Item] = []
        for item in window.items:
            if item.sequence is None or item.confirmed or item.sequence in confirmed:
                let_go.append(item)
            elif item.sequence in failed and self._plan.ledger:
                # A log keeps what failed, and the ledger goes on: the journal names it.
                let_go.append(item)
            elif item.sequence in failed:
                self._standing.given_up.add(item.sequence)
        pending: set[int] = set()
        if claims is not None and let_go:
            outcomes = await claims.settle([each.claimed for each in let_go if each.claimed is not None])
            for outcome in outcomes:
                if outcome.state == "pending":
                    # The ledger stands before it still, and has it claimed again.
                    pending.add(outcome.sequence)
                elif outcome.error is not None:
                    raise outcome.error
        settled = [
            each.sequence
            for each in let_go
            if each.sequence is not None
            and each.sequence not in failed
            and (each.claimed is None or each.claimed not in pending)
        ]
        if settled:
            self._standing.settle(settled)
            if self._is_atomic:
                await self._standing.mark_done()
        self._let_go += len(let_go)


def is_atomic(plan: Plan) -> bool:
    """Whether publishing and settling are decided in one."""
    return plan.ledger and plan.guarantee == "exactly once"
