"""Reading all that is in what a command names: in endpoints, in recordings, or in all of all connections."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from workbench.cli import completion
from workbench.cli.exit_codes import Exit
from workbench.cli.recordings import has_failed, play
from workbench.cli.search_options import first_names
from workbench.cli.stdio import say
from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.model.start import Window
from workbench.operations.reading import Reading
from workbench.operations.trace.scope import NOT_FREE, Plan, Scope, survey
from workbench.session import Session

Command = TypeVar("Command", bound=Callable[..., object])


def places_argument(command: Command) -> Command:
    """Add the endpoints and recordings that are read; the command gets `places`, as they were written."""
    return click.argument(
        "places",
        metavar="[ADDRESS|RECORDING...]",
        type=click.UNPROCESSED,
        nargs=-1,
        shell_complete=completion.addresses_or_files,
    )(command)


async def read_all(
    session: Session,
    places: Sequence[Address | Path],
    window: Window,
    look: bool,
    add: Callable[[Delivery, Facts], None],
    wanted: Callable[[Endpoint], bool] = lambda _: True,
) -> tuple[Reading, Plan]:
    """Read endpoints and recordings; what queues cost is said on stderr before.

    Args:
        session: Whose connections.
        places: What to read; none: all endpoints of all connections.
        window: The time of which events are read.
        look: Whether queues are browsed where that costs something.
        add: Takes each event, masked.
        wanted: Which endpoints count, where none is named.

    Raises:
        WorkbenchError: Only one endpoint was named, and it cannot be asked for; or a recording cannot be read.
    """
    recordings = [place for place in places if isinstance(place, Path)]
    addresses = tuple(place for place in places if isinstance(place, Address))
    plan = Plan()
    if addresses or not recordings:
        plan = await survey(session, Scope(addresses, window, look=look), wanted)
    for address, price in plan.prices if look else ():
        say(f"{address}: {price}")
    reading = Reading(session, window, add)
    await reading.read([*plan.logs, *plan.queues])
    for recording in recordings:
        async with play(session, recording) as stream:
            await reading.take(recording, stream)
    return reading, plan


def tell_unseen(plan: Plan) -> None:
    """Say on stderr what is not read at all, and why."""
    by_reason: dict[str, list[str]] = {}
    for where, reason in plan.unseen:
        by_reason.setdefault(reason, []).append(str(where))
    for reason, names in by_reason.items():
        hint = f" (--look browses {'it' if len(names) == 1 else 'them'})" if reason == NOT_FREE else f": {reason}"
        say(f"{first_names(names)}: not read{hint}")


def code_of_reading(
    named: Sequence[Address | Path], coverage: Mapping[Any, Coverage], refused: Collection[Address] = ()
) -> Exit:
    """The exit code as far as it depends on what could be read.

    What is wrong with one of several places keeps nobody from the others, and is not hidden by what they hold: a
    command that reads what its user names ends with 3 then, and with 1 where it could read nothing of it. It ends with
    3, too, where a part of anything failed, such as a partition that no broker leads.

    Args:
        named: What was named; empty: nothing was, and what cannot be read is told as what was not seen.
        coverage: What was read of each.
        refused: What of it could not even be asked for.
    """
    covered = {place: coverage[place] for place in named if place not in refused and place in coverage}
    broken = [place for place in named if place in refused or (place in covered and covered[place].is_cut_short)]
    if not broken:
        # Of a part that should be there and cannot be read now, nobody knows what it holds.
        return Exit.PARTLY if has_failed(coverage) else Exit.DONE
    return Exit.PARTLY if len(broken) < len(named) or any(each.read for each in covered.values()) else Exit.FAILED


def tell_gaps(reading: Reading) -> bool:
    """Say on stderr what was not seen of what was read; whether all was."""
    for place, covered in reading.coverage.items():
        if covered.gaps:
            say(f"{place}: {msgspec.structs.replace(covered, notes=())}")
    return not any(covered.gaps for covered in reading.coverage.values())
