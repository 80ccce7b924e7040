"""The drafts of the Publish screen on disk: each is kept as it is written, and the last ones can be gone on with."""

from typing import Final

from rich.text import Text

from views.host import Host
from workbench.decode.display import visible, visible_bytes
from workbench.model.errors import StoreError
from workbench.operations.drafts.keeping import keep, load_drafts
from workbench.operations.drafts.model import Draft


class KeptDrafts:
    """Keeps what is written; what goes wrong is told and stops nobody from writing."""

    def __init__(self, host: Host) -> None:
        self._host: Final = host
        self._last = Draft()

    def load(self) -> list[Draft]:
        """The drafts that are kept, the last one first."""
        drafts, sentences = load_drafts()
        for sentence in sentences:
            self._host.say(sentence, "warning")
        return drafts

    def begin(self, draft: Draft) -> None:
        """Go on with a draft: there is nothing to keep of it until it is changed, unless it is a clone."""
        self._last = Draft() if draft.made_from else draft

    def keep(self, draft: Draft) -> None:
        """Keep a draft, if there is anything in it that would be lost."""
        if draft == self._last:
            return
        self._last = draft
        try:
            keep(draft)
        except StoreError as error:
            self._host.say(str(error), "warning")


def line_of(draft: Draft) -> Text:
    """A draft in a line."""
    if not draft.target and not draft.made_from and not draft.body:
        return Text("an empty draft")
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(visible(draft.target or "no target yet", 40), "bold")
    line.append(f"  {visible(draft.made_from, 40)}  " if draft.made_from else "  ", "muted")
    line.append("masked" if draft.hidden else visible_bytes(draft.body, 60))
    return line
