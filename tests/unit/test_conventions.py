import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import deliveries
from workbench.facts.conventions import Conventions
from workbench.facts.facts import NOTHING, Fact, Facts, Failure, Origin
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.errors import ConfigError
from workbench.model.event import Delivery, Event
from workbench.model.wire import Wire, encode

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def kafka(*headers: tuple[str, bytes | str | None], body: bytes | None = b"") -> Facts:
    event = Event(None, body, None, Content(headers))
    return Conventions.load([]).facts(Delivery(event, Address("kafka", "t"), 0))


def rabbit(headers: dict[str, Value] | None = None, body: bytes = b"", **properties: Value) -> Facts:
    event = Event(b"", body, encode(Content(tuple((headers or {}).items()), properties)))
    return Conventions.load([]).facts(Delivery(event, Address("rabbit", "q"), 0))


def written(headers: dict[str, Value] | None = None, **properties: Value) -> Facts:
    """What a connector that is no AMQP 0-9-1 could hand over."""
    event = Event(b"", b"", None, Content(tuple((headers or {}).items()), properties))
    return Conventions.load([]).facts(Delivery(event, Address("other", "q"), 0))


def body(value: Any) -> Facts:
    return kafka(body=json.dumps(value).encode())


# A test for each row of the table of conventions, from bytes as that framework writes them.


def test_amqp_keeps_its_ids_in_properties() -> None:
    facts = rabbit(correlation_id="flow", message_id="m-1", type="OrderPlaced", reply_to="amq.gen-1")
    assert (facts.correlation, facts.message, facts.type, facts.causation) == ("flow", "m-1", "OrderPlaced", None)
    assert {fact.convention for fact in facts.found} == {"AMQP"}


DEATHS: list[Value] = [
    {
        "count": 3,
        "reason": "rejected",
        "queue": "billing",
        "time": datetime(2026, 11, 23, 10, 3, 22, tzinfo=UTC),
        "exchange": "orders",
        "routing-keys": ["order.placed", "copy"],
    },
    {"count": 1, "reason": "expired", "queue": "waiting", "exchange": "", "routing-keys": ["waiting"]},
]


def test_a_dead_letter_of_rabbitmq_says_its_newest_death() -> None:
    first: dict[str, Value] = {
        "x-first-death-queue": "waiting",
        "x-first-death-reason": "expired",
        "x-first-death-exchange": "",
    }
    facts = rabbit({**first, "x-death": DEATHS}, correlation_id="flow")
    assert facts.origin == Origin("RabbitMQ dead letter", queue="billing", exchange="orders", key="order.placed")
    assert facts.failure == Failure("RabbitMQ dead letter", "rejected", time="2026-11-23T10:03:22+00:00")
    assert (facts.attempts, facts.reason, facts.correlation) == (3, "rejected", "flow")
    assert facts.all("origin.queue") == ("billing", "waiting")


def test_a_dead_letter_of_rabbitmq_4_says_its_last_death_before_its_first() -> None:
    facts = rabbit({"x-first-death-queue": "a", "x-last-death-queue": "b", "x-last-death-reason": "delivery_limit"})
    assert facts.origin == Origin("RabbitMQ dead letter", queue="b")
    assert facts.reason == "delivery_limit"


def test_deaths_of_amqp_1_are_read_like_those_of_0_9() -> None:
    assert written({"x-opt-deaths": DEATHS}).origin == rabbit({"x-death": DEATHS}).origin


def test_a_quorum_queue_counts_deliveries() -> None:
    assert rabbit({"x-delivery-count": 7}).attempts == 7
    assert rabbit({"x-acquired-count": 8}).attempts == 8


def test_the_firehose_names_the_exchange_and_repeats_the_properties() -> None:
    traced: dict[str, Value] = {
        "exchange_name": "orders",
        "routing_keys": ["order.placed"],
        "properties": {"correlation_id": "flow", "message_id": "m-1", "headers": {}},
        "node": "rabbit@host",
    }
    facts = rabbit(traced)
    assert facts.origin == Origin("RabbitMQ firehose", exchange="orders", key="order.placed")
    assert (facts.correlation, facts.message) == ("flow", "m-1")


def test_a_trace_parent_holds_the_trace_and_the_span() -> None:
    facts = kafka(("traceparent", PARENT.encode()))
    assert (facts.correlation, facts.causation) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-ParentSpanId": "05e3ac9a4f6e3b90"},
        {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-parentspanid": "05e3ac9a4f6e3b90"},
        {"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"},
        {"uber-trace-id": f"{TRACE}:{SPAN}:05e3ac9a4f6e3b90:1"},
        {"spanTraceId": TRACE, "spanId": SPAN, "spanParentSpanId": "05e3ac9a4f6e3b90"},
    ],
)
def test_a_trace_context_holds_the_trace_the_span_and_its_parent(headers: Mapping[str, str]) -> None:
    facts = kafka(*((name, value.encode()) for name, value in headers.items()))
    assert (facts.correlation, facts.first("span"), facts.causation) == (TRACE, SPAN, "05e3ac9a4f6e3b90")


def test_the_first_span_of_a_trace_has_no_parent() -> None:
    for header in (("b3", f"{TRACE}-{SPAN}-d"), ("b3", f"{TRACE}-{SPAN}"), ("uber-trace-id", f"{TRACE}:{SPAN}:0:1")):
        facts = kafka((header[0], header[1].encode()))
        assert (facts.first("span"), facts.causation) == (SPAN, None)
    assert kafka(("b3", b"0")) == NOTHING


def test_a_trace_of_datadog_is_told_by_its_number() -> None:
    said = ("x-datadog-trace-id", b"1234567890123456789"), ("x-datadog-parent-id", b"987654321098765432")
    assert kafka(*said).ids == ("1234567890123456789",)


@pytest.mark.parametrize("value", [b"", b"00-0-0-0", f"00-{'0' * 32}-{'0' * 16}-00".encode(), b"\xff" * 55])
def test_a_trace_parent_that_is_none_says_nothing(value: bytes) -> None:
    assert kafka(("traceparent", value)) == NOTHING


def test_cloud_events_in_kafka_headers() -> None:
    facts = kafka(
        ("ce_specversion", b"1.0"),
        ("ce_id", b"e-1"),
        ("ce_source", b"/shop"),
        ("ce_type", b"shop.order.placed"),
        ("ce_correlationid", b"flow"),
        ("ce_causationid", b"e-0"),
        ("content-type", b"application/json"),
        body=None,
    )
    assert (facts.correlation, facts.causation) == ("flow", "e-0")
    assert (facts.message, facts.type) == ("e-1", "shop.order.placed")


@pytest.mark.parametrize("prefix", ["cloudEvents:", "cloudEvents_"])
def test_cloud_events_in_amqp_headers(prefix: str) -> None:
    attributes: dict[str, Value] = {"specversion": "1.0", "id": "e-1", "type": "placed", "traceparent": PARENT}
    facts = rabbit({prefix + name: value for name, value in attributes.items()})
    assert (facts.correlation, facts.causation, facts.message, facts.type) == (TRACE, SPAN, "e-1", "placed")


STRUCTURED = {"id": "e-1", "source": "/shop", "type": "placed", "correlationid": "flow", "causationid": "e-0"}


def test_cloud_events_in_a_body_are_told_by_their_content_type() -> None:
    raw = json.dumps(STRUCTURED).encode()
    found = [
        kafka(("content-type", b"Application/CloudEvents+json; charset=utf-8"), body=raw),
        rabbit(body=raw, content_type="application/cloudevents+json"),
    ]
    for facts in found:
        assert (facts.correlation, facts.causation, facts.message, facts.type) == ("flow", "e-0", "e-1", "placed")


def test_cloud_events_in_a_body_are_told_by_their_version() -> None:
    facts = body({"specversion": "1.0", **STRUCTURED})
    assert (facts.correlation, facts.message) == ("flow", "e-1")


def test_an_id_in_a_body_that_is_no_cloud_event_is_not_the_events_own() -> None:
    assert body({"id": 7, "correlationid": "x"}) == NOTHING


def test_spring_kafka_writes_numbers_in_binary() -> None:
    facts = kafka(
        ("kafka_dlt-original-topic", b"orders"),
        ("kafka_dlt-original-partition", (3).to_bytes(4)),
        ("kafka_dlt-original-offset", (2**40).to_bytes(8)),
        ("kafka_dlt-original-timestamp", (1764000000000).to_bytes(8)),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
        ("kafka_dlt-exception-message", b"out of stock"),
        ("kafka_dlt-exception-stacktrace", b"java.lang..."),
    )
    assert facts.origin == Origin(
        "Spring Kafka",
        topic="orders",
        partition="3",
        offset=str(2**40),
        group="billing",
        time="1764000000000",
    )
    assert facts.failure == Failure("Spring Kafka", "out of stock", "java.lang.IllegalStateException", "java.lang...")


def test_the_retry_topics_of_spring_kafka_count_attempts() -> None:
    origin = (("kafka_original-topic", b"orders"), ("kafka_original-partition", bytes(4)))
    assert kafka(*origin, ("retry_topic-attempts", (300).to_bytes(4))).attempts == 300
    assert kafka(*origin, ("retry_topic-attempts", b"\x02")).attempts == 2
    assert kafka(("kafka_deliveryAttempt", (4).to_bytes(4))).attempts == 4
    assert kafka(*origin).origin == Origin("Spring Kafka", topic="orders", partition="0")


def test_spring_kafka_correlates_by_sixteen_bytes_or_by_text() -> None:
    own = uuid.uuid4()
    assert kafka(("kafka_correlationId", own.bytes)).correlation == str(own)
    assert kafka(("kafka_correlationId", b"order-1234567890")).correlation == "order-1234567890"
    assert kafka(("kafka_correlationId", b"\x00\x01")).correlation == "0001"


def test_spring_cloud_stream() -> None:
    facts = kafka(
        ("x-original-topic", b"orders"),
        ("x-original-partition", (3).to_bytes(4)),
        ("x-original-offset", (1200).to_bytes(8)),
        ("x-original-timestamp", (1764000000000).to_bytes(8)),
        ("x-exception-fqcn", b"java.lang.IllegalStateException"),
        ("x-exception-message", b"out of stock"),
        ("x-exception-stacktrace", b"java.lang..."),
    )
    assert facts.origin == Origin(
        "Spring Cloud Stream", topic="orders", partition="3", offset="1200", time="1764000000000"
    )
    assert facts.failure == Failure(
        "Spring Cloud Stream", "out of stock", "java.lang.IllegalStateException", "java.lang..."
    )


def test_spring_amqp() -> None:
    stack = "org.springframework.Wrapped: x\n\tat a\nCaused by: a.B: y\n\tat b\nCaused by: java.io.IOException: z\n"
    facts = rabbit(
        {
            "x-original-exchange": "orders",
            "x-original-routingKey": "order.placed",
            "x-exception-message": "z",
            "x-exception-stacktrace": stack,
            "retry-count": 3,
        }
    )
    assert facts.origin == Origin("Spring AMQP", exchange="orders", key="order.placed")
    assert facts.failure == Failure("Spring AMQP", "z", "java.io.IOException", stack)
    assert facts.attempts == 3


def test_kafka_connect_writes_text() -> None:
    facts = kafka(
        ("__connect.errors.topic", b"orders"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"1200"),
        ("__connect.errors.connector.name", b"sink"),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.class.name", b"org.apache.kafka.connect.json.JsonConverter"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.message", b"no schema"),
        ("__connect.errors.exception.stacktrace", b"org.apache..."),
    )
    assert facts.origin == Origin("Kafka Connect", topic="orders", partition="3", offset="1200")
    assert facts.failure == Failure(
        "Kafka Connect", "no schema", "org.apache.kafka.connect.errors.DataException", "org.apache..."
    )


@pytest.mark.parametrize("exception", [b"java.io.IOException", b"java.io.IOException: disk"])
def test_kafka_streams_writes_text(exception: bytes) -> None:
    facts = kafka(
        ("__streams.errors.exception", exception),
        ("__streams.errors.message", b"disk"),
        ("__streams.errors.stacktrace", b"java.io..."),
        ("__streams.errors.topic", b"orders"),
        ("__streams.errors.partition", b"3"),
        ("__streams.errors.offset", b"1200"),
    )
    assert facts.origin == Origin("Kafka Streams", topic="orders", partition="3", offset="1200")
    assert facts.failure == Failure("Kafka Streams", "disk", "java.io.IOException", "java.io...")


def test_a_binary_number_that_happens_to_be_text_is_a_number() -> None:
    facts = kafka(
        ("kafka_dlt-original-topic", "orders"),
        ("kafka_dlt-original-partition", "\0\0\0\x01"),
        ("kafka_dlt-original-offset", "\0\0\0\0\0\0\0)"),
    )
    assert facts.origin == Origin("Spring Kafka", topic="orders", partition="1", offset="41")


def test_kafka_share_groups_write_text() -> None:
    facts = kafka(
        ("__dlq.errors.topic", b"orders"),
        ("__dlq.errors.partition", b"3"),
        ("__dlq.errors.offset", b"1200"),
        ("__dlq.errors.group", b"billing"),
        ("__dlq.errors.delivery.count", b"5"),
        ("__dlq.errors.message", b"Offset rejected by client."),
    )
    assert facts.origin == Origin("Kafka share group", topic="orders", partition="3", offset="1200", group="billing")
    assert (facts.reason, facts.attempts) == ("Offset rejected by client.", 5)


def test_smallrye_writes_text_and_the_newest_first() -> None:
    facts = kafka(
        ("dead-letter-exception-class-name", b"jakarta.ProcessingException"),
        ("dead-letter-reason", b"wrapped"),
        ("dead-letter-cause-class-name", b"java.io.IOException"),
        ("dead-letter-cause", b"disk"),
        ("dead-letter-topic", b"orders-retry"),
        ("dead-letter-partition", b"1"),
        ("dead-letter-offset", b"7"),
        ("dead-letter-topic", b"orders"),
        ("dead-letter-partition", b"3"),
        ("dead-letter-offset", b"1200"),
    )
    assert facts.origin == Origin("SmallRye", topic="orders-retry", partition="1", offset="7")
    assert facts.failure == Failure("SmallRye", "wrapped", "java.io.IOException")


ENVELOPE = {
    "messageId": "m-1",
    "conversationId": "flow",
    "correlationId": "order-7",
    "initiatorId": "m-0",
    "sourceAddress": "rabbitmq://localhost/shop",
    "destinationAddress": "rabbitmq://localhost/Shop:OrderPlaced",
    "messageType": ["urn:message:Shop:OrderPlaced", "urn:message:Shop:IEvent"],
    "message": {"orderId": 7},
}


def test_the_envelope_of_masstransit() -> None:
    facts = rabbit(body=json.dumps(ENVELOPE).encode(), content_type="application/vnd.masstransit+json")
    assert (facts.correlation, facts.causation, facts.message) == ("flow", "m-0", "m-1")
    assert facts.type == "Shop:OrderPlaced"
    assert facts.all("correlation") == ("flow", "order-7")


def test_a_fault_of_masstransit() -> None:
    facts = rabbit(
        {
            "MT-Reason": "fault",
            "MT-Fault-InputAddress": "rabbitmq://localhost/shop/billing?durable=true",
            "MT-Fault-ExceptionType": "System.InvalidOperationException",
            "MT-Fault-Message": "out of stock",
            "MT-Fault-StackTrace": "at Shop...",
            "MT-Fault-Timestamp": "2026-11-23T10:03:22Z",
            "MT-Fault-RetryCount": 3,
            "ConversationId": "flow",
            "MT-InitiatorId": "m-0",
            "MessageId": "m-1",
        }
    )
    assert facts.origin == Origin("MassTransit", queue="billing")
    assert facts.failure == Failure(
        "MassTransit", "out of stock", "System.InvalidOperationException", "at Shop...", "2026-11-23T10:03:22Z"
    )
    assert (facts.correlation, facts.causation, facts.message, facts.attempts) == ("flow", "m-0", "m-1", 3)


def test_nservicebus() -> None:
    facts = rabbit(
        {
            "NServiceBus.MessageId": "m-1",
            "NServiceBus.ConversationId": "flow",
            "NServiceBus.CorrelationId": "m-0",
            "NServiceBus.RelatedTo": "m-0",
            "NServiceBus.EnclosedMessageTypes": "Shop.OrderPlaced, Shop, Version=1.0.0.0;Shop.IEvent, Shop",
            "NServiceBus.FailedQ": "billing@MACHINE",
            "NServiceBus.FLRetries": "5",
            "NServiceBus.Retries": "2",
            "NServiceBus.TimeOfFailure": "2026-11-23 10:03:22:123456 Z",
            "NServiceBus.ExceptionInfo.ExceptionType": "System.InvalidOperationException",
            "NServiceBus.ExceptionInfo.Message": "out of stock",
            "NServiceBus.ExceptionInfo.StackTrace": "at Shop...",
        },
        correlation_id="m-0",
        message_id="m-1",
    )
    assert (facts.correlation, facts.causation, facts.message) == ("flow", "m-0", "m-1")
    assert (facts.type, facts.attempts) == ("Shop.OrderPlaced", 2)
    assert facts.origin == Origin("NServiceBus", queue="billing")
    assert facts.failure == Failure(
        "NServiceBus",
        "out of stock",
        "System.InvalidOperationException",
        "at Shop...",
        "2026-11-23 10:03:22:123456 Z",
    )


def test_rebus() -> None:
    details = "System.InvalidOperationException: out of stock\r\n   at Shop..."
    facts = rabbit(
        {
            "rbs2-msg-id": "m-1",
            "rbs2-corr-id": "flow",
            "rbs2-corr-seq": "1",
            "rbs2-in-reply-to": "m-0",
            "rbs2-msg-type": "Shop.OrderPlaced, Shop",
            "rbs2-source-queue": "billing",
            "rbs2-error-details": details,
            "rbs2-delivery-count": "5",
        }
    )
    assert (facts.correlation, facts.causation, facts.message, facts.type) == ("flow", "m-0", "m-1", "Shop.OrderPlaced")
    assert facts.origin == Origin("Rebus", queue="billing")
    assert facts.failure == Failure("Rebus", "System.InvalidOperationException: out of stock", stack=details)
    assert facts.attempts == 5


def test_wolverine() -> None:
    headers: dict[str, bytes] = {
        "id": b"m-1",
        "correlation-id": b"flow",
        "conversation-id": b"m-root",
        "parent-id": b"00-span",
        "message-type": b"OrderPlaced",
        "accepted-content-types": b"application/json",
        "attempts": b"3",
        "original-destination": b"kafka://topic/orders",
        "original-partition": b"3",
        "original-offset": b"1200",
        "exception-type": b"System.InvalidOperationException",
        "exception-message": b"out of stock",
        "exception-stack": b"at Shop...",
        "failed-at": b"1764000000000",
    }
    facts = kafka(*headers.items())
    assert (facts.correlation, facts.causation, facts.message) == ("m-root", "00-span", "m-1")
    assert facts.all("correlation") == ("m-root", "flow")
    assert facts.origin == Origin("Wolverine", topic="orders", partition="3", offset="1200")
    assert facts.failure == Failure(
        "Wolverine", "out of stock", "System.InvalidOperationException", "at Shop...", "1764000000000"
    )
    assert facts.attempts == 3
    queue: dict[str, Value] = {"original-destination": "rabbitmq://queue/billing"}
    assert rabbit(queue).origin == Origin("Wolverine", queue="billing")


def test_celery_belongs_to_the_root_of_its_workflow() -> None:
    headers: dict[str, Value] = {
        "lang": "py",
        "task": "shop.bill",
        "id": "task",
        "root_id": "root",
        "parent_id": None,
        "group": "group",
        "retries": 0,
    }
    facts = rabbit(headers, correlation_id="task")
    assert facts.all("correlation") == ("root", "group", "task")
    assert (facts.causation, facts.message, facts.type, facts.attempts) == (None, "task", "shop.bill", 0)


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in pay\nshop.errors.NoMoney: 7 missing\n'


def test_dramatiq() -> None:
    facts = body(
        {
            "queue_name": "default.DQ",
            "actor_name": "pay",
            "args": [],
            "kwargs": {},
            "options": {"retries": 2, "traceback": TRACEBACK, "pipe_target": {"message_id": "m-2"}},
            "message_id": "m-1",
        }
    )
    assert facts.all("correlation") == ("m-1", "m-2")
    assert (facts.message, facts.type, facts.attempts) == ("m-1", "pay", 2)
    assert facts.origin == Origin("Dramatiq", queue="default")
    assert facts.failure == Failure("Dramatiq", "shop.errors.NoMoney: 7 missing", "shop.errors.NoMoney", TRACEBACK)


def test_sidekiq() -> None:
    facts = body(
        {
            "class": "PayJob",
            "jid": "j-1",
            "queue": "default",
            "retry_count": 4,
            "error_class": "NoMoney",
            "error_message": "7 missing",
            "error_backtrace": ["a.rb:1", "b.rb:2"],
        }
    )
    assert (facts.correlation, facts.type, facts.attempts) == ("j-1", "PayJob", 4)
    assert facts.origin == Origin("Sidekiq", queue="default")
    assert facts.failure is not None
    assert (facts.failure.reason, facts.failure.type) == ("7 missing", "NoMoney")


def test_kurrentdb() -> None:
    ids = {"$correlationId": "flow", "$causationId": "e-0"}
    headers = kafka(*((name, value.encode()) for name, value in ids.items()))
    for facts in (headers, body({"metadata": ids}), body(ids)):
        assert (facts.correlation, facts.causation) == ("flow", "e-0")


def test_sqs() -> None:
    facts = written(
        AWSTraceHeader="Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        ApproximateReceiveCount="3",
        DeadLetterQueueSourceArn="arn:aws:sqs:eu-central-1:123456789012:orders",
    )
    assert (facts.correlation, facts.causation) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
    assert (facts.attempts, facts.origin) == (3, Origin("SQS", queue="orders"))


def test_eventbridge() -> None:
    facts = written(
        {
            "RULE_ARN": "arn:aws:events:eu-central-1:123456789012:rule/orders",
            "TARGET_ARN": "arn:aws:sqs:eu-central-1:123456789012:billing",
            "ERROR_CODE": "NO_PERMISSIONS",
            "ERROR_MESSAGE": "not allowed",
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            "RETRY_ATTEMPTS": "185",
        }
    )
    assert facts.origin == Origin("EventBridge", queue="billing", exchange="rule/orders")
    assert facts.failure == Failure("EventBridge", "not allowed", "NO_PERMISSIONS")
    assert facts.attempts == 185


def test_azure_service_bus() -> None:
    headers: dict[str, Value] = {
        "DeadLetterReason": "MaxDeliveryCountExceeded",
        "DeadLetterErrorDescription": "Message could not be consumed after 10 delivery attempts.",
        "Diagnostic-Id": PARENT,
        "x-opt-deadletter-source": "billing",
    }
    facts = written(headers, correlation_id="flow", delivery_count=10)
    assert facts.all("correlation") == ("flow", TRACE)
    assert (facts.causation, facts.attempts, facts.reason) == (SPAN, 10, "MaxDeliveryCountExceeded")
    assert facts.origin == Origin("Azure Service Bus", queue="billing")


# Names that applications choose, and how facts are read.


@pytest.mark.parametrize(
    "name", ["correlation-id", "correlation_id", "correlationId", "X-Correlation-ID", "CORRELATION-ID"]
)
def test_a_header_that_says_correlation_is_one(name: str) -> None:
    assert kafka((name, b"flow")).correlation == "flow"


@pytest.mark.parametrize(
    "value",
    [
        {"correlationId": "flow"},
        {"correlation_id": "flow"},
        {"traceId": "flow"},
        {"metadata": {"correlationId": "flow"}},
    ],
)
def test_a_body_that_says_correlation_has_one(value: object) -> None:
    assert body(value).correlation == "flow"


@pytest.mark.parametrize("name", ["type", "eventType", "event_type", "event"])
def test_a_header_or_a_body_says_its_type(name: str) -> None:
    assert kafka((name, b"OrderPlaced")).type == "OrderPlaced"
    assert body({name: "OrderPlaced"}).type == "OrderPlaced"


def test_all_that_is_said_is_kept_and_the_most_specific_comes_first() -> None:
    facts = rabbit(
        {
            "x-death": DEATHS,
            "NServiceBus.ConversationId": "conversation",
            "NServiceBus.FailedQ": "failed",
            "traceparent": PARENT,
        },
        b'{"correlationId": "in the body"}',
        correlation_id="property",
    )
    assert facts.all("correlation") == ("conversation", "property", "in the body", TRACE)
    assert facts.origin == Origin("NServiceBus", queue="failed")
    assert facts.all("origin.queue") == ("failed", "billing")
    # Why it failed only RabbitMQ says.
    assert facts.failure is not None and facts.failure.convention == "RabbitMQ dead letter"
    assert Fact("correlation", "property", "AMQP", "property.correlation_id") in facts.found


def test_the_ids_of_an_event_are_all_by_which_it_may_be_asked_for() -> None:
    assert rabbit({"causation-id": "m-0"}, correlation_id="flow", message_id="m-1").ids == ("flow", "m-1", "m-0")


def test_a_common_name_says_nothing_without_the_convention_that_gives_it_meaning() -> None:
    assert kafka(("id", b"7"), ("attempts", b"3"), ("group", b"x"), ("x-exception-message", b"y")) == NOTHING
    assert body({"jobs": 1, "queue": "x", "class": "y", "options": {"retries": 3}}) == NOTHING


def test_a_number_in_a_body_keeps_every_digit() -> None:
    assert kafka(body=b'{"correlationId": 123456789012345678901234567890.10}').correlation == (
        "123456789012345678901234567890.10"
    )


def test_a_body_with_not_a_number_is_looked_into() -> None:
    facts = kafka(body=b'{"correlationId": "flow", "price": NaN, "metadata": {"correlationId": 18446744073709551617}}')
    assert facts.all("correlation") == ("flow", "18446744073709551617")


def test_a_body_behind_a_schema_registrys_frame_is_looked_into() -> None:
    assert kafka(body=b'\0\0\0\0\x2a{"correlationId": "flow"}').correlation == "flow"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"[1]", b'{"correlationId"', b"null", b'"x"', b"[" * 100_000])
def test_a_body_that_is_no_object_says_nothing(value: bytes) -> None:
    assert kafka(body=value) == NOTHING


@pytest.mark.parametrize("value", [None, {}, [], "", True])
def test_a_value_that_is_no_id_says_nothing(value: object) -> None:
    assert body({"correlationId": value}).correlation in (None, "true")


def test_bytes_that_are_no_text_are_shown_in_hex() -> None:
    assert kafka(("correlation_id", b"\xff\x00")).correlation == "0xff00"


def test_properties_that_cannot_be_decoded_say_nothing() -> None:
    event = Event(b"", b'{"correlationId": "flow"}', Wire("amqp-0-9-1", b"\x20\x00\xff"))
    assert Conventions.load([]).facts(Delivery(event, Address("rabbit", "q"), 0)).correlation == "flow"


def test_attempts_that_are_no_number_are_none() -> None:
    assert rabbit({"retry-count": "many", "x-original-exchange": "x"}).attempts is None


def test_no_hostile_event_has_more_facts_than_can_be_held() -> None:
    for name, delivery in deliveries():
        facts = Conventions.load([]).facts(delivery)
        assert len(facts.found) <= 1100, name
        assert all(isinstance(fact.value, str) for fact in facts.found), name
        assert facts.origin is None or facts.origin.convention, name


@given(
    st.binary(max_size=200), st.dictionaries(st.sampled_from(["traceparent", "kafka_correlationId", "x"]), st.binary())
)
def test_no_bytes_are_too_odd_to_be_read(raw: bytes, headers: dict[str, bytes]) -> None:
    facts = kafka(*headers.items(), body=raw)
    assert all(fact.value for fact in facts.found)


# Conventions of users.

OURS: dict[str, Any] = {
    "name": "ours",
    "correlation": "header.x-flow",
    "type": {"at": "header.x-what", "match": "([a-z]+)/"},
    "origin": {"queue": "body.from.queue"},
}


def own(table: dict[str, Any], event: Event) -> Facts:
    return Conventions.load([table]).facts(Delivery(event, Address("kafka", "t"), 0))


def test_a_users_convention_comes_before_those_that_ship() -> None:
    headers = Content((("correlation_id", b"theirs"), ("X-Flow", b"ours"), ("x-what", b"placed/1")))
    facts = own(OURS, Event(None, b'{"from": {"queue": "billing"}}', None, headers))
    assert facts.all("correlation") == ("ours", "theirs")
    assert (facts.type, facts.origin) == ("placed", Origin("ours", queue="billing"))


def test_without_conventions_of_a_user_those_that_ship_are_read_once() -> None:
    shipped = Conventions.load([])
    assert Conventions.load([]) is shipped
    assert shipped.names[-1] == "trace id"


def test_a_convention_can_wait_for_a_header_that_begins_in_some_way() -> None:
    table = {"name": "ours", "when": [{"at": "header.app", "starts": "Shop"}], "message": "header.id"}
    assert own(table, Event(None, None, None, Content((("app", b"shop-7"), ("id", b"m-1"))))).message == "m-1"
    assert own(table, Event(None, None, None, Content((("app", b"bank"), ("id", b"m-1"))))).message is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"correlation": "header.x"}, "has no name"),
        ({"name": "ours", "corelation": "header.x"}, "'corelation', which means nothing"),
        ({"name": "ours", "origin": {"quene": "header.x"}}, "'origin.quene', which means nothing"),
        ({"name": "ours", "correlation": "headers.x"}, "'headers.x', which is no place"),
        ({"name": "ours", "correlation": {"att": "header.x"}}, "is neither a place nor a table"),
        ({"name": "ours", "correlation": {"at": "header.x", "as": "int"}}, "is neither a place nor a table"),
        ({"name": "ours", "correlation": 7}, "is neither a place nor a table"),
        ({"name": "ours", "correlation": {"at": "header.x", "match": "("}}, "is no regular expression"),
        ({"name": "ours", "correlation": {"at": "header.x", "match": "x"}}, "without a group"),
        ({"name": "ours", "correlation": {"at": "header.x", "starts": "x"}}, "only when can have"),
        ({"name": "ours", "when": ["body.x*"], "message": "header.x"}, "only a header's name"),
        ({"name": "ours", "newest": "middle"}, "write first or last"),
        ({"name": "ours", "correlation": {"at": "header.x", "path": "a..b"}}, "a step without a name"),
        ({"name": "ours", "correlation": "body.a."}, "'correlation' has a step without a name"),
        ({"name": "ours", "correlation": {"at": "header.x", "path": "ids[0]"}}, "write items.0.id"),
        ({"name": "ours", "correlation": {"at": "header.x", "path": "-0"}}, "from -1 at the end"),
        ({"name": "ours", "correlation": {"at": "header.x", "path": 1.5}}, "is neither a place nor a table"),
    ],
)
def test_a_convention_that_cannot_be_used_is_refused_in_one_sentence(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")) as refused:
        Conventions.load([table])
    assert "\n" not in str(refused.value)


CHAIN: list[Any] = ["a.1", "b.2", {"id": "c.3"}]


@pytest.mark.parametrize(
    ("at", "path", "said"),
    [
        ("header.ids", "0", "a.1"),
        ("header.ids", "-1.id", "c.3"),
        ("header.ids", -2, "b.2"),
        ("header.ids", "2.id", "c.3"),
        ("header.ids", "3", None),
        ("header.ids", "-4", None),
        ("header.ids", "first", None),
        ("body.meta.ids", "-2", "b.2"),
        ("body.meta.ids.-1.id", "", "c.3"),
        ("body.text", "-2", "b.2"),
    ],
)
def test_a_path_leads_to_an_item_of_a_list_from_its_beginning_or_its_end(
    at: str, path: str | int, said: str | None
) -> None:
    chain = json.dumps(CHAIN)
    raw = json.dumps({"meta": {"ids": CHAIN}, "text": chain}).encode()
    table = {"name": "ours", "causation": {"at": at, "path": path}}
    written = [Content((("ids", value),)) for value in (CHAIN, tuple(CHAIN), chain, chain.encode())]
    for content in written:
        assert own(table, Event(None, raw, None, content)).causation == said
    wire = encode(Content((("ids", CHAIN),)))
    assert own(table, Event(b"", raw, wire)).causation == said


def test_a_body_that_is_a_list_has_items() -> None:
    table = {"name": "ours", "correlation": "body.-1.root", "message": {"at": "body.0"}}
    for raw in (
        json.dumps(["m-1", {"x": 1}, {"root": "flow"}]).encode(),
        msgspec.msgpack.encode(["m-1", {"root": "flow"}]),
    ):
        headers = Content((("content-type", b"application/msgpack" if raw[0] != 0x5B else b"application/json"),))
        facts = own(table, Event(None, raw, None, headers))
        assert (facts.correlation, facts.message) == ("flow", "m-1")
    assert own(table, Event(None, b"[]", None)) == NOTHING


@pytest.mark.parametrize("text", ["[", "[" * 100_000, '{"a":', "[1,2", "nothing", "", "[]", '"x"'])
def test_a_text_that_is_no_json_has_nothing_inside(text: str) -> None:
    table = {"name": "ours", "causation": {"at": "header.ids", "path": "-1"}}
    assert own(table, Event(None, None, None, Content((("ids", text.encode()),)))) == NOTHING


STACK = (
    "org.springframework.Wrapped: Listener failed\n\tat a.A(A.java:1)\nCaused by: a.B: y\n\tat b\n"
    "Caused by: java.net.ConnectException: Connection refused: db:5432\n\tat c\n\t... 3 more\n"
)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Listener failed", "Connection refused: db:5432"),
        ("Listener method 'void a.B.on(java.lang.String)' threw exception", "Connection refused: db:5432"),
        ("Unexpected error.", "Connection refused: db:5432"),
        ("the account is closed", "the account is closed"),
        ("Connection error", "Connection error"),
    ],
)
def test_where_a_sentence_says_nothing_the_deepest_cause_is_the_reason(sentence: str, reason: str) -> None:
    facts = kafka(("kafka_dlt-exception-message", sentence), ("kafka_dlt-exception-stacktrace", STACK))
    assert facts.reason == reason
    assert facts.all("failure.reason") == (sentence, "Connection refused: db:5432")


def test_a_cause_without_a_sentence_is_its_type_and_dotnet_has_causes_too() -> None:
    java = "a.B: error\nCaused by: java.lang.NullPointerException\n\tat b\n"
    assert kafka(("kafka_dlt-exception-message", "error"), ("kafka_dlt-exception-stacktrace", java)).reason == (
        "java.lang.NullPointerException"
    )
    dotnet = "System.Exception: An error occurred. ---> Acme.Late: The carrier is late.\r\n   at Acme.Ship()\r\n"
    facts = rabbit({"MT-Fault-Message": "An error occurred.", "MT-Fault-StackTrace": dotnet, "MT-Reason": "fault"})
    assert "The carrier is late" in facts.all("failure.reason")


def test_a_stack_of_a_megabyte_is_read_at_its_ends() -> None:
    stack = "a.B: error\nCaused by: a.C: early\n" + "\tat x\n" * 200_000 + "Caused by: a.D: late\n"
    facts = kafka(("kafka_dlt-exception-message", "error"), ("kafka_dlt-exception-stacktrace", stack))
    assert facts.reason == "late"
