"""An event as it will be sent, to be read before it is."""

from typing import Final

from rich.text import Text
from textual.widgets import Static

from workbench.decode import ndjson
from workbench.decode.codec import read
from workbench.decode.display import visible, visible_bytes
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.event import Event

_PREVIEWED: Final = 8 * 1024
"""Characters of a body in the preview."""


class EventPreview(Static):
    """Key, properties, headers and body."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id)

    def show(self, event: Event) -> None:
        """Show an event, masked as it may be seen."""
        self.update(_preview(event))

    def show_error(self, sentence: str) -> None:
        """Say why there is no event."""
        self.update(Text(f"✖ {visible(sentence)}", "bold"))


def _preview(event: Event) -> Text:
    text = Text()
    text.append("key  ", "bold")
    text.append(f"{visible_bytes(event.key, 200)}\n")
    try:
        content = event.content
    except FormatError as error:
        text.append(f"{visible(str(error))}\n")
    else:
        for mark, (name, value) in [
            *(("·", each) for each in list(content.properties.items())[:50]),
            *((" ", each) for each in content.headers[:100]),
        ]:
            said = visible_bytes(value, 200) if isinstance(value, bytes) else visible(_text_of(value), 200)
            text.append(f"{mark} {visible(name, 60)}: ", "bold")
            text.append(f"{said}\n")
    body = read(event, _PREVIEWED)
    if notes := [body.format, *body.notes]:
        text.append(f"{visible(', '.join(notes), 200)}\n", "muted")
    for line in body.text.split("\n"):
        text.append(f"{visible(line, 2_000)}\n")
    return text


def _text_of(value: Value) -> str:
    """The value of a header or a property, as the table has it."""
    try:
        return value if isinstance(value, str) else ndjson.value_text(value)
    except FormatError as error:
        return str(error)
