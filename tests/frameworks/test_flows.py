"""Facts from whole flows as frameworks write them, on real brokers: who caused what, without any configuration."""

import uuid
from collections.abc import Sequence

from tests.brokers.kafka import KafkaAddress
from tests.brokers.rabbitmq import RabbitMQAddress
from tests.e2e.command import run
from tests.frameworks import flows
from workbench.decode import ndjson
from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.model.event import Delivery

NAMEKO = {
    "name": "nameko",
    "correlation": {"at": "header.nameko.call_id_stack", "path": "0"},
    "causation": {"at": "header.nameko.call_id_stack", "path": "-2"},
    "message": {"at": "header.nameko.call_id_stack", "path": "-1"},
}


def facts_of(deliveries: Sequence[Delivery], conventions: Conventions | None = None) -> list[Facts]:
    return [(conventions or Conventions.builtin()).facts(each) for each in deliveries]


def by_type(found: Sequence[Facts]) -> dict[str, Facts]:
    return {facts.type: facts for facts in found if facts.type is not None}


def test_tasks_of_celery_that_call_one_another_are_one_flow(rabbitmq_4: RabbitMQAddress) -> None:
    with flows.traced_vhost(rabbitmq_4) as traced:
        flows.celery(traced.url)
        found = by_type(facts_of(traced.published()))
    place, charge = found["orders.place"], found["payments.charge"]
    assert (place.correlation, place.message, place.causation) == ("flow-celery", "flow-celery", None)
    assert (charge.correlation, charge.causation) == ("flow-celery", "flow-celery")
    assert charge.message not in (None, "flow-celery")


def test_calls_and_events_of_moleculer_are_one_flow_on_rabbitmq(rabbitmq_4: RabbitMQAddress) -> None:
    with flows.traced_vhost(rabbitmq_4) as traced:
        flows.moleculer(traced.url, "shop")
        found = by_type(facts_of(traced.published()))
    charge, charged = found["payments.charge"], found["payment.charged"]
    assert charge.correlation == charged.correlation == "flow-shop"
    assert charged.causation == charge.message is not None
    assert charge.causation is not None


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


def test_a_framework_that_is_not_known_is_read_by_a_convention_of_four_lines(rabbitmq_4: RabbitMQAddress) -> None:
    with flows.traced_vhost(rabbitmq_4) as traced:
        flows.nameko(traced.url)
        published = traced.published()
    assert [facts.causation for facts in facts_of(published)] == [None] * 4
    found = facts_of(published, Conventions.load([NAMEKO]))
    place, charge, charged, placed = found
    assert place.correlation == charge.correlation is not None
    assert charge.causation == place.message is not None
    assert charge.message is not None and charge.message != place.message
    # Replies carry the AMQP property of their requests.
    assert charged.correlation in charge.ids
    assert placed.correlation in place.ids
