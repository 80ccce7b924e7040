"""A claim that lapses is known before its message is published: nothing is sent that others have again."""

from collections.abc import Sequence
from uuid import uuid4

import msgspec
import pytest

from connectors.memory import QueueSettings, embedded_broker
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.operations.journal.records import find_journal
from workbench.operations.move.copies import stamp_of
from workbench.operations.move.moves import carry_out, plan_undo, undo
from workbench.operations.move.outcome import Ended
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

_LEASE = 40
"""Milliseconds."""


async def moved(name: str, rate: float, selected: bool) -> Ended:
    source = Address("m", "from")
    async with Session([Connection.parse(f"m=memory://{name}")]) as session:
        chosen: tuple[Delivery, ...] | None = None
        if selected:
            async with session.browse(source) as stream:
                chosen = tuple([delivery async for batch in stream for delivery in batch])
        wanted = Wanted(source, target=Address("m", "to"), rate=rate, selected=chosen)
        return await carry_out(session, await make_plan(session, wanted))


@pytest.mark.parametrize("selected", (False, True), ids=("all", "selected"))
async def test_what_is_lost_while_it_waits_for_its_turn_is_taken_again_and_published_once(selected: bool) -> None:
    broker = embedded_broker(f"leases-{uuid4().hex}")
    broker.declare_queue("from", QueueSettings("unordered queue", order="none", lease=_LEASE))
    broker.declare_queue("to")
    bodies: Sequence[bytes] = [b"%d" % number for number in range(5)]
    for body in bodies:
        broker.publish("", Event(b"from", body))
    # Each waits longer than its lease, but for the first of each claim.
    ended = await moved(broker.name, rate=1000 / _LEASE / 3, selected=selected)
    assert (ended.complete, ended.moved, ended.twice, ended.open) == (True, 5, 0, 0)
    arrived = [message.event for message in broker.queues["to"].waiting()]
    assert sorted(event.body or b"" for event in arrived) == sorted(bodies)
    assert len({stamp_of(event) for event in arrived}) == 5
    assert not broker.queues["from"].waiting()


async def test_what_is_lost_while_it_waits_is_no_second_copy_of_itself() -> None:
    broker = embedded_broker(f"leases-{uuid4().hex}")
    broker.declare_queue("from")
    broker.declare_queue("to", QueueSettings("unordered queue", order="none", lease=_LEASE))
    for number in range(5):
        broker.publish("", Event(b"from", b"%d" % number))
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        plan = await make_plan(session, Wanted(Address("m", "from"), target=Address("m", "to")))
        await carry_out(session, plan)
        path = find_journal(plan.id)
        slow = [msgspec.structs.replace(each, rate=1000 / _LEASE / 3) for each in await plan_undo(session, path)]
        [(_, ended)] = [each async for each in undo(session, path, slow)]
    assert (ended.complete, ended.moved, ended.extra) == (True, 5, 0)
    assert sorted(each.event.body or b"" for each in broker.queues["from"].waiting()) == [b"%d" % n for n in range(5)]
    assert not broker.queues["to"].waiting()
