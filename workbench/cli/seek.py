"""Consumer groups that are put elsewhere, and back: what changes, in a table."""

from pathlib import Path

from workbench.cli.confirmation import declined
from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_or_default, json_line, table
from workbench.cli.stdio import say, write, write_json
from workbench.decode.display import visible
from workbench.operations.seek import Seek, carry_out, plan_seek_undo, resume
from workbench.session import Session


def print_seek(plan: Seek, form: Format | None) -> None:
    """Print what a seek changes."""
    if format_or_default(form) == "json":
        for each in plan.shifts:
            record = {"group": plan.group, "address": str(plan.address), "partition": each.partition}
            write_json(json_line({**record, "from": each.before, "to": each.after}))
        return
    if plan.is_new:
        say(f"There is no group {visible(plan.group)} yet: it is made.")
    rows = [(str(plan.address), each.partition, each.before or "none", each.after or "none") for each in plan.shifts]
    if rows:
        right = frozenset({"partition", "from", "to"})
        write(
            table(
                ("address", "partition", "from", "to"), [[visible(cell) for cell in row] for row in rows], right=right
            ).encode()
        )


async def put_back(session: Session, path: Path, yes: bool, form: Format | None) -> int:
    """Put the group of an operation back to where it stood."""
    plan = await plan_seek_undo(session, path)
    print_seek(plan, form)
    if not plan.shifts:
        say("Nothing to change: the group is where it was.")
        return Exit.DONE
    if (code := await declined(f"Put group {visible(plan.group)} back?", yes)) is not None:
        return code
    await carry_out(session, plan)
    say(f"Group {visible(plan.group)} is where it was.")
    return Exit.DONE


async def go_on(session: Session, path: Path) -> int:
    """Do once more what was interrupted."""
    await resume(session, path)
    say("It is done.")
    return Exit.DONE
