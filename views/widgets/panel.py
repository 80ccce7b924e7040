"""The frame around a part of a screen: what it is, how it stands, and what can be done in it, in its border."""

from collections.abc import Sequence
from typing import Final

from textual.content import Content
from textual.events import DescendantBlur, DescendantFocus, Mount, Resize
from textual.geometry import Region
from textual.reactive import reactive
from textual.widget import Widget

from views.painting import Rows
from workbench.decode.display import cells, visible

NARROW: Final = 100
"""Columns of the screen below which panels lie on one another, each under the upper side of its border."""
WIDE: Final = 180
"""Columns of the screen from which three panels may lie side by side."""
WIDTHS: Final = [(0, "narrow"), (NARROW, "medium"), (WIDE, "wide")]
"""A screen's classes by its width, as Textual takes them (`HORIZONTAL_BREAKPOINTS`)."""
_RULE: Final = 3
"""Cells of the border that stay visible between two texts in it."""


class Panel(Rows):
    """A part of a screen, in a border that is heavy where the focus is.

    In the border stand, cut to their room: the title at the upper left and the state at the upper right; the keys that
    act in it at the lower left, and a note at the lower right. A `str` is made visible, a `Content` is drawn as it is.
    """

    DEFAULT_CSS = """
    Panel {
        border: round $frame; padding: 0 1; background: $background;
        border-title-color: $muted; border-title-align: left;
        border-subtitle-color: $muted; border-subtitle-align: left;
        &:focus-within { border: heavy $focus; border-title-color: $foreground; }
    }
    """
    # Contents are equal that differ only in how they look.
    title: reactive[str | Content] = reactive("", repaint=False, always_update=True)
    state: reactive[str | Content] = reactive("", repaint=False, always_update=True)
    keys: reactive[Sequence[tuple[str, str]]] = reactive((), repaint=False)
    """Keys, as a user writes them, and what each does."""
    note: reactive[str | Content] = reactive("", repaint=False)

    def __init__(
        self,
        *children: Widget,
        title: str = "",
        actions: Sequence[str] = (),
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Frame.

        Args:
            children: What is in it.
            title: What it is.
            actions: The actions whose keys stand in the border, by their ids; the screen looks up the keys.
            id: For CSS.
            classes: For CSS.
        """
        super().__init__(*children, id=id, classes=classes)
        self.actions: Final = actions
        self._drawn: tuple[object, ...] = ()
        self.set_reactive(Panel.title, title)

    def on_mount(self, event: Mount) -> None:
        self._label()

    def on_resize(self, event: Resize) -> None:
        self._label()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self._label()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        self._label()

    def watch_title(self) -> None:
        self._label()

    def watch_state(self) -> None:
        self._label()

    def watch_keys(self) -> None:
        self._label()

    def watch_note(self) -> None:
        self._label()

    def _label(self) -> None:
        """Write into the border, should it have changed."""
        if not self.is_attached:
            return
        # A dialog has the keyboard, also where nothing in it takes a key.
        focused = self.has_focus_within or self.has_class("dialog")
        framed = self.styles.border_left[0] not in ("", "none")
        texts = (self.title, self.state, self.note)
        looks = [text.spans for text in texts if isinstance(text, Content)]
        drawn = (self.size.width, framed, focused, texts, looks, self.keys)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        # At a corner, Textual leaves a cell on both sides of the text; where there is none, that is done here.
        room = self.outer_size.width - (6 if framed else 4)
        rule = "━" if focused else "─"
        style = "$focus" if focused else "$frame"
        title = _content(self.title, room).stylize("bold $foreground" if focused else "$muted")
        above = edge(title, self.state, room, rule, style)
        below = edge(_keys(self.keys, room), self.note, room, rule, style)
        # Set as Textual would have it, all that the panel holds would be drawn for a line of its border.
        self._border_title = above if framed or not above.cell_length else Content(" ").join(["", above, ""])
        self._border_subtitle = below
        (width, height), (left, top) = self.outer_size, self.content_offset
        self.refresh(Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1))


def edge(left: Content, right: str | Content, width: int, rule: str, style: str) -> Content:
    """Two texts at the ends of a line, and a rule between them. The right one is cut last.

    Args:
        left: At the left.
        right: At the right.
        width: Cells that there are.
        rule: A character of the line.
        style: The line's style.
    """
    end = _content(right, max(width - _RULE - 2 - min(left.cell_length, 8), 0))
    if not end.cell_length:
        return left.truncate(width, ellipsis=True) if width > 0 else Content("")
    left = left.truncate(max(width - end.cell_length - _RULE - 2, 0), ellipsis=True)
    line = rule * max(width - left.cell_length - end.cell_length - (2 if left.cell_length else 1), 0)
    parts = [Content.styled(line, style), Content(" "), end]
    return Content("").join([left, Content(" "), *parts] if left.cell_length else parts)


def _content(text: str | Content, width: int) -> Content:
    """A text in so many cells."""
    if isinstance(text, str):
        return Content(visible(text, width))
    return text.truncate(width, ellipsis=True) if text.cell_length > width else text


def _keys(keys: Sequence[tuple[str, str]], width: int) -> Content:
    """Keys and what they do, as many as there is room for; what leads away from here stays."""
    fitting = list(keys)
    while fitting and sum(cells(key) + cells(label) + 3 for key, label in fitting) > width:
        fitting.pop(-2 if len(fitting) > 1 and fitting[-1][0] == "esc" else -1)
    parts = [Content.assemble((key, "bold $focus"), " ", (label, "$muted")) for key, label in fitting]
    return Content("  ").join(parts)
