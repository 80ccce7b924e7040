"""All that the program said."""

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from views.dialogs.dialog import Dialog
from views.widgets.message_line import Messages, Said


class MessageList(Dialog[None]):
    """All that was said, the newest last."""

    DEFAULT_CSS = """
    MessageList {
        & .wide { height: auto; max-height: 90%; }
        & VerticalScroll { height: auto; min-height: 5; max-height: 100%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", show=False)]

    def __init__(self, messages: Messages) -> None:
        super().__init__()
        self._messages = messages

    def compose(self) -> ComposeResult:
        with self.frame("Messages", ("esc", "close"), ("↑ ↓", "scroll"), wide=True), VerticalScroll():
            # One widget for all: a thousand would take a second to lay out.
            lines = [_line_of(said) for said in self._messages] or [Content.styled("No messages yet.", "$muted")]
            yield Static(Content("\n").join(lines))

    def on_mount(self) -> None:
        """Show the newest."""
        self.query_one(VerticalScroll).scroll_end(animate=False)
        self.query_one(VerticalScroll).focus()


def _line_of(said: Said) -> Content:
    at = time.strftime("%H:%M:%S", time.localtime(said.at))
    return Content.assemble((at, "$muted"), "  ", said.line)
