"""The last line: what can be done here, from the action table."""

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

from views.actions import of_screen, shown_key
from views.widgets.styles import text_style

if TYPE_CHECKING:
    from views.workbench_screen import WorkbenchScreen


class KeyBar(Widget):
    """Keys and labels; what cannot be done now is dim. Drops from the right where there is no room, help last."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--refused"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; background: $panel; color: $foreground;
        & > .key-bar--key { color: $text-accent; text-style: bold; }
        & > .key-bar--refused { color: $text-disabled; }
        &:ansi > .key-bar--refused { text-style: dim; }
        &:ansi { background: ansi_default; color: ansi_default; }
    }
    """

    def render(self) -> Text:
        """One line."""
        frame = cast("WorkbenchScreen", self.screen)
        key_style, refused = text_style(self, "key-bar--key"), text_style(self, "key-bar--refused")
        actions = [action for action in of_screen(frame.ACTIONS_OF) if action.label]
        own = frame.workbench.keys_of
        parts = [(shown_key(own(action).partition(",")[0]), action.label, action.id) for action in actions]
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
            can = frame.why_not(id) is None
            line.append(key, key_style if can else refused)
            line.append(f" {label}", "" if can else refused)
            line.append("  ")
            line.apply_meta({"act": id}, len(line) - len(key) - len(label) - 3, len(line))
        return line

    def on_click(self, event: Click) -> None:
        """A click on a key is that key."""
        if id := event.style.meta.get("act"):
            cast("WorkbenchScreen", self.screen).action_act(id)
