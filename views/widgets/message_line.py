"""What the program said: the last of it stands in a line above the keys."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from workbench.decode.display import visible

Severity = Literal["information", "warning", "error"]

KEPT: Final = 1_000
"""Messages that the list has."""
READ_IN: Final = 10.0
"""Seconds after which an information leaves the line."""
_SIGNS: Final = {"information": ("✔", "$live"), "warning": ("!", "bold $warn"), "error": ("✖", "bold $dead")}


class Said(msgspec.Struct, frozen=True):
    """One message.

    Attributes:
        at: When, in seconds since 1970 UTC.
        severity: How bad it is.
        sentence: What, of visible characters.
    """

    at: float
    severity: Severity
    sentence: str

    @property
    def line(self) -> Content:
        """The message with its sign."""
        sign, style = _SIGNS[self.severity]
        return Content.assemble((sign, style), f" {self.sentence}")


class Messages:
    """All that was said, the newest last; one for each run of the program."""

    def __init__(self) -> None:
        self._said: Final[deque[Said]] = deque(maxlen=KEPT)
        self.shown: Said | None = None
        """What is in the line."""
        self.covered = 0
        """Errors that others have taken the place of since the list was looked at last."""

    def __iter__(self) -> Iterator[Said]:
        return iter(self._said)

    def say(self, sentence: str, severity: Severity) -> Said:
        """Say one more thing; what a stranger wrote in it is made visible."""
        self.covered += self.shown is not None and self.shown.severity == "error"
        self.shown = Said(time.time(), severity, visible(sentence))
        self._said.append(self.shown)
        return self.shown


class MessageLine(Static):
    """The newest message. It never covers anything: a long one makes room for itself, up to three lines.

    Who works at an incident looks elsewhere while something fails. So an error or a warning stays until something
    newer is said or escape is pressed, and where something newer took the place of an error, the line says how many
    are in the list. An information is only worth a glance: it leaves after ten seconds.
    """

    DEFAULT_CSS = """
    MessageLine { height: auto; min-height: 1; max-height: 3; padding: 0 1; background: $background; }
    """

    def __init__(self, messages: Messages, key: str) -> None:
        """Show.

        Args:
            messages: What was said.
            key: What opens the list.
        """
        super().__init__("")
        self._messages, self._key = messages, key
        self._leaving: Timer | None = None

    def on_mount(self) -> None:
        """Show what was said before."""
        self.show()

    def show(self) -> None:
        """Show the newest."""
        if self._leaving is not None:
            self._leaving.stop()
        said = self._messages.shown
        line = said.line if said is not None else Content("")
        if covered := self._messages.covered:
            line = Content.assemble(line, "   ", (f"✖ {covered:,} in {self._key}", "$dead"))
        self.update(line)
        if said is not None and said.severity == "information":
            self._leaving = self.set_timer(max(said.at + READ_IN - time.time(), 0.01), self._leave)

    def _leave(self) -> None:
        self._messages.shown = None
        self.show()

    def clear(self) -> None:
        """Let what is in the line leave: it was read."""
        self._messages.shown, self._messages.covered = None, 0
        self.show()
