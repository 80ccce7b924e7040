"""Undoing from a screen: what it would change is shown first, then it is begun."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Final

from views.plan_dialog import Decision, PlanDialog
from views.steady_app import KEY_WORK
from views.workbench_screen import WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.errors import WorkbenchError
from workbench.operations import seek
from workbench.operations.journal.records import Record
from workbench.operations.move import moves
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import Plan

_LISTED: Final = 12
"""Partitions that are listed."""


class Undoing:
    """One operation that is taken back, from its plan to its beginning."""

    def __init__(self, screen: WorkbenchScreen, record: Record, begun: Callable[[], object]) -> None:
        """
        Args:
            screen: On top of which it is asked.
            record: What is undone.
            begun: Called when there is a new operation.
        """
        self._screen, self._host, self._session = screen, screen.host, screen.context.session
        self._record, self._begun = record, begun

    def ask(self) -> None:
        """Show what it would change."""
        if self._record.operation.kind == "seek":
            self._screen.run_worker(self._plan_seek(), group=KEY_WORK)
            return
        permit = partial(moves.permit, self._session)
        dialog = PlanDialog("Undo", self._plan, permit, "take back", can_keep=False)
        self._screen.app.push_screen(dialog, self._decided)

    async def _plan(self, tell: Callable[[str], None]) -> Sequence[Plan]:
        return await moves.plan_undo(self._session, self._record.path)

    def _decided(self, decision: Decision | None) -> None:
        if decision is None:
            return

        def undo(tell: Callable[[Progress], None], stopped: asyncio.Event) -> AsyncGenerator[tuple[str, Ended], None]:
            return moves.undo(self._session, self._record.path, decision.plans, tell, stopped)

        self._host.begin_operation("An undo", undo)
        self._begun()

    # A consumer group that was put elsewhere.

    async def _plan_seek(self) -> None:
        try:
            plan = await seek.plan_seek_undo(self._session, self._record.path)
        except WorkbenchError as error:
            self._host.say(str(error), "error")
            return
        if not plan.shifts:
            self._host.say("Nothing to change: the group is where it was.")
        elif self._screen.is_attached:
            self._host.agree("Undo", _said(plan), "put back", partial(self._put_back, plan))

    def _put_back(self, plan: seek.Seek) -> None:
        self._screen.run_worker(self._carry_out(plan), group=KEY_WORK)

    async def _carry_out(self, plan: seek.Seek) -> None:
        try:
            await seek.carry_out(self._session, plan)
        except WorkbenchError as error:
            self._host.say(str(error), "error")
        else:
            self._host.say(f"Group {plan.group} is where it was.")
        self._begun()


def _said(plan: seek.Seek) -> str:
    """Where a group goes on, a sentence."""
    moves = [
        f"partition {each.partition} from {each.before or 'no offset'} to {each.after or 'no offset'}"
        for each in plan.shifts
    ]
    more = f" and {len(moves) - _LISTED:,} more" if len(moves) > _LISTED else ""
    return visible(f"Group {plan.group} in {plan.address}: {', '.join(moves[:_LISTED])}{more}.")
