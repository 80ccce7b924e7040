"""Operations on brokers while they run: one at a time, whichever screen is shown."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.text import Text
from textual import work

from views.file_actions import FileActions
from views.host import Running, Work
from views.navigation import Navigation
from views.widgets.progress_row import Progress
from views.workbench_screen import WorkbenchScreen
from workbench.model.errors import WorkbenchError
from workbench.model.wording import quantity

if TYPE_CHECKING:
    from workbench.operations.journal.operation import Operation
    from workbench.operations.move.outcome import Ended
    from workbench.operations.move.outcome import Progress as Moved

_BEAT: Final = 0.2
"""Seconds between two looks whether a question was answered."""


class Operations(FileActions, Navigation):
    """Runs an operation, shows how far it is, and says how it ended."""

    def __init__(self, theme: str | None) -> None:
        """Begin in a theme; nothing runs yet."""
        super().__init__(theme)
        self.operation: Running | None = None
        """The operation that runs; None: none does."""
        self._moved: Progress | None = None
        self._leaves = False

    @property
    def progress(self) -> Progress | None:
        """How far an operation or an export is; None: none runs."""
        return self._moved or super().progress

    def begin_operation(self, what: str, do: Work) -> None:
        """Move, delete, resume or undo, whichever screen is shown meanwhile."""
        if self.operation is not None:
            self.say(f"{self.operation.what} is running: one operation runs at a time.", "warning")
            return
        screen = self.base_screen.ACTIONS_OF if self.base_screen is not None else ""
        self.operation = Running(what, screen, asyncio.Event())
        self._moved = Progress(0, None, 0.0, phase="beginning", stop=self._how_to_stop)
        self.show_progress()
        self._operate(self.operation, do)

    @work(group="operation")
    async def _operate(self, running: Running, do: Work) -> None:
        told = ""

        def tell(moved: "Moved") -> None:
            nonlocal told
            stops = running.stopped.is_set()
            self._moved = Progress(
                moved.moved + moved.failed,
                moved.total,
                moved.seconds,
                failed=moved.failed,
                returned=moved.returned,
                what="messages",
                phase="stopping after those in hand" if stops else moved.phase,
                stop="" if stops else self._how_to_stop,
            )
            if moved.failure and moved.failure != told:
                told = moved.failure
                self.say(f"Not taken by its target: {told}", "warning")
            self.show_progress()

        try:
            async with aclosing(do(tell, running.stopped)) as operations:
                async for id, ended in operations:
                    self._say_end(ended)
                    await self.context.take_departures(id)
        except WorkbenchError as error:
            self.say(str(error), "error")
        finally:
            self.operation = self._moved = None
            self.show_progress()
            for stack in self._screen_stacks.values():
                for screen in stack:
                    if screen.is_running:
                        screen.post_message(WorkbenchScreen.OperationEnded())
            if self._leaves:
                self.exit()

    def _say_end(self, ended: "Ended") -> None:
        reasons = [f"{count:,} stayed: {reason}." for reason, count in ended.reasons[:1]]
        again = [f"{self._journal_key} shows the journal: it can be resumed there."] if ended.can_go_on else []
        sentence = " ".join(filter(None, (f"{ended.sentence}.", ended.why, *reasons, *again)))
        self.say(sentence, "information" if ended.complete else "warning")

    async def offer_unfinished(self) -> None:
        """Say which operations were interrupted on the brokers of this session, and offer to go on with the last."""
        from workbench.operations.journal.records import records

        found, _ = await asyncio.to_thread(records)
        unfinished = [
            each
            for each in found
            if each.state == "interrupted" and each.can_go_on and self._is_of_session(each.operation)
        ]
        if not unfinished:
            return
        last = unfinished[0]
        title = f"{last.operation.title}, {last.counts.done:,} done"
        others = f" and {quantity(len(unfinished) - 1, 'other')}" if len(unfinished) > 1 else ""
        self.say(f"Interrupted: {title}{others}. {self._journal_key} shows the journal.", "warning")
        await self.pause()
        self._ask_to_resume(title, last.path)

    def _ask_to_resume(self, title: str, path: Path) -> None:
        from views.dialogs.choice import Choice

        if self.screen is not self.base_screen:
            # Another question is to be answered first.
            self.set_timer(_BEAT, partial(self._ask_to_resume, title, path))
            return

        def answer(chosen: int | None) -> None:
            if chosen == 0:
                self.resume_operation(path)
            elif chosen == 2:
                self.go("journal")

        choices = ("resume it: nothing that was confirmed is published again", "leave it for later", "show the journal")
        self.push_screen(Choice(f"Interrupted: {title}", [Text(each) for each in choices], "choose"), answer)

    def _is_of_session(self, operation: "Operation") -> bool:
        session = self.context.session
        name = operation.source.connection
        try:
            return name in session.names and session.broker_identity(name) == operation.identity
        except WorkbenchError:
            return False

    def resume_operation(self, path: Path) -> None:
        """Go on with an operation that was interrupted or stopped."""
        from workbench.operations import seek
        from workbench.operations.journal.records import read_record
        from workbench.operations.move.moves import resume

        async def go_on(
            tell: "Callable[[Moved], None]", stopped: asyncio.Event
        ) -> "AsyncGenerator[tuple[str, Ended], None]":
            operation = (await asyncio.to_thread(read_record, path)).operation
            if operation.kind == "seek":
                await seek.resume(self.context.session, path)
                self.say(f"Done: {operation.title}.")
            else:
                yield operation.id, await resume(self.context.session, path, tell, stopped)

        self.begin_operation("A resumed operation", go_on)

    @property
    def _journal_key(self) -> str:
        return self.base_screen.key_of("journal") if self.base_screen is not None else ""

    @property
    def _how_to_stop(self) -> str:
        return f"{self.base_screen.key_of('stop')} stops" if self.base_screen is not None else ""

    def stop(self) -> None:
        """End what is running: an operation after the messages in hand, else an export."""
        if self.operation is None:
            super().stop()
        else:
            self.operation.stopped.set()
            self.say(f"{self.operation.what} ends after the messages in hand.")

    def leave_when_stopped(self) -> None:
        """Leave as soon as the operation has ended after the messages in hand."""
        if self.operation is None:
            self.exit()
        else:
            self._leaves = True
            self.stop()
