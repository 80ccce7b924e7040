"""Moves from Kafka to Kafka by the core, seen from outside by a consumer that reads what is committed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import DEADLINE, MakeTopic, admin, connect, make_topic
from tests.kafka.reading import BASE, publish, wait_until_decided
from workbench.connecting.config import Connection
from workbench.connecting.connector import LedgerConnector
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import Unsupported
from workbench.model.event import Delivery, Event
from workbench.operations.journal.journal import Journal
from workbench.operations.journal.operation import Operation
from workbench.operations.journal.records import find_journal, read_entries, read_steps
from workbench.operations.move import moves
from workbench.operations.move.moves import carry_out
from workbench.operations.move.outcome import Ended, Progress
from workbench.operations.move.passes import ledger_of
from workbench.operations.move.plan import Plan
from workbench.operations.move.planning import Wanted, make_plan
from workbench.session import Session


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def session(kafka: KafkaAddress) -> AsyncIterator[Session]:
    """A session with the shared broker, which it calls kafka."""
    given = msgspec.structs.replace(Connection.parse(f"kafka={kafka.url}"), level=Level.MOVE)
    async with Session([given]) as opened:
        yield opened


def dead(number: int, topic: str, partition: int = 0, *headers: tuple[str, Any], body: bytes | None = b"") -> Event:
    """A dead letter as Spring writes it: the numbers are bytes."""
    spring = (
        ("kafka_dlt-original-topic", topic.encode()),
        ("kafka_dlt-original-partition", partition.to_bytes(4, "big")),
        ("kafka_dlt-exception-message", b"why not"),
    )
    text = b'{"n":%d}' % number if body == b"" else body
    return Event(b"key-%d" % (number % 7), text, None, Content((*spring, *headers)), BASE + number)


async def seen_by_others(kafka: KafkaAddress, address: Address, count: int | None = None) -> list[Any]:
    """What a consumer gets that reads what is committed, by partition and offset: so many records, and no more."""
    async with connect(kafka.url) as connector:
        await wait_until_decided(connector, address)
    consumer = AIOKafkaConsumer(
        address.name,
        bootstrap_servers=kafka.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        async with asyncio.timeout(60):
            while any([await consumer.position(each) < ends[each] for each in places]):
                for some in (await consumer.getmany(timeout_ms=200)).values():
                    found += some
    finally:
        await consumer.stop()
    assert count in (None, len(found))
    return sorted(found, key=lambda each: (each.partition, each.offset))


def own_headers(record: Any) -> list[tuple[str, bytes | None]]:
    """The headers of a record, but for those of a move."""
    return [each for each in record.headers if not each[0].startswith("workbench-")]


async def move(session: Session, source: Address, **wanted: Any) -> tuple[Plan, Ended]:
    """Plan and carry out."""
    plan = await make_plan(session, Wanted(source, **wanted))
    return plan, await carry_out(session, plan)


async def browsed(session: Session, address: Address) -> list[Delivery]:
    """Everything that is there."""
    async with session.browse(address) as stream:
        return [delivery async for batch in stream for delivery in batch]


@pytest.mark.parametrize(
    ("settings", "keeps"),
    [
        ({"retention_ms": "1800000"}, False),
        ({"retention_ms": "1800000", "message_timestamp_type": "LogAppendTime"}, True),
        ({"retention_ms": "1800000", "cleanup_policy": "compact"}, True),
        ({"retention_ms": "-1"}, True),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
async def test_what_is_older_than_its_target_keeps_events_is_not_deleted_again(
    session: Session,
    connector: KafkaConnector,
    kafka: KafkaAddress,
    topic: MakeTopic,
    settings: dict[str, str],
    keeps: bool,
) -> None:
    source, target = await topic(1), await topic(1, **settings)
    # Their times are more than an hour ago.
    await publish(connector, source, [dead(number, "gone") for number in range(5)])
    begun = time.time_ns() // 1_000_000
    plan, ended = await move(session, source, target=target)
    assert ended.complete
    says = [what for what in plan.legs[0].removed if what.startswith("an event's own time stays behind")]
    found = await seen_by_others(kafka, target, 5)
    if keeps:
        assert not says
        if "message_timestamp_type" not in settings:
            assert [each.timestamp for each in found] == [BASE + number for number in range(5)]
    else:
        assert len(says) == 1
        assert all(each.timestamp >= begun for each in found)


async def test_dead_letters_go_back_each_once_and_whole(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(3), await topic(4)
    letters = [
        dead(number, origin.name, number % 3, ("none", None), ("raw", b"\xff\x00"), ("twice", b"1"), ("twice", b"2"))
        for number in range(2_500)
    ]
    letters[7] = dead(7, origin.name, 1, body=None)
    letters[8] = Event(None, b"", None, letters[8].written, BASE + 8)
    await publish(connector, source, letters)
    plan, ended = await move(session, source)
    assert (plan.guarantee, plan.verb, plan.moving) == ("exactly once", "copy", 2_500)
    assert (ended.state, ended.verb, ended.moved, ended.complete) == ("done", "copied", 2_500, True), ended
    found = await seen_by_others(kafka, origin, 2_500)
    by_number = {each.timestamp - BASE: each for each in found}
    for number, letter in enumerate(letters):
        copy = by_number[number]
        assert (copy.key, copy.value, own_headers(copy)) == (letter.key, letter.body, list(letter.written.headers))
        # Where it failed, and not where its key would send it.
        assert copy.partition == (1 if number == 7 else number % 3)
    stamps = {dict(each.headers)["workbench-move"].decode() for each in found}
    assert stamps == {f"{plan.id}/{number}" for number in range(2_500)}
    assert {dict(each.headers)["workbench-redrives"] for each in found} == {b"1"}
    assert len(await browsed(session, source)) == 2_500


async def test_the_ledger_is_a_group_that_others_see(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic(2)
    await publish(connector, source, [dead(number, origin.name) for number in range(50)])
    plan, _ = await move(session, source)
    await wait_until_decided(connector, origin)
    group = await connector.group(f"workbench-move-{plan.id}")
    assert (group.name, group.lag, group.state) == (ledger_of(plan.id), 0, "Empty")
    assert {each.partition: each.committed for each in group.partitions} == plan.ends
    async with admin(kafka.bootstrap) as client:
        offsets = await client.list_consumer_group_offsets(group.name)
    assert {each.metadata for each in offsets.values()} == {ledger_of(plan.id)}


async def test_one_target_takes_all_by_their_keys(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    target, source = await topic(5), await topic(8)
    await publish(connector, source, [dead(number, "gone", number % 8) for number in range(3_000)])
    plan, ended = await move(session, source, target=target)
    assert (plan.guarantee, ended.moved, ended.complete) == ("exactly once", 3_000, True)
    numbers: dict[bytes, list[int]] = {}
    partitions: dict[bytes, set[int]] = {}
    for each in await seen_by_others(kafka, target, 3_000):
        numbers.setdefault(each.key, []).append(each.timestamp - BASE)
        partitions.setdefault(each.key, set()).add(each.partition)
    assert all(some == sorted(some) for some in numbers.values())
    assert all(len(some) == 1 for some in partitions.values())


async def test_only_what_matches_and_no_more_than_the_limit(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic()
    await publish(connector, source, [dead(number, origin.name) for number in range(40)])
    plan, ended = await move(session, source, query="body.n >= 10", limit=5)
    assert (plan.scope, plan.examined, plan.moving, plan.not_matching) == ("matching", 40, 5, 35)
    assert (ended.moved, ended.complete) == (5, True)
    assert [each.timestamp - BASE for each in await seen_by_others(kafka, origin, 5)] == [10, 11, 12, 13, 14]
    # What is beyond the limit was not passed over: the ledger says how far it is.
    assert [each.committed for each in (await connector.group(ledger_of(plan.id))).partitions] == ["15"]


async def test_selected_ones_are_copied_alone(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic(3)
    await publish(connector, source, [dead(number, origin.name) for number in range(60)])
    selected = tuple((await browsed(session, source))[10:40:9])
    plan, ended = await move(session, source, selected=selected)
    assert (plan.scope, plan.moving, plan.guarantee) == ("selected", 4, "at least once")
    assert (ended.moved, ended.missing, ended.complete) == (4, 0, True)
    found = await seen_by_others(kafka, origin, 4)
    assert {each.value for each in found} == {each.event.body for each in selected}


async def test_nothing_newer_than_the_plan_is_copied(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic(2)
    await publish(connector, source, [dead(number, origin.name) for number in range(20)])
    plan = await make_plan(session, Wanted(source))
    await publish(connector, source, [dead(number, origin.name) for number in range(20, 30)])
    ended = await carry_out(session, plan)
    assert (ended.moved, ended.complete) == (20, True)
    assert sorted(each.timestamp - BASE for each in await seen_by_others(kafka, origin, 20)) == list(range(20))


async def test_a_second_move_leaves_out_what_the_first_has_copied(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic()
    await publish(connector, source, [dead(number, origin.name) for number in range(20)])
    await move(session, source, limit=15)
    await publish(connector, source, [dead(20, origin.name)])
    plan, ended = await move(session, source)
    assert (plan.moving, plan.moved_before, ended.moved) == (6, 15, 6)
    assert sorted(each.timestamp - BASE for each in await seen_by_others(kafka, origin, 21)) == list(range(21))
    again, ended = await move(session, source, again=True)
    assert (again.moving, again.moved_before, ended.moved) == (21, 0, 21)
    await seen_by_others(kafka, origin, 42)


async def test_what_cannot_go_stays_and_the_rest_goes(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(max_message_bytes="5000"), await topic()
    letters = [dead(number, origin.name) for number in range(6)]
    letters[1] = dead(1, origin.name, body=b"x" * 6_000)
    letters[2] = dead(2, f"{origin.name}-that-was")
    letters[3] = dead(3, origin.name, 0, ("workbench-redrives", b"5"))
    letters[4] = Event(b"key", b"no dead letter", None, Content(), BASE + 4)
    await publish(connector, source, letters)
    plan, ended = await move(session, source)
    assert (plan.moving, sum(each.count for each in plan.stays)) == (2, 4)
    reasons = sorted(each.reason for each in plan.stays)
    assert "it came from the topic" in reasons[0] and "which is not there" in reasons[0]
    assert reasons[1] == "it takes more than 6,005 bytes, and 5,000 are allowed (max.message.bytes)"
    assert reasons[2] == "it was moved 5 times already, and came back each time"
    assert reasons[3] == "nothing in it says where it came from"
    assert (ended.moved, ended.left, ended.failed, ended.complete) == (2, 4, 0, False)
    assert [each.timestamp - BASE for each in await seen_by_others(kafka, origin, 2)] == [0, 5]


async def test_each_goes_to_its_own_origin_over_one_connection(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origins, source = [await topic() for _ in range(4)], await topic(2)
    await publish(connector, source, [dead(number, origins[number % 4].name) for number in range(400)])
    plan, ended = await move(session, source)
    assert ({leg.address: leg.count for leg in plan.legs}, ended.moved) == (dict.fromkeys(origins, 100), 400)
    for index, origin in enumerate(origins):
        numbers = [each.timestamp - BASE for each in await seen_by_others(kafka, origin, 100)]
        assert sorted(numbers) == list(range(index, 400, 4))


async def test_a_target_that_refuses_one_takes_the_others(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    # The rules count the body and the key; the broker counts all of it.
    origin, source = await topic(max_message_bytes="5000"), await topic()
    letters = [
        dead(number, origin.name, 0, ("long", b"." * 4_900)) if number == 5 else dead(number, origin.name)
        for number in range(9)
    ]
    await publish(connector, source, letters)
    plan, ended = await move(session, source)
    assert (plan.moving, ended.moved, ended.failed, ended.complete) == (9, 8, 1, False)
    [(reason, count)] = ended.reasons
    assert count == 1 and "max.message.bytes" in reason
    await seen_by_others(kafka, origin, 8)
    [entry] = read_entries(find_journal(plan.id), 3)
    assert entry.message.event.body == b'{"n":5}'
    # The journal names it, and the next move tries it again.
    next_plan = await make_plan(session, Wanted(source))
    assert (next_plan.moving, next_plan.moved_before) == (1, 8)


async def test_who_stops_it_can_go_on_later(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic(3)
    await publish(connector, source, [dead(number, origin.name) for number in range(5_000)])
    plan = await make_plan(session, Wanted(source, rate=5_000.0))
    stopped = asyncio.Event()

    def tell(progress: Progress) -> None:
        if progress.moved:
            stopped.set()

    ended = await carry_out(session, plan, tell, stopped)
    assert (ended.state, ended.open) == ("stopped", 0)
    assert 0 < ended.moved < 5_000
    await seen_by_others(kafka, origin, ended.moved)
    ended = await moves.resume(session, find_journal(plan.id))
    assert (ended.state, ended.moved, ended.complete) == ("done", 5_000, True)
    found = await seen_by_others(kafka, origin, 5_000)
    assert len({each.timestamp for each in found}) == 5_000


async def test_a_ledger_that_another_has_taken_over_decides_nothing(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic()
    await publish(connector, source, [dead(number, origin.name) for number in range(3_000)])
    plan = await make_plan(session, Wanted(source, rate=2_000.0))
    assert isinstance(connector, LedgerConnector)
    intruded = asyncio.Event()

    async def intrude() -> None:
        await intruded.wait()
        async with connector.transaction(ledger_of(plan.id)):
            pass

    def tell(progress: Progress) -> None:
        if progress.moved:
            intruded.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(intrude())
        ended = await carry_out(session, plan, tell)
    # It takes the ledger back, and what was undone is done again.
    assert (ended.state, ended.moved, ended.twice) == ("done", 3_000, 0), ended
    found = await seen_by_others(kafka, origin, 3_000)
    assert len({each.timestamp for each in found}) == 3_000


async def dead_letter_again(kafka: KafkaAddress, origin: Address, source: Address) -> None:
    """A consumer that understands nothing: what it reads is dead-lettered as it came."""
    consumer = AIOKafkaConsumer(origin.name, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    async with AsyncExitStack() as stack:
        await consumer.start()
        stack.push_async_callback(consumer.stop)
        await producer.start()
        stack.push_async_callback(producer.stop)
        while True:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                for each in records:
                    await producer.send_and_wait(source.name, each.value, each.key, headers=list(each.headers))


async def test_a_canary_stops_when_what_it_moved_comes_back(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic()
    await publish(connector, source, [dead(number, origin.name) for number in range(100)])
    plan = await make_plan(session, Wanted(source, canary=(1, 5, 20), watch=DEADLINE))
    async with asyncio.TaskGroup() as group:
        consuming = group.create_task(dead_letter_again(kafka, origin, source))
        ended = await carry_out(session, plan)
        consuming.cancel()
    assert (ended.state, ended.moved, ended.returned, ended.complete) == ("stopped", 1, 1, False)
    assert ended.why == f"Stopped: 1 message came back to {source}."
    await seen_by_others(kafka, origin, 1)


async def test_a_canary_of_which_nothing_comes_back_moves_all(
    session: Session, connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    origin, source = await topic(), await topic(3)
    await publish(connector, source, [dead(number, origin.name) for number in range(100)])
    plan, ended = await move(session, source, canary=(1, 5, 20), watch=0.1)
    assert (ended.state, ended.moved, ended.returned, ended.complete) == ("done", 100, 0, True)
    found = await seen_by_others(kafka, origin, 100)
    assert len({each.timestamp for each in found}) == 100
    steps, _ = read_steps(find_journal(plan.id))
    watched = [what for _, what in steps if "watched" in what]
    assert watched == [f"{count} copied, and watched for 0.1 s" for count in (1, 6, 26)]


async def test_a_topic_that_was_made_anew_is_another_though_it_has_the_same_positions(
    kafka: KafkaAddress, session: Session
) -> None:
    origin, source = await make_topic(kafka.bootstrap), await make_topic(kafka.bootstrap)
    letters = [dead(number, origin.name) for number in range(3)]
    async with connect(kafka.url) as connector:
        await publish(connector, source, letters)
    first = await make_plan(session, Wanted(source))
    assert (await moves.carry_out(session, first)).moved == 3
    assert (await make_plan(session, Wanted(source))).moved_before == 3
    old = await make_plan(session, Wanted(source, again=True))
    async with admin(kafka.bootstrap) as client:
        await client.delete_topics([source.name])
    await make_topic(kafka.bootstrap, called=source.name)
    async with connect(kafka.url) as connector:
        await publish(connector, source, letters)
    anew = await make_plan(session, Wanted(source))
    assert (anew.moving, anew.moved_before) == (3, 0)
    with pytest.raises(Unsupported, match="deleted, and made anew"):
        await moves.carry_out(session, old)
    encoded = msgspec.msgpack.encode(old)
    Journal.create(Operation(old.id, "move", 1, "me@here", source, old.identity, old.title, encoded)).close()
    with pytest.raises(Unsupported, match="deleted, and made anew"):
        await moves.resume(session, find_journal(old.id))
