"""Reading all that is in what a command names: in endpoints, in recordings, or in all of all connections."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from workbench.cli import completion
from workbench.cli.recordings import play
from workbench.cli.stdio import say
from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.endpoint import Endpoint
from workbench.model.event import Delivery
from workbench.model.start import Window
from workbench.operations.reading import Reading
from workbench.operations.trace.scope import Plan, Scope, survey
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
        WorkbenchError: An endpoint that was named cannot be asked for, or a recording cannot be read.
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


def tell_gaps(reading: Reading) -> bool:
    """Say on stderr what was not seen of what was read; whether all was."""
    for place, covered in reading.coverage.items():
        if covered.gaps:
            say(f"{place}: {msgspec.structs.replace(covered, notes=())}")
    return not any(covered.gaps for covered in reading.coverage.values())
