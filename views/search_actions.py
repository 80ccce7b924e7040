"""Searching further back on Events: for what none of the events that are held may match."""

import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import work

from views.endpoint_actions import EndpointActions
from views.steady_app import KEY_WORK
from workbench.decode.display import visible
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.start import Beginning, Since, Start, Window, parse_start
from workbench.model.wording import quantity, time_span
from workbench.operations.browse_defaults import price_of
from workbench.query.query import Query

if TYPE_CHECKING:
    from workbench.operations.search import Estimate

_SAMPLE: Final = 200
"""Events that are looked at for the mean size of one."""


class SearchActions(EndpointActions):
    """Searches the logs that are shown for what matches the query."""

    def cannot_search(self) -> str | None:
        if self.context.store is None:
            return "This is a recording: all that it has is shown."
        if self._events.query is None:
            return "Filter the events first: / asks for a query, which can then be searched for further back."
        if not self._searchable:
            return "Only topics and streams can be searched further back: open one."
        return None

    @property
    def _searchable(self) -> list[Endpoint]:
        """The logs that are shown and can be read freely."""
        found = (self.context.endpoint(address) for address in self._sources.addresses)
        return [
            each
            for each in found
            if each is not None and each.family == "log" and Ability.BROWSE in each.abilities and not price_of(each)
        ]

    @work(exclusive=True, group=KEY_WORK)
    async def do_search(self) -> None:
        # Imported here: the first picture would wait for it.
        from workbench.operations.search import estimate, is_on_cluster

        session, query, endpoints = self.context.session, self._events.query, self._searchable
        size = await self._mean_size(endpoints)
        on_cluster = any(is_on_cluster(session, each) for each in endpoints)
        try:
            cluster = await session.cluster() if on_cluster else None
        except WorkbenchError as error:
            self.host.say(str(error), "error")
            return
        if self.is_closed or query is None or not endpoints:
            return
        names = ", ".join(visible(str(each.address), 40) for each in endpoints[:3])
        more = f" and {len(endpoints) - 3:,} more" if len(endpoints) > 3 else ""
        width = 1 if cluster is None else cluster.threads
        price = _sentence(estimate(endpoints, query, size, width, self.context.session.search_rates))
        where = "" if cluster is None else f" on {cluster}"
        self.host.ask(
            "Search further back",
            f"Search {names}{more} for {visible(query.text, 60)}: {price}{where}. From when? beginning, -1h, or"
            " 2026-11-23T10:00.",
            partial(self._search, endpoints, query),
            "beginning",
            wrong=_why_no_start,
            verb="search",
        )

    async def _mean_size(self, endpoints: Sequence[Endpoint]) -> float | None:
        """Bytes of an event of these logs, as the newest that are held have them."""
        archive = self.context.archive
        addresses = {each.address for each in endpoints}
        found = await archive.rows(range(max(archive.upto - _SAMPLE, archive.first), archive.upto))
        events = [each.event for each in found if each is not None and each.address in addresses]
        return sum(len(each.body or b"") + len(each.key or b"") for each in events) / len(events) if events else None

    def _search(self, endpoints: Sequence[Endpoint], query: Query, text: str) -> None:
        start = _start_of(text)
        self._leave_for(query.text)
        self._banner.clear()
        self._sources.search(endpoints, query, Window(start.time if isinstance(start, Since) else None))
        self._table.follow = False
        self._show_table()
        self._go("table")


def _start_of(text: str) -> Start:
    return parse_start(text.strip(), round(time.time() * 1000))


def _why_no_start(text: str) -> str | None:
    try:
        start = _start_of(text)
    except FormatError:
        start = None
    return None if isinstance(start, Beginning | Since) else "Write beginning, -10m, -1h, -2d or 2026-11-23T10:00."


def _sentence(estimate: "Estimate") -> str:
    """How much there is to search, and how long it takes."""
    parts = [quantity(estimate.events, "event")]
    if estimate.size is not None:
        parts.append(f"about {_size(estimate.size)}")
    if estimate.decoded:
        some = "all" if estimate.decoded == estimate.events else f"{estimate.decoded:,}"
        parts.append(f"{some} to be decoded, since bytes cannot tell")
    return f"{', '.join(parts)}, some {time_span(max(estimate.seconds, 1))}"


def _size(count: int) -> str:
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= size:
            return f"{count / size:,.0f} {unit}"
    return f"{count:,} B"
