"""Moves of messages of which many are alike in every byte, cut short and gone on with: none of them is lost."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import Any, Final
from uuid import uuid4

import pytest

from connectors.memory import Broker, QueueSettings, embedded_broker
from workbench.connecting import retry
from workbench.connecting.config_file import ConfigFile, Configured
from workbench.connecting.connector_boundary import BoundedClaims
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost
from workbench.model.event import Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import EntryState
from workbench.operations.journal.records import find_journal, read_entries
from workbench.operations.move import passes, planning, windows
from workbench.operations.move.moves import carry_out, plan_undo, resume, undo
from workbench.operations.move.outbox import Answers, Outbox
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session

DEAD, TO = Address("m", "dead"), Address("m", "to")
STEPS: Final[Sequence[tuple[type[Any], str]]] = (
    (Journal, "add"),
    (Outbox, "send"),
    (Answers, "all"),
    (Journal, "mark_failed"),
    (Journal, "mark_done"),
    (BoundedClaims, "settle"),
    (Journal, "end"),
)
AT_BROKERS: Final = ((Outbox, "send"), (BoundedClaims, "settle"))


class Killed(BaseException):
    """The end of a program: nothing is noted any more, and the broker has back what was held."""


def fail_at(
    patch: pytest.MonkeyPatch, step: tuple[type[Any], str], times: int, after: bool, error: BaseException
) -> None:
    """Raise an error before or behind a step when it is taken for so many times."""
    owner, method = step
    original: Callable[..., Any] = getattr(owner, method)
    left = times

    def count(now: bool) -> None:
        nonlocal left
        left -= now == after
        if left == 0 and now == after:
            raise error

    def done(*arguments: Any) -> Any:
        count(False)
        result = original(*arguments)
        count(True)
        return result

    async def awaited(*arguments: Any) -> Any:
        count(False)
        result = await original(*arguments)
        count(True)
        return result

    patch.setattr(owner, method, awaited if iscoroutinefunction(original) else done)


@pytest.fixture(params=range(12))
def chance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """A row of chances; windows are small, and nobody waits."""
    chance = random.Random(request.param)
    monkeypatch.setattr(windows, "WINDOW", chance.randint(1, 4))
    monkeypatch.setattr(passes, "RETURN", 0.0)
    monkeypatch.setattr(retry, "PAUSES", (0.0,))
    return chance


class World:
    """A queue of messages of which many are alike, another that has little room, and what has ever been in the two."""

    def __init__(self, chance: random.Random, kinds: int) -> None:
        self._chance = chance
        self.broker = embedded_broker(f"alike-{uuid4().hex}")
        self.broker.declare_queue("dead", QueueSettings(chance.choice(["classic queue", "quorum queue"])))
        self.broker.declare_queue("to", QueueSettings(max_length=chance.randint(1, 12), overflow="reject-publish"))
        self.came: Counter[bytes | None] = Counter()
        self.arrived: Counter[bytes | None] = Counter()
        self._kinds = kinds
        for _ in range(chance.randint(2, 16)):
            self.come()

    def come(self) -> None:
        """Have one more message come into the queue."""
        body = b"%d" % self._chance.randrange(self._kinds)
        self.broker.send("dead", Event(b"dead", body))
        self.came[body] += 1

    def make_room(self) -> None:
        """Take away what has arrived."""
        self.arrived += bodies(self.broker, "to")
        self.broker.queues["to"].clear()

    def open(self) -> Session:
        """A session in which everything is allowed."""
        return Session(
            ["m"], ConfigFile(connections={"m": Configured(f"memory://{self.broker.name}", guard="destroy")})
        )


def bodies(broker: Broker, queue: str) -> "Counter[bytes | None]":
    return Counter(each.event.body for each in broker.queues[queue].waiting())


async def killed(chance: random.Random, patch: pytest.MonkeyPatch, doing: Awaitable[object]) -> None:
    """Kill what is done at one of its steps, or perhaps never."""
    with patch.context() as context, suppress(Killed, BaseExceptionGroup):
        fail_at(context, chance.choice(STEPS), chance.randint(1, 5), chance.random() < 0.5, Killed())
        await doing


def journalled(id: str, state: int | None = None, twice: bool = False) -> "Counter[bytes | None]":
    """The bodies of the messages of an operation."""
    entries = read_entries(find_journal(id), state)
    return Counter(each.message.event.body for each in entries if each.twice or not twice)


@pytest.mark.parametrize("counted", (True, False), ids=("all were counted", "more than were counted"))
async def test_nothing_is_lost_whatever_is_alike_and_wherever_a_move_is_cut_short(
    chance: random.Random, monkeypatch: pytest.MonkeyPatch, counted: bool
) -> None:
    if not counted:
        monkeypatch.setattr(planning, "_COUNTED", 2)
    world = World(chance, chance.choice([1, 3, 12]) if counted else 1)
    async with world.open() as session:
        plan = await make_plan(session, Wanted(DEAD, target=TO))
        kills, newcomers = chance.randint(1, 3), 0
        for kill in range(kills):
            going_on = resume(session, find_journal(plan.id)) if kill else carry_out(session, plan)
            await killed(chance, monkeypatch, going_on)
            world.make_room()
            for _ in range(chance.randint(0, 2)):
                newcomers += 1
                world.come()
        world.broker.delete("to")
        world.broker.declare_queue("to")
        losses = chance.randint(0, 2)
        with monkeypatch.context() as patch:
            for _ in range(losses):
                lost = ConnectionLost("lost")
                fail_at(patch, chance.choice(AT_BROKERS), chance.randint(1, 3), chance.random() < 0.5, lost)
            ended = await resume(session, find_journal(plan.id))
    world.make_room()
    left = bodies(world.broker, "dead")
    # What was refused stays where others came and were moved in its place.
    assert ended.state == "done" and ended.failed <= newcomers
    assert world.came <= world.arrived + left
    assert left.total() >= newcomers
    # Each time it was cut short, what was in flight may have been published.
    named = journalled(plan.id, twice=True)
    often = Counter({body: times * (kills + losses) for body, times in named.items()})
    assert world.arrived + left <= world.came + often


async def test_all_that_is_deleted_is_in_the_journal_and_back_when_that_is_undone(
    chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chance, chance.choice([1, 3, 12]))
    async with world.open() as session:
        plan = await make_plan(session, Wanted(DEAD, purpose="delete"))
        await killed(chance, monkeypatch, carry_out(session, plan))
        await resume(session, find_journal(plan.id))
        assert (journalled(plan.id, EntryState.SETTLED), bodies(world.broker, "dead")) == (world.came, Counter())
        path = find_journal(plan.id)
        [back] = await plan_undo(session, path)
        await killed(chance, monkeypatch, anext(undo(session, path, [back])))
        ended = await resume(session, find_journal(back.id))
    assert (ended.complete, ended.moved) == (True, world.came.total())
    left = bodies(world.broker, "dead")
    assert world.came <= left <= world.came + journalled(back.id, twice=True)


async def test_an_undo_that_is_killed_removes_both_copies_and_counts_no_more_second_ones_than_there_were(
    chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(chance, chance.choice([1, 3, 12]))
    broker = world.broker
    broker.delete("to")
    broker.declare_queue("to")
    async with world.open() as session:
        plan = await make_plan(session, Wanted(DEAD, target=TO))
        await carry_out(session, plan)
        copies = broker.queues["to"].waiting()
        second = chance.sample(copies, chance.randint(1, len(copies)))
        for message in second:
            broker.send("to", message.event)
        path = find_journal(plan.id)
        [back] = await plan_undo(session, path)
        await killed(chance, monkeypatch, anext(undo(session, path, [back])))
        ended = await resume(session, find_journal(back.id))
    assert (ended.state, ended.moved, bodies(broker, "to")) == ("done", world.came.total(), Counter())
    assert ended.extra <= len(second)
    assert world.came <= bodies(broker, "dead") <= world.came + journalled(back.id, twice=True)
