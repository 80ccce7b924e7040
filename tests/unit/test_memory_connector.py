"""The connector of the embedded broker, where it has more to keep than the contract asks of every connector."""

import asyncio
from uuid import uuid4

import pytest

from connectors.memory import Broker, MemoryConnector, QueueSettings, embedded_broker
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.endpoint import Ability
from workbench.model.errors import ConfigError, ConnectionLost, EndpointNotFound, Unsupported
from workbench.model.event import Event, Position
from workbench.model.look import Gap
from workbench.model.start import At

SOON = 10.0
"""Seconds after which a test gives up."""


@pytest.fixture
def broker() -> Broker:
    return embedded_broker(f"unit-{uuid4().hex}")


@pytest.fixture
def connector(broker: Broker) -> MemoryConnector:
    return MemoryConnector(Connection.parse(f"memory=memory://{broker.name}"))


@pytest.mark.parametrize("url", ["memory://shop/orders", "memory://shop:1", "memory://one,two", "memory://shop?tls"])
def test_url_has_nothing_but_a_name(url: str) -> None:
    with pytest.raises(ConfigError):
        MemoryConnector(Connection.parse(url))


async def test_connections_of_one_name_share_a_broker(broker: Broker) -> None:
    broker.declare_queue("orders")
    for name in ("one", "other"):
        async with MemoryConnector(Connection.parse(f"{name}=memory://{broker.name}")) as connector:
            (endpoint,) = await connector.endpoints()
        assert endpoint.address == Address(name, "orders")


@pytest.mark.parametrize("name", ["queue", "topic"])
async def test_tail_of_a_broker_that_stops_loses_its_connection(
    broker: Broker, connector: MemoryConnector, name: str
) -> None:
    broker.declare_exchange("exchange", "fanout")
    broker.declare_queue("queue")
    broker.bind("exchange", "queue")
    broker.declare_topic("topic")
    async with connector, connector.tail(Address("memory", name)) as stream:
        asyncio.get_running_loop().call_later(0.01, broker.stop)
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(SOON):
                await anext(aiter(stream))


async def test_tail_sees_what_expires_while_it_waits(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_exchange("dlx", "fanout")
    broker.declare_queue("wait", QueueSettings(message_ttl=20, dead_letter_exchange="dlx"))
    async with connector, connector.tail(Address("memory", "dlx", "exchange")) as stream:
        broker.publish("", Event(b"wait", b"late"))
        async with asyncio.timeout(SOON):
            (delivery,) = await anext(aiter(stream))
    assert delivery.event.body == b"late"


async def test_deleted_topic_ends_its_tail(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("topic")
    async with connector, connector.tail(Address("memory", "topic")) as stream:
        broker.delete("topic")
        with pytest.raises(EndpointNotFound):
            await anext(aiter(stream))


async def test_reading_says_what_retention_has_removed(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("topic", retention=2)
    for number in range(5):
        broker.append("topic", Event(b"k", b"%d" % number))
    async with connector, connector.browse(Address("memory", "topic"), At(Position("0", "1"))) as stream:
        bodies = [delivery.event.body async for batch in stream for delivery in batch]
        assert bodies == [b"3", b"4"]
        assert stream.coverage.gaps == (Gap("offsets 1 to 2 of partition 0", "no longer kept"),)


async def test_browse_merges_partitions_by_time(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("topic", 2)
    for time in (3, 1, 2, 4):
        broker.append("topic", Event(b"k", b"%d" % time, timestamp=time), partition=time % 2)
    async with connector, connector.browse(Address("memory", "topic")) as stream:
        bodies = [delivery.event.body async for batch in stream for delivery in batch]
    assert bodies == [b"2", b"3", b"1", b"4"]


async def test_look_says_what_consumers_hold(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_queue("queue")
    for body in (b"held", b"waiting"):
        broker.publish("", Event(b"queue", body))
    broker.consume("queue").take(limit=1)
    async with connector, connector.browse(Address("memory", "queue")) as stream:
        bodies = [delivery.event.body async for batch in stream for delivery in batch]
        assert bodies == [b"waiting"]
        assert stream.coverage.gaps == (Gap("1 messages", "held by consumers"),)


async def test_queue_behind_no_exchange_cannot_be_tailed(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_queue("queue")
    address = Address("memory", "queue")
    async with connector:
        assert Ability.TAIL not in (await connector.endpoint(address)).abilities
        with pytest.raises(Unsupported):
            async with connector.tail(address):
                pass


async def test_default_exchange_can_be_published_to_and_not_tailed(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_queue("queue")
    address = Address("memory", "", "exchange")
    async with connector:
        assert (await connector.endpoint(address)).abilities == Ability.PUBLISH | Ability.KEYS | Ability.PROPERTIES
        async with connector.publisher(address) as publisher:
            await publisher.send([Event(b"queue", b"body")])
        assert broker.queues["queue"].depth == 1
        with pytest.raises(Unsupported):
            async with connector.tail(address):
                pass


async def test_tap_is_not_listed(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_exchange("exchange", "fanout")
    async with connector, connector.tail(Address("memory", "exchange", "exchange")):
        assert [endpoint.address.name for endpoint in await connector.endpoints()] == ["exchange"]


async def test_tap_of_a_direct_exchange_sees_the_keys_that_are_bound(
    broker: Broker, connector: MemoryConnector
) -> None:
    broker.declare_exchange("exchange", "direct")
    broker.declare_queue("queue")
    broker.bind("exchange", "queue", "paid")
    async with connector, connector.tail(Address("memory", "exchange", "exchange")) as stream:
        broker.publish("exchange", Event(b"paid", b"body"))
        (delivery,) = await anext(aiter(stream))
        assert delivery.event.key == b"paid"
        assert not stream.coverage.complete


async def test_tap_says_what_it_dropped(
    broker: Broker, connector: MemoryConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.memory.connector.TAP_LENGTH", 3)
    broker.declare_exchange("exchange", "fanout")
    async with connector, connector.tail(Address("memory", "exchange", "exchange")) as stream:
        for number in range(5):
            broker.publish("exchange", Event(b"k", b"%d" % number))
        assert [delivery.event.body for delivery in await anext(aiter(stream))] == [b"2", b"3", b"4"]
        assert stream.coverage.gaps == (Gap("2 messages", "arrived faster than they were read"),)
