"""Gathering the events of a flow: from what was stored, from logs by search, from queues by a look at each.

Logs are searched by bytes, all connections side by side; queues are browsed once, into the store, and asked again and
again from there. Each id that is found and leads on means one more search, as often as the scope says. What a dead
letter points at is fetched from its place, whatever its time; the dead letters that point at what was found are
searched by that pointer.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Final

import msgspec

from workbench.facts.facts import Facts
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import WorkbenchError, unwrap_exception_group
from workbench.model.event import Delivery, Position
from workbench.model.look import Coverage, Gap, Progress
from workbench.model.start import At
from workbench.operations.search import Search, search, search_bytes
from workbench.operations.trace.closure import Flow, Place, close, listed, must_choose
from workbench.operations.trace.forest import Trace, trace
from workbench.operations.trace.passing import Passing
from workbench.operations.trace.scope import Plan, Scope, without_held
from workbench.operations.trace.seeds import Seed, ids_query, places
from workbench.operations.trace.sightings import Sighting
from workbench.query.query import Query
from workbench.session import Session
from workbench.store.archive import Archive
from workbench.store.ingest import Ended, Ingestion, ingestions
from workbench.store.store import Store
from workbench.store.view import View

MOST: Final = 10_000
"""Events of one trace."""
MOST_BYTES: Final = 256 << 20
"""Bytes of their bodies."""
FOUND: Final = -1
ARRIVED: Final = -2
"""What stands in a look's place for events that were found in logs, and for those that arrive."""
_FETCHED: Final = 200
"""Originals that are fetched from their places, at most."""
_SAYS_SO: Final = re.compile(r"(?i)(?:^|[^a-z])(?:dlt|dlq|dead|errors?|failed)(?:[^a-z]|$)")
"""Names of logs that hold dead letters, where the broker does not know of any."""
_TOLD: Final = 0.25
"""Seconds between two tellings of the story while a search goes on, at least."""
_SHARE: Final = 3
"""How many times as long as a telling took the next one waits."""
_FEW: Final = 200
"""Events, or ids, that are dealt with on the event loop, at most: for more there is a thread."""
_LONGEST: Final = 0.02
"""Seconds after which the event loop is given way to, while events are added."""
_PAGE: Final = 500
"""Events that are fetched from the store at once."""
_AT_ONCE: Final = 8
"""Queues that are browsed side by side."""


class Gathering:
    """A trace that is being gathered."""

    def __init__(
        self,
        session: Session,
        store: Archive,
        seed: Seed,
        plan: Plan,
        scope: Scope,
        chosen: frozenset[str] | None = None,
        workers: Executor | None = None,
        begun_with: Delivery | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Args:
            session: Whose connections, and how events are read.
            store: Has what was looked at before, and keeps what queues hold, unless it is a recording.
            seed: What to begin with.
            plan: Where to look.
            scope: How.
            chosen: The places in which the seed's value counts; None: any, unless only the user can tell.
            begun_with: The event that the flow is of, whether or not it has an id; None: the seed alone says.
            workers: Where the store is searched; None: on its own thread.
            changed: Called when more was found, or when it is further, on the event loop.
        """
        self.seed: Final = seed
        """What it began with."""
        self.scope: Final = scope
        """How it looks."""
        self.plan: Final = plan
        """Where it looks."""
        self.trace = Trace()
        """The flow as far as it is known."""
        self.flow: Flow | None = None
        """What leads to its events; None: nothing was found yet."""
        self.places: Sequence[Place] = ()
        """Where the seed's value stands, where only the user can tell which of these is meant: nothing is followed."""
        self._session = session
        self._reading = session.reading
        self._store = store
        self._workers = workers
        self._changed = changed
        self._chosen = chosen
        self._begun_with = begun_with
        self._sightings: dict[object, Sighting] = {}
        self._bytes = 0
        self._query = session.query(seed.query)
        self._asking = seed.query, self._query
        self._told = self._took = self._gave_way = 0.0
        self._telling = asyncio.Lock()
        self._told_of = 0
        self._arrived = self._upto = 0
        self._asked: set[str] = set()
        self._tried: set[tuple[Address, Position]] = set()
        self._pointed: dict[Address, set[tuple[Address, Position]]] = {}
        self._looks: dict[int, Address] = {}
        self._covered: dict[Address, Coverage] = dict(plan.empty)
        self._search: Search | None = None
        self._searched = 0
        self._passing = Passing(session)
        self._overflown = False

    @property
    def progress(self) -> Progress | None:
        """How far the search goes that runs now; None: none does."""
        return self._search.progress if self._search is not None else None

    @property
    def rounds(self) -> int:
        """How often logs were searched, the one that runs included."""
        return self._searched

    @property
    def coverage(self) -> Mapping[Address, Coverage]:
        """What was covered of each endpoint."""
        return self._covered

    @property
    def unseen(self) -> Sequence[tuple[Address | str, str]]:
        """What was not looked at at all, and why."""
        return self.plan.unseen

    @property
    def complete(self) -> bool:
        """Whether everything was seen: what was not found is not there."""
        return not self.unseen and not self._overflown and all(each.complete for each in self._covered.values())

    @property
    def overflown(self) -> bool:
        """Whether there is more than one trace can hold."""
        return self._overflown

    async def run(self) -> None:
        """Gather, until nothing leads on.

        Raises:
            StoreError: There is no space.
        """
        if self._begun_with is not None:
            self._add(self._begun_with, FOUND, "begun", wanted=("event",))
            await self._browse_queues()
        else:
            with unwrap_exception_group():
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._search_logs(self._query))
                    await self._browse_queues()
                    await self._search_store(self._query)
        await self._tell()
        if self.flow is None:
            return
        while True:
            await self._fetch_originals()
            await self._find_dead_letters()
            await self._tell()
            flow = self.flow
            new = tuple(id for id in flow.next if id not in self._asked) if flow is not None else ()
            if not new or self._overflown:
                break
            self._asked.update(new)
            before = len(self._sightings)
            query = await self._query_for(new)
            await self._search_store(query)
            await self._search_logs(query)
            await self._tell()
            if len(self._sightings) == before:
                break
        await self._ask_groups()
        await self._tell()

    def take(self, arrived: Sequence[Delivery]) -> bool:
        """Take what arrives; whether something of it may belong to the flow, of which `catch_up` tells."""
        before = len(self._sightings)
        for delivery in arrived:
            self._arrived += 1
            self._add(delivery, ARRIVED, (delivery.address, self._arrived))
        return len(self._sightings) > before

    async def catch_up(self) -> None:
        """Tell the story anew, if something was taken since it was told."""
        if len(self._sightings) > self._told_of:
            await self._retell()

    # Where events come from.

    async def _search_logs(self, query: Query) -> None:
        if not self.plan.logs:
            return
        first = not self._searched
        self._searched += 1
        async with search(self._session, self.plan.logs, query, self.scope.window) as found:
            self._search = found
            try:
                async for batch in found:
                    await self._add_all(batch)
                    if self._overflown:
                        found.stop()
                    if time.monotonic() - self._told > max(_TOLD, _SHARE * self._took):
                        await self._tell()
            finally:
                self._search = None
        for address, covered in found.coverage.items():
            before = self._covered.get(address, Coverage())
            if first or address not in self._covered:
                self._covered[address] = covered
            self._miss(address, *before.gaps, *covered.gaps)
        self._changed()

    async def _browse_queues(self) -> None:
        """Look into each queue once, some side by side; what it holds is in the store then."""
        if not isinstance(self._store, Store) or not self.plan.queues:
            return
        turn = asyncio.Semaphore(_AT_ONCE)
        async with ingestions(self._store) as looks, asyncio.TaskGroup() as group:

            async def browse(endpoint: Endpoint) -> None:
                address = endpoint.address
                async with turn:
                    ingestion = looks.begin("browse", address, lambda: self._session.browse(address))
                    await ingestion.wait_closed()
                self._looks[ingestion.look] = address
                self._covered[address] = _coverage_of(ingestion, endpoint)
                self._changed()

            for each in self.plan.queues:
                group.create_task(browse(each))

    async def look_again(self) -> bool:
        """Ask about what was stored since; whether something of it may belong to the flow."""
        before = len(self._sightings)
        query = await self._query_for(self.flow.next, self.seed.query) if self.flow is not None else self._query
        await self._search_store(query, True)
        return len(self._sightings) > before

    async def _query_for(self, ids: tuple[str, ...], *others: str) -> Query:
        """The query for what carries one of some ids, or matches another one."""
        said = " or ".join((*others, *((ids_query(ids),) if ids else ())))
        if said != self._asking[0]:
            query = self._session.query
            self._asking = said, query(said) if len(ids) <= _FEW else await asyncio.to_thread(query, said)
        return self._asking[1]

    async def _search_store(self, query: Query, new: bool = False) -> None:
        start = self._upto if new else 0
        self._upto = self._store.upto
        view = View(self._store, query, order="stored", start=start)
        await view.catch_up(self._workers)
        for begin in range(0, len(view.sequences), _PAGE):
            if self._overflown:
                break
            sequences = view.sequences[begin : begin + _PAGE]
            found = await self._store.rows(sequences)
            looks = await self._store.looks_of(sequences)
            for sequence, delivery, look in zip(sequences, found, looks, strict=True):
                if delivery is not None and look is not None:
                    self._add(delivery, look, sequence)
                    await self._give_way()
        await self._tell()

    async def _fetch_originals(self) -> None:
        """Fetch what dead letters of the flow point at."""
        while missing := {
            pointer: None
            for step in self.trace.steps
            for pointer in step.sighting.pointers
            if pointer not in self._sightings and pointer not in self._tried
        }:
            if len(self._tried) >= _FETCHED:
                for address in {address for address, _ in missing}:
                    self._miss(address, Gap("further originals", f"no more than {_FETCHED:,} are fetched"))
                break
            some = list(missing)[: _FETCHED - len(self._tried)]
            self._tried.update(some)
            async with asyncio.TaskGroup() as group:
                for pointer in some:
                    group.create_task(self._fetch(*pointer))
            await self._tell()

    async def _fetch(self, address: Address, position: Position) -> None:
        try:
            async with self._session.browse(address, At(position), 1) as stream:
                async for batch in stream:
                    for delivery in batch:
                        if delivery.position == position:
                            self._add(delivery, FOUND, wanted=())
        except WorkbenchError as error:
            place = f"{position.partition}:{position.offset}"
            self._miss(address, Gap(f"the original at {place}", str(error).rstrip(".")))

    async def _find_dead_letters(self) -> None:
        """Search the logs of dead letters for what points at events of the flow: it may carry no id."""
        for log in self.plan.logs:
            if Ability.SCAN not in log.abilities or not (log.dead_letters_of or _SAYS_SO.search(log.address.name)):
                continue
            here = {
                (step.address, position)
                for step in self.trace.steps
                if step.address in (log.dead_letters_of or (step.address,))
                and step.address.connection == log.address.connection
                and (position := step.delivery.position) is not None
            } - self._pointed.setdefault(log.address, set())
            offsets = [int(position.offset) for _, position in here if position.offset.isdecimal()]
            if not offsets:
                continue
            self._pointed[log.address] |= here
            topics = tuple({address.name.encode() for address, _ in here})
            spelled = tuple({form for offset in offsets for form in _spellings(offset)})
            window = msgspec.structs.replace(self.scope.window, until=None)
            async with search_bytes(self._session, [log], (topics, spelled), window, MOST) as found:
                async for batch in found:
                    await self._add_all(batch)
                    if self._overflown:
                        found.stop()
            self._miss(log.address, *found.coverage[log.address].gaps)
            if sum(found.found.values()) >= MOST:
                self._miss(log.address, Gap("further dead letters", f"no more than {MOST:,} are looked at at once"))

    async def _ask_groups(self) -> None:
        """Ask who has read the dead letters of logs: what a group has passed waits for nobody."""
        await self._passing.ask([step.delivery for step in self.trace.steps])

    # What becomes of them.

    def _miss(self, address: Address, *gaps: Gap) -> None:
        """Keep what was not seen of an endpoint."""
        covered = self._covered.get(address, Coverage())
        self._covered[address] = msgspec.structs.replace(covered, gaps=tuple(dict.fromkeys((*covered.gaps, *gaps))))

    async def _add_all(self, found: Sequence[Delivery]) -> None:
        for delivery in found:
            self._add(delivery, FOUND)
            await self._give_way()

    async def _give_way(self) -> None:
        """Let the event loop go on, now and then: to mask a large event and to find its facts takes its time."""
        if time.monotonic() - self._gave_way > _LONGEST:
            await asyncio.sleep(0)
            self._gave_way = time.monotonic()

    def _add(self, delivery: Delivery, look: int, key: object = None, wanted: tuple[str, ...] | None = None) -> None:
        """Keep an event, if it has the value or an id that is looked for, or points at one that is here.

        Args:
            delivery: The event.
            look: Which look found it.
            key: What tells it from others where its broker does not.
            wanted: It is kept whatever it has, and these are the places of the seed in it; None: what it has decides.
        """
        key = delivery.identity or key
        if key in self._sightings:
            return
        masked = self._reading.mask(delivery)
        facts = self._reading.facts(masked)
        found = self._places_in(masked, facts) if wanted is None else wanted
        sighting = Sighting(masked, facts, look, look in self._looks, found)
        known = self.flow.ids if self.flow is not None else ()
        belongs = wanted is not None or sighting.places or any(id in known for id in sighting.ids)
        if not belongs and not any(pointer in self._sightings for pointer in sighting.pointers):
            return
        size = len(delivery.event.body or b"")
        if len(self._sightings) >= MOST or self._bytes + size > MOST_BYTES:
            self._overflown = True
            return
        self._bytes += size
        self._sightings[key] = sighting

    def _places_in(self, masked: Delivery, facts: Facts) -> tuple[str, ...]:
        if self.seed.place is None:
            return places(masked, facts, self.seed.value, self._reading)
        return (self.seed.place,) if self._query.matches(masked) else ()

    async def _tell(self) -> None:
        """Tell the story anew."""
        await self._retell()
        self._changed()

    async def _retell(self) -> None:
        """Make the story of what is at hand, on a thread where that is much. Nothing there changes what is at hand, nor
        does what comes meanwhile, which the next telling has."""
        async with self._telling:
            begun = time.monotonic()
            for key, each in self._sightings.items():
                self._sightings[key] = self._held(each)
            at_hand = list(self._sightings.values())
            how = at_hand, self.seed, self._chosen, self.scope.depth
            story = _story(*how) if len(at_hand) <= _FEW else await asyncio.to_thread(_story, *how)
            self.places, self.flow, self.trace = story
            self._told_of = len(at_hand)
            self._told = time.monotonic()
            self._took = self._told - begun

    def _held(self, sighting: Sighting) -> Sighting:
        """Whether an event waits: in a queue that was browsed, or as a dead letter of a log that no group has read."""
        delivery = sighting.delivery
        if delivery.position is None or sighting.facts.failure is None:
            return sighting
        passed = bool(self._passing.of(delivery))
        unknown = not passed and not self._passing.is_told(delivery)
        held = not passed and not unknown
        if (sighting.held, sighting.unknown) == (held, unknown):
            return sighting
        return msgspec.structs.replace(sighting, held=held, unknown=unknown)

    def passed_by(self, delivery: Delivery) -> Sequence[str]:
        """The consumer groups that have read an event of a log, as far as they were asked."""
        return self._passing.of(delivery)


def _story(
    at_hand: Sequence[Sighting], seed: Seed, chosen: frozenset[str] | None, depth: int
) -> tuple[Sequence[Place], Flow | None, Trace]:
    """Where the seed stands if there is a choice to be made first; else what leads to its events, and their story."""
    if chosen is None and must_choose(seed, at_hand):
        return listed(at_hand), None, Trace()
    flow = close(at_hand, seed, chosen, depth)
    if not flow.members:
        return (), None, Trace()
    return (), flow, trace([at_hand[number] for number in flow.members])


def _coverage_of(ingestion: Ingestion, endpoint: Endpoint) -> Coverage:
    covered, state = ingestion.coverage, ingestion.state
    if isinstance(state, Ended) and state.error is not None:
        covered = covered.cut_short(str(state.error))
    return without_held(covered, endpoint)


def _spellings(offset: int) -> tuple[bytes, ...]:
    """The ways in which dead letters write an offset: in digits, or as Java writes a long."""
    return str(offset).encode(), offset.to_bytes(8, "big")
