"""`workbench trace`: one flow across all connections."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import click
import msgspec

from workbench.cli import completion
from workbench.cli.exit_codes import Exit
from workbench.cli.options import cluster_option
from workbench.cli.output import (
    Format,
    coverage_record,
    format_option,
    format_or_default,
    json_line,
    ndjson_lines,
    terminal_width,
)
from workbench.cli.read_all import code_of_reading
from workbench.cli.runner import fail, with_session
from workbench.cli.search_options import first_names, look_option, window_of, window_options
from workbench.cli.search_progress import search_progress
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import drain, end_with_reader, say, write, write_json
from workbench.decode.display import cells, visible
from workbench.model.errors import unwrap_exception_group
from workbench.model.start import Since
from workbench.model.wording import quantity
from workbench.operations.trace import words
from workbench.operations.trace.closure import DEPTH
from workbench.operations.trace.following import Arrivals, arrivals
from workbench.operations.trace.forest import Step, Trace
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import NOT_FREE, Plan, Scope, survey
from workbench.operations.trace.seeds import Seed
from workbench.session import Session
from workbench.store.store import open_store

_SHARE: Final = 2
"""How many times as long as one telling took the next one waits, while a flow is followed."""


@click.command()
@click.argument("seed", metavar="ID|PATH=VALUE")
@click.argument("addresses", metavar="[ADDRESS...]", nargs=-1, shell_complete=completion.addresses)
@window_options("Search topics and streams", "Search topics and streams up to this time.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what arrives, until Ctrl+C.")
@look_option
@click.option(
    "--depth",
    type=click.IntRange(0, 9),
    default=DEPTH,
    show_default=True,
    help="How often ids that were found, such as message ids, are searched for in their turn.",
)
@click.option("--tree", is_flag=True, help="Print what caused what as a tree.")
@click.option("--coverage", "as_record", is_flag=True, help="With NDJSON, finish with a record for each endpoint.")
@format_option("table", "json")
@cluster_option
@with_session
async def trace(
    session: Session,
    seed: str,
    addresses: tuple[str, ...],
    since: Since,
    until: Since | None,
    follow: bool,
    look: bool,
    depth: int,
    tree: bool,
    as_record: bool,
    form: Format | None,
) -> int:
    """Print every event of one flow, in the addresses named or in all of all connections, and where the flow stands.

    workbench trace 7f3a90c2-1d5e-4b7a-9c64-0e2f4a5b6c7d --look

    The ID may be a correlation, message or trace id, or a value in a header or body. A value that is no id, such as an
    order number, may stand in several places: these are listed then, and body.orderId=4711 chooses one. Exit codes: 0
    found; 4 not found; 3 not found, and not everything was looked at, or an address that you name, or a partition of a
    topic, cannot be read.
    """
    need_connection(session, addresses)
    if tree and form == "json":
        raise click.UsageError("--tree is text: leave out --json, whose records name each event's cause.")
    begun = Seed.parse(seed)
    places = tuple(session.address(text) for text in addresses)
    scope = Scope(places, window_of(since, until), depth, look)
    plan = await survey(session, scope)
    for sentence in _cost(plan, scope):
        say(sentence)
    shown = _Shown("tree" if tree else format_or_default(form))
    async with AsyncExitStack() as stack:
        arriving = await stack.enter_async_context(arrivals(session, plan, look)) if follow else None
        store = await stack.enter_async_context(open_store(reading=session.reading))
        gathering = Gathering(session, store, begun, plan, scope)
        async with search_progress(lambda: gathering.progress, lambda: len(gathering.trace.steps)):
            await gathering.run()
        if gathering.places:
            return _list_places(gathering)
        await shown.show(gathering)
        try:
            if arriving is not None:
                say(f"following {quantity(len(arriving.followed), 'endpoint')}")
                end_with_reader()
                await _follow(gathering, arriving, shown)
        finally:
            # Ctrl+C is how following ends.
            _tell(gathering, arriving)
    if as_record and shown.form == "json":
        for place, covered in gathering.coverage.items():
            write_json(coverage_record(place, covered))
    if code := code_of_reading(places, gathering.coverage, plan.refused):
        if not gathering.trace.steps:
            fail(f"{visible(str(begun))} was not found where could be looked.", code)
        return code
    if gathering.trace.steps:
        return Exit.DONE
    if _is_complete(gathering, arriving):
        return fail(f"{visible(str(begun))} was not found.", Exit.NOT_FOUND)
    return fail(f"{visible(str(begun))} was not found where could be looked.", Exit.PARTLY)


def _cost(plan: Plan, scope: Scope) -> Sequence[str]:
    """What to know before it begins."""
    events = sum(each.depth or 0 for each in plan.logs)
    sentences = []
    if plan.logs:
        sentences.append(f"searching {quantity(events, 'event')} in {quantity(len(plan.logs), 'log')}")
    if scope.look:
        # Most queues have the same price.
        prices = dict.fromkeys(price for _, price in plan.prices)
        sentences += [
            f"looking into {first_names([str(address) for address, each in plan.prices if each == price])}: {price}"
            for price in prices
        ]
    return sentences


def _list_places(gathering: Gathering) -> Exit:
    value = visible(gathering.seed.value, 40)
    say(f"{value} is no id that can mean one thing only. It stands in")
    for place in gathering.places:
        counts = f"{quantity(place.events, 'event')}, {quantity(place.flows, 'correlation')}"
        say(f"  {visible(place.name, 40):40}  {counts}")
    first = f"{gathering.places[0].name}={gathering.seed.value}"
    return fail(f"Which is meant? For example: workbench trace {visible(first, 80)}", Exit.USAGE)


async def _follow(gathering: Gathering, arriving: Arrivals, shown: "_Shown") -> None:
    """Take what arrives, and tell of it: of much that arrives at once together."""
    taken = asyncio.Event()

    async def tell() -> None:
        while True:
            await taken.wait()
            taken.clear()
            begun = time.monotonic()
            await gathering.catch_up()
            await shown.show(gathering)
            await asyncio.sleep(_SHARE * (time.monotonic() - begun))

    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(tell())
            async for batch in arriving:
                for sentence in arriving.news():
                    say(sentence)
                if gathering.take(batch):
                    taken.set()
            telling.cancel()
    await gathering.catch_up()
    await shown.show(gathering)
    hint = "" if gathering.scope.look else "; queues are followed with --look"
    say(f"nothing is left to follow{hint}")


def _tell(gathering: Gathering, arriving: Arrivals | None) -> None:
    """Say on stderr what was covered, and what was not."""
    for text in words.oddities(gathering.trace):
        say(visible(text))
    for id in gathering.trace.absent:
        say(f"not found: {visible(id, 60)}, which an event names as its cause")
    if gathering.flow is not None:
        for refused in gathering.flow.refused:
            say(f"{visible(refused.id, 60)} was not followed: it {refused.reason}")
    if gathering.overflown:
        say("there are more events than one trace can hold: narrow it with addresses, --since and --until")
    seen, gaps = 0, 0
    for place, covered in gathering.coverage.items():
        seen += covered.read
        if covered.gaps:
            gaps += 1
            unseen = str(msgspec.structs.replace(covered, notes=()))
            say(f"{place}: {unseen}")
    by_reason: dict[str, list[str]] = {}
    for where, reason in gathering.unseen:
        by_reason.setdefault(reason, []).append(str(where))
    for reason, names in by_reason.items():
        many = f" ({quantity(gathering.plan.messages, 'message')})" if reason == NOT_FREE else ""
        say(f"{first_names(names)}{many}: not looked at: {reason}")
    if arriving is not None:
        for sentence in arriving.news():
            say(sentence)
    if not (gathering.coverage or gathering.unseen):
        say("there is nothing to be looked at, or this user may not see it")
    looks = f"looked at {quantity(seen, 'event')} of {quantity(len(gathering.coverage), 'endpoint')}"
    if gathering.rounds > 1:
        looks += f", searched {gathering.rounds} times"
    hint = " (--look browses queues)" if gathering.plan.prices and not gathering.scope.look else ""
    say(looks if _is_complete(gathering, arriving) else f"{looks}; not everything was looked at{hint}")


def _is_complete(gathering: Gathering, arriving: Arrivals | None) -> bool:
    return gathering.complete and (arriving is None or arriving.complete)


class _Shown:
    """Prints a trace, and later what has come to it since."""

    def __init__(self, form: str) -> None:
        self.form: Final = form
        """`table`, `tree` or `json`."""
        self._shown: set[object] = set()

    async def show(self, gathering: Gathering) -> None:
        """Print the steps that were not printed before."""
        found = gathering.trace
        order = found.branches if self.form == "tree" else range(len(found.steps))
        new = [number for number in order if _key(found.steps[number]) not in self._shown]
        if not new:
            return
        if self.form == "json":
            write_json(b"".join(_record(gathering, number) for number in new))
        else:
            write("".join(self._lines(gathering, new)).encode())
        await drain()
        self._shown.update(_key(found.steps[number]) for number in new)

    def _lines(self, gathering: Gathering, new: Sequence[int]) -> list[str]:
        found = gathering.trace
        now = round(time.time() * 1000)
        lines = []
        if not self._shown:
            lines.append(f"{visible(str(gathering.seed), 60)} · {words.summary(found)}\n")
        names = [words.place_of(step) for step in found.steps]
        place = min(max(cells(visible(name)) for name in names), 44 if terminal_width() >= 120 else 28)
        kind = min(max((cells(visible(step.facts.type or "")) for step in found.steps), default=0), 26)
        for number in new:
            step = found.steps[number]
            if step.gap is not None and self.form == "table":
                lines.append(f"{'':12}  {'':>9}  ┊ {words.span_text(step.gap)}\n")
            time_text = words.clock(step)
            notes = " · ".join(words.notes_of(found, number))
            if self.form == "tree":
                lead = _branch(found, step)
                head = f"{time_text:12}  {words.since_start(found, step):>9}  {lead}{words.sign(step)} "
                text = "  ".join(filter(None, (step.facts.type or "", names[number], notes)))
            else:
                cause = "" if step.link is None else f"{step.link.cause + 1}{'' if step.link.known else '?'}"
                head = (
                    f"{time_text:12}  {words.since_start(found, step):>9}  {number + 1:>3} {cause:>4}"
                    f"  {words.sign(step)} {_fit(visible(names[number], place), place)}  "
                )
                text = f"{_fit(visible(step.facts.type or '', kind), kind)}  {notes}".rstrip()
            lines.append(f"{head}{visible(text, max(terminal_width() - cells(head), 20))}".rstrip() + "\n")
        lines.append(f"{visible(words.verdict(found, now))}\n")
        if not self._shown and self.form == "table":
            lines.insert(1, f"{'time':12}  {'after':>9}  {'no.':>3} {'from':>4}    {'endpoint':{place}}  type\n")
        return lines


def _branch(found: Trace, step: Step) -> str:
    if step.link is None:
        return ""
    return "  " * min(step.level - 1, 12) + ("└─" if step.link.known else "└╌")


def _fit(text: str, size: int) -> str:
    return text + " " * (size - cells(text))


def _key(step: Step) -> object:
    return step.delivery.identity or (step.delivery.seen_at, step.sighting.order)


def _record(gathering: Gathering, number: int) -> bytes:
    """One line of NDJSON: what the trace knows of a step, and the event as other commands write it."""
    step = gathering.trace.steps[number]
    told = {
        "step": number + 1,
        "cause": None if step.link is None else step.link.cause + 1,
        "link": None if step.link is None else step.link.kind,
        "known": step.link is not None and step.link.known,
        "type": step.facts.type,
        "correlation": step.facts.correlation,
        "held": step.held,
        "failed": step.failed,
        "reason": step.facts.reason,
        "duplicate_of": None if step.duplicate_of is None else step.duplicate_of + 1,
        "copy_of": None if step.copy_of is None else step.copy_of + 1,
        "out_of_order": step.late,
        "passed_by": list(gathering.passed_by(step.delivery)),
    }
    event = ndjson_lines([step.delivery]).rstrip(b"\n")
    return json_line(told)[:-2] + b',"event":' + event + b"}\n"
