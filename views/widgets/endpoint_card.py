"""What is known of what the tree's cursor is on: an endpoint with its numbers, its links, what looking costs, and who
reads it; or a connection, or a consumer group."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from workbench.decode.display import visible
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.groups import Group
from workbench.model.wording import quantity
from workbench.operations.watch import Watch, describe_state
from workbench.table.sparkline import short

Row = tuple[str, str, str]
"""What something is called, what is said of it, and in which style."""

READERS = 50
"""Consumers listed; of more, how many there are is said."""


class EndpointCard(VerticalScroll):
    """Tells about the endpoint, the connection or the group at the tree's cursor."""

    def __init__(self, can_focus: bool = True, id: str | None = None) -> None:
        super().__init__(id=id, can_focus=can_focus)
        self._rows: Sequence[Row] = ()
        self._drawn: Sequence[Row] | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="card-text")

    def show(self, endpoint: Endpoint | None, watch: Watch | None) -> None:
        """Tell about another endpoint.

        Args:
            endpoint: Which; None: nothing is told.
            watch: Its connection, which knows what comes in and which consumer groups read; None: nobody does.
        """
        if endpoint is None:
            self._tell(())
            return
        address = endpoint.address
        rates = watch.rates(address) if watch is not None else ()
        groups = [
            group
            for group in (watch.groups if watch is not None else ())
            if any(each.address == address for each in group.partitions)
        ]
        self._tell(_endpoint_rows(endpoint, rates[-1] if rates else None, groups))

    def show_connection(self, watch: Watch) -> None:
        """Tell about a connection."""
        self._tell(_connection_rows(watch))

    def show_group(self, group: Group) -> None:
        """Tell about a consumer group."""
        self._tell(_group_rows(group))

    def _tell(self, rows: Iterable[Row]) -> None:
        self._rows = tuple(rows)
        self.draw()

    def draw(self) -> None:
        """Draw what is to be told, should it have changed: what nobody sees would lay out the screen, too."""
        if not self.display or self._rows == self._drawn:
            return
        self._drawn = self._rows
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
        table.add_column(no_wrap=True, style="muted")
        table.add_column(ratio=1, overflow="fold")
        for name, value, style in self._rows:
            table.add_row(Text(visible(name)), Text(visible(value), style))
        self.query_one("#card-text", Static).update(table)


def _connection_rows(watch: Watch) -> Iterator[Row]:
    yield "connection", watch.name, "bold"
    if watch.state != "connected":
        yield "state", describe_state(watch.state), "" if watch.state == "connecting" else "dead"
        return
    if watch.broker:
        yield "broker", watch.broker, ""
    kinds = Counter(endpoint.kind for endpoint in watch.endpoints.values())
    lists = ", ".join(quantity(count, kind) for kind, count in kinds.items()) or "nothing that you may see"
    yield "lists", f"{lists}{watch.terms}", ""
    if watch.groups:
        yield "groups", f"{quantity(len(watch.groups), 'group')}, lag {sum(group.lag for group in watch.groups):,}", ""
    dead = [endpoint for endpoint in watch.endpoints.values() if endpoint.holds_dead_letters]
    if dead:
        many = sum(endpoint.depth or 0 for endpoint in dead)
        yield "dead letters", f"{many:,} in {quantity(len(dead), 'endpoint')}", "dead"
    for gap in watch.gaps:
        yield "missing", f"{gap.what}: {gap.reason}", "warn"


def _group_rows(group: Group) -> Iterator[Row]:
    yield "group", group.name, "bold"
    if group.kind:
        yield "kind", group.kind, ""
    yield "state", group.state, ""
    yield "members", f"{len(group.members):,}", ""
    yield "lag", f"{group.lag:,}", "bold" if group.lag else ""
    lags: Counter[str] = Counter()
    for partition in group.partitions:
        lags[str(partition.address)] += partition.lag
    for number, (address, lag) in enumerate(lags.items()):
        yield "" if number else "reads", f"{address} · lag {lag:,}", ""
    for gap in group.gaps:
        yield "not known", f"{gap.what}: {gap.reason}", "warn"


def _endpoint_rows(endpoint: Endpoint, rate: float | None, groups: Sequence[Group]) -> list[Row]:
    rows: list[Row] = []

    def row(name: str, value: str, style: str = "") -> None:
        rows.append((name, value, style))

    row("address", str(endpoint.address), "bold")
    row("kind", endpoint.kind)
    if endpoint.trouble:
        row("trouble", endpoint.trouble, "dead")
    if endpoint.depth is not None:
        row("holds", f"{endpoint.depth:,}")
    if rate is not None:
        row("comes in", f"{short(rate)}/s" if rate else "nothing now", "" if rate else "muted")
    if endpoint.partitions is not None:
        row("partitions", f"{endpoint.partitions:,}")
    if endpoint.dead_letters_to:
        row("dead letters to", ", ".join(map(str, endpoint.dead_letters_to)))
    if endpoint.dead_letters_of:
        row("dead letters of", ", ".join(map(str, endpoint.dead_letters_of)))
    if endpoint.cost.sentence:
        row("browsing", endpoint.cost.sentence, "bold")
    elif Ability.BROWSE in endpoint.abilities:
        row("browsing", "free: enter opens it")
    for name, value in endpoint.detail:
        row(name, value)
    if endpoint.consumers is not None:
        row("consumers", f"{endpoint.consumers:,}" if endpoint.consumers else "none: nobody reads it")
    for reader in endpoint.readers[:READERS]:
        prefetch = f"prefetch {reader.prefetch:,}" if reader.prefetch else "no prefetch limit"
        how = "acknowledges" if reader.acknowledges else "does not acknowledge"
        parts = (reader.tag, reader.channel, prefetch, how, "" if reader.active else "waits")
        row("", " · ".join(filter(None, parts)))
    if len(endpoint.readers) > READERS:
        row("", f"and {len(endpoint.readers) - READERS:,} more")
    for group in groups:
        lag = sum(each.lag for each in group.partitions if each.address == endpoint.address)
        row("group", f"{group.name} · {group.state} · {quantity(len(group.members), 'member')} · lag {lag:,}")
    return rows
