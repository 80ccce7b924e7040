"""`workbench replay`: what was recorded, or what another endpoint holds, published again."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import click

from workbench.cli import completion, recordings
from workbench.cli.browse import tell
from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default
from workbench.cli.publish import events_of, lines_of, publish_all
from workbench.cli.runner import with_session
from workbench.cli.stdio import say
from workbench.connecting.connector import Stream
from workbench.decode.ndjson import Line
from workbench.model.address import Address
from workbench.model.event import Damaged
from workbench.model.start import Beginning
from workbench.model.wording import quantity
from workbench.operations import publish as publishing
from workbench.operations.browse_defaults import price_of
from workbench.session import Session
from workbench.store.spilled_stream import spill


class _Source(click.ParamType[IO[bytes] | str]):
    """A file of lines where there is one of this name, else an address or a recording."""

    name = "FILE|ADDRESS"

    def convert(
        self, value: IO[bytes] | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> IO[bytes] | str:
        if isinstance(value, str) and (value == "-" or (Path(value).is_file() and not recordings.is_recording(value))):
            return click.File("rb").convert(value, param, ctx)
        return value


@click.command()
@click.argument(
    "source", metavar="RECORDING|FILE|ADDRESS", type=_Source(), shell_complete=completion.addresses_or_files
)
@click.argument("target", shell_complete=completion.addresses)
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Speed relative to the original timing; 2 is twice as fast.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Publish at this many events per second instead of the original timing.",
)
@format_option("table", "json")
@with_session
async def replay(
    session: Session, source: IO[bytes] | str, target: str, speed: float, rate: float | None, form: Format | None
) -> int:
    """Publish events again, with their original timing.

    The source is a recording, a file of NDJSON lines, or an address, whose events are read from their beginning before
    the first is published. They stay there.
    """
    place = recordings.address_or_recording(session, source) if isinstance(source, str) else source
    to = session.address(target)
    # What cannot be published to is found out before the source is looked at, which may cost something.
    await (await session.connector(to.connection)).endpoint(to)
    begun = False
    try:
        async with _lines(session, place, left_out := _LeftOut()) as lines:
            paced = publishing.at_rate(events_of(lines), rate) if rate else publishing.in_time(lines, speed)
            begun = True
            code = await publish_all(session, to, paced, None, format_or_default(form), True)
            if left_out.damaged:
                say(f"Left out: {quantity(left_out.damaged, 'damaged event')}.")
            return Exit.PARTLY if left_out.damaged and code == Exit.DONE else code
    except asyncio.CancelledError:
        if not begun:
            say("Stopped: 0 published, 0 refused.")
        raise


@asynccontextmanager
async def _lines(
    session: Session, place: IO[bytes] | Path | Address, left_out: "_LeftOut"
) -> AsyncIterator[AsyncIterable[Sequence[Line]]]:
    if not isinstance(place, Path | Address):
        yield lines_of(place)
        return
    opened = recordings.play(session, place) if isinstance(place, Path) else _read(session, place)
    async with opened as stream:
        yield left_out.of(stream)


@asynccontextmanager
async def _read(session: Session, address: Address) -> AsyncIterator[Stream]:
    """What an endpoint holds, read to its end and given back."""
    connector = await session.connector(address.connection)
    endpoint = await connector.endpoint(address)
    if price := price_of(endpoint):
        say(f"{address}: {price}")
    start = Beginning() if endpoint.family == "log" else None
    async with spill(connector.browse(address, start)) as stream:
        tell({address: stream.coverage})
        yield stream


class _LeftOut:
    """Events that cannot be published again."""

    def __init__(self) -> None:
        self.damaged = 0

    async def of(self, stream: Stream) -> AsyncIterator[Sequence[Line]]:
        """The others."""
        async for batch in stream:
            whole = [Line(delivery.event, delivery) for delivery in batch if not isinstance(delivery, Damaged)]
            self.damaged += len(batch) - len(whole)
            if whole:
                yield whole
