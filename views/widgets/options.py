"""A list of lines to choose from."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip
from textual.style import Style
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from views.widgets.styles import with_bar


class Options(OptionList):
    """Textual's, which also holds where there is no room for a single line, or for a single letter in a line: there, a
    page has no height to go by, and a word nothing to be folded into."""

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """Textual's leaves out that something is in reverse, which alone tells in 16 colours where the cursor is."""
        style = super().get_visual_style(*component_classes, partial=partial)
        is_reverse = any(self.get_component_styles(name).text_style.reverse for name in component_classes)
        return style + Style(reverse=True) if is_reverse else style

    def render_line(self, y: int) -> Strip:
        return with_bar(super().render_line(y))

    def show(self, lines: Sequence[Text], nothing: str) -> None:
        """Draw the list anew, its cursor where it was.

        Args:
            lines: What is in it.
            nothing: What it says where there is nothing.
        """
        if lines and len(lines) == self.option_count and not self.get_option_at_index(0).disabled:
            for number, line in enumerate(lines):
                self.replace_option_prompt_at_index(number, line)
            return
        at = self.highlighted or 0
        self.clear_options()
        self.add_options([Option(line) for line in lines] or [Option(nothing, disabled=True)])
        self.highlighted = min(at, self.option_count - 1)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Its height at a width."""
        padding = self.get_component_styles("option-list--option").padding.width
        return super().get_content_height(container, viewport, max(width, padding + 1))

    def action_cursor_top(self) -> None:
        """Go to the first."""
        self.action_first()

    def action_cursor_bottom(self) -> None:
        """Go to the last."""
        self.action_last()

    def action_page_up(self) -> None:
        """Go up a page."""
        if self.scrollable_content_region:
            super().action_page_up()  # type: ignore[no-untyped-call]

    def action_page_down(self) -> None:
        """Go down a page."""
        if self.scrollable_content_region:
            super().action_page_down()  # type: ignore[no-untyped-call]


class DialogOptions(Options):
    """A list in a dialog, where no screen's keys are: `j` and `k` go down and up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
    ]
