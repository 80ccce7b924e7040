"""What stands in the border of the events: which endpoints are shown, how their looks stand, how fast events come."""

import asyncio
from collections import deque
from typing import Final

from textual.content import Content

from views.event_sources import EventSources
from views.widgets.group_table import GroupTable
from views.widgets.panel import Panel
from workbench.decode.display import shorten_middle, visible
from workbench.model.groups import Group
from workbench.model.wording import quantity
from workbench.table.sparkline import short

RATED: Final = 4
"""Samples, a second apart, over which the rate of what arrives is told."""
_NAME: Final = 40
"""Cells of an endpoint's name where there are several."""
_STATE: Final = 24
"""Cells that how they stand takes, about."""


class SourcesStatus:
    """Writes into a panel's border what the panel shows."""

    def __init__(self, panel: Panel) -> None:
        self._panel: Final = panel
        self._arrived: Final[deque[tuple[float, int]]] = deque(maxlen=RATED)
        self._tails: list[int] = []

    def count(self, sources: EventSources) -> None:
        """Remember how many events have arrived, for the rate; called once a second.

        What a look begins with was there before: it counts from the second after the look began, or began again.
        """
        tails = [each for each in sources.running if each.kind == "tail" and each.state == "running"]
        looks = [each.look for each in tails]
        if looks == self._tails:
            self._arrived.append((asyncio.get_running_loop().time(), sum(each.coverage.read for each in tails)))
        else:
            self._tails = looks
            self._arrived.clear()

    def show_group(self, group: Group) -> None:
        """Show how a consumer group stands."""
        self._panel.title = f"group {visible(group.name, 60)}"
        parts = (group.kind, group.state, quantity(len(group.members), "member"), f"lag {group.lag:,}")
        self._panel.state = " · ".join(visible(part, 30) for part in parts if part)
        self._panel.keys = GroupTable.OWN_KEYS
        self._panel.note = ""

    def show(self, sources: EventSources, marked: int, offer: str = "") -> None:
        """Show how the sources stand, and how many events are marked, or else what is offered to do."""
        # One may have all that the border has, the state left out.
        room = _NAME if len(sources.addresses) > 1 else max(self._panel.size.width - _STATE, _NAME)
        names = ", ".join(shorten_middle(str(address), room) for address in sources.addresses)
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
            states += f" {short(rate)}/s" if rate >= 0.1 else ""
        self._panel.state = Content.assemble(("● ", "$live"), states) if live else states
        self._panel.keys = ()
        self._panel.note = f"{marked:,} marked" if marked else offer
