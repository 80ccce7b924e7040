"""Styles of a widget's parts, as its CSS has them, for widgets that draw their own lines."""

from rich.style import Style
from textual.widget import Widget


def text_style(widget: Widget, part: str) -> Style:
    """How the text of a part is drawn: its colour, against the background it really has, and its weight.

    The background is left out, so that a line's cursor shows behind it.

    Args:
        widget: Whose part.
        part: One of its component classes.
    """
    full = widget.get_component_rich_style(part)
    return Style(color=full.color) + full.without_color
