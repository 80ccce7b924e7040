"""The usual path of a type of flow, and beside it the flow at hand: what came when, what is missing, what is odd."""

from datetime import datetime
from typing import Final

from rich.text import Text
from textual.widgets import Static

from workbench.decode.display import cells, shorten_middle, visible
from workbench.operations.saga.paths import Path, Saga, patience
from workbench.operations.saga.words import death
from workbench.operations.trace.words import span_text

_LONGEST: Final = 60
_ROOM: Final = 46
"""Cells that stand beside the name of a step."""


class UsualPath(Static):
    """A line for each usual step, then what is not usual."""

    DEFAULT_CSS = "UsualPath { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._lines = Text()

    def show(self, saga: Saga | None, path: Path | None, width: int, most: int) -> None:
        """Draw a flow beside its path.

        Args:
            saga: The flow; None: there is none.
            path: Its path; None: none is known.
            width: Cells that there are.
            most: Usual steps that there is room for; of more, those around the point where the flow is.
        """
        lines = Text() if saga is None else path_lines(saga, path, width, most)
        if lines != self._lines:
            self._lines = lines
            self.update(lines)


def path_lines(saga: Saga, path: Path | None, width: int, most: int) -> Text:
    """The lines of a flow and its path; the arguments are those of `UsualPath.show`."""
    times, lines = saga.flow.times, Text(no_wrap=True, overflow="ellipsis")
    steps = path.steps if path is not None else ()
    names = [step.type for step in steps] or [step.type for step in saga.flow.steps]
    longest = max((cells(visible(name)) for name in names), default=0)
    room = max(min(longest, _LONGEST, width - _ROOM), 8)
    before: int | None = None
    if path is not None:
        lines.append(f"  {'step'.ljust(room)}  flows  usually     95 %  this flow\n", "muted")
    shown = _in_sight(saga, path, most)
    for number, step in enumerate(steps):
        came = times.get(step.type)
        if number not in shown:
            before = before if came is None else max(came, before or came)
            if number in (shown.start - 1, shown.stop):
                hidden = shown.start if number < shown.start else len(steps) - shown.stop
                lines.append(f"  … {hidden:,} {'earlier' if number < shown.start else 'later'}\n", "muted")
            continue
        missing = step.type == saga.next and saga.stuck
        sign, look = ("●", "live") if came is not None else ("✖", "dead") if missing else ("○", "muted")
        lines.append(f"{sign} ", look).append(_in(step.type, room), "bold" if came is not None or missing else "muted")
        spans = f"{span_text(step.median):>9}{span_text(step.p95):>9}" if number else " " * 18
        lines.append(f"  {step.share:>5.0%}{spans}  ", "muted")
        if came is not None:
            late = before is not None and came - before > patience(step.p95)
            lines.append(_when(came, before), "warn" if late else "").append(" late" if late else "", "warn")
            before = max(came, before or came)
        elif missing:
            lines.append(f"missing for {span_text(saga.waiting)}", "dead")
        elif step.type == saga.next:
            lines.append(f"expected, {span_text(saga.waiting)} so far", "muted")
        elif before is None:
            lines.append("before what was read", "muted")
        elif not step.needed:
            lines.append("not in every flow", "muted")
        lines.append("\n")
    start = min(times.values(), default=0)
    usual = {step.type for step in steps}
    for name in (name for name in times if name not in usual):
        odd = name in saga.unexpected
        said = "unexpected" if odd else "in place of the rest" if name == saga.compensation else ""
        share = path.shares.get(name) if path is not None else None
        lines.append(f"{'?' if odd else '↺' if said else '●'} ", "warn" if said else "muted").append(_in(name, room))
        lines.append(f"  {share:>5.0%}" if share is not None else " " * 7, "muted")
        lines.append(f"{'':18}  {_when(times[name], start)}  ", "muted").append(f"{said}\n", "warn")
    if (dead := saga.flow.dead) is not None:
        name = visible(dead.type, _LONGEST)
        lines.append("■ ", "dead").append(f"{name}: ", "bold")
        lines.append(visible(death(dead), max(width - cells(name) - 4, 20)), "dead").append("\n")
    lines.rstrip()
    return lines


def _in_sight(saga: Saga, path: Path | None, most: int) -> range:
    """Which steps of a path are shown."""
    steps = path.steps if path is not None else ()
    at = next((at for at, step in enumerate(steps) if step.type == saga.next), len(steps))
    start = max(min(at - most // 2, len(steps) - most), 0)
    return range(start, min(start + most, len(steps)))


def _in(name: str, room: int) -> str:
    # Names of one flow mostly begin alike.
    text = shorten_middle(name, room)
    return text + " " * (room - cells(text))


def _when(time: int, before: int | None) -> str:
    if before is not None and before != time:
        return f"+{span_text(time - before)}" if time > before else f"{span_text(time - before)}"
    if before is not None:
        return "+0 ms"
    try:
        return datetime.fromtimestamp(time / 1000).strftime("%H:%M:%S.%f")[:12]
    except (ValueError, OverflowError, OSError):
        return "?"
