"""The first line: what this is, the screens by their keys, and how each connection stands."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.message import Message

from views.widgets.bar import Bar
from views.widgets.styles import text_style
from workbench.decode.display import cells, shorten_middle, visible
from workbench.model.errors import NotTrusted
from workbench.model.wording import quantity
from workbench.operations.watch import Watch, countdown, describe_state, sign
from workbench.table.sparkline import short

_FORMS: Final = (
    *((True, 0, 0, True), (True, 1, 0, True), (True, 2, 0, False), (True, 3, 0, False), (True, 3, 1, False)),
    *((False, 1, 0, False), (False, 2, 1, False), (False, 3, 2, False)),
)
"""What is tried until all have room: whether screens are named, how brief the connections are that are well, and that
are not, and whether the time zone is told."""
_SHORT: Final = 9
"""Cells of a connection's name where it is cut short."""


class Tab(NamedTuple):
    """A screen.

    Attributes:
        key: What leads there, as a user writes it.
        name: Its name.
        action: The action that leads there, by its id.
        here: Whether it is the one that is shown.
        held: What it holds that somebody should see to; 0: nothing.
    """

    key: str
    name: str
    action: str
    here: bool
    held: int = 0


class TitleBar(Bar):
    """The program and what is open, the screens, and each connection: a sign, its name, what is there or is wrong.

    Where there is little room, connections that are well say less: how much is there without its kinds, then but their
    names, then those cut short; then what is wrong is said in a word, and then the other screens are but their keys.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"title-bar--{part}" for part in ("name", "key", "here", "count", "well", "ill", "production", "zone")
    }
    DEFAULT_CSS = """
    TitleBar {
        & > .title-bar--name { text-style: bold; }
        & > .title-bar--key { color: $focus; }
        & > .title-bar--here { text-style: bold underline; }
        & > .title-bar--count { color: $dead; text-style: bold; }
        & > .title-bar--well { color: $live; }
        & > .title-bar--ill { color: $dead; }
        & > .title-bar--production { color: $dead; text-style: bold reverse; }
        & > .title-bar--zone { color: $muted; text-style: $muted-style; }
    }
    """

    class Pressed(Message):
        """A screen was clicked, by the action that leads there."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(
        self,
        headline: Callable[[], str],
        tabs: Callable[[], Sequence[Tab]],
        zone: Callable[[], str],
        watches: Mapping[str, Watch],
        is_production: Callable[[str], bool],
        tunnel_to: Callable[[str], str],
    ) -> None:
        """Show.

        Args:
            headline: What is open.
            tabs: The screens.
            zone: The time zone of the times that are shown.
            watches: The connections, by name.
            is_production: Whether a connection is production.
            tunnel_to: Where a broker says that it lives that is reached on this machine; empty: here.
        """
        super().__init__()
        self._headline, self._tabs, self._zone = headline, tabs, zone
        self._watches, self._is_production, self._tunnel_to = watches, is_production, tunnel_to

    def on_mount(self) -> None:
        """Count down."""
        self.set_interval(1, self.update)

    def line(self) -> Text:
        """What it says now."""
        width = self.size.width
        left = Text(" ", no_wrap=True, end="")
        left.append(visible(self._headline(), max(width // 3, 12)), self._style("name"))
        tabs = self._tabs()
        states = sorted((self._state(watch) for watch in self._watches.values()), key=lambda each: each[0])
        zone = f"  {self._zone()}"
        for named, brevity_well, brevity_ill, zoned in _FORMS:
            line = left + self._tabs_line(tabs, named)
            room = width - cells(line.plain) - 1 - (cells(zone) if zoned else 0)
            said = [forms[brevity_well if well else brevity_ill] for well, forms in states]
            if sum(cells(each.plain) + 2 for each in said) <= room:
                break
        rights = Text(no_wrap=True, end="")
        for number, state in enumerate(said):
            rest = len(said) - number
            if cells(rights.plain) + cells(state.plain) + 2 > room - (6 if rest > 1 else 0):
                rights.append(f"  +{rest}" if cells(rights.plain) else f"  {quantity(rest, 'connection')}")
                break
            rights.append("  ")
            rights.append_text(state)
        if zoned:
            rights.append(zone, self._style("zone"))
        line.append(" " * max(width - cells(line.plain) - cells(rights.plain) - 1, 0))
        line.append_text(rights)
        return line

    def _tabs_line(self, tabs: Sequence[Tab], named: bool) -> Text:
        line = Text("  ", no_wrap=True, end="")
        for tab in tabs:
            begin = len(line) + 1
            line.append(" ")
            line.append(tab.key, self._style("key"))
            if named or tab.here:
                line.append(" ")
                line.append(tab.name, self._style("here") if tab.here else "")
            if tab.held:
                sign = "" if named or tab.here else "✖"
                line.append(" ")
                line.append(sign + short(tab.held), self._style("count"))
            line.append(" ")
            line.apply_meta({"act": tab.action}, begin, len(line))
        return line

    def _state(self, watch: Watch) -> tuple[bool, Sequence[Text]]:
        """Whether it is well, and how it stands, in ever fewer words."""
        production = self._is_production(watch.name)
        well = watch.state == "connected"
        waiting = watch.state == "connecting"
        line = Text(no_wrap=True)
        line.append(f"{sign(watch.state)} ", "" if waiting else self._style("well" if well else "ill"))
        short_name, name_style = line.copy(), self._style("production") if production else ""
        line.append(visible(watch.name, 24), name_style)
        short_name.append(shorten_middle(watch.name, _SHORT), name_style)
        if self._tunnel_to(watch.name):
            for each in (line, short_name):
                each.append(" tunnel", self._style("ill"))
        name, counted = line.copy(), line.copy()
        if well:
            kept = [endpoint for endpoint in watch.endpoints.values() if endpoint.family != "routes"]
            # "classic queue" and "quorum queue" are queues in a line as short as this one.
            kinds = Counter(
                (endpoint.family != "queue", visible(endpoint.kind).rpartition(" ")[2]) for endpoint in kept
            )
            rest = " ".join(quantity(count, kind) for (_, kind), count in sorted(kinds.items())) or "empty"
            line.append(f" {rest}")
            return well, (line, counted.append(f" {len(kept):,}"), name, short_name)
        soon = countdown(watch.state)
        state = "connecting …" if waiting else "not trusted" if isinstance(watch.state, NotTrusted) else "failed"
        brief = name.copy().append(f" {state}{soon}")
        if isinstance(watch.state, NotTrusted):
            return well, (brief, brief, short_name)
        return well, (line.append(f" {describe_state(watch.state, 60)}{soon}"), brief, short_name)

    def on_click(self, event: Click) -> None:
        """A click on a screen's name leads there."""
        if id := event.style.meta.get("act"):
            self.post_message(self.Pressed(id))

    def _style(self, part: str) -> Style:
        return text_style(self, f"title-bar--{part}")
