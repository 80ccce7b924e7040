"""The body of a draft: in its editor, or, where it is no text to edit, the reason."""

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from views.widgets.panel import Panel
from views.widgets.publish.body_editor import BodyEditor
from workbench.decode.display import visible
from workbench.model.wording import quantity
from workbench.operations.drafts.model import Draft, is_text


class BodyPanel(Panel):
    """The editor, or a sentence in its place."""

    DEFAULT_CSS = """
    BodyPanel {
        height: 1fr; min-height: 4;
        & #body { height: 1fr; }
        & #locked { height: 1fr; color: $muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__(title="Body", actions=("lay_out", "edit_body", "as_template"), id="body-panel")
        self._written = ""

    def compose(self) -> ComposeResult:
        yield BodyEditor(id="body")
        yield Static("", id="locked")

    def show(self, draft: Draft) -> None:
        """Put the body into its editor, or say why it is not there."""
        body, reason = draft.body, draft.locked
        editor, said = self.query_one(BodyEditor), self.query_one("#locked", Static)
        self._written = "" if reason or not body else body.decode()
        if not editor.show(self._written):
            reason = "has line endings of several kinds"
            editor.show("")
            self._written = ""
        if body is None:
            said.update(Text("∅ No body: a tombstone. N writes one."))
        elif reason:
            size = "" if reason.endswith("bytes") else f" {quantity(len(body), 'byte')}."
            ways = "ctrl+e opens it in $EDITOR, l" if is_text(draft) else "l"
            sentence = f"The body is sent byte for byte and cannot be edited here: it {visible(reason)}."
            said.update(Text(f"{sentence}{size} {ways} loads another."))
        said.display = body is None or reason is not None
        editor.display = not said.display

    def take_changed(self) -> bytes | None:
        """What was written since it was shown or taken last; None: nothing."""
        body = self.query_one(BodyEditor).text
        if body == self._written:
            return None
        self._written = body
        return body.encode("utf-8", "replace")

    def judge(self, sentence: str, wrong: bool, template: bool) -> None:
        """Say in the border what the body is found to be."""
        self.state = f"{'template · ' if template else ''}{'✖ ' if wrong and '✖' not in sentence else ''}{sentence}"
