"""`workbench browse` and `workbench tail`: what is there, and what arrives."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

from workbench.cli.output import Deliveries, Format, chosen, format_option, json_line, write
from workbench.cli.running import Exit, fail, with_session
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import FormatError
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.model.start import FromEnd, Since, Start, parse_start
from workbench.reading.display import shown
from workbench.reading.tail import merged
from workbench.session import Session

Command = TypeVar("Command", bound=Callable[..., object])

BROWSED = 500
"""Events shown where no limit is given: of a log the last ones of each partition, of a queue the oldest ones."""


class _StartType(click.ParamType[Start]):
    name = "START"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        try:
            return parse_start(str(value), round(time.time() * 1000))
        except FormatError as error:
            self.fail(str(error), param, ctx)


class _TimeType(_StartType):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        start = super().convert(value, param, ctx)
        if not isinstance(start, Since):
            self.fail(f"{value!r} is not a time: write 2026-11-23T10:00, or -10m.", param, ctx)
        return start


addresses_argument = click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)


def selection_options(command: Command) -> Command:
    """Add `--from`, `--until`, `-w`, `-n` and `--coverage`."""
    for decorate in (
        click.option(
            "--coverage", "as_record", is_flag=True, help="With NDJSON, end with a record of what was covered."
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
        command = decorate(command)
    return command


@click.command(short_help="Show what is there, without taking it.")
@addresses_argument
@selection_options
@click.option("--force", is_flag=True, help="Look even where the broker could give a message up for it.")
@format_option("table", "json", "body")
@with_session
async def browse(
    session: Session,
    addresses: tuple[str, ...],
    start: Start | None,
    until: Since | None,
    where: str | None,
    limit: int | None,
    as_record: bool,
    force: bool,
    form: Format | None,
) -> int:
    """Show what is there, without taking it, and stop.

    Without --from, a topic or stream starts 500 events before its end and a queue at its oldest message, of which 500
    are shown. Looking at a queue hides its messages from other consumers for that moment, and marks them redelivered.
    """
    selected = _Selected(session, where, until, limit)
    output = Deliveries(chosen(form))
    coverage: dict[Address, Coverage] = {}
    whole = where is not None or until is not None
    try:
        for address in dict.fromkeys(map(session.address, addresses)):
            connector = await session.connector(address.connection)
            endpoint = await connector.endpoint(address)
            seeks = Ability.SEEK in endpoint.abilities
            if endpoint.price.sentence and Ability.BROWSE in endpoint.abilities:
                click.echo(shown(f"{address}: {endpoint.price.sentence}"), err=True)
            begin = start or (FromEnd(BROWSED if whole else min(BROWSED, limit or BROWSED)) if seeks else None)
            most = None if whole else selected.left if selected.left or seeks else BROWSED
            async with connector.browse(address, begin, most, force) as stream:
                try:
                    async for batch in stream:
                        output.write(selected.of(batch))
                        if selected.enough:
                            break
                finally:
                    coverage[address] = stream.coverage
            if selected.enough:
                break
    finally:
        tell(coverage, chosen(form) if as_record else None)
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
    start: Start | None,
    until: Since | None,
    where: str | None,
    limit: int | None,
    as_record: bool,
    pattern: str | None,
    idle: float | None,
    form: Format | None,
) -> int:
    """Show what arrives, without taking it, until Ctrl+C.

    Several addresses are shown in one list. A queue is tapped: a queue of our own is bound as it is, so that nothing is
    taken from it.
    """
    selected = _Selected(session, where, until, limit)
    output = Deliveries(chosen(form))
    streams = {}
    for address in dict.fromkeys(map(session.address, addresses)):
        connector = await session.connector(address.connection)
        streams[address] = connector.tail(address, start, pattern)
    async with merged(streams) as together:
        # Scripts wait for this line: what is published from here on will be seen.
        click.echo(f"tailing {', '.join(shown(str(address)) for address in streams)}", err=True)
        try:
            batches = aiter(together)
            while not selected.enough:
                async with asyncio.timeout(idle):
                    batch = await anext(batches, None)
                if batch is None:
                    break
                output.write(selected.of(batch))
        except TimeoutError:
            pass
        finally:
            tell(together.coverage, chosen(form) if as_record else None)
            for address, error in together.errors.items():
                fail(f"{shown(str(address))}: {error}", Exit.FAILED)
    return Exit.FAILED if together.errors else Exit.DONE


def tell(coverage: Mapping[Address, Coverage], form: Format | None = None) -> None:
    """Say on stderr what was covered; on stdout too where a `form` is given that holds records."""
    for address, covered in coverage.items():
        click.echo(shown(f"{address}: {covered}"), err=True)
        if form == "json":
            spans = [{"partition": each.partition, "start": each.start, "end": each.end} for each in covered.spans]
            gaps = [{"what": gap.what, "reason": gap.reason} for gap in covered.gaps]
            record = {"read": covered.read, "spans": spans, "gaps": gaps, "notes": list(covered.notes)}
            write(json_line({"coverage": {"address": str(address), **record}}))


class _Selected:
    """What of the deliveries is shown, masked as the configuration says; counts down to the limit."""

    def __init__(self, session: Session, where: str | None, until: Since | None, limit: int | None) -> None:
        self._query = session.query(where)
        self._seen = session.reading.seen
        self._until = until.time if until else None
        self._plain = not where and until is None and session.reading.masked is None
        self.left = limit

    @property
    def enough(self) -> bool:
        """Whether the limit is reached."""
        return self.left is not None and self.left <= 0

    def of(self, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """The deliveries of a batch that are shown."""
        if not self._plain:
            batch = [self._seen(each) for each in batch if self._is_before(each) and self._query.matches(each)]
        if self.left is not None:
            batch = batch[: self.left]
            self.left -= len(batch)
        return batch

    def _is_before(self, delivery: Delivery) -> bool:
        return self._until is None or delivery.time[0] < self._until
