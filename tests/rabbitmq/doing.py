"""What the tests do with a connector, in one line each."""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually
from workbench.connecting.connector import Claims, Connector, Stream
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.model.receipt import Receipt


def numbered(count: int, key: bytes | None = b"k", begin: int = 0) -> list[Event]:
    """So many plain events, told apart by their bodies."""
    return [Event(key=key, body=b"event %d" % number) for number in range(begin, begin + count)]


def bodies(seen: Sequence[Delivery | Event]) -> list[bytes]:
    """Their bodies."""
    return [(item.event if isinstance(item, Delivery) else item).body or b"" for item in seen]


async def publish(connector: Connector, address: Address, events: Sequence[Event]) -> list[Receipt]:
    """Publish, and return a receipt for each event in the order of the events."""
    async with asyncio.timeout(DEADLINE), connector.publisher() as publisher:
        await publisher.send(address, events)
        await publisher.finish()
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(len(events)))
    return sorted(receipts, key=lambda receipt: receipt.sequence)


async def publish_all(connector: Connector, address: Address, events: Sequence[Event]) -> None:
    """Publish what the broker must take."""
    assert [receipt.error for receipt in await publish(connector, address, events) if receipt.error] == []


async def read(stream: Stream | Claims, count: int | None = None) -> list[Delivery]:
    """Read a stream to its end, or so many deliveries."""
    seen: list[Delivery] = []
    async with asyncio.timeout(DEADLINE):
        async for batch in stream:
            seen += batch
            if count is not None and len(seen) >= count:
                break
    return seen


async def browse(connector: Connector, address: Address, limit: int | None = None) -> list[Delivery]:
    """Browse to the end."""
    async with connector.browse(address, limit=limit) as stream:
        return await read(stream)


async def close_connections(rabbit: Rabbit) -> None:
    """Close all connections of the workbench to the virtual host, as an administrator may: at least two, which may not
    be listed at once."""
    count = 0

    async def closed() -> bool:
        nonlocal count
        count += close_listed_connections(rabbit)
        return count >= 2

    await eventually(closed)


def close_listed_connections(rabbit: Rabbit) -> int:
    """The same with those that the management API lists already, a second after they are there; how many that were."""
    vhost = rabbit.vhost.replace("/", "%2F")
    found = rabbit.api.get(f"/api/vhosts/{vhost}/connections").json()
    ours = [each for each in found if each.get("client_properties", {}).get("connection_name") == "event-workbench"]
    for each in ours:
        rabbit.api.delete(f"/api/connections/{quote(each['name'], safe='')}")
    return len(ours)
