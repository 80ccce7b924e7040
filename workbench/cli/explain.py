"""`workbench explain`: which convention each fact of one event came from."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import click

from workbench.cli import completion
from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default, json_line, table, terminal_width
from workbench.cli.publish import lines_of
from workbench.cli.recordings import is_recording, play
from workbench.cli.runner import fail, with_session
from workbench.cli.stdio import say, write, write_json
from workbench.connecting.connector import Stream
from workbench.decode import ndjson
from workbench.decode.display import cells, visible
from workbench.facts.explanation import Line
from workbench.facts.explanation import explain as explanation
from workbench.model.address import Address
from workbench.model.event import Delivery, Position
from workbench.model.start import At
from workbench.operations.browse_defaults import price_of
from workbench.session import Session

_POSITION: Final = re.compile(r"(?:([0-9]{1,30}):)?([0-9]{1,30})")
_LEAST: Final = 16


@click.command()
@click.argument(
    "where", metavar="ADDRESS|FILE|LINE", type=click.UNPROCESSED, shell_complete=completion.addresses_or_files
)
@click.argument("number", metavar="[POSITION]", required=False)
@format_option("table", "json")
@with_session
async def explain(session: Session, where: str, number: str | None, form: Format | None) -> int:
    """Show which convention each fact of one event came from, and what else was considered.

    POSITION is partition:offset in a topic, an offset in a stream, and counts from 1 in a queue, a recording or a FILE
    of NDJSON lines (- for stdin). A LINE is one event as browse and tail print it.
    """
    found = await _delivery(session, where, number)
    if found is None:
        return fail(f"There is no event {number or 1} in {where}.", Exit.FAILED)
    lines = explanation(session.conventions, await session.reading.mask_off_loop(found))
    if format_or_default(form) == "json":
        for line in lines:
            write_json(json_line(_record(line)))
    else:
        write("".join(_sections(lines)).encode())
    return Exit.DONE


async def _delivery(session: Session, where: str, number: str | None) -> Delivery | None:
    if where.lstrip().startswith("{"):
        return _delivered(ndjson.decode(where.encode()))
    if where == "-":
        return await _of_file(sys.stdin.buffer, _count(number))
    if is_recording(where):
        count = _count(number)
        async with play(session, Path(where)) as stream:
            return await _number(stream, count)
    if (file := _file(where)) is not None:
        with file:
            return await _of_file(file, _count(number))
    return await _of_broker(session, session.address(where), number)


async def _of_broker(session: Session, address: Address, number: str | None) -> Delivery | None:
    connector = await session.connector(address.connection)
    endpoint = await connector.endpoint(address)
    if endpoint.family != "log":
        count = _count(number)
        if price := price_of(endpoint):
            raise click.UsageError(
                f"{visible(str(address))}: {price} Browse it once instead, and explain a line of that:"
                " workbench browse ADDRESS --json > FILE, workbench explain FILE 1."
            )
        async with connector.browse(address, None, count) as stream:
            return await _number(stream, count)
    found = _POSITION.fullmatch(number or "")
    if found is None:
        raise click.UsageError("Say which event: partition:offset (3:1200) in a topic, an offset in a stream.")
    asked = Position(found[1] or "", found[2])
    async with connector.browse(address, At(asked), 1) as stream:
        delivery = await _number(stream, 1)
    if delivery is not None and (at := delivery.position) is not None and int(at.offset) != int(asked.offset):
        say(f"{visible(str(address))}: no event is at {number}; the next is at {at.partition}:{at.offset}".rstrip(":"))
    return delivery


async def _number(stream: Stream, count: int) -> Delivery | None:
    async for batch in stream:
        if len(batch) >= count:
            return batch[count - 1]
        count -= len(batch)
    return None


def _count(number: str | None) -> int:
    if number is None:
        return 1
    if not (number.isascii() and number.isdigit() and len(number) < 16 and int(number)):
        raise click.UsageError("POSITION is a number here, counted from 1.")
    return int(number)


def _file(name: str) -> IO[bytes] | None:
    """A file that is there, to be read."""
    path = Path(name)
    return path.open("rb") if path.is_file() else None


async def _of_file(file: IO[bytes], count: int) -> Delivery | None:
    async for lines in lines_of(file):
        if len(lines) >= count:
            return _delivered(lines[count - 1])
        count -= len(lines)
    return None


def _delivered(said: ndjson.Line) -> Delivery:
    """The event of a line. One that a user wrote need not say where it was seen."""
    return said.delivery or Delivery(said.event, Address("line", "event"), said.event.timestamp or 0)


def _record(line: Line) -> dict[str, object]:
    return {
        "fact": line.kind,
        "value": line.value,
        "convention": line.convention,
        "place": line.place,
        "taken": line.taken,
        "why": line.why or None,
    }


def _sections(lines: Sequence[Line]) -> Iterator[str]:
    """What was taken, what was not, and what no convention reads; a table each."""
    taken = [(line.kind or "", line.value or "", f"{line.convention}: {line.place}") for line in lines if line.taken]
    others = [
        (line.kind, line.value or "", f"{line.convention}: {line.place}", line.why)
        for line in lines
        if line.kind and not line.taken
    ]
    unread = [(line.place, line.value or "") for line in lines if not line.kind]
    yield _fitted(("fact", "value", "from"), taken) if taken else "No convention says anything about this event.\n"
    if others:
        yield "\n" + _fitted(("considered, not used", "value", "from", "why"), others)
    if unread:
        yield "\n" + _fitted(("read by no convention", "value"), unread)


def _fitted(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in which values give way first where the terminal is too narrow."""
    lines = [[visible(cell) for cell in row] for row in (header, *rows)]
    others = sum(max(cells(line[column]) + 2 for line in lines) for column in range(len(header)) if column != 1)
    room = max(terminal_width() - others, _LEAST)
    return table(
        header,
        [[visible(cell, room) if column == 1 else cell for column, cell in enumerate(line)] for line in lines[1:]],
    )
