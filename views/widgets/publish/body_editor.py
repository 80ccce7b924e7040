"""Where a body is written: text, with JSON and the places of a template told apart."""

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.widgets import TextArea

from views.widgets.fields import in_place
from views.widgets.styles import text_style

_LONGEST: Final = 4096
"""Characters of the longest line that is wrapped and coloured: longer ones cost too much at each key."""
_TOKEN: Final = re.compile(
    r"""(?P<place>\{\{.*?\}\}|\{%.*?%\}|\{\#.*?\#\})
      | (?P<key>"(?:[^"\\]|\\.)*+"(?=\s*:))
      | (?P<string>"(?:[^"\\]|\\.)*+"?)
      | (?P<number>-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b)
      | (?P<word>\b(?:true|false|null)\b)""",
    re.VERBOSE,
)


def tokens(line: str) -> Iterator[tuple[str, int, int]]:
    """The parts of a line of JSON or of a template that are told apart, with where each begins and ends.

    They are `place`, `key`, `string`, `number` and `word`; a line that is too long has none.
    """
    if len(line) <= _LONGEST:
        for found in _TOKEN.finditer(line):
            yield str(found.lastgroup), *found.span()


class BodyEditor(TextArea):
    """A text area for JSON, which no line of spans more than itself: each is coloured alone, when it is drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"body-editor--{kind}" for kind in ("place", "key", "string", "number", "word")
    }
    DEFAULT_CSS = """
    BodyEditor {
        border: none; padding: 0;
        &:focus { border: none; }
        & .body-editor--key { color: $name; text-style: bold; }
        & .body-editor--string { color: $string; }
        & .body-editor--number { color: $number; }
        & .body-editor--word { color: $word; text-style: italic; }
        & .body-editor--place { color: $focus; text-style: bold underline; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "screen.act('lay_out')", show=False),
        Binding("ctrl+e", "screen.act('edit_body')", show=False),
    ]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=True, tab_behavior="focus", placeholder="the body")

    def show(self, text: str) -> bool:
        """Begin with another text; False where it cannot be held as it is, for its line ends are of several kinds."""
        self.soft_wrap = all(len(line) <= _LONGEST for line in text.splitlines())
        self.load_text(text)
        return self.text == text

    def get_component_rich_style(self, *names: str, partial: bool = False, default: Style | None = None) -> Style:
        """How a part is drawn; the line at the cursor keeps the colours of what is in it."""
        style = super().get_component_rich_style(*names, partial=partial, default=default)
        if names == ("text-area--cursor-line",):
            return Style(bgcolor=style.bgcolor, reverse=style.reverse)
        return style

    def on_paste(self, event: Paste) -> None:
        """What is pasted here is nobody else's."""
        event.stop()

    def get_line(self, line_index: int) -> Text:
        """A line as it may be drawn, with its colours."""
        written = self.document.get_line(line_index)
        line = Text(in_place(written), end="", no_wrap=True)
        for kind, start, end in tokens(written):
            line.stylize(text_style(self, f"body-editor--{kind}"), start, end)
        return line
