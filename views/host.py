"""What the program does for its screens, without their knowing it or one another."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from views.actions import Action
from views.app_context import AppContext
from views.widgets.message_line import Messages, Severity
from views.widgets.progress_row import Progress
from workbench.connecting.connector import Action as OfferedAction
from workbench.model.address import Address
from workbench.model.event import Delivery, Position

if TYPE_CHECKING:
    from views.dialogs.form import Answers, Form
    from workbench.operations.move.outcome import Ended
    from workbench.operations.move.outcome import Progress as Moved

Work: TypeAlias = "Callable[[Callable[[Moved], None], asyncio.Event], AsyncGenerator[tuple[str, Ended], None]]"
"""An operation, or several one after the other; gives the id of each and how it ended, as soon as it has."""


class Running(msgspec.Struct, frozen=True):
    """An operation while it runs.

    Attributes:
        what: What is done: "A move".
        screen: Where it was begun, by its name in the action table: escape stops it there.
        stopped: Set when it is to end after the messages in hand.
    """

    what: str
    screen: str
    stopped: asyncio.Event


class Host(Protocol):
    """The program, as its screens know it."""

    @property
    def context(self) -> AppContext:
        """What all screens share."""

    @property
    def is_demo(self) -> bool:
        """Whether what is open is the demo."""

    @property
    def headline(self) -> str:
        """What is open, for the title."""

    @property
    def is_publishing(self) -> bool:
        """Whether events are on their way to a broker."""

    def keys_of(self, action: Action) -> str:
        """An action's keys, as the user has settled them."""

    # Telling and asking.

    @property
    def messages(self) -> Messages:
        """What was said so far."""

    @property
    def progress(self) -> Progress | None:
        """How far an export or an operation is; None: none runs."""

    @property
    def operation(self) -> "Running | None":
        """The operation that runs; None: none does."""

    def show_messages(self) -> None:
        """Show what was said so far."""

    def say(self, sentence: str, kind: Severity = "information") -> None:
        """Tell something in passing; what a stranger wrote in it is made visible."""

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

    def fill(self, form: "Form", then: "Callable[[Answers], None]") -> None:
        """Ask for more than a line: show a form on top of the screen.

        Args:
            form: What is asked for.
            then: Gets the answers; not called where it was left.
        """

    def agree(self, title: str, sentence: str, yes: str, then: Callable[[], object]) -> None:
        """Tell what will happen, on top of the screen, and wait for a yes.

        Args:
            title: What for.
            sentence: What will happen.
            yes: What enter does, in a word or two.
            then: Called after a yes.
        """

    async def pause(self) -> None:
        """Return when nobody is typing: whatever opens by itself, opens then."""

    def show_help(self, screen: str) -> None:
        """Show a screen's keys."""

    def show_palette(self) -> None:
        """Offer everything by its name, unless a question is to be answered first."""

    # Going to other screens.

    def go(self, mode: str) -> None:
        """Go to a screen."""

    def go_back(self) -> None:
        """Go to the screen that was left last."""

    def show_endpoint(self, address: Address) -> None:
        """Go to an endpoint on the Events screen."""

    def open_endpoint(self, address: Address) -> None:
        """Open an endpoint on the Events screen; where looking at it costs something, say what."""

    def open_matching(self, addresses: Sequence[Address], query: str | None) -> None:
        """Open endpoints on the Events screen, filtered by a query, if there is one."""

    def open_group(self, connection: str, group: str) -> None:
        """Open a consumer group on the Events screen."""

    def show_flow(self, id: str) -> None:
        """Show all that is held of an id on the Events screen."""

    def follow_id(self, id: str) -> None:
        """Follow an id on the Trace screen."""

    def follow_event(self, delivery: Delivery) -> None:
        """Follow the flow of an event on the Trace screen: by its id, or by what it points at."""

    def list_flows(self) -> None:
        """List the flows on the Trace screen, the stuck ones first."""

    def compose_event(self, address: Address | None) -> None:
        """Write an event on the Publish screen."""

    def clone_event(self, delivery: Delivery, into_body: bool = False) -> None:
        """Write an event like another on the Publish screen; `into_body`: with the cursor in its body."""

    def show_event(self, address: Address, position: Position | None) -> None:
        """Show an event that was published, on the Events screen."""

    def add_connection(self) -> None:
        """Add a connection on the Connections screen."""

    def resume_operation(self, path: Path) -> None:
        """Go on with an operation that was interrupted or stopped."""

    # What goes on whichever screen is shown.

    def add_watch(self, name: str) -> None:
        """Watch a connection that the session was given just now."""

    async def drop_connection(self, name: str) -> None:
        """Let go of a connection: looks through it end, it is listed no more, and closed."""

    def list_again(self) -> None:
        """List all connections now, also those whose password could not be had."""

    def copy(self, text: str, what: str) -> None:
        """Copy to the terminal's clipboard, as far as the terminal lets programs do so (OSC 52)."""

    def export(self, sequences: Sequence[int], which: str) -> None:
        """Ask for a file and write events into it."""

    def stop(self) -> None:
        """End what is running: an operation after the messages in hand, else the export, whose file holds what was
        written so far."""

    def begin_operation(self, what: str, do: "Work") -> None:
        """Move, delete, resume or undo, whichever screen is shown meanwhile.

        Args:
            what: What is done, for the question whether to quit: "A move".
            do: Does it. Is given whom to tell how far it is, and what is set to stop it.
        """

    def record(self) -> None:
        """Ask where to record this session."""

    def change_theme(self) -> None:
        """Change between dark and light."""

    def act(self, action: OfferedAction) -> None:
        """Do what a connector offers, and say what came of it."""

    def leave(self) -> None:
        """Leave; asks while something runs."""
