"""What the widgets that draw their own lines have in common: a cursor among the lines, and the keys that move it."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView


class Lines(ScrollView, can_focus=True):
    """Lines with a cursor, of which only those in sight are drawn. A subclass draws and says how to move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "cursor_down", show=False),
        Binding("up", "cursor_up", show=False),
        Binding("home", "cursor_top", show=False),
        Binding("end", "cursor_bottom", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
    ]

    @property
    def in_sight(self) -> int:
        """How many lines can be seen at once."""
        raise NotImplementedError

    def move(self, lines: int) -> None:
        """Move the cursor down by so many lines, or up by as many as they are below 0, as far as it goes."""
        raise NotImplementedError

    def go_to_end(self, last: bool) -> None:
        """Put the cursor on the first line, or on the last."""
        raise NotImplementedError

    def extend_to(self, size: Size) -> None:
        """Have so many lines. Where the scrollbar stays, the screen need not be laid out and painted for that."""
        before, height = self.virtual_size, self.size.height
        if size == before:
            return
        if size.width == before.width and (size.height > height) == (before.height > height):
            self.set_reactive(Lines.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size

    def action_cursor_down(self) -> None:
        """Go down."""
        self.move(1)

    def action_cursor_up(self) -> None:
        """Go up."""
        self.move(-1)

    def action_cursor_top(self) -> None:
        """Go to the first line."""
        self.go_to_end(last=False)

    def action_cursor_bottom(self) -> None:
        """Go to the last line."""
        self.go_to_end(last=True)

    def action_page_down(self) -> None:
        """Go down a page."""
        self.move(self.in_sight)

    def action_page_up(self) -> None:
        """Go up a page."""
        self.move(-self.in_sight)

    def action_half_page_down(self) -> None:
        """Go down half a page."""
        self.move(max(self.in_sight // 2, 1))

    def action_half_page_up(self) -> None:
        """Go up half a page."""
        self.move(-max(self.in_sight // 2, 1))
