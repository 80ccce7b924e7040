"""A sending while it goes on, and who receives what is sent."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint, Family
from workbench.model.errors import PublishRejected
from workbench.model.event import Event
from workbench.model.groups import Group, GroupPartition
from workbench.model.receipt import Receipt
from workbench.model.route import Route
from workbench.operations.drafts.audience import audience
from workbench.operations.sending import LISTED, Sending

QUEUE, TOPIC, EXCHANGE = Address("r", "orders"), Address("k", "payments"), Address("r", "placed", "exchange")


async def batches(*sizes: int) -> AsyncIterator[Sequence[Event]]:
    for size in sizes:
        yield [Event()] * size


async def test_each_receipt_says_how_long_its_event_took() -> None:
    sending = Sending(QUEUE, 5, (Address("r", "audit"),))
    async for _ in sending.note(batches(2, 3)):
        pass
    sending.add_receipts([Receipt(number) for number in (0, 4)])
    one, other = sending.take_received()
    assert one.took is not None and other.took is not None and one.took >= other.took >= 0
    assert (one.address, one.found_at) == (QUEUE, Address("r", "audit"))
    assert sending.take_received() == []
    assert (sending.done, sending.summary()) == (2, "2 published to r/orders, 0 refused; stopped, 3 were not sent.")


async def test_refusals_have_room_among_many_receipts() -> None:
    sending = Sending(QUEUE, 5_000)
    sending.add_receipts([Receipt(number) for number in range(4_999)])
    sending.add_receipts([Receipt(4_999, error=PublishRejected("no"))])
    received = sending.take_received()
    assert len(received) == LISTED // 2 + 1
    assert str(received[-1].receipt.error) == "no"


def endpoint(address: Address, family: Family, **changes: Any) -> Endpoint:
    abilities = changes.pop("abilities", Ability.PUBLISH | Ability.GROUPS)
    return Endpoint(address, changes.pop("kind", family), family, abilities, **changes)


def group(name: str, *addresses: Address) -> Group:
    partitions = tuple(GroupPartition(each, "0", "0", "0", 0, None, None) for each in addresses)
    return Group(name, "stable", (), partitions)


@pytest.mark.parametrize(
    ("target", "route", "kind", "sentence"),
    [
        (endpoint(QUEUE, "queue", consumers=2), None, "good", "2 consumers of this queue can get it"),
        (endpoint(QUEUE, "queue", consumers=0), None, "warn", "queue: no consumer reads it now, so it waits"),
        (endpoint(TOPIC, "log", partitions=3), None, "good", "3 partitions, read by ledger, audit"),
        (endpoint(QUEUE, "log", kind="stream"), None, "warn", "stream, no consumer group reads it"),
        (endpoint(EXCHANGE, "routes"), Route((QUEUE,)), "good", "1 queue gets it: orders"),
        (
            endpoint(EXCHANGE, "routes"),
            Route(tuple(Address("r", str(number)) for number in range(6))),
            "good",
            "6 queues get it: 0, 1, 2, 3 and 2 more",
        ),
        (endpoint(EXCHANGE, "routes"), Route(), "wrong", "no queue for key k"),
        (endpoint(EXCHANGE, "routes"), Route((), ("It may.",)), "warn", "no queue for key k; It may"),
        (endpoint(QUEUE, "queue", abilities=Ability.BROWSE), None, "wrong", "r/orders takes no events"),
    ],
)
def test_who_receives_an_event_is_a_line(target: Endpoint, route: Route | None, kind: str, sentence: str) -> None:
    groups = [group("ledger", TOPIC), group("audit", TOPIC), group("other", EXCHANGE)]
    found = audience(target, b"k", groups, route)
    assert (found.kind, found.sentence) == (kind, sentence)
