"""Dead letters that lack something of their originals, and where those are."""

from collections.abc import Sequence

import pytest

from connectors.memory.broker import embedded_broker
from workbench.connecting.config import Connection
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event, Position
from workbench.model.receipt import Receipt
from workbench.operations.dead.originals import Original, original_of, read_originals
from workbench.session import Session

CONVENTIONS = Conventions.load([])
ORDERS = Address("kafka", "orders")
SHARE = (
    ("__dlq.errors.topic", b"orders"),
    ("__dlq.errors.partition", b"0"),
    ("__dlq.errors.offset", b"7"),
    ("__dlq.errors.group", b"billing"),
    ("__dlq.errors.delivery.count", b"5"),
    ("__dlq.errors.message", b""),
)
CONNECT = (
    ("__connect.errors.topic", b"orders"),
    ("__connect.errors.partition", b"0"),
    ("__connect.errors.offset", b"7"),
)


def original(
    *headers: tuple[str, object], key: bytes | None = None, body: bytes | None = None, own: Conventions = CONVENTIONS
) -> Original | None:
    delivery = Delivery(Event(key, body, written=Content(headers)), Address("kafka", "dlq.orders"), 0)  # type: ignore[arg-type]
    return original_of(delivery, own.facts(delivery), own)


def test_one_that_only_says_where_its_original_is_lacks_everything() -> None:
    found = original(*SHARE)
    assert found == Original(ORDERS, Position("0", "7"), "everything")
    assert original(*CONNECT) == found
    assert original(*SHARE, ("workbench-move", "p/1")) == found


def test_one_with_key_or_body_lacks_the_headers_where_its_convention_never_copies_them() -> None:
    for key, body in ((b"k", None), (None, b"{}"), (b"", None)):
        assert original(*SHARE, key=key, body=body) == Original(ORDERS, Position("0", "7"), "headers")
        assert original(*CONNECT, key=key, body=body) is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((*SHARE, ("tenant", b"north")), id="headers of its own"),
        pytest.param(SHARE[:2], id="no offset"),
        pytest.param((SHARE[0], SHARE[1], ("__dlq.errors.offset", b"9" * 30)), id="no number"),
        pytest.param((("x-death", [{"queue": "orders", "reason": "rejected"}]),), id="a queue"),
        pytest.param((), id="no dead letter"),
    ],
)
def test_all_others_are_taken_for_whole(headers: Sequence[tuple[str, object]]) -> None:
    assert original(*headers) is None


def test_a_users_own_convention_can_say_that_headers_are_lacking() -> None:
    table = {
        "name": "ours",
        "lacks": "headers",
        "origin": {"topic": "header.was-in", "partition": "header.part", "offset": "header.at"},
    }
    headers = (("was-in", "orders"), ("part", "0"), ("at", "3"))
    found = original(*headers, body=b"{}", own=Conventions.load([table]))
    assert found == Original(ORDERS, Position("0", "3"), "headers")


async def publish(session: Session, count: int) -> list[Receipt]:
    connector = await session.connector("kafka")
    async with connector.publisher() as publisher:
        await publisher.send(ORDERS, [Event(b"k%d" % number, b"%d" % number) for number in range(count)])
        await publisher.finish()
        return [receipt async for some in publisher.receipts() for receipt in some]


async def test_originals_are_read_where_they_are() -> None:
    embedded_broker("dead-originals").declare_topic("orders", 1)
    async with Session([Connection.parse("kafka=memory://dead-originals")]) as session:
        await publish(session, 2_000)
        wanted = [
            Original(ORDERS, Position("0", str(offset)), "everything") for offset in (3, 1_999, 4, 2_000, 1_200, 3)
        ]
        lost = Original(Address("kafka", "gone"), Position("0", "1"), "everything")
        found = await read_originals(session, [*wanted, lost])
    bodies = [each if isinstance(each, str) else each.event.body for each in (found[one] for one in wanted)]
    assert bodies == [b"3", b"1999", b"4", "its original is no longer at 0:2000 of kafka/orders", b"1200", b"3"]
    told = found[lost]
    assert isinstance(told, str) and told.startswith("its original cannot be read: ")
