"""Where a body is written: text, with JSON and the places of a template told apart."""

import re
from typing import ClassVar, Final

from rich.text import Text
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

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=True, tab_behavior="focus", placeholder="the body")

    def show(self, text: str) -> bool:
        """Begin with another text; False where it cannot be held as it is, for its line ends are of several kinds."""
        self.soft_wrap = all(len(line) <= _LONGEST for line in text.splitlines())
        self.load_text(text)
        return self.text == text

    def on_paste(self, event: Paste) -> None:
        """What is pasted here is nobody else's."""
        event.stop()

    def get_line(self, line_index: int) -> Text:
        """A line as it may be drawn, with its colours."""
        written = self.document.get_line(line_index)
        line = Text(in_place(written), end="", no_wrap=True)
        if len(written) <= _LONGEST:
            for found in _TOKEN.finditer(written):
                line.stylize(text_style(self, f"body-editor--{found.lastgroup}"), *found.span())
        return line
