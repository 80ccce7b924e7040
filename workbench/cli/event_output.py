"""How events are printed: a table with the columns of the screen, NDJSON lines, or bare bodies."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec
from click.shell_completion import CompletionItem

from workbench.cli import stdio
from workbench.cli.output import Format, format_option, format_or_default, ndjson_lines, terminal_width
from workbench.decode.codec import query_value
from workbench.model.address import Address
from workbench.model.errors import QueryError
from workbench.model.event import Delivery, Event
from workbench.query.query import Reading

if TYPE_CHECKING:
    from workbench.cli.event_table import EventTable
    from workbench.table.columns import Column

# The table is imported where there is one: what is piped begins sooner without it.


class _Columns(click.ParamType["tuple[Column, ...]"]):
    name = "COLUMNS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "tuple[Column, ...]":
        from workbench.table.columns import COLUMNS, column_of

        try:
            columns = [column_of(name.strip()) for name in str(value).split(",")]
        except QueryError as error:
            self.fail(f"{error.message} The columns are {', '.join(each.id for each in COLUMNS)}.", param, ctx)
        return tuple({column.id: column for column in columns}.values())

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from workbench.table.columns import COLUMNS

        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + each.id) for each in COLUMNS if each.id.startswith(last)]


class EventOutput(msgspec.Struct, frozen=True):
    """How events are to be printed.

    Attributes:
        form: The format.
        columns: Those of the table; None: those that the screen shows.
    """

    form: Format
    columns: "tuple[Column, ...] | None" = None


def event_output_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add `-o`, `--json` and `--columns`; the command gets them as its `output`."""

    @functools.wraps(command)
    def printing(form: Format | None, columns: "tuple[Column, ...] | None", **given: Any) -> None:
        if columns is not None:
            form = form or "table"
            if form != "table":
                raise click.UsageError("--columns is for the table: leave out --json or -o, or choose with jq.")
        command(output=EventOutput(format_or_default(form), columns), **given)

    chosen = click.option(
        "--columns",
        type=_Columns(),
        help="Columns of the table, with commas between them: time, from, type, correlation, key, position, message,"
        " causation, reason, attempts, size, seen, body, or any header.NAME and body.PATH.",
    )
    return chosen(format_option("table", "json", "body")(printing))


class EventPrinter:
    """Prints deliveries as they come."""

    def __init__(
        self, output: EventOutput, reading: Reading, places: Iterable[Address | Path] = (), to: TextIO | None = None
    ) -> None:
        """Begin with nothing printed.

        Args:
            output: How.
            reading: How events are understood.
            places: Where they are from; of several, or of a recording, each says where.
            to: Where they are printed; None: to stdout.
        """
        self._form = output.form
        self._columns = output.columns
        self._reading = reading
        self._to = to
        self._places = list(places)

    @functools.cached_property
    def _table(self) -> "EventTable":
        from workbench.cli.event_table import EventTable

        recorded = any(isinstance(place, Path) for place in self._places)
        several = recorded or len({place.connection for place in self._places if isinstance(place, Address)}) > 1
        return EventTable(self._columns, self._reading, recorded or len(self._places) > 1, several)

    async def write(self, batch: Sequence[Delivery]) -> None:
        """Print a batch, as fast as it is read."""
        match self._form:
            case "json":
                stdio.write_json(ndjson_lines(batch), self._to)
            case "body":
                body_of = _decoded if stdio.is_terminal(self._to) else _body
                stdio.write(b"".join(body_of(delivery.event) + b"\n" for delivery in batch), self._to)
            case _:
                lines = self._table.lines(batch, terminal_width(self._to))
                stdio.write("".join(f"{line}\n" for line in lines).encode(), self._to)
        await stdio.drain()


def _body(event: Event) -> bytes:
    return event.body or b""


def _decoded(event: Event) -> bytes:
    """The body as it is read, out of its compression and its charset, where it is text."""
    said = query_value(event)
    return said if isinstance(said, bytes) else _body(event)
