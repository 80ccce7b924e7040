"""An event as it will be sent, to be read before it is."""

from collections.abc import Iterator, Sequence
from typing import Final

from textual.content import Content
from textual.widgets import Static

from views.widgets.publish.body_editor import tokens
from workbench.decode.display import visible, visible_bytes
from workbench.decode.layout import lay_out
from workbench.decode.ndjson_values import value_text
from workbench.model.content import Value
from workbench.model.errors import FormatError
from workbench.model.event import Event

_PREVIEWED: Final = 8 * 1024
"""Characters of a body in the preview."""
_NAMED: Final = 12
"""Names of what differs that are told."""
_GONE: Final = 2
"""Fields that are left out, up to which they are named."""
_STYLES: Final = {"key": "$name", "string": "$string", "number": "$number", "word": "$word", "place": "$focus"}


class EventPreview(Static):
    """What differs from the original; key, properties, headers and body."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", id=id)

    def show(self, event: Event, differing: Sequence[str] | None = None) -> None:
        """Show an event.

        Args:
            event: As it may be seen: masked.
            differing: What differs from its original, by name; None: it has none.
        """
        lines = list(_lines(event))
        if differing is not None:
            lines.insert(0, _differences(differing))
        self.update(Content("\n").join(lines))

    def show_error(self, sentence: str) -> None:
        """Say why there is no event."""
        self.update(Content.styled(f"✖ {visible(sentence)}", "$dead"))


def _differences(differing: Sequence[str]) -> Content:
    if not differing:
        return Content.styled("as the original", "$muted")
    # What is left out stands in the list of fields, with its reason.
    gone = [name for name in differing if name.startswith("-")]
    named = [name for name in differing if len(gone) <= _GONE or not name.startswith("-")]
    parts = [visible(", ".join(named[:_NAMED]))]
    if len(named) > _NAMED:
        parts.append(f"{len(named) - _NAMED:,} more")
    if len(gone) > _GONE:
        parts.append(f"{len(gone):,} left out")
    return Content.assemble(("differs from the original: ", "$muted"), (", ".join(filter(None, parts)), "$warn"))


def _lines(event: Event) -> Iterator[Content]:
    yield Content.assemble(("key  ", "$muted"), visible_bytes(event.key, 200))
    try:
        content = event.content
    except FormatError as error:
        yield Content(visible(str(error)))
    else:
        for name, value in (*list(content.properties.items())[:50], *content.headers[:100]):
            said = visible_bytes(value, 200) if isinstance(value, bytes) else visible(_text_of(value), 200)
            yield Content.assemble((f"{visible(name, 60)}  ", "$muted"), said)
    body = lay_out(event, _PREVIEWED)
    if notes := [body.format, *body.notes]:
        yield Content.styled(visible(", ".join(notes), 200), "$muted")
    for line in body.text.split("\n"):
        shown = visible(line, 2_000)
        coloured = Content(shown)
        for kind, start, end in tokens(shown):
            coloured = coloured.stylize(_STYLES[kind], start, end)
        yield coloured


def _text_of(value: Value) -> str:
    """The value of a header or a property, as the table has it."""
    try:
        return value if isinstance(value, str) else value_text(value)
    except FormatError as error:
        return str(error)
