"""Every refusal is told of the event that it is about, and the others go through."""

import asyncio

import pytest

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.publisher import WINDOW
from tests.rabbitmq.conftest import DEADLINE, Rabbit
from tests.rabbitmq.doing import bodies, browse, numbered, publish, publish_all
from workbench.model.errors import ConnectorError
from workbench.model.event import Event
from workbench.model.wire import Content


def written(body: bytes, key: bytes | None = None, **properties: object) -> Event:
    """An event with properties."""
    return Event(key=key, body=body, written=Content((), properties))  # type: ignore[arg-type]


async def test_refused_events_are_named_and_the_rest_goes_on(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    events: list[Event] = []
    for number in range(3_000):
        match number % 1_000:
            case 100:
                events.append(written(b"%d" % number, user_id="somebody else"))
            case 500:
                events.append(written(b"%d" % number, expiration="soon"))
            case 700:
                events.append(Event(body=b"%d" % number, written=Content((("CC", "not a list"),))))
            case _:
                events.append(Event(body=b"%d" % number))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, events)
        seen = await browse(connector, queue)
    refused = [receipt.sequence for receipt in receipts if receipt.error]
    assert refused == [100, 500, 700, 1_100, 1_500, 1_700, 2_100, 2_500, 2_700]
    assert "user_id property set to 'somebody else'" in str(receipts[100].error)
    assert "invalid expiration" in str(receipts[500].error)
    assert bodies(seen) == [b"%d" % number for number in range(3_000) if number not in refused]


async def test_own_user_id_and_expiration_are_sent(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector:
        await publish_all(connector, queue, [written(b"x", user_id="guest", expiration="60000")])
        (seen,) = await browse(connector, queue)
    assert seen.event.properties == {"user_id": "guest", "expiration": "60000"}


async def test_every_unroutable_event_is_told(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("headers"), rabbit.queue()
    rabbit.bind(queue, exchange, arguments={"x-match": "all", "wanted": "yes"})
    # The bodies are equal: only the headers tell which one was returned.
    events = [
        Event(b"key", b"same", written=Content((("wanted", "no" if number % 3 else "yes"),))) for number in range(4_000)
    ]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, exchange, events)
    assert [receipt.sequence for receipt in receipts if receipt.error is None] == list(range(0, 4_000, 3))
    assert exchange.name in str(receipts[1].error)
    assert "'key'" in str(receipts[1].error)


async def test_full_queue_that_rejects_is_told(rabbit: Rabbit) -> None:
    queue = rabbit.queue(x_max_length=3, x_overflow="reject-publish")
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, numbered(10))
    taken = [receipt.sequence for receipt in receipts if receipt.error is None]
    assert taken[:3] == [0, 1, 2]
    assert "the queue is full" in str(next(receipt.error for receipt in receipts if receipt.error))


async def test_key_beyond_what_amqp_can_say_is_told(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, exchange, [Event(b"k" * 256, b"0"), Event(b"k" * 255, b"1")])
    assert [bool(receipt.error) for receipt in receipts] == [True, False]
    assert "256 bytes" in str(receipts[0].error)


async def test_headers_beyond_a_frame_are_told(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    huge = Event(body=b"0", written=Content((("huge", "x" * 200_000),)))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, [huge, Event(body=b"1")])
    assert [bool(receipt.error) for receipt in receipts] == [True, False]


async def test_body_beyond_the_limit_of_the_broker_is_told_and_the_rest_goes_on(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    beyond = (16 if rabbit.release == "4.0" else 128) * 1_048_576 + 1
    events = [Event(body=b"before"), Event(body=bytes(beyond)), Event(body=b"after")]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, events)
        seen = await browse(connector, queue)
    assert [bool(receipt.error) for receipt in receipts] == [False, True, False]
    assert "larger than" in str(receipts[1].error)
    assert bodies(seen) == [b"before", b"after"]


async def test_sending_waits_for_confirmations(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher(queue) as publisher:
        await publisher.send(numbered(3 * WINDOW))
        assert rabbit.ready(queue) >= 2 * WINDOW
        await publisher.finish()
    assert rabbit.ready(queue) == 3 * WINDOW


async def test_exchange_deleted_meanwhile_ends_publishing_with_one_sentence(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher(exchange) as publisher:
        await publisher.send(numbered(10))
        rabbit.channel.exchange_delete(exchange.name)
        with pytest.raises(ConnectorError, match="no exchange"):
            async with asyncio.timeout(DEADLINE):
                while True:
                    await publisher.send(numbered(1))
                    await publisher.finish()


async def test_user_without_the_right_to_write_is_refused(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    vhost = rabbit.vhost.replace("/", "%2F")
    rights = {"configure": "", "write": "", "read": ".*"}
    rabbit.api.put(f"/api/permissions/{vhost}/reader", json=rights).raise_for_status()
    url = rabbit.url.replace("guest:guest@", "reader:reader@")
    async with RabbitMQConnector(rabbit.connection(url)) as connector, connector.publisher(queue) as publisher:
        with pytest.raises(ConnectorError, match="refused for user 'reader'"):
            await publisher.send(numbered(1))
            await publisher.finish()
    assert rabbit.ready(queue) == 0
