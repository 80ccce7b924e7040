"""A browse that shows only what matches: found by the bytes of a log or on a cluster, and shown in a browse's order.

A search finds in no order, so all matches are held until the end. Where there are so many that they had better be read
one after the other, the log is browsed after all: nothing was shown yet.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from workbench.connecting.connector import Stream
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
"""What part of a log may have been searched where a browse would be done before the search: it takes so much longer."""
_BATCH: Final = 500


def searchable(session: Session, endpoint: Endpoint, query: Query, start: Start | None) -> bool:
    """Whether what matches can be found by bytes or by a cluster, from where a browse shall begin."""
    by_bytes = query.needles is not None and Ability.SCAN in endpoint.abilities
    return (by_bytes or is_on_cluster(session, endpoint)) and isinstance(start, Beginning | Since)


@asynccontextmanager
async def browse_matching(
    session: Session, endpoint: Endpoint, query: Query, start: Start, until: int | None, limit: int | None
) -> AsyncIterator[Stream]:
    """What a browse would show of what matches a query; `searchable` has said that it can be found.

    Args:
        session: Whose connection.
        endpoint: The log.
        query: What must match.
        start: Where to begin.
        until: Only events before this time are wanted, in milliseconds since 1970 UTC.
        limit: How many are wanted, the first; None: all.
    """
    window = Window(start.time if isinstance(start, Since) else None, None if until is None else until - 1)
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(search(session, [endpoint], query, window))
        yield _Matching(session, endpoint, start, limit, found, stack)


class _Matching:
    """A `Stream` of what matches, or of everything where that is better."""

    def __init__(
        self,
        session: Session,
        endpoint: Endpoint,
        start: Start,
        limit: int | None,
        found: Search,
        stack: AsyncExitStack,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._start = start
        self._limit = limit
        self._found = found
        self._stack = stack
        self._browse: Stream | None = None

    @property
    def coverage(self) -> Coverage:
        """What was searched, or read."""
        return self._browse.coverage if self._browse else self._found.coverage[self._endpoint.address]

    @property
    def interruption(self) -> Interruption | None:
        """Why there is no connection at the moment."""
        return self._browse.interruption if self._browse else None

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        held = await self._search()
        if held is None:
            self._found.stop()
            connector = await self._session.connector(self._endpoint.address.connection)
            self._browse = await self._stack.enter_async_context(connector.browse(self._endpoint.address, self._start))
            async for batch in self._browse:
                yield batch
            return
        ordered = _in_order(held)[: self._limit]
        for begin in range(0, len(ordered), _BATCH):
            yield ordered[begin : begin + _BATCH]
        if error := self._found.errors.get(self._endpoint.address):
            raise error

    async def _search(self) -> dict[str, list[Delivery]] | None:
        """What is found, by partition; None: there is too much of it."""
        held: dict[str, list[Delivery]] = {}
        size = count = 0
        async for batch in self._found:
            for each in batch:
                held.setdefault(each.position.partition if each.position else "", []).append(each)
                size += each.memory
            count += len(batch)
            plenty = self._limit is not None and count >= self._limit and self._found.progress.share < _EARLY
            if size > _MOST or plenty:
                return None
        return held


def _in_order(held: dict[str, list[Delivery]]) -> Sequence[Delivery]:
    """By time, those of one partition in their own order."""
    merged = Few(sum(map(len, held.values())) or 1, newest=False)
    for number, partition in enumerate(sorted(held, key=lambda name: (len(name), name))):
        merged.add(number, held[partition])
    return list(merged)
