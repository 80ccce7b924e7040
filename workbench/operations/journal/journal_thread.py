"""A journal in a thread of its own, so that the event loop goes on while the disk writes."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from workbench.operations.journal.journal import Journal
from workbench.operations.journal.journal_file import unreadable

T = TypeVar("T")


class JournalThread:
    """Does one thing after the other with a journal, in the order in which it was asked."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._thread = ThreadPoolExecutor(1, "journal")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()

    async def do(self, what: Callable[..., T], *arguments: object) -> T:
        """Do something with the journal, and wait until it is done: also when cancelled, for whoever goes on then must
        find it as it is in the end.

        Args:
            what: A method of `Journal`.
            arguments: What it takes behind the journal.

        Raises:
            StoreError: The disk did not take it, or does not give it back.
        """
        doing = asyncio.get_running_loop().run_in_executor(self._thread, partial(what, self._journal, *arguments))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            while not doing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([doing])
            raise
        except (sqlite3.Error, msgspec.MsgspecError, ValueError, ArithmeticError) as error:
            raise unreadable(self._journal.path, error) from error
