"""What the tests of the contract do through a connector, each step with a deadline."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.contract.samples import same_content
from tests.contract.under_test import BrokerUnderTest, Kind
from workbench.connecting.connector import Claims, Connector, Stream
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.start import Start

MANY = 10_000
"""Events: more than any broker or driver takes in one go."""
DEADLINE = 60.0
"""Seconds after which something that must happen has failed to happen."""


async def publish(
    connector: Connector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish, and return a receipt for each event in the order of the events."""
    async with asyncio.timeout(DEADLINE), connector.publisher(address) as publisher:

        async def send() -> None:
            await publisher.send(events, partition)
            await publisher.finish()

        async with asyncio.TaskGroup() as group:
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


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when a condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # noqa: ASYNC110  # a broker does not say when it has got there
            await asyncio.sleep(0.02)


async def depth_becomes(connector: Connector, address: Address, depth: int) -> None:
    """Return when an endpoint has this depth."""

    async def reached() -> bool:
        return (await connector.endpoint(address)).depth == depth

    await eventually(reached)


async def inventory_becomes(broker: BrokerUnderTest, names: set[str]) -> None:
    """Return when there is just this at the broker."""

    async def reached() -> bool:
        return await broker.inventory() == names

    await eventually(reached)


def bodies(seen: Sequence[Delivery | Event]) -> list[bytes | None]:
    """What a test tells events apart by."""
    return [(item.event if isinstance(item, Delivery) else item).body for item in seen]


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
    """All events came out once, unchanged, in the order of the endpoint or of each of its partitions."""
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
        pairs = list(zip(sent, (delivery.event for delivery in seen), strict=True))
    tombstones = Ability.TOMBSTONES in kind.abilities
    assert [got.body for _, got in pairs] == [put.body if tombstones else put.body or b"" for put, _ in pairs]
    if Ability.KEYS in kind.abilities:
        assert [got.key for _, got in pairs] == [put.key for put, _ in pairs]
    if kind.keys == "any":
        assert [got.timestamp for _, got in pairs] == [put.timestamp for put, _ in pairs]
    for put, got in pairs:
        assert same_content(kind.keeps, put, got), f"{put!r} came out as {got!r}"


def by_partition(seen: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    """The deliveries of each partition, in the order seen."""
    partitions = defaultdict[str, list[Delivery]](list)
    for delivery in seen:
        assert delivery.position is not None
        partitions[delivery.position.partition].append(delivery)
    return partitions
