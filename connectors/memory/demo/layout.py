"""What the shop's two brokers have: queues, exchanges and a stream; topics and consumer groups."""

from typing import Final

from connectors.memory.broker import Broker
from connectors.memory.queues import QueueSettings
from workbench.model.groups import Member
from workbench.model.route import ExchangeType

KEPT: Final = 2_000
"""Events that a queue or a partition keeps at most, so that a shop that is left open does not grow for ever."""

CONTRACT: Final = "Acme.Shop.Contracts:ShipOrder"
"""MassTransit names an exchange after the type of message that it takes."""
RETURNS: Final = "returns-and-refunds.customer-initiated.v2.warehouse-north-07.pending-inspection"
MUNICH: Final = "lager.münchen.eingänge"

EXCHANGES: Final[tuple[tuple[str, ExchangeType], ...]] = (
    ("orders", "topic"),
    ("orders.dlx", "fanout"),
    ("payments", "direct"),
    ("payments.dlx", "fanout"),
    (CONTRACT, "fanout"),
    ("celery", "direct"),
)

QUEUES: Final[tuple[tuple[str, QueueSettings], ...]] = (
    ("orders", QueueSettings("quorum queue", max_length=KEPT, dead_letter_exchange="orders.dlx")),
    ("orders.dead", QueueSettings(max_length=KEPT)),
    ("reservations", QueueSettings(message_ttl=45_000, max_length=KEPT, dead_letter_exchange="orders.dlx")),
    ("payments", QueueSettings("quorum queue", max_length=KEPT, dead_letter_exchange="payments.dlx")),
    ("payments.dead", QueueSettings(max_length=KEPT)),
    ("shipping", QueueSettings(max_length=KEPT, dead_letter_exchange="", dead_letter_routing_key="shipping_error")),
    ("shipping_error", QueueSettings(max_length=KEPT)),
    (
        "billing",
        QueueSettings("quorum queue", max_length=KEPT, dead_letter_exchange="", dead_letter_routing_key="error"),
    ),
    ("error", QueueSettings(max_length=KEPT)),
    ("email", QueueSettings(max_length=KEPT, dead_letter_exchange="", dead_letter_routing_key="email.dead")),
    (
        "email.retry",
        QueueSettings(message_ttl=20_000, max_length=KEPT, dead_letter_exchange="", dead_letter_routing_key="email"),
    ),
    ("email.dead", QueueSettings(max_length=KEPT)),
    ("analytics", QueueSettings(max_length=KEPT)),
    ("deployments", QueueSettings(max_length=KEPT)),
    (RETURNS, QueueSettings(max_length=KEPT)),
    (MUNICH, QueueSettings(max_length=KEPT)),
)

BINDINGS: Final = (
    ("orders", "orders", "order.placed"),
    ("orders", "analytics", "order.#"),
    ("orders.dlx", "orders.dead", ""),
    ("payments", "payments", "payment.requested"),
    ("payments.dlx", "payments.dead", ""),
    (CONTRACT, "shipping", ""),
    ("celery", "email", "email"),
)

AUDIT: Final = "audit"
"""A stream: what the exchange of orders takes, for good."""

TOPICS: Final[tuple[tuple[str, int, tuple[str, ...]], ...]] = (
    ("payments", 3, ()),
    ("payments-dlt", 1, ("payments",)),
    ("orders-events", 6, ()),
    ("inventory", 3, ()),
    ("inventory-dlq", 1, ("inventory",)),
    ("fraud-dlq", 1, ("payments",)),
    ("clickstream", 4, ()),
    ("catalogue", 1, ()),
)
"""Name, partitions, and whose dead letters come here."""

GROUPS: Final[tuple[tuple[str, str, int], ...]] = (
    ("orders", "payments", 1),
    ("ledger", "payments", 2),
    ("fraud-scoring", "payments", 1),
    ("connect-search-sink", "inventory", 1),
    ("warehouse", "orders-events", 3),
    ("nightly-report", "orders-events", 0),
)
"""Consumer group, its topic, and how many are in it."""


def declare(rabbit: Broker, kafka: Broker) -> None:
    """Declare everything on two empty brokers."""
    for exchange, kind in EXCHANGES:
        rabbit.declare_exchange(exchange, kind)
    for queue, settings in QUEUES:
        rabbit.declare_queue(queue, settings)
    for exchange, queue, key in BINDINGS:
        rabbit.bind(exchange, queue, key)
    rabbit.declare_topic(AUDIT, 1, KEPT, "stream")
    for topic, partitions, dead_letters_of in TOPICS:
        kafka.declare_topic(topic, partitions, KEPT).dead_letters_of = dead_letters_of
    for group, topic, size in GROUPS:
        for number in range(len(kafka.topics[topic].partitions)):
            kafka.commit(group, topic, number, 0)
        kafka.members[group] = tuple(
            Member(f"{group}-{number}-6c1f9a2e", f"{group}-{number}", f"/10.0.4.{20 + number}")
            for number in range(size)
        )
