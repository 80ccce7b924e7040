"""What every screen has: the title with the connections' states above, its actions, and their keys below."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Paste
from textual.keys import key_to_character
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from views.actions import bindings, key_name, of_screen
from views.app_context import AppContext
from views.host import Host
from views.painting import Backdrop, PaintedAtOnce
from views.steady_app import Passing
from views.widgets.key_bar import KeyBar, Offer
from views.widgets.message_line import MessageLine
from views.widgets.panel import WIDTHS, Panel
from views.widgets.progress_row import ProgressRow
from views.widgets.title_bar import Tab, TitleBar
from workbench.operations.watch import Watch
from workbench.store.ingest import Ingestion


class WayBack(NamedTuple):
    """What escape does.

    Attributes:
        label: In a word or two, for the footer.
        go: Does it.
    """

    label: str
    go: Callable[[], object]


_TABS: Final = (
    ("events", "events", "Events"),
    ("traces", "trace", "Trace"),
    ("dead_letters", "dead_letters", "Dead"),
    ("journal", "journal", "Journal"),
    ("connections", "connections", "Connections"),
    ("compose", "publish", "Publish"),
)
"""For each screen the action that leads there, its name in the action table, and its name in the title."""
_EVERYWHERE: Final = ("pane", "palette", "help")
"""What stands at the right of the footer."""


class WorkbenchScreen(PaintedAtOnce, Screen[None], Backdrop):
    """A screen of the program. A subclass names itself for the action table and composes what is between the bars."""

    ACTIONS_OF: ClassVar[str]
    """The screen's name in the action table."""
    FIELD_KEYS: ClassVar[Sequence[tuple[str, str]]] = (("tab", "next field"), ("esc", "leave the field"))
    """What keys do in a field of the screen, for the footer; a widget around the field may have its own."""
    BINDINGS: ClassVar[list[BindingType]] = []
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = WIDTHS

    class Listed(Message):
        """A connection was listed, its state has changed, or, without one, it is gone. A message, for the screen may
        not be composed yet."""

        def __init__(self, watch: Watch | None) -> None:
            super().__init__()
            self.watch = watch

    class OperationEnded(Message):
        """What was moved, deleted or taken back is no more where it was."""

    class StoreChanged(Passing, bubble=False):
        """Something was stored, or a look's state has changed. Replaces its predecessor: a burst is one repaint."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, WorkbenchScreen.StoreChanged)

    def __init_subclass__(cls) -> None:
        # A screen is made of several classes: what the first of them binds, the others inherit.
        if "ACTIONS_OF" in cls.__dict__:
            cls.BINDINGS = list(bindings(cls.ACTIONS_OF))
        super().__init_subclass__()

    def __init__(self, host: Host) -> None:
        # Textual would set this class after the first layout, and style everything again.
        super().__init__(classes=next(name for least, name in reversed(WIDTHS) if self.app.size.width >= least))
        self.host: Final = host
        """The program."""
        self._keys_of: tuple[Widget | None, dict[str, str]] | None = None

    @property
    def context(self) -> AppContext:
        """What all screens share."""
        return self.host.context

    def compose(self) -> ComposeResult:
        yield TitleBar(
            lambda: self.host.headline,
            self._tabs,
            lambda: time.strftime("%Z"),
            self.context.watches,
            self.context.session.is_production,
            self.context.session.tunnel_to,
        )
        yield from self.compose_body()
        yield ProgressRow(id="progress")
        yield MessageLine(self.host.messages, self._list_key)
        yield KeyBar(self._offers)

    def compose_body(self) -> ComposeResult:
        """What is between the bars."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Write the keys into the borders of the panels."""
        for panel in self.query(Panel):
            panel.keys = self.keys_in(panel.actions)

    def keys_in(self, actions: Sequence[str]) -> list[tuple[str, str]]:
        """The first keys of actions of this screen, and what each does, for a border."""
        labels = {action.id: action.label for action in of_screen(self.ACTIONS_OF)}
        return [(self.key_of(id), labels[id]) for id in actions]

    def listen_to_store(self) -> None:
        """Be told by `StoreChanged`, from now on, when there may be other events to show."""
        if self.context.store is not None:
            self.context.store.listeners.add(self._store_changed)
            self.context.ingestions.listeners.add(self._store_changed)

    def _store_changed(self, ingestion: Ingestion | None = None) -> None:
        if self.is_running:
            self.post_message(self.StoreChanged())

    @property
    def is_closed(self) -> bool:
        """Whether its parts are gone, so that what a worker waited for has nobody to be told."""
        return not self.query(KeyBar)

    def on_workbench_screen_listed(self, event: Listed) -> None:
        """Draw what was listed."""
        self.show_listing(event.watch)

    def on_screen_resume(self) -> None:
        """Draw what was listed and said while another screen was shown."""
        self.show_listing(None)
        self.show_message()

    def show_message(self) -> None:
        """Something was said, or is further on its way."""
        for row in self.query("#progress").results(ProgressRow):
            # What stops it works from now on, or no more.
            if row.display != (self.host.progress is not None):
                self.keys_changed()
            row.show(self.host.progress)
        for line in self.query(MessageLine):
            line.show()

    def key_of(self, id: str, screen: str = "") -> str:
        """The first key of an action of this screen, or of another, as a user writes it; empty: it has none."""
        action = next(each for each in of_screen(screen or self.ACTIONS_OF) if each.id == id)
        return key_name(self.host.keys_of(action).partition(",")[0])

    @property
    def _list_key(self) -> str:
        """What opens the list of messages."""
        return self.key_of("messages") or ":messages"

    def show_listing(self, watch: Watch | None) -> None:
        """A connection was listed, or its state has changed; None: any of them."""
        self.query_one(TitleBar).update()
        self.query_one(KeyBar).update()

    def _tabs(self) -> list[Tab]:
        dead = sum(each.depth or 0 for each in self.context.endpoints() if each.holds_dead_letters)
        return [
            Tab(
                self.key_of(id),
                name,
                id,
                here=screen == self.ACTIONS_OF,
                held=dead if id == "dead_letters" else 0,
            )
            for id, screen, name in _TABS
        ]

    def _offers(self) -> tuple[list[Offer], list[Offer]]:
        """What keys do where the focus is, and what they do everywhere: only those that reach what they are for."""
        focused = self.focused
        here: list[Offer] = []
        everywhere: list[Offer] = []
        panel: str | None = None
        if focused is not None:
            # A field's keys may be its screen's; those of another widget are its own.
            name = "FIELD_KEYS" if self.is_writing else "OWN_KEYS"
            owners = (getattr(node, name, None) for node in focused.ancestors_with_self)
            here += [Offer(*key) for key in next(filter(None, owners), ())]
            panels = (node.id for node in focused.ancestors if isinstance(node, Panel) or hasattr(node, "OWN_KEYS"))
            panel = next(panels, None)
        told = {offer.key for offer in here} | {""}
        keys = self._keys_that_work()
        for action in of_screen(self.ACTIONS_OF):
            if keys.get(action.id, "") in told or not action.label or (action.panels and panel not in action.panels):
                continue
            offer = Offer(keys[action.id], action.label, action.id, self.why_not(action.id) is None)
            (everywhere if action.id in _EVERYWHERE else here).append(offer)
        if "back" in keys and not self.is_writing and (way := self._way_back()) is not None:
            here.append(Offer("esc", way.label, "back"))
        return here, sorted(everywhere, key=lambda offer: _EVERYWHERE.index(offer.action))

    @property
    def is_writing(self) -> bool:
        """Whether the focus is in a field, where letters are text."""
        return self.focused is not None and self.focused.check_consume_key("a", "a")

    def _keys_that_work(self) -> dict[str, str]:
        """The first key of each action that works where the focus is: a field takes letters and more for itself."""
        focused = self.focused
        if self._keys_of is None or self._keys_of[0] is not focused:
            found: dict[str, str] = {}
            for key, (node, binding, *_) in self.active_bindings.items():
                name = key_name(key)
                letter = name if len(name) == 1 else key_to_character(key)
                if node is self and binding.id and not (focused and focused.check_consume_key(key, letter)):
                    found.setdefault(binding.id, name)
            self._keys_of = (focused, found)
        return self._keys_of[1]

    def keys_changed(self) -> None:
        """Other keys work from now on."""
        self._keys_of = None
        for bar in self.query(KeyBar):
            bar.update()

    def actor(self, action: str) -> object:
        """Who does an action now: the screen, or a part of it that has taken its place."""
        return self

    def why_not(self, action: str) -> str | None:
        """Why an action cannot be done now, in a sentence; None: it can."""
        reason: str | None = getattr(self.actor(action), f"cannot_{action}", lambda: None)()
        return reason

    def action_act(self, action: str) -> None:
        """Do what a key says, or say why not."""
        if action == "back":
            self.query_one(MessageLine).clear()
        if reason := self.why_not(action):
            self.host.say(reason, "warning")
        else:
            getattr(self.actor(action), f"do_{action}")()
            self.query_one(KeyBar).update()

    @on(KeyBar.Pressed)
    @on(TitleBar.Pressed)
    def _act_on_click(self, event: KeyBar.Pressed | TitleBar.Pressed) -> None:
        self.action_act(event.action)

    def on_descendant_focus(self) -> None:
        """Other keys work elsewhere."""
        self.query_one(KeyBar).update()

    def on_descendant_blur(self) -> None:
        """Other keys work elsewhere."""
        self.query_one(KeyBar).update()

    def on_paste(self, event: Paste) -> None:
        """An id that is pasted outside a field is followed."""
        if not self.is_writing:
            self.host.follow_id(event.text)

    # What can be done on every screen.

    def do_publish(self) -> None:
        self.host.compose_event(None)

    def do_compose(self) -> None:
        self.host.compose_event(None)

    def do_add(self) -> None:
        self.host.add_connection()

    def do_trace_id(self) -> None:
        self.host.ask("Trace", "A correlation, message or causation id.", self.host.follow_id)

    def do_flows(self) -> None:
        self.host.list_flows()

    def do_events(self) -> None:
        self.host.go("events")

    def do_traces(self) -> None:
        self.host.go("trace")

    def do_dead_letters(self) -> None:
        self.host.go("dead_letters")

    def do_journal(self) -> None:
        self.host.go("journal")

    def do_connections(self) -> None:
        self.host.go("connections")

    def do_down(self) -> None:
        self._move("cursor_down")

    def do_up(self) -> None:
        self._move("cursor_up")

    def do_top(self) -> None:
        self._move("cursor_top")

    def do_bottom(self) -> None:
        self._move("cursor_bottom")

    def do_half_down(self) -> None:
        self._move("half_page_down")

    def do_half_up(self) -> None:
        self._move("half_page_up")

    def do_pane(self) -> None:
        self.focus_next()

    def do_messages(self) -> None:
        self.host.show_messages()

    def way_back(self) -> WayBack | None:
        """What escape does now: the one thing that the footer says; None: nothing."""
        if self.is_writing:
            return WayBack("leave the field", lambda: self.set_focus(None))
        return WayBack("go back", self.host.go_back)

    def _way_back(self) -> WayBack | None:
        """Out of the field; else the operation that was begun here is stopped before anything is left."""
        operation = self.host.operation
        if operation is None or operation.screen != self.ACTIONS_OF or operation.stopped.is_set() or self.is_writing:
            return self.way_back()
        return WayBack("stop after those in hand", self.host.stop)

    def do_back(self) -> None:
        if (way := self._way_back()) is not None:
            way.go()

    @property
    def can_stop(self) -> bool:
        """Whether something runs that the key for it stops."""
        return self.host.progress is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let a field have the key that stops, while there is nothing to stop."""
        return self.can_stop if parameters == ("stop",) else True

    def cannot_stop(self) -> str | None:
        return None if self.can_stop else "Nothing runs that could be stopped here."

    def do_stop(self) -> None:
        self.host.stop()

    def do_theme(self) -> None:
        self.host.change_theme()

    def cannot_record(self) -> str | None:
        if self.context.store is None:
            return "This is a recording: there is nothing to record."
        return None

    def do_record(self) -> None:
        self.host.record()

    def do_palette(self) -> None:
        self.host.show_palette()

    def do_quit(self) -> None:
        self.host.leave()

    def do_help(self) -> None:
        self.host.show_help(self.ACTIONS_OF)

    def _move(self, how: str) -> None:
        focused: Widget | None = self.focused
        move = getattr(focused, f"action_{how}", None)
        if move is not None:
            move()
