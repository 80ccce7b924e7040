"""Carrying a plan out: journal, publish, confirm, journal, settle, journal; in windows, so that nothing waits for one
message, and so that never more than `IN_FLIGHT` messages are between two of these steps.

The reading side takes messages from the source, journals a window of them and hands it to the publishers; the finishing
side waits for the answers and lets the source go of what was confirmed. What the source still has after a crash or a
lost connection is found by its key in the journal: what was confirmed is settled without being published again.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence, Set
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Final, NamedTuple, Protocol

from workbench.connecting.connector import Claims, Connector, Purpose
from workbench.connecting.retry import Backoff
from workbench.model.endpoint import Ability
from workbench.model.errors import (
    AccessRefused,
    ConnectionLost,
    ConnectorError,
    FormatError,
    Unsupported,
    unwrap_exception_group,
)
from workbench.model.event import Delivery, Event, Position
from workbench.model.start import At, Beginning
from workbench.model.wording import quantity
from workbench.operations.dead.originals import whole_events
from workbench.operations.journal.journal import Entry, Journal
from workbench.operations.journal.operation import EntryState, State, now
from workbench.operations.move.copies import key_of, stamp_of
from workbench.operations.move.outbox import Answers, Outbox, Outgoing, outbox_of
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import Plan
from workbench.operations.move.routing import Stay, Way
from workbench.session import Session

WINDOW: Final = 1_000
"""Messages that are journalled, published, confirmed and settled together."""
WINDOW_BYTES: Final = 16_777_216
"""Bytes of messages in a window, unless one is larger."""
_WAITING: Final = 1
"""Windows that wait to be finished, beside the one that is and the one that is sent."""
IN_FLIGHT: Final = WINDOW * (_WAITING + 2)
"""Messages that can be published and not yet confirmed: what a crash may publish a second time."""
PASS_SECONDS: Final = 600.0
"""Seconds for which messages are held at most: brokers close the channel of whoever holds one too long, after half an
hour unless they are told otherwise (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout)."""
_CERTAIN: Final = 2.0
"""Seconds after which what a source let go is gone for good, if its broker still lives."""
_REASONS: Final = 100
"""Reasons for staying that are told apart."""
_ATTEMPTS: Final = 6
_RETURN: Final = 5.0
"""Seconds for which a source is given to have back what was held over a lost connection."""
_PACE: Final = 0.25
"""Seconds for which messages go out together where there is a rate."""
_LOOK: Final = 0.5
"""Seconds between two questions whether a source has grown."""


class Choice(Protocol):
    """What becomes of each message of a source, and what is published of it."""

    async def prepare(self) -> None:
        """Ask the brokers what has to be known.

        Raises:
            WorkbenchError: They do not tell.
        """
        ...

    async def foresee(self, batch: Sequence[Delivery]) -> None:
        """Ask the brokers what has to be known of these messages, before it is decided about each."""
        ...

    async def decide(self, delivery: Delivery) -> Way | Stay | None:
        """Where it goes, or why it stays; None: it is deleted."""
        ...

    def outgoing(self, delivery: Delivery, way: Way, sequence: int) -> Event:
        """What is published.

        Raises:
            FormatError: Nothing can be.
        """
        ...

    @property
    def missing(self) -> int | None:
        """How many are still to be found; None: any number."""
        ...


class _Item(NamedTuple):
    """A message on its way through.

    Attributes:
        key: What it is found by in its source.
        claimed: Its number in the claim; None where nothing is claimed.
        sequence: Its number in the journal; None: it is only passed over.
        confirmed: Whether its target has it already.
    """

    key: bytes
    claimed: int | None
    sequence: int | None
    confirmed: bool = False


class _Gathered:
    """The messages of a window while they are gathered."""

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.entries: list[Entry] = []
        self.outgoing: list[Outgoing] = []
        self.again: list[int] = []
        """The numbers of those that are published once more."""
        self.size = 0
        """Bytes of memory that they take."""

    def is_full(self, most: int) -> bool:
        """Whether they go on: there are `most` of them, or they are large."""
        many = len(self.entries) + len(self.again) >= most or len(self.items) >= WINDOW
        return many or self.size >= WINDOW_BYTES

    def drop(self, lapsed: Set[int]) -> int:
        """Leave out what is claimed by others now; how many were not taken before."""
        gone = {each.sequence for each in self.items if each.claimed in lapsed}
        fresh = sum(each.sequence in gone for each in self.entries)
        self.items = [each for each in self.items if each.claimed not in lapsed]
        self.entries = [each for each in self.entries if each.sequence not in gone]
        self.outgoing = [each for each in self.outgoing if each.sequence not in gone]
        self.again = [each for each in self.again if each not in gone]
        return fresh


def _entry(sequence: int, key: bytes, delivery: Delivery, way: Way | None) -> Entry:
    """What the journal notes of a message that goes somewhere; or nowhere, for it is deleted."""
    if way is None:
        return Entry(sequence, key, delivery, None, EntryState.CONFIRMED)
    return Entry(sequence, key, delivery, way.address, EntryState.IN_FLIGHT, copy=way.event)


class _Window(NamedTuple):
    claims: Claims | None
    items: list[_Item]
    answers: Answers


class Run:
    """One operation while it is carried out."""

    def __init__(
        self,
        session: Session,
        plan: Plan,
        choice: Choice,
        journal: Journal,
        on_progress: Callable[[Progress], None] = lambda _: None,
        stopped: asyncio.Event | None = None,
        messages: Callable[[], AsyncIterator[Sequence[Delivery]]] | None = None,
    ) -> None:
        """
        Args:
            session: Whose connections.
            plan: What to do.
            choice: Which messages go where.
            journal: Where every message is kept before anything is done with it.
            on_progress: Told how far it is, a few times a second.
            stopped: Set to end after the messages in hand.
            messages: The messages, where they are not read from the plan's source.
        """
        self._session = session
        self._plan = plan
        self._choice = choice
        self._journal = journal
        self._on_progress = on_progress
        self._writing = asyncio.Lock()
        self._open: dict[bytes, deque[tuple[int, int]]] = {}
        self._given_up: set[bytes] = set()
        self._sequence = 0
        self._moved = self._failed = self._returned = self._taken = 0
        self._unsure: list[Delivery] = []
        self._left: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._start = time.monotonic()
        self._settled: list[int] = []
        self._awaits_return = False
        self._let_go = self._hidden = 0
        self._last_settled = 0.0
        self._told = 0.0
        self._failure = ""
        self._hold = PASS_SECONDS
        self._until = math.inf
        self._lapsed = False
        self._due = 0.0
        self._round_limit: int | None = None
        self._messages = messages
        self._stopped = stopped or asyncio.Event()

    async def carry_out(self) -> Ended:
        """Do it, or do further what was interrupted.

        Raises:
            WorkbenchError: It cannot begin; nothing was moved.
            StoreError: The journal cannot be written; what is in it can be resumed.
        """
        plan = self._plan
        await self._choice.prepare()
        self._awaits_return = await asyncio.to_thread(lambda: self._journal.next_sequence) > 0
        await self._note("resumed" if self._awaits_return else "begun")
        state: State = "done"
        why = ""
        try:
            async with self._watching():
                for step in (*plan.canary, None):
                    await self._round(step)
                    self._round_limit = None
                    if self._stopped.is_set():
                        state, why = "stopped", "Stopped by its user."
                        break
                    if step is None or self._is_full():
                        break
                    if await self._came_back():
                        state = "stopped"
                        why = f"Stopped: {quantity(self._returned, 'message')} came back to {plan.source}."
                        break
                await self._make_certain()
        except ConnectorError as error:
            state, why = "interrupted", str(error)
        return await self._end(state, why)

    # Rounds: one for each step of the canary, and one for the rest.

    async def _round(self, limit: int | None) -> None:
        """Move so many further messages, and go on after a lost connection as often as it helps."""
        self._round_limit = None if limit is None else self._taken + limit
        backoff, failures = Backoff(), 0
        while True:
            moved, began = self._moved, time.monotonic()
            try:
                further = await self._through_source()
            except ConnectorError as error:
                if self._moved > moved:
                    failures = 0
                    backoff.reset()
                failures += 1
                self._awaits_return = True
                hopeless = isinstance(error, Unsupported | AccessRefused)
                if hopeless or failures >= _ATTEMPTS or self._stopped.is_set():
                    raise
                if not isinstance(error, ConnectionLost):
                    # It may have been held too long for this broker.
                    self._hold = min(self._hold, max((time.monotonic() - began) / 2, 1.0))
                await self._note(f"lost: {error}")
                self._tell(f"lost, and tried again: {error}", force=True)
                backoff.fail(str(error), 0)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), backoff.pause)
                continue
            if not further or self._is_round_over():
                return
            if self._moved == moved:
                failures += 1
                if not self._lapsed:
                    return
                if failures >= _ATTEMPTS:
                    raise ConnectorError(
                        f"{self._plan.source} takes messages back before they are published: its leases are too short."
                    )

    async def _through_source(self) -> bool:
        """Go through the source once. Whether there may be more that was not reached."""
        await self._load_open()
        self._left.clear()
        if self._plan.ledger:
            await self._from_ledger()
        elif self._plan.removes:
            return await self._from_queue()
        else:
            await self._from_log()
        return False

    def _is_full(self) -> bool:
        """Whether no further messages are taken: only those are wanted still that were taken before."""
        plan = self._plan
        most = min(plan.depth if plan.removes else math.inf, math.inf if plan.limit is None else plan.limit)
        if self._taken >= most or self._choice.missing == 0:
            return True
        return self._round_limit is not None and self._taken >= self._round_limit

    def _is_round_over(self) -> bool:
        return self._stopped.is_set() or (self._is_full() and not self._open)

    async def _from_queue(self) -> bool:
        """Hold messages in as many claims as it takes, and give back what was not moved in the order in which it was
        taken. Whether there may be more: the time was up."""
        connector = await self._session.connector(self._plan.source.connection)
        # Nothing is held while one only waits.
        await self._wait_for_turn()
        if self._awaits_return:
            await self._until_returned(connector)
        # What was there when the plan was made, and what its broker may have again.
        budget = self._plan.depth - self._moved + sum(map(len, self._open.values()))
        self._until = time.monotonic() + self._hold
        self._lapsed = False
        purpose: Purpose = "destroy" if self._plan.purpose == "delete" else "move"
        held: list[AbstractAsyncContextManager[Claims]] = []
        async with outbox_of(self._session, None) as outbox:
            try:
                while budget > 0 and not self._is_pass_over():
                    most = min(budget, self._wanted() if self._takes_all() else budget)
                    context = connector.claim(self._plan.source, purpose, most)
                    claims = await context.__aenter__()
                    held.append(context)
                    taken, kept = await self._through(claims, outbox)
                    budget -= taken
                    if not kept:
                        held.remove(context)
                        await context.__aexit__(None, None, None)
                    if not taken:
                        break
            finally:
                await _leave(held)
        return self._lapsed or (budget > 0 and time.monotonic() >= self._until)

    async def _until_returned(self, connector: Connector) -> None:
        """Wait until the source has back what was held over a connection that is lost: its broker may notice late, or
        still be starting."""
        until = time.monotonic() + _RETURN
        while True:
            endpoint = await connector.endpoint(self._plan.source)
            if (endpoint.depth or 0) >= self._plan.depth - self._let_go:
                self._awaits_return, self._hidden = False, 0
                return
            if (left := until - time.monotonic()) <= 0 or self._stopped.is_set():
                # Somebody may have taken them; or they are held still.
                self._hidden = endpoint.held or 0
                return
            self._tell("waiting for what the source has back")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), min(left, _LOOK / 2))

    def _is_pass_over(self) -> bool:
        return self._is_round_over() or time.monotonic() >= self._until

    def _takes_all(self) -> bool:
        """Whether whatever comes next is moved, as far as is known: so that no more is held than is wanted."""
        return self._plan.scope == "all" and not self._open

    def _wanted(self) -> int:
        limits = [self._plan.depth]
        if self._plan.limit is not None:
            limits.append(self._plan.limit - self._taken)
        if self._round_limit is not None:
            limits.append(self._round_limit - self._taken)
        return max(min(limits), 1)

    async def _through(self, claims: Claims, outbox: Outbox) -> tuple[int, int]:
        """Take one claim's messages through. How many were claimed, and how many of these are held still."""
        taken = 0

        async def deliveries() -> AsyncIterator[Sequence[Delivery]]:
            nonlocal taken
            async for batch in claims:
                taken += len(batch)
                yield batch

        released = await self._pump(deliveries(), claims, outbox)
        return taken, taken - released

    async def _from_ledger(self) -> None:
        """Go over a log with a ledger, which is kept at the broker."""
        plan = self._plan
        connector = await self._session.connector(plan.source.connection)
        async with connector.transaction(ledger_of(plan.id)) as transaction:
            inside = transaction if plan.guarantee == "exactly once" else None
            async with outbox_of(self._session, inside) as outbox, transaction.claim(plan.source, "move") as claims:
                await self._pump(claims, claims, outbox)

    async def _from_log(self) -> None:
        """Copy from a log that keeps no place for us: the journal alone says how far one is."""
        plan = self._plan
        done = await asyncio.to_thread(self._journal.keys)
        async with outbox_of(self._session, None) as outbox:
            found = self._selected(done) if plan.selected and self._messages is None else self._not_done(done)
            await self._pump(found, None, outbox)

    async def _selected(self, done: Counter[bytes]) -> AsyncIterator[Sequence[Delivery]]:
        for key in map(bytes.fromhex, self._plan.selected):
            partition, _, offset = key.decode().partition(":")
            if key in done:
                continue
            async with self._session.browse(self._plan.source, At(Position(partition, offset)), 1) as stream:
                async for batch in stream:
                    yield batch

    async def _not_done(self, done: Counter[bytes]) -> AsyncIterator[Sequence[Delivery]]:
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

    # Windows.

    async def _pump(self, batches: AsyncIterable[Sequence[Delivery]], claims: Claims | None, outbox: Outbox) -> int:
        """Take messages through, window by window. How many of the claimed ones were let go.

        Raises:
            ConnectorError: The source or a target is lost, and with it what is held.
        """
        released = 0
        windows: asyncio.Queue[_Window | None] = asyncio.Queue(_WAITING)

        async def finish_all() -> None:
            nonlocal released
            while (window := await windows.get()) is not None:
                released += await self._finish(window)
                windows.task_done()
            await self._mark_done()

        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                group.create_task(finish_all())
                async with aclosing(self._windows(batches, claims)) as made:
                    async for gathered in made:
                        if claims is not None and (lapsed := claims.lapsed):
                            # Others have them by now: what is not published yet is not published.
                            self._taken -= gathered.drop(lapsed)
                            self._lapsed = True
                        if gathered.entries:
                            await self._write(self._journal.add, gathered.entries)
                        if gathered.again and not self._is_atomic:
                            await self._write(self._journal.mark_twice, gathered.again)
                        answers = await outbox.send(gathered.outgoing)
                        await windows.put(_Window(claims, gathered.items, answers))
                        if self._is_atomic:
                            # A transaction decides on all that was published: it must not hold what the ledger does
                            # not cover yet.
                            await windows.join()
                await windows.put(None)
        return released

    async def _windows(
        self, batches: AsyncIterable[Sequence[Delivery]], claims: Claims | None
    ) -> AsyncGenerator[_Gathered, None]:
        """Decide about messages, and gather those that go on."""
        gathered = _Gathered()
        number = 0
        most = WINDOW if self._plan.rate is None else max(1, min(WINDOW, round(self._plan.rate * _PACE)))
        async for batch in batches:
            await self._choice.foresee(batch)
            for delivery in batch:
                claimed = None if claims is None else number
                number += 1
                if self._is_pass_over():
                    # What comes now stays. A log's ledger must not pass over it, and a queue has it back.
                    break
                if self._is_planned(delivery):
                    await self._take(delivery, claimed, gathered)
                if gathered.is_full(most):
                    await self._keep_pace(len(gathered.outgoing))
                    yield gathered
                    gathered = _Gathered()
            if self._is_pass_over():
                break
            self._tell("")
            await asyncio.sleep(0)
        if gathered.items:
            await self._keep_pace(len(gathered.outgoing))
            yield gathered

    async def _take(self, delivery: Delivery, claimed: int | None, gathered: _Gathered) -> None:
        """Decide about a message; it is gathered, or it stays."""
        key = key_of(delivery)
        known = self._known(key, delivery)
        if known is not None and known[1] != EntryState.IN_FLIGHT:
            gathered.items.append(_Item(key, claimed, known[0], confirmed=True))
            return
        beyond = known is None and self._is_full()
        # What a ledger does not pass over holds back what comes behind it.
        if (beyond and not self._plan.ledger) or (known is None and key in self._given_up):
            return
        found = await self._choice.decide(delivery)
        if isinstance(found, Stay):
            if found.why == "cannot" and not beyond:
                self._count_left(found.reason)
            self._pass_over(key, claimed, gathered)
            return
        if beyond:
            return
        sequence = self._sequence if known is None else known[0]
        if found is not None:
            if known is not None and found.event is not None and (kept := self._journal.entry(sequence)):
                # It is edited once: what may be there already must not differ from what is sent again.
                found = found._replace(event=kept.copy)
            try:
                event = self._choice.outgoing(delivery, found, sequence)
            except FormatError as error:
                self._count_left(str(error).rstrip("."))
                self._pass_over(key, claimed, gathered)
                return
            gathered.outgoing.append(Outgoing(sequence, found.address, found.partition, event))
        if known is None:
            self._sequence += 1
            self._taken += 1
            gathered.entries.append(_entry(sequence, key, delivery, found))
        else:
            gathered.again.append(sequence)
        gathered.items.append(_Item(key, claimed, sequence, confirmed=found is None))
        gathered.size += delivery.memory

    def _count_left(self, reason: str) -> None:
        """Count a message that cannot go."""
        self._left[reason if reason in self._left or len(self._left) < _REASONS else "other reasons"] += 1

    def _pass_over(self, key: bytes, claimed: int | None, gathered: _Gathered) -> None:
        """Let a ledger say that a message was dealt with: the log keeps it."""
        if self._plan.ledger:
            gathered.items.append(_Item(key, claimed, None))

    def _is_planned(self, delivery: Delivery) -> bool:
        """Whether it was there when the plan was made."""
        if delivery.position is None or not self._plan.ends:
            return True
        end = self._plan.ends.get(delivery.position.partition)
        return end is not None and int(delivery.position.offset) < int(end)

    def _known(self, key: bytes, delivery: Delivery) -> tuple[int, int] | None:
        """The number and the state of a message that the journal has: it was taken before."""
        waiting = self._open.get(key)
        from_queue = self._messages is None and delivery.position is None
        if not waiting or (from_queue and delivery.redelivered is False):
            # What was never delivered is another one that happens to be the same.
            return None
        known = waiting.popleft()
        if not waiting:
            del self._open[key]
        return known

    async def _finish(self, window: _Window) -> int:
        """Wait for a window's answers, and let the source go of what was confirmed. How many it let go."""
        receipts = await window.answers.all()
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
            await self._write(self._journal.mark_failed, failed)
            self._failed += len(failed)
            self._reasons.update(why for _, why in failed)
            self._failure = failed[-1][1]
        if unknown is not None and self._is_atomic:
            # What may be in the transaction must not be decided on while its place in the ledger is not.
            raise unknown
        if resent:
            await self._write(self._journal.mark_twice, resent)
        if confirmed and not self._is_atomic:
            await self._mark_done(confirmed)
        let_go = await self._settle(window, {*confirmed}, {sequence for sequence, _ in failed})
        if unknown is not None:
            raise unknown
        self._tell("")
        return let_go

    async def _settle(self, window: _Window, confirmed: set[int], failed: set[int]) -> int:
        """Let the source go of what was confirmed. How many it let go."""
        let_go: list[_Item] = []
        for item in window.items:
            if item.sequence is None or item.confirmed or item.sequence in confirmed:
                let_go.append(item)
            elif item.sequence in failed and self._plan.ledger:
                # A log keeps what failed, and the ledger goes on: the journal names it.
                let_go.append(item)
            elif item.sequence in failed:
                self._given_up.add(item.key)
        pending: set[int] = set()
        if window.claims is not None and let_go:
            outcomes = await window.claims.settle([each.claimed for each in let_go if each.claimed is not None])
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
            # Noted with what is confirmed next: until then it is looked for in the source, and not found.
            self._settled += settled
            self._last_settled = time.monotonic()
            self._moved += len(settled)
            if self._is_atomic:
                await self._mark_done()
        return len(let_go)

    async def _mark_done(self, confirmed: Sequence[int] = ()) -> None:
        settled, self._settled = self._settled, []
        await self._write(self._journal.mark_done, confirmed, settled, now())

    async def _keep_pace(self, count: int) -> None:
        """Wait until so many messages may go."""
        if self._plan.rate is not None and count:
            await self._wait_for_turn()
            self._due = max(self._due, time.monotonic()) + count / self._plan.rate

    async def _wait_for_turn(self) -> None:
        if (left := self._due - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), left)

    @property
    def _is_atomic(self) -> bool:
        """Whether publishing and settling are decided in one."""
        return self._plan.ledger and self._plan.guarantee == "exactly once"

    # What comes back, and what is certain.

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        """Count what comes back to a log meanwhile; a queue is looked at after each step of a canary."""
        plan = self._plan
        if plan.removes or plan.purpose != "move":
            yield
            return
        connector = await self._session.connector(plan.source.connection)
        endpoint = await connector.endpoint(plan.source)
        if Ability.TAIL not in endpoint.abilities:
            yield
            return
        async with self._session.tail(plan.source) as stream:

            async def count() -> None:
                # What cannot be followed is not counted; the move goes on.
                with suppress(ConnectorError):
                    async for batch in stream:
                        self._returned += await self._count_own(batch)

            with unwrap_exception_group():
                async with asyncio.TaskGroup() as group:
                    counting = group.create_task(count())
                    try:
                        yield
                    finally:
                        counting.cancel()

    async def _came_back(self) -> bool:
        """Wait after a step of a canary; whether any message came back meanwhile."""
        plan = self._plan
        until = time.monotonic() + plan.watch
        connector = await self._session.connector(plan.source.connection)
        await self._note(f"{self._moved:,} {_past(plan)}, and watched for {plan.watch:g} s")
        expected = plan.depth - self._moved
        while (left := until - time.monotonic()) > 0 and not self._returned and not self._stopped.is_set():
            self._tell(f"watching for {left:.0f} s whether any comes back", force=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), min(left, _LOOK))
            if plan.removes and (depth := (await connector.endpoint(plan.source)).depth or 0) > expected:
                # It has grown, by what came back or by others: it is looked at once for each time.
                self._returned, expected = await self._count_returned(), depth
            if self._unsure:
                self._returned += await self._count_own(())
        return bool(self._returned)

    async def _count_returned(self) -> int:
        count = 0
        async with self._session.browse(self._plan.source) as stream:
            async for batch in stream:
                count += await self._count_own(batch)
        return count

    async def _count_own(self, batch: Sequence[Delivery]) -> int:
        """How many of these are copies of this operation, whatever a dead letter lacks of the copy that it was. Those
        that cannot be told yet are asked about with the next."""
        asked, self._unsure = [*self._unsure, *batch], []
        events = await whole_events(self._session, asked)
        self._unsure += [each for each, event in zip(asked, events, strict=True) if event is None][-WINDOW:]
        return sum(_is_of(event, self._plan.id) for event in events if event is not None)

    async def _make_certain(self) -> None:
        """Wait until what a queue let go is gone for good; where its broker was lost meanwhile, look once more."""
        # A broker of this process lives as long as whoever asks.
        if not self._plan.removes or self._session.is_embedded(self._plan.source.connection):
            return
        for _ in range(_ATTEMPTS):
            left = self._last_settled + _CERTAIN - time.monotonic()
            if left <= 0 or not self._last_settled:
                return
            self._tell("making sure", force=True)
            await asyncio.sleep(left)
            connector = await self._session.connector(self._plan.source.connection)
            try:
                await connector.endpoint(self._plan.source)
                return
            except ConnectionLost:
                self._awaits_return = True
                await self._round(None)

    async def _load_open(self) -> None:
        """Find in the journal how far it is, and what the source may still have."""
        await self._mark_done()
        self._open = {}
        self._sequence = await asyncio.to_thread(lambda: self._journal.next_sequence)
        if not self._sequence:
            self._taken = self._let_go = 0
            return
        counts = await asyncio.to_thread(self._journal.counts)
        self._taken = counts.settled + counts.confirmed + counts.in_flight
        self._moved = self._let_go = counts.settled
        for sequence, key, state in await asyncio.to_thread(lambda: list(self._journal.open_entries())):
            if state == EntryState.SETTLED and not self._plan.removes:
                # A log never had to let go of it, and gives nothing back.
                continue
            self._open.setdefault(key, deque()).append((sequence, state))
            # Counted when it was let go once more.
            self._moved -= state == EntryState.SETTLED

    async def _end(self, state: State, why: str) -> Ended:
        plan = self._plan
        await self._mark_done()
        missing = any(at < EntryState.SETTLED for some in self._open.values() for _, at in some)
        if state == "done" and missing and self._hidden:
            state = "interrupted"
            why = f"{quantity(self._hidden, 'message')} of {plan.source} are held by a consumer, and cannot be seen."
        if state == "done":
            # All of the source was seen: what was confirmed and is not there was let go, what was in flight was taken.
            gone = [sequence for some in self._open.values() for sequence, at in some if at == EntryState.IN_FLIGHT]
            let_go = [sequence for some in self._open.values() for sequence, at in some if at == EntryState.CONFIRMED]
            await self._write(self._journal.mark, gone, EntryState.SETTLED if self._is_atomic else EntryState.GONE)
            await self._write(self._journal.mark_done, (), let_go, now())
        await self._write(self._journal.note_stays, dict(self._left))
        counts = await asyncio.to_thread(self._journal.counts)
        ended = Ended(
            state=state,
            verb=_past(plan),
            moved=counts.settled + (0 if plan.removes or plan.ledger else counts.confirmed),
            failed=counts.failed,
            left=sum(self._left.values()),
            returned=self._returned,
            twice=counts.twice,
            gone=counts.gone,
            open=counts.open,
            missing=(self._choice.missing or 0) if state == "done" else 0,
            reasons=tuple((*self._reasons.most_common(20), *self._left.most_common(20))),
            why=why,
            seconds=time.monotonic() - self._start,
        )
        await self._write(self._journal.end, state, now(), f"{ended.sentence}. {why}".rstrip())
        return ended

    async def _note(self, what: str) -> None:
        await self._write(self._journal.note, now(), what)

    async def _write(self, what: Callable[..., None], *arguments: object) -> None:
        """Write into the journal, off the event loop, and wait until it is on the disk: also when cancelled, for what
        is written next must not begin in the middle of this."""
        async with self._writing:
            writing = asyncio.get_running_loop().run_in_executor(None, partial(what, *arguments))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await asyncio.wait([writing])
                raise

    def _tell(self, phase: str, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now < self._told:
            return
        self._told = now + 0.1
        total = max(self._plan.moving, self._moved)
        left = sum(self._left.values())
        done = self._moved, self._failed, left, self._returned
        self._on_progress(Progress(total, *done, now - self._start, phase, self._failure))


def ledger_of(id: str) -> str:
    """The name of the ledger of an operation, as the broker's own tools show it."""
    return f"workbench-move-{id}"


async def _leave(held: Sequence[AbstractAsyncContextManager[Claims]]) -> None:
    """Give back in the order in which it was taken; what goes wrong is raised when all were left."""
    wrong: ConnectorError | None = None
    for context in held:
        try:
            await context.__aexit__(None, None, None)
        except ConnectorError as error:
            wrong = wrong or error
    if wrong is not None:
        raise wrong


def _is_of(event: Event, id: str) -> bool:
    stamp = stamp_of(event)
    return stamp is not None and stamp[0] == id


def _past(plan: Plan) -> str:
    if plan.purpose == "delete":
        return "deleted"
    if plan.undoes:
        return "taken back"
    return "moved" if plan.removes else "copied"
