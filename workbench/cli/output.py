"""What commands print: a table for people, NDJSON for programs, or bare bodies."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, TextIO, TypeVar

import click
import msgspec

from workbench.cli.stdio import is_terminal
from workbench.decode import ndjson
from workbench.decode.display import cells, visible
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Damaged, Delivery, Event
from workbench.model.look import Coverage

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
    return form or ("table" if is_terminal() else "json")


def json_line(record: object) -> bytes:
    """One line of NDJSON for a record of plain values; what is not UTF-8, as a file's name may be, is escaped."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"


def coverage_record(place: Address | Path | str, covered: Coverage) -> bytes:
    """The line of NDJSON that says what was covered."""
    record = {
        "address": str(place),
        "read": covered.read,
        "total": covered.total,
        "spans": [{"partition": each.partition, "start": each.start, "end": each.end} for each in covered.spans],
        "gaps": [{"what": gap.what, "reason": gap.reason} for gap in covered.gaps],
        "notes": list(covered.notes),
    }
    return json_line({"coverage": record})


def ndjson_lines(batch: Iterable[Delivery]) -> bytes:
    """The NDJSON lines of deliveries. One that cannot be a line is said to be damaged in its own, and ends nothing."""
    return b"".join(map(_line, batch))


def _line(delivery: Delivery) -> bytes:
    try:
        return ndjson.encode(delivery)
    except FormatError as error:
        where = msgspec.structs.asdict(delivery) | {"event": Event(body=str(error).encode())}
        return ndjson.encode(Damaged(**where))


UNCUT: Final = 1 << 16
"""Cells of a line where none has to be cut."""


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


def terminal_width(to: TextIO | None = None) -> int:
    """Terminal cells of a line, `UNCUT` off a terminal, where a body of megabytes is still cut.

    Args:
        to: Where it is printed; None: to stdout.
    """
    import shutil

    return shutil.get_terminal_size().columns if is_terminal(to) else UNCUT
