"""Operations as they are drawn: a line each, all that is known of one, and a line for each of its messages."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from workbench.decode.display import cells, visible
from workbench.decode.preview import preview
from workbench.model.wording import quantity
from workbench.operations.journal.journal_file import Entry
from workbench.operations.journal.operation import EntryState
from workbench.operations.journal.records import Record

_STEPS: Final = 200
"""Steps that are shown, the last."""
_SIGNS: Final = {
    "done": ("✔", "live"),
    "running": ("●", "live"),
    "interrupted": ("!", "warn"),
    "stopped": ("■", "warn"),
}
_ENTRY_STATES: Final = {
    EntryState.IN_FLIGHT: ("unknown", "warn"),
    EntryState.CONFIRMED: ("confirmed", ""),
    EntryState.SETTLED: ("done", "muted"),
    EntryState.FAILED: ("failed", "dead"),
    EntryState.GONE: ("gone", "dead"),
}


class Details(msgspec.Struct, frozen=True):
    """What is read of one operation.

    Attributes:
        path: Its journal.
        steps: What happened, each with its time in milliseconds since 1970 UTC.
        stays: Why messages stayed, with how many.
        failures: Why messages failed, with how many.
        wrong: Why it cannot be read, a sentence; empty: it can.
    """

    path: Path
    steps: Sequence[tuple[int, str]] = ()
    stays: dict[str, int] = {}
    failures: dict[str, int] = {}
    wrong: str = ""


def operation_story(record: Record, details: Details | None) -> Group:
    """All that is known of an operation; None: its steps are not read yet."""
    parts: list[Text | Table] = [Text(visible(record.operation.title, 400), "bold"), _facts(record)]
    if details is not None and details.path == record.path:
        parts += _told(details)
    return Group(*parts)


def operation_lines(found: Sequence[Record], is_narrow: bool) -> tuple[Text, list[Text]]:
    """The line above the list, and the list."""
    by = 0 if is_narrow else min(max((cells(visible(each.operation.by)) for each in found), default=2), 24)

    def line(sign: tuple[str, str], begun: str, state: str, done: str, failed: str, unknown: str, who: str) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{sign[0]} ", sign[1]).append(f"{begun}  ", "muted").append(f"{state:<11}  ", sign[1])
        text.append(f"{done:>7}  ")
        text.append(f"{failed:>6}  ", "dead" if failed not in ("", "0", "failed") else "muted")
        text.append(f"{unknown:>7}  ", "warn" if unknown not in ("", "0", "unknown") else "muted")
        if by:
            shown = visible(who, by)
            text.append(shown + " " * (by - cells(shown)) + "  ", "muted")
        return text

    head = line((" ", ""), f"{'begun':<{11 if is_narrow else 19}}", "state", "done", "failed", "unknown", "by")
    head.append("what").stylize("muted")
    lines = []
    for each in found:
        counts, operation = each.counts, each.operation
        begun = _time(operation.begun, "%m-%d %H:%M" if is_narrow else "%Y-%m-%d %H:%M:%S")
        done = "" if each.done is None else f"{each.done:,}"
        failed, unknown = f"{counts.failed + counts.gone:,}", f"{counts.open:,}"
        text = line(_SIGNS[each.state], begun, each.state, done, failed, unknown, operation.by)
        what = "" if operation.kind in ("move", "undo") else f"{operation.kind}: "
        lines.append(text.append(f"{what}{visible(operation.title, 300)}"))
    return head, lines


def _facts(record: Record) -> Table:
    operation, counts = record.operation, record.counts
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="muted", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("begun", Text(f"{_time(operation.begun)} by {visible(operation.by, 100)}"))
    if record.ended is not None:
        facts.add_row("ended", Text(_time(record.ended)))
    if record.remark:
        facts.add_row("in short", Text(visible(record.remark, 500)))
    if counts.open:
        facts.add_row("unknown", Text(f"outcome of {quantity(counts.open, 'message')}: resume finds out", "warn"))
    if counts.twice:
        facts.add_row("twice", Text(f"{quantity(counts.twice, 'message')} may be at the target twice", "warn"))
    facts.add_row("holds", Text(f"{quantity(counts.total, 'message')}, {max(record.bytes // 1000, 1):,} kB"))
    return facts


def _told(details: Details) -> Iterator[Text | Table]:
    if details.wrong:
        yield Text(f"! {visible(details.wrong)}", "warn")
    for title, reasons, style in (("failed", details.failures, "dead"), ("stayed", details.stays, "warn")):
        for reason, count in list(reasons.items())[:20]:
            yield Text(f"{count:,} {title}: {visible(reason, 500)}", style)
    if details.steps:
        steps = Table.grid(padding=(0, 2, 0, 0))
        steps.add_column(style="muted", no_wrap=True)
        steps.add_column(overflow="fold")
        for at, what in details.steps[-_STEPS:]:
            steps.add_row(_time(at, "%H:%M:%S"), Text(visible(what, 500)))
        yield Text()
        yield steps


def entry_line(entry: Entry) -> Text:
    """A message, masked by who asks, in a line fit for the terminal."""
    word, style = _ENTRY_STATES[entry.state]
    place = entry.message.position
    at = f"{place.partition}:{place.offset}" if place is not None else ""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{entry.sequence:>6}  ", "muted").append(f"{word:<9}  ", style)
    line.append(f"{visible(at, 12):<12}  " if at else "", "muted")
    if entry.target is not None:
        line.append(f"→ {visible(str(entry.target), 40)}  ")
    if entry.twice:
        line.append("maybe twice  ", "warn")
    if entry.error:
        line.append(f"{visible(entry.error, 200)}  ", "dead")
    return line.append(visible(preview(entry.message.event), 300), "muted")


def _time(milliseconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime(form)
