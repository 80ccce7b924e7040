"""The line above the events: which endpoints are shown, how their looks stand, and how fast events come in."""

import asyncio
from collections import deque
from typing import Final

from rich.text import Text
from textual.widgets import Static

from views.event_sources import EventSources, states_of
from workbench.decode.display import visible

RATED: Final = 4
"""Seconds over which the rate of what comes in is told."""


class StatusLine(Static):
    """What the table shows, in a line."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id)
        self._arrived: deque[tuple[float, int]] = deque(maxlen=RATED)

    def count(self, upto: int) -> None:
        """Remember how many events there are, for the rate; called once a second."""
        self._arrived.append((asyncio.get_running_loop().time(), upto))

    def show(self, sources: EventSources, marked: int) -> None:
        """Show how the sources stand, and how many events are marked."""
        line = Text(" ", no_wrap=True, overflow="ellipsis")
        names = ", ".join(visible(str(address), 40) for address in sources.addresses)
        line.append("everything held" if sources.looks is None else names or "no endpoint is open", "bold")
        for state in states_of(sources.ingestions):
            line.append(f" ▸ {state}")
        live = any(each.state == "running" and each.kind == "tail" for each in sources.ingestions)
        if live and len(self._arrived) > 1:
            (then, before), (now, upto) = self._arrived[0], self._arrived[-1]
            rate = (upto - before) / (now - then)
            line.append(f" {rate:,.0f}/s" if rate >= 1 else "")
        if marked:
            line.append(f" · {marked:,} marked")
        self.update(line, layout=False)
