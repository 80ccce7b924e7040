"""`workbench sagas`: which flows are stuck, by the paths that most flows of their type take."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from click.core import ParameterSource

from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default, json_line, table, terminal_width
from workbench.cli.read_all import code_of_reading, places_argument, read_all, tell_gaps, tell_unseen
from workbench.cli.recordings import address_or_recording
from workbench.cli.runner import with_session
from workbench.cli.search_options import look_option, window_of, window_options
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import say, write, write_json
from workbench.decode.display import visible
from workbench.facts.facts import Facts
from workbench.model.event import Delivery
from workbench.model.start import Since
from workbench.model.wording import quantity
from workbench.operations.reading import Reading
from workbench.operations.saga import paths as saga_paths
from workbench.operations.saga.flows import STEPS, Flows, occurrence_of
from workbench.operations.saga.paths import LEAST, Saga, State, judge_all, learn
from workbench.operations.saga.words import death, path_text
from workbench.operations.trace.scope import Plan
from workbench.operations.trace.words import span_text
from workbench.session import Session
from workbench.table.columns import FEW_CELLS

_ODD: Final[frozenset[State]] = frozenset({"dead letter", "unexpected", "compensated"})
"""The states of flows that are not stuck, and yet not as most are."""


@click.command()
@places_argument
@window_options("Read topics and streams", "Read topics and streams up to this time.")
@look_option
@click.option("-n", "--limit", type=click.IntRange(1), help="List this many flows, the worst.")
@click.option("--all", "every", is_flag=True, help="List also those that are compensated, or odd.")
@format_option("table", "json")
@with_session
async def sagas(
    session: Session,
    places: tuple[str, ...],
    since: Since,
    until: Since | None,
    look: bool,
    limit: int | None,
    every: bool,
    form: Format | None,
) -> int:
    """List the flows that are stuck, the worst first, in what is named or in all of all connections.

    Flows are told apart by their correlation ids. The usual path of a type of flow is learned from the flows that are
    read: which events come in most of them, in which order, and how long each takes. A flow is stuck where the next
    usual event does not come within twice the time that 95 of 100 take. `workbench trace ID` shows one in full.
    """
    need_connection(session, places)
    named = [address_or_recording(session, text) for text in places]
    recorded = bool(named) and all(isinstance(place, Path) for place in named)
    # A recording was made when its events were of interest: all of it is, unless the user says otherwise.
    chosen = click.get_current_context().get_parameter_source("since") is not ParameterSource.DEFAULT
    window = window_of(since if chosen or not recorded else Since(0), until)
    gathered = Flows()

    def add(delivery: Delivery, facts: Facts) -> None:
        if (occurrence := occurrence_of(delivery, facts)) is not None:
            gathered.add(occurrence)

    reading, plan = await read_all(session, named, window, look, add)
    flows = list(gathered)
    paths = learn(flows)
    now = until.time if until else reading.latest if recorded else round(time.time() * 1000)
    stands = judge_all(flows, paths, now)
    found = [saga for saga in stands if saga.stuck or (every and saga.state in _ODD)]
    json = format_or_default(form) == "json"
    for path in paths.values():
        if json:
            write_json(json_line({"path": _path_record(path)}))
        elif len(path.steps) > 1:
            say(visible(path_text(path)))
    if json:
        for saga in found[:limit]:
            write_json(json_line(_record(saga)))
    elif found:
        write(_table(found[:limit]).encode())
    complete = _tell(reading, plan, gathered, paths.values(), sum(saga.stuck for saga in found))
    return code_of_reading(named, reading.coverage, plan.refused) or (Exit.DONE if complete else Exit.PARTLY)


def _tell(reading: Reading, plan: Plan, flows: Flows, paths: Iterable[saga_paths.Path], stuck: int) -> bool:
    """Say on stderr what was read and what was not; whether all was."""
    complete = tell_gaps(reading) and not plan.unseen
    tell_unseen(plan)
    if not (reading.coverage or plan.unseen or plan.empty):
        say("there is nothing to be read, or this user may not see it")
    if flows.dropped:
        complete = False
        say(f"{quantity(flows.dropped, 'flow')} were let go: narrow it with addresses and --since")
    if flows.cut:
        complete = False
        cut = quantity(flows.cut, "flow")
        say(f"{cut} not judged: more than {STEPS} types of events have the same correlation id")
    if len(flows) and not any(True for _ in paths):
        say(f"no type has {LEAST} flows, from which a path could be learned: read more with --since")
    events = sum(covered.read for covered in reading.coverage.values())
    say(f"{stuck:,} stuck of {quantity(len(flows), 'flow')} in {quantity(events, 'event')}")
    return complete


def _table(found: Sequence[Saga]) -> str:
    narrow = terminal_width() < FEW_CELLS
    types = 16 if narrow else 40
    rows = []
    for saga in found:
        # What is usual matters least, and ids are told apart by their beginnings.
        usual = [] if narrow else [span_text(saga.p95) if saga.stuck else ""]
        rows.append(
            [
                visible(saga.flow.correlation, 22 if narrow else 36),
                visible(saga.flow.last.type, types),
                visible(saga.missing or "", types),
                span_text(saga.waiting) if saga.stuck else "",
                *usual,
                visible(_why(saga)),
            ]
        )
    title = ["correlation", "last", "waits for", "for", *([] if narrow else ["usually"]), "why"]
    return table(title, rows, right=frozenset({"for", "usually"}))


def _why(saga: Saga) -> str:
    said = []
    if saga.flow.dead is not None:
        said.append(death(saga.flow.dead))
    if saga.compensation is not None:
        said.append(f"ended by {saga.compensation}")
    if saga.unexpected:
        said.append(f"unexpected: {', '.join(saga.unexpected)}")
    return "; ".join(said)


def _path_record(path: saga_paths.Path) -> dict[str, object]:
    return {
        "type": path.type,
        "flows": path.flows,
        "steps": [msgspec.structs.asdict(step) for step in path.steps],
        "compensations": sorted(path.compensations),
    }


def _record(saga: Saga) -> dict[str, object]:
    last, dead = saga.flow.last, saga.flow.dead
    return {
        "correlation": saga.flow.correlation,
        "type": saga.type,
        "state": saga.state,
        "stuck": saga.stuck,
        "last": {"type": last.type, "place": last.place, "time": last.last},
        "missing": saga.missing,
        "waiting": saga.waiting if saga.stuck else 0,
        "usual": saga.p95 if saga.stuck else None,
        "dead": None if dead is None else {"type": dead.type, "place": dead.place, "reason": dead.reason},
        "unexpected": list(saga.unexpected),
        "compensation": saga.compensation,
    }
