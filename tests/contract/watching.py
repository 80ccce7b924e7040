"""Being listed again and again: at a connection's own beat, and of it only what it is meant to show."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.contract.steps import DEADLINE
from tests.contract.under_test import BrokerUnderTest, Contract, Kind
from workbench.operations.watch import Watch
from workbench.session import Session


class Listings:
    """A watch, and a wait for what it lists."""

    def __init__(self, watch: Watch, changed: asyncio.Event) -> None:
        self.watch, self._changed = watch, changed

    @property
    def names(self) -> set[str]:
        """Of the endpoints that it shows."""
        return {address.name for address in self.watch.endpoints}

    async def change(self) -> None:
        """Return when there is another listing."""
        self._changed.clear()
        async with asyncio.timeout(DEADLINE):
            await self._changed.wait()

    async def become(self, condition: Callable[[], bool]) -> None:
        """Return when a listing is so."""
        async with asyncio.timeout(DEADLINE):
            while True:
                self._changed.clear()
                if condition():
                    return
                await self._changed.wait()


@asynccontextmanager
async def watching(broker: BrokerUnderTest, **settings: Any) -> AsyncIterator[Listings]:
    """Watch a broker through a connection with a beat and a scope."""
    connection = msgspec.structs.replace(broker.connection, **settings)
    changed = asyncio.Event()
    async with Session([connection]) as session, asyncio.TaskGroup() as group:
        name = connection.name
        watch = Watch(name, lambda: session.connector(name), lambda _: changed.set(), lambda: session.complete(name))
        running = group.create_task(watch.run())
        try:
            yield Listings(watch, changed)
        finally:
            running.cancel()


class WatchingContract(Contract):
    """The tests."""

    async def test_only_what_is_of_the_scope_is_listed(self, broker: BrokerUnderTest, kind: Kind) -> None:
        inside, outside = (await broker.create(kind.name)).address, (await broker.create(kind.name)).address
        async with watching(broker, beat=None, scope=f"{inside.name[:-1]}[{inside.name[-1]}]") as listings:
            await listings.become(lambda: inside.name in listings.names)
            assert inside in listings.watch.endpoints
            assert outside not in listings.watch.endpoints
            assert listings.names == {inside.name}

    async def test_with_a_beat_what_is_new_is_listed_unasked(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with watching(broker, beat=0.05) as listings:
            await listings.become(lambda: listings.watch.state == "connected")
            new = (await broker.create(kind.name)).address
            await listings.become(lambda: new in listings.watch.endpoints)

    async def test_without_a_beat_what_is_new_is_listed_when_asked(self, broker: BrokerUnderTest, kind: Kind) -> None:
        async with watching(broker, beat=None) as listings:
            await listings.become(lambda: listings.watch.state == "connected")
            new = (await broker.create(kind.name)).address
            assert new not in listings.watch.endpoints
            # A broker may name it somewhat later.
            while new not in listings.watch.endpoints:
                listings.watch.refresh()
                await listings.change()
