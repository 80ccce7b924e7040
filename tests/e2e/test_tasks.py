"""What a developer does at an incident, in a real terminal: each task in no more keys than it should take."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pika
import pytest

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.fuzz import private
from tests.e2e.terminal import Terminal
from tests.e2e.test_connections import SECRET
from tests.e2e.test_publish_screen import url_of
from tests.kafka.conftest import admin, connect, make_topic
from tests.kafka.reading import numbered, publish
from tests.kafka.test_groups import commit
from tests.rabbitmq.conftest import new_vhost
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event

ENTER = "\r"
STUCK_AT = 4
DEADLINE = 90.0

Step = tuple[str, str, str]
"""A key, what is typed behind it, and what is drawn then."""


def do(terminal: Terminal, steps: Sequence[Step], keys: int) -> None:
    """Do a task step by step, in so many keys beside what is typed."""
    assert len(steps) <= keys
    for key, typed, drawn in steps:
        terminal.press(key + typed)
        terminal.until(drawn)


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return private(tmp_path)


@contextmanager
def topic_on(kafka: KafkaAddress) -> Iterator[Address]:
    async def delete(name: str) -> None:
        async with admin(kafka.bootstrap) as client:
            await client.delete_topics([name])

    address = asyncio.run(make_topic(kafka.bootstrap))
    try:
        yield address
    finally:
        asyncio.run(delete(address.name))


def send(kafka: KafkaAddress, topic: Address, events: Sequence[Event]) -> None:
    async def all_of_them() -> None:
        async with connect(kafka.url) as connector:
            await publish(connector, topic, events)

    asyncio.run(all_of_them())


SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 36), (220, 60)], ids=lambda size: f"{size[0]}x{size[1]}")


@SIZES
def test_why_messages_failed_and_one_of_them_in_full(size: tuple[int, int], environment: Mapping[str, str]) -> None:
    with Terminal("demo", columns=size[0], rows=size[1], environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, [("3", "", "Cannot invoke"), (ENTER, "", "Spring Kafka" if size[0] >= 100 else "held")], 6)
        # A narrow screen shows the event alone anyway.
        zoomed = [("z", "", "stack trace")] if size[0] >= 100 else []
        do(terminal, [(ENTER, "", "by this value"), *zoomed], 3)
        do(terminal, [("=", "", "reason = ")], 1)
        terminal.press("\x11")
        assert terminal.wait() == 0


@SIZES
def test_which_orders_are_stuck_and_where_the_worst_of_them_is(
    size: tuple[int, int], environment: Mapping[str, str]
) -> None:
    with Terminal("demo", columns=size[0], rows=size[1], environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, [("L", "", "No event is held"), ("+", "", "Read flows"), (ENTER, "", "stuck of")], 3)
        terminal.until("it usually follows")
        do(terminal, [(ENTER, "", "stuck: "), ("\x1b", "", "stuck of")], 2)
        terminal.press("\x11")
        assert terminal.wait() == 0


def test_where_an_order_is_stuck_between_kafka_and_rabbitmq(
    rabbitmq_4: RabbitMQAddress, kafka: KafkaAddress, environment: Mapping[str, str]
) -> None:
    rabbit = new_vhost(rabbitmq_4)
    begun = round(time.time()) - 600
    orders = [f"order-{uuid4()}" for _ in range(9)]
    try:
        with topic_on(kafka) as topic:
            placed = [(order, "OrderPlaced", 0) for order in orders]
            shipped = [(order, "OrderShipped", 5) for order in orders[:-1]]
            send(kafka, topic, [_of_order(*each, begun) for each in placed + shipped])
            urls = (
                "-c",
                f"r={rabbit.url}?management={rabbitmq_4.management_url}",
                "-c",
                f"k={kafka.url}?scope={topic.name}",
            )
            with Terminal(*urls, environment=environment) as terminal:
                terminal.until(topic.name[-6:])
                do(terminal, [("/", topic.name, topic.name), (ENTER, "", ""), (ENTER, "", "OrderShipped")], 3)
                do(terminal, [("L", "", "1 stuck of 9 flows")], 1)
                # The broker still lists the queue as empty, or not at all.
                queue = rabbit.queue()
                for order in orders:
                    rabbit.publish(queue, b"{}", correlation_id=order, type="OrderPaid", timestamp=begun + 2)
                look = [("b", "", "will be browsed once"), (ENTER, "", "it usually follows OrderPaid within 3.00 s")]
                do(terminal, [*look, (ENTER, "", "missing, usual after 3.00 s")], 3)
                assert orders[-1].encode() in terminal.received
                terminal.press("\x11")
                assert terminal.wait() == 0
    finally:
        rabbit.remove()


def _of_order(order: str, type: str, seconds: int, begun: int) -> Event:
    headers = (("correlation-id", order), ("event-type", type), ("message-id", f"{order}-{type}"))
    return Event(order.encode(), b"{}", None, Content(headers), (begun + seconds) * 1000)


@SIZES
def test_why_messages_of_a_queue_failed_is_seen_after_its_price(
    size: tuple[int, int], environment: Mapping[str, str]
) -> None:
    with Terminal("demo", columns=size[0], rows=size[1], environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, [("3", "", "rabbit/email.dead"), ("b", "", "will be browsed once"), (ENTER, "", "rejected")], 6)
        terminal.press("\x11")
        assert terminal.wait() == 0


def test_the_event_that_a_stuck_group_waits_for(kafka: KafkaAddress, environment: Mapping[str, str]) -> None:
    group = f"stuck-{uuid4().hex[:8]}"
    with topic_on(kafka) as topic:
        send(kafka, topic, numbered(10))
        asyncio.run(commit(kafka, group, topic, {0: STUCK_AT}))
        # Others work on this broker, too: their topics would push the groups out of sight.
        with Terminal("-c", f"k={kafka.url}?scope={topic.name}", environment=environment) as terminal:
            terminal.until("groups ")
            do(terminal, [("/", group, group), (ENTER, "", "")], 2)
            do(terminal, [(ENTER, "", "members"), (ENTER, "", f"event-{STUCK_AT}")], 2)
            assert f"event-{STUCK_AT - 1}".encode() not in terminal.received
            terminal.press("\x11")
            assert terminal.wait() == 0


def test_an_exchange_and_a_topic_live_in_one_table(
    rabbitmq_4: RabbitMQAddress, kafka: KafkaAddress, environment: Mapping[str, str]
) -> None:
    with topic_on(kafka) as topic, pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(topic.name, "fanout")
        try:
            ours = f"scope={topic.name}"
            urls = ("-c", f"{url_of(rabbitmq_4)}&{ours}", "-c", f"k={kafka.url}?{ours}")
            with Terminal(*urls, environment=environment) as terminal:
                terminal.until("exchanges ")
                terminal.until("1 topic")
                steps = [("/", topic.name, topic.name), (ENTER, "", ""), (" ", "", "◆"), ("j", "", ""), (" ", "", "◆")]
                do(terminal, [*steps, (ENTER, "", f"k/{topic.name}")], 6)
                end = time.monotonic() + DEADLINE
                while not {b"from-exchange", b"from-topic"} <= set(_bodies(terminal)):
                    assert time.monotonic() < end, bytes(terminal.received[-3000:])
                    channel.basic_publish(topic.name, "", b"from-exchange")
                    send(kafka, topic, [Event(b"k", b"from-topic")])
                    terminal.drain()
                # What is live in RabbitMQ is kept nowhere else: it asks.
                terminal.press("\x11y")
                terminal.drain()
        finally:
            channel.exchange_delete(topic.name)


def _bodies(terminal: Terminal) -> list[bytes]:
    return [body for body in (b"from-exchange", b"from-topic") if body in terminal.received]


def test_a_connection_with_a_password_is_added_and_removed(kafka: KafkaAddress, environment: Mapping[str, str]) -> None:
    url = f"{kafka.sasl_url.replace(f':{SECRET}', '')}?tls&ca={kafka.ca_file}"
    with Terminal("demo", columns=140, environment=environment) as terminal:
        terminal.until("payments")
        do(terminal, [("a", "", "Add a connection")], 1)
        terminal.press("log")
        do(terminal, [("\t", url, ""), ("\t", SECRET, ""), (ENTER, "", "log is saved in")], 3)
        do(terminal, [("x", "", "Remove log?"), (ENTER, "", "log is removed from")], 2)
        terminal.press("\x11")
        assert terminal.wait() == 0
