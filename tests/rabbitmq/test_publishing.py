"""Every refusal is told of the event that it is about, and the others go through."""

import asyncio
import re
import signal
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.rabbitmq import RabbitMQConnector, client
from connectors.rabbitmq.publisher import WINDOW, ExchangePublisher
from tests.brokers.fixtures import OwnBrokers
from tests.e2e.command import INSTALLED
from tests.rabbitmq.conftest import DEADLINE, Rabbit, new_vhost
from tests.rabbitmq.doing import bodies, browse, close_connections, numbered, publish, publish_all
from workbench.connecting.connector import Publisher
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import AccessRefused, EndpointNotFound, PublishRejected
from workbench.model.event import Event
from workbench.model.wire import Wire
from workbench.operations import publish as operations
from workbench.operations.publish import number_events


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


DECIMAL = Content((("price", Decimal("1.50")),))
"""A header for which a stream closes the connection (541), on 3.10 and on 4.0."""


@pytest.mark.parametrize("culprits", [[5], [0], [9], [0, 1, 2], [3, 7], list(range(10))])
async def test_events_for_which_a_stream_closes_the_connection_are_named_and_the_others_are_there_once(
    rabbit: Rabbit, culprits: list[int]
) -> None:
    stream = rabbit.queue("stream")
    events = [Event(body=b"%d" % number, written=DECIMAL if number in culprits else Content()) for number in range(10)]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, stream, events)
        seen = await browse(connector, stream) if len(culprits) < 10 else []
    assert [receipt.sequence for receipt in receipts if receipt.error] == culprits
    assert not any(receipt.state == "unknown" or receipt.resent for receipt in receipts)
    assert "AMQP code 541" in str(receipts[culprits[0]].error)
    assert bodies(seen) == [b"%d" % number for number in range(10) if number not in culprits]


@pytest.mark.parametrize("kind", ["classic", "quorum", "stream"])
@pytest.mark.parametrize("culprits", [[1_200], [1_200, 1_201, 1_500], [0, 2_999]])
async def test_culprit_that_nobody_expected_is_found_and_only_what_was_before_it_may_be_there_twice(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch, kind: str, culprits: list[int]
) -> None:
    # No known kind of message is left that is not foreseen: so foresight goes, and a known kind is as a new one.
    monkeypatch.setattr("connectors.rabbitmq.publisher.is_risky", lambda message, user: False)
    queue = rabbit.queue(kind)
    unknown_type = Wire("amqp-0-9-1", b"\x20\x00\x00\x00\x00\x05\x01hU\x00\x05")
    events = [Event(body=b"%d" % number, wire=unknown_type if number in culprits else None) for number in range(3_000)]
    async with RabbitMQConnector(rabbit.connection()) as connector:
        receipts = await publish(connector, queue, events)
        seen = [int(body) for body in bodies(await browse(connector, queue))]
    assert [receipt.sequence for receipt in receipts if receipt.error] == culprits
    assert all("541" in str(receipts[culprit].error) for culprit in culprits)
    assert set(seen) == {number for number in range(3_000) if number not in culprits}
    assert {number for number in seen if seen.count(number) > 1} <= {r.sequence for r in receipts if r.resent}
    assert all(receipt.sequence < culprits[-1] for receipt in receipts if receipt.resent)


async def test_connection_that_is_closed_by_hand_costs_no_event(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        await publisher.send(queue, numbered(3_000))
        assert isinstance(publisher, ExchangePublisher)
        await close_connections(rabbit)
        await publisher.send(queue, numbered(3_000, begin=3_000))
        await publisher.finish()
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(6_000))
    unknown = {receipt.sequence for receipt in receipts if receipt.error}
    resent = {receipt.sequence for receipt in receipts if receipt.resent}
    counts = Counter(int(body[6:]) for body in rabbit.drain(queue, rabbit.ready(queue)))
    assert {number for number in range(6_000) if number not in counts} <= unknown
    assert {number for number, count in counts.items() if count > 1} <= resent | unknown


async def test_sending_waits_for_confirmations(rabbit: Rabbit) -> None:
    queue = rabbit.queue()
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        await publisher.send(queue, numbered(3 * WINDOW))
        assert rabbit.ready(queue) >= 2 * WINDOW
        await publisher.finish()
    assert rabbit.ready(queue) == 3 * WINDOW


async def test_exchange_deleted_meanwhile_is_told_and_the_rest_goes_on(rabbit: Rabbit) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        await publisher.send(exchange, numbered(10))
        await publisher.finish()
        rabbit.channel.exchange_delete(exchange.name)
        async with asyncio.timeout(DEADLINE):
            await publisher.send(exchange, numbered(5, begin=10))
            await publisher.send(queue, numbered(5, begin=15))
            await publisher.send(exchange, numbered(5, begin=20))
            await publisher.finish()
            receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(25))
    errors = {receipt.sequence: receipt for receipt in receipts if receipt.error}
    assert sorted(errors) == [*range(10, 15), *range(20, 25)]
    assert all("no exchange" in str(receipt.error) for receipt in errors.values())
    # On its way when the exchange was found to be gone, so that nobody knows; else it was never sent.
    assert {errors[number].state for number in range(10, 15)} <= {"settled", "unknown"}
    assert all(isinstance(errors[number].error, EndpointNotFound) for number in range(20, 25))
    taken = rabbit.drain(queue, rabbit.ready(queue))
    assert {int(body[6:]) for body in taken} == {*range(10), *range(15, 20)}


async def test_one_publisher_serves_queues_and_exchanges_and_tells_what_is_missing(rabbit: Rabbit) -> None:
    exchange, bound, queue = rabbit.exchange("topic"), rabbit.queue(), rabbit.queue("quorum")
    rabbit.bind(bound, exchange, "orders.*")
    no_exchange = Address("rabbit", "rabbitmq-tests-missing", "exchange")
    no_queue = Address("rabbit", "rabbitmq-tests-missing")
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        for number in range(3):
            await publisher.send(exchange, [Event(b"orders.placed", b"%d" % number), Event(b"lost", b"lost")])
            await publisher.send(no_exchange, numbered(2))
            await publisher.send(queue, [Event(b"k", b"%d" % number)])
            await publisher.send(no_queue, numbered(1))
        await publisher.finish()
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    errors = [type(each.error) for each in sorted(receipts, key=lambda each: each.sequence)]
    missing = EndpointNotFound
    assert errors == [type(None), PublishRejected, missing, missing, type(None), missing] * 3
    assert not any(receipt.resent for receipt in receipts)
    assert rabbit.drain(bound, 3) == rabbit.drain(queue, 3) == [b"0", b"1", b"2"]


async def test_user_without_the_right_to_write_somewhere_is_refused_there_alone(rabbit: Rabbit) -> None:
    queue, allowed, bound = rabbit.queue(), rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(bound, allowed)
    vhost = rabbit.vhost.replace("/", "%2F")
    rights = {"configure": "", "write": re.escape(allowed.name), "read": ".*"}
    rabbit.api.put(f"/api/permissions/{vhost}/reader", json=rights).raise_for_status()
    url = rabbit.url.replace("guest:guest@", "reader:reader@")
    async with RabbitMQConnector(rabbit.connection(url)) as connector, connector.publisher() as publisher:
        await publisher.send(queue, numbered(3))
        await publisher.send(allowed, numbered(3))
        await publisher.finish()
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    refused = [receipt for receipt in receipts if receipt.error]
    assert sorted(receipt.sequence for receipt in refused) == [0, 1, 2]
    assert all(isinstance(receipt.error, AccessRefused) for receipt in refused)
    assert all("refused for user 'reader'" in str(receipt.error) for receipt in refused)
    assert (rabbit.ready(queue), rabbit.ready(bound)) == (0, 3)


async def finish_though_interrupted(publisher: Publisher) -> None:
    """Wait for the answers, and be cancelled at later and later steps, until they are there."""
    steps = 1
    while True:
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            finishing = group.create_task(publisher.finish())
            for _ in range(steps):
                await asyncio.sleep(0)
            if finishing.done():
                return
            finishing.cancel()
        steps += 1


async def test_cancelled_while_another_channel_is_opened_it_forgets_no_event(rabbit: Rabbit) -> None:
    deleted, there, queue = rabbit.exchange("fanout"), rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, deleted)
    rabbit.bind(queue, there)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        for exchange in (deleted, there):
            await publisher.send(exchange, numbered(1))
        await publisher.finish()
        rabbit.channel.exchange_delete(deleted.name)
        for number in range(1, 6):
            await publisher.send(deleted, numbered(1, begin=number))
            await publisher.send(there, numbered(10, begin=100 * number))
        await finish_though_interrupted(publisher)
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(57))
    refused = {2 + 11 * number for number in range(5)}
    assert {receipt.sequence for receipt in receipts if receipt.error} == refused
    taken = Counter(rabbit.drain(queue, rabbit.ready(queue)))
    assert {int(body[6:]) for body in taken} == {0, *(100 * n + m for n in range(1, 6) for m in range(10))}


async def test_cancelled_while_it_connects_again_it_forgets_no_event(rabbit: Rabbit) -> None:
    there, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, there)
    async with RabbitMQConnector(rabbit.connection()) as connector, connector.publisher() as publisher:
        await publisher.send(there, numbered(1))
        await publisher.finish()
        await close_connections(rabbit)
        await publisher.send(queue, numbered(20, begin=1))
        await publisher.send(there, numbered(20, begin=21))
        await finish_though_interrupted(publisher)
        receipts = [receipt async for batch in publisher.receipts() for receipt in batch]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(41))
    unknown = {receipt.sequence for receipt in receipts if receipt.error}
    taken = {int(body[6:]) for body in rabbit.drain(queue, rabbit.ready(queue))}
    assert taken | unknown == set(range(41))
    assert len(unknown) <= 1


async def test_publishing_waits_as_long_as_the_broker_blocks_publishers_and_says_why(
    own_broker: OwnBrokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_BLOCKED", 0.1)
    broker = own_broker("rabbitmq-4.0")
    rabbit = new_vhost(broker)
    queue = rabbit.queue()
    told: asyncio.Queue[str | None] = asyncio.Queue()
    async with RabbitMQConnector(rabbit.connection()) as connector, asyncio.TaskGroup() as group:
        await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0")
        events = number_events(lambda number: numbered(1, begin=number)[0], 500)
        publishing = group.create_task(
            operations.publish(connector, queue, events, lambda _: None, on_obstacle=told.put_nowait)
        )
        async with asyncio.timeout(DEADLINE):
            assert "blocks publishers: low on memory" in str(await told.get())
            await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.6")
            assert await told.get() is None
            published = await publishing
    assert (published.confirmed, published.failed) == (500, 0)
    rabbit.remove()


async def test_publishing_to_a_broker_that_blocks_publishers_can_be_stopped(own_broker: OwnBrokers) -> None:
    broker = own_broker("rabbitmq-4.0")
    rabbit = new_vhost(broker)
    queue = rabbit.queue()
    await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0")
    command = (
        "publish",
        f"rabbit/{queue.name}",
        "x{{ seq }}",
        "--count",
        "5",
        "-c",
        f"rabbit={rabbit.url}?management={broker.management_url}",
    )
    process = await asyncio.create_subprocess_exec(
        INSTALLED, *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(DEADLINE):
        blocked = (await process.stderr.readline()).decode()
        process.send_signal(signal.SIGINT)
        _, rest = await process.communicate()
    await asyncio.to_thread(broker.rabbitmqctl, "set_vm_memory_high_watermark", "0.6")
    assert "blocks publishers: low on memory. What is sent waits until the broker has room again." in blocked
    assert re.search(r"Stopped: 0 published, 0 refused; [1-5] more were on their way", rest.decode())
    assert process.returncode == 130
    rabbit.remove()


async def test_a_publish_that_ends_half_way_keeps_what_is_open_for_another(rabbit: Rabbit, tmp_path: Path) -> None:
    exchange, queue = rabbit.exchange("fanout"), rabbit.queue()
    rabbit.bind(queue, exchange)
    count = 20
    lines = tmp_path / "events.ndjson"
    lines.write_text(
        "".join(f'{{"body":{{"text":"event {number}"}},"headers":[["n",{number}]]}}\n' for number in range(count))
    )
    option = ("-c", f"rabbit={rabbit.url}?management={rabbit.broker.management_url}")
    command = (INSTALLED, "publish", str(exchange), "--file", str(lines), "--rate", "10", "--json", *option)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        assert b'"sequence":0' in await process.stdout.readline()
        rabbit.channel.exchange_delete(exchange.name)
        _, errors = await process.communicate()
    said = errors.decode()
    assert process.returncode == 3, said
    kept = re.search(rf"workbench: (\d+) events.*: workbench publish {exchange} --file (\S+) goes on with them\.", said)
    confirmed = re.search(r"Confirmed until then: (\d+)\.", said)
    assert kept is not None and confirmed is not None, said
    assert int(kept[1]) + int(confirmed[1]) == count
    again = await asyncio.create_subprocess_exec(INSTALLED, "publish", str(queue), "--file", kept[2], *option)
    assert await again.wait() == 0
    found = rabbit.drain(queue, count)
    assert sorted(found) == sorted(b"event %d" % number for number in range(count))
