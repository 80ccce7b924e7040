"""The first line: what this is, and how each connection stands."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from views.widgets.styles import text_style
from workbench.decode.display import cells, visible
from workbench.model.endpoint import quantity
from workbench.operations.watch import Watch, countdown, describe_state, sign


class TitleBar(Widget):
    """The program, what is open, and each connection: a sign, its name, and what is there or what is wrong."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "title-bar--name",
        "title-bar--well",
        "title-bar--ill",
        "title-bar--production",
    }
    DEFAULT_CSS = """
    TitleBar {
        height: 1; background: $panel; color: $foreground;
        & > .title-bar--name { text-style: bold; }
        & > .title-bar--well { color: $live; }
        & > .title-bar--ill { color: $dead; }
        & > .title-bar--production { color: $dead; text-style: bold reverse; }
    }
    """

    def __init__(
        self, headline: Callable[[], str], watches: Mapping[str, Watch], is_production: Callable[[str], bool]
    ) -> None:
        """Show.

        Args:
            headline: What is open.
            watches: The connections, by name.
            is_production: Whether a connection is production.
        """
        super().__init__()
        self._headline, self._watches, self._is_production = headline, watches, is_production

    def on_mount(self) -> None:
        """Count down."""
        self.set_interval(1, self.refresh)

    def render(self) -> Text:
        """One line; where there is no room, healthy connections come last."""
        left = Text(" ", no_wrap=True, end="")
        left.append(visible(self._headline(), max(self.size.width // 2, 12)), self._style("name"))
        states = [self._state(watch) for watch in self._watches.values()]
        room = self.size.width - cells(left.plain) - 2
        rights = Text(no_wrap=True, end="")
        for number, (_, state) in enumerate(sorted(states, key=lambda each: each[0])):
            rest = len(states) - number
            if cells(rights.plain) + cells(state.plain) + 2 > room - (6 if rest > 1 else 0):
                rights.append(f"  +{rest}" if cells(rights.plain) else f"{rest} connections")
                break
            rights.append("  ")
            rights.append_text(state)
        gap = self.size.width - cells(left.plain) - cells(rights.plain) - 1
        left.append(" " * max(gap, 1))
        left.append_text(rights)
        return left

    def _state(self, watch: Watch) -> tuple[bool, Text]:
        """Whether it is well, and how it stands."""
        name = visible(watch.name, 24)
        production = self._is_production(watch.name)
        line = Text(no_wrap=True)
        well = watch.state == "connected"
        waiting = watch.state == "connecting"
        line.append(f"{sign(watch.state)} ", "" if waiting else self._style("well" if well else "ill"))
        if well:
            kept = [endpoint for endpoint in watch.endpoints.values() if endpoint.family != "routes"]
            # "classic queue" and "quorum queue" are queues in a line as short as this one.
            kinds = Counter((endpoint.family != "queue", endpoint.kind.rpartition(" ")[2]) for endpoint in kept)
            rest = " ".join(quantity(count, kind) for (_, kind), count in sorted(kinds.items())) or "empty"
        else:
            rest = describe_state(watch.state, 60) + countdown(watch.state)
        line.append(name, self._style("production") if production else "")
        line.append(f" {rest}")
        return well, line

    def _style(self, part: str) -> Style:
        return text_style(self, f"title-bar--{part}")
