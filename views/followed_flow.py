"""What Trace follows: an id or an event, searched further or with queues when that is asked for, and the ids before."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace
from rich.text import Text
from textual.widgets import Input
from textual.worker import Worker

from views.catch_up import CatchUp
from views.flow_search import FlowSearch, Wanted
from views.host import Host
from views.traced_events import TracedEvents
from workbench.decode.display import visible
from workbench.model.event import Delivery
from workbench.model.wording import quantity
from workbench.operations.browse_defaults import price_sentence
from workbench.operations.trace.forest import Trace
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import WINDOWS

_PAINTED: Final = 0.1
"""Seconds between two pictures of what is found."""
_ASKED: Final = 0.3
"""Seconds between two questions to the store, while more is stored."""
_RECENT: Final = 20
"""Ids that are remembered."""


def now() -> int:
    """The present, in milliseconds since 1970 UTC."""
    return round(time.time() * 1000)


class FollowedFlow(TracedEvents):
    """Searches for what is to be followed, in the place of what was followed before."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._listing, self._from_list = True, False
        self._recent: deque[tuple[str, Delivery | None]] = deque(maxlen=_RECENT)
        self._painting = CatchUp(self, self._paint, _PAINTED)
        self._asking = CatchUp(self, self._ask_store, _ASKED)

    def follow(self, id: str) -> None:
        """Follow an id."""
        self._begin(id.strip(), None)

    def follow_event(self, delivery: Delivery) -> None:
        """Follow the flow of an event: by its correlation id, else by another, else by what it points at."""
        facts = self.context.session.reading.facts(self.context.session.reading.mask(delivery))
        if ids := facts.ids:
            self._begin(ids[0], None)
            return
        position = delivery.position
        place = f" {position.partition}:{position.offset}" if position is not None else ""
        self._begin(f"{delivery.address}{place}", delivery)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the field follows what is in it."""
        text = event.value.strip()
        self._begin(text, dict(self._recent).get(text), from_list=self._listing or self._from_list)

    def _begin(self, text: str, begun_with: Delivery | None, from_list: bool = False) -> None:
        self.query_one(Input).value = text
        if text:
            self._listing, self._from_list = False, from_list
            others = [each for each in self._recent if each[0] != text]
            self._recent = deque([(text, begun_with), *others], maxlen=_RECENT)
            self._search_for(Wanted(text, begun_with, window=self._search.wanted.window if self._search else 0))

    def _search_for(self, wanted: Wanted) -> None:
        if self._search is not None:
            self._search.leave()
        self._search = FlowSearch(self, self.host, wanted, now, self._found_more)
        self._story.show(Trace(), 0)
        self._story.display = True
        self._story.focus()
        self._found_more()

    def _search_if_agreed(self, title: str, search: FlowSearch, **changed: object) -> None:
        """Search anew for something changed; where queues are looked into, that costs what it did, and is asked again.
        What stands in the field by then is what is searched for."""

        def begin() -> None:
            text = self.query_one(Input).value
            same = text == search.wanted.text
            begun_with = search.wanted.begun_with if same else None
            self._search_for(replace(search.wanted, text=text, begun_with=begun_with, **changed))

        if search.wanted.look:
            self._ask_to_look(title, search, begin)
        else:
            begin()

    def _found_more(self) -> None:
        if not self.is_closed:
            self._painting.request()

    async def _ask_store(self) -> None:
        if self._search is not None:
            await self._search.look_again()

    async def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A search is over, or what arrives is followed no more."""
        search = self._search
        if search is None or not search.owns(event.worker) or not event.worker.is_finished or self.is_closed:
            return
        self._painting.request()
        gathering = search.gathering
        if gathering is not None and gathering.places and not search.was_stopped:
            self.run_worker(self._offer_places(search, gathering), group="places", exclusive=True)

    async def _offer_places(self, search: FlowSearch, gathering: Gathering) -> None:
        """Ask which of the places of a value is meant."""
        from views.dialogs.choice import Choice

        await self.host.pause()
        if self.is_closed or not self.is_current or self._search is not search:
            return
        lines = [
            Text()
            .append(visible(place.name, 40), "bold")
            .append(f"  {quantity(place.events, 'event')}, {quantity(place.flows, 'correlation')}", "muted")
            for place in gathering.places
        ]

        def follow(number: int | None) -> None:
            if number is not None:
                self._search_if_agreed("Follow it", search, chosen=frozenset({gathering.places[number].name}))

        title = f"{visible(gathering.seed.value, 30)} stands in several places"
        self.app.push_screen(Choice(title, lines, "follow"), follow)

    # What is drawn.

    async def _paint(self) -> None:
        if self._search is not None:
            await self._search.catch_up()
        if self.is_closed:
            return
        found = self._found
        if found.steps or self._story.step is not None:
            at = found.stuck if found.stuck is not None else found.last
            # Where it stands may change until all is searched.
            is_over = self._search is None or not self._search.is_searching
            self._story.show_growing(found, at, is_over)
        self._say()

    def _say(self) -> None:
        """Say how far it is, and where the flow stands."""
        raise NotImplementedError

    # What can be done.

    def cannot_look_into(self) -> str | None:
        search = self._search
        if search is None or search.gathering is None:
            return self._no_flow()
        if not search.gathering.plan.prices:
            return "There is no queue to look into."
        return "The queues were looked into already." if search.wanted.look else None

    def do_look_into(self) -> None:
        if (search := self._search) is not None:
            text = self.query_one(Input).value
            look = replace(search.wanted, text=text, look=True)
            self._ask_to_look("Look into queues", search, lambda: self._search_for(look))

    def _ask_to_look(self, title: str, search: FlowSearch, look: Callable[[], None]) -> None:
        """Say what browsing the queues costs, and do it if that is agreed to."""
        if search.gathering is not None:
            plan = search.gathering.plan
            sentence = price_sentence(len(plan.prices), plan.messages, (price for _, price in plan.prices))
            self.host.agree(title, sentence, "look", look)

    def cannot_follow_trace(self) -> str | None:
        search = self._search
        if search is None or search.gathering is None:
            return self._no_flow()
        return None if search.is_live else search.cannot_follow()

    def do_follow_trace(self) -> None:
        if (search := self._search) is not None:
            (search.stop_following if search.is_live else search.follow)()
            self._say()

    def cannot_widen_window(self) -> str | None:
        if self._search is not None and self._search.wanted.window + 1 == len(WINDOWS):
            return "Topics and streams are searched from their beginning already."
        return self._no_flow()

    def do_widen_window(self) -> None:
        if (search := self._search) is not None:
            self._search_if_agreed("Search further back", search, window=search.wanted.window + 1)

    def cannot_recent(self) -> str | None:
        return None if self._recent else "No id was followed yet."

    def do_recent(self) -> None:
        from views.dialogs.choice import Choice

        recent = list(self._recent)

        def follow(number: int | None) -> None:
            if number is not None:
                self._begin(*recent[number], from_list=self._listing or self._from_list)

        self.app.push_screen(Choice("Recent ids", [Text(visible(each, 66)) for each, _ in recent], "follow"), follow)
