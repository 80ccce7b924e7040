"""What stands in the border of the events: which endpoints are shown, how their looks stand, how fast events come."""

import asyncio
from collections import deque
from typing import Final

from textual.content import Content

from views.event_sources import EventSources
from views.widgets.panel import Panel
from workbench.decode.display import visible

RATED: Final = 4
"""Seconds over which the rate of what comes in is told."""


class SourcesStatus:
    """Writes into a panel's border what the panel shows."""

    def __init__(self, panel: Panel) -> None:
        self._panel: Final = panel
        self._arrived: Final[deque[tuple[float, int]]] = deque(maxlen=RATED)

    def count(self, upto: int) -> None:
        """Remember how many events there are, for the rate; called once a second."""
        self._arrived.append((asyncio.get_running_loop().time(), upto))

    def show(self, sources: EventSources, marked: int, offer: str = "") -> None:
        """Show how the sources stand, and how many events are marked, or else what is offered to do."""
        names = ", ".join(visible(str(address), 40) for address in sources.addresses)
        self._panel.title = "everything held" if sources.looks is None else names or "Events"
        states = " · ".join(sources.states)
        live = any(each.state == "running" and each.kind == "tail" for each in sources.ingestions)
        shown = sources.addresses
        lively = sum(map(sources.is_live, shown))
        if live and lively < len(shown):
            states = f"{lively:,} of {len(shown):,} {states}"
        if live and len(self._arrived) > 1:
            (then, before), (now, upto) = self._arrived[0], self._arrived[-1]
            rate = (upto - before) / (now - then)
            states += f" {rate:,.0f}/s" if rate >= 1 else ""
        self._panel.state = Content.assemble(("● ", "$live"), states) if live else states
        self._panel.note = f"{marked:,} marked" if marked else offer
