"""The program: how it is opened and left, its themes, its keys, and what its screens share.

What the first picture does not show, such as the other screens and all that opens on top, is imported where it is
opened: that picture would wait for it.
"""

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from views.actions import ACTIONS, Action, key_conflict, of_screen, unknown_actions
from views.app_context import AppContext
from views.connection_watches import ConnectionWatches, watch_of
from views.navigation import SCREENS, TITLES
from views.operations import Operations
from views.theme import DARK_THEME, LIGHT_THEME, theme_names
from workbench.connecting.connector import Action as OfferedAction
from workbench.connecting.spool import describe_leftover, find_leftovers
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.errors import ConfigError, WorkbenchError
from workbench.model.wording import quantity
from workbench.session import Session
from workbench.store.archive import open_recording
from workbench.store.ingest import ingestions
from workbench.store.store import open_store

if TYPE_CHECKING:
    from views.palette import Choice


TURN: Final = 0.0005
"""Seconds for which a thread may have Python while another waits for it. By default they are 0.005, and a key that
is pressed while events arrive waits for several turns: of the threads that store and search, and of the one that writes
to the terminal."""


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
    sys.setswitchinterval(TURN)
    async with open_workbench(session, Opening(tuple(addresses), recording, record, demo)) as app:
        await app.run_until_left()
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
        names = [*session.names, *session.untrusted] if opening.recording is None else ()
        watches = {name: watch_of(session, name, app.report_listing) for name in names}
        app.context = AppContext(session, archive, begun, watches, opening.demo)
        stack.callback(app.context.close)
        stack.callback(_forget_embedded, session)
        session.confirm = app.confirm
        session.ask_password, session.has_terminal = app.ask_password, False
        session.tell, session.naming_lets_in = app.warn, False
        yield app


def _forget_embedded(session: Session) -> None:
    """What was done on brokers that end with this program ends, too."""
    from workbench.operations.journal.retention import forget_embedded

    if any(map(session.is_embedded, session.names)):
        forget_embedded()


class Workbench(ConnectionWatches, Operations):
    """The full-screen workbench."""

    CSS_PATH = "workbench.tcss"
    ENABLE_COMMAND_PALETTE = False

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
        self._opening = opening
        self._recent: Sequence[str] = ()
        self._keys = keys
        for mode, screen in SCREENS.items():
            self.add_mode(mode, partial(screen, self))
        self.set_keymap(dict(keys))

    def on_load(self) -> None:
        # While the first screen is made, brokers answer, and what is listed in time is in the first picture.
        for watch in self.context.watches.values():
            self.start(watch)

    def on_mount(self) -> None:
        for path in find_leftovers():
            self.say(describe_leftover(path), "warning")
        if warning := self.context.session.config.warning:
            self.say(warning, "warning")
        if self._opening.addresses:
            self.show_when_listed(self._opening.addresses)
        if self._opening.recording is None:
            # The first picture comes before it.
            self.call_after_refresh(self.run_worker, self.offer_unfinished, group="offer")

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

    # What any screen may ask for.

    def show_help(self, screen: str) -> None:
        """Show a screen's keys."""
        from views.dialogs.keys import Keys

        offered = [Action(each.name, "", "", each.help, ()) for each in self.context.session.actions()]
        self.push_screen(Keys(TITLES[screen], [*of_screen(screen), *offered], self.keys_of))

    def keys_of(self, action: Action) -> str:
        """An action's keys, as the user has settled them."""
        return self._keys.get(action.id, action.keys)

    def copy(self, text: str, what: str) -> None:
        """Copy to the terminal's clipboard, as far as the terminal lets programs do so (OSC 52)."""
        self.copy_to_clipboard(text)
        self.say(f"{what} is copied, {quantity(len(text), 'character')}.")

    def change_theme(self) -> None:
        """Change between dark and light."""
        if self.current_theme.ansi:
            self.say("In 16 colours, your terminal's settings decide between dark and light.")
        else:
            self.theme = LIGHT_THEME.name if self.current_theme.dark else DARK_THEME.name

    @property
    def is_publishing(self) -> bool:
        """Whether events are on their way to a broker."""
        return any(getattr(screen, "busy", False) for stack in self._screen_stacks.values() for screen in stack)

    def leave(self) -> None:
        """Leave; asks while something runs."""
        from views.dialogs.sentences import Agree

        if isinstance(self.screen, Agree):
            return
        leave: Callable[[], None] = self.exit
        if self.operation is not None:
            sentence = (
                f"{self.operation.what} is running: it ends after the messages in hand, and can be resumed later."
            )
            leave = self.leave_when_stopped
        elif self.is_publishing:
            sentence = "Events are being published: the outcome of those in flight would be unknown."
        elif self.progress is not None:
            sentence = "Events are being exported: the file would hold only those written so far."
        elif live := self._what_is_live():
            sentence = live
        else:
            self.exit()
            return
        self.push_screen(Agree("Quit?", sentence, "quit"), lambda yes: leave() if yes else None)

    def _what_is_live(self) -> str:
        """What arrives and would be lost, in a sentence; empty: nothing. A log keeps what it has shown."""
        tails = [each.address for each in self.context.ingestions.running if each.kind == "tail"]
        if tails and self._is_recorded:
            return f"What arrives at {quantity(len(tails), 'endpoint')} is being recorded: the recording ends."
        endpoints = filter(None, map(self.context.endpoint, tails))
        taps = [each.address for each in endpoints if each.family != "log"]
        if not taps:
            return ""
        if len(taps) > 1:
            return f"{len(taps):,} endpoints are live: what was shown of them is kept nowhere else."
        return f"{visible(str(taps[0]))} is live: what was shown of it is kept nowhere else."

    def act(self, action: OfferedAction) -> None:
        """Do what a connector offers, and say what came of it."""
        self.run_worker(self._act(action), group="act")

    async def _act(self, action: OfferedAction) -> None:
        try:
            self.say(await action.do())
        except WorkbenchError as error:
            self.say(str(error), "error")

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
