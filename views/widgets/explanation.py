"""What stands in the middle of a screen that has nothing to show: what is so, what can be done, and an example."""

from collections.abc import Sequence

from rich.text import Text
from textual.content import Content
from textual.widgets import Static


def key_sentences(sentence: str, *keys: tuple[str, str]) -> Text:
    """What is so, and a line for each key that leads on: `b` `browses what is there.`

    Args:
        sentence: A line or more.
        keys: Keys, as a user writes them, and what each does, up to the full stop.
    """
    said = Text(sentence)
    for key, does in keys:
        said.append("\n").append(key, "key").append(f" {does}")
    return said


class Explanation(Static):
    """A sentence, more about it, the keys that lead on, and what will stand here, such as it may be."""

    DEFAULT_CSS = "Explanation { width: 76; max-width: 100%; height: auto; }"

    def __init__(self, sentence: str, more: str, keys: Sequence[tuple[str, str]] = (), example: str = "") -> None:
        """Say it.

        Args:
            sentence: What is so.
            more: What the screen is for.
            keys: Keys, as a user writes them, and what each does.
            example: A line as it may stand here; empty: none.
        """
        parts = [Content.styled(sentence, "bold"), Content.styled(more, "$muted")]
        if keys:
            lines = [Content.assemble((key, "bold $focus"), "  ", label) for key, label in keys]
            parts.append(Content("\n").join(lines))
        if example:
            parts.append(Content.styled(f"such as\n{example}", "$muted"))
        super().__init__(Content("\n\n").join(parts))
