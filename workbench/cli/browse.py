"""`workbench browse` and `workbench tail`: what is there, and what arrives."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import Any, Self

import click
import msgspec

from workbench.cli import completion
from workbench.cli.event_output import EventOutput, EventPrinter, event_output_option
from workbench.cli.exit_codes import Exit
from workbench.cli.options import cluster_option
from workbench.cli.output import Format, coverage_record
from workbench.cli.recordings import Covered, Recorder, address_or_recording, has_failed, play, recorder
from workbench.cli.runner import fail, with_session
from workbench.cli.search_options import StartType, TimeType, first_names
from workbench.cli.stdio import end_with_reader, say, write_json
from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.errors import ConfigError, ConnectorError, GuardRefused, StoreError, WorkbenchError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Interruption
from workbench.model.start import FromEnd, Since, Start
from workbench.operations.browse_defaults import Few, place_of, price_of
from workbench.operations.browse_matching import browse_matching, searchable
from workbench.operations.merge import Merged, merge
from workbench.session import Session


class Selection(msgspec.Struct, frozen=True):
    """What `selection_options` say.

    Attributes:
        start: Where to begin; None: where the command does.
        until: Only events before this time.
        where: A query.
        limit: Stop after this many events.
        as_record: Whether coverage is a record, too, where records are printed.
        record: The recording to make of what is shown.
    """

    start: Start | None
    until: Since | None
    where: str | None
    limit: int | None
    as_record: bool
    record: Path | None

    @property
    def narrowed(self) -> bool:
        """Whether something chooses among the events that are there."""
        return bool(self.where or self.until)


addresses_argument = click.argument(
    "addresses", metavar="ADDRESS...", nargs=-1, required=True, shell_complete=completion.addresses
)


def selection_options(limit: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `--from`, `--until`, `-w`, `-n`, `--record` and `--coverage`; the command gets them as its `selection`.

    Args:
        limit: What `-n` means.
    """

    def add_options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            selection = Selection(*(given.pop(name) for name in Selection.__struct_fields__))
            command(selection=selection, **given)

        decorated: Callable[..., None] = run
        for decorate in _decorators(limit):
            decorated = decorate(decorated)
        return decorated

    return add_options


def _decorators(limit: str) -> Sequence[Callable[[Callable[..., None]], Callable[..., None]]]:
    return (
        click.option(
            "--coverage",
            "as_record",
            is_flag=True,
            help="With NDJSON, finish with a record of what was read and what was not.",
        ),
        click.option(
            "--record",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Also write the events to a recording, which browse and replay can read.",
        ),
        click.option("-n", "--limit", type=click.IntRange(1), help=limit),
        click.option("-w", "--where", metavar="QUERY", help="Only events that match, e.g. 'type = OrderPlaced'."),
        click.option("--until", type=TimeType(), help="Only events before this time."),
        click.option(
            "--from",
            "start",
            type=StartType(),
            help="beginning, latest, -10m, 2026-11-23T10:00, 3:1200 (partition:offset), end-500 (the newest 500 of all"
            " partitions) or group:NAME.",
        ),
    )


@click.command()
@click.argument(
    "places",
    metavar="ADDRESS|RECORDING...",
    type=click.UNPROCESSED,
    nargs=-1,
    required=True,
    shell_complete=completion.addresses_or_files,
)
@selection_options(
    "Print this many events: without --from the newest of a topic or stream, otherwise the first from there."
)
@click.option(
    "--force",
    is_flag=True,
    help="Browse even if the delivery limit could make the broker drop or dead-letter a message.",
)
@event_output_option
@cluster_option
@with_session
async def browse(
    session: Session, places: tuple[str, ...], selection: Selection, force: bool, output: EventOutput
) -> int:
    """Print the messages in a queue, topic or stream without consuming them, then exit.

    Without --from: the 500 newest events of a topic or stream over all its partitions, the 500 oldest messages of a
    queue, all of a recording. -w searches these 500 only; search more with, for example, --from beginning. With -n, a
    recording shows its newest events, and several topics, streams and recordings count together. While a queue is
    browsed, its messages are hidden from other consumers, and they come back marked as redelivered.
    """
    selected = _Selected(session, selection)
    failed: dict[Address | Path, Exit] = {}
    looked_at = list(dict.fromkeys(address_or_recording(session, text) for text in places))
    printer = EventPrinter(output, session.reading, looked_at)

    @contextmanager
    def report_errors_of(place: Address | Path) -> Iterator[None]:
        """What is wrong with one of several places keeps nobody from the others."""
        try:
            yield
        except (ConnectorError, GuardRefused, StoreError) as error:
            if len(looked_at) == 1:
                raise
            failed[place] = fail(str(error) if str(place) in str(error) else f"{place}: {error}", Exit.PARTLY)

    browsed: dict[Address | Path, _Browsed] = {}
    for place in looked_at:
        with report_errors_of(place):
            browsed[place] = await _Browsed.of(session, place, selected, force)
    few = _few(selection, list(browsed.values()))
    streams: dict[Address | Path, Stream] = {}

    printed = 0

    async def show(some: Sequence[Delivery]) -> None:
        nonlocal printed
        await recording.keep(some)
        await printer.write(some)
        printed += len(some)

    async with recorder(session, "browse", selection.record) as recording, _search(session, selected, browsed) as found:
        try:
            for number, (place, each) in enumerate(browsed.items()):
                left = selection.limit
                with report_errors_of(place):
                    async with nullcontext(found[place]) if place in found else each.open() as streams[place]:
                        async for batch in streams[place]:
                            if few is None:
                                await show(await selected.of(batch))
                                if selected.enough:
                                    break
                            else:
                                some = await selected.filter(batch)
                                few.add(number, some)
                                left = (left or 0) - len(some)
                                if left <= 0 and selection.start is not None:
                                    break
                if selected.enough:
                    break
            if few is not None:
                await show(list(few))
        finally:
            coverage = {place: browsed[place].coverage_of(stream.coverage, few) for place, stream in streams.items()}
            recording.cover(coverage)
            tell(coverage, output.form if selection.as_record else None)
            if selection.limit is None or printed < selection.limit:
                _tell_unsearched(selection, browsed, coverage)
    unread = failed or has_failed(coverage)
    return Exit.FAILED if len(failed) == len(looked_at) else Exit.PARTLY if unread else Exit.DONE


@click.command()
@addresses_argument
@selection_options("Stop after this many events.")
@click.option("-k", "--key", "pattern", help="For an exchange: only messages that this binding key matches.")
@click.option("--idle", type=click.FloatRange(0, min_open=True), help="Stop after this many seconds without an event.")
@event_output_option
@with_session
async def tail(
    session: Session,
    addresses: tuple[str, ...],
    selection: Selection,
    pattern: str | None,
    idle: float | None,
    output: EventOutput,
) -> int:
    """Print messages as they arrive, without consuming them, until Ctrl+C.

    Several addresses are merged into one list. A queue is tapped: a temporary queue with the same bindings gets copies
    of what is published, and nothing is taken from the queue itself.
    """
    selected = _Selected(session, selection)
    streams = {}
    for address in dict.fromkeys(address_or_recording(session, text) for text in addresses):
        if isinstance(address, Path):
            raise ConfigError(f"{address} is a recording, in which nothing arrives: browse it.")
        streams[address] = session.tail(address, selection.start, pattern)
    printer = EventPrinter(output, session.reading, streams)
    told: dict[Address, WorkbenchError] = {}

    def tell_changes(
        lost: Mapping[Address, Interruption], back: Sequence[Address], broken: Mapping[Address, WorkbenchError]
    ) -> None:
        _tell_outages(lost, back)
        _tell_errors(broken)
        told.update(broken)

    async with AsyncExitStack() as ending, merge(streams, partly=True, tell=tell_changes) as together:
        recording = await ending.enter_async_context(recorder(session, "tail", selection.record))
        # Once the streams are left: only then their coverage is complete.
        told.update(together.errors)
        ending.callback(_conclude, together, recording, output.form if selection.as_record else None, told)
        _tell_errors(told)
        # Scripts wait for this line: what is published from here on will be seen.
        say(f"tailing {', '.join(str(address) for address in streams if address not in told)}")
        end_with_reader()
        batches = aiter(together)
        with suppress(TimeoutError):
            while not selected.enough:
                async with asyncio.timeout(idle):
                    batch = await anext(batches, None)
                if batch is None:
                    break
                some = await selected.of(batch)
                await recording.keep(some)
                await printer.write(some)
    if len(together.errors) == len(streams):
        return Exit.FAILED
    return Exit.PARTLY if together.errors or has_failed(together.coverage) else Exit.DONE


def _tell_unsearched(selection: Selection, browsed: Mapping[Address | Path, "_Browsed"], coverage: Covered) -> None:
    """Say how to see further where a query chose among the newest events only."""
    if selection.where is None or selection.start is not None:
        return
    for place, each in coverage.items():
        if browsed[place].log and each.total is not None and each.read < each.total:
            say(f"{place}: -w chose among the newest {each.read:,}: --from beginning searches all, --from -1h an hour")


def _tell_outages(lost: Mapping[Address, Interruption], back: Sequence[Address]) -> None:
    """Say, once for all of one reason, what is not read for the moment, and what is again."""
    reasons: dict[str, list[Address]] = {}
    for address, interruption in lost.items():
        reasons.setdefault(interruption.reason, []).append(address)
    for reason, addresses in reasons.items():
        say(f"workbench: {first_names([*map(str, addresses)])}: {reason.rstrip('.')}; trying again.")
    if back:
        say(f"workbench: tailing {first_names([*map(str, back)])} again.")


def _conclude(
    together: Merged, recording: Recorder, form: Format | None, told: Mapping[Address, WorkbenchError]
) -> None:
    recording.cover(together.coverage)
    tell(together.coverage, form)
    _tell_errors({address: error for address, error in together.errors.items() if address not in told})


def _tell_errors(errors: Mapping[Address, WorkbenchError]) -> None:
    for address, error in errors.items():
        fail(str(error) if str(address) in str(error) else f"{address}: {error}", Exit.FAILED)


def tell(coverage: Covered, form: Format | None = None) -> None:
    """Say on stderr what was covered; on stdout too where a `form` is given that holds records."""
    for place, covered in coverage.items():
        say(f"{place}: {covered}")
        if form == "json":
            write_json(coverage_record(place, covered))


class _Browsed(msgspec.Struct, frozen=True):
    """What is to be browsed, known to be there.

    Attributes:
        open: Opens it.
        depth: How many events are in it, where that is known.
        log: Whether it is a log or a recording, in which a place can be chosen.
        endpoint: The log, if what matches in it can be found by its bytes; else None.
    """

    open: Callable[[], AbstractAsyncContextManager[Stream]]
    depth: int | None = None
    log: bool = False
    endpoint: Endpoint | None = None

    @classmethod
    async def of(cls, session: Session, place: Address | Path, selected: "_Selected", force: bool) -> Self:
        """Ask for an endpoint, and show the price of looking at it."""
        selection = selected.selection
        if isinstance(place, Path):
            start = selection.start
            if start is None and selection.limit is not None and not selection.narrowed:
                start = FromEnd(selection.limit)
            return cls(functools.partial(play, session, place, selected.query, start), log=True)
        connector = await session.connector(place.connection)
        endpoint = await connector.endpoint(place)
        if price := price_of(endpoint):
            say(f"{place}: {price}")
        until = selection.until.time if selection.until else None

        def open_stream() -> AbstractAsyncContextManager[Stream]:
            start, most = place_of(endpoint, selection.start, selected.left, until, bool(selection.where))
            return connector.browse(place, start, most, force)

        by_bytes = searchable(session, endpoint, selected.query, selection.start)
        return cls(open_stream, endpoint.depth, endpoint.family == "log", endpoint if by_bytes else None)

    def coverage_of(self, coverage: Coverage, few: Few | None) -> Coverage:
        """A coverage that says of how many events it is, and what was read and could not be shown."""
        total = self.depth if coverage.total is None else coverage.total
        return msgspec.structs.replace(coverage, total=total, gaps=(*coverage.gaps, *(few.gaps if few else ())))


def _few(selection: Selection, browsed: Sequence[_Browsed]) -> Few | None:
    """Holds what is shown where that is only known once all was read: `-n` of several logs or recordings, or where a
    query or `--until` leaves out some of the newest."""
    if selection.limit is None or not all(each.log for each in browsed):
        return None
    newest = selection.start is None
    return Few(selection.limit, newest) if len(browsed) > 1 or (newest and selection.narrowed) else None


@asynccontextmanager
async def _search(
    session: Session, selected: "_Selected", browsed: Mapping[Address | Path, _Browsed]
) -> AsyncIterator[Mapping[Address | Path, Stream]]:
    """The streams of all places in which what matches can be found by bytes: they are searched at once."""
    selection = selected.selection
    endpoints = [each.endpoint for each in browsed.values() if each.endpoint is not None]
    if not endpoints or selection.start is None:
        yield {}
        return
    until = selection.until.time if selection.until else None
    async with browse_matching(session, endpoints, selected.query, selection.start, until, selection.limit) as streams:
        yield dict[Address | Path, Stream](streams.items())


class _Selected:
    """What of the deliveries is shown, masked as the configuration says; counts down to the limit."""

    def __init__(self, session: Session, selection: Selection) -> None:
        self.selection = selection
        """What was asked for."""
        self.query = session.query(selection.where)
        """What must match."""
        self._unfiltered = not selection.narrowed
        self.left = selection.limit
        """How many more are wanted; None: all."""
        self._seen = session.reading.mask
        self._masked = session.reading.masked is not None
        self._until = selection.until.time if selection.until else None

    @property
    def enough(self) -> bool:
        """Whether the limit is reached."""
        return self.left is not None and self.left <= 0

    async def filter(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """The deliveries of a batch that may be shown."""
        if self._masked:
            # A large body may take a second to mask, and the connections must go on meanwhile.
            return await asyncio.to_thread(self._filter, batch)
        return batch if self._unfiltered else self._filter(batch)

    def _filter(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        return [self._seen(each) for each in batch if self._is_before(each) and self.query.matches(each)]

    async def of(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """The deliveries of a batch that are shown."""
        batch = await self.filter(batch)
        if self.left is not None:
            batch = batch[: self.left]
            self.left -= len(batch)
        return batch

    def _is_before(self, delivery: Delivery) -> bool:
        return self._until is None or delivery.time[0] < self._until
