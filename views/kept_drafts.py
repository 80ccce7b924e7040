"""The drafts of the Publish screen: each is kept as it is written, and a session's last ones can be gone on with."""

from typing import Final

import msgspec
from rich.text import Text

from views.host import Host
from workbench.decode.display import visible, visible_bytes
from workbench.model.errors import StoreError
from workbench.operations.drafts.keeping import DRAFTS, belongs_to, keep, load_drafts
from workbench.operations.drafts.model import Draft


class KeptDrafts:
    """Keeps what is written; what goes wrong is told and stops nobody from writing. The demo's drafts end with it."""

    def __init__(self, host: Host) -> None:
        self._host: Final = host
        self._last = Draft()
        self._of_demo: dict[str, Draft] = {}

    def load(self) -> list[Draft]:
        """The drafts of the session, the one left last first."""
        if self._host.context.demo:
            return list(reversed(self._of_demo.values()))
        drafts, sentences = load_drafts()
        for sentence in sentences:
            self._host.say(sentence, "warning")
        identities = self._host.context.session.identities
        return [draft for draft in drafts if belongs_to(draft, identities)]

    def begin(self, draft: Draft) -> None:
        """Go on with a draft: there is nothing to keep of it until it is changed, unless it is a clone."""
        self._last = Draft() if draft.made_from else draft

    def keep(self, draft: Draft) -> None:
        """Keep a draft, if there is anything in it that would be lost."""
        if draft == self._last:
            return
        self._last = draft
        if self._host.context.demo:
            self._of_demo.pop(draft.id, None)
            self._of_demo[draft.id] = draft
            for id in list(self._of_demo)[:-DRAFTS]:
                del self._of_demo[id]
            return
        try:
            keep(msgspec.structs.replace(draft, connections=self._host.context.session.identities))
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
