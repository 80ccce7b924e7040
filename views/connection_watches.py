"""The connections that are watched: each is listed again and again, and screens are told what has changed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from textual import on
from textual.events import Mount
from textual.worker import Worker

from views.navigation import Navigation
from views.workbench_screen import WorkbenchScreen
from workbench.model.errors import LoginRefused
from workbench.operations.watch import Watch
from workbench.session import Session

PROMPT: Final = 0.05
"""Seconds that the first picture waits for brokers: those near by are listed in it, and it is drawn once."""


def watch_of(session: Session, name: str, changed: Callable[[Watch], None]) -> Watch:
    """A watch of a session's connection."""
    return Watch(name, partial(session.connector, name), changed, partial(session.complete, name))


class ConnectionWatches(Navigation):
    """Watches the session's connections, which come and go."""

    def __init__(self, theme: str | None) -> None:
        """Begin in a theme; nothing is watched yet."""
        super().__init__(theme)
        self._watching: Final[dict[str, Worker[None]]] = {}
        self._answered: Final = asyncio.Event()

    def start(self, watch: Watch) -> None:
        """Watch one more connection."""
        self._watching[watch.name] = self.run_worker(watch.run(), group="watch")

    def add_watch(self, name: str) -> None:
        """Watch a connection that the session was given just now."""
        watches = self.context.watches
        watches[name] = watch = watch_of(self.context.session, name, self.report_listing)
        # Whoever has this mapping sees the connections in the session's order.
        for each in self.context.session.names:
            if each in watches:
                watches[each] = watches.pop(each)
        self.start(watch)

    async def drop_connection(self, name: str) -> None:
        """Let go of a connection: looks through it end, it is listed no more, and closed."""
        if (watching := self._watching.pop(name, None)) is not None:
            watching.cancel()
        self.context.watches.pop(name, None)
        await self.context.stop_looks(name)
        self.context.session.remove(name)
        if self.is_running and (screen := self.base_screen) is not None:
            screen.post_message(WorkbenchScreen.Listed(None))

    def list_again(self) -> None:
        """List all connections now, also those whose password could not be had."""
        for watch in self.context.watches.values():
            self.context.session.retry(watch.name, refused=isinstance(watch.state, LoginRefused))
            watch.refresh()

    @on(Mount)
    async def _await_brokers(self) -> None:
        """Let brokers that answer at once be in the first picture: Textual draws nothing before this is done."""
        if self.context.watches:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROMPT):
                    await self._answered.wait()

    def report_listing(self, watch: Watch) -> None:
        """A connection was listed, or its state has changed."""
        if all(each.state != "connecting" for each in self.context.watches.values()):
            self._answered.set()
        if self.is_running and (screen := self.base_screen) is not None:
            screen.post_message(WorkbenchScreen.Listed(watch))
            self.show_wanted()
