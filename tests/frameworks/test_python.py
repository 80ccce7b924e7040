"""Facts from events that Celery, Dramatiq and FastStream published themselves, to real brokers."""

import json
import time
import uuid

import aiokafka
import dramatiq
import pika
from celery import Celery
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from faststream.kafka import KafkaBroker

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts, Origin
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.model.wire import encode


def taken(url: str, queue: str) -> Delivery:
    """The next message of a queue, waited for."""
    deadline = time.monotonic() + 20
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        while time.monotonic() < deadline:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is not None:
                break
            connection.process_data_events(0.02)
        else:
            raise AssertionError(f"nothing arrived in {queue}")
    finally:
        connection.close()
    said = {name: value for name, value in vars(properties).items() if value is not None and name != "headers"}
    wire = encode(Content(tuple((properties.headers or {}).items()), said))
    return Delivery(Event(method.routing_key.encode(), body, wire), Address("rabbit", queue), 0)


def facts_of(delivery: Delivery) -> Facts:
    return Conventions.load([]).facts(delivery)


def test_a_task_of_celery_belongs_to_its_workflow(rabbitmq_4: RabbitMQAddress) -> None:
    queue = f"conventions-{uuid.uuid4()}"
    app = Celery(broker=rabbitmq_4.url)
    try:
        app.send_task("shop.bill", (1,), task_id="task", root_id="root", parent_id="parent", retries=2, queue=queue)
    finally:
        app.close()
    facts = facts_of(taken(rabbitmq_4.url, queue))
    assert (facts.correlation, facts.causation, facts.message) == ("root", "parent", "task")
    assert (facts.type, facts.attempts) == ("shop.bill", 2)
    assert facts.all("correlation") == ("root", "task")


def test_a_dead_message_of_dramatiq_says_why_it_failed(rabbitmq_4: RabbitMQAddress) -> None:
    queue = f"conventions-{uuid.uuid4()}"
    broker = RabbitmqBroker(url=rabbitmq_4.url)

    @dramatiq.actor(broker=broker, queue_name=queue, max_retries=1, min_backoff=1, max_backoff=2)
    def pay(amount: int) -> None:
        raise ValueError(f"no money for {amount}")

    sent = pay.send(7)
    worker = dramatiq.Worker(broker, worker_timeout=50, worker_threads=1)
    worker.start()
    try:
        dead = taken(rabbitmq_4.url, f"{queue}.XQ")
    finally:
        worker.stop()
        broker.close()
    facts = facts_of(dead)
    assert (facts.message, facts.correlation, facts.type) == (sent.message_id, sent.message_id, "pay")
    assert facts.attempts == 1
    assert facts.origin == Origin("Dramatiq", queue=queue)
    failure = facts.failure
    assert failure is not None
    assert (failure.reason, failure.type) == ("ValueError: no money for 7", "ValueError")
    assert facts.all("failure.reason") == ("ValueError: no money for 7", "rejected")


def test_a_pipeline_of_dramatiq_names_the_message_that_comes_next(rabbitmq_4: RabbitMQAddress) -> None:
    broker = RabbitmqBroker(url=rabbitmq_4.url)

    @dramatiq.actor(broker=broker, queue_name=f"conventions-{uuid.uuid4()}")
    def pay(amount: int) -> None:
        pass

    first, second = (pay.message(1) | pay.message(2)).messages
    facts = facts_of(Delivery(Event(b"", first.encode()), Address("rabbit", "q"), 0))
    broker.close()
    assert facts.all("correlation") == (first.message_id, second.message_id)


async def test_an_event_of_faststream_is_correlated_by_its_header(kafka: KafkaAddress) -> None:
    topic = f"conventions-{uuid.uuid4()}"
    async with KafkaBroker(kafka.bootstrap) as broker:
        await broker.publish({"type": "OrderPlaced"}, topic, correlation_id="flow-1")
    consumer = aiokafka.AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        record = await consumer.getone()
    finally:
        await consumer.stop()
    assert json.loads(record.value) == {"type": "OrderPlaced"}
    event = Event(record.key, record.value, None, Content(tuple(record.headers)))
    facts = facts_of(Delivery(event, Address("kafka", topic), 0))
    assert (facts.correlation, facts.type) == ("flow-1", "OrderPlaced")
