"""The table that browse and tail print on a terminal, from real brokers."""

import time
import uuid
from collections.abc import Iterator

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import kcat_publish, managed, run
from tests.e2e.terminal import sent_to_terminal


def lines(*arguments: str, columns: int = 100) -> list[str]:
    return sent_to_terminal(*arguments, columns=columns).decode().splitlines()


@pytest.fixture
def dead(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    """A queue of dead letters: two messages, of which one was rejected."""
    name = f"table-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        source = channel.queue_declare(
            "", exclusive=True, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": name}
        ).method.queue
        properties = pika.BasicProperties(correlation_id="flow-12", type="OrderPlaced")
        channel.basic_publish("", source, b'{"total":12}', properties)
        deadline = time.monotonic() + 20
        method = None
        while method is None and time.monotonic() < deadline:
            method, _, _ = channel.basic_get(source)
        assert method is not None
        channel.basic_reject(method.delivery_tag, requeue=False)
        while not channel.queue_declare(name, passive=True).method.message_count and time.monotonic() < deadline:
            connection.process_data_events(0.05)
    yield name
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        connection.channel().queue_delete(name)


def test_a_dead_letter_of_rabbitmq_says_its_reason_its_type_and_its_flow(
    rabbitmq_4: RabbitMQAddress, dead: str
) -> None:
    shown = lines("browse", "-c", f"r={managed(rabbitmq_4)}", dead)
    [title] = [line for line in shown if line.startswith("time")]
    assert title.split() == ["time", "reason", "type", "correlation", "body"]
    row = shown[shown.index(title) + 1].split()
    assert row[1:] == ["rejected", "OrderPlaced", "flow-12", '{"total":12}']


@pytest.fixture
def topic(kafka: KafkaAddress) -> str:
    name = f"table-{uuid.uuid4().hex[:8]}"
    arguments = ("-p", "0", "-k", "k-1")
    kcat_publish(
        kafka,
        name,
        *arguments,
        "-H",
        "correlation_id=flow-7",
        "-H",
        "retry=3",
        stdin=b'{"type":"OrderPlaced","total":12}',
    )
    kcat_publish(kafka, name, *arguments, "-H", "correlation_id=flow-8", stdin=b"\0\0\0\0\x2a\x0cBerlin\xff\xfe")
    return name


def test_events_of_kafka_are_a_table_of_facts_without_the_frame_of_a_registry(kafka: KafkaAddress, topic: str) -> None:
    shown = lines("browse", "-c", f"k={kafka.url}", topic, columns=120)
    assert shown[0].split() == ["time", "position", "type", "correlation", "key", "body"]
    assert shown[1].split()[1:] == ["0:0", "OrderPlaced", "flow-7", "k-1", '{"type":"OrderPlaced","total":12}']
    assert shown[2].split()[1:] == ["0:1", "flow-8", "k-1", "0x0c4265726c696efffe"]


def test_the_columns_are_chosen_by_the_names_that_the_screen_has(kafka: KafkaAddress, topic: str) -> None:
    arguments = ("browse", "-c", f"k={kafka.url}", topic, "--columns", "correlation,body.total,header.retry")
    assert [line.split() for line in lines(*arguments)[:2]] == [
        ["correlation", "body.total", "header.retry"],
        ["flow-7", "12", "3"],
    ]
    # Who chooses columns means the table, wherever it goes.
    assert run("workbench", *arguments).out.splitlines()[1].split() == ["flow-7", "12", "3"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--columns", "nothing.x"), "Unknown field nothing.x."),
        (("--columns", "time", "--json"), "--columns is for the table"),
        (("--columns", ""), "The columns are time, from, reason"),
    ],
)
def test_columns_that_cannot_be_shown_are_refused(
    kafka: KafkaAddress, topic: str, arguments: tuple[str, ...], said: str
) -> None:
    done = run("workbench", "browse", "-c", f"k={kafka.url}", topic, *arguments)
    assert done.code == 2
    assert said in done.err


def test_tail_has_the_same_table(kafka: KafkaAddress, topic: str) -> None:
    shown = lines("tail", "-c", f"k={kafka.url}", topic, "--from", "beginning", "-n", "1", columns=80)
    [title] = [line for line in shown if line.startswith("time")]
    assert title.split() == ["time", "type", "correlation", "body"]
    assert shown[shown.index(title) + 1].split()[1:3] == ["OrderPlaced", "flow-7"]
