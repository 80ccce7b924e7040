"""The last line: what can be done here and now."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.text import Text
from textual.events import Click
from textual.message import Message

from views.widgets.bar import Bar
from views.widgets.styles import text_style
from workbench.decode.display import cells

_FEW: Final = 4
"""Keys that act here and stay longer than those that always act."""


class Offer(NamedTuple):
    """A key that works now.

    Attributes:
        key: As a user writes it.
        label: What it does, in a word or two.
        action: The action's id, for clicks; empty: a field does it.
        can: Whether it can be done now.
    """

    key: str
    label: str
    action: str = ""
    can: bool = True


class KeyBar(Bar):
    """Keys and labels: what acts where the focus is at the left, what always does at the right.

    What cannot be done now is dim, and leaves first where there is no room; then what acts here leaves from its right,
    but for what escape does and a few; then what always acts, from its left: the last says how to learn of the others.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--refused"}
    DEFAULT_CSS = """
    KeyBar {
        & > .key-bar--key { color: $focus; text-style: bold; }
        & > .key-bar--refused { color: $muted; text-style: $muted-style; }
    }
    """

    class Pressed(Message):
        """A key was clicked, by its action."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, offers: Callable[[], tuple[Sequence[Offer], Sequence[Offer]]]) -> None:
        """Show.

        Args:
            offers: What can be done here, and what can be done everywhere; asked whenever it is drawn.
        """
        super().__init__()
        self._offers = offers

    def line(self) -> Text:
        """What it says now."""
        here, everywhere = (list(offers) for offers in self._offers())
        while _width(here) + _width(everywhere) > self.size.width - 1 and (here or len(everywhere) > 1):
            leads_back = bool(here) and here[-1].action == "back"
            last = len(here) - 1 - leads_back
            idle = max((at for at, offer in enumerate(here) if not offer.can), default=None)
            if idle is not None or last >= _FEW:
                here.pop(last if idle is None else idle)
            elif len(everywhere) > 1:
                everywhere.pop(0)
            else:
                here.pop(max(last, 0))
        line = Text(" ", no_wrap=True, overflow="crop", end="")
        self._draw(line, here)
        line.append(" " * max(self.size.width - 1 - _width(here) - _width(everywhere), 0))
        self._draw(line, everywhere)
        return line

    def _draw(self, line: Text, offers: Sequence[Offer]) -> None:
        key_style, refused = text_style(self, "key-bar--key"), text_style(self, "key-bar--refused")
        for offer in offers:
            begin = len(line)
            line.append(offer.key, key_style if offer.can else refused)
            line.append(f" {offer.label}", "" if offer.can else refused)
            line.append("  ")
            if offer.action:
                line.apply_meta({"act": offer.action}, begin, len(line) - 1)

    def on_click(self, event: Click) -> None:
        """A click on a key is that key."""
        if id := event.style.meta.get("act"):
            self.post_message(self.Pressed(id))


def _width(offers: Sequence[Offer]) -> int:
    return sum(cells(offer.key) + cells(offer.label) + 3 for offer in offers)
