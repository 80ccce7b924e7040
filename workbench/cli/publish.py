"""`workbench publish`: one event from the command line, or many."""

import asyncio
import os
import re
import sys
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

import click
import msgspec

from workbench.cli import completion
from workbench.cli.ending import finishing_what_is_in_hand
from workbench.cli.exit_codes import Exit
from workbench.cli.name_values import pair, pairs
from workbench.cli.options import env_option
from workbench.cli.output import Format, format_option, format_or_default
from workbench.cli.receipts import Receipts
from workbench.cli.runner import fail, with_session
from workbench.cli.stdio import drain_all, say
from workbench.connecting.plain_files import named_content
from workbench.decode import ndjson
from workbench.decode.ndjson import Line
from workbench.model.address import Address
from workbench.model.amqp091 import NUMBERS
from workbench.model.content import Content
from workbench.model.endpoint import Ability
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Event
from workbench.model.start import Since, parse_start
from workbench.model.wire import has_properties, with_property
from workbench.operations import publish as publishing
from workbench.operations.template import Template, template_file, variables_of
from workbench.operations.template_process import TemplateProcess
from workbench.session import Session

_CHUNK = 1 << 18
"""Bytes of a file that are read, and handed to the broker, at once."""


@click.command()
@click.argument("address", shell_complete=completion.addresses)
@click.argument("body", required=False, type=click.UNPROCESSED)
@click.option("-k", "--key", type=click.UNPROCESSED, help="The record key, or the routing key of an exchange.")
@click.option("-H", "--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header. Repeatable.")
@click.option("--property", "properties", metavar="NAME=VALUE", multiple=True, help="An AMQP property. Repeatable.")
@click.option("--partition", type=click.IntRange(0), help="The partition of a topic.")
@click.option("--timestamp", metavar="TIME", help="The event's own time: 2026-11-23T10:00, or -10m.")
@click.option("--null", is_flag=True, help="Publish no body: a tombstone.")
@click.option(
    "--template",
    metavar="NAME|FILE",
    type=click.UNPROCESSED,
    help="A template to fill in: a TOML file, or the name of one in your templates folder.",
)
@click.option("--set", "values", metavar="NAME=VALUE", multiple=True, help="A variable of the template. Repeatable.")
@env_option
@click.option(
    "--count", type=click.IntRange(1), help="Number of events to publish; body, key and headers are templates then."
)
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Maximum number of events per second.")
@click.option("--twice", is_flag=True, help="Publish each event twice under one message id, to see what consumers do.")
@click.option("--file", "lines", type=click.File("rb"), help="Events as NDJSON lines, as browse and tail print them.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), help="With --file: keep the original timing, at this speed."
)
@format_option("table", "json")
@with_session
async def publish(
    session: Session,
    address: str,
    body: str | None,
    key: str | None,
    headers: tuple[str, ...],
    properties: tuple[str, ...],
    partition: int | None,
    timestamp: str | None,
    null: bool,
    template: str | None,
    values: tuple[str, ...],
    count: int | None,
    rate: float | None,
    twice: bool,
    lines: IO[bytes] | None,
    speed: float | None,
    form: Format | None,
) -> int:
    """Publish to ADDRESS and wait for the broker to confirm.

    BODY is text, @FILE for a file's bytes, or - for stdin. With --count or --set, BODY, key, headers and properties may
    hold {{ seq }}, {{ uuid() }}, {{ now() }}, {{ integer(1, 6) }}, {{ choice('a', 'b') }} and, with --env NAME,
    {{ env.NAME }}.
    """
    single = body is not None or null
    if single + (lines is not None) + (template is not None) != 1 or (body is not None and null):
        raise click.UsageError("Give one of BODY, --null, --template and --file.")
    if (lines is not None or template is not None) and (key or headers or properties or timestamp):
        raise click.UsageError("With --file or --template, the key, headers, properties and time are in the file.")
    if lines is not None and (values or count):
        raise click.UsageError("--set and --count are for templates, not for --file.")
    if speed is not None and (lines is None or rate is not None):
        raise click.UsageError("--speed is for --file, and cannot be combined with --rate.")
    target = session.address(address)
    source: Template | AsyncIterable[Sequence[Event]]
    if lines is not None:
        read = lines_of(lines)
        source = events_of(read) if speed is None else publishing.in_time(read, speed)
    elif template is not None:
        source = Template.read(template_file(template))
        session.variables = variables_of(template) | session.variables.names
    else:
        content = Content(
            tuple(pair(text, "-H") for text in headers),
            dict(_property(*pair(text, "--property")) for text in properties),
        )
        event = Event(
            key=None if key is None else key.encode("utf-8", "surrogateescape"),
            body=await _stdin() if body == "-" else None if body is None else _bytes(body),
            written=content,
            timestamp=None if timestamp is None else _time(timestamp),
        )
        source = _as_template(event) if count or values else _one(event)
    async with TemplateProcess(session.variables) as templates:
        batches: AsyncIterable[Sequence[Event]]
        if isinstance(source, Template):
            # A template may be a stranger's: it is filled in only for an endpoint that there is, and one that makes no
            # event is told before anything is sent.
            await (await session.connector(target.connection)).endpoint(target)
            batches = await publishing.begin(templates.fill(source, pairs(values, "--set"), count or 1))
        else:
            batches = source
        if twice:
            connector = await session.connector(target.connection)
            keeps_properties = Ability.PROPERTIES in (await connector.endpoint(target)).abilities
            batches = _twice(batches, keeps_properties)
        if rate is not None:
            batches = publishing.at_rate(batches, rate)
        many = lines is not None or (count or 1) > 1 or twice
        where = None if partition is None else str(partition)
        rest = None if lines is None or not lines.seekable() else partial(_lines_behind, lines, 2 if twice else 1)
        return await publish_all(session, target, batches, where, format_or_default(form), many, rest)


async def publish_all(
    session: Session,
    target: Address,
    batches: AsyncIterable[Sequence[Event]],
    partition: str | None,
    form: Format,
    many: bool,
    rest: Callable[[int], Iterable[bytes]] | None = None,
) -> int:
    """Publish batches, print a receipt for each event, and say at the end, however it comes, how many there were.

    Receipts that nobody takes stop nothing: they are no longer printed, and the figures are said.

    Args:
        session: Where the connections are.
        target: Where to.
        batches: What.
        partition: Where in a topic; None leaves it to the broker's rule.
        form: How receipts are printed.
        many: Whether figures are said though nothing was refused.
        rest: The lines of NDJSON behind so many events, where they can be read once more: what is not published of them
            is kept with what was on its way.

    Returns:
        The exit code.
    """
    connector = await session.connector(target.connection)
    receipts = Receipts(target, form)

    def tell(obstacle: str | None) -> None:
        say(f"workbench: {obstacle or f'{target.connection} takes events again.'}")

    try:
        followed = receipts.follow(batches)
        with finishing_what_is_in_hand():
            published = await publishing.publish(connector, target, followed, receipts.write, partition, tell)
    except asyncio.CancelledError:
        say(receipts.stopped)
        raise
    except WorkbenchError as error:
        told = fail(f"{error} {receipts.published.told_until}", Exit.FAILED)
        if not isinstance(error, FormatError):
            receipts.keep_open(rest)
        return Exit.PARTLY if receipts.published.confirmed else told
    await receipts.taken(drain_all)
    for change in published.changes:
        say(change)
    if many or published.failed or published.resent or receipts.broken:
        say(f"{published.summary()}.")
    if published.unknown:
        receipts.keep_open(None)
    if published.failed:
        return Exit.PARTLY if published.confirmed else Exit.FAILED
    if receipts.broken is None or isinstance(receipts.broken, BrokenPipeError):
        return Exit.DONE
    return fail(f"Receipts could not be printed: {receipts.broken.strerror}.", Exit.PARTLY)


def _lines_behind(file: IO[bytes], each: int, sent: int) -> Iterator[bytes]:
    """The lines of a file behind those of which so many events were made, `each` of a line."""
    file.seek(0)
    written = (line if line.endswith(b"\n") else line + b"\n" for line in file if line.strip())
    return islice(written, sent // each, None)


async def _one(event: Event) -> AsyncIterator[Sequence[Event]]:
    yield [event]


async def _twice(batches: AsyncIterable[Sequence[Event]], keeps_properties: bool) -> AsyncIterator[Sequence[Event]]:
    async for batch in batches:
        identified = [_with_id(event, keeps_properties) for event in batch]
        yield [twin for event in identified for twin in (event, event)]


def _with_id(event: Event, keeps_properties: bool) -> Event:
    """The event with a message id, so that a consumer can tell that it came twice."""
    headers, properties = event.headers, event.properties
    if "message_id" in properties or any(name in ("message_id", "ce_id") for name, _ in headers):
        return event
    message_id = str(uuid.uuid4())
    if not keeps_properties:
        written = Content((*headers, ("message_id", message_id)), properties)
        return msgspec.structs.replace(event, wire=None, written=written)
    if event.wire is not None and has_properties(event.wire):
        return msgspec.structs.replace(event, wire=with_property(event.wire, "message_id", message_id))
    return msgspec.structs.replace(event, wire=None, written=Content(headers, {**properties, "message_id": message_id}))


async def events_of(lines: AsyncIterable[Sequence[Line]]) -> AsyncIterator[Sequence[Event]]:
    """The events of lines, without where they were seen."""
    async for batch in lines:
        yield [line.event for line in batch]


async def lines_of(file: IO[bytes]) -> AsyncIterator[Sequence[Line]]:
    """What the lines of a file or a pipe say.

    Raises:
        FormatError: Of one it cannot be told; all before it were handed over.
    """
    number = 0
    async for lines in _lines(file):
        batch: list[Line] = []
        for line in lines:
            number += 1
            if line.strip():
                try:
                    batch.append(ndjson.decode(line))
                except FormatError as error:
                    if batch:
                        yield batch
                    raise FormatError(f"Line {number}: {error}") from None
        if batch:
            yield batch


async def _lines(file: IO[bytes]) -> AsyncIterator[list[bytes]]:
    """The lines of a file or a pipe, as many at once as can be read without waiting."""
    rest: list[bytes] = []
    async for chunk in _chunks(file):
        first, *more = chunk.split(b"\n")
        rest.append(first)
        if more:
            yield [b"".join(rest), *more[:-1]]
            rest = [more[-1]]
    yield [b"".join(rest)]


async def _stdin() -> bytes:
    return b"".join([chunk async for chunk in _chunks(sys.stdin.buffer)])


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        try:
            loop.add_reader(file, ready.set)
        except PermissionError:
            # A file on disk is always ready, which is why it cannot be waited for.
            chunk = file.read(_CHUNK)
        else:
            try:
                await ready.wait()
            finally:
                loop.remove_reader(file)
            chunk = os.read(file.fileno(), _CHUNK)
        if not chunk:
            return
        yield chunk


def _as_template(event: Event) -> Template:
    try:
        return Template(
            key=None if event.key is None else event.key.decode(),
            body=None if event.body is None else event.body.decode(),
            headers=tuple((name, str(value)) for name, value in event.headers),
            properties={
                name: value if isinstance(value, int) else str(value) for name, value in event.properties.items()
            },
            timestamp=event.timestamp,
        )
    except UnicodeDecodeError:
        raise click.UsageError("Only text can be a template: this body or key is not UTF-8.") from None


def _bytes(body: str) -> bytes:
    if body.startswith("@"):
        try:
            return named_content(Path(body[1:]))
        except OSError as error:
            raise click.UsageError(f"{body[1:]!r} cannot be read: {error.strerror}.") from None
    return body.encode("utf-8", "surrogateescape")


def _property(name: str, value: str) -> tuple[str, str | int]:
    name = name.replace("-", "_")
    if name in NUMBERS:
        if not re.fullmatch(r"\d{1,19}", value):
            raise click.UsageError(f"--property {name} takes a number, not {value!r}.")
        return name, int(value)
    return name, value


def _time(text: str) -> int:
    start = parse_start(text, round(time.time() * 1000))
    if not isinstance(start, Since):
        raise click.UsageError(f"--timestamp {text!r} is not a time.")
    return start.time
