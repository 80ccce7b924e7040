"""An app that takes one input at a time, and that an exception nobody expected does not end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from rich.console import RenderableType
from textual._context import active_message_pump
from textual.dom import DOMNode
from textual.driver import Driver
from textual.events import Compose, Event, InputEvent, Key, Load, Mount, Paste
from textual.message import Message
from textual.message_pump import MessagePump
from textual.messages import Prompt, Update
from textual.widget import Widget
from textual.worker import NoActiveWorker, Worker, WorkerFailed, get_current_worker

from views.dialogs.sentences import Unexpected
from views.theme import ThemedApp
from workbench.connecting.error_log import log_unexpected
from workbench.model.errors import WorkbenchError, unwrap_exception_group

KEY_WORK: Final = "key"
"""The group of workers that end what a key began: what is typed next waits for them."""
PATIENCE: Final = 1.0
"""Seconds for which an input waits for what those before it began."""
PAUSE: Final = 0.6
"""Seconds without a key after which nobody is in the middle of typing."""
_TURNS: Final = 50
"""Turns of the event loop after which waiting costs no processor any more."""


def _has_to_do(node: MessagePump, anything: bool) -> bool:
    """Whether messages wait for a node; not only such as come all the time while events arrive, if that is asked for.

    What has changed and what is to be painted leaves alone what keys do: where they waited for these, too, a key would
    wait for a moment in which nothing arrives.
    """
    if anything or node._next_callbacks:
        return bool(node.message_queue_size)
    waiting: Iterable[Message | None] = node._message_queue.values
    return any(not isinstance(each, Update | Prompt | Passing) for each in waiting)


class Passing(Message):
    """A message that no input has to wait for: it tells of what comes by itself, whatever keys do."""


class SteadyApp(ThemedApp):
    """What Textual leaves to its apps.

    **One input at a time.** Textual sends a key to the widget that has the focus when it arrives, and a key that opens
    a field or a screen has its effect some messages later: letters typed ahead would be commands of what is on its way
    out. So input waits here until everything that the input before it set off is done, and typing fast, pasting and
    slow lines do what typing slowly does. What was typed before the terminal was lent to another program waits until it
    is given back. And what opens by itself waits for a pause (`pause`), so that it takes no key that was meant for what
    it covers.

    **Nothing unexpected ends it.** Textual ends an app, with a traceback and its local variables, on any exception that
    a message's handler, a worker or a timer lets through. Here it is logged, told in a dialog, and the program goes on;
    only what cannot be composed or mounted ends it, with a sentence.
    """

    def __init__(self, theme: str | None = None) -> None:
        """Begin in a theme, as `ThemedApp` does."""
        super().__init__(theme)
        self.failure = ""
        """Why it had to end, in a sentence; empty: it need not."""
        self.failures: Final[list[str]] = []
        """What nobody expected so far, a sentence each."""
        self._input: Final[asyncio.Queue[Event]] = asyncio.Queue()
        self._waiting = self._dispatching = 0
        self._typed = 0.0
        self._telling = False
        self._lent = False
        self._overdue: Final[WeakSet[Worker[Any]]] = WeakSet()
        self._asking_user: Final[WeakSet[Worker[Any]]] = WeakSet()

    async def run_until_left(self) -> None:
        """Run until its user leaves it, or until the task that runs this is cancelled.

        Textual lets a cancellation of its own task pass wherever it waits for the end of a widget, and goes on.

        Raises:
            asyncio.CancelledError: It was cancelled, and has ended.
        """
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.run_async())
                try:
                    await asyncio.shield(running)
                except asyncio.CancelledError:
                    self.exit()
                    while not running.done():
                        await asyncio.wait([running], timeout=PATIENCE)
                        running.cancel()
                    raise

    def on_mount(self) -> None:
        """Begin to take input."""
        self.app_suspend_signal.subscribe(self, lambda _: self._lend(True))
        self.app_resume_signal.subscribe(self, lambda _: self._lend(False))
        self.run_worker(self._take_input(), group="input")

    def get_driver_class(self) -> type[Driver]:
        """How the terminal is read and written."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        # Imported here: on Windows it cannot be.
        from views.terminal import TerminalDriver

        return TerminalDriver

    # One input at a time.

    async def on_event(self, event: Event) -> None:
        """Line input up; other events have no order to keep."""
        if isinstance(event, InputEvent | Paste) and not event.is_forwarded:
            self._waiting += 1
            if isinstance(event, Key | Paste):
                self._typed = time.monotonic()
            self._input.put_nowait(event)
        else:
            await super().on_event(event)

    @property
    def input_done(self) -> bool:
        """Whether all input was taken, and all that it set off is done."""
        return not self._waiting and not self._busy(None)

    @property
    def typed_ahead(self) -> bool:
        """Whether there is input that is not taken yet, because of the one before it."""
        return self._waiting > 1

    async def pause(self) -> None:
        """Return when there is a screen and nobody is typing: whatever opens by itself, opens then."""
        while (left := self._typed + PAUSE - time.monotonic()) > 0 or self._waiting or not self._is_mounted:
            left = max(left, 0.02)
            await asyncio.sleep(left)
        # A slow machine may still be at what the last key set off.
        end = time.monotonic() + PATIENCE
        while self._dispatches() and (left := end - time.monotonic()) > 0:
            left = min(left, 0.005)
            await asyncio.sleep(left)

    @property
    def works_for_key(self) -> bool:
        """Whether what runs now ends what a key began, and input waits for it: what it opens is what the key opens."""
        try:
            worker = get_current_worker()
        except NoActiveWorker:
            return False
        return worker.group == KEY_WORK and worker not in self._overdue

    @contextmanager
    def waiting_for_answer(self) -> Iterator[None]:
        """While this is open, a question is: input answers it, and does not wait for the work that waits for that."""
        waiting = self._workers_awaited(None)
        self._asking_user.update(waiting)
        try:
            yield
        finally:
            self._asking_user.difference_update(waiting)

    def _lend(self, lent: bool) -> None:
        self._lent = lent
        if not lent:
            # The terminal's other screen is as empty as when the program began.
            self.refresh(layout=True)

    async def _take_input(self) -> None:
        while True:
            event = await self._input.get()
            try:
                await self._wait_until_settled(event)
                await super().on_event(event)
            except Exception as error:
                self.tell_unexpected(error)
            finally:
                self._waiting -= 1

    async def _wait_until_settled(self, event: Event) -> None:
        """Return when all that the input before this one set off is done, or has taken longer than `PATIENCE`.

        What lends the terminal to another program has as long as that program.
        """
        end = time.monotonic() + PATIENCE
        turns = 0
        while self._lent or (self._busy(event) and time.monotonic() < end):
            turns += 1
            if self._lent:
                end = time.monotonic() + PATIENCE
            await asyncio.sleep(0 if turns < _TURNS else 0.005)
        # One that takes longer holds up one input, and not each of all that were typed ahead.
        self._overdue.update(self._workers_awaited(event))

    def _busy(self, event: Event | None) -> bool:
        """Whether anything goes on that an input has to wait for; None: whether anything goes on at all."""
        return self._dispatches(anything=event is None) or bool(self._workers_awaited(event))

    def _dispatches(self, anything: bool = False) -> bool:
        """Whether there are messages that are not done with: such as an input waits for, or any."""
        nodes = (self, *self.screen.walk_children(with_self=True))
        return bool(self._dispatching) or any(_has_to_do(node, anything) for node in nodes)

    def _workers_awaited(self, event: Event | None) -> Sequence[Worker[Any]]:
        """The workers that an input waits for."""
        working = [
            each
            for each in self.workers
            if each.group == KEY_WORK and not each.is_finished and each not in self._asking_user
        ]
        return working if event is None else [each for each in working if each not in self._overdue]

    # Nothing unexpected ends it.

    def tell_unexpected(self, error: BaseException) -> None:
        """Tell of an exception that nobody expected, in a dialog, and go on."""
        if self.failure or self._exit or not self._running:
            return
        if isinstance(error, WorkbenchError):
            self.notify(str(error), severity="error", markup=False)
        elif not self._telling:
            self._telling = True
            self.failures.append(log_unexpected(error, "Something in the program"))
            self.run_worker(self._tell(self.failures[-1]), group="tell")

    async def _tell(self, sentence: str) -> None:
        await self.pause()
        try:
            await self.push_screen(Unexpected(sentence, self._end), self._end_telling)
        except Exception as error:
            self._end(log_unexpected(error, "The program"))

    def _end_telling(self, _: None) -> None:
        self._telling = False

    def _end(self, sentence: str) -> None:
        """End as soon as can be, for a reason that `failure` tells."""
        self.failure = self.failure or sentence
        self._return_code = 1
        self._close_messages_no_wait()

    async def _dispatch_guarded(self, dispatch: Callable[[Message], Awaitable[None]], message: Message) -> None:
        """Dispatch a message to a widget or to the app: Textual would end the message pump on an exception."""
        self._dispatching += 1
        try:
            await dispatch(message)
        except Exception as error:
            if isinstance(message, Compose | Mount | Load):
                self._end(log_unexpected(error, "Opening the screen"))
                raise
            self.tell_unexpected(error)
        finally:
            self._dispatching -= 1

    async def _dispatch_message(self, message: Message) -> None:
        await self._dispatch_guarded(super()._dispatch_message, message)

    # Textual starts the message pumps of scroll bars by the first of these, and of all other widgets by the second.

    def _start_widget(self, parent: Widget, widget: Widget) -> None:
        self._guard(widget)
        super()._start_widget(parent, widget)

    def _register_child(self, parent: DOMNode, child: Widget, before: int | None, after: int | None) -> None:
        self._guard(child)
        super()._register_child(parent, child, before, after)

    def _guard(self, widget: Widget) -> None:
        widget._dispatch_message = partial(self._dispatch_guarded, widget._dispatch_message)  # type: ignore[method-assign]

    def _handle_exception(self, error: Exception) -> None:
        """What Textual calls with all other exceptions: of workers, timers, callbacks, drawing and composing."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if active_message_pump.get(self)._is_mounted and self._is_mounted:
            self.tell_unexpected(cause)
        elif not self.failure:
            self._end(log_unexpected(cause, "Opening the screen"))

    def panic(self, *renderables: RenderableType) -> None:
        """What Textual calls where it cannot go on; what it would print is not for users."""
        self._end("The terminal can no longer be read.")
