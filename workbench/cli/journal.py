"""`workbench journal`: what was changed on brokers; to be resumed, undone and forgotten."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import Final

import click

from workbench.cli.confirmation import confirm, declined
from workbench.cli.exit_codes import Exit
from workbench.cli.move import tell_ended
from workbench.cli.move_progress import watched
from workbench.cli.options import env_option
from workbench.cli.output import Format, format_option, format_or_default, json_line, ndjson_lines, table
from workbench.cli.runner import with_session
from workbench.cli.seek import go_on, put_back
from workbench.cli.stdio import drain_all, say, write, write_json
from workbench.decode.display import visible
from workbench.model.wording import quantity
from workbench.operations.journal.records import (
    Record,
    find_journal,
    read_entries,
    read_failures,
    read_record,
    read_steps,
    records,
)
from workbench.operations.journal.retention import forget as forget_journal
from workbench.operations.move import moves
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.words import plan_lines
from workbench.session import Session


@click.group(invoke_without_command=True)
@format_option("table", "json")
@click.pass_context
def journal(context: click.Context, form: Format | None) -> None:
    """List what was moved and deleted, newest first; show, resume, undo or forget one of these operations.

    ID is an operation's id, or how that begins.
    """
    if context.invoked_subcommand is not None:
        return
    found, wrong = records()
    for sentence in wrong:
        say(sentence)
    if format_or_default(form) == "json":
        for record in found:
            write_json(json_line(_record(record)))
    elif found:
        write(table(_TITLES, [_row(each) for each in found], right=frozenset({"done", "failed", "unknown"})).encode())
    else:
        say("Nothing was moved or deleted yet.")
    context.exit(Exit.PARTLY if wrong else Exit.DONE)


@journal.command()
@click.argument("id")
@click.option("--messages", is_flag=True, help="Print the messages as NDJSON, masked as everywhere.")
@click.option("--twice", is_flag=True, help="Only the messages that their target may have twice.")
@with_session
async def show(session: Session, id: str, messages: bool, twice: bool) -> int:
    """Show the steps of an operation, why messages stayed, and which may be there twice."""
    path = await asyncio.to_thread(find_journal, id)
    if messages or twice:
        for entry in read_entries(path):
            if entry.twice or not twice:
                write_json(ndjson_lines([await session.reading.mask_off_loop(entry.message)]))
        await drain_all()
        return Exit.DONE
    record = await asyncio.to_thread(read_record, path)
    operation, counts = record.operation, record.counts
    write(f"{operation.id}  {operation.title}\n".encode())
    write(f"{record.state}, begun {_time(operation.begun)} by {operation.by}\n".encode())
    steps, stays = await asyncio.to_thread(read_steps, path)
    for at, what in steps:
        write(f"  {_time(at)}  {visible(what, 500)}\n".encode())
    for reason, count in stays.items():
        write(f"  {count:,} stayed: {visible(reason, 500)}\n".encode())
    for why, count in (await asyncio.to_thread(read_failures, path)).items():
        write(f"  {count:,} failed: {visible(why, 500)}\n".encode())
    if counts.twice:
        sequences = [f"{operation.id}/{each.sequence}" for each in read_entries(path) if each.twice]
        named = ", ".join(sequences[:50]) + (" …" if len(sequences) > 50 else "")
        write(f"  maybe there twice, by their workbench-move header: {named}\n".encode())
    if counts.open:
        lost = quantity(counts.open, "message")
        say(f"{lost} of unknown outcome: `workbench journal resume {operation.id}` finds out.")
    return Exit.DONE


@journal.command()
@click.argument("id")
@env_option
@format_option("table", "json")
@with_session
async def resume(session: Session, id: str, form: Format | None) -> int:
    """Go on with an operation that was interrupted or stopped. Nothing that was confirmed is published again."""
    path = await asyncio.to_thread(find_journal, id)
    record = await asyncio.to_thread(read_record, path)
    if record.state == "done" and not record.counts.open:
        say(f"Operation {record.operation.id} is done: nothing is left.")
        return Exit.DONE
    if record.operation.kind == "seek":
        return await go_on(session, path)

    async def work(tell: Callable[[Progress], None], stopped: asyncio.Event) -> Ended:
        return await moves.resume(session, path, tell, stopped)

    ended, stopped = await watched(work)
    return tell_ended(record.operation.id, ended, form, stopped)


@journal.command()
@click.argument("id")
@click.option("-y", "--yes", is_flag=True, help="Go on without asking. Never lifts a guard.")
@format_option("table", "json")
@with_session
async def undo(session: Session, id: str, yes: bool, form: Format | None) -> int:
    """Take a move or a deletion back: originals return to their source, and copies that are still there go."""
    path = await asyncio.to_thread(find_journal, id)
    if (await asyncio.to_thread(read_record, path)).operation.kind == "seek":
        return await put_back(session, path, yes, form)
    plans = await moves.plan_undo(session, path)
    for plan in plans:
        for line in plan_lines(plan):
            say(str(line))
    if (code := await declined("Take them back?", yes)) is not None:
        return code

    ended: list[tuple[str, Ended]] = []
    stopped = False

    async def work(tell: Callable[[Progress], None], stopped: asyncio.Event) -> None:
        async with aclosing(moves.undo(session, path, plans, tell, stopped)) as operations:
            async for each in operations:
                ended.append(each)

    try:
        _, stopped = await watched(work)
    finally:
        codes = [tell_ended(which, each, form, stopped) for which, each in ended]
    if missing := sum(each.missing for _, each in ended):
        say(f"{quantity(missing, 'message')} no longer there: consumed, or moved on.")
    return max([Exit.DONE, *codes])


@journal.command()
@click.argument("id")
@click.option("-y", "--yes", is_flag=True, help="Go on without asking.")
def forget(id: str, yes: bool) -> None:
    """Delete an operation with all messages that it holds: then it can be neither resumed nor undone."""
    context = click.get_current_context()
    path = find_journal(id)
    record = read_record(path)
    if record.counts.open:
        say(f"{quantity(record.counts.open, 'message')} of unknown outcome in it: resume it first to find out.")
    if not yes:
        if not sys.stdin.isatty():
            say("Nothing was changed: add --yes to go on.")
            context.exit(Exit.USAGE)
        if not confirm(f"Forget {record.operation.title}?"):
            context.exit(Exit.DONE)
    forget_journal(path)
    say(f"Operation {record.operation.id} is forgotten.")


_TITLES: Final = ("id", "begun", "state", "done", "failed", "unknown", "what")


def _row(record: Record) -> list[str]:
    counts = record.counts
    return [
        record.operation.id,
        _time(record.operation.begun),
        record.state,
        "" if record.done is None else f"{record.done:,}",
        f"{counts.failed:,}",
        f"{counts.open:,}",
        visible(record.operation.title, 200),
    ]


def _record(record: Record) -> dict[str, object]:
    operation, counts = record.operation, record.counts
    return {
        "id": operation.id,
        "kind": operation.kind,
        "state": record.state,
        "begun": operation.begun,
        "ended": record.ended,
        "by": operation.by,
        "source": str(operation.source),
        "title": operation.title,
        "done": record.done,
        "confirmed": counts.confirmed,
        "open": counts.open,
        "failed": counts.failed,
        "gone": counts.gone,
        "twice": counts.twice,
        "extra": counts.extra,
        "bytes": record.bytes,
        "remark": record.remark,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M:%S")
