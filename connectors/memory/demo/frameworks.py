"""Events as frameworks write them: the names are theirs, as `workbench/facts/conventions.toml` tells where from."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from struct import pack
from typing import Any, Final

import msgspec

from connectors.memory.demo.messages import read
from connectors.memory.demo.story import Failure
from connectors.memory.headers import with_headers
from workbench.model.content import Content, Headers, Value
from workbench.model.event import Event

_JSON: Final = "application/json"
_MASSTRANSIT: Final = "application/vnd.masstransit+json"


class Cause(msgspec.Struct, frozen=True):
    """What an event comes from.

    Attributes:
        correlation: What all events of one order share.
        message: The id of the event that caused this one; None: nothing did.
    """

    correlation: str
    message: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    message_id: str
    conversation_id: str
    message: msgspec.Raw


# As published.


def spring_amqp(type: str, key: str, body: object, id: str, cause: Cause, now: int) -> Event:
    """A message of Spring AMQP with its JSON converter, whose class mapper is told to write short names."""
    headers: Headers = (("__TypeId__", type),)
    if cause.message is not None:
        headers = (*headers, ("causation-id", cause.message))
    properties: Mapping[str, Value] = {
        "content_type": _JSON,
        "content_encoding": "UTF-8",
        "delivery_mode": 2,
        "priority": 0,
        "correlation_id": cause.correlation,
        "message_id": id,
    }
    return Event(key.encode(), msgspec.json.encode(body), None, Content(headers, properties), now)


def masstransit(type: str, body: object, id: str, cause: Cause, now: int) -> Event:
    """A message of MassTransit: all there is to know is in the envelope."""
    envelope = {
        "messageId": id,
        "conversationId": cause.correlation,
        "correlationId": cause.correlation,
        "initiatorId": cause.message,
        "sourceAddress": "rabbitmq://rabbit/orders?durable=true",
        "destinationAddress": f"rabbitmq://rabbit/{type}",
        "messageType": [f"urn:message:{type}"],
        "message": body,
        "sentTime": _iso(now),
        "host": {"machineName": "orders-7d9f", "assembly": "Acme.Orders", "massTransitVersion": "8.2.5.0"},
    }
    headers = (("MT-Activity-Id", f"00-{cause.correlation.replace('-', '')}-{id[-12:]}0000-01"),)
    properties: Mapping[str, Value] = {"content_type": _MASSTRANSIT, "delivery_mode": 2, "message_id": id}
    return Event(b"", msgspec.json.encode(envelope), None, Content(headers, properties), now)


def nservicebus(type: str, queue: str, body: object, id: str, cause: Cause, now: int) -> Event:
    """A command of NServiceBus."""
    headers = (
        ("NServiceBus.MessageId", id),
        ("NServiceBus.MessageIntent", "Send"),
        ("NServiceBus.ConversationId", cause.correlation),
        ("NServiceBus.CorrelationId", cause.message or id),
        ("NServiceBus.RelatedTo", cause.message or id),
        ("NServiceBus.OriginatingEndpoint", "Acme.Orders"),
        ("NServiceBus.ContentType", _JSON),
        ("NServiceBus.EnclosedMessageTypes", f"{type}, Acme.Billing.Messages, Version=1.0.0.0"),
        ("NServiceBus.TimeSent", _iso(now)),
    )
    properties: Mapping[str, Value] = {
        "content_type": _JSON,
        "delivery_mode": 2,
        "message_id": id,
        "correlation_id": cause.message or id,
        "type": type,
    }
    return Event(queue.encode(), msgspec.json.encode(body), None, Content(headers, properties), now)


def celery(task: str, args: Sequence[int | str], id: str, cause: Cause, now: int, retries: int = 0) -> Event:
    """A task of Celery, whose workflow is the order's."""
    headers = (
        ("lang", "py"),
        ("task", task),
        ("id", id),
        ("root_id", cause.correlation),
        ("parent_id", cause.message),
        ("group", None),
        ("retries", retries),
        ("timelimit", [None, None]),
        ("argsrepr", repr(tuple(args))),
        ("kwargsrepr", "{}"),
        ("origin", "gen11@orders-7d9f"),
    )
    properties: Mapping[str, Value] = {
        "content_type": _JSON,
        "content_encoding": "utf-8",
        "delivery_mode": 2,
        "priority": 0,
        "correlation_id": id,
        "reply_to": "8f2f1a52-9d0a-3e0e-8f9d-1f0f2d0c6a11",
    }
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return Event(b"email", msgspec.json.encode([args, {}, embedded]), None, Content(headers, properties), now)


def cloudevent(type: str, source: str, key: str, body: object, id: str, cause: Cause, now: int) -> Event:
    """A CloudEvent in a Kafka record, in binary mode."""
    headers = (
        ("ce_specversion", "1.0"),
        ("ce_id", id),
        ("ce_source", source),
        ("ce_type", type),
        ("ce_time", _iso(now)),
        ("ce_correlationid", cause.correlation),
        *((("ce_causationid", cause.message),) if cause.message else ()),
        ("content-type", _JSON),
    )
    return Event(key.encode(), msgspec.json.encode(body), None, Content(headers), now)


def spring_kafka(type: str, key: str, body: object, id: str, cause: Cause, now: int) -> Event:
    """A record of Spring Kafka with its JSON serializer; the ids are the shop's own."""
    return Event(key.encode(), msgspec.json.encode(body), None, Content(_spring_headers(type, id, cause)), now)


def registry_record(type: str, key: str, schema: int, body: bytes | None, id: str, cause: Cause, now: int) -> Event:
    """A record in a schema registry's frame: a zero, four bytes of schema id, Avro. Without a body: a tombstone."""
    framed = None if body is None else pack(">bI", 0, schema) + body
    return Event(key.encode(), framed, None, Content(_spring_headers(type, id, cause)), now)


def _spring_headers(type: str, id: str, cause: Cause) -> Headers:
    return (
        ("__TypeId__", type),
        ("message-id", id),
        ("correlation-id", cause.correlation),
        *((("causation-id", cause.message),) if cause.message else ()),
    )


# As read.


def cause_in(event: Event, new_id: Callable[[], str]) -> Cause:
    """What an event that one of these frameworks wrote causes: the same correlation, and its own id.

    Args:
        event: Perhaps written by somebody else.
        new_id: Gives the correlation where it has none.
    """
    found: dict[str, Any] = {**event.properties, **dict(event.headers)}

    def first(*names: str) -> str | None:
        for name in names:
            if name in found:
                value = found[name]
                return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        return None

    correlation = first("NServiceBus.ConversationId", "root_id", "ce_correlationid", "correlation-id", "correlation_id")
    message = first("NServiceBus.MessageId", "id", "ce_id", "message-id", "message_id")
    return Cause(correlation or new_id(), message)


def unwrap(body: bytes | None) -> tuple[msgspec.Raw, Cause]:
    """What is in MassTransit's envelope, and what it causes.

    Raises:
        msgspec.DecodeError: It is no envelope.
    """
    envelope = read(body, _Envelope)
    return envelope.message, Cause(envelope.conversation_id, envelope.message_id)


# As given up.


def recovered_by_spring(event: Event, failure: Failure, exchange: str) -> Event:
    """As Spring AMQP's RepublishMessageRecoverer writes it; the first line of the trace is the container's."""
    trace = (
        "org.springframework.amqp.rabbit.support.ListenerExecutionFailedException: Listener method threw exception\n"
        f"Caused by: {failure.trace}"
    )
    return with_headers(
        event,
        {
            "x-exception-stacktrace": trace,
            "x-exception-message": failure.message,
            "x-original-exchange": exchange,
            "x-original-routingKey": (event.key or b"").decode(errors="replace"),
        },
    )


def faulted_by_masstransit(event: Event, failure: Failure, queue: str, retries: int, now: int) -> Event:
    """As MassTransit moves it to its error queue."""
    return with_headers(
        event,
        {
            "MT-Reason": "fault",
            "MT-Fault-ExceptionType": failure.type,
            "MT-Fault-Message": failure.message,
            "MT-Fault-StackTrace": failure.stack,
            "MT-Fault-Timestamp": _iso(now),
            "MT-Fault-InputAddress": f"rabbitmq://rabbit/{queue}?durable=true",
            "MT-Fault-RetryCount": retries,
            "MT-Fault-ConsumerType": "Acme.Shipping.ShipOrderConsumer",
            "MT-Host-MachineName": "shipping-5c8b",
        },
    )


def failed_in_nservicebus(event: Event, failure: Failure, queue: str, now: int) -> Event:
    """As NServiceBus sends it to its error queue when its immediate and delayed retries are used up."""
    return with_headers(
        event,
        {
            "NServiceBus.FLRetries": "5",
            "NServiceBus.Retries": "3",
            "NServiceBus.FailedQ": queue,
            "NServiceBus.ExceptionInfo.ExceptionType": failure.type,
            "NServiceBus.ExceptionInfo.Message": failure.message,
            "NServiceBus.ExceptionInfo.StackTrace": failure.trace,
            "NServiceBus.TimeOfFailure": f"{_time(now):%Y-%m-%d %H:%M:%S:%f} Z",
        },
    )


def dead_in_spring_kafka(event: Event, failure: Failure, topic: str, partition: int, offset: int, group: str) -> Event:
    """As Spring Kafka's DeadLetterPublishingRecoverer writes it: numbers are big-endian bytes."""
    wrapper = "org.springframework.kafka.listener.ListenerExecutionFailedException"
    return with_headers(
        event,
        {
            "kafka_dlt-original-topic": topic,
            "kafka_dlt-original-partition": pack(">i", partition),
            "kafka_dlt-original-offset": pack(">q", offset),
            "kafka_dlt-original-timestamp": pack(">q", event.timestamp or -1),
            "kafka_dlt-original-timestamp-type": "CreateTime",
            "kafka_dlt-original-consumer-group": group,
            "kafka_dlt-exception-fqcn": wrapper,
            "kafka_dlt-exception-cause-fqcn": failure.type,
            "kafka_dlt-exception-message": f"Listener failed; {failure.message}",
            "kafka_dlt-exception-stacktrace": f"{wrapper}: Listener failed\nCaused by: {failure.trace}",
        },
    )


def dead_in_connect(event: Event, failure: Failure, topic: str, partition: int, offset: int) -> Event:
    """As Kafka Connect reports it to its dead letter queue: text throughout."""
    about = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "connector.name": "search-sink",
        "task.id": "0",
        "stage": "VALUE_CONVERTER",
        "class.name": "io.confluent.connect.avro.AvroConverter",
        "exception.class.name": failure.type,
        "exception.message": failure.message,
        "exception.stacktrace": failure.trace,
    }
    return with_headers(event, {f"__connect.errors.{name}": text for name, text in about.items()})


def dead_in_streams(event: Event, failure: Failure, topic: str, partition: int, offset: int) -> Event:
    """As Kafka Streams' handler writes it (KIP-1034)."""
    about = {
        "exception": f"{failure.type}: {failure.message}",
        "message": failure.message,
        "stacktrace": failure.trace,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
    }
    return with_headers(event, {f"__streams.errors.{name}": text for name, text in about.items()})


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _iso(milliseconds: int) -> str:
    return _time(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
