"""What asks or tells on top of a screen: a frame with its title and verbs in the border, answered once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen
from textual.worker import active_worker

from views.painting import PaintedAtOnce
from views.widgets.panel import Panel

Answer = TypeVar("Answer")
Verb = tuple[str, str]
"""A key as a user writes it, and what it does, in a word or two: `("enter", "add")`."""


class Dialog(PaintedAtOnce, ModalScreen[Answer]):
    """A question on top of the screens, which is answered once, and only while it is the one that is asked."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle; background: $background 60%;
        &:ansi { background: transparent; }
        & > .dialog {
            width: 76; max-width: 100%; height: auto; max-height: 90%; padding: 1 2;
            background: $background; border: heavy $focus; border-title-color: $foreground;
        }
        & > .wide { width: 96; height: 90%; max-height: 52; }
    }
    """

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Give the answer and go."""
        if self.app.screen is not self:
            return AwaitComplete()
        # What still goes on for it would draw in what is taken away; what gives the answer ends by itself.
        for worker in self.workers:
            if worker.node is self and worker is not active_worker.get(None):
                worker.cancel()
        return super().dismiss(result)

    @contextmanager
    def frame(self, title: str, *verbs: Verb, wide: bool = False) -> Iterator[Panel]:
        """What the dialog is composed in.

        Args:
            title: What it is for.
            verbs: What can be done, the most usual first.
            wide: Whether it is as large as the screen allows, for what is long.
        """
        panel = Panel(title=title, classes="dialog wide" if wide else "dialog")
        panel.set_reactive(Panel.keys, verbs)
        with panel:
            yield panel
