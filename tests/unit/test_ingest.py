"""Looks on their way into a store: what they keep, what they say of themselves, and what ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from connectors.memory import Broker, MemoryConnector, embedded_broker
from workbench.connecting import retry
from workbench.connecting.config import Connection
from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost, EndpointNotFound
from workbench.model.event import Event
from workbench.model.look import Interruption
from workbench.model.start import Beginning
from workbench.operations.merge import AHEAD_SIZE, merge
from workbench.store.ingest import Ended, Ingestion, Ingestions, ingestions
from workbench.store.store import Store, open_store

SOON = 10.0
"""Seconds after which a test gives up."""
TOPIC = Address("memory", "topic")
OTHER = Address("memory", "other")


class Desk:
    """A store, the looks into it, and what they told."""

    def __init__(
        self, broker: Broker, connector: MemoryConnector, store: Store, tails: Ingestions, changed: asyncio.Event
    ) -> None:
        self.broker, self.connector, self.store, self.tails = broker, connector, store, tails
        self.changed = changed

    def tail(self, address: Address = TOPIC) -> Ingestion:
        return self.tails.begin("tail", address, lambda: self.connector.tail(address, Beginning()))

    def browse(self, address: Address = TOPIC) -> Ingestion:
        return self.tails.begin("browse", address, lambda: self.connector.browse(address))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def bodies(self, address: Address = TOPIC) -> list[bytes | None]:
        found = await self.store.rows(range(self.store.upto))
        return [each.event.body for each in found if each is not None and each.address == address]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    broker = embedded_broker(f"tails-{uuid4().hex}")
    for address in (TOPIC, OTHER):
        broker.declare_topic(address.name)
    changed = asyncio.Event()
    async with (
        MemoryConnector(Connection.parse(f"memory=memory://{broker.name}")) as connector,
        open_store(tmp_path) as store,
        ingestions(store) as looking,
    ):
        store.listeners.add(changed.set)
        looking.listeners.add(lambda tail: changed.set())
        yield Desk(broker, connector, store, looking, changed)


def put(broker: Broker, *bodies: bytes, address: Address = TOPIC) -> None:
    for body in bodies:
        broker.append(address.name, Event(body=body))


async def test_several_endpoints_are_kept_in_one_store(desk: Desk) -> None:
    one, other = desk.tail(TOPIC), desk.tail(OTHER)
    put(desk.broker, b"1", b"2")
    put(desk.broker, b"3", address=OTHER)
    await desk.until(lambda: desk.store.upto == 3)
    assert await desk.bodies(TOPIC) == [b"1", b"2"]
    assert await desk.bodies(OTHER) == [b"3"]
    assert one.look != other.look and one.state == other.state == "running"


async def test_a_browse_ends_by_itself_and_the_store_knows_what_it_covered(desk: Desk) -> None:
    put(desk.broker, b"1", b"2")
    tail = desk.browse()
    await tail.wait_closed()
    await desk.until(lambda: tail.state == Ended())
    assert tail.coverage.read == desk.store.looks[tail.look].coverage.read == 2
    assert desk.store.looks[tail.look].kind == "browse"


async def test_every_listener_is_told_that_the_store_has_grown(desk: Desk) -> None:
    seen: list[set[int]] = [set(), set()]
    desk.store.listeners |= {lambda each=each: each.add(desk.store.upto) for each in seen}  # type: ignore[misc]
    put(desk.broker, b"1", b"2")
    desk.browse()
    await desk.until(lambda: desk.store.upto == 2)
    assert all(2 in each for each in seen)


async def test_a_stopped_look_keeps_what_it_read(desk: Desk) -> None:
    put(desk.broker, b"1")
    tail = desk.tail()
    await desk.until(lambda: desk.store.upto == 1)
    tail.stop()
    await tail.wait_closed()
    await desk.until(lambda: tail.state == Ended())
    put(desk.broker, b"2")
    await asyncio.sleep(0.05)
    assert await desk.bodies() == [b"1"]
    assert desk.store.looks[tail.look].coverage.read == 1


async def test_a_look_that_is_stopped_before_it_began_has_ended(desk: Desk) -> None:
    tail = desk.tail()
    tail.stop()
    await tail.wait_closed()
    await desk.until(lambda: tail.state == Ended())


async def test_a_lost_broker_interrupts_a_tail_which_then_goes_on_where_it_stopped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "PAUSES", (0.01,))
    put(desk.broker, b"1")
    tail = desk.tail()
    await desk.until(lambda: desk.store.upto == 1)
    desk.broker.stop()
    await desk.until(lambda: isinstance(tail.state, Interruption))
    state = tail.state
    assert isinstance(state, Interruption) and "was stopped" in state.reason and state.retry_at >= state.since
    desk.broker.start()
    put(desk.broker, b"2", b"3")
    await desk.until(lambda: desk.store.upto == 3 and tail.state == "running")
    assert await desk.bodies() == [b"1", b"2", b"3"]


async def test_a_lost_broker_ends_a_browse(desk: Desk) -> None:
    desk.broker.stop()
    tail = desk.browse()
    await desk.until(lambda: isinstance(tail.state, Ended))
    assert isinstance(tail.state, Ended) and isinstance(tail.state.error, ConnectionLost)


async def test_a_tail_waits_for_a_broker_that_is_not_there_yet(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSES", (0.01,))
    desk.broker.stop()
    tail = desk.tail()
    await desk.until(lambda: isinstance(tail.state, Interruption))
    desk.broker.start()
    await desk.until(lambda: tail.state == "running")


async def test_what_breaks_one_look_leaves_the_others_running(desk: Desk) -> None:
    missing, other = desk.tail(Address("memory", "missing")), desk.tail()
    await desk.until(lambda: isinstance(missing.state, Ended))
    assert isinstance(missing.state, Ended) and isinstance(missing.state.error, EndpointNotFound)
    put(desk.broker, b"1")
    await desk.until(lambda: desk.store.upto == 1)
    assert other.state == "running"


async def test_leaving_stops_all_looks(tmp_path: Path) -> None:
    broker = embedded_broker(f"tails-{uuid4().hex}")
    broker.declare_topic("topic")
    left = asyncio.Event()

    @asynccontextmanager
    async def watched(opened: AbstractAsyncContextManager[Stream]) -> AsyncIterator[Stream]:
        try:
            async with opened as stream:
                yield stream
        finally:
            left.set()

    async with (
        MemoryConnector(Connection.parse(f"memory=memory://{broker.name}")) as connector,
        open_store(tmp_path) as store,
    ):
        entered = asyncio.Event()
        async with ingestions(store) as looking:
            looking.listeners.add(lambda tail: entered.set() if tail.state == "running" else None)
            tail = looking.begin("tail", TOPIC, lambda: watched(connector.tail(TOPIC)))
            await entered.wait()
        assert left.is_set() and tail.state == Ended()


async def test_a_store_that_cannot_keep_up_makes_its_streams_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    append, gate = desk.store.append, asyncio.Event()

    async def slow(look: int, batch: object) -> int:
        await gate.wait()
        return await append(look, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.store, "append", slow)
    put(desk.broker, *(b"%d" % number for number in range(5_000)))
    tail = desk.tail()
    await desk.until(lambda: tail.state == "running")
    await asyncio.sleep(0.1)
    read = tail.coverage.read
    assert 0 < read < 5_000
    gate.set()
    await desk.until(lambda: desk.store.upto == 5_000)
    assert await desk.bodies() == [b"%d" % number for number in range(5_000)]


async def test_a_reader_that_cannot_keep_up_makes_large_events_wait(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.memory.streams.BATCH", 2)
    megabyte = 1 << 20
    bodies = [b"%03d" % number + bytes(megabyte) for number in range(60)]
    for address in (TOPIC, OTHER):
        put(desk.broker, *bodies, address=address)
    streams = {address: desk.connector.tail(address, Beginning()) for address in (TOPIC, OTHER)}
    async with merge(streams) as together:
        for _ in range(1_000):
            await asyncio.sleep(0)
        read = sum(coverage.read for coverage in together.coverage.values())
        # What waits, and a batch that each stream has in hand.
        assert 4 <= read <= AHEAD_SIZE // megabyte + 4
        seen: dict[Address, list[bytes | None]] = {TOPIC: [], OTHER: []}
        async with asyncio.timeout(SOON):
            async for batch in together:
                seen[batch[0].address] += [each.event.body for each in batch]
                if sum(map(len, seen.values())) == 2 * len(bodies):
                    break
        assert seen == {TOPIC: bodies, OTHER: bodies}
