"""Facts from whole flows as frameworks write them, on real brokers: who caused what, without any configuration."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pika
import pytest
import tomli

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import managed, run
from tests.frameworks import flows
from workbench.decode import ndjson
from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.model.event import Delivery

CONVENTION = """
[[conventions]]
name = "nameko"
correlation = { at = "header.nameko.call_id_stack", path = "0" }
causation = { at = "header.nameko.call_id_stack", path = "-2" }
message = { at = "header.nameko.call_id_stack", path = "-1" }
"""


def facts_of(deliveries: Sequence[Delivery], conventions: Conventions | None = None) -> list[Facts]:
    return [(conventions or Conventions.load([])).facts(each) for each in deliveries]


def traced(id: str, *arguments: str) -> list[dict[str, Any]]:
    """The records of `workbench trace`, with all types of the flow found."""
    done = run("workbench", "trace", id, *arguments, "--json")
    assert done.code == 0, done.err
    return done.records


def causes(steps: Sequence[dict[str, Any]]) -> dict[str, str | None]:
    """What caused each typed step, as the trace has it."""
    types = {step["step"]: step["type"] for step in steps}
    return {step["type"]: types.get(step["cause"]) for step in steps if step["type"]}


def by_type(found: Sequence[Facts]) -> dict[str, Facts]:
    return {facts.type: facts for facts in found if facts.type is not None}


@pytest.fixture
def queue(rabbitmq_4: RabbitMQAddress) -> Iterator[str]:
    """A queue in which what was published is kept."""
    name = f"flows-{uuid.uuid4().hex[:8]}"
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        connection.channel().queue_declare(name, durable=True)
    yield name
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_4.url)) as connection:
        connection.channel().queue_delete(name)


def keep(broker: RabbitMQAddress, queue: str, published: Sequence[Delivery]) -> tuple[str, ...]:
    """Publish again into a queue what frameworks published; the arguments that lead there."""
    arguments = ("-c", f"r={managed(broker)}", queue)
    lines = b"".join(ndjson.encode(each.event) for each in published)
    done = run("workbench", "publish", *arguments, "--file", "-", stdin=lines)
    assert done.code == 0, done.err
    return arguments


def test_tasks_of_celery_that_call_one_another_are_one_flow(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    with flows.traced_vhost(rabbitmq_4) as vhost:
        flows.celery(vhost.url)
        published = vhost.published()
    found = by_type(facts_of(published))
    place, charge = found["orders.place"], found["payments.charge"]
    assert (place.correlation, place.message, place.causation) == ("flow-celery", "flow-celery", None)
    assert (charge.correlation, charge.causation) == ("flow-celery", "flow-celery")
    assert charge.message not in (None, "flow-celery")
    steps = traced("flow-celery", *keep(rabbitmq_4, queue, published), "--look")
    assert causes(steps) == {"orders.place": None, "payments.charge": "orders.place"}


def test_calls_and_events_of_moleculer_are_one_flow_on_rabbitmq(rabbitmq_4: RabbitMQAddress, queue: str) -> None:
    with flows.traced_vhost(rabbitmq_4) as vhost:
        flows.moleculer(vhost.url, "shop")
        published = vhost.published()
    found = by_type(facts_of(published))
    charge, charged = found["payments.charge"], found["payment.charged"]
    assert charge.correlation == charged.correlation == "flow-shop"
    assert charged.causation == charge.message is not None
    assert charge.causation is not None
    steps = traced("flow-shop", *keep(rabbitmq_4, queue, published), "--look")
    assert causes(steps) == {"payments.charge": None, "payment.charged": "payments.charge"}


def test_calls_and_events_of_moleculer_are_one_flow_on_kafka(kafka: KafkaAddress) -> None:
    namespace = uuid.uuid4().hex[:8]
    flows.moleculer(kafka.url, namespace)
    topics = [f"MOL-{namespace}.REQ.billing", f"MOL-{namespace}.EVENT.stock"]
    done = run("workbench", "browse", "-c", f"k={kafka.url}", *topics, "--from", "beginning", "--json")
    lines = [ndjson.decode(line.encode()).delivery for line in done.out.splitlines()]
    found = by_type(facts_of([line for line in lines if line is not None]))
    charge, charged = found["payments.charge"], found["payment.charged"]
    assert charge.correlation == charged.correlation == f"flow-{namespace}"
    assert charged.causation == charge.message is not None
    steps = traced(f"flow-{namespace}", "-c", f"k={kafka.url}", *topics)
    assert causes(steps) == {"payments.charge": None, "payment.charged": "payments.charge"}


def test_a_framework_that_is_not_known_is_read_by_a_convention_of_four_lines(
    rabbitmq_4: RabbitMQAddress, queue: str, tmp_path: Path
) -> None:
    with flows.traced_vhost(rabbitmq_4) as vhost:
        flows.nameko(vhost.url)
        published = vhost.published()
    assert [facts.causation for facts in facts_of(published)] == [None] * 4
    found = facts_of(published, Conventions.load(tomli.loads(CONVENTION)["conventions"]))
    place, charge, charged, placed = found
    assert place.correlation == charge.correlation is not None
    assert charge.causation == place.message is not None
    assert charge.message is not None and charge.message != place.message
    # Replies carry the AMQP property of their requests.
    assert charged.correlation in charge.ids
    assert placed.correlation in place.ids
    config = tmp_path / "workbench.toml"
    config.write_text(CONVENTION)
    assert place.correlation is not None
    steps = traced(place.correlation, "--config", str(config), *keep(rabbitmq_4, queue, published), "--look")
    # Both calls and both replies; a call is known to be caused by the one before it.
    assert len(steps) == 4
    assert [step["link"] for step in steps if step["known"]] == ["causation"]
