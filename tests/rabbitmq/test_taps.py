"""A tap sees what passes, takes nothing from anybody, and leaves nothing behind."""

import asyncio
from typing import Any, Literal

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.fixtures import OwnBrokers
from tests.rabbitmq.conftest import Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, numbered, publish_all, read
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import AccessRefused, Unsupported
from workbench.model.event import Event

COUNT = 600


def events(kind: str) -> list[Event]:
    """What is published to an exchange of a type: some of it for one queue, some for the other, some for both."""
    headers = Content((("colour", "red"),))
    return [
        Event(key=(b"orders.eu", b"orders.us")[number % 2], body=b"%d" % number, written=headers)
        for number in range(COUNT)
    ]


def bound(rabbit: Rabbit, exchange: Address, kind: str) -> list[Address]:
    """Two queues behind the exchange."""
    bindings: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "direct": [("orders.eu", {}), ("orders.us", {})],
        "fanout": [("", {}), ("", {})],
        "topic": [("orders.*", {}), ("#.us", {})],
        "headers": [("", {"x-match": "all", "colour": "red"}), ("", {"x-match": "any", "colour": "blue"})],
    }
    queues = []
    for key, arguments in bindings[kind]:
        queue = rabbit.queue()
        rabbit.bind(queue, exchange, key, arguments)
        queues.append(queue)
    return queues


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic", "headers"])
async def test_consumers_receive_exactly_what_they_received_without_the_tap(rabbit: Rabbit, kind: str) -> None:
    exchange = rabbit.exchange(kind)
    queues = bound(rabbit, exchange, kind)
    before = rabbit.names()
    received: list[list[list[bytes]]] = []
    async with RabbitMQConnector(rabbit.connection()) as connector:
        for tapped in (False, True):
            if tapped:
                async with connector.tail(exchange) as stream:
                    await publish_all(connector, exchange, events(kind))
                    seen = await read(stream, COUNT)
                assert bodies(seen) == bodies(events(kind))
                assert {delivery.exchange for delivery in seen} == {exchange.name}
            else:
                await publish_all(connector, exchange, events(kind))
            received.append([rabbit.drain(queue, rabbit.ready(queue)) for queue in queues])
    assert received[0] == received[1]

    async def nothing_left() -> bool:
        return rabbit.names() == before

    await eventually(nothing_left)


ENABLE = """
{ok, File} = application:get_env(rabbit, enabled_plugins_file), {ok, [Plugins]} = file:consult(File),
ok = file:write_file(File, io_lib:format("~p.~n", [[rabbitmq_consistent_hash_exchange | Plugins]])),
{ok, _, _} = rabbit_plugins:ensure(File).
"""
"""Erlang, for a broker of the test's own."""


@pytest.mark.parametrize("release", ["rabbitmq-3.10", "rabbitmq-4.0"])
async def test_exchange_that_shares_out_is_not_tapped(
    own_broker: OwnBrokers, release: Literal["rabbitmq-3.10", "rabbitmq-4.0"]
) -> None:
    broker = own_broker(release)
    await asyncio.to_thread(broker.rabbitmqctl, "eval", ENABLE)
    rabbit = new_vhost(broker)
    exchange, queue = rabbit.exchange("x-consistent-hash"), rabbit.queue()
    rabbit.bind(queue, exchange, "1")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="is of type x-consistent-hash: a tap would take its messages"):
            async with connector.tail(exchange):
                pass
        await publish_all(connector, exchange, numbered(10))
    assert rabbit.drain(queue, 10) == bodies(numbered(10))
    rabbit.api.close()
    rabbit.amqp.close()


async def test_alternate_exchange_keeps_getting_what_nobody_else_wants(rabbit: Rabbit) -> None:
    alternate = rabbit.exchange("fanout")
    exchange = rabbit.exchange("topic", alternate_exchange=alternate.name)
    orders, rest = rabbit.queue(), rabbit.queue()
    rabbit.bind(orders, exchange, "orders.*")
    rabbit.bind(rest, alternate)
    sent = [Event(b"orders.eu", b"order"), Event(b"payments", b"payment")]
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.tail(exchange) as stream:
        await publish_all(connector, exchange, sent)
        assert bodies(await read(stream, 1)) == [b"order"]
        assert "keys that nothing is bound with" in stream.coverage.gaps[0].what
        with pytest.raises(Unsupported, match="alternate exchange"):
            async with connector.tail(exchange, pattern="payments"):
                pass
    assert rabbit.drain(rest, 1) == [b"payment"]


async def test_alternate_exchange_by_policy_counts_too(rabbit: Rabbit) -> None:
    alternate, exchange = rabbit.exchange("fanout"), rabbit.exchange("topic")
    vhost = rabbit.vhost.replace("/", "%2F")
    policy = {"pattern": f"^{exchange.name}$", "definition": {"alternate-exchange": alternate.name}}
    rabbit.api.put(f"/api/policies/{vhost}/ae", json={**policy, "apply-to": "exchanges"}).raise_for_status()

    async def applied() -> bool:
        return bool(rabbit.api.get(f"/api/exchanges/{vhost}/{exchange.name}").json().get("policy"))

    await eventually(applied)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="Nothing is bound"):
            async with connector.tail(exchange):
                pass


async def test_queue_fed_only_directly_says_what_to_do_instead(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        with pytest.raises(Unsupported, match="browse"):
            async with connector.tail(queue):
                pass


async def test_firehose_shows_what_no_binding_can(rabbit: Rabbit) -> None:
    vhost = rabbit.vhost.replace("/", "%2F")
    rabbit.api.put(f"/api/vhosts/{vhost}", json={"tracing": True}).raise_for_status()
    queue, other = rabbit.queue(), rabbit.queue()
    content = Content((("traceparent", "00-1"),), {"content_type": "text/plain", "delivery_mode": 2})
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.tail(queue) as stream:
        await publish_all(connector, other, [Event(body=b"not ours")])
        await publish_all(connector, queue, [Event(body=b"straight", written=content)])
        (seen,) = await read(stream, 1)
    assert (seen.event.body, seen.event.key, seen.exchange) == (b"straight", queue.name.encode(), "")
    assert seen.event.content == content
    assert "firehose" in str(stream.coverage)


async def test_slow_reader_loses_the_oldest_copies_and_is_told(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.rabbitmq.taps.LENGTH", 500)
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.tail(exchange) as stream:
        await publish_all(connector, exchange, events("fanout") * 5)
        seen = await read(stream, 1)
    assert 0 < len(seen) < 5 * COUNT
    assert "part of what arrived from 20" in str(stream.coverage)
    assert rabbit.ready(queue) == 5 * COUNT


async def test_user_who_may_not_declare_is_told(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    vhost = rabbit.vhost.replace("/", "%2F")
    rights = {"configure": "", "write": "", "read": ".*"}
    rabbit.api.put(f"/api/permissions/{vhost}/reader", json=rights).raise_for_status()
    before = rabbit.names()
    url = rabbit.url.replace("guest:guest@", "reader:reader@")
    management = {"management": rabbit.broker.management_url.replace("//", "//reader:reader@")}
    async with RabbitMQConnector(rabbit.connection(url, **management)) as connector:
        with pytest.raises(AccessRefused, match="refused for user 'reader'") as refused:
            async with connector.tail(exchange):
                pass
        checked = {step.name: step.found async for step in connector.check()}
    assert "needs configure, write and read" in str(refused.value)
    assert checked["permissions"].startswith("may not tap queues and exchanges: ")
    assert rabbit.names() == before


async def test_two_taps_of_one_queue_see_the_same(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("topic"), rabbit.queue("quorum")
    rabbit.bind(queue, exchange, "orders.*")
    sent = events("topic")
    async with (
        RabbitMQConnector(rabbit.connection()) as connector,
        connector.tail(queue) as one,
        connector.tail(queue) as other,
    ):
        await publish_all(connector, exchange, sent)
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(stream, COUNT)) for stream in (one, other)]
    assert bodies(readers[0].result()) == bodies(readers[1].result()) == bodies(sent)
