"""Short ways to fill and to read a topic."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from connectors.kafka import KafkaConnector
from tests.kafka.conftest import DEADLINE
from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt
from workbench.model.start import Start

BASE = time.time_ns() // 3_600_000_000_000 * 3_600_000 - 3_600_000
"""A time to count from, in milliseconds: an hour ago or two. Brokers delete what is older than a week, and forget the
producer of what is older than a day."""


def numbered(count: int, first: int = 0, size: int = 0) -> list[Event]:
    """Events that differ, a millisecond apart."""
    return [
        Event(b"key-%d" % number, b"event-%d" % number + b"." * size, timestamp=BASE + number)
        for number in range(first, first + count)
    ]


async def publish(
    connector: KafkaConnector, address: Address, events: Sequence[Event], partition: int | None = None
) -> list[Receipt]:
    """Publish, and return all receipts by number."""
    async with connector.publisher() as publisher:
        await publisher.send(address, events, None if partition is None else str(partition))
        await publisher.finish()
        receipts = [receipt async for some in publisher.receipts() for receipt in some]
    return sorted(receipts, key=lambda receipt: receipt.sequence)


async def browse(
    connector: KafkaConnector, address: Address, start: Start | None = None, limit: int | None = None
) -> list[Delivery]:
    """Everything that is there."""
    async with connector.browse(address, start, limit) as stream:
        return [delivery async for batch in stream for delivery in batch]


async def wait_until_decided(connector: KafkaConnector, address: Address, seconds: float = DEADLINE) -> None:
    """Wait until no transaction is open: a broker ends one somewhat after it has told the producer so."""
    async with asyncio.timeout(seconds):
        while True:
            async with connector.browse(address) as stream:
                if not any("still open" in gap.reason for gap in stream.coverage.gaps):
                    return
            await asyncio.sleep(0.02)


async def lag_becomes(connector: KafkaConnector, group: str, lag: int, seconds: float = DEADLINE) -> None:
    """Wait for a group's lag: offsets committed in a transaction are seen somewhat after it."""
    async with asyncio.timeout(seconds):
        while True:
            found = await connector.group(group)
            if found.partitions and found.lag == lag:
                return
            await asyncio.sleep(0.02)


async def take(stream: Stream, count: int, seconds: float = DEADLINE) -> list[Delivery]:
    """Read on until so many have come."""
    found: list[Delivery] = []
    async with asyncio.timeout(seconds):
        async for batch in stream:
            found += batch
            if len(found) >= count:
                break
    return found


def by_partition(deliveries: Iterable[Delivery]) -> dict[str, list[int]]:
    """The offsets seen in each partition, in the order they were seen."""
    found: dict[str, list[int]] = {}
    for delivery in deliveries:
        assert delivery.position is not None
        found.setdefault(delivery.position.partition, []).append(int(delivery.position.offset))
    return found
