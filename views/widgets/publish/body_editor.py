"""Where a body is written: text, with JSON and the places of a template told apart."""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from views.widgets.fields import in_place
from views.widgets.styles import text_style
from workbench.decode.display import cells, visible

_LONGEST: Final = 4096
"""Characters of the longest line that is wrapped and coloured: longer ones cost too much at each key."""
_EMPTY: Final = """the body, such as
{"orderId": 1147, "total": 476.4}

ctrl+t fills in {{ seq }}, {{ uuid() }}, {{ now() }} and the like
esc, l loads a file"""
_BEFORE_NOTE: Final = 3
"""Cells between a line's end, with the cursor behind it, and the note on it."""
_LEAST_NOTE: Final = 8
"""Cells without which a note says too little: there, the preview says what differs."""
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


def _is_short(text: str) -> bool:
    """Whether all lines of a text can be wrapped at each key."""
    return all(len(line) <= _LONGEST for line in text.splitlines())


class BodyEditor(TextArea):
    """A text area for JSON, which no line of spans more than itself: each is coloured alone, when it is drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"body-editor--{kind}" for kind in ("place", "key", "string", "number", "word", "note")
    }
    DEFAULT_CSS = """
    BodyEditor {
        border: none; padding: 0;
        &:focus { border: none; }
        & .body-editor--key { color: $name; text-style: bold; }
        & .body-editor--string { color: $string; }
        & .body-editor--number { color: $number; }
        & .body-editor--word { color: $word; text-style: italic; }
        & .body-editor--note { color: $warn; }
        & .body-editor--place { color: $focus; text-style: bold underline; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+f", "screen.act('lay_out')", show=False),
        Binding("ctrl+e", "screen.act('edit_body')", show=False),
    ]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, show_line_numbers=True, tab_behavior="focus", placeholder=_EMPTY)
        self._notes: Mapping[int, str] = {}

    def show(self, text: str) -> bool:
        """Begin with another text; False where it cannot be held as it is, for its line ends are of several kinds."""
        self.soft_wrap = _is_short(text)
        self.load_text(text)
        return self.text == text

    def show_notes(self, notes: Mapping[int, str]) -> None:
        """Say something behind lines, counted from 0, where they leave room for it."""
        if notes != self._notes:
            self._notes = notes
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line, with the note on it behind its end."""
        strip = super().render_line(y)
        if not self._notes or not self.text:
            return strip
        row = self.scroll_offset.y + y
        if row >= self.wrapped_document.height:
            return strip
        line = self.wrapped_document.offset_to_location(Offset(0, row))[0]
        note = self._notes.get(line)
        if note is None or self.wrapped_document.location_to_offset((line, len(self.document[line]))).y != row:
            return strip
        begin = cells(strip.text.rstrip()) + _BEFORE_NOTE
        room = strip.cell_length - begin
        if room < _LEAST_NOTE:
            return strip
        said = visible(f"◂ {note}", room)
        end = begin + cells(said)
        under = next(iter(strip.crop(begin, begin + 1)), Segment("")).style or Style()
        style = under + text_style(self, "body-editor--note")
        return Strip.join([strip.crop(0, begin), Strip([Segment(said, style)]), strip.crop(end)])

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; a line that becomes too long to be wrapped at each key ends wrapping until the next text."""
        if self.soft_wrap:
            first, last = sorted((edit.from_location, edit.to_location))
            before = self.document.get_line(first[0])[: first[1]]
            # A line that is deleted as a whole ends where the next would begin, also where there is none.
            after = self.document.get_line(last[0])[last[1] :] if last[0] < self.document.line_count else ""
            self.soft_wrap = _is_short(f"{before}{edit.text}{after}")
        return super().edit(edit)

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
