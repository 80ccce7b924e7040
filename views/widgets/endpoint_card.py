"""What is known of one endpoint: its numbers, its links, what looking costs, and who reads it."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from workbench.decode.display import visible
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.groups import Group
from workbench.model.wording import quantity

READERS = 50
"""Consumers listed; of more, how many there are is said."""


class EndpointCard(VerticalScroll, can_focus=True):
    """Tells about the endpoint at the tree's cursor."""

    def compose(self) -> ComposeResult:
        yield Static("", id="card-text")

    def show(self, endpoint: Endpoint | None, rate: float | None, groups: Sequence[Group]) -> None:
        """Tell about another endpoint.

        Args:
            endpoint: Which; None: nothing is told.
            rate: Events a second that come in now; None: not known.
            groups: The consumer groups that read it.
        """
        self.query_one("#card-text", Static).update(_card(endpoint, rate, groups) if endpoint else "")


def _card(endpoint: Endpoint, rate: float | None, groups: Sequence[Group]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, style="muted")
    table.add_column(ratio=1, overflow="fold")

    def row(name: str, value: str, style: str = "") -> None:
        table.add_row(Text(visible(name)), Text(visible(value), style))

    row("address", str(endpoint.address), "bold")
    row("kind", endpoint.kind)
    if endpoint.depth is not None:
        row("holds", f"{endpoint.depth:,}")
    if rate is not None:
        row("comes in", f"{rate:,.1f}/s")
    if endpoint.partitions is not None:
        row("partitions", f"{endpoint.partitions:,}")
    if endpoint.dead_letters_to:
        row("dead letters to", ", ".join(map(str, endpoint.dead_letters_to)))
    if endpoint.dead_letters_of:
        row("dead letters of", ", ".join(map(str, endpoint.dead_letters_of)))
    if endpoint.cost.sentence:
        used = f" {endpoint.cost.used} of {endpoint.cost.limit} used." if endpoint.cost.used is not None else ""
        row("browsing", endpoint.cost.sentence + used, "bold")
    elif Ability.BROWSE in endpoint.abilities:
        row("browsing", "free: enter opens it")
    for name, value in endpoint.detail:
        row(name, value)
    if endpoint.consumers is not None:
        row("consumers", f"{endpoint.consumers:,}" if endpoint.consumers else "none: nobody reads it")
    for reader in endpoint.readers[:READERS]:
        prefetch = f"prefetch {reader.prefetch:,}" if reader.prefetch else "no prefetch limit"
        how = "acknowledges" if reader.acknowledges else "does not acknowledge"
        row("", f"{reader.tag} · {reader.channel} · {prefetch} · {how}{'' if reader.active else ' · waits'}")
    if len(endpoint.readers) > READERS:
        row("", f"and {len(endpoint.readers) - READERS:,} more")
    for group in groups:
        lag = sum(each.lag for each in group.partitions if each.address == endpoint.address)
        row("group", f"{group.name} · {group.state} · {quantity(len(group.members), 'member')} · lag {lag:,}")
    return table
