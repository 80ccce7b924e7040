"""What can be done with endpoints on Events: open, browse, follow and filter them, and go back."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from textual import on, work
from textual.widgets import Input

from views.cost_banner import ask_to_force
from views.host import Host
from views.shown_events import ShownEvents
from views.widgets.endpoint_card import EndpointCard
from views.widgets.endpoint_tree import EndpointTree, Line
from views.widgets.group_table import GroupTable
from views.widgets.key_bar import KeyBar
from views.widgets.panel import NARROW
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import WorkbenchError
from workbench.model.event import Position
from workbench.model.start import At
from workbench.model.wording import with_article
from workbench.operations.browse_defaults import price_of


class Left(NamedTuple):
    """What was shown before something else.

    Attributes:
        addresses: The endpoints; None: everything that is held.
        query: What their events had to match; empty: nothing.
    """

    addresses: tuple[Address, ...] | None
    query: str


class EndpointActions(ShownEvents):
    """Acts on the endpoints of the tree, and on those that are shown."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._detailed: Endpoint | None = None
        self._before: Left | None = None
        # The query with which what is shown now was begun: escape leads back to it before it leads further.
        self._first_query = ""
        self._group_connection = ""  # of the group that was shown last

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
            self._show_price(endpoint)
        else:
            self._go("table")

    def open_matching(self, addresses: Sequence[Address], query: str) -> None:
        """Open endpoints, and filter their events."""
        self.open(addresses)
        self._put_query(query)

    def _show_price(self, endpoint: Endpoint) -> None:
        """Say what a look costs, where it is seen: a narrow screen shows the tree alone."""
        self._banner.show_price(endpoint)
        if self.size.width < NARROW:
            self._go("table")

    def _close_banner(self) -> None:
        """Say nothing more of looks; a narrow screen that showed a price and no event shows the tree again."""
        priced = self._banner.is_price
        self._banner.clear()
        if priced and self.size.width < NARROW and not self._events.sequences:
            self._go("tree")

    def open_at(self, address: Address, position: Position) -> None:
        """Show the events of a log from one of them on, and go there."""
        if self.context.store is None:
            return
        self._sources.browse(address, At(position), alone=True)
        self._table.follow = False
        self._show_table()
        self._go("table")

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
    def _endpoint(self) -> Endpoint | None:
        line = self._tree.line
        return self.context.endpoint(line.address) if line is not None and line.address is not None else None

    @on(EndpointTree.Moved)
    def _follow_cursor(self) -> None:
        endpoint = self._endpoint
        if endpoint is None or not self._banner.has_priced(endpoint.address):
            self._banner.clear()
        self._tell_card()
        self.query_one(KeyBar).update()
        if endpoint is not None:
            self._ask_readers(endpoint.address)

    def _tell_card(self, endpoint: Endpoint | None = None) -> None:
        self._show_detail()
        listed = self._endpoint
        if listed is None:
            self._tell_card_of(self._tree.line)
            return
        if endpoint is not None:
            self._detailed = endpoint
        detailed = self._detailed
        known = detailed if detailed is not None and detailed.address == listed.address else listed
        self.query_one(EndpointCard).show(known, self.context.watches[listed.address.connection])

    def _tell_card_of(self, line: Line | None) -> None:
        """Tell about what is no endpoint: a connection, or one of its groups."""
        card = self.query_one(EndpointCard)
        watch = self.context.watches.get(line.connection) if line is not None else None
        if line is None or watch is None or line.address is not None:
            card.show(None, None)
            return
        group = next((each for each in watch.groups if each.name == line.group), None)
        if group is not None:
            card.show_group(group)
        else:
            card.show_connection(watch)

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

    def _open(self, line: Line) -> None:
        if self._tree.marks:
            self.open(sorted(self._tree.marks, key=str))
            self._tree.marks.clear()
        elif line.group is not None:
            self.open_group(line.connection, line.group)
        elif line.address is None:
            self._tree.toggle(line)
        else:
            self.open([line.address])

    def open_group(self, connection: str, name: str) -> None:
        """Show how far a consumer group has got."""
        watch = self.context.watches.get(connection)
        for group in watch.groups if watch is not None else ():
            if group.name == name:
                self._tree.go_to_group(connection, name)
                self._switcher.current = "group"
                self._group_table.show(group)
                self._show_status()
                self._go("table")
                self._group_connection = connection
                self._ask_group(name)

    @work(exclusive=True, group="group")
    async def _ask_group(self, name: str) -> None:
        """Ask for the group that is shown: of one, more is told than of all that are listed."""
        try:
            group = await (await self.context.session.connector(self._group_connection)).group(name)
        except WorkbenchError:
            # Its connection's state says so already.
            return
        if not self.is_closed and self._switcher.current == "group":
            self._group_table.show(group)
            self._show_status()

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
            return f"{visible(str(endpoint.address))} is {with_article(visible(endpoint.kind))}: {what}."
        return None

    def cannot_browse(self) -> str | None:
        return self._cannot_look(Ability.BROWSE, "it holds nothing to look at; l shows what passes through it")

    def do_browse(self) -> None:
        endpoint = self._target
        assert endpoint is not None
        if price_of(endpoint) and not self._banner.has_priced(endpoint.address):
            if self.size.width < NARROW:
                self.show_endpoints([endpoint.address])
            self._show_price(endpoint)
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
        reason = self._cannot_look(Ability.TAIL, "what arrives there cannot be shown without consuming it")
        if reason is None and self._target is not None and self._follows(self._target.address):
            return f"{visible(str(self._target.address))} is live already: new events appear as they arrive."
        return reason

    def _follows(self, address: Address) -> bool:
        """Whether an endpoint's newest events are what the user looks at."""
        if self._banner.display or not (self._in(self._table) and self._table.follow):
            return False
        return any(each.kind == "tail" and each.address == address for each in self._sources.running)

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

    @on(Input.Changed, "#tree-filter")
    def _filter_tree(self, event: Input.Changed) -> None:
        self._tree.filter(event.value)

    @on(Input.Submitted, "#tree-filter")
    def _leave_tree_filter(self) -> None:
        self._tree.focus()

    def do_publish(self) -> None:
        endpoint = self._target
        self.host.compose_event(endpoint.address if endpoint is not None else None)

    def _leave_filter(self) -> None:
        field = self.query_one("#tree-filter", Input)
        field.value, field.display = "", False
        self._tree.focus()

    def _leave_group(self) -> None:
        self._switcher.current = "table"
        self._show_status()
        self._go("tree")

    def _stop(self) -> None:
        self._sources.stop()
        self._show_status()

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
