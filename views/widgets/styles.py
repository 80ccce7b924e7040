"""Styles of a widget's parts, as its CSS has them, for widgets that draw their own lines."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.widget import Widget


def at_cursor(segments: Iterable[Segment], cursor: Style) -> Iterable[Segment]:
    """Segments of the line that the cursor is on. In reverse, their own colours would be grounds: they are left out."""
    if cursor.reverse:
        segments = (Segment(text, style and style.without_color, control) for text, style, control in segments)
    return Segment.apply_style(segments, cursor)


def text_style(widget: Widget, part: str) -> Style:
    """How the text of a part is drawn: its colour, against the background it really has, and its weight.

    The background is left out, so that a line's cursor shows behind it.

    Args:
        widget: Whose part.
        part: One of its component classes.
    """
    full = widget.get_component_rich_style(part)
    return Style(color=full.color) + full.without_color
