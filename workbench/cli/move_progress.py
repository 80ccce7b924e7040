"""How far a move is, in a line on a terminal; and Ctrl+C, which ends it after the messages in hand."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from workbench.cli.ending import finishing_what_is_in_hand
from workbench.cli.stdio import drain_all, is_terminal, show_progress
from workbench.model.errors import unwrap_exception_group
from workbench.operations.move.outcome import Progress

Item = TypeVar("Item")


async def watched(work: Callable[[Callable[[Progress], None], asyncio.Event], Awaitable[Item]]) -> tuple[Item, bool]:
    """Do work that tells its progress, and stop it gently when the command is stopped.

    Args:
        work: Is given whom to tell, and what is set to stop it.

    Returns:
        What came of it, and whether it was stopped.
    """
    stopped = asyncio.Event()

    def tell(progress: Progress) -> None:
        rate = progress.moved / progress.seconds if progress.seconds > 0 else 0
        failed = f"  {progress.failed:,} failed" if progress.failed else ""
        back = f"  {progress.returned:,} returned" if progress.returned else ""
        phase = f"  {progress.phase}" if progress.phase else ""
        line = f"{progress.moved:,} of {progress.total:,}  {rate:,.0f}/s{failed}{back}{phase}"
        show_progress(line)

    async def do() -> Item:
        return await work(tell, stopped)

    try:
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                doing = group.create_task(do())
                with finishing_what_is_in_hand():
                    try:
                        await asyncio.shield(asyncio.wait([doing]))
                    except asyncio.CancelledError:
                        stopped.set()
                        if (task := asyncio.current_task()) is not None:
                            task.uncancel()
                        await asyncio.wait([doing])
    finally:
        show_progress("")
    if is_terminal(sys.stderr):
        await drain_all()
    return doing.result(), stopped.is_set()
