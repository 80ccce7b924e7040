"""Searching logs of several connections at once, by their bytes where bytes can tell, by decoding them where not.

Of each connection, the logs with `Ability.SCAN` are searched together by its scan, if the query has needles: what its
bytes cannot rule out is decoded, and the exact query has the last word. All other logs are read from the beginning of
the window and decoded. Where the session has a cluster, its workers do the same with the logs that have
`Ability.RANGES`. All connections are searched side by side; what is wrong with one keeps no other from going on.

    async with search(session, endpoints, session.query("correlation = 4711"), Window(since)) as found:
        async for batch in found:
            show([session.reading.mask(each) for each in batch])
    found.progress, found.coverage, found.errors

What is handed over is not masked: whoever shows it masks it. `search_bytes` leaves the query out: its needles are byte
strings, and it hands over whatever may hold them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import msgspec

from workbench.connecting.connector import Scan, Stream
from workbench.connecting.error_log import log_unexpected
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectorError, Unsupported, WorkbenchError, unwrap_exception_group
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Progress
from workbench.model.start import Since, Window
from workbench.query.prefilter import Needles, without_escapes
from workbench.query.query import Query
from workbench.session import Session

_AHEAD: Final = 8
"""Batches that wait for whoever takes them, at most; then the brokers wait."""
_FEW: Final = 20
"""Deliveries whose query may be asked on the event loop, at most: together they take a millisecond."""
_MANY: Final = 200
"""Deliveries from which on another process is faster though they have to be brought there."""
_ASKED: Final = 4
"""Batches of one source of which the query is asked at once."""
_AT_ONCE: Final = 8
"""Logs that are read side by side where they cannot be searched by bytes."""
_TELLING: Final = 10_000
"""Events that were searched by bytes from which on the time it took tells how long others will take."""
_NO_RATES: Final[Mapping[str, float]] = {}
_ALWAYS: Final = Window()
DECODED_RATE: Final = 50_000
"""Events a second that are read, decoded and asked the query, roughly."""
SEARCHED_RATE: Final = 200 << 20
"""Bytes a second that are searched without being decoded, roughly: as a network of 2 Gbit/s brings them."""

_Choose: TypeAlias = Callable[[Sequence[Delivery]], Coroutine[Any, Any, Sequence[Delivery]]]


class Search:
    """A search that runs while its context is open. Made by `search` and `search_bytes`.

    Iterating gives batches of deliveries, none of them empty, as they are found: of one partition in its order, of
    several in none. It ends when all is searched, after `stop`, or when as many were found as are wanted.
    """

    def __init__(self, sources: Sequence["_Source"], choose: _Choose, limit: int | None) -> None:
        self.found: Final[dict[Address, int]] = {}
        """How many were handed over of each endpoint, so far; those without any are missing."""
        self._sources = sources
        self._choose = choose
        self._left = limit
        self._begun = self._ended = 0.0
        self._batches: asyncio.Queue[Sequence[Delivery] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._go = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    @property
    def scanned(self) -> frozenset[Address]:
        """The endpoints that are searched by their bytes; all others are read and decoded, which takes far longer."""
        return frozenset(address for each in self._sources if each.by_bytes for address in each.addresses)

    @property
    def progress(self) -> Progress:
        """How far it is, in offsets, or in events where these are not counted. The total is known on entering."""
        parts = [each.progress for each in self._sources]
        done, total = sum(part.done for part in parts), sum(part.total for part in parts)
        return Progress(done, total, (self._ended or time.monotonic()) - self._begun if self._begun else 0.0)

    @property
    def decoded(self) -> int:
        """How many events are to be read and decoded at most, because bytes cannot tell whether they match."""
        return sum(each.progress.total for each in self._sources if not each.by_bytes)

    @property
    def decoding_seconds(self) -> float:
        """How long that will take, roughly."""
        return sum(each.progress.total / each.width for each in self._sources if not each.by_bytes) / DECODED_RATE

    @property
    def on_cluster(self) -> frozenset[Address]:
        """The endpoints that the session's cluster searches."""
        return frozenset(address for each in self._sources if each.on_cluster for address in each.addresses)

    @property
    def errors(self) -> Mapping[Address, WorkbenchError]:
        """Why endpoints could not be searched, or not to their ends."""
        return {address: each.error for each in self._sources if each.error for address in each.addresses}

    @property
    def coverage(self) -> Mapping[Address, Coverage]:
        """What was searched of each endpoint, which counts as read, and what was not: also what a broken connection or
        a stop has left."""
        return {address: covered for each in self._sources for address, covered in each.coverage.items()}

    @property
    def complete(self) -> bool:
        """Whether everything was searched: what was not found is not there."""
        return all(covered.complete for covered in self.coverage.values())

    def stop(self) -> None:
        """Search no more. Whoever iterates gets the batches that wait for it already, and then the end."""
        for task in self._running:
            task.cancel()

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        self._begun = time.monotonic()
        self._go.set()
        left = len(self._running)
        while left and self._left != 0:
            batch = await self._batches.get()
            if batch is None:
                left -= 1
                continue
            if self._left is not None:
                batch = batch[: self._left]
                self._left -= len(batch)
            for delivery in batch:
                self.found[delivery.address] = self.found.get(delivery.address, 0) + 1
            yield batch
            self._room.release()
        self._ended = time.monotonic()

    async def begin(self, group: asyncio.TaskGroup) -> None:
        """Open everything side by side, and wait until it is known how much there is to search."""
        self._running = [group.create_task(self._run(each)) for each in self._sources]
        for each in self._sources:
            await each.opened.wait()

    async def _run(self, source: "_Source") -> None:
        try:
            if source.one_of_many:
                # Their ends are those of when it is their turn.
                source.opened.set()
                await self._go.wait()
                async with self._turn:
                    await self._take(source)
            else:
                await self._take(source)
            source.finished = True
            source.note_rate(time.monotonic() - self._begun)
        except WorkbenchError as error:
            source.error = error
        except Exception as error:
            source.error = ConnectorError(log_unexpected(error, f"Searching {source.addresses[0].connection}"))
        finally:
            source.opened.set()
            self._batches.put_nowait(None)

    async def _take(self, source: "_Source") -> None:
        """Ask about the next batches while the query is still asked of those before.

        Raises:
            WorkbenchError: The source broke; what it gave before is handed over.
        """
        asked: asyncio.Queue[asyncio.Task[Sequence[Delivery]] | None] = asyncio.Queue(_ASKED)
        broken: WorkbenchError | None = None
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hand_over(asked))
                try:
                    async with source.open() as stream:
                        source.stream = stream
                        source.opened.set()
                        await self._go.wait()
                        async for batch in stream:
                            choose = _choose_all if source.on_cluster else self._choose
                            await asked.put(group.create_task(choose(batch)))
                except WorkbenchError as error:
                    broken = error
                await asked.put(None)
        if broken is not None:
            raise broken

    async def _hand_over(self, asked: "asyncio.Queue[asyncio.Task[Sequence[Delivery]] | None]") -> None:
        while (choosing := await asked.get()) is not None:
            if chosen := await choosing:
                await self._room.acquire()
                self._batches.put_nowait(chosen)


@asynccontextmanager
async def search(
    session: Session,
    endpoints: Sequence[Endpoint],
    query: Query,
    window: Window = _ALWAYS,
    limit: int | None = None,
    executor: Executor | None = None,
) -> AsyncIterator[Search]:
    """Find what matches a query in logs of any connections, up to where they end on entering.

    Args:
        session: Whose connections.
        endpoints: Logs, each once.
        query: What must match, exactly.
        window: Only events of this time are found.
        limit: Stop when so many are found; None: find all.
        executor: Where the query is asked of large batches, such as `Workers`; None: in threads, one processor's worth.
    """

    def matching(batch: Sequence[Delivery]) -> Sequence[Delivery]:
        return [each for each in batch if query.matches(each)]

    async def choose(batch: Sequence[Delivery]) -> Sequence[Delivery]:
        batch = [each for each in batch if window.holds(each.event.timestamp)]
        if len(batch) <= _FEW:
            return matching(batch)
        # A query may take its time, and the connections must go on meanwhile.
        if executor is None or len(batch) <= _MANY:
            return await asyncio.to_thread(matching, batch)
        # Most searches do without them.
        from workbench.store.batch import encode
        from workbench.store.search import matching_stored

        stored = list(map(encode, batch))
        found = await asyncio.get_running_loop().run_in_executor(executor, matching_stored, stored, query)
        return [batch[index] for index in found]

    needles = without_escapes(query.needles) if query.needles else None
    async with _search(_sources(session, endpoints, query, needles, window), choose, limit) as found:
        yield found


@asynccontextmanager
async def search_bytes(
    session: Session,
    endpoints: Sequence[Endpoint],
    needles: Needles,
    window: Window = _ALWAYS,
    limit: int | None = None,
) -> AsyncIterator[Search]:
    """Find what may hold some bytes in logs of any connections, up to where they end on entering. Logs without
    `Ability.SCAN` are handed over as a whole.

    Args:
        session: Whose connections.
        endpoints: Logs, each once.
        needles: Groups, of each of which one member must occur, as it is or in JSON's escapes.
        window: Only events of this time are found.
        limit: Stop when so many are found; None: find all.
    """

    async def choose(batch: Sequence[Delivery]) -> Sequence[Delivery]:
        return [each for each in batch if window.holds(each.event.timestamp)]

    async with _search(_sources(session, endpoints, None, needles, window), choose, limit) as found:
        yield found


@asynccontextmanager
async def _search(sources: Sequence["_Source"], choose: _Choose, limit: int | None) -> AsyncIterator[Search]:
    found = Search(sources, choose, limit)
    with unwrap_exception_group():
        async with asyncio.TaskGroup() as group:
            try:
                await found.begin(group)
                yield found
            finally:
                found.stop()


@asynccontextmanager
async def search_log(
    session: Session, endpoint: Endpoint, query: Query, window: Window = _ALWAYS, executor: Executor | None = None
) -> AsyncIterator[Stream]:
    """`search` in one log, as a stream whose coverage counts what was searched; what breaks the search breaks it."""
    async with search(session, [endpoint], query, window, executor=executor) as found:
        yield _Found(found, endpoint.address)


class _Found:
    """A `Stream` of what a search of one log finds."""

    interruption: Final = None
    """A search waits for a broker that is away, and does not say so."""

    def __init__(self, found: Search, address: Address) -> None:
        self._found = found
        self._address = address

    @property
    def coverage(self) -> Coverage:
        """What was searched."""
        return self._found.coverage[self._address]

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        async for batch in self._found:
            yield batch
        if error := self._found.errors.get(self._address):
            raise error


async def _choose_all(batch: Sequence[Delivery]) -> Sequence[Delivery]:
    """The workers of a cluster have asked the query."""
    return batch


class Estimate(msgspec.Struct, frozen=True):
    """What a search will take.

    Attributes:
        events: How many events are searched.
        decoded: How many of them are decoded, because bytes cannot tell whether they match.
        size: Their bytes, roughly; None: not known.
        width: How many search side by side.
        rate: Events a second that were searched by bytes, as it was measured; None: it was not.
    """

    events: int
    decoded: int
    size: int | None
    width: int = 1
    rate: float | None = None

    @property
    def seconds(self) -> float:
        """How long, roughly."""
        decoding = self.decoded / DECODED_RATE / self.width
        by_bytes = self.events - self.decoded
        if self.rate is not None:
            return decoding + by_bytes / self.rate
        share = by_bytes / self.events if self.events else 0.0
        return decoding + share * (self.size or 0) / SEARCHED_RATE / self.width


def estimate(
    endpoints: Sequence[Endpoint],
    query: Query,
    mean_size: float | None,
    width: int = 1,
    rates: Mapping[str, float] = _NO_RATES,
) -> Estimate:
    """What it will take to search logs from their beginnings.

    Args:
        endpoints: The logs, as they were listed.
        query: What is looked for.
        mean_size: Bytes of an event, as those are that are known.
        width: How many search side by side.
        rates: As `Session.search_rates` has them.
    """
    events = sum(each.depth or 0 for each in endpoints)
    by_bytes = [each for each in endpoints if query.needles is not None and Ability.SCAN in each.abilities]
    decoded = events - sum(each.depth or 0 for each in by_bytes)
    # Connections are searched side by side: the slowest is waited for.
    measured = [rates.get(name) for name in {each.address.connection for each in by_bytes}]
    known = [rate for rate in measured if rate is not None]
    rate = min(known) if known and len(known) == len(measured) else None
    return Estimate(events, decoded, None if mean_size is None else round(events * mean_size), width, rate)


class _Source:
    """What is searched in one piece: logs of one connection by their bytes or by a cluster, or one log that is read.

    Attributes:
        by_bytes: Whether bytes can tell what may match.
        on_cluster: Whether the session's cluster searches.
        opened: Set once it is open, or cannot be opened.
        stream: What it gives; None before it is open.
        scan: The same, where it is searched by bytes.
        finished: Whether it was read to its end.
        error: Why it was not.
    """

    def __init__(
        self,
        session: Session,
        endpoints: Sequence[Endpoint],
        window: Window,
        query: Query | None,
        needles: Needles | None,
        on_cluster: bool,
    ) -> None:
        """
        Args:
            session: Whose connections.
            endpoints: Of one connection; one alone where it is read.
            window: The time to search.
            query: What must match; None: all that holds the needles is meant.
            needles: What is looked for; None: bytes cannot tell.
            on_cluster: Whether the session's cluster searches.
        """
        self.addresses = [each.address for each in endpoints]
        self.by_bytes = needles is not None
        self.on_cluster = on_cluster
        self.width = 1
        self.opened = asyncio.Event()
        self.stream: Stream | None = None
        self.scan: Scan | None = None
        self.finished = False
        self.error: WorkbenchError | None = None
        self._session = session
        self._endpoints = endpoints
        self._window = window
        self._query = query
        self._needles = needles

    @property
    def one_of_many(self) -> bool:
        """Whether it is a log that is read by itself."""
        return not (self.by_bytes or self.on_cluster)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stream]:
        """Open the connection, if it is not open, and the scan or the reading."""
        name = self.addresses[0].connection
        connector = await self._session.connector(name)
        if self.on_cluster and (cluster := await self._session.cluster()) is not None:
            self.width = cluster.threads
            connection = await self._session.complete(name)
            self._session.tell_of_cluster(connection)
            async with cluster.scan(
                connector, connection, self.addresses, self._query, self._needles, self._window
            ) as scan:
                self.scan = scan
                yield scan
            return
        if self._needles is not None:
            async with connector.scan(self.addresses, self._needles, self._window) as scan:
                self.scan = scan
                yield scan
            return
        [endpoint] = self._endpoints
        if Ability.BROWSE not in endpoint.abilities or endpoint.family != "log":
            unknown = dict(endpoint.detail).get("not known")
            raise Unsupported(
                f"{endpoint.address} is not known to be a log that can be searched: {unknown}"
                if unknown
                else f"{endpoint.address} is no log that can be searched."
            )
        since = self._window.since
        start = Since(since) if since is not None and Ability.BY_TIME in endpoint.abilities else None
        async with connector.browse(endpoint.address, start) as stream:
            yield stream

    def note_rate(self, seconds: float) -> None:
        """Let the session know how fast it was searched, if bytes could tell and it was much."""
        if self.by_bytes and (events := self.progress.done) >= _TELLING and seconds > 0:
            self._session.search_rates[self.addresses[0].connection] = events / seconds

    @property
    def progress(self) -> Progress:
        """How far it is."""
        if not self.one_of_many:
            return self.scan.progress if self.scan is not None else Progress(0, 0, 0.0)
        depth = self._endpoints[0].depth or 0
        read = self.stream.coverage.read if self.stream is not None else 0
        return Progress(read, read if self.finished else max(depth, read), 0.0)

    @property
    def coverage(self) -> Mapping[Address, Coverage]:
        """What was read of each endpoint, and what was left."""
        covered = self._covered()
        if self.finished:
            return covered
        reason = str(self.error) if self.error is not None else "the search was stopped"
        return {address: each.cut_short(reason) for address, each in covered.items()}

    def _covered(self) -> Mapping[Address, Coverage]:
        if self.stream is None:
            return dict.fromkeys(self.addresses, Coverage())
        whole = self.stream.coverage
        each_own = self.scan.coverages if self.scan is not None else {}
        return {address: each_own.get(address, whole) for address in self.addresses}


def _sources(
    session: Session, endpoints: Sequence[Endpoint], query: Query | None, needles: Needles | None, window: Window
) -> Sequence[_Source]:
    together: dict[tuple[str, bool], list[Endpoint]] = {}
    alone: list[Endpoint] = []
    for each in {each.address: each for each in endpoints}.values():
        on_cluster = is_on_cluster(session, each)
        if on_cluster or (needles is not None and Ability.SCAN in each.abilities):
            together.setdefault((each.address.connection, on_cluster), []).append(each)
        else:
            alone.append(each)
    sources = [_Source(session, some, window, query, needles, on_cluster) for (_, on_cluster), some in together.items()]
    return [*sources, *(_Source(session, [each], window, query, None, False) for each in alone)]


def is_on_cluster(session: Session, endpoint: Endpoint) -> bool:
    """Whether a log is searched by the session's cluster."""
    return session.cluster_address is not None and Ability.RANGES in endpoint.abilities
