"""Moves that are cut short in every way, and then resumed: nothing is lost, what is there twice is named, and what is
not theirs is left alone."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

import pytest
from pika.exceptions import AMQPError

from connectors.rabbitmq import RabbitMQConnector
from tests.brokers.rabbitmq import RabbitMQ
from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually, new_vhost
from tests.rabbitmq.doing import bodies, browse, close_listed_connections
from tests.rabbitmq.killed_move import STEPS
from tests.rabbitmq.moving import check, fill, go_on, held, move, moving, persistent, plan, run, undoing
from tests.rabbitmq.test_interruptions import restart, to_disk
from workbench.model.address import Address
from workbench.model.event import Delivery
from workbench.operations.journal.records import find_journal, read_entries, read_record
from workbench.operations.move import passes, windows
from workbench.operations.move import run as running
from workbench.operations.move.outcome import Ended, Progress

WINDOW = 20
KINDS = ("classic", "quorum")


async def given_back(rabbit: Rabbit, source: Address, target: Address, count: int) -> None:
    """Return when the broker has noticed that the program is gone: what it held is ready again."""

    async def back() -> bool:
        return rabbit.ready(source) + rabbit.ready(target) >= count

    await eventually(back)


async def go_on_to_the_end(rabbit: Rabbit, id: str) -> Ended:
    """Resume until the broker has noticed of all messages that who held them is gone."""
    ended = await go_on(rabbit, id)
    while "held by a consumer" in ended.why:
        ended = await go_on(rabbit, id)
    return ended


@pytest.fixture
def certain_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which no broker is killed, and that see themselves that a source has back what was held."""
    monkeypatch.setattr(running, "CERTAIN", 0.05)
    monkeypatch.setattr(passes, "RETURN", 0.5)


@pytest.mark.parametrize(("step", "times"), list(zip(STEPS, cycle([1, 4]), strict=False)))
async def test_killed_at_a_step_and_resumed_a_move_has_lost_nothing_and_names_what_may_be_there_twice(
    rabbit: Rabbit, step: str, times: int, certain_at_once: None
) -> None:
    # Each kind on one of the releases; a third of the messages comes in the last of four windows.
    kind = "classic" if rabbit.release == "3.10" else "quorum"
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(100)
    await fill(rabbit, source, events)
    once = "given back" in step or "the end" in step
    async with moving(rabbit, source, target, step, 1 if once else times, WINDOW) as (id, process):
        assert await process.wait() == -9
    await given_back(rabbit, source, target, len(events))
    finished = step == "when the journal has the end"
    assert read_record(find_journal(id)).state == ("done" if finished else "interrupted")
    ended = await go_on_to_the_end(rabbit, id)
    assert (ended.complete, ended.moved) == (True, len(events))
    await check(rabbit, id, source, target, events)


@pytest.mark.parametrize("step", ("never", "when the messages are confirmed"))
async def test_what_is_there_twice_after_a_crash_is_taken_back_once_and_both_copies_go(
    rabbit: Rabbit, step: str, certain_at_once: None
) -> None:
    kind = "classic" if rabbit.release == "3.10" else "quorum"
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(50)
    await fill(rabbit, source, events)
    async with moving(rabbit, source, target, "when the messages are confirmed", 1, WINDOW) as (id, process):
        assert await process.wait() == -9
    # What was sent first is confirmed.
    await given_back(rabbit, source, target, len(events) + 1)
    ended = await go_on_to_the_end(rabbit, id)
    extra = rabbit.ready(target) - len(events)
    assert ended.moved == len(events)
    assert 0 < extra <= ended.twice
    async with undoing(rabbit, id, step, 2, WINDOW) as (undo, process):
        assert await process.wait() == (0 if step == "never" else -9)
    path = find_journal(undo)
    if step != "never":
        await given_back(rabbit, source, target, len(events) + extra)
        assert read_record(path).state == "interrupted"
        await go_on_to_the_end(rabbit, undo)
    counts = read_record(path).counts
    assert (counts.done, counts.open, counts.gone) == (len(events), 0, 0)
    # One that is found after a kill may be taken for the first.
    assert counts.extra == extra or (step != "never" and counts.extra < extra)
    assert rabbit.ready(target) == 0
    named = [entry.message.event.body for entry in read_entries(path) if entry.twice]
    back = Counter(await held(rabbit, source))
    assert Counter(bodies(events)) <= back <= Counter(bodies(events)) + Counter(named)
    assert named == [] or step != "never"


@pytest.mark.parametrize("kind", KINDS)
async def test_identical_message_that_arrives_during_a_crash_is_still_there_after_the_resume(
    rabbit: Rabbit, kind: str, certain_at_once: None
) -> None:
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(40)
    await fill(rabbit, source, events)
    async with moving(rabbit, source, target, "before the source lets go", 1, WINDOW) as (id, process):
        assert await process.wait() == -9
    # What was sent first is confirmed, and no more.
    await given_back(rabbit, source, target, len(events) + 1)
    # One that was confirmed, and one that was not: the same again.
    same = [events[0], events[30]]
    await fill(rabbit, source, same)
    ended = await go_on_to_the_end(rabbit, id)
    assert ended.moved == len(events)
    assert await held(rabbit, source) == bodies(same)
    async with RabbitMQConnector(rabbit.connection()) as connector:
        assert sorted({*bodies(await browse(connector, target))}) == sorted(bodies(events))


@pytest.mark.parametrize("step", ("when the messages are confirmed", "when the source has let go"))
async def test_of_messages_alike_in_every_byte_none_is_lost_though_some_were_refused(
    rabbit: Rabbit, step: str, certain_at_once: None
) -> None:
    kind = "classic" if rabbit.release == "3.10" else "quorum"
    source, target = rabbit.queue(kind), rabbit.queue(kind, x_max_length=50, x_overflow="reject-publish")
    events = persistent(2) * 50
    await fill(rabbit, source, events)
    async with moving(rabbit, source, target, step, 2, WINDOW) as (id, process):
        assert await process.wait() == -9
    await given_back(rabbit, source, target, len(events))
    arrived: Counter[bytes] = Counter()
    # Somebody makes room each time, and what is the same comes anew.
    resumes, refused = 0, True
    while refused:
        resumes += 1
        arrived.update(rabbit.drain(target, rabbit.ready(target)))
        same = persistent(2)
        await fill(rabbit, source, same)
        events += same
        refused = (await go_on_to_the_end(rabbit, id)).failed > 0
    arrived.update(await held(rabbit, target))
    left = Counter(await held(rabbit, source))
    assert Counter(bodies(events)) <= arrived + left
    named = Counter(entry.message.event.body for entry in read_entries(find_journal(id)) if entry.twice)
    often = Counter({body: (resumes + 1) * count for body, count in named.items()})
    assert arrived + left <= Counter(bodies(events)) + often


async def test_connection_that_is_cut_is_replaced_and_all_moves(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch, certain_at_once: None
) -> None:
    monkeypatch.setattr(windows, "WINDOW", 100)
    kind = "quorum" if rabbit.release == "3.10" else "classic"
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(500)
    await fill(rabbit, source, events)
    chosen: tuple[Delivery, ...] | None = None
    if rabbit.release == "3.10":
        # One by one: what was decided about when the connection is lost is decided about anew.
        async with RabbitMQConnector(rabbit.connection()) as connector:
            chosen = tuple(await browse(connector, source))
    made = await plan(rabbit, source, target, rate=500, selected=chosen)
    cut = False

    def tell(progress: Progress) -> None:
        # Nothing moves meanwhile.
        nonlocal cut
        end = time.monotonic() + DEADLINE
        while progress.moved and not cut:
            cut = close_listed_connections(rabbit) >= 2
            assert time.monotonic() < end

    ended = await run(rabbit, made, tell)
    assert (cut, ended.complete, ended.moved) == (True, True, len(events))
    await check(rabbit, made.id, source, target, events)


async def test_a_journal_that_the_disk_does_not_take_ends_the_move_and_loses_nothing(
    rabbit: Rabbit, certain_at_once: None
) -> None:
    source, target, events = rabbit.queue(), rabbit.queue(), persistent(400)
    await fill(rabbit, source, events)
    async with moving(rabbit, source, target, "disk", 200_000, WINDOW) as (id, process):
        assert await process.wait() == 0
    await given_back(rabbit, source, target, len(events))
    record = read_record(find_journal(id))
    assert 0 < record.counts.total < len(events)
    ended = await go_on_to_the_end(rabbit, id)
    assert (ended.complete, ended.moved) == (True, len(events))
    await check(rabbit, id, source, target, events)


# A broker of one's own.


@pytest.fixture(scope="module")
def mortal() -> Iterator[RabbitMQ]:
    """A broker of these tests' own; the other release is for the soak."""
    with RabbitMQ("moves") as broker:
        yield broker


@pytest.fixture
def doomed(mortal: RabbitMQ) -> Iterator[Rabbit]:
    """A virtual host there."""
    rabbit = new_vhost(mortal)
    yield rabbit
    rabbit.api.close()
    with suppress(AMQPError):
        rabbit.amqp.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_channel_that_is_closed_because_messages_are_held_too_long_is_replaced_and_all_moves(
    mortal: RabbitMQ, doomed: Rabbit, kind: str
) -> None:
    set_env = "application:set_env(rabbit, {}, {})"
    settings = {"channel_tick_interval": 200, "consumer_timeout": 1_200}
    mortal.rabbitmqctl("eval", ", ".join(set_env.format(*each) for each in settings.items()) + ".")
    try:
        source, target, events = doomed.queue(kind), doomed.queue(kind), persistent(50)
        await fill(doomed, source, events)
        # The first pass would hold the last of them for two seconds and a half.
        ended = await move(doomed, source, target, rate=20)
        assert ended.complete, ended
        # What was held too long comes back behind others.
        assert sorted(await held(doomed, target)) == sorted(bodies(events))
    finally:
        mortal.rabbitmqctl("eval", f"{set_env.format('consumer_timeout', 1_800_000)}.")


@pytest.mark.parametrize("kind", KINDS)
async def test_broker_that_is_killed_meanwhile_and_right_after_loses_nothing(
    mortal: RabbitMQ, doomed: Rabbit, kind: str
) -> None:
    source, target, events = doomed.queue(kind), doomed.queue(kind), persistent(4_000)
    await to_disk(mortal)
    await fill(doomed, source, events)
    made = await plan(doomed, source, target)
    begun, settled = asyncio.Event(), asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.moved:
            begun.set()
        if progress.phase == "making sure":
            settled.set()

    async with asyncio.TaskGroup() as group:
        moved = group.create_task(run(doomed, made, tell))
        await begun.wait()
        await asyncio.sleep(random.random() / 20)
        await restart(mortal)
        if kind == "classic":
            # It gives back what was acknowledged that shortly before; unless it took too long to start for the move.
            waiting = group.create_task(settled.wait())
            await asyncio.wait([waiting, moved], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await asyncio.sleep(0.05)
            await restart(mortal)
    ended = moved.result()
    if ended.state == "interrupted":
        ended = await go_on_to_the_end(doomed, made.id)
    assert ended.complete, ended
    again = new_vhost_like(doomed)
    try:
        await check(again, made.id, source, target, events)
    finally:
        again.api.close()
        again.amqp.close()


def new_vhost_like(rabbit: Rabbit) -> Rabbit:
    """The same virtual host, seen over new connections."""
    return Rabbit(rabbit.broker, rabbit.vhost)
