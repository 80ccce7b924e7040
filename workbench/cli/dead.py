"""`workbench dead`: why events failed, and where they wait."""

import time
from collections.abc import Sequence

import click

from workbench.cli.exit_codes import Exit
from workbench.cli.output import Format, format_option, format_or_default, json_line, table, terminal_width
from workbench.cli.read_all import code_of_reading, places_argument, read_all, tell_gaps, tell_unseen
from workbench.cli.recordings import address_or_recording
from workbench.cli.runner import with_session
from workbench.cli.search_options import look_option, window_of, window_options
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import say, write, write_json
from workbench.decode.display import visible
from workbench.model.endpoint import Endpoint
from workbench.model.errors import QueryError
from workbench.model.start import Since
from workbench.model.wording import quantity
from workbench.operations.dead.groups import MOST, Group, Groups
from workbench.operations.reading import Reading
from workbench.operations.trace.scope import Plan
from workbench.operations.trace.words import span_text
from workbench.query.field import Field
from workbench.session import Session
from workbench.table.cells import short_reason
from workbench.table.columns import FEW_CELLS
from workbench.table.sparkline import sparkline

_PARTS = 16
"""Parts of the time in which dead letters came that are told apart."""


@click.command()
@places_argument
@click.option("--by", metavar="FIELD", help="Group by a field instead of the reason, such as body.error.code.")
@window_options("Read topics and streams", "Read topics and streams up to this time.", "beginning")
@look_option
@click.option("-n", "--limit", type=click.IntRange(1), help="List this many groups, the largest.")
@format_option("table", "json")
@with_session
async def dead(
    session: Session,
    places: tuple[str, ...],
    by: str | None,
    since: Since,
    until: Since | None,
    look: bool,
    limit: int | None,
    form: Format | None,
) -> int:
    """Group dead letters by why they failed, where they come from and their type: those in what is named, or in all
    dead-letter queues and topics.

    Reasons that differ in ids and numbers alone are one. Dead-letter endpoints are those that the broker links to
    others, and those that have a name as frameworks give them; `dead_letters` in the configuration adds names of your
    own. --json also gives the query that selects each group, for `browse -w` and `move -w`.
    """
    need_connection(session, places)
    field = _field(session, by)
    groups = Groups(field)
    named = [address_or_recording(session, text) for text in places]
    reading, plan = await read_all(session, named, window_of(since, until), look, groups.add, _takes_dead_letters)
    found = list(groups)[:limit]
    if format_or_default(form) == "json":
        for group in found:
            write_json(json_line(_record(group, groups, field)))
    elif found:
        write(_table(found, field).encode())
    complete = _tell(reading, plan, groups, len(found))
    return code_of_reading(named, reading.coverage, plan.refused) or (Exit.DONE if complete else Exit.PARTLY)


def _takes_dead_letters(endpoint: Endpoint) -> bool:
    return endpoint.takes_dead_letters


def _field(session: Session, by: str | None) -> Field | None:
    try:
        return Field(by, session.reading) if by is not None else None
    except QueryError as error:
        raise click.BadParameter(error.message, param_hint="'--by'") from None


def _tell(reading: Reading, plan: Plan, groups: Groups, shown: int) -> bool:
    """Say on stderr what was read and what was not; whether all was."""
    complete = tell_gaps(reading) and not plan.unseen
    tell_unseen(plan)
    if groups.others is not None:
        say(f"{quantity(groups.others.count, 'dead letter')} not told apart: there are more than {MOST:,} groups")
    if len(groups) > shown:
        say(f"{quantity(len(groups) - shown, 'smaller group')} not shown")
    if not (plan.logs or plan.queues or plan.unseen or plan.empty or reading.coverage):
        say("there are no dead-letter queues or topics, or this user may not see them")
    else:
        read = len(reading.coverage)
        many = quantity(groups.counted, "dead letter")
        say(f"{many} in {quantity(len(groups), 'group')}, in {quantity(read, 'endpoint')}")
    return complete


def _table(found: Sequence[Group], by: Field | None) -> str:
    narrow = terminal_width() < FEW_CELLS
    since = min(group.oldest for group in found)
    until = max(group.newest for group in found)
    now = time.time() * 1000
    rows = []
    for group in found:
        arrivals = [] if narrow else [sparkline(group.arrivals.between(since, until, _PARTS), _PARTS)]
        rows.append(
            [
                f"{group.count:,}",
                span_text(round(max(now - group.oldest, 0))),
                span_text(round(max(now - group.newest, 0))),
                *arrivals,
                "" if narrow or group.attempts is None else str(group.attempts),
                visible(group.origin, 24),
                visible(group.type, 24),
                visible(short_reason(group.reason)),
            ]
        )
    arrivals = [] if narrow else ["arrivals"]
    title = ["count", "oldest", "newest", *arrivals, "attempts", "from", "type", "reason" if by is None else by.text]
    return table(title, rows, right=frozenset({"count", "oldest", "newest", "attempts"}))


def _record(group: Group, groups: Groups, by: Field | None) -> dict[str, object]:
    return {
        "reason" if by is None else by.text: group.reason or None,
        "origin": group.origin or None,
        "type": group.type or None,
        "count": group.count,
        "oldest": group.oldest,
        "newest": group.newest,
        "attempts": group.attempts,
        "endpoints": {str(address): count for address, count in group.places.items()},
        "arrivals": [[slot * group.arrivals.stretch, count] for slot, count in sorted(group.arrivals.counts.items())],
        "query": groups.query_of(group),
    }
