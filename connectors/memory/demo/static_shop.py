"""`demo://shop`: a shop that has traded and stands still: one broker with queues and topics, the same each time."""

import json
import random
from collections.abc import Mapping

from connectors.memory.broker import Broker
from connectors.memory.queues import QueueSettings
from workbench.model.content import Content
from workbench.model.event import Event

ORDERS = 40
"""Orders placed before the doors open; every seventh payment is declined."""


def open_shop(broker: Broker) -> None:
    """Declare the shop's queues and topics on an empty broker, and trade: the same events each time, ending now."""
    broker.declare_exchange("orders", "topic")
    broker.declare_exchange("orders.dlx", "fanout")
    broker.declare_queue("orders.dead")
    broker.declare_queue("orders.payments", QueueSettings("quorum queue", dead_letter_exchange="orders.dlx"))
    broker.declare_queue("orders.mail")
    broker.bind("orders", "orders.payments", "order.placed")
    broker.bind("orders", "orders.mail", "order.#")
    broker.bind("orders.dlx", "orders.dead")
    broker.declare_topic("payments", 3)
    broker.declare_topic("payments-dlt", 1)
    chance = random.Random(7)
    at = broker.clock() - ORDERS * 2_000
    for number in range(1001, 1001 + ORDERS):
        at += chance.randrange(400, 2_600)
        _trade(broker, number, chance, at)
    broker.commit("ledger", "payments", 0, 5)


def _trade(broker: Broker, number: int, chance: random.Random, at: int) -> None:
    correlation = f"{chance.getrandbits(64):016x}"
    total = round(chance.uniform(5, 300), 2)
    order = {"type": "OrderPlaced", "id": number, "customer": f"c-{chance.randrange(400, 440)}", "total": total}
    properties = {"correlation_id": correlation, "content_type": "application/json", "type": "OrderPlaced"}
    placed = Event(b"order.placed", _body(order), written=Content((("tenant", "north"),), properties), timestamp=at)
    broker.publish("orders", placed)
    till = broker.consume("orders.payments")
    taken = till.take()
    declined = number % 7 == 0
    if declined:
        till.reject(taken)
    else:
        till.acknowledge(taken)
    till.close()
    payment = {"type": "PaymentFailed" if declined else "PaymentSettled", "id": number, "total": total}
    headers = (("correlation-id", correlation),)
    if declined:
        payment["reason"] = "card declined"
        failure = (
            *headers,
            ("kafka_dlt-exception-message", "card declined"),
            ("kafka_dlt-original-topic", "payments"),
        )
        letter = Event(str(number).encode(), _body(payment), written=Content(failure), timestamp=at + 201)
        broker.append("payments-dlt", letter)
    settled = Event(str(number).encode(), _body(payment), written=Content(headers), timestamp=at + 180)
    broker.append("payments", settled)


def _body(record: Mapping[str, object]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()
