"""A browse that shows only what matches: found by the bytes of logs or on a cluster, in the order of a browse.

All logs are searched at once. A search finds in no order, so all matches are held until its end. A log that has so many
that they had better be read one after the other is browsed after all: nothing of it was shown yet.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Interruption
from workbench.model.start import Beginning, Since, Start, Window
from workbench.operations.browse_defaults import Few
from workbench.operations.search import Search, is_on_cluster, search
from workbench.query.query import Query
from workbench.session import Session

_MOST: Final = 32 << 20
"""Bytes of matches that are held."""
_EARLY: Final = 0.03
"""What part of the logs may have been searched where a browse would be done before the search: it takes longer."""
_BATCH: Final = 500


def searchable(session: Session, endpoint: Endpoint, query: Query, start: Start | None) -> bool:
    """Whether what matches can be found by bytes or by a cluster, from where a browse shall begin."""
    by_bytes = query.needles is not None and Ability.SCAN in endpoint.abilities
    return (by_bytes or is_on_cluster(session, endpoint)) and isinstance(start, Beginning | Since)


@asynccontextmanager
async def browse_matching(
    session: Session, endpoints: Sequence[Endpoint], query: Query, start: Start, until: int | None, limit: int | None
) -> AsyncIterator[Mapping[Address, Stream]]:
    """What a browse of each of some logs would show of what matches a query; `searchable` has said of each that it can
    be found. The search begins when the first of them is iterated over.

    Args:
        session: Whose connections.
        endpoints: The logs.
        query: What must match.
        start: Where to begin.
        until: Only events before this time are wanted, in milliseconds since 1970 UTC.
        limit: How many are wanted of each, the first; None: all.
    """
    window = Window(start.time if isinstance(start, Since) else None, None if until is None else until - 1)
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(search(session, endpoints, query, window))
        matches = _Matches(found, [each.address for each in endpoints], limit)
        yield {each.address: _Matching(session, each.address, start, matches, stack) for each in endpoints}


class _Matches:
    """What a search of some logs finds, held until its end."""

    def __init__(self, found: Search, addresses: Sequence[Address], limit: int | None) -> None:
        self.found = found
        self.limit = limit
        self._held: dict[Address, dict[str, list[Delivery]] | None] = {address: {} for address in addresses}
        """By partition; None: there is too much of it."""
        self._sizes = dict.fromkeys(addresses, 0)
        self._running: asyncio.Lock = asyncio.Lock()
        self._searched = False

    async def take(self, address: Address) -> list[Delivery] | None:
        """All matches of a log, in the order of a browse; None: there are so many that it should be browsed."""
        async with self._running:
            if not self._searched:
                await self._search()
                self._searched = True
        held = self._held[address]
        self._held[address] = {}
        return None if held is None else _in_order(held)[: self.limit]

    async def _search(self) -> None:
        async for batch in self.found:
            for each in batch:
                if (held := self._held[each.address]) is not None:
                    held.setdefault(each.position.partition if each.position else "", []).append(each)
                    self._sizes[each.address] += each.memory
            if self.limit is not None and self.found.progress.share < _EARLY:
                for address in {each.address for each in batch}:
                    if self.found.found[address] >= self.limit:
                        self._give_up(address)
            while sum(self._sizes.values()) > _MOST:
                self._give_up(max(self._sizes, key=self._sizes.__getitem__))
            if all(held is None for held in self._held.values()):
                self.found.stop()
                return

    def _give_up(self, address: Address) -> None:
        self._held[address] = None
        self._sizes[address] = 0


class _Matching:
    """A `Stream` of what matches in a log, or of everything where that is better."""

    def __init__(
        self, session: Session, address: Address, start: Start, matches: _Matches, stack: AsyncExitStack
    ) -> None:
        self._session = session
        self._address = address
        self._start = start
        self._matches = matches
        self._stack = stack
        self._browse: Stream | None = None

    @property
    def coverage(self) -> Coverage:
        """What was searched, or read."""
        return self._browse.coverage if self._browse else self._matches.found.coverage[self._address]

    @property
    def interruption(self) -> Interruption | None:
        """Why there is no connection at the moment."""
        return self._browse.interruption if self._browse else None

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        held = await self._matches.take(self._address)
        if held is None:
            connector = await self._session.connector(self._address.connection)
            self._browse = await self._stack.enter_async_context(connector.browse(self._address, self._start))
            async for batch in self._browse:
                yield batch
            return
        held.reverse()
        while held:
            # What was handed over is held by whoever shows or records it.
            batch = held[: -_BATCH - 1 : -1]
            del held[-_BATCH:]
            yield batch
        if error := self._matches.found.errors.get(self._address):
            raise error


def _in_order(held: dict[str, list[Delivery]]) -> list[Delivery]:
    """By time, those of one partition in their own order."""
    merged = Few(sum(map(len, held.values())) or 1, newest=False)
    for number, partition in enumerate(sorted(held, key=lambda name: (len(name), name))):
        merged.add(number, held[partition])
    return list(merged)
