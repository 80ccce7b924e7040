"""One body edited by hand: what its user's editor is given, and what is made of what that leaves."""

from workbench.decode.body_text import editable_text
from workbench.model.errors import FormatError
from workbench.model.event import Event


def text_to_edit(event: Event, seen: Event) -> str:
    """The text of a body.

    Args:
        event: The event.
        seen: The same as its user may see it.

    Raises:
        FormatError: It is no text, or holds what is masked; a sentence.
    """
    if seen.body != event.body:
        raise FormatError("This body holds what is masked: change it with a patch instead.")
    try:
        return editable_text(event)
    except FormatError as error:
        raise FormatError(f"This body cannot be edited by hand: {error}.") from None


def text_left(before: str, left: str) -> str | None:
    """The text that an editor has left; None: it is the one from before.

    Args:
        before: What the editor was given.
        left: What it left. Editors end the last line, whether or not it was ended before.
    """
    text = left if before.endswith("\n") else left.removesuffix("\n")
    return None if text == before else text
