"""A stream that is read to its end before anyone sees it, into a private file: it holds back nothing meanwhile."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from workbench.connecting.connector import Stream
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Look
from workbench.store.store import UNLIMITED, Store, open_store


class Spilled:
    """What was read, as a stream that can be taken at any pace. Made by `spill`."""

    interruption: Final = None
    """A file is never away."""

    def __init__(self, store: Store, coverage: Coverage) -> None:
        self._store = store
        self.coverage: Final = coverage
        """What was read of the source."""

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        async for batch in self._store.read(range(self._store.upto)):
            yield batch


@asynccontextmanager
async def spill(source: AbstractAsyncContextManager[Stream]) -> AsyncIterator[Spilled]:
    """Enter a stream, read it to its end and leave it; then its events, as often as they are wanted.

    Args:
        source: The stream, not yet entered; one that ends.

    Raises:
        ConnectorError: On entering: it cannot be read to its end.
        StoreError: On entering: there is no space for what it holds.
    """
    async with open_store(None, UNLIMITED) as store:
        async with source as stream:
            look = None
            async for batch in stream:
                if look is None:
                    look = store.look(Look(batch[0].address, "browse", batch[0].seen_at))
                await store.append(look, batch)
        await store.flush()
        yield Spilled(store, stream.coverage)
