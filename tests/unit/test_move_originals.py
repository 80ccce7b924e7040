"""Dead letters that only say where their originals are: the original goes, never a tombstone in its place."""

from uuid import uuid4

from connectors.memory import Broker, embedded_broker
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Event
from workbench.operations.move.moves import carry_out
from workbench.operations.move.outcome import Ended
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

DEAD = Address("m", "dlq")


def pointer(offset: int, key: bytes | None = None, body: bytes | None = None) -> Event:
    """A dead letter as a share group writes it, by default without key and body, and always without headers."""
    at = (("topic", b"orders"), ("partition", b"0"), ("offset", b"%d" % offset), ("group", b"billing"))
    headers = tuple((f"__dlq.errors.{name}", value) for name, value in at)
    return Event(key, body, written=Content(headers))


def shop() -> Broker:
    broker = embedded_broker(f"pointers-{uuid4().hex}")
    broker.declare_topic("orders")
    broker.declare_topic("dlq")
    for number in range(3):
        tenant = Content((("tenant", b"north"),))
        broker.append("orders", Event(b"%d" % number, b'{"id": %d}' % number, written=tenant))
    return broker


async def moved(broker: Broker) -> tuple[Plan, Ended]:
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        plan = await make_plan(session, Wanted(DEAD))
        return plan, await carry_out(session, plan)


def arrived(broker: Broker) -> list[Event]:
    """What came after the three that were there."""
    return list(broker.topics["orders"].partitions[0].read(3, 100))


async def test_the_original_goes_with_its_key_body_and_headers() -> None:
    broker = shop()
    broker.append("dlq", pointer(1))
    broker.append("dlq", pointer(2, b"2", b'{"id": 2}'))
    _, ended = await moved(broker)
    assert (ended.state, ended.moved, ended.left) == ("done", 2, 0)
    first, second = arrived(broker)
    assert (first.key, first.body) == (b"1", b'{"id": 1}')
    assert (second.key, second.body) == (b"2", b'{"id": 2}')
    for event in (first, second):
        assert dict(event.headers)["tenant"] == b"north"


async def test_one_whose_original_is_gone_stays_and_says_why() -> None:
    broker = shop()
    broker.append("dlq", pointer(9))
    plan, ended = await moved(broker)
    [stays] = plan.stays
    assert stays.reason == "it lacks key, body and headers, and its original is no longer at 0:9 of m/orders"
    assert (ended.moved, ended.left) == (0, 1)
    assert arrived(broker) == []


async def test_how_often_it_was_moved_says_its_original() -> None:
    """The dead letter of a copy has none of what was stamped on the copy: it would go round for ever."""
    broker = shop()
    broker.append("orders", Event(b"3", b"{}", written=Content((("workbench-redrives", b"5"),))))
    broker.append("dlq", pointer(3))
    plan, ended = await moved(broker)
    [stays] = plan.stays
    assert stays.reason == "it was moved 5 times already, and came back each time"
    assert ended.moved == 0
