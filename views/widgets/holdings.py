"""What a connection holds most of: its largest endpoints, a line each."""

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text
from textual.widgets import Static

from workbench.decode.display import visible
from workbench.model.endpoint import Endpoint
from workbench.operations.watch import Watch
from workbench.table.sparkline import short, sparkline

MOST: Final = 100
"""Endpoints that are listed, the largest: a broker may have ten thousand."""
_SPARK: Final = 8


class Holdings(Static):
    """The endpoints of a connection that hold anything, the largest first."""

    def __init__(self) -> None:
        super().__init__("")
        self._drawn: Sequence[Sequence[Text]] | None = None

    def show(self, watch: Watch) -> None:
        """Tell of a connection, as it was listed last."""
        rows = [_row(each, watch.rates(each.address)) for each in largest(watch)]
        if rows == self._drawn:
            return
        self._drawn = rows
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="muted")
        table.add_column("name", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("kind", no_wrap=True)
        for head in ("holds", "comes in"):
            table.add_column(head, no_wrap=True, justify="right")
        table.add_column("", width=_SPARK)
        table.add_column("consumers", no_wrap=True, justify="right")
        for row in rows:
            table.add_row(*row)
        self.update(table)


def largest(watch: Watch) -> list[Endpoint]:
    """The endpoints of a connection that hold most."""
    holding = [each for each in watch.endpoints.values() if each.depth]
    return sorted(holding, key=lambda each: -(each.depth or 0))[:MOST]


def _row(endpoint: Endpoint, rates: Sequence[float]) -> Sequence[Text]:
    rate = rates[-1] if rates else 0.0
    return (
        Text(visible(endpoint.address.name)),
        Text(visible(endpoint.kind), "muted"),
        Text(f"{endpoint.depth or 0:,}", "dead" if endpoint.holds_dead_letters else ""),
        Text(f"{short(rate)}/s" if rate else ""),
        Text(sparkline(rates, _SPARK) if rate else "", "muted"),
        Text("" if endpoint.consumers is None else f"{endpoint.consumers:,}"),
    )
