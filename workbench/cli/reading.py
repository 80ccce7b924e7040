"""`workbench browse` and `workbench tail`: what is there, and what arrives."""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem

from workbench.cli import completing
from workbench.cli.output import Deliveries, Format, chosen, format_option, json_line
from workbench.cli.recordings import Covered, Recorder, address_or_recording, played, recorder
from workbench.cli.running import Exit, fail, with_session
from workbench.cli.stdio import say, write
from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Delivery
from workbench.model.start import FromEnd, Since, Start, parse_start
from workbench.reading.tail import Merged, merged
from workbench.session import Session

BROWSED = 500
"""Events shown where no limit is given: of a log the last ones of each partition, of a queue the oldest ones."""


STARTS = ("beginning", "latest", "end-500", "-10m", "-1h")
"""Places to start that a shell offers."""


class _StartType(click.ParamType[Start]):
    name = "START"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        try:
            return parse_start(str(value), round(time.time() * 1000))
        except FormatError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(start) for start in STARTS if start.startswith(incomplete)]


class _TimeType(_StartType):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        start = super().convert(value, param, ctx)
        if not isinstance(start, Since):
            self.fail(f"{value!r} is not a time: write 2026-11-23T10:00, or -10m.", param, ctx)
        return start


class Selection(msgspec.Struct, frozen=True):
    """What `selection_options` say.

    Attributes:
        start: Where to begin; None: where the command does.
        until: Only events before this time.
        where: A query.
        limit: Stop after so many events.
        as_record: Whether coverage is a record, too, where records are printed.
        record: The recording to make of what is shown.
    """

    start: Start | None
    until: Since | None
    where: str | None
    limit: int | None
    as_record: bool
    record: Path | None


addresses_argument = click.argument(
    "addresses", metavar="ADDRESS...", nargs=-1, required=True, shell_complete=completing.addresses
)


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--from`, `--until`, `-w`, `-n`, `--record` and `--coverage`; the command gets them as its `selection`."""

    @functools.wraps(command)
    def selecting(**given: Any) -> None:
        selection = Selection(*(given.pop(name) for name in Selection.__struct_fields__))
        command(selection=selection, **given)

    for decorate in (
        click.option(
            "--coverage", "as_record", is_flag=True, help="With NDJSON, end with a record of what was covered."
        ),
        click.option(
            "--record",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write what is shown into a recording, too, which browse and replay read.",
        ),
        click.option("-n", "--limit", type=click.IntRange(1), help="Stop after so many events."),
        click.option("-w", "--where", metavar="QUERY", help="Only events that match, e.g. 'type = OrderPlaced'."),
        click.option("--until", type=_TimeType(), help="Only events before this time."),
        click.option(
            "--from",
            "start",
            type=_StartType(),
            help="beginning, latest, -10m, 2026-11-23T10:00, 3:1200 (partition:offset), end-500 or group:NAME.",
        ),
    ):
        selecting = decorate(selecting)
    return selecting


@click.command(short_help="Show what is there, without taking it.")
@click.argument(
    "places",
    metavar="ADDRESS|RECORDING...",
    nargs=-1,
    required=True,
    shell_complete=completing.addresses_or_files,
)
@selection_options
@click.option("--force", is_flag=True, help="Look even where the broker could give a message up for it.")
@format_option("table", "json", "body")
@with_session
async def browse(
    session: Session, places: tuple[str, ...], selection: Selection, force: bool, form: Format | None
) -> int:
    """Show what is there, without taking it, and stop.

    Without --from, a topic or stream starts 500 events before its end, a queue at its oldest message, of which 500 are
    shown, and a recording at its beginning. Looking at a queue hides its messages from other consumers for that moment,
    and marks them redelivered.
    """
    selected = _Selected(session, selection)
    output = Deliveries(chosen(form))
    openers = {}
    for place in dict.fromkeys(address_or_recording(session, text) for text in places):
        openers[place] = await _opener(session, place, selected, force)
    streams: dict[Address | Path, Stream] = {}
    async with recorder(session, "browse", selection.record) as recording:
        try:
            for place, opener in openers.items():
                async with opener() as streams[place]:
                    async for batch in streams[place]:
                        some = selected.of(batch)
                        await recording.keep(some)
                        await output.write(some)
                        if selected.enough:
                            break
                if selected.enough:
                    break
        finally:
            coverage = {place: stream.coverage for place, stream in streams.items()}
            recording.cover(coverage)
            tell(coverage, chosen(form) if selection.as_record else None)
    return Exit.DONE


@click.command(short_help="Show what arrives, without taking it.")
@addresses_argument
@selection_options
@click.option("-k", "--key", "pattern", help="Of an exchange, only what this binding key matches.")
@click.option("--idle", type=click.FloatRange(0, min_open=True), help="Stop after so many seconds without an event.")
@format_option("table", "json", "body")
@with_session
async def tail(
    session: Session,
    addresses: tuple[str, ...],
    selection: Selection,
    pattern: str | None,
    idle: float | None,
    form: Format | None,
) -> int:
    """Show what arrives, without taking it, until Ctrl+C.

    Several addresses are shown in one list. A queue is tapped: a queue of our own is bound as it is, so that nothing is
    taken from it.
    """
    selected = _Selected(session, selection)
    output = Deliveries(chosen(form))
    streams = {}
    for address in dict.fromkeys(address_or_recording(session, text) for text in addresses):
        if isinstance(address, Path):
            raise ConfigError(f"{address} is a recording, in which nothing arrives: browse it.")
        connector = await session.connector(address.connection)
        streams[address] = connector.tail(address, selection.start, pattern)
    async with AsyncExitStack() as ending, merged(streams) as together:
        recording = await ending.enter_async_context(recorder(session, "tail", selection.record))
        # Once the streams are left: only then their coverage is complete.
        ending.callback(_conclude, together, recording, chosen(form) if selection.as_record else None)
        # Scripts wait for this line: what is published from here on will be seen.
        say(f"tailing {', '.join(map(str, streams))}")
        batches = aiter(together)
        with suppress(TimeoutError):
            while not selected.enough:
                async with asyncio.timeout(idle):
                    batch = await anext(batches, None)
                if batch is None:
                    break
                some = selected.of(batch)
                await recording.keep(some)
                await output.write(some)
    return Exit.FAILED if together.errors else Exit.DONE


def _conclude(together: Merged, recording: Recorder, form: Format | None) -> None:
    recording.cover(together.coverage)
    tell(together.coverage, form)
    for address, error in together.errors.items():
        fail(f"{address}: {error}", Exit.FAILED)


def tell(coverage: Covered, form: Format | None = None) -> None:
    """Say on stderr what was covered; on stdout too where a `form` is given that holds records."""
    for place, covered in coverage.items():
        say(f"{place}: {covered}")
        if form == "json":
            spans = [{"partition": each.partition, "start": each.start, "end": each.end} for each in covered.spans]
            gaps = [{"what": gap.what, "reason": gap.reason} for gap in covered.gaps]
            record = {"read": covered.read, "spans": spans, "gaps": gaps, "notes": list(covered.notes)}
            write(json_line({"coverage": {"address": str(place), **record}}))


async def _opener(
    session: Session, place: Address | Path, selected: "_Selected", force: bool
) -> Callable[[], AbstractAsyncContextManager[Stream]]:
    """Opens what is to be browsed, once it is known to be there and its price was shown."""
    start = selected.selection.start
    if isinstance(place, Path):
        return functools.partial(played, session, place, selected.query, start)
    connector = await session.connector(place.connection)
    endpoint = await connector.endpoint(place)
    seeks = Ability.SEEK in endpoint.abilities
    if endpoint.price.sentence and Ability.BROWSE in endpoint.abilities:
        say(f"{place}: {endpoint.price.sentence}")
    if start is None and seeks:
        start = FromEnd(min(BROWSED, selected.left or BROWSED) if selected.unfiltered else BROWSED)

    def opened() -> AbstractAsyncContextManager[Stream]:
        most = (selected.left or (None if seeks else BROWSED)) if selected.unfiltered else None
        return connector.browse(place, start, most, force)

    return opened


class _Selected:
    """What of the deliveries is shown, masked as the configuration says; counts down to the limit."""

    def __init__(self, session: Session, selection: Selection) -> None:
        self.selection = selection
        """What was asked for."""
        self.query = session.query(selection.where)
        """What must match."""
        self.unfiltered = not selection.where and selection.until is None
        """Whether all are shown, up to the limit."""
        self.left = selection.limit
        """How many more are wanted; None: all."""
        self._seen = session.reading.seen
        self._masked = session.reading.masked is not None
        self._until = selection.until.time if selection.until else None

    @property
    def enough(self) -> bool:
        """Whether the limit is reached."""
        return self.left is not None and self.left <= 0

    def of(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """The deliveries of a batch that are shown."""
        if not self.unfiltered or self._masked:
            batch = [self._seen(each) for each in batch if self._is_before(each) and self.query.matches(each)]
        if self.left is not None:
            batch = batch[: self.left]
            self.left -= len(batch)
        return batch

    def _is_before(self, delivery: Delivery) -> bool:
        return self._until is None or delivery.time[0] < self._until
