"""The main screen: endpoints on the left; on the right their events, the query on them, and one of them in full."""

from functools import partial

from rich.text import Text
from textual.widgets import Input

from views.event_actions import EventActions
from views.event_list import EventList
from views.event_sources import EventSources
from views.search_actions import SearchActions
from views.status_line import SourcesStatus
from views.widgets.explanation import key_sentences
from views.widgets.panel import NARROW, Panel
from views.widgets.reason_line import ReasonLine
from views.workbench_screen import WayBack
from workbench.model.address import Address
from workbench.operations.watch import Watch


class Events(SearchActions, EventActions):
    """Where everyone begins."""

    def on_mount(self) -> None:
        self._sources = EventSources(self.context)
        self._status = SourcesStatus(self.query_one("#events", Panel))
        parts = self._table, self._query_bar, self.query_one(ReasonLine)
        self._events = EventList(self, self.host, parts, self._show_caught_up, lambda: self._sources.without_events)
        self._table.verb_of = self.context.verb_of
        self.query_one("#tree-filter").display = False
        self.show_listing(None)
        self.listen_to_store()
        if self.context.store is None:
            self.show_all()
            self._go("table")
        self._show_status()
        self.set_interval(1, self._count)

    def show_listing(self, watch: Watch | None) -> None:
        """Draw the endpoints anew."""
        super().show_listing(watch)
        others: dict[str, list[Address]] = {}
        for look in self.context.archive.looks.values():
            addresses = others.setdefault(look.address.connection, [])
            if look.address not in addresses:
                addresses.append(look.address)
        self._tree.empty = self._why_no_endpoint()
        self._tree.show(self.context.watches, others)
        if not self._sources.addresses and self._sources.looks is not None:
            self._table.empty = self._how_to_begin()
        self.query_one("#endpoints", Panel).state = f"{len(self.context.endpoints()):,}"
        self._arrange()
        self._tell_card()
        group = self._group_table.shown
        is_shown = group is not None and self._switcher.current == "group"
        if group is not None and is_shown and watch is not None and watch.name == self._group_connection:
            self._ask_group(group.name)

    def _why_no_endpoint(self) -> Text:
        """What the tree says; where the list of events is in sight, that says what to do."""
        if self.context.endpoints():
            return Text()
        if self.size.width < NARROW:
            return self._how_to_begin()
        return Text() if self.context.session.names else key_sentences("No connection yet.", ("a", "adds one."))

    def _how_to_begin(self) -> Text:
        """What to do first."""
        watches = self.context.watches.values()
        if not self.context.session.names:
            return key_sentences("No connection yet.", ("a", "adds one, such as amqp://user@rabbit.example/vhost"))
        if not any(watch.endpoints for watch in watches):
            if any(watch.state == "connecting" for watch in watches):
                return Text("Connecting …")
            if all(watch.state != "connected" for watch in watches):
                return key_sentences(
                    "No connection could be made.", ("5", "says why; there, e edits and enter checks it.")
                )
            return key_sentences("There is no queue or topic yet, or none that you may see.", ("r", "looks again."))
        own = [("a", "adds your own broker: this is a demo.")] if self.host.is_demo else []
        opens = ("enter", "opens it; a queue first says what a look costs.")
        return key_sentences("Choose an endpoint.", opens, ("b", "browses the queue then."), *own)

    def cannot_inspect(self) -> str | None:
        if self._in(self._tree) and self._tree.line is None:
            return "There is no endpoint: a adds a connection."
        if self._in(self._table) and self._table.cursor is None and self.cannot_search() is not None:
            return "There is no event to open."
        return None

    def do_inspect(self) -> None:
        if self._in(self._table) and self._table.cursor is None:
            self.do_search()
        elif self._in(self._table):
            self._go("inspector")
        elif self._in(self._inspector):
            self._inspector.action_toggle()
        elif self._in(self._tree) and self._tree.line is not None:
            self._open(self._tree.line)

    def cannot_mark(self) -> str | None:
        if self._in(self._tree):
            line = self._tree.line
            return None if line is not None and line.address is not None else "There is no endpoint at the cursor."
        return self._no_event()

    def do_mark(self) -> None:
        if self._in(self._tree):
            self._tree.toggle_mark()
        else:
            self._table.toggle_mark()
            self._show_status()

    def do_filter(self) -> None:
        if self._in(self._tree):
            field = self.query_one("#tree-filter")
            field.display = True
            field.focus()
        else:
            if self._switcher.current == "group":
                self._switcher.current = "table"
                self._show_status()
            if self.size.width < NARROW and self._pane == "tree":
                self._go("table")
            self._query_bar.focus_field()

    def way_back(self) -> WayBack | None:
        """Leave the field, close the banner, stop what runs, or go back."""
        field = self.query_one("#tree-filter", Input)
        running = self._sources.running
        kinds = {each.kind for each in running}
        in_table = self._in(self._table)
        if self.focused is field or (field.display and self._in(self._tree)):
            return WayBack("show all endpoints", self._leave_filter)
        if self._banner.display:
            return WayBack("close", self._close_banner)
        if "scan" in kinds:
            return WayBack("stop searching", partial(self._sources.stop, "scan"))
        if "browse" in kinds:
            return WayBack("stop reading", partial(self._sources.stop, "browse"))
        if self._events.is_sorting:
            return WayBack("stop sorting", self._events.stop_sorting)
        if self._in(self._inspector):
            return WayBack("back", lambda: self._go("table"))
        if in_table and self._table.marks_range:
            return WayBack("leave the range", self._table.leave_range)
        if in_table and self._query_text != self._first_query:
            return WayBack("clear the filter", lambda: self._put_query(self._first_query))
        if self._switcher.current == "group":
            return WayBack("back", self._leave_group)
        if self._before is not None:
            return WayBack("back", self._return)
        if in_table and running:
            return WayBack("stop", self._stop)
        return WayBack("back", lambda: self._go("tree")) if not self._in(self._tree) else None
