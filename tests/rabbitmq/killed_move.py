"""A move, or an undo, that ends without warning at one of its steps:
`python -m tests.rabbitmq.killed_move URL SOURCE TARGET STEP TIMES WINDOW`, or with `undo ID` for the two queues.

Prints the operation's id before it begins. The step is one of `STEPS`, and its program is killed when it comes to it
for so many times; `never` kills nothing, for those who do it from outside; `disk` lets no file become larger than so
many bytes.
"""

import asyncio
import itertools
import os
import resource
import signal
import sys
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Final, NamedTuple

import msgspec

from connectors.rabbitmq.claims import QueueClaims
from workbench.connecting.config import Connection
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.records import find_journal
from workbench.operations.move import windows
from workbench.operations.move.moves import carry_out, plan_undo, undo
from workbench.operations.move.outbox import Answers, Outbox
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


class Step(NamedTuple):
    """Where a program is killed.

    Attributes:
        owner: Of the method that does the step.
        method: Its name.
        after: Whether it has done it then.
    """

    owner: type
    method: str
    after: bool


STEPS: Final = {
    "before the journal has the messages": Step(Journal, "add", False),
    "when the journal has the messages": Step(Journal, "add", True),
    "when the messages are sent": Step(Outbox, "send", True),
    "when the messages are confirmed": Step(Answers, "all", True),
    "when the journal has the confirmations": Step(Journal, "mark_done", True),
    "before the source lets go": Step(QueueClaims, "settle", False),
    "when the source has let go": Step(QueueClaims, "settle", True),
    "before the rest is given back": Step(QueueClaims, "close", False),
    "before the journal has the end": Step(Journal, "end", False),
    "when the journal has the end": Step(Journal, "end", True),
}


def die_at(step: Step, times: int) -> None:
    """End this program when it comes to a step for so many times."""
    original: Callable[..., Any] = getattr(step.owner, step.method)
    numbers = itertools.count(1)

    def die() -> None:
        if next(numbers) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    def done(*arguments: Any) -> Any:
        if not step.after:
            die()
        result = original(*arguments)
        if step.after:
            die()
        return result

    async def awaited(*arguments: Any) -> Any:
        if not step.after:
            die()
        result = await original(*arguments)
        if step.after:
            die()
        return result

    setattr(step.owner, step.method, awaited if iscoroutinefunction(original) else done)


async def main(url: str, source: str, target: str, step: str, times: str, window: str) -> None:
    """Plan, say which operation it is, and move."""
    windows.WINDOW = int(window)  # type: ignore[misc]
    if step == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(times), int(times)))
    elif step != "never":
        die_at(STEPS[step], int(times))
    async with Session([msgspec.structs.replace(Connection.parse(url), level=Level.MOVE)]) as session:
        if source == "undo":
            path = find_journal(target)
            [plan] = await plan_undo(session, path)
            print(plan.id, flush=True)
            async for _ in undo(session, path, [plan]):
                pass
            return
        wanted = Wanted(Address("rabbit", source), target=Address("rabbit", target) if target else None)
        plan = await make_plan(session, wanted)
        print(plan.id, flush=True)
        try:
            await carry_out(session, plan)
        except StoreError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
