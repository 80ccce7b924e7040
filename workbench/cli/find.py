"""`workbench find`: all logs of all connections searched at once."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from workbench.cli import completion
from workbench.cli.event_output import EventOutput, EventPrinter, event_output_option
from workbench.cli.exit_codes import Exit
from workbench.cli.options import cluster_option
from workbench.cli.output import coverage_record
from workbench.cli.read_all import code_of_reading
from workbench.cli.runner import with_session
from workbench.cli.search_options import window_of, window_options
from workbench.cli.search_progress import search_progress
from workbench.cli.sessions import need_connection
from workbench.cli.stdio import end_with_reader, say, write_json
from workbench.connecting.guard import Guarded
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConfigError, WorkbenchError
from workbench.model.look import ALL, Coverage, Gap
from workbench.model.start import Since
from workbench.model.wording import quantity
from workbench.operations.search import Search, is_on_cluster, search
from workbench.operations.trace.scope import ask_endpoints
from workbench.query.query import Query
from workbench.session import Session

if TYPE_CHECKING:
    from workbench.cluster.dask_cluster import Cluster

_Place: TypeAlias = Address | str
"""What was searched or could not be: an endpoint, or a whole connection by its name."""
_MANY: Final = 50_000
"""Events to be decoded from which on processes are started for it."""


@click.command()
@click.argument("query", metavar="QUERY")
@click.argument("addresses", metavar="[ADDRESS...]", nargs=-1, shell_complete=completion.addresses)
@window_options("Only events", "Only events before this time.")
@click.option("-n", "--limit", type=click.IntRange(1), help="Stop after this many events.")
@click.option("--coverage", "as_record", is_flag=True, help="With NDJSON, finish with a record for each log.")
@event_output_option
@cluster_option
@with_session
async def find(
    session: Session,
    query: str,
    addresses: tuple[str, ...],
    since: Since,
    until: Since | None,
    limit: int | None,
    as_record: bool,
    output: EventOutput,
) -> int:
    """Print the events in topics and streams that match a query: in the ones named, or in all of every connection.

    workbench find 7f3a90c2 --since 2d

    Kafka's topics are searched by their bytes, at the speed of the network, if the query names an id, a word or another
    text; everything else is read and decoded. Events are printed as they are found, in order within a partition. Queues
    are not searched: browse them.

    Exit codes: 0 found; 4 nothing found; 3 nothing found, and not everything was searched, or an address that you name,
    or a partition of a topic, cannot be read.
    """
    need_connection(session, addresses)
    wanted = session.query(query)
    if not query.strip():
        raise ConfigError("There is nothing to look for: the query is empty.")
    window = window_of(since, until)
    named = tuple(dict.fromkeys(map(session.address, addresses)))
    endpoints, missing = await (_named(session, named) if named else _all_logs(session))
    printer = EventPrinter(output, session.reading, [each.address for each in endpoints])
    mask, masked = session.reading.mask, session.reading.masked is not None
    cluster = await session.cluster()
    with _workers(session, endpoints, wanted) as workers:
        async with search(session, endpoints, wanted, window, limit, workers) as found:
            for sentence in _cost(found, len(endpoints), cluster):
                say(sentence)
            end_with_reader()
            try:
                async with search_progress(lambda: found.progress, lambda: sum(found.found.values())) as clear:
                    async for batch in found:
                        # A large body may take a second to mask, and the connections must go on meanwhile.
                        shown = await asyncio.to_thread(list, map(mask, batch)) if masked else batch
                        await clear()
                        await printer.write(shown)
            finally:
                coverage = dict[_Place, Coverage]([*found.coverage.items(), *missing.items()])
                _tell(found, coverage, limit)
                if as_record and output.form == "json":
                    for address, covered in coverage.items():
                        write_json(coverage_record(address, covered))
    if not coverage:
        say("there are no topics or streams, or this user may not see them")
    if limit is not None and sum(found.found.values()) >= limit:
        return Exit.DONE
    if code := code_of_reading(named, coverage):
        return code
    if found.found:
        return Exit.DONE
    if missing and not endpoints:
        return Exit.FAILED
    return Exit.NOT_FOUND if all(each.complete for each in coverage.values()) else Exit.PARTLY


@contextmanager
def _workers(session: Session, endpoints: Sequence[Endpoint], query: Query) -> Iterator[Executor | None]:
    """Processes to ask the query in, where bytes cannot tell of many events whether they match; else None."""
    here = (each for each in endpoints if not is_on_cluster(session, each))
    undecided = (each for each in here if query.needles is None or Ability.SCAN not in each.abilities)
    if sum(each.depth or 0 for each in undecided) <= _MANY:
        yield None
        return
    # Most searches do without them, and importing them takes its time.
    from workbench.store.workers import Workers

    with Workers() as workers:
        yield workers


async def _named(
    session: Session, addresses: Sequence[Address]
) -> tuple[Sequence[Endpoint], Mapping[_Place, Coverage]]:
    """The endpoints that are named, and what cannot be asked about.

    Raises:
        WorkbenchError: Only one is named, and something is wrong with it.
    """
    endpoints, refused = await ask_endpoints(session, addresses)
    return endpoints, {address: _unseen(error) for address, error in refused.items()}


async def _all_logs(session: Session) -> tuple[Sequence[Endpoint], Mapping[_Place, Coverage]]:
    """All logs that can be read freely, and what else there is."""
    endpoints: list[Endpoint] = []
    missing: dict[_Place, Coverage] = {}
    for name, answer in (await session.ask(session.names, Guarded.endpoints)).items():
        if isinstance(answer, WorkbenchError):
            missing[name] = _unseen(answer)
            continue
        if answer.gaps:
            missing[name] = Coverage(gaps=tuple(answer.gaps))
        for each in answer:
            if each.family == "log" and each.cost.sentence:
                missing[each.address] = Coverage(gaps=(Gap(ALL, "reading it is not free: name it to search it"),))
            elif each.family == "log" and Ability.BROWSE not in each.abilities:
                missing[each.address] = Coverage(gaps=(Gap(ALL, "it cannot be browsed"),))
            elif each.family == "log":
                endpoints.append(each)
    return endpoints, missing


def _unseen(error: WorkbenchError) -> Coverage:
    return Coverage().cut_short(str(error))


def _cost(found: Search, searched: int, cluster: "Cluster | None") -> Sequence[str]:
    """What to know before it begins."""
    total = found.progress.total
    by_bytes = len(found.scanned)
    there = len(found.on_cluster)
    where = "" if cluster is None else f" on {cluster}" if there == searched else f", {there} of them on {cluster}"
    sentences = [f"searching {quantity(total, 'event')} in {quantity(searched, 'log')}{where}"]
    if found.decoded:
        some = f"{quantity(searched - by_bytes, 'log')}" if by_bytes else "they"
        seconds = max(round(found.decoding_seconds), 1)
        sentences.append(
            f"{some} cannot be searched by bytes: up to {quantity(found.decoded, 'event')} to be decoded, about"
            f" {seconds:,} s"
        )
    return sentences


def _tell(found: Search, coverage: Mapping[_Place, Coverage], limit: int | None) -> None:
    """Say on stderr what was found where, and what was not searched, unless as many were found as were wanted."""
    count = sum(found.found.values())
    is_enough = count == limit
    for address, covered in coverage.items():
        here = found.found.get(address, 0) if isinstance(address, Address) else 0
        if here or (covered.gaps and not is_enough):
            remarks = f"; {covered.remarks}" if covered.remarks and not is_enough else ""
            say(f"{address}: {here:,} found in {covered.read:,}{remarks}")
    read = sum(covered.read for covered in coverage.values())
    holes = sum(not covered.complete for covered in coverage.values())
    rest = f"; not everything was searched: {quantity(holes, 'gap')}" if holes else ""
    say(f"{count:,} found in {quantity(read, 'event')}{f'; -n {limit} ended the search' if is_enough else rest}")
