"""Moves between queues of RabbitMQ: what arrives, what stays, and in which order."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import pika
import pytest

from connectors.rabbitmq import RabbitMQConnector
from connectors.rabbitmq.topology import Topology
from tests.rabbitmq.conftest import DEADLINE, Rabbit, eventually
from tests.rabbitmq.doing import bodies, browse, publish_all
from tests.rabbitmq.moving import fill, go_on, held, move, persistent, plan, run
from tests.rabbitmq.test_bytes import FIELDS, wire
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.errors import AccessRefused, Unsupported
from workbench.model.event import Event
from workbench.model.wire import Wire, without_header
from workbench.operations.journal.operation import EntryState
from workbench.operations.journal.records import find_journal, read_entries, read_steps
from workbench.operations.move import moves, returns, windows
from workbench.operations.move import run as running
from workbench.operations.move.copies import REDRIVES, STAMP, stamp_of
from workbench.operations.move.moves import carry_out, plan_undo, undo
from workbench.operations.move.outcome import Progress
from workbench.operations.move.planning import Wanted, make_plan
from workbench.operations.move.words import plan_lines
from workbench.session import Session

KINDS = ("classic", "quorum")


@pytest.fixture(autouse=True)
def _certain_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # No broker is killed here.
    monkeypatch.setattr(running, "CERTAIN", 0.05)


def dead_letters(rabbit: Rabbit, origins: int, each: int, kind: str) -> tuple[Address, list[Address]]:
    """A queue of dead letters, and those that they came from."""
    dead = rabbit.queue(kind)
    table = {"x_dead_letter_exchange": "", "x_dead_letter_routing_key": dead.name}
    queues = [rabbit.queue(kind, **table) for _ in range(origins)]
    for number, queue in enumerate(queues):
        rabbit.publish(queue, *(b"%d of %d" % (count, number) for count in range(each)))
        channel = rabbit.amqp.channel()
        for _ in range(each):
            method, _, _ = channel.basic_get(queue.name)
            channel.basic_reject(method.delivery_tag, requeue=False)
        channel.close()
    return dead, queues


async def arrived(rabbit: Rabbit, queue: Address, count: int) -> None:
    async def there() -> bool:
        return rabbit.ready(queue) == count

    await eventually(there)


@pytest.mark.parametrize("kind", KINDS)
async def test_dead_letters_of_sixty_queues_go_back_each_to_its_own(rabbit: Rabbit, kind: str) -> None:
    # A quorum queue takes a while to make.
    count = 60 if kind == "classic" else 6
    dead, origins = dead_letters(rabbit, count, 2, kind)
    await arrived(rabbit, dead, 2 * count)
    made = await plan(rabbit, dead)
    assert (made.moving, {leg.address: leg.count for leg in made.legs}) == (2 * count, dict.fromkeys(origins, 2))
    ended = await run(rabbit, made)
    assert (ended.complete, ended.moved) == (True, 2 * count)
    assert rabbit.ready(dead) == 0
    for number, origin in enumerate(origins):
        assert rabbit.drain(origin, 2) == [b"0 of %d" % number, b"1 of %d" % number]


@pytest.mark.parametrize("kind", KINDS)
async def test_all_messages_of_a_queue_move_to_one_target_in_order(rabbit: Rabbit, kind: str) -> None:
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(3_500)
    await fill(rabbit, source, events)
    ended = await move(rabbit, source, target)
    assert (ended.complete, ended.moved, ended.twice) == (True, 3_500, 0)
    assert (rabbit.ready(source), await held(rabbit, target)) == (0, bodies(events))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_matches_goes_and_the_rest_stays_in_its_order(rabbit: Rabbit, kind: str) -> None:
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(600)
    await fill(rabbit, source, events)
    ended = await move(rabbit, source, target, query='body ~ "7"')
    assert (ended.complete, ended.moved) == (True, sum(b"7" in body for body in bodies(events)))
    assert await held(rabbit, target) == [body for body in bodies(events) if b"7" in body]
    assert await held(rabbit, source) == [body for body in bodies(events) if b"7" not in body]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_stays_is_held_by_many_claims_and_is_in_its_order_afterwards(
    rabbit: Rabbit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.rabbitmq.claims.MOST", 100)
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(450)
    await fill(rabbit, source, events)
    ended = await move(rabbit, source, target, query='body = "event 440"')
    assert (ended.complete, ended.moved) == (True, 1)
    assert await held(rabbit, target) == [b"event 440"]
    assert await held(rabbit, source) == [body for body in bodies(events) if body != b"event 440"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_plan_looks_as_far_as_it_is_told_to_and_the_queue_is_as_it_was(
    rabbit: Rabbit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("queue_browse", "unacked"):
        monkeypatch.setattr(f"connectors.rabbitmq.{module}.MOST", 100)
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(450)
    await fill(rabbit, source, events)
    query = 'body = "event 440"'
    short = await plan(rabbit, source, target, query=query)
    assert (short.examined, short.moving) == (100, 0)
    assert any("--look 450" in line.text for line in plan_lines(short))
    far = await plan(rabbit, source, target, query=query, look=450)
    assert (far.examined, far.moving) == (450, 1)
    assert rabbit.drain(source, 450) == bodies(events)


@pytest.mark.parametrize("kind", KINDS)
async def test_limit_takes_the_first_and_leaves_the_rest_in_its_order(rabbit: Rabbit, kind: str) -> None:
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(300)
    await fill(rabbit, source, events)
    made = await plan(rabbit, source, target, limit=10)
    assert made.moving == 10
    ended = await run(rabbit, made)
    assert (ended.complete, ended.moved) == (True, 10)
    assert await held(rabbit, target) == bodies(events[:10])
    assert await held(rabbit, source) == bodies(events[10:])


@pytest.mark.parametrize("kind", KINDS)
async def test_copy_is_the_original_byte_for_byte_but_for_its_stamps(rabbit: Rabbit, kind: str) -> None:
    source, target = rabbit.queue(kind), rabbit.queue(kind)
    # All properties but the user's, whose bytes stand before and behind the headers.
    some = b"\x03a/b" + b"\x04gzip"
    table = wire(*FIELDS).data[2:]
    rest = b"\x02\x04" + b"\x01c" + b"\x01r" + b"\x0560000" + b"\x01m" + b"\x00\x00\x00\x00i\x12\x00\x00" + b"\x01t"
    rest += b"\x01a" + b"\x01l"
    everything = Wire("amqp-0-9-1", b"\xff\xec" + some + table + rest)
    sent = [Event(body=b"\x00\xff", wire=wire(name)) for name in FIELDS]
    sent += [Event(body=b"", wire=everything), Event(body=b"x", wire=Wire("amqp-0-9-1", b"\x00\x00"))]
    await fill(rabbit, source, sent)
    ended = await move(rabbit, source, target)
    assert (ended.complete, ended.moved) == (True, len(sent))
    async with RabbitMQConnector(rabbit.connection()) as connector:
        copies = await browse(connector, target)
    assert [copy.event.body for copy in copies] == [each.body for each in sent]
    assert [stamp_of(copy.event) and stamp_of(copy.event)[1] for copy in copies] == [*range(len(sent))]  # type: ignore[index]
    seen = []
    for copy in copies:
        assert copy.event.wire is not None
        seen.append(without_header(without_header(copy.event.wire, STAMP), REDRIVES))
    assert seen == [each.wire for each in sent]


async def test_user_of_another_and_names_of_further_queues_stay_behind_and_the_plan_says_so(rabbit: Rabbit) -> None:
    source, target, further = rabbit.queue(), rabbit.queue(), rabbit.queue()
    rabbit.publish(source, b"one", user_id="guest", headers={"CC": [further.name], "kept": 1})
    assert rabbit.ready(further) == 1
    vhost = rabbit.vhost.replace("/", "%2F")
    rabbit.api.put("/api/users/mover", json={"password": "mover", "tags": "management"}).raise_for_status()
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    rabbit.api.put(f"/api/permissions/{vhost}/mover", json=everything).raise_for_status()
    connection = rabbit.connection(rabbit.url.replace("guest:guest", "mover:mover"))
    async with Session([connection]) as session:
        made = await make_plan(session, Wanted(source, target=target))
        ended = await carry_out(session, made)
    assert [sentence.partition(" stays behind: ")[0] for sentence in made.legs[0].removed] == [
        "header CC",
        "property user_id",
    ]
    assert ended.complete
    async with RabbitMQConnector(rabbit.connection()) as connector:
        (copy,) = await browse(connector, target)
    assert "user_id" not in copy.event.properties
    assert {name for name, _ in copy.event.headers} == {"kept", STAMP, REDRIVES}
    assert rabbit.ready(further) == 1


async def test_a_canary_that_watches_asks_its_source_alone_and_sees_what_comes_back(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "_LOOK", 0.01)
    source, target = rabbit.queue(), rabbit.queue()
    await fill(rabbit, source, persistent(10))
    made = await plan(rabbit, source, target, canary=(1, 2), watch=0.5)
    lists, settings = [0], Topology.settings
    looks: list[int] = []

    async def count(topology: Topology) -> object:
        lists[0] += 1
        return await settings(topology)

    def tell(progress: Progress) -> None:
        if progress.phase.startswith("watching"):
            looks.append(lists[0])
            if progress.moved == 3 and rabbit.ready(target) == 3:
                _, properties, body = rabbit.channel.basic_get(target.name, auto_ack=True)
                rabbit.channel.basic_publish("", source.name, body, properties)

    monkeypatch.setattr(Topology, "settings", count)
    ended = await run(rabbit, made, tell)
    assert (ended.state, ended.moved, ended.returned) == ("stopped", 3, 1)
    # One list of all queues for each step, and not for each of many looks.
    assert len({*looks}) == 2 < len(looks)


async def test_a_canary_that_stopped_is_resumed_with_further_messages_and_not_stopped_by_what_came_back_before(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(returns, "_LOOK", 0.01)
    source, target = rabbit.queue(), rabbit.queue()
    await fill(rabbit, source, persistent(10))
    # How long it may take until the first has come back.
    made = await plan(rabbit, source, target, canary=(1, 2), watch=DEADLINE)
    sent_back: list[bytes] = []

    def send_back(progress: Progress) -> None:
        if not sent_back and progress.phase.startswith("watching"):
            method, properties, body = rabbit.channel.basic_get(target.name, auto_ack=True)
            if method is not None:
                rabbit.channel.basic_publish("", source.name, body, properties)
                sent_back.append(body)

    ended = await run(rabbit, made, send_back)
    assert (ended.state, ended.moved, ended.returned) == ("stopped", 1, 1)
    # Nothing comes back any more.
    monkeypatch.setattr(moves, "_plan_of", lambda _: msgspec.structs.replace(made, watch=0.1))
    ended = await go_on(rabbit, made.id)
    # What came back before is told all the same.
    assert (ended.state, ended.moved, ended.returned) == ("done", 10, 1)
    assert await held(rabbit, source) == sent_back
    watched = [what.split()[0] for _, what in read_steps(find_journal(made.id))[0] if "watched" in what]
    assert watched == ["1", "2", "4"]


@pytest.mark.parametrize("kind", KINDS)
async def test_target_that_is_deleted_meanwhile_has_what_it_confirmed_and_the_rest_is_in_its_source(
    rabbit: Rabbit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW", 100)
    source, target, events = rabbit.queue(kind), rabbit.queue(kind), persistent(1_000)
    await fill(rabbit, source, events)
    deleted: list[object] = []

    def delete(progress: Progress) -> None:
        if progress.moved and not deleted:
            deleted.append(rabbit.channel.queue_delete(target.name))

    # At once it would be over before it is told.
    made = await plan(rabbit, source, target, rate=2_000)
    ended = await run(rabbit, made, delete)
    assert not ended.complete
    assert ended.moved + ended.failed == len(events)
    assert 0 < ended.failed < len(events)
    entries = list(read_entries(find_journal(made.id)))
    assert await held(rabbit, source) == [
        entry.message.event.body for entry in entries if entry.state == EntryState.FAILED
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_target_that_is_full_takes_what_it_can_and_the_rest_is_in_its_source(
    rabbit: Rabbit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW", 20)
    source = rabbit.queue(kind)
    target = rabbit.queue(kind, x_max_length=50, x_overflow="reject-publish")
    await fill(rabbit, source, persistent(200))
    ended = await move(rabbit, source, target)
    assert (ended.complete, ended.moved + ended.failed) == (False, 200)
    # A quorum queue notices a little late that it is full.
    assert 50 <= ended.moved < 200
    assert (rabbit.ready(target), rabbit.ready(source)) == (ended.moved, ended.failed)
    [(reason, count)] = ended.reasons
    assert ("full" in reason, count) == (True, ended.failed)


async def test_target_that_would_drop_its_oldest_is_refused_unless_forced(rabbit: Rabbit) -> None:
    source, target = rabbit.queue(), rabbit.queue(x_max_length=5)
    await fill(rabbit, source, persistent(20))
    with pytest.raises(Unsupported, match="what it confirms it may not keep"):
        await plan(rabbit, source, target)
    assert rabbit.ready(source) == 20
    made = await plan(rabbit, source, target, force=True)
    assert "what it confirms it may not keep" in made.warnings[-1]
    with pytest.raises(Unsupported, match="what it confirms it may not keep"):
        await run(rabbit, made)
    ended = await run(rabbit, made, force=True)
    assert (ended.moved, rabbit.ready(target)) == (20, 5)


async def test_exchange_that_hands_on_to_a_queue_that_would_drop_its_oldest_is_refused_unless_forced(
    rabbit: Rabbit,
) -> None:
    source, exchange, roomy, small = rabbit.queue(), rabbit.exchange(), rabbit.queue(), rabbit.queue(x_max_length=15)
    rabbit.bind(roomy, exchange, "#")
    await fill(rabbit, source, persistent(20))
    kept = await plan(rabbit, source, exchange)
    rabbit.bind(small, exchange, "#")
    with pytest.raises(Unsupported, match=f"{small} drops its oldest beyond 15 .* what it confirms it may not keep"):
        await plan(rabbit, source, exchange)
    with pytest.raises(Unsupported):
        await run(rabbit, kept)
    assert rabbit.ready(source) == 20
    made = await plan(rabbit, source, exchange, force=True)
    assert any("what it confirms it may not keep" in warning for warning in made.warnings)
    assert (await plan(rabbit, source, exchange, limit=15)).moving == 15


async def test_a_move_is_not_resumed_where_its_target_would_drop_its_oldest_now(rabbit: Rabbit) -> None:
    source, target = rabbit.queue(), rabbit.queue()
    await fill(rabbit, source, persistent(100))
    stopped = asyncio.Event()
    async with asyncio.timeout(DEADLINE), Session([rabbit.connection()]) as session:
        made = await make_plan(session, Wanted(source, target=target, rate=50))
        ended = await carry_out(session, made, lambda progress: stopped.set() if progress.moved else None, stopped)
    assert ended.state == "stopped" and 0 < ended.moved < 99
    # Policies do the same, but are told late.
    rabbit.channel.queue_delete(target.name)
    rabbit.channel.queue_declare(target.name, durable=True, arguments={"x-max-length": 1})
    with pytest.raises(Unsupported, match="drops its oldest beyond 1 "):
        await go_on(rabbit, made.id)
    assert rabbit.ready(target) == 0
    rabbit.channel.queue_delete(target.name)
    rabbit.channel.queue_declare(target.name, durable=True)
    before, ended = ended, await go_on(rabbit, made.id)
    assert (ended.moved, rabbit.ready(target)) == (100, 100 - before.moved)


async def test_what_might_drop_its_oldest_for_what_is_taken_back_is_said(rabbit: Rabbit) -> None:
    source, target = rabbit.queue(x_max_length_bytes=1_000_000), rabbit.queue()
    await fill(rabbit, source, persistent(10))
    made = await plan(rabbit, source, target)
    assert (await run(rabbit, made)).complete
    async with asyncio.timeout(DEADLINE), Session([rabbit.connection()]) as session:
        plans = await plan_undo(session, find_journal(made.id))
        assert any("what it confirms it may not keep" in line.text for line in plan_lines(plans[0]))
        [(_, ended)] = [each async for each in undo(session, find_journal(made.id), plans)]
    assert (ended.complete, rabbit.ready(source)) == (True, 10)


@pytest.mark.parametrize("purpose", ["move", "delete"])
async def test_nothing_is_taken_back_to_a_queue_that_would_drop_its_oldest_for_it(
    rabbit: Rabbit, purpose: Literal["move", "delete"]
) -> None:
    source, target = rabbit.queue(x_max_length=10), rabbit.queue()
    await fill(rabbit, source, persistent(10))
    connection = msgspec.structs.replace(rabbit.connection(), level=Level.DESTROY)
    async with asyncio.timeout(DEADLINE), Session([connection]) as session:
        wanted = Wanted(source, purpose, target=target if purpose == "move" else None, limit=5)
        made = await make_plan(session, wanted)
        assert (await carry_out(session, made)).complete
        await fill(rabbit, source, persistent(1, 10))
        journal = find_journal(made.id)
        with pytest.raises(Unsupported, match="drops its oldest beyond 10 "):
            await plan_undo(session, journal)
        assert rabbit.drain(source, 6) == bodies(persistent(6, 5))
        [(_, ended)] = [each async for each in undo(session, journal, await plan_undo(session, journal))]
    assert (ended.moved, ended.complete, rabbit.ready(source)) == (5, True, 5)


@pytest.mark.parametrize("purpose", ["move", "delete"])
async def test_keys_that_are_lost_in_taking_back_are_said(rabbit: Rabbit, purpose: Literal["move", "delete"]) -> None:
    source, target, exchange = rabbit.queue(), rabbit.queue(), rabbit.exchange()
    rabbit.bind(source, exchange, "#")
    rabbit.publish(exchange, b"0", key="order.placed")
    connection = msgspec.structs.replace(rabbit.connection(), level=Level.DESTROY)
    async with asyncio.timeout(DEADLINE), Session([connection]) as session:
        made = await make_plan(session, Wanted(source, purpose, target=target if purpose == "move" else None))
        assert (await carry_out(session, made)).complete
        plans = await plan_undo(session, find_journal(made.id))
    said = [line.text for line in plan_lines(plans[0])]
    assert f"{source} keeps no keys: its own name takes their place." in said


async def test_source_that_its_user_may_not_read_is_refused_and_target_that_may_not_be_written_keeps_the_source(
    rabbit: Rabbit,
) -> None:
    source, target = rabbit.queue(), rabbit.queue()
    await fill(rabbit, source, persistent(20))
    vhost = rabbit.vhost.replace("/", "%2F")
    rabbit.api.put("/api/users/confined", json={"password": "confined", "tags": "management"}).raise_for_status()

    async def moved_with(**rights: str) -> Any:
        permissions = {"configure": ".*", "write": ".*", "read": ".*"} | rights
        rabbit.api.put(f"/api/permissions/{vhost}/confined", json=permissions).raise_for_status()
        connection = rabbit.connection(rabbit.url.replace("guest:guest", "confined:confined"))
        async with Session([connection]) as session:
            return await carry_out(session, await make_plan(session, Wanted(source, target=target)))

    with pytest.raises(AccessRefused):
        await moved_with(read="^$")
    ended = await moved_with(write="^$")
    assert (ended.moved, ended.failed, rabbit.ready(source), rabbit.ready(target)) == (0, 20, 20, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_consumer_of_the_target_and_producer_of_the_source_go_on_meanwhile(rabbit: Rabbit, kind: str) -> None:
    source, target, events, further = rabbit.queue(kind), rabbit.queue(kind), persistent(4_000), persistent(500, 4_000)
    await fill(rabbit, source, events)
    made = await plan(rabbit, source, target)
    consumed: list[bytes] = []

    def consume() -> None:
        with pika.BlockingConnection(pika.URLParameters(rabbit.url)) as connection:
            channel = connection.channel()
            for method, _, body in channel.consume(target.name):
                channel.basic_ack(method.delivery_tag)
                consumed.append(body)
                if len(consumed) == len(events):
                    break
            channel.cancel()

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(consume))
        group.create_task(produce(rabbit, source, further))
        ended = await run(rabbit, made)
    assert (ended.complete, ended.moved) == (True, made.moving)
    assert consumed == bodies(events)
    assert await held(rabbit, source) == bodies(further)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_others_took_or_sent_meanwhile_is_said(rabbit: Rabbit, kind: str) -> None:
    source, target = rabbit.queue(kind), rabbit.queue(kind)
    await fill(rabbit, source, persistent(10))
    async with Session([rabbit.connection()]) as session:
        # Three come between the question how many there are and the look.
        further = [event.body or b"" for event in persistent(3, 10)]
        wanted = Wanted(source, target=target)
        made = await make_plan(session, wanted, on_price=lambda _: rabbit.publish(source, *further))
    assert made.depth >= made.moving == made.examined
    for event in persistent(4):
        assert rabbit.channel.basic_get(source.name, auto_ack=True)[2] == event.body
    ended = await run(rabbit, made)
    left = made.moving - 4
    assert (ended.state, ended.moved, ended.missing, ended.complete) == ("done", left, 4, False)
    assert ended.sentence.startswith(f"{left} moved, 0 failed, 4 no longer there in ")

    made = await plan(rabbit, target, source)
    rabbit.publish(target, b"new", b"newer")
    ended = await run(rabbit, made)
    assert (ended.moved, ended.complete) == (left, True)
    assert ended.why.startswith(f"{target} has got 2 messages meanwhile, sent to it or come back")


@pytest.mark.parametrize("phase", ["", "making sure"])
async def test_whoever_stops_a_move_is_not_kept_waiting_until_it_is_certain(
    rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    monkeypatch.setattr(running, "CERTAIN", 10 * DEADLINE)
    source, target = rabbit.queue(), rabbit.queue()
    await fill(rabbit, source, persistent(100))
    stopped = asyncio.Event()

    def stop(progress: Progress) -> None:
        if progress.moved and progress.phase == phase:
            stopped.set()

    async with asyncio.timeout(DEADLINE), Session([rabbit.connection()]) as session:
        # Without a rate it would be over before it is told.
        wanted = Wanted(source, target=target, rate=None if phase else 50)
        made = await make_plan(session, wanted)
        ended = await carry_out(session, made, stop, stopped)
    assert (ended.state, ended.why, ended.can_go_on) == ("stopped", "Stopped by its user.", True)
    monkeypatch.setattr(running, "CERTAIN", 0.05)
    ended = await go_on(rabbit, made.id)
    assert (ended.state, ended.moved, rabbit.ready(source)) == ("done", 100, 0)


async def produce(rabbit: Rabbit, queue: Address, events: Sequence[Event]) -> None:
    """Publish little by little."""
    async with RabbitMQConnector(rabbit.connection()) as connector:
        for begin in range(0, len(events), 50):
            await publish_all(connector, queue, events[begin : begin + 50])
