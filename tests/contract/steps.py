"""What the tests of the contract do through a connector, each step with a deadline."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.contract.samples import same_content
from tests.contract.under_test import BrokerUnderTest, Kind
from workbench.connecting.connector import Claims, Connector, Publisher, Stream
from workbench.connecting.plugins import connect
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.start import Start

MANY = 10_000
"""Events: more than any broker or driver takes in one go."""
DEADLINE = 60.0
"""Seconds after which something that must happen has failed to happen."""


@asynccontextmanager
async def filled(
    broker: BrokerUnderTest, kind: Kind, events: Sequence[Event]
) -> AsyncIterator[tuple[Connector, Address]]:
    """A connector, and a new endpoint in which these events are."""
    address = (await broker.create(kind.name)).address
    async with connect(broker.connection) as connector:
        await publish_all(connector, address, events)
        yield connector, address


async def publish(
    connector: Connector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish, and return a receipt for each event in the order of the events."""
    async with connector.publisher() as publisher:
        return await receipts_of(publisher, address, events, partition)


async def receipts_of(
    publisher: Publisher, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Send all that a publisher will send, and return a receipt for each event in the order of the events."""

    async def send() -> None:
        await publisher.send(address, events, None if partition is None else str(partition))
        await publisher.finish()

    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
        group.create_task(send())
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(len(events)))
    return sorted(receipts, key=lambda receipt: receipt.sequence)


async def publish_all(
    connector: Connector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish what the broker must take."""
    receipts = await publish(connector, address, events, partition)
    assert [receipt.error for receipt in receipts if receipt.error] == []
    return receipts


async def read(stream: Stream | Claims, count: int | None = None) -> list[Delivery]:
    """Read a stream to its end, or so many deliveries."""
    seen: list[Delivery] = []
    async with asyncio.timeout(DEADLINE):
        async for batch in stream:
            assert batch, "a batch is never empty"
            seen += batch
            if count is not None and len(seen) >= count:
                break
    return seen


async def browse(
    connector: Connector,
    address: Address,
    start: Start | None = None,
    limit: int | None = None,
    force: bool = False,
) -> list[Delivery]:
    """Browse to the end."""
    async with asyncio.timeout(DEADLINE), connector.browse(address, start, limit, force) as stream:
        return await read(stream)


async def drain(connector: Connector, address: Address) -> list[Delivery]:
    """Take all that is there, a claim after the other."""
    taken: list[Delivery] = []
    while True:
        async with connector.claim(address, "move") as claims:
            seen = await read(claims)
            outcomes = await claims.settle(range(len(seen)))
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        if not seen:
            return taken
        taken += seen


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110  # a broker does not say when it has got there
            await asyncio.sleep(0.02)


async def depth_becomes(connector: Connector, kind: Kind, address: Address, depth: int) -> None:
    """Return when an endpoint has this depth; at once where its kind says none."""
    if not kind.countable:
        assert (await connector.endpoint(address)).depth is None
        return

    async def reached() -> bool:
        found = (await connector.endpoint(address)).depth
        assert found is not None
        return found == depth

    await eventually(reached)


async def assert_holds(connector: Connector, kind: Kind, address: Address, events: Sequence[Delivery | Event]) -> None:
    """These are there, and nothing else, when what was held of them is given back."""
    await depth_becomes(connector, kind, address, len(events))
    assert kind.bodies(await browse(connector, address)) == kind.bodies(events)


async def wait_until_given_back(connector: Connector, kind: Kind, address: Address, depth: int) -> None:
    """Return when so many can be taken again that were held: at once where the kind promises it."""
    if not kind.gives_back_at_once:
        await depth_becomes(connector, kind, address, depth)


async def inventory_becomes(broker: BrokerUnderTest, names: set[str]) -> None:
    """Return when there is just this at the broker."""

    async def reached() -> bool:
        return await broker.inventory() == names

    await eventually(reached)


def numbered(count: int, key: bytes | None = b"k", begin: int = 0) -> list[Event]:
    """So many plain events, told apart by their bodies."""
    return [Event(key=key, body=b"event %d" % number) for number in range(begin, begin + count)]


@asynccontextmanager
async def cancelled_on_leaving(doing: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Do something in a task meanwhile, and cancel it in the end; its own error is not lost."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(doing)
        try:
            yield
        finally:
            task.cancel()


def assert_same(kind: Kind, sent: Sequence[Event], receipts: Sequence[Receipt], seen: Sequence[Delivery]) -> None:
    """All events came out once, unchanged, in the order of their kind."""
    assert len(seen) == len(sent)
    if Ability.PARTITIONS in kind.abilities:
        places = [receipt.position for receipt in receipts]
        assert {delivery.position for delivery in seen} == set(places)
        events = dict(zip(places, sent, strict=True))
        for ordered in by_partition(seen).values():
            offsets = [int(delivery.position.offset) for delivery in ordered if delivery.position]
            assert offsets == sorted(offsets)
        pairs = [(events[delivery.position], delivery.event) for delivery in seen]
    else:
        pairs = _pairs(kind, sent, [delivery.event for delivery in seen])
    assert [got.body for _, got in pairs] == [_kept_body(kind, put) for put, _ in pairs]
    if Ability.KEYS in kind.abilities:
        assert [got.key for _, got in pairs] == [put.key for put, _ in pairs]
    if kind.times == "published":
        assert [got.timestamp for _, got in pairs] == [put.timestamp for put, _ in pairs]
    elif kind.times == "arrival":
        assert all(got.timestamp is not None and got.timestamp_type == "append" for _, got in pairs)
    for put, got in pairs:
        assert same_content(kind.keeps, put, got), f"{put!r} came out as {got!r}"


def _pairs(kind: Kind, sent: Sequence[Event], seen: Sequence[Event]) -> list[tuple[Event, Event]]:
    """Each event that was sent, with what came out of it."""
    if kind.order == "by key":
        sent, seen = (sorted(events, key=lambda event: event.key or b"") for events in (sent, seen))
    if kind.order != "none":
        return list(zip(sent, seen, strict=True))
    alike = defaultdict[bytes | None, list[Event]](list)
    for event in sent:
        alike[_kept_body(kind, event)].append(event)
    pairs = []
    for got in seen:
        assert alike[got.body], f"{got!r} was not sent, or came out twice"
        put = next((event for event in alike[got.body] if same_content(kind.keeps, event, got)), alike[got.body][0])
        alike[got.body].remove(put)
        pairs.append((put, got))
    return pairs


def _kept_body(kind: Kind, event: Event) -> bytes | None:
    return event.body if Ability.TOMBSTONES in kind.abilities else event.body or b""


def assert_first(kind: Kind, count: int, sent: Sequence[Event], seen: Sequence[Delivery]) -> None:
    """So many of the events were seen: the first, where there is an order."""
    assert len(seen) == count
    if kind.order == "none":
        assert len({*kind.bodies(seen)}) == count
        assert {*kind.bodies(seen)} <= {*kind.bodies(sent)}
    else:
        assert kind.bodies(seen) == kind.bodies(sent[:count])


def by_partition(seen: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    """The deliveries of each partition, in the order seen."""
    partitions = defaultdict[str, list[Delivery]](list)
    for delivery in seen:
        assert delivery.position is not None
        partitions[delivery.position.partition].append(delivery)
    return partitions
