"""`workbench move` and `workbench delete`: a plan first, then what it says, every message journalled."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from click.core import ParameterSource

from workbench.cli import completion
from workbench.cli.confirmation import declined
from workbench.cli.edit_options import edit_options
from workbench.cli.exit_codes import Exit
from workbench.cli.move_progress import watched
from workbench.cli.output import Format, format_option, format_or_default, json_line
from workbench.cli.runner import with_session
from workbench.cli.stdio import drain_all, say, write, write_json
from workbench.decode.display import visible
from workbench.model.address import Address
from workbench.model.event import Delivery
from workbench.model.start import Beginning
from workbench.model.wording import quantity, time_span
from workbench.operations.browse_defaults import price_of
from workbench.operations.edit.by_hand import text_left, text_to_edit
from workbench.operations.edit.edit import Edit
from workbench.operations.edit.external_program import EDITOR, edit_in_program
from workbench.operations.journal.journal_file import journal_folder
from workbench.operations.journal.operation import now
from workbench.operations.move.moves import carry_out
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.plan import CANARY, WATCH, Plan, load_plan, save_plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.move.words import plan_lines
from workbench.session import Session


def _run_options(command: Callable[..., object]) -> Callable[..., object]:
    for decorate in (
        click.option("-w", "--where", metavar="QUERY", default="", help="Only messages that match."),
        click.option("-n", "--limit", type=click.IntRange(1), help="At most this many, from the head of the source."),
        click.option(
            "--look",
            type=click.IntRange(1),
            metavar="COUNT",
            help="How many messages the plan looks at, from the head of the source: of a queue 50,000, unless you say"
            " more. They are held meanwhile; what is further back is decided about as it is reached.",
        ),
        click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
        click.option("-y", "--yes", is_flag=True, help="Go on without asking. Never lifts a guard."),
        format_option("table", "json"),
    ):
        command = decorate(command)
    return command


@click.command()
@click.argument("source", required=False, shell_complete=completion.addresses)
@click.argument("target", required=False, shell_complete=completion.addresses)
@_run_options
@edit_options
@click.option("--edit", "by_hand", is_flag=True, help="Edit the body in $EDITOR; for one message.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most this many messages per second.")
@click.option(
    "--canary",
    is_flag=True,
    help="Move 1, 5, then 20 messages, each time watching the source, and stop when any comes back.",
)
@click.option(
    "--watch",
    type=click.FloatRange(0, min_open=True),
    default=WATCH,
    show_default=True,
    metavar="SECONDS",
    help="How long --canary watches after each step.",
)
@click.option("--again", is_flag=True, help="Also what an earlier move has copied already.")
@click.option("--force", is_flag=True, help="Use a target though it may drop what it confirms, or a message too often.")
@click.option(
    "--engine",
    type=click.Choice(["workbench", "shovel"]),
    default="workbench",
    show_default=True,
    help="Who moves the messages: shovel is RabbitMQ's own, for a whole queue; it journals none of them.",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the plan to this file instead of running it; without a SOURCE, run the plan in it.",
)
@with_session
async def move(
    session: Session,
    source: str | None,
    target: str | None,
    where: str,
    limit: int | None,
    look: int | None,
    dry_run: bool,
    yes: bool,
    form: Format | None,
    rate: float | None,
    canary: bool,
    watch: float,
    again: bool,
    force: bool,
    engine: str,
    plan_file: Path | None,
    by_hand: bool,
    edit: Edit,
) -> int:
    """Move messages from SOURCE to TARGET, or each to where it came from.

    The plan is printed before anything moves: what goes where, who will receive it, what is changed and what stays.
    Each message is journalled, published and confirmed before the source lets it go; a topic or stream keeps its
    events, so that they are copied. What is interrupted is resumed by `workbench journal resume`.
    """
    if source is None:
        if plan_file is None:
            raise click.UsageError("Name a SOURCE, or a plan with --plan FILE.")
        _check_plan_decides(click.get_current_context())
        plan = await asyncio.to_thread(load_plan, plan_file)
        say(f"Planned by {visible(plan.by)} {time_span((now() - plan.made) // 1000)} ago.")
    else:
        wanted = Wanted(
            session.address(source),
            target=session.address(target) if target is not None else None,
            query=where,
            limit=limit,
            look=look,
            again=again,
            force=force,
            rate=rate,
            canary=CANARY if canary else (),
            watch=watch,
            engine="broker" if engine == "shovel" else "workbench",
            edit=edit,
        )
        if by_hand:
            wanted = await _edited_by_hand(session, wanted)
        plan = await make_plan(session, wanted, on_price=_price_sayer(wanted.source))
    _print_plan(plan, form)
    if source is not None and plan_file is not None:
        await asyncio.to_thread(save_plan, plan, plan_file)
        say(f"The plan is in {plan_file}: run it with `workbench move --plan {plan_file}`.")
        return Exit.DONE
    return await _run(session, plan, dry_run, yes, form, force)


@click.command()
@click.argument("source", shell_complete=completion.addresses)
@_run_options
@with_session
async def delete(
    session: Session,
    source: str,
    where: str,
    limit: int | None,
    look: int | None,
    dry_run: bool,
    yes: bool,
    form: Format | None,
) -> int:
    """Delete messages from a queue.

    Each is journalled before it is deleted, and `workbench journal undo` publishes it there again. Needs the guard
    `destroy`.
    """
    wanted = Wanted(session.address(source), purpose="delete", query=where, limit=limit, look=look)
    plan = await make_plan(session, wanted, on_price=_price_sayer(wanted.source))
    _print_plan(plan, form)
    return await _run(session, plan, dry_run, yes, form, False)


_OF_A_RUN: Final = ("plan_file", "dry_run", "yes", "form", "force")
"""Options that mean something to a plan that is made already."""


def _check_plan_decides(context: click.Context) -> None:
    """Refuse what a plan that is made already has decided: it would be without effect.

    Raises:
        click.UsageError: Such an option was given.
    """
    for option in context.command.params:
        if not (isinstance(option, click.Option) and option.expose_value and option.name not in _OF_A_RUN):
            continue
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option.opts[-1]} is decided by the plan in the file: make another one with it, or leave it out."
            )


def _price_sayer(source: Address) -> Callable[[str], None]:
    return lambda price: say(f"{source}: {price}")


async def _edited_by_hand(session: Session, wanted: Wanted) -> Wanted:
    """The same for the one message that matches, with the body as the user's editor leaves it."""
    query = session.query(wanted.query)
    endpoint = await (await session.connector(wanted.source.connection)).endpoint(wanted.source)
    if price := price_of(endpoint):
        _price_sayer(wanted.source)(price)
    found: list[Delivery] = []
    async with session.browse(wanted.source, Beginning() if endpoint.family == "log" else None) as stream:
        async for batch in stream:
            found += [each for each in batch if query.matches(each)]
            if len(found) > 1 and wanted.limit != 1:
                raise click.UsageError("--edit is for one message, and several match: narrow -w, or give -n 1.")
    if not found:
        raise click.UsageError("--edit is for one message, and none matches.")
    seen = await session.reading.mask_off_loop(found[0])
    text = text_to_edit(found[0].event, seen.event)
    await drain_all()
    left = await edit_in_program(EDITOR, text.encode())
    try:
        changed = text_left(text, left.decode())
    except UnicodeDecodeError:
        raise click.UsageError("What the editor left is not UTF-8.") from None
    if changed is None:
        raise click.UsageError("The body was left as it is, so nothing was changed.")
    edit = msgspec.structs.replace(wanted.edit, text=changed)
    return msgspec.structs.replace(wanted, selected=(found[0],), edit=edit)


def _print_plan(plan: Plan, form: Format | None) -> None:
    if format_or_default(form) == "json":
        write_json(json_line(_plan_record(plan)))
        return
    for line in plan_lines(plan):
        write(f"{line}\n".encode())


async def _run(session: Session, plan: Plan, dry_run: bool, yes: bool, form: Format | None, force: bool) -> int:
    if dry_run:
        return Exit.DONE
    if not plan.moving:
        beyond = plan.depth - plan.examined if plan.removes else 0
        say(
            f"Nothing to {plan.verb} among the first {plan.examined:,}: --look {plan.depth} looks at all."
            if beyond > 0
            else f"Nothing to {plan.verb}."
        )
        return Exit.PARTLY if plan.stays else Exit.NOT_FOUND
    code = await declined(f"{plan.verb.capitalize()} {quantity(plan.moving, 'message')}?", yes)
    if code is not None:
        return code

    async def work(tell: Callable[[Progress], None], stopped: asyncio.Event) -> Ended:
        return await carry_out(session, plan, tell, stopped, force)

    ended, stopped = await watched(work)
    return tell_ended(plan.id, ended, form, stopped)


def tell_ended(id: str, ended: Ended, form: Format | None, stopped: bool) -> int:
    """Say how an operation ended; the exit code."""
    for reason, count in ended.reasons:
        say(f"{count:,} stayed: {reason}")
    if format_or_default(form) == "json":
        write_json(json_line(_ended_record(id, ended)))
    else:
        write(f"{ended.sentence}\n".encode())
    if ended.why:
        say(ended.why)
    if ended.can_go_on:
        say(f"Go on with `workbench journal resume {id}`; see {journal_folder()}.")
    if ended.state == "stopped" and stopped:
        return Exit.STOPPED
    if ended.complete:
        return Exit.DONE
    return Exit.PARTLY if ended.moved or ended.state != "interrupted" else Exit.FAILED


def _plan_record(plan: Plan) -> dict[str, object]:
    return {
        "plan": plan.id,
        "by": plan.by,
        "source": str(plan.source),
        "verb": plan.verb,
        "scope": plan.scope,
        "query": plan.query or None,
        "moving": plan.moving,
        "examined": plan.examined,
        "not_matching": plan.not_matching,
        "moved_before": plan.moved_before,
        "guarantee": plan.guarantee,
        "targets": [
            {
                "address": str(leg.address),
                "count": leg.count,
                "receivers": leg.receivers,
                "changes": list(leg.changes),
                "removed": list(leg.removed),
            }
            for leg in plan.legs
        ],
        "stays": [{"reason": each.reason, "count": each.count} for each in plan.stays],
        "warnings": list(plan.warnings),
    }


def _ended_record(id: str, ended: Ended) -> dict[str, object]:
    return {
        "operation": id,
        "state": ended.state,
        ended.verb: ended.moved,
        "failed": ended.failed,
        "stay": ended.left,
        "returned": ended.returned,
        "twice": ended.twice,
        "extra": ended.extra,
        "unseen": ended.unseen,
        "gone": ended.gone,
        "open": ended.open,
        "missing": ended.missing,
        "seconds": round(ended.seconds, 3),
        "reasons": _reasons(ended.reasons),
    }


def _reasons(reasons: Sequence[tuple[str, int]]) -> list[dict[str, object]]:
    return [{"reason": reason, "count": count} for reason, count in reasons]
