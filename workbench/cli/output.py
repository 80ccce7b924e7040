"""What commands print: a table for people, NDJSON for programs, or bare bodies."""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Final, Literal, TextIO, TypeVar

import click

from workbench.cli import stdio
from workbench.decode import ndjson
from workbench.decode.codec import query_value
from workbench.decode.display import cells, visible, visible_bytes
from workbench.decode.preview import LOOKED_AT, preview
from workbench.model.event import Delivery

Command = TypeVar("Command", bound=Callable[..., object])
Format = Literal["table", "json", "body"]


def format_option(*formats: Format) -> Callable[[Command], Command]:
    """Add `-o` and `--json`; the command gets `form`, a table on a terminal and NDJSON otherwise."""

    def decorate(command: Command) -> Command:
        as_json = click.option(
            "--json", "form", flag_value="json", help="Same as -o json, the default when stdout is not a terminal."
        )
        choice = click.option("-o", "--output", "form", type=click.Choice(formats), default=None, help="Output format.")
        return choice(as_json(command))

    return decorate


def format_or_default(form: Format | None) -> Format:
    """The format asked for, else what suits where stdout goes."""
    return form or ("table" if sys.stdout.isatty() else "json")


def json_line(record: object) -> bytes:
    """One line of NDJSON for a record of plain values; what is not UTF-8, as a file's name may be, is escaped."""
    return _escape_controls(
        json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"
    )


def _escape_controls(lines: bytes) -> bytes:
    """The same JSON; on a terminal, characters that it could obey are written as JSON escapes."""
    if not sys.stdout.isatty() or not _MAYBE_OBEYED.search(lines):
        return lines
    return _UNUSUAL.sub(_escape, lines.decode()).encode()


_UNCUT: Final = 1 << 16
_MAYBE_OBEYED: Final = re.compile(rb"[^ -~\n]")
_UNUSUAL: Final = re.compile("[^ -~\n]")


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return json.dumps(character)[1:-1] if unicodedata.category(character)[0] in "CZ" else character


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str] = frozenset()) -> str:
    """Columns as wide as their cells need; those with nothing in them are left out.

    Args:
        header: A title for each column.
        rows: As many texts each, already made visible.
        right: The titles of the columns that are set flush right.
    """
    used = [column for column, _ in enumerate(header) if any(row[column] for row in rows)]
    lines = [[line[column] for column in used] for line in (header, *rows)]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(used))]
    # Where the terminal is too narrow, the last column gives way, then the first: the numbers between are short.
    for column, least in ((-1, 12), (0, 16)):
        spare = terminal_width() - sum(widths) - 2 * (len(widths) - 1)
        widths[column] = max(min(widths[column], least), widths[column] + min(spare, 0))
    out = []
    for line in lines:
        padded = []
        for cell, width, column in zip(line, widths, used, strict=True):
            cell = visible(cell, width)
            space = " " * (width - cells(cell))
            padded.append(space + cell if header[column] in right else cell + space)
        out.append("  ".join(padded).rstrip())
    return "\n".join(out) + "\n"


class Deliveries:
    """Prints deliveries as they come."""

    def __init__(self, form: Format, to: TextIO | None = None) -> None:
        self._form = form
        self._to = to
        self._day: date | None = date.today()
        self._titled = False

    async def write(self, batch: Sequence[Delivery]) -> None:
        """Print a batch, as fast as it is read."""
        stdio.write(self._lines(batch), self._to)
        await stdio.drain()

    def _lines(self, batch: Sequence[Delivery]) -> bytes:
        if self._form == "json":
            return _escape_controls(b"".join(map(ndjson.encode, batch)))
        if self._form == "body":
            if sys.stdout.isatty():
                return b"".join(map(_visible_body, batch))
            return b"".join((delivery.event.body or b"") + b"\n" for delivery in batch)
        return "".join(self._rows(batch)).encode()

    def _rows(self, batch: Sequence[Delivery]) -> Iterable[str]:
        width = terminal_width()
        place = 14 if width < 100 else 20
        if not self._titled:
            self._titled = True
            yield f"{'time':12}  {'from':{place}}  {'position':9}  {'key':12}  body\n"
        for delivery in batch:
            time = _local(delivery.time[0])
            if time and time.date() != self._day:
                self._day = time.date()
                yield f"── {self._day.isoformat()} ──\n"
            position = delivery.position
            columns = (
                (time.strftime("%H:%M:%S.%f")[:12] if time else "?", 12),
                (str(delivery.address).partition("/")[2], place),
                (f"{position.partition}:{position.offset}".lstrip(":") if position else "", 9),
            )
            key = "" if delivery.event.key is None else visible_bytes(delivery.event.key, 12)
            head = "  ".join([*(_fit(visible(text, size), size) for text, size in columns), _fit(key, 12)])
            room = max(20, width - cells(head) - 2)
            yield f"{head}  {visible(preview(delivery.event, max(room, LOOKED_AT)), room)}\n"


def _visible_body(delivery: Delivery) -> bytes:
    said = query_value(delivery.event)
    lines = (said if isinstance(said, bytes) else delivery.event.body or b"").split(b"\n")
    return "".join(f"{visible_bytes(line)}\n" for line in lines).encode()


def _fit(text: str, size: int) -> str:
    return text + " " * (size - cells(text))


def _local(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000)
    except (ValueError, OverflowError, OSError):
        # A producer may claim any time at all.
        return None


def terminal_width() -> int:
    """Terminal cells of a line of stdout."""
    # Off a terminal nothing has to be cut; a body of megabytes still is.
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNCUT
