"""The last line: what can be done here, from the action table."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from views.actions import Action, key_name
from views.widgets.styles import text_style


class KeyBar(Widget):
    """Keys and labels; what cannot be done now is dim. Drops from the right where there is no room, help last."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--refused"}
    DEFAULT_CSS = """
    KeyBar {
        height: 1; background: $panel; color: $foreground;
        & > .key-bar--key { color: $focus; text-style: bold; }
        & > .key-bar--refused { color: $muted; text-style: $muted-style; }
    }
    """

    class Pressed(Message):
        """A key was clicked, by its action."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(
        self, actions: Sequence[Action], keys_of: Callable[[Action], str], why_not: Callable[[str], str | None]
    ) -> None:
        """Show.

        Args:
            actions: What can be done on the screen.
            keys_of: An action's keys, as the user has settled them.
            why_not: Why an action cannot be done now, in a sentence; None: it can.
        """
        super().__init__()
        self._actions = [action for action in actions if action.label]
        self._keys_of, self._why_not = keys_of, why_not

    def render(self) -> Text:
        """One line."""
        key_style, refused = text_style(self, "key-bar--key"), text_style(self, "key-bar--refused")
        parts = [
            (key_name(self._keys_of(action).partition(",")[0]), action.label, action.id) for action in self._actions
        ]
        widths = [len(key) + len(label) + 3 for key, label, _ in parts]
        last = parts.pop()
        room, kept = self.size.width - widths[-1] - 1, []
        for part, width in zip(parts, widths, strict=False):
            room -= width
            if room < 0:
                break
            kept.append(part)
        line = Text(" ", no_wrap=True, overflow="crop", end="")
        for key, label, id in (*kept, last):
            can = self._why_not(id) is None
            line.append(key, key_style if can else refused)
            line.append(f" {label}", "" if can else refused)
            line.append("  ")
            line.apply_meta({"act": id}, len(line) - len(key) - len(label) - 3, len(line))
        return line

    def on_click(self, event: Click) -> None:
        """A click on a key is that key."""
        if id := event.style.meta.get("act"):
            self.post_message(self.Pressed(id))
