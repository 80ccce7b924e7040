"""How far a long piece of work is, in a line: a bar, what is done, how fast, how long yet, what failed, how to stop."""

from typing import Final

import msgspec
from textual.content import Content
from textual.widgets import Static

from workbench.model.wording import time_span

_BAR: Final = 20
_RATED: Final = 1.0
"""Seconds after which a rate, and the time that is left at it, is no accident."""


class Progress(msgspec.Struct, frozen=True):
    """How far it is.

    Attributes:
        done: How many are done, those that failed, or may have, among them.
        total: How many there are; None: not known.
        seconds: Since when it runs.
        failed: How many of those that are done failed.
        failure: What a failure is called, in a word: "refused".
        unknown: How many of those that are done may have failed or not.
        returned: How many came back.
        what: What is counted, in a word, where nothing around the line says so.
        phase: What goes on besides, in a few words.
        stop: How to stop it: "ctrl+x stops"; empty: it cannot be.
    """

    done: int
    total: int | None
    seconds: float
    failed: int = 0
    failure: str = "failed"
    unknown: int = 0
    returned: int = 0
    what: str = ""
    phase: str = ""
    stop: str = ""


def progress_line(progress: Progress, width: int) -> Content:
    """The line, in so many cells: where there is little room, the bar goes first, then the rate."""
    done, total = progress.done, progress.total
    rate = done / progress.seconds if progress.seconds >= _RATED else 0.0
    counted = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    parts = [Content.styled(f"{counted} {progress.what}".rstrip(), "bold")]
    if progress.failed:
        parts.append(Content.styled(f"✖ {progress.failed:,} {progress.failure}", "bold $dead"))
    if progress.unknown:
        parts.append(Content.styled(f"? {progress.unknown:,} unknown", "bold $warn"))
    if progress.returned:
        parts.append(Content.styled(f"↩ {progress.returned:,} returned", "bold $dead"))
    if progress.phase:
        parts.append(Content.styled(progress.phase, "$muted"))
    elif rate:
        if total is not None and done < total:
            parts.append(Content(f"{time_span((total - done) / rate)} left"))
        parts.append(Content.styled(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:,.1f}/s", "$muted"))
    end = Content.styled(progress.stop, "$muted")
    room = width - end.cell_length - 2

    def length() -> int:
        return sum(part.cell_length + 2 for part in parts)

    while len(parts) > 1 and length() > room:
        parts.pop()
    if total and length() + _BAR <= room:
        full = min(_BAR * done // total, _BAR)
        parts.insert(0, Content.assemble(("█" * full, "$focus"), ("░" * (_BAR - full), "$frame")))
    line = Content("  ").join(parts)
    gap = max(width - line.cell_length - end.cell_length, 2)
    return Content.assemble(line, " " * gap, end).truncate(max(width, 0), ellipsis=True)


class ProgressRow(Static):
    """The line as a widget; not there while nothing runs."""

    DEFAULT_CSS = "ProgressRow { height: 1; display: none; }"
    _progress: Progress | None = None

    def show(self, progress: Progress | None) -> None:
        """Show how far it is; None: nothing runs any more."""
        self._progress = progress
        self.display = progress is not None
        self._draw()

    def on_resize(self) -> None:
        """The line is as wide as there is room."""
        self._draw()

    def _draw(self) -> None:
        if self._progress is not None:
            self.update(progress_line(self._progress, self.content_size.width), layout=False)
