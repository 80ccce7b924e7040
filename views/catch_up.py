"""How a screen keeps up with what changes faster than it can be drawn."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from textual.dom import DOMNode
from textual.worker import Worker


class CatchUp:
    """Does something for as long as there is more of it to do: once at a time, with a pause between two times."""

    def __init__(self, node: DOMNode, step: Callable[[], Awaitable[None]], pause: float) -> None:
        """Do nothing yet.

        Args:
            node: Whose worker does it.
            step: What is done; an error of it is the worker's, and the next request begins anew.
            pause: Seconds between two times: all that is requested meanwhile is one more time.
        """
        self._node: Final = node
        self._step: Final = step
        self._pause: Final = pause
        self._requested = self._running = False

    def request(self) -> None:
        """Do it, or once more where it is being done."""
        self._requested = True
        if not self._running:
            self._running = True
            self._node.run_worker(self._run(), group="catch-up")

    async def _run(self) -> None:
        try:
            while self._requested:
                self._requested = False
                await self._step()
                await asyncio.sleep(self._pause)
        finally:
            self._running = False


def is_running(worker: Worker[None] | None) -> bool:
    """Whether a worker goes on: there is one, it is not over, and nobody has stopped it."""
    return worker is not None and not worker.is_finished and not worker.is_cancelled
