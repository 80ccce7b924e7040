"""What the panels of Events show: of which endpoints, by which query, and which event in full."""

from collections.abc import Sequence

from rich.text import Text
from textual import on, work

from views.event_list import EventList
from views.event_panes import EventPanes
from views.event_sources import EventSources, found_text
from views.host import Host
from views.status_line import SourcesStatus
from views.widgets.event_table import EventTable
from views.widgets.explanation import key_sentences
from views.widgets.key_bar import KeyBar
from views.widgets.progress_row import ProgressRow
from views.widgets.query_bar import QueryBar
from views.widgets.reason_line import ReasonLine
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.event import Delivery
from workbench.model.wording import with_article
from workbench.operations.browse_defaults import price_of
from workbench.query.query import Query


class ShownEvents(EventPanes):
    """Keeps table, query, inspector and border up with what is stored."""

    _sources: EventSources
    _status: SourcesStatus
    _events: EventList

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        # The event that the inspector shows.
        self._inspected: int | None = None

    def on_workbench_screen_store_changed(self) -> None:
        self._events.update()

    def show_endpoints(self, addresses: Sequence[Address]) -> None:
        """Show the events of endpoints: what is held; where looking is free, what is there and what comes, too."""
        self._sources.show(addresses)
        self._show_table()

    def show_all(self) -> None:
        """Show all that is held."""
        self._sources.show_all()
        self._show_table()

    @property
    def sequences(self) -> Sequence[int]:
        """The events that the table shows, by their numbers in the archive."""
        return self._events.sequences

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

    def _why_empty(self) -> Text:
        if self._events.query is not None:
            return self._why_none_matches()
        endpoints = [endpoint for address in self._sources.addresses if (endpoint := self.context.endpoint(address))]
        if len(endpoints) == 1 and price_of(endpoints[0]):
            live = [("l", "shows what arrives.")] if Ability.TAIL in endpoints[0].abilities else []
            return key_sentences("Nothing was read yet.", ("b", "browses what is there."), *live)
        if len(endpoints) == 1 and endpoints[0].family == "routes":
            holds = f"{with_article(visible(endpoints[0].kind)).capitalize()} holds nothing."
            return key_sentences(holds, ("l", "shows what passes through it."))
        if any(map(self._sources.is_live, self._sources.addresses)):
            return Text("Nothing is there yet: what arrives is shown here.")
        return Text("Nothing is there.")

    def _why_none_matches(self) -> Text:
        searches = self._sources.searches
        if any(each in self._sources.running for each in searches):
            return key_sentences("Nothing was found yet.", ("esc", "stops searching."))
        if searches:
            return key_sentences(f"{', '.join(map(found_text, searches))}.", ("esc", "leads back."))
        among = f" among the {self._sources.partly_read}" if self._sources.partly_read else ""
        back = [(self.key_of("search"), "or enter searches all that is there.")] if self._can_search else []
        among = among or (" among those held" if back else "")
        return key_sentences(f"No event matches the query{among}.", *back, ("esc", "clears the query."))

    @property
    def _can_search(self) -> bool:
        """Whether more may match than what is held."""
        return self._events.query is not None and not self._sources.searches and self.why_not("search") is None

    def _show_caught_up(self) -> None:
        if not self._table.follow and self._table.cursor != self._inspected:
            self._inspect()
        for ended in self._sources.take_ended():
            self._banner.show_end(ended)
        if not self._table.follow:
            # What escape does here may have changed: a sorting has ended.
            self.query_one(KeyBar).update()
        self._show_status()

    def _count(self) -> None:
        self._status.count(self._sources)
        self._show_status()

    def _show_status(self) -> None:
        group = self._group_table.shown if self._switcher.current == "group" else None
        for part in (self._query_bar, self.query_one(ReasonLine)):
            part.set_class(group is not None, "aside")
        if group is not None:
            self._status.show_group(group)
        else:
            offer = f"{self.key_of('search')} searches all that is there" if self._can_search else ""
            if verb := self._table.verb:
                offer = f"this event was {verb}"
            self._status.show(self._sources, self._table.mark_count, offer)
        if self._sources.searches:
            self._table.empty = self._why_empty()
        self._events.show_gaps()
        self.query_one("#reading", ProgressRow).show(self._sources.progress)

    @on(QueryBar.Changed)
    def _apply_query(self, event: QueryBar.Changed) -> None:
        self._filter(event.query)

    def _filter(self, query: Query | None, keep: int | None = None) -> None:
        self._events.filter(query, keep)
        self._events.show_reasons()
        self._table.empty = self._why_empty()

    @on(ReasonLine.Chosen)
    def _filter_by_reason(self, event: ReasonLine.Chosen) -> None:
        self._put_query(event.query)
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

    @on(ReasonLine.Toggled)
    def _offer_reasons(self) -> None:
        self.query_one(KeyBar).update()

    @on(EventTable.Moved)
    def _inspect_cursor(self) -> None:
        # While the event that is inspected is looked for in another list, it stays.
        if self._events.kept is None:
            self._inspect()
        self.query_one(KeyBar).update()

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
            self._show_detail()

    async def _delivery(self) -> Delivery | None:
        """The event at the cursor, masked as the configuration says."""
        sequence = self._table.cursor
        found = await self.context.archive.get(sequence) if sequence is not None else None
        return await self.context.archive.reading.mask_off_loop(found) if found is not None else None

    def _no_event(self) -> str | None:
        if self._switcher.current == "group":
            return "A group is shown, and no events: enter opens the event that it reads next."
        return None if self._table.cursor is not None else "There is no event at the cursor."

    @on(EventTable.Failed)
    def _count_reasons(self) -> None:
        self._events.count_reasons()

    @on(EventTable.Sorted)
    def _sort_clicked(self, event: EventTable.Sorted) -> None:
        self._events.sort_by(event.column)

    @property
    def _query_text(self) -> str:
        return self._events.query.text if self._events.query is not None else ""

    def _put_query(self, text: str) -> None:
        """Filter by another query, or by none."""
        self._query_bar.value = text
        self._filter(self.context.session.query(text) if text else None)

    def cannot_publish(self) -> str | None:
        if not self.context.session.names:
            return "There is no connection to publish to: a adds one."
        return None
