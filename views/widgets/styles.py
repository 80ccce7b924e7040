"""Styles of a widget's parts, as its CSS has them, for widgets that draw their own lines."""

from collections.abc import Iterable
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

_BRIGHT: Final = Style(dim=False)


def at_cursor(segments: Iterable[Segment], cursor: Style) -> Iterable[Segment]:
    """Segments of the line that the cursor is on; in reverse, they are one bar."""
    return _as_bar(Segment.apply_style(segments, cursor)) if cursor.reverse else Segment.apply_style(segments, cursor)


def with_bar(strip: Strip) -> Strip:
    """A line that Textual drew; where the cursor is in reverse, it is one bar."""
    if any(style is not None and style.reverse for _, style, _ in strip):
        return Strip(_as_bar(strip), strip.cell_length)
    return strip


def _as_bar(segments: Iterable[Segment]) -> Iterable[Segment]:
    """In reverse, their own colours would be grounds, and what is dim a darker ground: both are left out."""
    for text, style, control in segments:
        yield Segment(text, style and style.without_color + _BRIGHT, control)


def text_style(widget: Widget, part: str) -> Style:
    """How the text of a part is drawn: its colour, against the background it really has, and its weight.

    The background is left out, so that a line's cursor shows behind it.

    Args:
        widget: Whose part.
        part: One of its component classes.
    """
    full = widget.get_component_rich_style(part)
    return Style(color=full.color) + full.without_color
