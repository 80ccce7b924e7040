"""The main screen: endpoints on the left; on the right their events, the query on them, and one of them in full."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Input

from views.cost_banner import PriceBanner, ask_to_force
from views.dialogs.column_list import ColumnList
from views.event_list import EventList
from views.event_sources import EventSources
from views.export import body_text, line_text
from views.external_editor import edit_externally
from views.host import Host
from views.status_line import SourcesStatus
from views.steady_app import KEY_WORK
from views.widgets.endpoint_card import EndpointCard
from views.widgets.endpoint_tree import EndpointTree, Line
from views.widgets.event_columns import column_of, why_no_column
from views.widgets.event_table import EventTable
from views.widgets.group_table import GroupTable
from views.widgets.inspector.inspector import Inspector
from views.widgets.inspector.tabs import Tab
from views.widgets.key_bar import KeyBar
from views.widgets.panel import NARROW, WIDE, Panel
from views.widgets.query_bar import QueryBar
from views.widgets.reason_line import ReasonLine
from views.workbench_screen import WayBack, WorkbenchScreen
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint, with_article
from workbench.model.errors import ConfigError, FormatError, QueryError, WorkbenchError
from workbench.model.event import Delivery, Position
from workbench.model.start import At
from workbench.operations.browse_defaults import price_of
from workbench.operations.watch import Watch
from workbench.query.condition import Condition, joined
from workbench.query.query import Query

_FRAME: Final = 5
"""Cells of the tree's panel that are border, padding and scrollbar."""
_TREE: Final = (34, 42)
"""The least and the most cells of the tree's panel, which is as wide as the names in it."""
_TREE_WIDE: Final = (44, 72)
"""The same, where there is room."""


class Left(NamedTuple):
    """What was shown before something else.

    Attributes:
        addresses: The endpoints; None: everything that is held.
        query: What their events had to match; empty: nothing.
    """

    addresses: tuple[Address, ...] | None
    query: str


class Events(WorkbenchScreen):
    """Where everyone begins."""

    ACTIONS_OF = "events"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._sources: EventSources
        self._status: SourcesStatus
        self._events: EventList
        self._detailed: Endpoint | None = None
        self._pane: Literal["tree", "table", "inspector"] = "tree"
        self._zoomed = False
        self._before: Left | None = None
        # The query with which what is shown now was begun: escape leads back to it before it leads further.
        self._first_query = ""
        # The event that the inspector shows.
        self._inspected: int | None = None

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            with Panel(title="Endpoints", actions=("filter",), id="endpoints"):
                yield Input(id="tree-filter", placeholder="endpoints whose name holds …", select_on_focus=False)
                yield EndpointTree(id="tree")
            with Vertical(id="right"):
                with Panel(title="Events", id="events"):
                    yield QueryBar(self.context.session.query, id="query")
                    yield PriceBanner(id="banner")
                    yield ReasonLine(id="reasons")
                    with ContentSwitcher(initial="table", id="main"):
                        yield EventTable(id="table")
                        yield GroupTable(id="group")
                with Panel(title="Event", id="event"), ContentSwitcher(initial="card", id="detail"):
                    yield EndpointCard(id="card")
                    yield Inspector(id="inspector")

    def on_mount(self) -> None:
        self._sources = EventSources(self.context)
        self._status = SourcesStatus(self.query_one("#events", Panel))
        parts = self._table, self._query_bar, self.query_one(ReasonLine)
        self._events = EventList(self, self.host, parts, self._caught_up)
        self._table.empty = "Choose an endpoint: enter opens a topic, b browses a queue after showing what it costs."
        self.query_one("#tree-filter").display = False
        self._tree.focus()
        self.show_listing(None)
        self.listen_to_store()
        if self.context.store is None:
            self.show_all()
            self._go("table")
        self._show_status()
        self.set_interval(1, self._count)

    # What the program tells this screen.

    def show_listing(self, watch: Watch | None) -> None:
        """Draw the endpoints anew."""
        super().show_listing(watch)
        others: dict[str, list[Address]] = {}
        for look in self.context.archive.looks.values():
            addresses = others.setdefault(look.address.connection, [])
            if look.address not in addresses:
                addresses.append(look.address)
        self._tree.show(self.context.watches, others)
        self.query_one("#endpoints", Panel).state = f"{len(self.context.endpoints()):,}"
        self._arrange()
        self._tell_card()
        group = self._group_table.name_shown
        if group is not None and watch is not None and self._switcher.current == "group":
            for each in watch.groups:
                if each.name == group:
                    self._group_table.show(each)

    def on_workbench_screen_store_changed(self) -> None:
        self._events.update()

    def show_endpoints(self, addresses: Sequence[Address]) -> None:
        """Show the events of endpoints: what is held; where looking is free, what is there and what comes, too."""
        self._sources.show(addresses)
        self._priced = None
        self._show_table()

    def open(self, addresses: Sequence[Address]) -> None:
        """Show the events of endpoints, and go there; where looking at the only one costs something, say what."""
        if len(addresses) > 1:
            self._leave_for(self._query_text)
            reasons = self._sources.show_together(addresses)
            self._table.follow = True
            self._show_table()
            self._go("table")
            if reasons:
                self.host.say(" ".join(reasons), "warning")
            return
        self._before, self._first_query = None, ""
        self.show_endpoints(addresses)
        endpoint = self.context.endpoint(addresses[0]) if len(addresses) == 1 else None
        if endpoint is not None and price_of(endpoint) and not self._sources.has_looked_at(endpoint.address):
            self._banner.show_price(endpoint)
        else:
            self._go("table")

    def open_at(self, address: Address, position: Position) -> None:
        """Show the events of a log from one of them on, and go there."""
        if self.context.store is None:
            return
        self._sources.browse(address, At(position), alone=True)
        self._table.follow = False
        self._show_table()
        self._go("table")

    def show_all(self) -> None:
        """Show all that is held."""
        self._sources.show_all()
        self._show_table()

    def go_to(self, address: Address) -> None:
        """Put the cursor on an endpoint."""
        self._tree.go_to(address)
        self._go("tree")

    def show_query(self, text: str) -> None:
        """Filter all that is held; one escape leads back to what is shown now."""
        self._leave_for(text)
        self._sources.show_all()
        self._query_bar.value = text
        self._events.query = self.context.session.query(text)
        self._show_table()
        self._go("table")

    @property
    def sequences(self) -> Sequence[int]:
        """The events that the table shows, by their numbers in the archive."""
        return self._events.sequences

    # Panes.

    @property
    def _tree(self) -> EndpointTree:
        return self.query_one(EndpointTree)

    @property
    def _table(self) -> EventTable:
        return self.query_one(EventTable)

    @property
    def _inspector(self) -> Inspector:
        return self.query_one(Inspector)

    @property
    def _query_bar(self) -> QueryBar:
        return self.query_one(QueryBar)

    @property
    def _banner(self) -> PriceBanner:
        return self.query_one(PriceBanner)

    @property
    def _group_table(self) -> GroupTable:
        return self.query_one(GroupTable)

    @property
    def _switcher(self) -> ContentSwitcher:
        return self.query_one("#main", ContentSwitcher)

    def _go(self, pane: Literal["tree", "table", "inspector"]) -> None:
        """Put the focus into a pane, which on a narrow screen is the one that shows."""
        self._pane = pane
        self._arrange()
        if pane == "table" and self._switcher.current == "group":
            self._group_table.query_one("DataTable").focus()
        else:
            {"tree": self._tree, "table": self._table, "inspector": self._inspector}[pane].focus()

    def _arrange(self) -> None:
        alone = self._zoomed or self.size.width < NARROW
        endpoints = self.query_one("#endpoints")
        endpoints.display = not alone or self._pane == "tree"
        self.query_one("#right").display = not alone or self._pane != "tree"
        self.query_one("#event").display = not alone or self._pane == "inspector"
        self.query_one("#events").display = not alone or self._pane != "inspector"
        least, most = _TREE_WIDE if self.size.width >= WIDE else _TREE
        wanted = max(least, min(self._tree.wanted_width + _FRAME, most))
        endpoints.styles.width = "1fr" if alone else wanted

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def on_descendant_focus(self) -> None:
        focused = self.focused
        detail = self.query_one("#detail", ContentSwitcher)
        if focused is self._tree:
            self._pane, detail.current = "tree", "card"
        elif focused in (self._table, self.query_one(ReasonLine)) or (
            focused is not None and focused in self._group_table.query("*")
        ):
            self._pane, detail.current = "table", "inspector" if self._switcher.current == "table" else "card"
        elif focused is self._inspector:
            self._pane, detail.current = "inspector", "inspector"
        self._label_event()
        self.query_one(KeyBar).refresh()

    # Events.

    def _show_table(self) -> None:
        self._switcher.current = "table"
        endpoints = [self.context.endpoint(address) for address in self._sources.addresses]
        mixed = self._sources.looks is None or len(endpoints) > 1
        failed = bool(endpoints) and all(endpoint and endpoint.dead_letters_of for endpoint in endpoints)
        self._events.show(self._sources.looks, mixed, failed)
        self._table.empty = self._why_empty()
        self._tree.open_addresses = frozenset(self._sources.addresses)
        connections = {address.connection for address in self._sources.addresses}
        self.set_class(any(map(self.context.session.is_production, connections)), "production")
        self._tree.refresh()
        self._show_status()

    def _why_empty(self) -> str:
        among = f" among the {self._sources.partly_read}" if self._sources.partly_read else ""
        if self._events.query is not None:
            return f"No event matches the query{among}. esc clears it."
        endpoints = [endpoint for address in self._sources.addresses if (endpoint := self.context.endpoint(address))]
        if len(endpoints) == 1 and price_of(endpoints[0]):
            return "Nothing was read yet. b browses what is there, l shows what arrives."
        if len(endpoints) == 1 and endpoints[0].family == "routes":
            return f"{with_article(endpoints[0].kind).capitalize()} holds nothing. l shows what passes through it."
        return "Nothing is there."

    def _caught_up(self) -> None:
        if not self._table.follow and self._table.cursor != self._inspected:
            self._inspect()
        for ended in self._sources.take_ended():
            self._banner.show_end(ended)
        self._show_status()

    def _count(self) -> None:
        self._status.count(self.context.archive.upto)
        self._show_status()

    def _show_status(self) -> None:
        self._status.show(self._sources, self._table.mark_count)
        self._events.show_gaps()

    # Endpoints at the cursor.

    @property
    def _endpoint(self) -> Endpoint | None:
        line = self._tree.line
        return self.context.endpoint(line.address) if line is not None and line.address is not None else None

    @on(EndpointTree.Moved)
    def _follow_cursor(self) -> None:
        endpoint = self._endpoint
        if endpoint is None or not self._banner.has_priced(endpoint.address):
            self._banner.clear()
        self._tell_card()
        self.query_one(KeyBar).refresh()
        if endpoint is not None:
            self._ask_readers(endpoint.address)

    def _tell_card(self, endpoint: Endpoint | None = None) -> None:
        listed = self._endpoint
        if listed is None:
            self.query_one(EndpointCard).show(None, None, ())
            return
        watch = self.context.watches[listed.address.connection]
        rates = watch.rates(listed.address)
        groups = [group for group in watch.groups if any(each.address == listed.address for each in group.partitions)]
        if endpoint is not None:
            self._detailed = endpoint
        detailed = self._detailed
        known = detailed if detailed is not None and detailed.address == listed.address else listed
        self.query_one(EndpointCard).show(known, rates[-1] if rates else None, groups)

    @work(exclusive=True, group="card")
    async def _ask_readers(self, address: Address) -> None:
        """Ask who reads an endpoint once the cursor rests on it."""
        await asyncio.sleep(0.3)
        try:
            connector = await self.context.session.connector(address.connection)
            endpoint = await connector.endpoint(address)
        except WorkbenchError:
            # Its connection's state says so already.
            return
        if not self.is_closed:
            self._tell_card(endpoint)

    # Actions.

    def cannot_inspect(self) -> str | None:
        if self._in(self._tree) and self._tree.line is None:
            return "There is no endpoint: a adds a connection."
        if self._in(self._table) and self._table.cursor is None:
            return "There is no event to open."
        return None

    def do_inspect(self) -> None:
        if self._in(self._table):
            self._go("inspector")
        elif self._in(self._inspector):
            self._inspector.action_toggle()
        elif self._in(self._tree) and self._tree.line is not None:
            self._open(self._tree.line)

    def _open(self, line: Line) -> None:
        if self._tree.marks:
            self.open(sorted(self._tree.marks, key=str))
            self._tree.marks.clear()
        elif line.group is not None:
            self._open_group(line)
        elif line.address is None:
            self._tree.toggle(line)
        else:
            self.open([line.address])

    def _open_group(self, line: Line) -> None:
        for group in self.context.watches[line.connection].groups:
            if group.name == line.group:
                self._switcher.current = "group"
                self._group_table.show(group)
                self._go("table")

    @on(EndpointTree.Opened)
    def _open_clicked(self, event: EndpointTree.Opened) -> None:
        self._open(event.line)

    @on(GroupTable.Chosen)
    def _open_next_of_group(self, event: GroupTable.Chosen) -> None:
        """Open the event that a group is to read next."""
        partition = event.partition
        if partition.committed is None:
            self.host.say(f"{visible(event.group.name)} has committed nothing in this partition.", "warning")
        elif not partition.lag:
            self.host.say(f"{visible(event.group.name)} has read all there is in this partition.", "information")
        elif self.context.store is not None:
            self.open_at(partition.address, Position(partition.partition, partition.committed))

    @property
    def _target(self) -> Endpoint | None:
        """The endpoint that keys are about: at the tree's cursor, else the one whose events are shown."""
        if self._in(self._tree):
            return self._endpoint
        addresses = self._sources.addresses
        return self.context.endpoint(addresses[0]) if len(addresses) == 1 else None

    def _cannot_look(self, ability: Ability, what: str) -> str | None:
        if self.context.store is None:
            return "This is a recording: no broker is connected."
        endpoint = self._target
        if endpoint is None:
            return "Go to an endpoint first: tab leads to the tree."
        if ability not in endpoint.abilities:
            return f"{visible(str(endpoint.address))} is {with_article(endpoint.kind)}: {what}."
        return None

    def cannot_browse(self) -> str | None:
        return self._cannot_look(Ability.BROWSE, "it holds nothing to look at; l shows what passes through it")

    def do_browse(self) -> None:
        endpoint = self._target
        assert endpoint is not None
        if price_of(endpoint) and not self._banner.has_priced(endpoint.address):
            self._banner.show_price(endpoint)
            return
        self._banner.clear()
        self._sources.browse(endpoint.address)
        self._show_table()
        self._go("table")

    def cannot_force(self) -> str | None:
        return None if self._sources.refused is not None else "No browse was refused."

    def do_force(self) -> None:
        refused = self._sources.refused
        assert refused is not None
        address = refused.address

        def force() -> None:
            self._banner.clear()
            self._sources.browse(address, force=True)
            self._show_table()

        ask_to_force(self.host, refused, force)

    def cannot_live(self) -> str | None:
        return self._cannot_look(Ability.TAIL, "what arrives there cannot be shown without consuming it")

    def do_live(self) -> None:
        endpoint = self._target
        assert endpoint is not None
        self._banner.clear()
        self._sources.tail(endpoint.address)
        self._table.follow = True
        self._show_table()
        self._go("table")

    def do_refresh(self) -> None:
        self.host.list_again()

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
            if self.size.width < NARROW and self._pane == "tree":
                self._go("table")
            self._query_bar.focus_field()

    def cannot_find(self) -> str | None:
        return self._no_event()

    def do_find(self) -> None:
        self.host.ask("Find in this event", "A text; n and N go to the next and the previous.", self._find)

    def _find(self, text: str) -> None:
        if not self._in(self._inspector):
            self._go("inspector")
        self._inspector.search(text)

    def cannot_filter_by(self) -> str | None:
        if not self._in(self._inspector):
            return "Open an event first and go to a value in it: enter."
        return None

    cannot_exclude = cannot_add_column = cannot_filter_by

    def do_filter_by(self) -> None:
        self._filter_by(lambda condition: condition.has)

    def do_exclude(self) -> None:
        self._filter_by(lambda condition: condition.lacks)

    def do_add_column(self) -> None:
        try:
            path = self._inspector.path()
            self._table.add_column(path)
        except (FormatError, QueryError) as error:
            self.host.say(str(error), "warning")
        else:
            self.host.say(f"{path} is a column now.")

    def _filter_by(self, which: Callable[[Condition], str]) -> None:
        """Ask for the value at the inspector's cursor too, and stay where it is."""
        try:
            condition = self._inspector.condition()
            before = self._events.query
            query = self.context.session.query(joined(before.text if before is not None else "", which(condition)))
        except (FormatError, QueryError) as error:
            self.host.say(str(error), "warning")
            return
        self._query_bar.value = query.text
        self._filter(query, self._table.cursor)

    @on(Input.Changed, "#tree-filter")
    def _filter_tree(self, event: Input.Changed) -> None:
        self._tree.filter(event.value)

    @on(Input.Submitted, "#tree-filter")
    def _leave_tree_filter(self) -> None:
        self._tree.focus()

    @on(QueryBar.Changed)
    def _apply_query(self, event: QueryBar.Changed) -> None:
        self._filter(event.query)

    def _filter(self, query: Query | None, keep: int | None = None) -> None:
        self._events.filter(query, keep)
        self._events.show_reasons()
        self._table.empty = self._why_empty()

    @on(ReasonLine.Chosen)
    def _filter_by_reason(self, event: ReasonLine.Chosen) -> None:
        self._query_bar.value = event.query
        self._filter(self.context.session.query(event.query) if event.query else None)
        self._go("table")

    @on(ReasonLine.Left)
    def _leave_reasons(self) -> None:
        self._go("table")

    @on(QueryBar.Entered)
    @work(exclusive=True, group="words")
    async def _teach(self) -> None:
        words = await self._events.vocabulary()
        if not self.is_closed:
            self._query_bar.learn(words)

    @on(QueryBar.Left)
    def _leave_query(self) -> None:
        self._go("table")

    def do_follow(self) -> None:
        self._table.follow = not self._table.follow

    @on(EventTable.Moved)
    def _inspect_cursor(self) -> None:
        # While the event that is inspected is looked for in another list, it stays.
        if self._events.kept is None:
            self._inspect()
        self.query_one(KeyBar).refresh()

    @on(Inspector.Labelled)
    def _label_event(self) -> None:
        inspected = self.query_one("#detail", ContentSwitcher).current == "inspector"
        panel = self.query_one("#event", Panel)
        found = f" · {self._inspector.found}" if self._inspector.found else ""
        panel.title = f"Event{found}" if inspected else "Endpoint"
        panel.state = self._inspector.tabs if inspected else ""

    def action_show_tab(self, tab: Tab) -> None:
        """Show a tab of the event that was clicked in its panel's border."""
        self._inspector.tab = tab
        self._go("inspector")

    @on(EventTable.Opened)
    def _open_event(self) -> None:
        self._go("inspector")

    @work(exclusive=True, group="inspect")
    async def _inspect(self) -> None:
        sequence = self._table.cursor
        if sequence is not None and sequence == self._inspected:
            return
        delivery = await self._delivery()
        if not self.is_closed:
            self._inspected = sequence
            endpoint = self.context.endpoint(delivery.address) if delivery is not None else None
            dead = endpoint is not None and bool(endpoint.dead_letters_of)
            self._inspector.show(delivery, self.context.archive.reading, dead)

    async def _delivery(self) -> Delivery | None:
        """The event at the cursor, masked as the configuration says."""
        sequence = self._table.cursor
        found = await self.context.archive.get(sequence) if sequence is not None else None
        return await self.context.archive.reading.mask_off_loop(found) if found is not None else None

    def cannot_next_match(self) -> str | None:
        return None if self._in(self._inspector) else "Open an event and find something in it with ctrl+f first."

    def do_next_match(self) -> None:
        self._inspector.next_match()

    cannot_previous_match = cannot_next_match

    def do_previous_match(self) -> None:
        self._inspector.previous_match()

    def _no_event(self) -> str | None:
        return None if self._table.cursor is not None else "There is no event at the cursor."

    def cannot_trace(self) -> str | None:
        return self._no_event()

    @work(exclusive=True, group=KEY_WORK)
    async def do_trace(self) -> None:
        delivery = await self._delivery()
        correlation = self.context.archive.reading.facts(delivery).correlation if delivery is not None else None
        if correlation is None:
            self.host.say("No convention finds a correlation id in this event: T follows any id.", "warning")
        else:
            self.host.follow_id(correlation)

    def cannot_publish(self) -> str | None:
        if not self.context.session.names:
            return "There is no connection to publish to: a adds one."
        return None

    def do_publish(self) -> None:
        endpoint = self._target
        self.host.compose_event(endpoint.address if endpoint is not None else None)

    def cannot_clone(self) -> str | None:
        return self.cannot_publish() or self._no_event()

    def do_clone(self) -> None:
        self._clone()

    @work(exclusive=True, group=KEY_WORK)
    async def _clone(self, into_body: bool = False) -> None:
        # As it came: a clone of what is masked must not be made of asterisks.
        sequence = self._table.cursor
        delivery = await self.context.archive.get(sequence) if sequence is not None else None
        if delivery is not None:
            self.host.clone_event(delivery, into_body)

    def cannot_move(self) -> str | None:
        return "Moving events is not there yet; c publishes one like it, and its original stays where it is."

    def do_move(self) -> None:
        raise AssertionError("cannot be moved")

    def cannot_copy(self) -> str | None:
        return self._no_event()

    @work(exclusive=True, group=KEY_WORK)
    async def do_copy(self) -> None:
        delivery = await self._delivery()
        if self._in(self._inspector):
            self.host.copy(self._inspector.text_to_copy(), "The value at the cursor")
        elif delivery is not None:
            self.host.copy(*body_text(delivery))

    cannot_copy_line = cannot_copy

    @work(exclusive=True, group=KEY_WORK)
    async def do_copy_line(self) -> None:
        delivery = await self._delivery()
        if delivery is not None:
            try:
                self.host.copy(line_text(delivery), "The event's line")
            except WorkbenchError as error:
                self.host.say(str(error), "error")

    cannot_edit = cannot_clone

    def do_edit(self) -> None:
        self._clone(into_body=True)

    cannot_page = cannot_copy

    @work(exclusive=True, group=KEY_WORK)
    async def do_page(self) -> None:
        delivery = await self._delivery()
        if delivery is None:
            return
        try:
            await edit_externally(self.app, delivery.event.body or b"", "PAGER", "less")
        except ConfigError as error:
            self.host.say(str(error), "error")

    def cannot_export(self) -> str | None:
        return None if len(self._events) else "There is no event to export."

    def do_export(self) -> None:
        marked = sorted(self._table.marks)
        self.host.export(marked or self.sequences, "marked" if marked else "shown")

    def cannot_zoom(self) -> str | None:
        return (
            "A screen this narrow shows one panel at a time: tab goes to the next."
            if self.size.width < NARROW
            else None
        )

    def do_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._arrange()

    @work(exclusive=True, group=KEY_WORK)
    async def do_columns(self) -> None:
        table, words = self._table, await self._events.vocabulary()
        shown = [column.id for column in table.columns]
        names = [*shown, *(column.id for column in table.all_columns), *words.paths]

        def choose(names: tuple[str, ...] | None) -> None:
            if names is not None:
                table.columns = [column_of(name) for name in names]

        if not self.is_closed:
            self.app.push_screen(ColumnList(list(dict.fromkeys(names)), shown, why_no_column), choose)

    def cannot_reasons(self) -> str | None:
        return None if self.query_one(ReasonLine).display else "Only dead letters have reasons: none are shown."

    def do_reasons(self) -> None:
        self._go("table")
        self.query_one(ReasonLine).focus()

    def cannot_sort(self) -> str | None:
        if self._switcher.current != "table":
            return "There are no events to sort."
        return None if self._table.chosen_column else "The table has no columns: C chooses some."

    def do_sort(self) -> None:
        self._events.sort_by(column_of(self._table.chosen_column))

    @on(EventTable.Failed)
    def _count_reasons(self) -> None:
        self._events.count_reasons()

    @on(EventTable.Sorted)
    def _sort_clicked(self, event: EventTable.Sorted) -> None:
        self._events.sort_by(event.column)

    cannot_mark_range = _no_event
    cannot_mark_all = _no_event
    cannot_invert_marks = _no_event

    def do_mark_range(self) -> None:
        self._table.mark_range()
        self._show_status()

    @work(exclusive=True, group=KEY_WORK)
    async def do_mark_all(self) -> None:
        await self._table.mark_all()
        self._show_status()

    @work(exclusive=True, group=KEY_WORK)
    async def do_invert_marks(self) -> None:
        await self._table.invert_marks()
        self._show_status()

    def do_widen(self) -> None:
        self._table.widen(self._table.chosen_column, 2)

    def do_narrow(self) -> None:
        self._table.widen(self._table.chosen_column, -2)

    def do_colour(self) -> None:
        self._table.coloured = not self._table.coloured

    def do_times(self) -> None:
        self._table.relative_times = not self._table.relative_times

    def do_pane(self) -> None:
        order: Sequence[Literal["tree", "table", "inspector"]] = ("tree", "table", "inspector")
        self._go(order[(order.index(self._pane) + 1) % len(order)])

    def way_back(self) -> WayBack | None:
        """Leave the field, close the banner, stop what runs, or go back."""
        field = self.query_one("#tree-filter", Input)
        running = self._sources.running
        browsing = any(each.kind == "browse" for each in running)
        in_table = self._in(self._table)
        if self.focused is field or (field.display and self._in(self._tree)):
            return WayBack("show all endpoints", self._leave_filter)
        if self._banner.display:
            return WayBack("close", self._banner.clear)
        if browsing:
            return WayBack("stop reading", partial(self._sources.stop, "browse"))
        if self._events.is_sorting:
            return WayBack("stop sorting", self._events.stop_sorting)
        if self._in(self._inspector):
            return WayBack("back to the events", lambda: self._go("table"))
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
        return WayBack("back to the endpoints", lambda: self._go("tree")) if not self._in(self._tree) else None

    def _leave_filter(self) -> None:
        field = self.query_one("#tree-filter", Input)
        field.value, field.display = "", False
        self._tree.focus()

    def _leave_group(self) -> None:
        self._switcher.current = "table"
        self._go("tree")

    def _stop(self) -> None:
        self._sources.stop()
        self._show_status()

    @property
    def _query_text(self) -> str:
        return self._events.query.text if self._events.query is not None else ""

    def _put_query(self, text: str) -> None:
        """Filter by another query, or by none."""
        self._query_bar.value = text
        self._filter(self.context.session.query(text) if text else None)

    def _leave_for(self, query: str) -> None:
        """Remember what is shown: one escape leads back to it from what is shown next, with a query of its own."""
        addresses = None if self._sources.looks is None else tuple(self._sources.addresses)
        self._before = Left(addresses, self._query_text)
        self._first_query = query

    def _return(self) -> None:
        """Show again what was shown before."""
        before, self._before, self._first_query = self._before, None, ""
        assert before is not None
        self._query_bar.value = before.query
        self._events.query = self.context.session.query(before.query) if before.query else None
        if before.addresses is None:
            self.show_all()
        else:
            self.show_endpoints(before.addresses)
        self._go("table" if before.addresses != () else "tree")

    def _in(self, widget: Widget) -> bool:
        return self.focused is widget or (self.focused is not None and widget in self.focused.ancestors)
