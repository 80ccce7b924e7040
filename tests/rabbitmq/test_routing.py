"""Who gets a message, told before it is published, and compared with where RabbitMQ then puts it."""

from urllib.parse import quote

import pytest

from connectors.rabbitmq import RabbitMQConnector
from tests.rabbitmq.conftest import Rabbit, eventually
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.event import Event


async def told(rabbit: Rabbit, exchange: Address, key: str, **headers: Value) -> tuple[set[Address], tuple[str, ...]]:
    event = Event(key.encode(), b"", written=Content(tuple(headers.items())))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        route = await connector.route(exchange, event)
    return set(route.endpoints), route.remarks


def reached(rabbit: Rabbit, exchange: Address, queues: list[Address], key: str, **headers: Value) -> set[Address]:
    """Publish, and see who has it."""
    rabbit.publish(exchange, b"", key=key, headers=headers)
    return {queue for queue in queues if rabbit.channel.basic_get(queue.name, auto_ack=True)[0]}


async def test_a_message_is_followed_through_exchanges_of_every_kind(rabbit: Rabbit) -> None:
    by_words, by_key, by_headers, to_all = (rabbit.exchange(kind) for kind in ("topic", "direct", "headers", "fanout"))
    one, two, three, four = queues = [rabbit.queue() for _ in range(4)]
    for exchange in (by_key, by_headers, to_all):
        rabbit.channel.exchange_bind(exchange.name, by_words.name, "order.#")
    rabbit.bind(one, by_words, "*.placed")
    rabbit.bind(two, by_key, "order.placed")
    rabbit.bind(three, by_headers, arguments={"x-match": "all", "tenant": "north", "size": 5})
    rabbit.bind(four, to_all)
    for key, headers in (
        ("order.placed", {"tenant": "north", "size": 5}),
        ("order.placed.twice", {"tenant": "north"}),
        ("payment.placed", {}),
    ):
        found, remarks = await told(rabbit, by_words, key, **headers)
        assert (found, remarks) == (reached(rabbit, by_words, queues, key, **headers), ())
        assert found


async def test_an_alternate_exchange_gets_what_nobody_else_does(rabbit: Rabbit) -> None:
    alternate = rabbit.exchange("fanout")
    exchange = rabbit.exchange("topic", alternate_exchange=alternate.name)
    wanted, rest = rabbit.queue(), rabbit.queue()
    rabbit.bind(wanted, exchange, "order.*")
    rabbit.bind(rest, alternate)
    assert await told(rabbit, exchange, "order.placed") == ({wanted}, ())
    assert await told(rabbit, exchange, "lost") == ({rest}, ())


async def test_an_alternate_exchange_by_policy_is_told_of(rabbit: Rabbit) -> None:
    alternate, exchange = rabbit.exchange("fanout"), rabbit.exchange("topic")
    vhost = quote(rabbit.vhost, safe="")
    policy = {"pattern": f"^{exchange.name}$", "definition": {"alternate-exchange": alternate.name}}
    rabbit.api.put(f"/api/policies/{vhost}/alternate", json={**policy, "apply-to": "exchanges"}).raise_for_status()

    async def applied() -> bool:
        return bool(rabbit.api.get(f"/api/exchanges/{vhost}/{exchange.name}").json().get("policy"))

    await eventually(applied)
    found, [remark] = await told(rabbit, exchange, "lost")
    assert not found and "has an alternate exchange" in remark


@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_the_keys_of_headers_count_too(rabbit: Rabbit, header: str) -> None:
    exchange = rabbit.exchange("direct")
    one, two = rabbit.queue(), rabbit.queue()
    rabbit.bind(one, exchange, "one")
    rabbit.bind(two, exchange, "two")
    assert await told(rabbit, exchange, "one", **{header: ["two"]}) == ({one, two}, ())
