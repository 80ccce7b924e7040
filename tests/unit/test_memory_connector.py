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
from workbench.model.groups import Member
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
        assert stream.coverage.gaps == (Gap("1 message", "held by consumers"),)


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
        async with connector.publisher() as publisher:
            await publisher.send(address, [Event(b"queue", b"body")])
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


async def test_listing_says_how_many_events_ever_came_in(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_exchange("exchange", "fanout")
    broker.declare_queue("queue", QueueSettings(max_length=1))
    broker.bind("exchange", "queue")
    broker.declare_topic("topic", 2, retention=1)
    for _ in range(3):
        broker.publish("exchange", Event(b"k", b"body"))
        broker.append("topic", Event(None, b"body"))
    async with connector:
        published = {endpoint.address.name: endpoint.published for endpoint in await connector.endpoints()}
    assert published == {"exchange": 3, "queue": 3, "topic": 3}


async def test_one_queue_says_who_reads_it_and_a_listing_does_not(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_queue("queue")
    broker.consume("queue", "till", prefetch=4)
    async with connector:
        one = await connector.endpoint(Address("memory", "queue"))
        assert [(reader.tag, reader.prefetch, reader.active) for reader in one.readers] == [("till", 4, True)]
        (listed,) = await connector.endpoints()
        assert (listed.consumers, listed.readers) == (1, ())


async def test_stream_has_offsets_and_no_partitions(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("stream", kind="stream")
    address = Address("memory", "stream")
    async with connector:
        async with connector.publisher() as publisher:
            await publisher.send(address, [Event(b"k", b"%d" % number) for number in range(3)])
            await publisher.send(address, [Event(b"k", b"body")], "0")
            await publisher.finish()
            receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
        assert [type(receipt.error) for receipt in receipts] == [type(None)] * 3 + [Unsupported]
        endpoint = await connector.endpoint(address)
        assert (endpoint.kind, endpoint.partitions) == ("stream", None)
        async with connector.browse(address, At(Position("", "1"))) as stream:
            found = [(each.position, each.event.body) async for batch in stream for each in batch]
    assert found == [(Position("", "1"), b"1"), (Position("", "2"), b"2")]


async def test_topic_of_dead_letters_says_whose(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("payments")
    broker.declare_topic("payments-dlt").dead_letters_of = ("payments",)
    async with connector:
        of, to = (
            await connector.endpoint(Address("memory", "payments-dlt")),
            await connector.endpoint(Address("memory", "payments")),
        )
    assert of.dead_letters_of == (to.address,)
    assert to.dead_letters_to == (of.address,)


async def test_members_of_a_group_share_its_partitions(broker: Broker, connector: MemoryConnector) -> None:
    broker.declare_topic("topic", 3)
    for partition in range(3):
        broker.commit("ledger", "topic", partition, 0)
    async with connector:
        assert (await connector.group("ledger")).state == "Empty"
        broker.members["ledger"] = (Member("m-1", "ledger", "/10.0.0.1"), Member("m-2", "ledger", "/10.0.0.2"))
        group = await connector.group("ledger")
    assert (group.state, [each.member for each in group.partitions]) == ("Stable", ["m-1", "m-2", "m-1"])
