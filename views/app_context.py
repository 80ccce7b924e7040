"""What all screens work with: the session, what was seen so far, and what is being looked at."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import StoreError
from workbench.model.start import Start, Window
from workbench.operations.watch import Watch
from workbench.session import Session
from workbench.store.archive import Archive
from workbench.store.ingest import Ingestion, Ingestions
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.connecting.connector import Stream
    from workbench.model.event import Delivery
    from workbench.operations.move.departures import Departures
    from workbench.operations.trace.scope import Plan, Scope
    from workbench.query.query import Query
    from workbench.store.workers import Workers

MANY: Final = 50_000
"""Events to be decoded in a search from which on worker processes are started."""
PATIENCE: Final = 5.0
"""Seconds that the looks through a connection may take to end."""


class AppContext:
    """One for each run of the program."""

    def __init__(
        self,
        session: Session,
        archive: Archive,
        ingestions: Ingestions,
        watches: dict[str, Watch],
        demo: bool = False,
    ) -> None:
        """Lay out what the screens share.

        Args:
            session: The connections.
            archive: What was seen: a `Store`, or a recording, which nothing is added to.
            ingestions: What is being looked at.
            watches: The connections as they are listed, by name.
            demo: Whether the session is the demo's shop, of which nothing stays.
        """
        self.session: Final = session
        self.archive: Final = archive
        self.ingestions: Final = ingestions
        self.watches: Final = watches
        self.demo: Final = demo
        self._departures: Departures | None = None
        self._departing = asyncio.Lock()

    @property
    def store(self) -> Store | None:
        """Where looks go; None where a recording is open."""
        return self.archive if isinstance(self.archive, Store) else None

    @cached_property
    def workers(self) -> "Workers":
        """Processes for searches that are long; started when one is."""
        # Imported here: the first picture would wait for them.
        from workbench.store.workers import Workers

        return Workers()

    def endpoint(self, address: Address) -> Endpoint | None:
        """An endpoint as it was listed last."""
        watch = self.watches.get(address.connection)
        return watch.endpoints.get(address) if watch else None

    def endpoints(self) -> list[Endpoint]:
        """All endpoints of all connections."""
        return [endpoint for watch in self.watches.values() for endpoint in watch.endpoints.values()]

    async def survey(self, scope: "Scope") -> "Plan":
        """Where flows are looked for: of each connection, what is listed of it."""
        # The first picture would wait for it.
        from workbench.operations.trace.scope import survey

        plan = await survey(self.session, scope, self._is_of_scope)
        limited = [
            (each.name, f"limited to {each.scope} by its scope") for each in self.watches.values() if each.scope != "*"
        ]
        return msgspec.structs.replace(plan, unseen=(*plan.unseen, *limited))

    def _is_of_scope(self, endpoint: Endpoint) -> bool:
        watch = self.watches.get(endpoint.address.connection)
        return watch is None or watch.covers(endpoint.address)

    def browse(self, address: Address, start: Start | None, limit: int | None, force: bool = False) -> Ingestion:
        """Look at what is in an endpoint; it goes into the store."""
        return self.ingestions.begin("browse", address, lambda: self.session.browse(address, start, limit, force))

    def tail(self, address: Address, start: Start | None = None, pattern: str | None = None) -> Ingestion:
        """Look at what arrives at an endpoint; it goes into the store."""
        return self.ingestions.begin("tail", address, lambda: self.session.tail(address, start, pattern))

    def search(self, endpoint: Endpoint, query: "Query", window: Window) -> Ingestion:
        """Search a log; what is found goes into the store."""

        def opened() -> "AbstractAsyncContextManager[Stream]":
            # The first picture would wait for it.
            from workbench.operations.search import is_on_cluster, search_log

            by_bytes = query.needles is not None and Ability.SCAN in endpoint.abilities
            many = not (by_bytes or is_on_cluster(self.session, endpoint))
            executor = self.workers if many and (endpoint.depth or 0) > MANY else None
            return search_log(self.session, endpoint, query, window, executor)

        return self.ingestions.begin("scan", endpoint.address, opened)

    async def take_departures(self, id: str) -> None:
        """Know what became of the events of an operation that has ended.

        Args:
            id: The operation's.
        """
        # The first picture would wait for it.
        from workbench.operations.journal.records import find_journal
        from workbench.operations.move.departures import Departures

        upto = self.archive.upto
        # One operation after the other: each adds to what is known.
        async with self._departing:
            departures = self._departures or Departures()
            with suppress(StoreError):
                await asyncio.to_thread(lambda: departures.add(find_journal(id), upto))
                self._departures = departures

    def verb_of(self, sequence: int, delivery: "Delivery") -> str:
        """What an operation of this program did with an event since it was seen: "moved", "copied", "deleted" or
        "taken back"; empty: nothing.

        Args:
            sequence: Its number in the archive.
            delivery: The event, as it came.
        """
        return "" if self._departures is None else self._departures.verb_of(sequence, delivery)

    async def stop_looks(self, connection: str) -> None:
        """End the looks through a connection, and wait until what they took is given back, as long as that can be
        waited for."""
        looks = self.ingestions.of_connection(connection)
        for look in looks:
            look.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                for look in looks:
                    await look.wait_closed()

    def close(self) -> None:
        """End the processes, should they have been needed."""
        if "workers" in self.__dict__:
            self.workers.shutdown(wait=False, cancel_futures=True)
