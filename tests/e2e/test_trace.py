"""`workbench trace` on a real RabbitMQ, a real Kafka, and the demo."""

import asyncio
import json
import re
import time
from collections.abc import Iterator, Sequence
from uuid import uuid4

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import Ran, managed, run
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench.model.content import Content
from workbench.model.event import Event

NOW = round(time.time() * 1000)


def record(id: str, cause: str | None, flow: str, type: str, at: int, body: object = None, **more: str) -> Event:
    """A Kafka record so many milliseconds after `NOW`, five minutes ago."""
    said = {"message-id": id, "causation-id": cause, "correlation-id": flow, "event-type": type, **more}
    headers = tuple((name, value) for name, value in said.items() if value is not None)
    return Event(id.encode(), json.dumps(body or {}).encode(), None, Content(headers), NOW - 300_000 + at)


def topic_of(kafka: KafkaAddress, events: Sequence[Event]) -> str:
    async def make() -> str:
        address = await make_topic(kafka.bootstrap, 1)
        async with connect(kafka.url) as connector:
            await publish(connector, address, events)
        return address.name

    return asyncio.run(make())


@pytest.fixture
def queue(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    """A queue of its own, of a name that is deleted with it."""
    name = f"trace-{uuid4().hex}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        yield name
        channel.queue_delete(name)


def send(rabbitmq: RabbitMQAddress, queue: str, id: str, flow: str, **headers: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(rabbitmq.url)) as connection:
        properties = pika.BasicProperties(
            message_id=id, correlation_id=flow, type="StockReserved", timestamp=(NOW - 299_000) // 1000, headers=headers
        )
        connection.channel().basic_publish("", queue, b"{}", properties)


def trace(*arguments: str, kafka: KafkaAddress, rabbitmq: RabbitMQAddress | None = None) -> Ran:
    given = ["-c", f"k={kafka.url}", *(["-c", f"r={managed(rabbitmq)}"] if rabbitmq is not None else [])]
    return run("workbench", "trace", *arguments, *given)


def test_one_flow_is_told_across_kafka_and_rabbitmq(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, queue: str
) -> None:
    flow = str(uuid4())
    noise = [record(f"noise-{number}", None, f"noise-flow-{number}", "Noise", number) for number in range(500)]
    orders = topic_of(kafka, [*noise, record(f"{flow}-1", None, flow, "OrderPlaced", 0)])
    send(rabbitmq_4, queue, f"{flow}-2", flow, **{"causation-id": f"{flow}-1"})
    done = trace(flow, f"k/{orders}", f"r/{queue}", "--look", kafka=kafka, rabbitmq=rabbitmq_4)
    assert done.code == 0, done.err
    told = [(each["event"]["address"], each["cause"], each["known"], each["held"]) for each in done.records]
    assert told == [(f"k/{orders}", None, False, False), (f"r/{queue}", 1, True, True)]
    assert done.records[0]["event"]["position"]["offset"] == 500
    table = trace(flow, f"k/{orders}", f"r/{queue}", "--look", "-o", "table", kafka=kafka, rabbitmq=rabbitmq_4)
    assert "OrderPlaced" in table.out and "held here" in table.out
    assert f"waits in r/{queue}" in table.out


def test_a_queue_is_not_looked_into_unless_it_is_said_and_the_exit_code_tells_of_the_hole(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, queue: str
) -> None:
    flow = str(uuid4())
    orders = topic_of(kafka, [])
    send(rabbitmq_4, queue, f"{flow}-2", flow)
    where = (f"k/{orders}", f"r/{queue}")
    refused = trace(flow, *where, kafka=kafka, rabbitmq=rabbitmq_4)
    assert refused.code == 3
    assert f"r/{queue}" in refused.err and "not free" in refused.err
    assert trace(flow, *where, "--look", kafka=kafka, rabbitmq=rabbitmq_4).code == 0
    assert trace(str(uuid4()), *where, "--look", kafka=kafka, rabbitmq=rabbitmq_4).code == 4


def test_a_dead_letter_without_an_id_is_joined_to_its_original(kafka: KafkaAddress) -> None:
    flow = str(uuid4())
    payments = topic_of(
        kafka, [record("other-0001", None, "other-flow", "Noise", 0), record(f"{flow}-1", None, flow, "Paid", 1)]
    )
    pointer = {
        "__connect.errors.topic": payments,
        "__connect.errors.partition": "0",
        "__connect.errors.offset": "1",
        "__connect.errors.exception.message": "account is null",
        "ticket": f"ticket-{flow}",
    }
    dead = topic_of(kafka, [Event(None, b"{}", None, Content(tuple(pointer.items())), NOW - 290_000)])
    done = trace(f"ticket-{flow}", f"k/{dead}", kafka=kafka)
    assert done.code == 0, done.err
    told = [(each["event"]["address"], each["link"], each["failed"]) for each in done.records]
    assert told == [(f"k/{payments}", None, True), (f"k/{dead}", "pointer", False)]
    tree = trace(f"ticket-{flow}", f"k/{dead}", "--tree", kafka=kafka)
    assert "└─■" in tree.out and "account is null" in tree.out and "Kafka Connect pointer" in tree.out
    assert re.search(rf"stuck in k/{dead} for \d+ min: account is null", tree.out)


def test_a_number_is_listed_by_its_places_and_followed_where_one_is_named(kafka: KafkaAddress) -> None:
    first, second = str(uuid4()), str(uuid4())
    orders = topic_of(
        kafka,
        [
            record(f"{first}-1", None, first, "OrderPlaced", 0, {"orderId": 4711}),
            record(f"{first}-2", f"{first}-1", first, "OrderPaid", 1),
            record(f"{second}-1", None, second, "OrderPlaced", 2, {"orderId": 4712, "qty": 4711}),
        ],
    )
    listed = trace("4711", f"k/{orders}", kafka=kafka)
    assert listed.code == 2 and not listed.out
    assert "body.orderId" in listed.err and "body.qty" in listed.err and "1 event, 1 correlation" in listed.err
    done = trace("body.orderId=4711", f"k/{orders}", kafka=kafka)
    assert [each["type"] for each in done.records] == ["OrderPlaced", "OrderPaid"]


def test_only_the_last_hour_is_searched_unless_more_is_asked_for(kafka: KafkaAddress) -> None:
    flow = str(uuid4())
    orders = topic_of(kafka, [record(f"{flow}-1", None, flow, "OrderPlaced", -7_200_000)])
    assert trace(flow, f"k/{orders}", kafka=kafka).code == 4
    assert trace(flow, f"k/{orders}", "--since", "1d", kafka=kafka).code == 0
    assert trace(flow, f"k/{orders}", "--since", "beginning", "--until", "1d", kafka=kafka).code == 4


def test_what_was_covered_is_a_record_for_each_endpoint(kafka: KafkaAddress) -> None:
    flow = str(uuid4())
    orders = topic_of(kafka, [record(f"{flow}-1", None, flow, "OrderPlaced", 0)])
    done = trace(flow, f"k/{orders}", "--coverage", kafka=kafka)
    assert done.records[-1]["coverage"]["address"] == f"k/{orders}"
    assert done.records[-1]["coverage"]["gaps"] == []


def test_nothing_that_a_stranger_wrote_reaches_the_terminal(kafka: KafkaAddress) -> None:
    flow = str(uuid4())
    orders = topic_of(kafka, [record(f"{flow}-1", None, flow, "\x1b[2JOrderPlaced\u202e", 0)])
    done = trace(flow, f"k/{orders}", "-o", "table", kafka=kafka)
    assert "OrderPlaced" in done.out
    assert "\x1b" not in done.out and "\u202e" not in done.out


def test_the_orders_of_the_demo_are_traced() -> None:
    given = [f"{name}=demo://shop/{name}?seed=7&clock=1764072000000" for name in ("rabbit", "kafka")]
    shop = [word for url in given for word in ("-c", url)]
    done = run("workbench", "trace", "body.orderId=1103", "--look", "--since", "beginning", *shop)
    assert done.code == 0, done.err
    stuck = [each for each in done.records if each["held"] and each["reason"]]
    assert [each["event"]["address"] for each in stuck] == ["kafka/payments-dlt"]
    assert done.records[stuck[0]["cause"] - 1]["event"]["address"] == "kafka/payments"


def test_following_ends_where_there_is_nothing_to_follow(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    done = run("workbench", "trace", str(uuid4()), queue, "-f", "-c", f"r={managed(rabbitmq_4)}")
    assert "nothing is left to follow; queues are followed with --look" in done.err
