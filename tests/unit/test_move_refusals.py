"""A plan that is kept in a file and run when the world has changed is refused with what has; guards hold for it too."""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from connectors.memory import Broker, QueueSettings, embedded_broker
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.model.address import Address
from workbench.model.errors import FormatError, GuardRefused, StoreError, Unsupported, WorkbenchError
from workbench.model.event import Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import Operation
from workbench.operations.journal.records import records
from workbench.operations.move.moves import carry_out, plan_undo, resume
from workbench.operations.move.plan import Plan, load_plan, save_plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

DEAD, ORDERS, PLACED = Address("m", "dead"), Address("m", "orders"), Address("m", "placed", "exchange")


@pytest.fixture
def broker() -> Broker:
    """Three messages in a queue of dead letters, another queue, an exchange that leads there, and a topic."""
    made = embedded_broker(f"refusals-{uuid4().hex}")
    made.declare_queue("dead")
    made.declare_queue("orders")
    made.declare_exchange("placed", "fanout")
    made.bind("placed", "orders")
    made.declare_topic("log", 2)
    for number in range(3):
        made.send("dead", Event(b"dead", b"%d" % number))
        made.append("log", Event(b"k", b"%d" % number), 0)
    return made


@pytest.fixture
async def session(broker: Broker) -> AsyncIterator[Session]:
    async with Session([Connection.parse(f"m=memory://{broker.name}")]) as opened:
        yield opened


async def kept(session: Session, folder: Path, source: Address = DEAD, target: Address = ORDERS) -> Plan:
    """A plan as it is read from the file that it was kept in."""
    plan = await make_plan(session, Wanted(source, target=target))
    assert plan.moving == 3
    save_plan(plan, folder / "plan.json")
    return load_plan(folder / "plan.json")


async def test_a_plan_keeps_nothing_of_its_messages_where_their_receivers_do_not_depend_on_them(
    session: Session, tmp_path: Path
) -> None:
    plan = await kept(session, tmp_path)
    assert [leg.sample for leg in plan.legs] == [None]


def replace_queue(broker: Broker, name: str, kind: str) -> None:
    broker.delete(name)
    if kind == "topic":
        broker.declare_topic(name)
    else:
        broker.declare_queue(name, QueueSettings("quorum queue"))


def bind_another(broker: Broker) -> None:
    broker.declare_queue("audit")
    broker.bind("placed", "audit")


async def test_a_plan_is_refused_when_a_queue_that_it_does_not_name_is_bound_in_place_of_another(
    broker: Broker, session: Session, tmp_path: Path
) -> None:
    for number in range(7):
        broker.declare_queue(f"queue {number}")
    for number in range(6):
        broker.bind("placed", f"queue {number}")
    plan = await kept(session, tmp_path, target=PLACED)
    broker.delete("queue 5")
    broker.bind("placed", "queue 6")
    with pytest.raises(Unsupported, match=r"hands on to others now: .* \(queue 5, queue 6 changed\)"):
        await carry_out(session, plan)
    assert broker.queues["dead"].depth == 3


CHANGES: dict[str, tuple[Address, Callable[[Broker], object], str]] = {
    "the source is of another kind": (
        ORDERS,
        lambda broker: replace_queue(broker, "dead", "quorum"),
        "m/dead is a quorum queue now, and was a classic queue",
    ),
    "the source is gone": (ORDERS, lambda broker: broker.delete("dead"), "The plan no longer fits: There is no m/dead"),
    "the target is of another kind": (
        ORDERS,
        lambda broker: replace_queue(broker, "orders", "topic"),
        "m/orders is a topic now, and was a classic queue",
    ),
    "the target is gone": (
        ORDERS,
        lambda broker: broker.delete("orders"),
        "The plan no longer fits: There is no m/orders",
    ),
    "the target hands on to others": (
        PLACED,
        bind_another,
        "m/exchange:placed hands on to others now",
    ),
    "the target hands on to nobody": (
        PLACED,
        lambda broker: broker.exchanges["placed"].bindings.clear(),
        "m/exchange:placed hands on to others now",
    ),
}


@pytest.mark.parametrize(("target", "change", "said"), CHANGES.values(), ids=CHANGES)
async def test_a_plan_is_refused_when_its_world_has_changed_and_nothing_moves(
    broker: Broker,
    session: Session,
    tmp_path: Path,
    target: Address,
    change: Callable[[Broker], object],
    said: str,
) -> None:
    plan = await kept(session, tmp_path, target=target)
    change(broker)
    with pytest.raises(WorkbenchError) as refused:
        await carry_out(session, plan)
    assert said in str(refused.value)
    assert sum(queue.depth for queue in broker.queues.values()) in (0, 3) and records()[0] == []


async def test_a_log_that_was_made_anew_is_not_copied_from(broker: Broker, session: Session, tmp_path: Path) -> None:
    plan = await kept(session, tmp_path, Address("m", "log"))
    broker.delete("log")
    broker.declare_topic("log", 2)
    broker.append("log", Event(b"k", b"another"), 0)
    with pytest.raises(Unsupported, match="m/log ends earlier now, in partition 0"):
        await carry_out(session, plan)
    assert broker.queues["orders"].depth == 0


@pytest.mark.parametrize("source", ["dead", "log"])
async def test_no_more_move_than_there_were_when_it_was_planned(
    broker: Broker, session: Session, tmp_path: Path, source: str
) -> None:
    plan = await kept(session, tmp_path, Address("m", source))
    for number in range(3, 8):
        if source == "log":
            broker.append("log", Event(b"k", b"%d" % number), number % 2)
        else:
            broker.send("dead", Event(b"dead", b"%d" % number))
    ended = await carry_out(session, plan)
    assert (ended.state, ended.moved) == ("done", 3)
    assert [each.event.body for each in broker.queues["orders"].waiting()] == [b"0", b"1", b"2"]


async def test_a_plan_is_carried_out_once_and_its_journal_stays(
    broker: Broker, session: Session, tmp_path: Path
) -> None:
    plan = await kept(session, tmp_path)
    assert (await carry_out(session, plan)).moved == 3
    broker.send("dead", Event(b"dead", b"another"))
    with pytest.raises(StoreError, match="was begun already"):
        await carry_out(session, plan)
    [record] = records()[0]
    assert record.counts.settled == 3 and broker.queues["dead"].depth == 1


async def test_what_the_plan_does_not_name_is_not_sent_anywhere(
    broker: Broker, session: Session, tmp_path: Path
) -> None:
    def die(queue: str) -> None:
        broker.send(queue, Event(b"k", b"{}"))
        consumer = broker.consume(queue)
        consumer.reject(consumer.take(limit=1))
        consumer.close()

    broker.declare_queue("dlq")
    for name in ("paid", "bills"):
        broker.declare_queue(name, QueueSettings(dead_letter_exchange="", dead_letter_routing_key="dlq"))
    die("paid")
    save_plan(await make_plan(session, Wanted(Address("m", "dlq"))), tmp_path / "plan.json")
    # Somebody takes it, and another comes.
    taker = broker.consume("dlq")
    taker.acknowledge(taker.take(limit=1))
    taker.close()
    die("bills")
    ended = await carry_out(session, load_plan(tmp_path / "plan.json"))
    assert (ended.moved, broker.queues["bills"].depth, broker.queues["dlq"].depth) == (0, 0, 1)
    assert dict(ended.reasons) == {"it would go to m/bills, which the plan does not name": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../../etc/x"),
        ("id", "0123456789ab\n"),
        ("selected", ["zz"]),
        ("ends", {"0": "-1"}),
        ("rate", 0),
        ("canary", [0]),
        ("purpose", "restore"),
        ("undoes", "0123456789ab"),
    ],
)
async def test_a_plan_that_no_workbench_wrote_is_no_plan(
    session: Session, tmp_path: Path, field: str, value: object
) -> None:
    await kept(session, tmp_path)
    file = tmp_path / "plan.json"
    found = msgspec.json.decode(file.read_bytes())
    found["plan"][field] = value
    file.write_bytes(msgspec.json.encode(found))
    with pytest.raises(FormatError, match="holds"):
        load_plan(file)


@pytest.mark.parametrize(
    ("guard", "purpose", "allowed"),
    [("publish", "move", False), ("move", "move", True), ("move", "delete", False), ("destroy", "delete", True)],
)
async def test_a_kept_plan_lifts_no_guard(
    broker: Broker, session: Session, tmp_path: Path, guard: str, purpose: str, allowed: bool
) -> None:
    # Made where it is allowed, and run where the guard is another.
    wanted = Wanted(DEAD, target=ORDERS) if purpose == "move" else Wanted(DEAD, purpose="delete")
    save_plan(await make_plan(session, wanted), tmp_path / "plan.json")
    config = ConfigFile(connections={"m": Configured(f"memory://{broker.name}", guard=guard)})
    async with Session(["m"], config) as guarded:
        if allowed:
            assert (await carry_out(guarded, load_plan(tmp_path / "plan.json"))).moved == 3
            return
        with pytest.raises(GuardRefused, match=f"guarded at '{guard}'"):
            await carry_out(guarded, load_plan(tmp_path / "plan.json"))
    assert broker.queues["dead"].depth == 3 and records()[0] == []


async def test_a_second_move_of_a_source_is_warned_of_the_first_and_cannot_take_its_journal(session: Session) -> None:
    plan = await make_plan(session, Wanted(DEAD, target=ORDERS))
    operation = Operation(
        plan.id, "move", plan.made, "ann@there", DEAD, plan.identity, plan.title, msgspec.msgpack.encode(plan)
    )
    with closing(Journal.create(operation)) as journal:
        second = await make_plan(session, Wanted(DEAD, target=ORDERS))
        assert f"Operation {plan.id} of ann@there on the same source is running." in second.warnings
        with pytest.raises(StoreError, match="is running: it is being worked on by another program"):
            await resume(session, journal.path)
    third = await make_plan(session, Wanted(DEAD, target=ORDERS))
    assert any("was interrupted, and can be resumed" in each for each in third.warnings)


async def test_what_a_broker_is_to_move_by_itself_is_permitted_first_and_never_resumed_as_if_it_were_journalled(
    broker: Broker, session: Session
) -> None:
    plan = await make_plan(session, Wanted(DEAD, target=ORDERS, engine="broker"))
    config = ConfigFile(connections={"m": Configured(f"memory://{broker.name}", guard="publish")})
    async with Session(["m"], config) as guarded:
        with pytest.raises(GuardRefused, match="guarded at 'publish'"):
            await carry_out(guarded, plan)
    assert records()[0] == []
    # This broker cannot, and it is interrupted before it has moved anything.
    with pytest.raises(Unsupported, match="moves nothing by itself"):
        await carry_out(session, plan)
    [record] = records()[0]
    assert (record.state, record.can_go_on) == ("interrupted", False)
    said = f"carried operation {plan.id} out by itself, .* is in m/dead still, and can be moved anew"
    with pytest.raises(Unsupported, match=said):
        await resume(session, record.path)
    with pytest.raises(StoreError, match="nothing of it is journalled"):
        await plan_undo(session, record.path)
    assert (broker.queues["dead"].depth, broker.queues["orders"].depth) == (3, 0)
