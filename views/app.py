"""The program: its screens, its themes, its keys, and what they all share.

What the first picture does not show, such as the other screens and all that opens on top, is imported where it is
opened: that picture would wait for it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from textual.worker import Worker

from views.actions import ACTIONS, Action, key_conflict, of_screen, unknown_actions
from views.app_context import AppContext
from views.events import Events
from views.host import Host
from views.steady_app import SteadyApp
from views.theme import DARK_THEME, LIGHT_THEME, theme_names
from views.widgets.message_line import Messages, Severity
from views.widgets.progress_row import Progress
from views.workbench_screen import WorkbenchScreen
from workbench.connecting.config import Connection, Secret
from workbench.connecting.connector import Action as OfferedAction
from workbench.connecting.level import Level
from workbench.connecting.spool import describe_leftover, find_leftovers
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import quantity
from workbench.model.errors import ConfigError, LoginRefused, WorkbenchError
from workbench.model.event import Delivery, Position
from workbench.operations.watch import Watch
from workbench.session import Session
from workbench.store.archive import open_recording
from workbench.store.ingest import ingestions
from workbench.store.store import Store, open_store

if TYPE_CHECKING:
    from views.dialogs.form import Answers, Form
    from views.palette import Choice

TITLES: Final = {
    "events": "Events",
    "trace": "Trace",
    "dead_letters": "Dead letters",
    "journal": "Journal",
    "connections": "Connections",
    "publish": "Publish",
}


Shown = TypeVar("Shown", bound=WorkbenchScreen)


def _of(module: str, name: str) -> Callable[[Host], WorkbenchScreen]:
    """What makes a screen of a module."""

    def make(host: Host) -> WorkbenchScreen:
        screen: WorkbenchScreen = getattr(import_module(module), name)(host)
        return screen

    return make


SCREENS: Final[Mapping[str, Callable[[Host], WorkbenchScreen]]] = {
    "events": Events,
    "trace": _of("views.trace", "Trace"),
    "dead_letters": _of("views.dead_letters", "DeadLetters"),
    "journal": _of("views.journal", "Journal"),
    "connections": _of("views.connections", "Connections"),
    "publish": _of("views.publish", "PublishScreen"),
}
"""Textual's modes: each has its screen, made when it is first gone to."""


class Opening(msgspec.Struct, frozen=True):
    """How the program is opened.

    Attributes:
        addresses: Endpoints to show at once.
        recording: A recording to open, read-only; None: a session.
        record: Where to record the session; None: nowhere.
        demo: Whether the session is the demo's shop.
    """

    addresses: tuple[Address, ...] = ()
    recording: Path | None = None
    record: Path | None = None
    demo: bool = False


async def run(
    session: Session,
    *,
    addresses: Sequence[Address] = (),
    recording: Path | None = None,
    record: Path | None = None,
    demo: bool = False,
) -> None:
    """Show the program until its user leaves; the arguments are those of `Opening`.

    Raises:
        StoreError: What is seen cannot be stored, or the recording cannot be opened.
        ConfigError: The configuration names an action or a theme that there is not.
        WorkbenchError: Something unexpected ended it.
    """
    async with open_workbench(session, Opening(tuple(addresses), recording, record, demo)) as app:
        await app.run_async()
        # Textual takes a cancellation for its end and says nothing of it.
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError
    if app.failure:
        raise WorkbenchError(app.failure)


@asynccontextmanager
async def open_workbench(session: Session, opening: Opening) -> AsyncIterator["Workbench"]:
    """The program, ready to run, with all that it stands on.

    Raises:
        StoreError: What is seen cannot be stored, or the recording cannot be opened.
        ConfigError: The configuration names an action or a theme that there is not.
    """
    async with AsyncExitStack() as stack:
        app = Workbench(opening, session.config.keys, session.config.theme)
        store = await stack.enter_async_context(open_store(reading=session.reading))
        if opening.record is not None:
            await store.record(opening.record)
        archive = (
            await stack.enter_async_context(open_recording(opening.recording, session.reading))
            if opening.recording is not None
            else store
        )
        begun = await stack.enter_async_context(ingestions(store))
        names = session.names if opening.recording is None else ()
        watches = {name: watch_of(session, name, app.report_listing) for name in names}
        app.context = AppContext(session, archive, begun, watches, opening.demo)
        stack.callback(app.context.close)
        session.confirm = app.confirm
        session.ask_password, session.has_terminal = app.ask_password, False
        yield app


def watch_of(session: Session, name: str, changed: Callable[[Watch], None]) -> Watch:
    """A watch of a session's connection."""
    return Watch(name, partial(session.connector, name), changed, partial(session.complete, name))


class Workbench(SteadyApp):
    """The full-screen workbench."""

    CSS_PATH = "workbench.tcss"
    DEFAULT_MODE = "events"
    ENABLE_COMMAND_PALETTE = False
    context: AppContext
    """What the screens share; there before the first of them."""

    def __init__(self, opening: Opening, keys: Mapping[str, str], theme: str | None) -> None:
        """Prepare.

        Args:
            opening: What to open.
            keys: The user's own keys, by action.
            theme: One of ours or of Textual's; None: the dark one, in 16 colours where the terminal has no more.

        Raises:
            ConfigError: There is no such action or theme, or one key is that of two actions.
        """
        if wrong := unknown_actions(keys):
            known = ", ".join(action.id for action in ACTIONS)
            raise ConfigError(f"{wrong[0]!r} in [keys] is no action; there are {known}.")
        if (conflict := key_conflict(keys)) is not None:
            raise ConfigError(conflict)
        if theme is not None and theme not in theme_names():
            raise ConfigError(f"{theme!r} is no theme; there are {', '.join(theme_names())}.")
        super().__init__(theme)
        self.messages: Final = Messages()
        self._opening = opening
        self._asking = asyncio.Lock()
        self.progress: Progress | None = None
        """How far an export is; None: nothing is exported."""
        self._recent: Sequence[str] = ()
        self._watching: Final[dict[str, Worker[None]]] = {}
        self._wanted: Sequence[Address] = ()
        self._left = self.DEFAULT_MODE
        self._keys = keys
        for mode, screen in SCREENS.items():
            self.add_mode(mode, partial(screen, self))
        self.set_keymap(dict(keys))

    def on_mount(self) -> None:
        for watch in self.context.watches.values():
            self.start(watch)
        for path in find_leftovers():
            self.say(describe_leftover(path), "warning")
        if warning := self.context.session.config.warning:
            self.say(warning, "warning")
        if self._opening.addresses:
            self.show_when_listed(self._opening.addresses)

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

    def show_when_listed(self, addresses: Sequence[Address]) -> None:
        """Show endpoints as soon as their connections have listed them."""
        self._wanted = list(addresses)
        self._show_wanted()

    def _show_wanted(self) -> None:
        if self._wanted and all(self.context.endpoint(address) for address in self._wanted):
            wanted, self._wanted = self._wanted, ()
            self.events.call_later(self.events.go_to, wanted[0])
            self.events.call_later(self.events.open, wanted)

    # What the core tells.

    def report_listing(self, watch: Watch) -> None:
        """A connection was listed, or its state has changed."""
        if self.is_running and (screen := self.base_screen) is not None:
            screen.post_message(WorkbenchScreen.Listed(watch))
            self._show_wanted()

    async def confirm(self, connection: Connection, level: Level) -> bool:
        """Ask for a production connection's name."""
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answer(agreed: bool) -> None:
            # Whoever asked may have gone.
            if not answered.done():
                answered.set_result(agreed)

        self.ask(
            f"{connection.name} is production",
            f"This needs the guard {level.name.lower()!r}. Type the connection's name to go on.",
            lambda text: answer(True),
            wrong=lambda text: None if text == connection.name else "The name does not match. esc cancels.",
            left=lambda: answer(False),
        )
        return await answered

    async def ask_password(self, connection: Connection, reason: ConfigError | None) -> Secret | None:
        """Ask for a connection's password; one is asked for at a time."""
        async with self._asking:
            await self.pause()
            answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            def answer(text: str) -> None:
                # Whoever asked may have gone.
                if not answered.done():
                    answered.set_result(text)

            who = f"of {connection.user} " if connection.user else ""
            question = f"The password {who}on {connection.place}. It is kept for this session only."
            self.ask(
                f"Password of {connection.name}",
                f"{visible(str(reason))} {question}" if reason else question,
                answer,
                left=lambda: answer(""),
                hidden=True,
            )
            text = await answered
        if not text:
            raise ConfigError("No password was given; r asks again.")
        return Secret(text)

    # Screens.

    @property
    def base_screen(self) -> WorkbenchScreen | None:
        """The screen that is worked on, beneath the questions that lie on top of it."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, WorkbenchScreen)), None)

    @property
    def events(self) -> Events:
        """The main screen."""
        for screen in self._screen_stacks.get("events", ()):
            if isinstance(screen, Events):
                return screen
        raise LookupError("the events screen is not there yet")

    @property
    def is_demo(self) -> bool:
        """Whether what is open is the demo."""
        return self._opening.demo

    @property
    def headline(self) -> str:
        """What is open, for the title."""
        if self._opening.recording is not None:
            what = f"{self._opening.recording.name} (read-only)"
        else:
            what = "DEMO" if self._opening.demo else ""
        return "  ".join(filter(None, ("workbench", "● recording" if self._is_recorded else "", what)))

    @property
    def _is_recorded(self) -> bool:
        return self.context.store is not None and self.context.store.recorded

    def go(self, mode: str) -> None:
        """Go to a screen."""
        self._switch_to(mode, WorkbenchScreen)

    def go_back(self) -> None:
        """Go to the screen that was left last, and from there to the first."""
        self.go(self._left)
        self._left = self.DEFAULT_MODE

    def _switch_to(self, mode: str, kind: type[Shown]) -> Shown:
        """Go to a screen, which may not be composed yet: what it is to do there, it is told by `call_later`."""
        if mode != self.current_mode:
            self._left = self.current_mode
            self.switch_mode(mode)
        screen = self._screen_stacks[mode][0]
        assert isinstance(screen, kind)
        return screen

    def follow_id(self, id: str) -> None:
        """Follow an id on the Trace screen."""
        from views.trace import Trace

        trace = self._switch_to("trace", Trace)
        trace.call_later(trace.follow, id)

    def show_flow(self, id: str) -> None:
        """Show all that is held of an id on the Events screen."""
        quoted = json.dumps(id, ensure_ascii=False)
        events = self._switch_to("events", Events)
        events.call_later(events.show_query, f"correlation = {quoted} or message = {quoted} or causation = {quoted}")

    def show_endpoint(self, address: Address) -> None:
        """Go to an endpoint on the Events screen."""
        events = self._switch_to("events", Events)
        events.call_later(events.go_to, address)

    def open_endpoint(self, address: Address) -> None:
        """Open an endpoint on the Events screen; where looking at it costs something, say what."""
        self.show_endpoint(address)
        self.events.call_later(self.events.open, [address])

    # What any screen may ask for.

    def say(self, sentence: str, kind: Severity = "information") -> None:
        """Tell something in passing; what a stranger wrote in it is made visible."""
        self.messages.say(sentence, kind)
        if self.is_running and (screen := self.base_screen) is not None:
            screen.call_later(screen.show_message)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Severity = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """What Textual tells would lie over what is read: it goes where all else does."""
        self.say(message, severity)

    def show_messages(self) -> None:
        """Show what was said so far."""
        from views.dialogs.message_list import MessageList

        self.push_screen(MessageList(self.messages))
        self.messages.covered = 0

    def ask(
        self,
        title: str,
        question: str,
        then: Callable[[str], None],
        value: str = "",
        wrong: Callable[[str], str | None] | None = None,
        left: Callable[[], None] | None = None,
        hidden: bool = False,
        verb: str = "go on",
    ) -> None:
        """Ask for a line of text on top of the screen.

        Args:
            title: What for.
            question: In a sentence or two.
            then: Gets the text; an empty one is as if the question had been left.
            value: What stands there at first.
            wrong: Why a text will not do, in a sentence, or None: it will. Without it, any will.
            left: Called where there is no answer.
            hidden: Whether what is typed is not shown.
            verb: What enter does, in a word or two.
        """
        from views.dialogs.form import Entry, Form, accept_any

        form = Form(title, [Entry("text", value=value, hidden=hidden, wrong=wrong or accept_any)], verb, question)

        def answer(answers: "Answers | None") -> None:
            text = str(answers["text"]) if answers is not None else ""
            if text:
                then(text)
            elif left is not None:
                left()

        self.push_screen(form, answer)

    def fill(self, form: "Form", then: "Callable[[Answers], None]") -> None:
        """Ask for more than a line: show a form on top of the screen.

        Args:
            form: What is asked for.
            then: Gets the answers; not called where it was left.
        """
        self.push_screen(form, lambda answers: then(answers) if answers is not None else None)

    def agree(self, title: str, sentence: str, yes: str, then: Callable[[], object]) -> None:
        """Tell what will happen, on top of the screen, and wait for a yes."""
        from views.dialogs.sentences import Agree

        def answer(agreed: bool | None) -> None:
            if agreed:
                then()

        self.push_screen(Agree(title, sentence, yes), answer)

    def show_help(self, screen: str) -> None:
        """Show a screen's keys."""
        from views.dialogs.keys import Keys

        offered = [Action(each.name, "", "", each.help, ()) for each in self.context.session.actions()]
        self.push_screen(Keys(TITLES[screen], [*of_screen(screen), *offered], self.keys_of))

    def keys_of(self, action: Action) -> str:
        """An action's keys, as the user has settled them."""
        return self._keys.get(action.id, action.keys)

    def change_theme(self) -> None:
        """Change between dark and light."""
        if self.current_theme.ansi:
            self.say("In 16 colours, your terminal's settings decide between dark and light.")
        else:
            self.theme = LIGHT_THEME.name if self.current_theme.dark else DARK_THEME.name

    def record(self) -> None:
        """Ask where to record this session."""
        self.ask(
            "Record this session",
            "The file to write: all that was read so far, and all that will be.",
            self._record,
            "session.db",
        )

    def _record(self, name: str) -> None:
        if (store := self.context.store) is not None:
            self.run_worker(self._record_into(store, Path(name).expanduser()), group="act")

    async def _record_into(self, store: Store, path: Path) -> None:
        try:
            await store.record(path)
        except WorkbenchError as error:
            self.say(str(error), "error")
        else:
            unmasked = " Nothing is masked in the file itself." if self.context.session.config.masks else ""
            self.say(f"This session is recorded to {path}, from its beginning.{unmasked}")

    @property
    def is_publishing(self) -> bool:
        """Whether events are on their way to a broker."""
        return any(getattr(screen, "busy", False) for stack in self._screen_stacks.values() for screen in stack)

    def leave(self) -> None:
        """Leave; asks while something runs."""
        from views.dialogs.sentences import Agree

        if isinstance(self.screen, Agree):
            return
        if self.is_publishing:
            sentence = "Events are being published: the outcome of those in flight would be unknown."
            self.push_screen(Agree("Quit?", sentence, "quit"), lambda yes: self.exit() if yes else None)
        else:
            self.exit()

    def copy(self, text: str, what: str) -> None:
        """Copy to the terminal's clipboard, as far as the terminal lets programs do so (OSC 52)."""
        self.copy_to_clipboard(text)
        self.say(f"{what} is copied, {quantity(len(text), 'character')}.")

    def export(self, sequences: Sequence[int], which: str) -> None:
        """Ask for a file and write events into it."""

        def export_to(name: str) -> None:
            self.run_worker(self._export(sequences, Path(name).expanduser()), group="act")

        self.ask(
            f"Export {quantity(len(sequences), f'{which} event')}",
            "The file to write, one line per event, as `workbench publish --file` reads it.",
            export_to,
            "events.ndjson",
        )

    async def _export(self, sequences: Sequence[int], path: Path) -> None:
        from views.export import export

        written = left_out = 0
        begun = time.monotonic()
        try:
            async for done in export(self.context.archive, sequences, path):
                written, left_out = done
                took = time.monotonic() - begun
                self._show_progress(Progress(written + left_out, len(sequences), took, what="events exported"))
        except WorkbenchError as error:
            self.say(str(error), "error")
        else:
            but = (
                f"; {left_out:,} left out: damaged, no longer held, or with headers that JSON cannot express"
                if left_out
                else ""
            )
            self.say(f"{quantity(written, 'event')} written to {path}{but}.", "warning" if left_out else "information")
        finally:
            self._show_progress(None)

    def _show_progress(self, progress: Progress | None) -> None:
        self.progress = progress
        if self.is_running and (screen := self.base_screen) is not None:
            screen.call_later(screen.show_message)

    def compose_event(self, address: Address | None) -> None:
        """Write an event on the Publish screen."""
        self._publish(address)

    def clone_event(self, delivery: Delivery, into_body: bool = False) -> None:
        """Write an event like another on the Publish screen; `into_body`: with the cursor in its body."""
        self._publish(delivery, into_body)

    def _publish(self, what: Address | Delivery | None, into_body: bool = False) -> None:
        from views.publish import PublishScreen

        screen = self._switch_to("publish", PublishScreen)
        screen.call_later(screen.begin, what, into_body)

    def show_event(self, address: Address, position: Position | None) -> None:
        """Show an event that was published, on the Events screen."""
        self._switch_to("events", Events)
        self.events.call_later(self.events.go_to, address)
        if position is None:
            self.events.call_later(self.events.open, [address])
        else:
            self.events.call_later(self.events.open_at, address, position)

    def act(self, action: OfferedAction) -> None:
        """Do what a connector offers, and say what came of it."""
        self.run_worker(self._act(action), group="act")

    async def _act(self, action: OfferedAction) -> None:
        try:
            self.say(await action.do())
        except WorkbenchError as error:
            self.say(str(error), "error")

    def add_connection(self) -> None:
        """Add a connection on the Connections screen."""
        from views.connections import Connections

        connections = self._switch_to("connections", Connections)
        connections.call_later(connections.ask_connection)

    async def action_quit(self) -> None:
        """Leave as `q` does: Textual's own Ctrl+Q, which works in fields and dialogs too."""
        self.leave()

    def show_palette(self) -> None:
        """Offer everything by its name, unless a question is to be answered first."""
        from views.palette import Palette

        screen = self.base_screen
        if screen is not None and self.screen is screen:
            self.push_screen(Palette(screen, self._recent), self._do_chosen)

    def _do_chosen(self, choice: "Choice | None") -> None:
        from views.palette import RECENT

        if choice is not None:
            self._recent = [choice.id, *(id for id in self._recent if id != choice.id)][:RECENT]
            choice.do()
