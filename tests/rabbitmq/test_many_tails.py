"""Tails of many endpoints are channels of one connection: what ends or holds up one of them does so to no other."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from pika.frame import Method
from pika.spec import Basic

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.client import Channel, Client
from connectors.rabbitmq.settings import Access
from connectors.rabbitmq.shared import Opener, SharedClients
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, close_connections, read
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectionLost, WorkbenchError
from workbench.model.event import Delivery
from workbench.model.look import Interruption
from workbench.operations.merge import Merged, merge

MANY = 200


@pytest.fixture
def newest(rabbitmq_4: RabbitMQAddress) -> Iterator[Rabbit]:
    """A virtual host on the newest release."""
    made = new_vhost(rabbitmq_4)
    yield made
    made.remove()


def connections(rabbit: Rabbit) -> list[dict[str, Any]]:
    """Those of the workbench, as the broker lists them, seconds late."""
    found: list[dict[str, Any]] = rabbit.api.get(f"/api/vhosts/{quote(rabbit.vhost, safe='')}/connections").json()
    return [each for each in found if each.get("client_properties", {}).get("connection_name") == "event-workbench"]


async def until_open(rabbit: Rabbit, count: int, channels: int) -> None:
    """Return when the broker lists so many connections of the workbench, with so many channels together."""

    async def listed() -> bool:
        found = connections(rabbit)
        return len(found) == count and sum(each.get("channels", 0) for each in found) == channels

    await eventually(listed)


@asynccontextmanager
async def tailing(
    connector: RabbitMQConnector, addresses: Sequence[Address], seen: dict[Address, list[Delivery]], **options: Any
) -> AsyncIterator[Merged]:
    """Tails of all, and what they bring."""
    streams = {address: connector.tail(address) for address in addresses}
    async with merge(streams, **options) as merged, asyncio.TaskGroup() as group:

        async def take() -> None:
            async for batch in merged:
                for delivery in batch:
                    seen.setdefault(delivery.address, []).append(delivery)

        taking = group.create_task(take())
        yield merged
        taking.cancel()


async def until_seen(seen: Mapping[Address, Sequence[Delivery]], addresses: Sequence[Address], body: bytes) -> None:
    """Return when each of them has brought it."""

    async def arrived() -> bool:
        return all(body in bodies(seen.get(address, ())) for address in addresses)

    await eventually(arrived)


def publish_to_each(rabbit: Rabbit, addresses: Sequence[Address], body: bytes) -> None:
    for address in addresses:
        rabbit.channel.basic_publish(address.name if address.namespace == "exchange" else "", address.name, body)


async def test_many_tails_take_one_connection_and_all_come_back_on_another(newest: Rabbit) -> None:
    addresses = [newest.exchange("fanout") for _ in range(MANY)]
    before = newest.names()
    seen: dict[Address, list[Delivery]] = {}
    lost: list[Address] = []
    back: list[Address] = []

    def tell(
        away: Mapping[Address, Interruption], returned: Sequence[Address], broken: Mapping[Address, WorkbenchError]
    ) -> None:
        assert not broken
        lost.extend(away)
        back.extend(returned)

    async with RabbitMQConnector(newest.connection()) as connector:
        async with tailing(connector, addresses, seen, tell=tell) as merged:
            await until_open(newest, 2, MANY)
            publish_to_each(newest, addresses, b"before")
            await until_seen(seen, addresses, b"before")
            await close_connections(newest)

            async def all_back() -> bool:
                return len(back) >= MANY

            await eventually(all_back)
            assert sorted(lost) == sorted(back) == sorted(addresses)
            publish_to_each(newest, addresses, b"after")
            await until_seen(seen, addresses, b"after")
            await until_open(newest, 1, MANY)
            assert all(gap.what.startswith("what arrived from ") for gap in merged.coverage[addresses[0]].gaps)
        assert newest.names() == before
    assert {address: bodies(some) for address, some in seen.items()} == {
        each: [b"before", b"after"] for each in addresses
    }


async def test_one_that_is_left_or_ends_leaves_the_others_as_they_are(rabbit: Rabbit) -> None:
    exchanges = [rabbit.exchange("fanout") for _ in range(2)]
    streams = [rabbit.queue("stream") for _ in range(2)]
    for stream in streams:
        rabbit.publish(stream, b"there")
    before = rabbit.names()
    seen: dict[Address, list[Delivery]] = {}
    async with RabbitMQConnector(rabbit.connection()) as connector:
        async with tailing(connector, [exchanges[0], *streams], seen) as merged:
            with_tap = rabbit.names()
            async with connector.tail(exchanges[1]) as left:
                publish_to_each(rabbit, exchanges[1:], b"before")
                assert bodies(await read(left, 1)) == [b"before"]
            assert rabbit.names() == with_tap
            rabbit.channel.queue_delete(streams[0].name)

            async def ended() -> bool:
                return streams[0] in merged.errors

            await eventually(ended)
            assert "the broker ended the consumer" in str(merged.errors[streams[0]])
            publish_to_each(rabbit, [exchanges[0], streams[1]], b"after")
            await until_seen(seen, [exchanges[0], streams[1]], b"after")
            assert list(merged.errors) == [streams[0]]
            assert [merged.coverage[each].gaps for each in (exchanges[0], streams[1])] == [(), ()]
        assert rabbit.names() == before - {f"queues/{streams[0].name}"}


async def test_a_tap_that_is_refused_leaves_nothing_on_the_connection_of_others(rabbit: Rabbit) -> None:
    allowed, refused = rabbit.exchange("fanout"), rabbit.exchange("fanout")
    user, vhost = f"user-{uuid4().hex}", quote(rabbit.vhost, safe="")
    rights = {
        "configure": r"workbench\.tap\..*",
        "write": r"workbench\.tap\..*|amq\.default",
        "read": rf"workbench\.tap\..*|{allowed.name}",
    }
    rabbit.api.put(f"/api/users/{user}", json={"password": "p", "tags": "management"}).raise_for_status()
    try:
        rabbit.api.put(f"/api/permissions/{vhost}/{user}", json=rights).raise_for_status()
        url = rabbit.url.replace("guest:guest", f"{user}:p")
        management = rabbit.broker.management_url.replace("://", f"://{user}:p@")
        given = rabbit.connection(url, management=management)
        async with RabbitMQConnector(given) as connector, connector.tail(allowed) as stream:
            before = rabbit.names()
            with pytest.raises(AccessRefused, match="cannot be tapped"):
                async with connector.tail(refused):
                    pass
            assert rabbit.names() == before
            publish_to_each(rabbit, [allowed], b"seen")
            assert bodies(await read(stream, 1)) == [b"seen"]
    finally:
        rabbit.api.delete(f"/api/users/{user}").raise_for_status()


async def test_where_a_broker_allows_few_channels_there_are_more_connections(
    newest: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "channel_max", 3)
    addresses = [newest.exchange("fanout") for _ in range(5)]
    seen: dict[Address, list[Delivery]] = {}
    async with RabbitMQConnector(newest.connection()) as connector, tailing(connector, addresses, seen):
        await until_open(newest, 3, 5)
        publish_to_each(newest, addresses, b"seen")
        await until_seen(seen, addresses, b"seen")


async def test_what_ends_the_connection_ends_the_tail_that_it_is_of_and_no_other(rabbit: Rabbit) -> None:
    guilty, other = rabbit.exchange("fanout"), rabbit.exchange("fanout")
    seen: dict[Address, list[Delivery]] = {}
    connector = RabbitMQConnector(rabbit.connection())
    async with connector, tailing(connector, [guilty, other], seen) as merged:

        async def both_back() -> bool:
            return not merged.interruptions and all(len(each.gaps) == 1 for each in merged.coverage.values())

        async def guilty_ended() -> bool:
            return guilty in merged.errors

        end_connection(merged, guilty)
        await eventually(both_back)
        publish_to_each(rabbit, [guilty, other], b"between")
        await until_seen(seen, [guilty, other], b"between")
        end_connection(merged, guilty)
        await eventually(guilty_ended)
        assert "prefetch_size" in str(merged.errors[guilty])
        publish_to_each(rabbit, [other], b"after")
        await until_seen(seen, [other], b"after")
        assert list(merged.errors) == [guilty]
        assert len(merged.coverage[other].gaps) == 1


def end_connection(merged: Merged, address: Address) -> None:
    """Make the broker end the connection that a tap uses, for a reason that does not pass."""
    following: Any = merged._streams[address]
    channel: Channel = following._source._channel
    channel.write([Method(channel.number, Basic.Qos(prefetch_size=1)).marshal()])


async def test_one_attempt_to_connect_answers_all_that_wait_for_it() -> None:
    access = Access.read(Connection.parse("rabbit=amqp://guest:guest@127.0.0.1:1"))
    attempts = 0

    async def attempt() -> Client:
        nonlocal attempts
        attempts += 1
        return await Client.open(access)

    clients, nobody = SharedClients(), Opener(attempt, lambda client: None)
    failures = await asyncio.gather(*(clients.acquire(nobody) for _ in range(MANY)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {ConnectionLost}
    assert attempts == 1
