"""What goes wrong beside a move stops it only where it matters, and what is held is given back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast
from uuid import uuid4

import pytest

from connectors.memory import QueueSettings, embedded_broker
from workbench.connecting.config import Connection
from workbench.connecting.connector import Claims
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, ConnectionLost
from workbench.model.event import Event
from workbench.operations.journal.records import find_journal, read_steps
from workbench.operations.move.copies import stamp_of
from workbench.operations.move.moves import carry_out, resume
from workbench.operations.move.passes import left_in_order
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


@pytest.mark.parametrize("canary", [(), (1,)], ids=("all at once", "a canary"))
async def test_a_log_that_cannot_be_followed_stops_a_canary_alone(
    canary: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = embedded_broker(f"followed-{uuid4().hex}")
    broker.declare_topic("from")
    broker.declare_queue("to")
    for number in range(3):
        broker.append("from", Event(b"k", b"%d" % number))

    @asynccontextmanager
    async def refused(session: Session, address: Address) -> AsyncIterator[None]:
        if session.names:
            raise AccessRefused("It may not be followed.")
        yield

    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        wanted = Wanted(Address("m", "from"), target=Address("m", "to"), canary=canary, watch=0.01)
        plan = await make_plan(session, wanted)
        monkeypatch.setattr(Session, "tail", refused)
        ended = await carry_out(session, plan)
    if canary:
        assert (ended.state, ended.moved, ended.why) == ("interrupted", 0, "It may not be followed.")
    else:
        assert (ended.complete, ended.moved, broker.queues["to"].depth) == (True, 3, 3)


class Held:
    """Claims that note when they are given back, which takes a while."""

    def __init__(self, name: str, given_back: list[str]) -> None:
        self._name, self._given_back = name, given_back

    async def __aenter__(self) -> "Held":
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.sleep(0)
        finally:
            self._given_back.append(self._name)


async def test_all_claims_are_given_back_in_their_order_however_often_it_is_cancelled() -> None:
    given_back: list[str] = []

    async def hold() -> None:
        async with left_in_order() as held:
            for name in "abc":
                held.append(cast(AbstractAsyncContextManager[Claims], Held(name, given_back)))
            raise ConnectionLost("gone")

    async with asyncio.TaskGroup() as group:
        holding = group.create_task(hold())
        while not holding.done():
            await asyncio.sleep(0)
            holding.cancel()
    assert holding.cancelled()
    assert given_back == ["a", "b", "c"]


async def test_what_was_refused_is_tried_again_under_its_number_and_by_the_steps_of_a_canary() -> None:
    broker = embedded_broker(f"refused-{uuid4().hex}")
    broker.declare_queue("from")
    broker.declare_queue("to", QueueSettings(max_length=0, overflow="reject-publish"))
    for _ in range(4):
        broker.send("from", Event(b"from", b"the same"))
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as session:
        wanted = Wanted(Address("m", "from"), target=Address("m", "to"), canary=(1, 2), watch=0.01)
        plan = await make_plan(session, wanted)
        ended = await carry_out(session, plan)
        assert (ended.moved, ended.failed) == (0, 4)
        broker.delete("to")
        broker.declare_queue("to")
        path = find_journal(plan.id)
        ended = await resume(session, path)
    assert (ended.complete, ended.moved, ended.failed, ended.twice) == (True, 4, 0, 0)
    steps = [what for _, what in read_steps(path)[0]]
    assert [each for each in steps if "watched" in each][-2:] == [
        "1 moved, and watched for 0.01 s",
        "3 moved, and watched for 0.01 s",
    ]
    assert sorted(stamp_of(each.event) or ("", 0) for each in broker.queues["to"].waiting()) == [
        (plan.id, number) for number in range(4)
    ]
