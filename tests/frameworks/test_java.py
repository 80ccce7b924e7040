"""Facts from headers that Spring Kafka 3.3, Spring AMQP 3.2 and Kafka Streams 4.3 wrote themselves."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.frameworks.java import from_kafka, from_rabbitmq, printed
from workbench.facts.conventions import Conventions
from workbench.facts.facts import Failure, Origin


@pytest.fixture(scope="module")
def spring() -> Mapping[str, Mapping[str, Any]]:
    return printed("Spring")


def test_a_dead_letter_of_spring_kafka_says_where_it_was_and_why_it_failed(
    spring: Mapping[str, Mapping[str, Any]],
) -> None:
    facts = Conventions.load([]).facts(from_kafka(spring["spring kafka dead letter"]))
    assert facts.origin == Origin(
        "Spring Kafka", topic="orders", partition="3", offset="1200", group="billing", time="-1"
    )
    failure = facts.failure
    assert failure is not None
    assert (failure.reason, failure.type) == ("listener failed; out of stock", "java.lang.IllegalStateException")
    assert failure.stack is not None
    assert "Caused by: java.lang.IllegalStateException: out of stock" in failure.stack


def test_a_dead_letter_of_spring_kafka_that_failed_again_was_last_where_it_failed_last(
    spring: Mapping[str, Mapping[str, Any]],
) -> None:
    facts = Conventions.load([]).facts(from_kafka(spring["spring kafka dead letter, again"]))
    origin = facts.origin
    assert origin is not None
    assert (origin.topic, origin.partition, origin.offset) == ("orders-dlt", "1", "7")
    assert facts.all("origin.topic") == ("orders-dlt", "orders")


def test_a_request_of_spring_kafka_is_correlated_by_the_id_in_its_sixteen_bytes(
    spring: Mapping[str, Mapping[str, Any]],
) -> None:
    delivery = from_kafka(spring["spring kafka request"])
    raw = dict(delivery.event.headers)["kafka_correlationId"]
    assert isinstance(raw, bytes)
    assert Conventions.load([]).facts(delivery).correlation == str(uuid.UUID(bytes=raw))


def test_json_of_spring_says_its_type(spring: Mapping[str, Mapping[str, Any]]) -> None:
    conventions = Conventions.load([])
    assert conventions.facts(from_kafka(spring["spring kafka json"])).type == "Spring$Order"
    assert conventions.facts(from_rabbitmq(spring["spring amqp json"])).type == "Spring$Order"


def test_a_dead_letter_of_spring_amqp_says_where_it_was_and_why_it_failed(
    spring: Mapping[str, Mapping[str, Any]],
) -> None:
    facts = Conventions.load([]).facts(from_rabbitmq(spring["spring amqp dead letter"]))
    assert facts.origin == Origin("Spring AMQP", exchange="orders", key="order.placed")
    assert facts.correlation == "flow-1"
    failure = facts.failure
    assert failure is not None
    assert (failure.reason, failure.type) == ("out of stock", "java.lang.IllegalStateException")


def test_a_dead_letter_of_kafka_streams_says_where_it_was_and_why_it_failed() -> None:
    facts = Conventions.load([]).facts(from_kafka(printed("Streams")["streams dead letter"]))
    assert facts.origin == Origin("Kafka Streams", topic="orders", partition="3", offset="1200")
    failure = facts.failure
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.type) == ("out of stock", "java.lang.IllegalStateException")
