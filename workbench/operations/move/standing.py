"""How far an operation is: what was counted, and what its source may still have of what the journal has."""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from workbench.model.event import Delivery
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_thread import JournalThread
from workbench.operations.journal.operation import EntryState, State, now
from workbench.operations.move.choice import Choice
from workbench.operations.move.copies import key_of
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import Plan

_REASONS: Final = 100
"""Reasons for staying that are told apart."""
_WITH_TARGET: Final = (EntryState.CONFIRMED, EntryState.SETTLED)
"""The states of what its target has confirmed."""
_BEAT: Final = 0.1
"""Seconds between two times that somebody is told."""


class Standing:
    """How far an operation is.

    Args:
        plan: What to do.
        choice: Which messages go where.
        journal: Where it is noted.
        on_progress: Told how far it is, a few times a second.
        stopped: Set to end after the messages in hand.
    """

    def __init__(
        self,
        plan: Plan,
        choice: Choice,
        journal: JournalThread,
        on_progress: Callable[[Progress], None],
        stopped: asyncio.Event,
    ) -> None:
        self._plan = plan
        self._choice = choice
        self._journal = journal
        self._on_progress = on_progress
        self._stopped = stopped
        self._start = time.monotonic()
        self._told = 0.0
        self._failure = ""
        self._failed = 0
        self._reasons: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._open: dict[bytes, deque[tuple[int, int]]] = {}
        self._untaken: dict[bytes, float] = {}
        self._is_counted = plan.counted >= plan.depth
        self._settled: list[int] = []
        self._cut_short = False
        self.sequence = 0
        """The number of the next message."""
        self.taken = 0
        """Messages that were taken from the source, and not failed; second copies apart."""
        self.moved = 0
        self.returned: int | None = None
        """Messages that came back; None: nobody watches."""
        self.let_go = 0
        """Messages that the source had let go when it was last gone through from its beginning."""
        self.given_up: set[int] = set()
        """The numbers of those that their targets did not take since it goes on: they are not tried again."""
        self.last_settled = 0.0
        """When the source last let go of something, by the monotonic clock; 0: never."""
        self.begin_round(None)

    # What is still to do.

    def begin_round(self, limit: int | None) -> None:
        """Take so many further messages at most; None: all."""
        plan = self._plan
        of_round = math.inf if limit is None else self.taken + limit
        self._limit = of_round if plan.limit is None else min(of_round, plan.limit)
        self._most = min(self._limit, plan.depth) if plan.removes else self._limit

    def is_full(self) -> bool:
        """Whether no further messages are taken: only those are wanted still that were taken before."""
        return self.taken >= self._most or self._choice.missing == 0

    def is_round_over(self) -> bool:
        """Whether all is done for now."""
        return self._stopped.is_set() or (self.is_full() and not self._open)

    @property
    def takes_all(self) -> bool:
        """Whether whatever comes next is moved, as far as is known: so that no more is held than is wanted."""
        return self._plan.scope == "all" and not self._open

    @property
    def wanted(self) -> int:
        """How many further messages are wanted, of those that the source had; 1 at least."""
        return int(max(min(self._plan.depth, self._limit - self.taken), 1))

    # What the source may still have.

    async def load(self, lost: bool) -> None:
        """Begin a pass: find in the journal how far it is, and what the source may still have.

        Args:
            lost: Whether a connection or a program was lost, and perhaps a broker with it: what the source let go just
                before may be there again.
        """
        plan = self._plan
        await self.mark_done()
        self._open, self._untaken = {}, {}
        self._left.clear()
        self.sequence = await self._journal.do(Journal.next_sequence)
        self._cut_short = self._cut_short or (lost and self.sequence > 0)
        if not self.sequence:
            self.taken = self.let_go = 0
            self._choice.begin_pass({})
            return
        entries = await self._journal.do(Journal.open_entries)
        done = await self._journal.do(Journal.keys) if plan.scope == "selected" else Counter[bytes]()
        done.update(key for sequence, key, _ in entries if sequence in self.given_up)
        self._choice.begin_pass(done)
        if not plan.removes and not plan.ledger:
            # A log has nothing to let go, and what was confirmed is not read again.
            self._settled = [sequence for sequence, _, state in entries if state == EntryState.CONFIRMED]
            await self.mark_done()
        counts = await self._journal.do(Journal.counts)
        self.moved = self.let_go = counts.settled
        for sequence, key, state in entries:
            if self._may_be_there(state, lost):
                self._open.setdefault(key, deque()).append((sequence, state))
        extra = sum(state < EntryState.SETTLED for _, state in self._open.get(b"", ()))
        self.taken = counts.done + counts.open - extra
        if plan.removes:
            await self._find_untaken()

    def _may_be_there(self, state: int, lost: bool) -> bool:
        """Whether the source may have what is that far, and gives it to whoever goes through it."""
        match state:
            case EntryState.FAILED:
                return not self._plan.ledger
            case EntryState.CONFIRMED:
                return self._plan.removes or self._plan.ledger
            case EntryState.SETTLED:
                return self._plan.removes and lost
        return True

    async def _find_untaken(self) -> None:
        """Find out of what was confirmed how many others like it in every byte the journal does not have yet. Those are
        in the source for certain, so that whatever is found is one of them first, and not what was confirmed."""
        alike, newcomers = self._plan.alike, await self._journal.do(Journal.newcomers)
        moved = {key: some for key, some in self._open.items() if key and some[-1][1] in _WITH_TARGET}
        if not moved or (self._is_counted and not alike and not newcomers):
            return
        taken = await self._journal.do(Journal.copies, moved)
        doubtful: list[int] = []
        for key, some in moved.items():
            planned = alike.get(key.hex(), 1)
            if self._is_counted:
                self._untaken[key] = planned + newcomers[key] - taken[key]
            else:
                # Of what there is more than one of, there may be any number.
                self._untaken[key] = math.inf if planned > 1 or taken[key] > 1 else newcomers[key]
            if self._untaken[key] == math.inf or newcomers[key]:
                doubtful += [sequence for sequence, state in some if state in _WITH_TARGET]
        if doubtful:
            await self._journal.do(Journal.mark_doubtful, doubtful)

    async def meet(self, batch: Sequence[Delivery]) -> None:
        """Note of messages that were just delivered which have come since the plan was made: the next time nothing
        tells them from those that were there."""
        if not self._is_counted and not self.is_full():
            return
        if new := Counter(key_of(each) for each in batch if each.redelivered is False):
            await self._journal.do(Journal.note_newcomers, new)

    @property
    def perhaps_back(self) -> int:
        """How many messages the source has let go, and may have again."""
        return sum(state == EntryState.SETTLED for some in self._open.values() for _, state in some)

    def take_known(self, key: bytes, delivery: Delivery, from_queue: bool) -> tuple[int, int] | None:
        """The number and the state of a message that the journal has, which then is found; None: it is a new one."""
        if from_queue and delivery.redelivered is False:
            # What was never delivered is another one that happens to be the same. Next time it was delivered.
            return None
        waiting = self._open.get(key)
        if not waiting:
            return None
        if waiting[0][1] in _WITH_TARGET and self._untaken.get(key, 0) > 0:
            self._untaken[key] -= 1
            return None
        known = waiting.popleft()
        # Counted again when it is let go once more.
        self.moved -= known[1] == EntryState.SETTLED
        if not waiting:
            del self._open[key]
        return known

    # What was done.

    def count_left(self, reason: str) -> None:
        """Count a message that cannot go."""
        self._left[reason if reason in self._left or len(self._left) < _REASONS else "other reasons"] += 1

    async def fail(self, failed: Sequence[tuple[int, str]]) -> None:
        """Note messages by their numbers that their targets did not take, each with the reason."""
        await self._journal.do(Journal.mark_failed, failed)
        self._failed += len(failed)
        self._reasons.update(why for _, why in failed)
        self._failure = failed[-1][1]

    def settle(self, sequences: Sequence[int]) -> None:
        """Take messages by their numbers for moved. It is noted with what is confirmed next: until then they are looked
        for in the source after a crash, and not found."""
        self._settled += sequences
        self.last_settled = time.monotonic()
        self.moved += len(sequences)

    async def mark_done(self, confirmed: Sequence[int] = ()) -> None:
        """Note messages that were confirmed, and what was settled before."""
        settled, self._settled = self._settled, []
        if confirmed or settled:
            await self._journal.do(Journal.mark_done, confirmed, settled, now())

    async def note(self, what: str) -> None:
        """Note a step, a sentence."""
        await self._journal.do(Journal.note, now(), what)

    def tell(self, phase: str = "", force: bool = False) -> None:
        """Tell how far it is, unless somebody was told just before."""
        at = time.monotonic()
        if not force and at < self._told:
            return
        self._told = at + _BEAT
        total = max(self._plan.moving, self.moved)
        done = self.moved, self._failed, self._left.total(), self.returned or 0
        self._on_progress(Progress(total, *done, at - self._start, phase, self._failure))

    async def end(self, state: State, why: str, atomic: bool) -> Ended:
        """Note how it ended.

        Args:
            state: How.
            why: Why it did not come to its end, a sentence; empty where it did.
            atomic: Whether what was published counts only with what the source has let go.
        """
        plan = self._plan
        await self.mark_done()
        missing = 0
        if state == "done":
            # All of the source was seen: what was confirmed and is not there was let go, what was in flight was taken.
            gone = [
                sequence
                for some in self._open.values()
                for sequence, at in some
                if at == EntryState.IN_FLIGHT or (at == EntryState.FAILED and sequence not in self.given_up)
            ]
            let_go = [sequence for some in self._open.values() for sequence, at in some if at == EntryState.CONFIRMED]
            await self._journal.do(Journal.mark, gone, EntryState.SETTLED if atomic else EntryState.GONE)
            await self._journal.do(Journal.mark_done, (), let_go, now())
        await self._journal.do(Journal.note_stays, dict(self._left))
        counts = await self._journal.do(Journal.counts)
        if state == "done" and plan.removes:
            # What cannot go any more, though it could when it was planned, is there still.
            stays = max(self._left.total() - sum(each.count for each in plan.stays), 0)
            missing = max(plan.moving - (counts.total - counts.extra) - stays, 0)
        elif state == "done":
            missing = max((self._choice.missing or 0) - counts.gone, 0)
        ended = Ended(
            state=state,
            verb=past_of(plan),
            moved=counts.done + (0 if plan.removes or plan.ledger else counts.confirmed),
            failed=counts.failed,
            left=self._left.total(),
            returned=self.returned,
            twice=counts.twice,
            gone=counts.gone,
            open=counts.open,
            missing=missing,
            reasons=tuple((*self._reasons.most_common(20), *self._left.most_common(20))),
            why=why,
            seconds=time.monotonic() - self._start,
            extra=counts.extra,
            unseen=max(plan.second - counts.extra, 0),
            cut_short=self._cut_short,
        )
        await self._journal.do(Journal.end, state, now(), f"{ended.sentence}. {why}".rstrip())
        return ended

    @property
    def is_missing(self) -> bool:
        """Whether the source was not seen to have, or to have let go of, something that the journal has, or that the
        plan has counted."""
        unseen = any(at != EntryState.SETTLED for some in self._open.values() for _, at in some)
        return unseen or self.taken + self._failed < self._plan.moving


def past_of(plan: Plan) -> str:
    """What is done to messages, as it is said afterwards."""
    if plan.purpose == "delete":
        return "deleted"
    if plan.undoes:
        return "taken back"
    return "moved" if plan.removes else "copied"
