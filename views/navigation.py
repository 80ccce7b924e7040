"""Going from screen to screen: which there are, and what each is told when it is gone to.

Another screen than the first is imported when it is gone to: the first picture would wait for it.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final, TypeVar

from views.events import Events
from views.host import Host
from views.questions import Questions
from views.workbench_screen import WorkbenchScreen
from workbench.model.address import Address
from workbench.model.event import Delivery, Position
from workbench.query.query import id_query

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

TITLES: Final = {
    "events": "Events",
    "trace": "Trace",
    "dead_letters": "Dead letters",
    "journal": "Journal",
    "connections": "Connections",
    "publish": "Publish",
}


class Navigation(Questions):
    """Goes to screens."""

    DEFAULT_MODE = "events"

    def __init__(self, theme: str | None) -> None:
        """Begin in a theme, on the first screen."""
        super().__init__(theme)
        self._wanted: Sequence[Address] = ()
        self._left = self.DEFAULT_MODE

    @property
    def events(self) -> Events:
        """The main screen."""
        for screen in self._screen_stacks.get("events", ()):
            if isinstance(screen, Events):
                return screen
        raise LookupError("the events screen is not there yet")

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

    def follow_event(self, delivery: Delivery) -> None:
        """Follow the flow of an event on the Trace screen: by its id, or by what it points at."""
        from views.trace import Trace

        trace = self._switch_to("trace", Trace)
        trace.call_later(trace.follow_event, delivery)

    def list_flows(self) -> None:
        """List the flows on the Trace screen, the stuck ones first."""
        from views.trace import Trace

        trace = self._switch_to("trace", Trace)
        trace.call_later(trace.list_flows)

    def show_flow(self, id: str) -> None:
        """Show all that is held of an id on the Events screen."""
        events = self._switch_to("events", Events)
        events.call_later(events.show_query, id_query(id))

    def show_endpoint(self, address: Address) -> None:
        """Go to an endpoint on the Events screen."""
        events = self._switch_to("events", Events)
        events.call_later(events.go_to, address)

    def open_endpoint(self, address: Address) -> None:
        """Open an endpoint on the Events screen; where looking at it costs something, say what."""
        self.show_endpoint(address)
        self.events.call_later(self.events.open, [address])

    def open_matching(self, addresses: Sequence[Address], query: str | None) -> None:
        """Open endpoints on the Events screen, filtered by a query, if there is one."""
        self.show_endpoint(addresses[0])
        self.events.call_later(self.events.open_matching, addresses, query or "")

    def open_group(self, connection: str, group: str) -> None:
        """Open a consumer group on the Events screen."""
        events = self._switch_to("events", Events)
        events.call_later(events.open_group, connection, group)

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

    def add_connection(self) -> None:
        """Add a connection on the Connections screen."""
        from views.connections import Connections

        connections = self._switch_to("connections", Connections)
        connections.call_later(connections.ask_connection)

    def show_when_listed(self, addresses: Sequence[Address]) -> None:
        """Show endpoints as soon as their connections have listed them."""
        self._wanted = list(addresses)
        self.show_wanted()

    def show_wanted(self) -> None:
        """Show the endpoints that were to be shown, once their connections have listed all of them."""
        if self._wanted and all(self.context.endpoint(address) for address in self._wanted):
            wanted, self._wanted = self._wanted, ()
            self.events.call_later(self.events.go_to, wanted[0])
            self.events.call_later(self.events.open, wanted)
