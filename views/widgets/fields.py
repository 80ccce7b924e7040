"""Fields for text that may be a stranger's: what cannot be seen stands there as a sign, and stays what it is."""

import unicodedata
from collections.abc import Callable, Iterable

from rich.highlighter import Highlighter
from rich.text import Text
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widgets import Input

from workbench.decode.display import visible

HIDDEN = "�"
"""Stands for a character that cannot be shown as it is, nor by a sign of its own."""
_MARKS = 2


def in_place(text: str) -> str:
    """The text with as many characters, each of them one that may go to a terminal. Tabs stay: fields expand them."""
    if text.isascii() and text.isprintable():
        return text
    pieces = []
    letter = 0
    for place, character in enumerate(text):
        if character == "\t":
            piece = character
        elif unicodedata.category(character) in ("Mn", "Mc"):
            # A mark is shown on its letter; what is a tower of them, `visible` spells out.
            cluster = text[letter : place + 1]
            piece = character if 1 < len(cluster) <= 1 + _MARKS and visible(cluster) == cluster else HIDDEN
        else:
            letter = place
            spelled = visible(character)
            piece = spelled if len(spelled) == 1 else HIDDEN
        pieces.append(piece)
    return "".join(pieces)


class _InPlace(Highlighter):
    def __init__(self, shown: Callable[[str], str]) -> None:
        self._shown = shown

    def __call__(self, text: str | Text) -> Text:
        plain = self._shown(text.plain if isinstance(text, Text) else text)
        return Text(in_place(plain).replace("\t", "⇥"), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        """Nothing stands out."""


class TextField(Input):
    """A line of text in a single row.

    On a screen, and where a dialog is about what the user has written, its text is gone on with. Elsewhere in a dialog
    it is a proposal: it is selected when the field is entered, and who types replaces it.
    """

    DEFAULT_CSS = """
    TextField {
        border: none; height: 1; padding: 0 1; background: $field; text-style: $field-style;
        &:focus { border: none; background: $cursor; }
    }
    """

    def __init__(
        self,
        value: str = "",
        placeholder: str = "",
        id: str | None = None,
        restrict: str | None = None,
        suggester: Suggester | None = None,
        hidden: bool = False,
        select_on_focus: bool = False,
        shown: Callable[[str], str] = str,
    ) -> None:
        """A field.

        Args:
            value: What stands there at first.
            placeholder: An example, while it is empty.
            id: Its id.
            restrict: What may be typed, as a regular expression.
            suggester: Completes what is typed.
            hidden: Whether what is typed is not shown.
            select_on_focus: Whether it is selected when the field is entered.
            shown: What is shown of a text, as long as the text.
        """
        super().__init__(
            value,
            placeholder,
            highlighter=_InPlace(shown),
            restrict=restrict,
            suggester=suggester,
            id=id,
            password=hidden,
            select_on_focus=select_on_focus,
        )


class FieldRow(Horizontal):
    """Fields side by side, each with a `Static` of the class `label` before it; the first also of the class `first`."""

    DEFAULT_CSS = """
    FieldRow {
        height: 1;
        & .label { width: auto; color: $muted; padding: 0 1 0 2; }
        & .label.first { padding: 0 1 0 0; }
    }
    """


class Completing(Suggester):
    """Completes what is written to the first of some texts; none of them is sent to the terminal unless it is harmless.

    Args:
        texts: Asked each time.
    """

    def __init__(self, texts: Callable[[], Iterable[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._texts = texts

    async def get_suggestion(self, value: str) -> str | None:
        """The shortest text that begins so."""
        if not value:
            return None
        found = (text for text in self._texts() if text.startswith(value) and visible(text) == text)
        return min(found, key=lambda text: (len(text), text), default=None)
