"""What was deleted is published again once, whoever undoes it how often; and what is resumed is what was begun."""

from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from connectors.memory import Broker, QueueSettings, embedded_broker
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import StoreError, Unsupported
from workbench.model.event import Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import EntryState, Kind, Operation
from workbench.operations.journal.records import find_journal, read_entries, read_record
from workbench.operations.move.moves import carry_out, plan_undo, resume, undo
from workbench.operations.move.outcome import Ended
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.move.words import plan_lines
from workbench.session import Session

DEAD = Address("m", "dead")


@pytest.fixture
def broker() -> Broker:
    """Three messages in a queue, two of which are alike, and a topic."""
    made = embedded_broker(f"undone-{uuid4().hex}")
    made.declare_queue("dead", QueueSettings(max_length=3, overflow="reject-publish"))
    made.declare_topic("log")
    for body in (b"1", b"2", b"2"):
        made.send("dead", Event(b"dead", body))
        made.append("log", Event(b"k", body), 0)
    return made


@pytest.fixture
async def session(broker: Broker) -> AsyncIterator[Session]:
    config = ConfigFile(connections={"m": Configured(f"memory://{broker.name}", guard="destroy")})
    async with Session(["m"], config) as opened:
        yield opened


def bodies(broker: Broker) -> list[bytes | None]:
    return [each.event.body for each in broker.queues["dead"].waiting()]


def begin(plan: Plan) -> None:
    """Leave a journal as of a program that died before it did anything."""
    kind: Kind = "undo" if plan.undoes else "move"
    encoded = msgspec.msgpack.encode(plan)
    operation = Operation(
        plan.id, kind, plan.made, "ann@here", plan.source, plan.identity, plan.title, encoded, undoes=plan.undoes
    )
    Journal.create(operation).close()


async def deleted(session: Session) -> str:
    plan = await make_plan(session, Wanted(DEAD, purpose="delete"))
    assert (await carry_out(session, plan)).moved == 3
    return plan.id


async def undone(session: Session, path: Path, plans: Sequence[Plan]) -> list[tuple[str, Ended]]:
    return [each async for each in undo(session, path, plans)]


async def test_a_deletion_is_undone_once(broker: Broker, session: Session) -> None:
    path = find_journal(await deleted(session))
    plans = await plan_undo(session, path)
    [(first, ended)] = await undone(session, path, plans)
    assert (ended.moved, sorted(bodies(broker))) == (3, [b"1", b"2", b"2"])  # type: ignore[type-var]
    with pytest.raises(StoreError, match=f"was undone already, by operation {first}"):
        await plan_undo(session, path)
    # Nor by what was planned before it.
    broker.queues["dead"].clear()
    again = [msgspec.structs.replace(each, id=uuid4().hex[:12]) for each in plans]
    [(_, ended)] = await undone(session, path, again)
    assert (ended.moved, bodies(broker)) == (0, [])


async def test_what_the_queue_had_no_room_for_is_published_again_later(broker: Broker, session: Session) -> None:
    path = find_journal(await deleted(session))
    for _ in range(2):
        broker.send("dead", Event(b"dead", b"in the way"))
    [(_, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, ended.failed) == (1, 2)
    broker.queues["dead"].clear()
    [plan] = await plan_undo(session, path)
    assert plan.moving == 2
    [(_, ended)] = await undone(session, path, [plan])
    assert (ended.moved, bodies(broker)) == (2, [b"2", b"2"])


async def test_a_move_is_undone_once_but_for_what_others_had_meanwhile(broker: Broker, session: Session) -> None:
    broker.declare_queue("to")
    plan = await make_plan(session, Wanted(DEAD, target=Address("m", "to")))
    assert (await carry_out(session, plan)).moved == 3
    # A consumer has one of the copies.
    taker = broker.consume("to")
    taker.acknowledge(taker.take(limit=1))
    taker.close()
    path = find_journal(plan.id)
    [(_, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, len(bodies(broker))) == (2, 2)
    [again] = await plan_undo(session, path)
    assert again.moving == 1
    broker.queues["dead"].clear()
    plan = await make_plan(session, Wanted(Address("m", "log"), target=DEAD))
    assert (await carry_out(session, plan)).moved == 3
    path = find_journal(plan.id)
    [(first, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, bodies(broker)) == (3, [])
    with pytest.raises(StoreError, match=f"was undone already, by operation {first}"):
        await plan_undo(session, path)


def doubled(broker: Broker, queue: str) -> None:
    """Put a second copy of each message into a queue, as a move leaves it that was killed before it was answered."""
    for message in broker.queues[queue].waiting():
        broker.send(queue, message.event)


async def test_a_text_with_half_a_character_is_moved_and_taken_back_and_deleted_and_restored(
    broker: Broker, session: Session
) -> None:
    broker.declare_queue("to")
    broker.queues["dead"].clear()
    event = Event(b"dead", b"", written=Content((("half", "\ud83d"),)))
    broker.send("dead", event)
    move = await make_plan(session, Wanted(DEAD, target=Address("m", "to")))
    assert (await carry_out(session, move)).moved == 1
    assert broker.queues["to"].waiting()[0].event.headers[0] == ("half", "\ud83d")
    path = find_journal(move.id)
    [(_, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, broker.queues["dead"].waiting()[0].event.headers) == (1, event.headers)
    deletion = await make_plan(session, Wanted(DEAD, purpose="delete"))
    assert (await carry_out(session, deletion)).moved == 1
    path = find_journal(deletion.id)
    [(_, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, broker.queues["dead"].waiting()[0].event.headers) == (1, event.headers)


async def test_what_is_there_twice_is_taken_back_once_and_both_copies_go(broker: Broker, session: Session) -> None:
    broker.declare_queue("to")
    plan = await make_plan(session, Wanted(DEAD, target=Address("m", "to")))
    await carry_out(session, plan)
    doubled(broker, "to")
    path = find_journal(plan.id)
    # One of them has no room.
    broker.send("dead", Event(b"dead", b"in the way"))
    plans = await plan_undo(session, path)
    [(id, ended)] = await undone(session, path, plans)
    assert (plans[0].moving, ended.moved, ended.extra, ended.failed) == (3, 2, 3, 1)
    assert ended.sentence.startswith("2 taken back, 1 failed, 3 second copies removed in ")
    assert read_record(find_journal(id)).counts.done == 2
    assert len(broker.queues["to"].waiting()) == 1
    broker.queues["dead"].clear()
    # Of another that comes later no original is published.
    [left] = broker.queues["to"].waiting()
    [taken, *_] = [entry.message.event for entry in read_entries(find_journal(id), EntryState.SETTLED)]
    broker.send("to", taken)
    [again] = await plan_undo(session, path)
    [(_, ended)] = await undone(session, path, [again])
    assert (again.moving, ended.moved, ended.extra) == (1, 1, 1)
    assert bodies(broker) == [left.event.body]
    assert not broker.queues["to"].waiting()


async def test_a_second_copy_that_a_consumer_holds_is_named_and_taken_away_by_an_undo_when_it_is_back(
    broker: Broker, session: Session
) -> None:
    broker.declare_queue("to")
    plan = await make_plan(session, Wanted(DEAD, target=Address("m", "to")))
    await carry_out(session, plan)
    doubled(broker, "to")
    path = find_journal(plan.id)
    with closing(Journal.reopen(path)) as journal:
        journal.mark_doubtful(range(3))
        journal.end("done", 1, "3 moved.")
    taker = broker.consume("to")
    assert len(taker.take(limit=1)) == 1
    plans = await plan_undo(session, path)
    [(_, ended)] = await undone(session, path, plans)
    assert any(each.text == "3 of the copies are maybe there twice: both go" for each in plan_lines(plans[0]))
    said = "3 taken back, 0 failed, 2 second copies removed, up to 1 second copy not seen there in "
    assert (ended.moved, ended.extra, ended.unseen) == (3, 2, 1)
    assert ended.sentence.replace(" 0 returned,", "").startswith(said)
    taker.close()
    plans = await plan_undo(session, path)
    assert [(each.moving, each.second) for each in plans] == [(0, 1)]
    [(_, ended)] = await undone(session, path, plans)
    assert (ended.complete, ended.moved, ended.extra, ended.unseen) == (True, 0, 1, 0)
    assert not broker.queues["to"].waiting() and len(bodies(broker)) == 3
    with pytest.raises(StoreError, match="was undone already"):
        await plan_undo(session, path)


async def test_of_a_copy_of_a_log_both_are_removed(broker: Broker, session: Session) -> None:
    broker.declare_queue("to")
    plan = await make_plan(session, Wanted(Address("m", "log"), target=Address("m", "to")))
    await carry_out(session, plan)
    doubled(broker, "to")
    path = find_journal(plan.id)
    [(_, ended)] = await undone(session, path, await plan_undo(session, path))
    assert (ended.moved, ended.extra) == (3, 3)
    assert not broker.queues["to"].waiting()
    with pytest.raises(StoreError, match="was undone already"):
        await plan_undo(session, path)


async def test_an_undo_that_was_interrupted_is_gone_on_with_and_not_begun_again(
    broker: Broker, session: Session
) -> None:
    path = find_journal(await deleted(session))
    [plan] = await plan_undo(session, path)
    begin(plan)
    with pytest.raises(StoreError, match=f"operation {plan.id}, which is interrupted: `workbench journal resume"):
        await plan_undo(session, path)
    assert (await resume(session, find_journal(plan.id))).moved == 3
    assert len(bodies(broker)) == 3


async def test_what_failed_is_not_taken_for_one_like_it_that_was_moved(broker: Broker, session: Session) -> None:
    # Of the two that are alike the first has room.
    broker.queues["dead"].clear()
    for body in (b"2", b"2", b"3"):
        broker.send("dead", Event(b"dead", body))
    broker.declare_queue("to", QueueSettings(max_length=1, overflow="reject-publish"))
    plan = await make_plan(session, Wanted(DEAD, target=Address("m", "to")))
    ended = await carry_out(session, plan)
    assert (ended.moved, ended.failed, bodies(broker)) == (1, 2, [b"2", b"3"])
    broker.queues["to"].clear()
    await resume(session, find_journal(plan.id))
    arrived = [each.event.body for each in broker.queues["to"].waiting()]
    assert sorted([*arrived, *bodies(broker)]) == [b"2", b"3"]  # type: ignore[type-var]


async def test_a_log_that_was_made_anew_is_not_gone_on_with(broker: Broker, session: Session) -> None:
    plan = await make_plan(session, Wanted(Address("m", "log"), target=DEAD))
    begin(plan)
    broker.delete("log")
    broker.declare_topic("log")
    with pytest.raises(Unsupported, match="m/log ends earlier now, in partition 0"):
        await resume(session, find_journal(plan.id))
