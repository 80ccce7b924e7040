"""`workbench find`, and `browse -w` where bytes tell, on a real Kafka and a real RabbitMQ."""

import asyncio
import json
from collections.abc import Sequence
from uuid import uuid4

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import managed, run
from tests.kafka.conftest import connect, make_topic
from tests.kafka.reading import publish
from workbench.model.event import Event


@pytest.fixture
def id() -> str:
    return uuid4().hex


def topic_of(kafka: KafkaAddress, events: Sequence[Event]) -> str:
    async def make() -> str:
        address = await make_topic(kafka.bootstrap, 2)
        async with connect(kafka.url) as connector:
            await publish(connector, address, events)
        return address.name

    return asyncio.run(make())


def orders(id: str, count: int = 3000, marked: Sequence[int] = (17, 1234)) -> list[Event]:
    return [
        Event(b"%d" % number, json.dumps({"orderId": id if number in marked else "other", "number": number}).encode())
        for number in range(count)
    ]


def test_an_id_is_found_among_all_topics_of_a_connection(kafka: KafkaAddress, id: str) -> None:
    topics = [topic_of(kafka, orders(id)), topic_of(kafka, orders(id, marked=[5]))]
    done = run("workbench", "find", id, "-c", f"k={kafka.url}")
    assert done.code == 0, done.err
    found = sorted((each["address"], each["body"]["json"]["number"]) for each in done.records)
    assert found == sorted([(f"k/{topics[0]}", 17), (f"k/{topics[0]}", 1234), (f"k/{topics[1]}", 5)])
    assert f"k/{topics[0]}: 2 found in 3,000\n" in done.err
    assert done.err.splitlines()[-1].startswith("3 found in ")


def test_the_query_decides_and_says_what_it_costs_where_bytes_cannot_tell(kafka: KafkaAddress, id: str) -> None:
    topic = topic_of(kafka, orders(id))
    done = run("workbench", "find", "body.number >= 2998", topic, "-c", f"k={kafka.url}", "-o", "body")
    assert done.code == 0, done.err
    assert sorted(json.loads(line)["number"] for line in done.out.splitlines()) == [2998, 2999]
    done = run("workbench", "find", f"body.orderId = {id} and body.number > 100", topic, "-c", f"k={kafka.url}")
    assert [each["body"]["json"]["number"] for each in done.records] == [1234]
    done = run("workbench", "find", "time exists and offset = 7", topic, "-c", f"k={kafka.url}")
    assert len(done.records) == 2
    assert "they cannot be searched by bytes: up to 3,000 events to be decoded, about 1 s\n" in done.err


def test_nothing_found_is_told_from_not_everything_searched(kafka: KafkaAddress, id: str) -> None:
    topic = topic_of(kafka, orders(id))
    done = run("workbench", "find", "no-such-id", topic, "-c", f"k={kafka.url}")
    assert (done.code, done.out) == (4, "")
    assert done.err.splitlines()[-1] == "0 found in 3,000 events"
    away = ("-c", "away=kafka://127.0.0.1:9")
    done = run("workbench", "find", "no-such-id", f"k/{topic}", "away/orders", "-c", f"k={kafka.url}", *away)
    assert done.code == 3
    assert "away/orders: 0 found in 0; not seen: all" in done.err
    done = run("workbench", "find", id, f"k/{topic}", "away/orders", "-c", f"k={kafka.url}", *away)
    assert (done.code, len(done.records)) == (3, 2)
    done = run("workbench", "find", "no-such-id", *away)
    assert done.code == 1


def test_since_until_and_a_limit_narrow_the_search(kafka: KafkaAddress, id: str) -> None:
    topic = topic_of(kafka, [Event(b"old", id.encode(), timestamp=1_000), *orders(id)])
    place = (topic, "-c", f"k={kafka.url}")
    assert len(run("workbench", "find", id, *place).records) == 2
    assert len(run("workbench", "find", id, *place, "--since", "beginning").records) == 3
    old = run("workbench", "find", id, *place, "--since", "beginning", "--until", "1h")
    assert [each["key"] for each in old.records] == ["old"]
    one = run("workbench", "find", id, *place, "-n", "1", "--coverage")
    assert one.code == 0
    assert "; -n 1 ended the search\n" in one.err and "not seen" not in one.err
    event, coverage = one.records
    assert event["address"] == f"k/{topic}"
    assert coverage["coverage"]["address"] == f"k/{topic}"
    assert run("workbench", "find", "  ", *place).code == 2
    assert run("workbench", "find", id, *place, "--since", "soon").code == 2


def test_streams_are_read_beside_topics_and_queues_are_left_alone(
    kafka: KafkaAddress, rabbitmq_4: RabbitMQAddress, id: str
) -> None:
    topic, stream = topic_of(kafka, orders(id)), f"find-{uuid4().hex[:8]}"
    rabbit = ("-c", f"r={managed(rabbitmq_4)}")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(stream, durable=True, arguments={"x-queue-type": "stream"})
        channel.confirm_delivery()
        channel.basic_publish("", stream, b'{"orderId": "%s"}' % id.encode())
        try:
            done = run(
                "workbench",
                "find",
                f"body.orderId = {id}",
                f"k/{topic}",
                f"r/{stream}",
                *rabbit,
                "-c",
                f"k={kafka.url}",
            )
        finally:
            channel.queue_delete(stream)
    assert done.code == 0, done.err
    assert sorted(each["address"] for each in done.records) == [f"k/{topic}", f"k/{topic}", f"r/{stream}"]
    assert "1 log cannot be searched by bytes" in done.err


@pytest.mark.parametrize("limit", [(), ("-n", "1")])
def test_browse_finds_by_bytes_what_it_would_find_by_reading(
    kafka: KafkaAddress, id: str, limit: tuple[str, ...]
) -> None:
    topic = topic_of(kafka, orders(id))
    place = (topic, "-c", f"k={kafka.url}", "--from", "beginning")
    by_bytes = run("workbench", "browse", *place, "-w", f"body.orderId = {id}", *limit)
    reading = run("workbench", "browse", *place, "-w", "body.number = 17 or body.number = 1234", *limit)
    assert by_bytes.code == reading.code == 0, by_bytes.err
    numbers = [each["body"]["json"]["number"] for each in by_bytes.records]
    assert numbers == [each["body"]["json"]["number"] for each in reading.records] == [17, 1234][: len(numbers)]
    assert by_bytes.err == f"k/{topic}: 3,000 read from 2 partitions\n"
