"""How far a search is, in a line on a terminal that is cleared before something else is printed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from workbench.cli.stdio import drain_all, is_terminal, show_progress
from workbench.model.errors import unwrap_exception_group
from workbench.model.look import Progress

_LIVELY: Final = 0.25
"""Seconds after which the line is written anew."""


@asynccontextmanager
async def search_progress(
    progress: Callable[[], Progress | None], found: Callable[[], int]
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Tell on stderr how far a search is, while the context is open; nothing where stderr is no terminal.

    Args:
        progress: How far it is; None: there is nothing to tell at the moment.
        found: How many events were found.

    Yields:
        What clears the line, before something else is printed.
    """
    if not is_terminal(sys.stderr):
        yield _do_nothing
        return

    async def tell() -> None:
        while True:
            await asyncio.sleep(_LIVELY)
            if (now := progress()) is not None:
                left = f"  {now.left:,.0f} s left" if now.left else ""
                line = f"{now.done:,} of {now.total:,}  {now.rate:,.0f}/s{left}  {found():,} found"
                show_progress(line)

    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(tell())
            try:
                yield _clear
            finally:
                telling.cancel()
                await _clear()


async def _do_nothing() -> None:
    return


async def _clear() -> None:
    show_progress("")
    await drain_all()
