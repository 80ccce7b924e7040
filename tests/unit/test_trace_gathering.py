"""A trace gathered from the embedded broker: from logs, queues, the store, pointers, and what arrives."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from connectors.memory import Broker, embedded_broker
from connectors.memory.connector import MemoryConnector
from connectors.memory.queues import QueueSettings
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.guard import Guarded
from workbench.connecting.level import Level
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.endpoint import Endpoint
from workbench.model.errors import AccessRefused, ConnectorError, EndpointNotFound
from workbench.model.event import Delivery, Event, Position
from workbench.model.groups import Group
from workbench.model.look import Look
from workbench.model.start import Window
from workbench.operations.reading import Reading
from workbench.operations.trace import words
from workbench.operations.trace.following import arrivals
from workbench.operations.trace.forest import Trace, trace
from workbench.operations.trace.gathering import Gathering
from workbench.operations.trace.scope import Scope, survey
from workbench.operations.trace.seeds import Seed
from workbench.operations.trace.sightings import Sighting
from workbench.session import Session
from workbench.store.store import Store, open_store

FLOW = "7f3a90c2-1d5e-4b7a-9c64-0e2f4a5b6c7d"
NOON = 1_764_072_000_000


def event(id: str, cause: str | None = None, flow: str | None = FLOW, at: int = 0, body: bytes = b"{}") -> Event:
    said = {"message-id": id, "causation-id": cause, "correlation-id": flow}
    headers = tuple((name, value) for name, value in said.items() if value is not None)
    return Event(id.encode(), body, None, Content(headers), NOON + at)


class Shop:
    """Two brokers, one of queues and one of logs, and what can be traced on them."""

    def __init__(self, folder: Path) -> None:
        self.rabbit: Broker = embedded_broker(f"trace-r-{uuid4().hex}")
        self.kafka: Broker = embedded_broker(f"trace-k-{uuid4().hex}")
        self.folder = folder

    @asynccontextmanager
    async def tracing(
        self, seed: str, scope: Scope | None = None, level: Level | None = None, chosen: Sequence[str] | None = None
    ) -> AsyncIterator[tuple[Gathering, Session, Store]]:
        given = [
            Connection.parse(f"rabbit=memory://{self.rabbit.name}"),
            Connection.parse(f"kafka=memory://{self.kafka.name}"),
        ]
        given = [
            Connection(**{**{f: getattr(each, f) for f in each.__struct_fields__}, "level": level}) for each in given
        ]
        async with Session(given, ConfigFile()) as session, open_store(self.folder, reading=session.reading) as store:
            scope = scope or Scope(look=True)
            plan = await survey(session, scope)
            places = frozenset(chosen) if chosen else None
            yield Gathering(session, store, Seed.parse(seed), plan, scope, places), session, store

    async def traced(self, seed: str, scope: Scope | None = None, **how: object) -> Gathering:
        async with self.tracing(seed, scope, **how) as (gathering, _, _):  # type: ignore[arg-type]
            await gathering.run()
            return gathering


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def places(gathering: Gathering) -> list[str]:
    return [str(step.address) for step in gathering.trace.steps]


async def test_a_flow_is_gathered_from_logs_and_queues_of_all_connections(shop: Shop) -> None:
    shop.kafka.declare_topic("orders", 3)
    shop.rabbit.declare_topic("audit", kind="stream")
    shop.rabbit.declare_queue("stock")
    for number in range(50):
        shop.kafka.append("orders", event(f"other-{number}", flow=f"flow-{number}"))
    shop.kafka.append("orders", event("message-1"))
    shop.rabbit.append("audit", event("message-2", "message-1", at=5))
    shop.rabbit.send("stock", event("message-3", "message-2", at=9))
    found = await shop.traced(FLOW)
    assert places(found) == ["kafka/orders", "rabbit/audit", "rabbit/stock"]
    assert [step.link.cause if step.link else None for step in found.trace.steps] == [None, 0, 1]
    assert found.trace.steps[2].held and not found.trace.steps[0].held
    assert found.complete


async def test_a_queue_whose_look_costs_is_left_alone_and_told_unless_it_was_agreed_to(shop: Shop) -> None:
    shop.rabbit.declare_queue("stock")
    shop.rabbit.declare_queue("empty")
    shop.rabbit.send("stock", event("message-1"))
    found = await shop.traced(FLOW, Scope())
    assert not found.trace.steps and not found.complete
    assert [str(place) for place, _ in found.unseen] == ["rabbit/stock"]
    assert [str(address) for address, _ in found.plan.prices] == ["rabbit/stock"]
    assert found.plan.messages == 1
    assert len(shop.rabbit.queues["stock"].waiting()) == 1
    assert not shop.rabbit.queues["stock"].waiting()[0].returns


async def test_a_guard_that_allows_no_look_keeps_nobody_from_the_rest_and_is_told(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    shop.rabbit.declare_queue("stock")
    shop.kafka.append("orders", event("message-1"))
    shop.rabbit.send("stock", event("message-2", "message-1"))
    found = await shop.traced(FLOW, level=Level.OBSERVE)
    assert places(found) == ["kafka/orders"]
    [gap] = found.coverage[Address("rabbit", "stock")].gaps
    assert "guarded" in gap.reason
    assert not found.complete


async def test_queues_keep_their_messages_in_their_order(shop: Shop) -> None:
    shop.rabbit.declare_queue("stock")
    for number in range(20):
        shop.rabbit.send("stock", event(f"message-{number}"))
    await shop.traced(FLOW)
    waiting = [message.event.key for message in shop.rabbit.queues["stock"].waiting()]
    assert waiting == [f"message-{number}".encode() for number in range(20)]


async def test_what_consumers_hold_makes_a_hole(shop: Shop) -> None:
    shop.rabbit.declare_queue("stock")
    shop.rabbit.send("stock", event("message-1"))
    shop.rabbit.consume("stock").take(1, None)
    found = await shop.traced(FLOW)
    [gap] = found.coverage[Address("rabbit", "stock")].gaps
    assert (gap.what, gap.reason) == ("1 message", "held by consumers")
    assert not found.complete


async def test_a_reply_that_names_only_its_request_is_found_by_a_second_search(shop: Shop) -> None:
    shop.kafka.declare_topic("requests")
    shop.kafka.declare_topic("replies")
    shop.kafka.append("requests", event("request-0001"))
    shop.kafka.append("replies", event("reply-00001", flow="request-0001", at=3))
    found = await shop.traced(FLOW)
    assert places(found) == ["kafka/requests", "kafka/replies"]
    assert places(await shop.traced(FLOW, Scope(depth=0))) == ["kafka/requests"]


async def test_queues_are_browsed_once_however_many_ids_lead_on(shop: Shop) -> None:
    shop.rabbit.declare_queue("replies", QueueSettings(kind="quorum queue"))
    shop.rabbit.send("replies", event("request-0001"))
    shop.rabbit.send("replies", event("reply-00001", flow="request-0001", at=3))
    assert len((await shop.traced(FLOW)).trace.steps) == 2
    assert [message.returns for message in shop.rabbit.queues["replies"].waiting()] == [1, 1]


async def test_only_the_window_of_a_log_is_searched(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    shop.kafka.append("orders", event("message-1"))
    shop.kafka.append("orders", event("message-2", at=5000))
    assert len((await shop.traced(FLOW, Scope(window=Window(NOON + 1000)))).trace.steps) == 1
    assert len((await shop.traced(FLOW, Scope(window=Window(NOON, NOON + 1000)))).trace.steps) == 1


def dead_letter(topic: str, partition: int, offset: int, at: int = 9, **more: str) -> Event:
    said = {"dead-letter-topic": topic, "dead-letter-partition": str(partition), "dead-letter-offset": str(offset)}
    headers = tuple({**said, "dead-letter-reason": "declined", **more}.items())
    return Event(b"k", b"{}", None, Content(headers), NOON + at)


async def test_the_original_behind_a_pointer_is_fetched_whatever_its_time(shop: Shop) -> None:
    shop.kafka.declare_topic("payments", 2)
    shop.kafka.declare_topic("payments-dlt")
    shop.kafka.append("payments", event("message-0", flow="another-0001"), 1)
    shop.kafka.append("payments", event("message-1", flow=None), 1)
    shop.kafka.append("payments-dlt", dead_letter("payments", 1, 1, 5000, ticket="ticket-00001"))
    found = await shop.traced("ticket-00001", Scope(window=Window(NOON + 1000)))
    assert places(found) == ["kafka/payments", "kafka/payments-dlt"]
    assert found.trace.steps[1].link is not None and found.trace.steps[1].link.kind == "pointer"
    assert found.trace.stuck == 1


@pytest.mark.parametrize("known", [True, False])
async def test_a_dead_letter_without_any_id_is_found_by_its_pointer(shop: Shop, known: bool) -> None:
    shop.kafka.declare_topic("payments", 2)
    dead = shop.kafka.declare_topic("payments-dlt")
    if known:
        dead.dead_letters_of = ("payments",)
    shop.kafka.append("payments", event("message-1"), 1)
    for offset in range(30):
        shop.kafka.append("payments-dlt", dead_letter("payments", 0, offset))
    shop.kafka.append("payments-dlt", dead_letter("payments", 1, 0))
    found = await shop.traced(FLOW)
    assert places(found) == ["kafka/payments", "kafka/payments-dlt"]
    assert found.trace.steps[0].failed


async def test_an_original_that_is_gone_is_a_hole(shop: Shop) -> None:
    shop.kafka.declare_topic("payments-dlt")
    shop.kafka.append("payments-dlt", dead_letter("payments", 1, 7, ticket="ticket-00001"))
    found = await shop.traced("ticket-00001")
    assert places(found) == ["kafka/payments-dlt"]
    [gap] = found.coverage[Address("kafka", "payments")].gaps
    assert gap.what == "the original at 1:7"


async def test_a_dead_letter_that_a_group_has_read_waits_for_nobody(shop: Shop) -> None:
    shop.kafka.declare_topic("payments-dlt")
    shop.kafka.append("payments-dlt", dead_letter("payments", 1, 7, ticket="ticket-00001"))
    assert (await shop.traced("ticket-00001")).trace.stuck == 0
    shop.kafka.commit("redrive", "payments-dlt", 0, 1)
    found = await shop.traced("ticket-00001")
    assert found.trace.stuck is None
    assert found.passed_by(found.trace.steps[0].delivery) == ["redrive"]


async def test_a_number_that_stands_in_several_places_of_several_flows_is_listed_and_not_followed(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    shop.kafka.append("orders", event("message-1", body=b'{"orderId": 4711}'))
    shop.kafka.append("orders", event("message-2", flow="another-0001", body=b'{"qty": 4711}'))
    shop.kafka.append("orders", event("message-3", flow="another-0001", body=b'{"qty": 47110}'))
    found = await shop.traced("4711")
    assert [(place.name, place.events) for place in found.places] == [("body.orderId", 1), ("body.qty", 1)]
    assert not found.trace.steps
    assert len((await shop.traced("4711", chosen=["body.qty"])).trace.steps) == 2
    assert len((await shop.traced("body.orderId=4711")).trace.steps) == 1


async def test_what_was_looked_at_before_is_part_of_the_trace(shop: Shop) -> None:
    address = Address("rabbit", "orders")
    async with shop.tracing(FLOW) as (gathering, _, store):
        look = store.look(Look(address, "tail", NOON))
        await store.append(
            look, [Delivery(event("message-1"), address, NOON), Delivery(event("message-1"), address, NOON)]
        )
        await gathering.run()
        assert places(gathering) == ["rabbit/orders", "rabbit/orders"]
        assert [step.duplicate_of for step in gathering.trace.steps] == [None, 0]
        assert not any(step.held for step in gathering.trace.steps)


async def test_a_message_that_was_tapped_and_is_browsed_now_stands_once_and_waits(shop: Shop) -> None:
    shop.rabbit.declare_queue("orders")
    sent = event("message-1")
    shop.rabbit.send("orders", sent)
    address = Address("rabbit", "orders")
    async with shop.tracing(FLOW) as (gathering, session, store):
        tapped = store.look(Look(address, "tail", NOON))
        async with session.browse(address) as stream:
            [[delivery]] = [batch async for batch in stream]
        await store.append(tapped, [delivery])
        await gathering.run()
        assert [step.held for step in gathering.trace.steps] == [True]


async def test_a_connection_that_cannot_be_reached_is_told_and_the_others_are_traced(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    shop.kafka.append("orders", event("message-1"))
    given = [Connection.parse(f"kafka=memory://{shop.kafka.name}"), Connection.parse("away=amqp://127.0.0.1:1/")]
    async with Session(given) as session, open_store(shop.folder, reading=session.reading) as store:
        plan = await survey(session, Scope())
        gathering = Gathering(session, store, Seed(FLOW), plan, Scope())
        await gathering.run()
        assert places(gathering) == ["kafka/orders"]
        assert [place for place, _ in gathering.unseen] == ["away"]
        assert not gathering.complete


class LateConnector(MemoryConnector):
    """Lists all queues as empty, and knows better when it is asked for them; of one named `silent` it knows nothing."""

    async def endpoints(self) -> Sequence[Endpoint]:
        return [msgspec.structs.replace(each, depth=0) for each in await super().endpoints()]

    async def recount(self, queues: Sequence[Endpoint]) -> Sequence[Endpoint | ConnectorError]:
        return [await self._now(each.address) for each in queues]

    async def _now(self, address: Address) -> Endpoint | ConnectorError:
        if address.name == "gone":
            return EndpointNotFound("There is no gone.")
        if address.name == "silent":
            return ConnectorError("The broker does not answer.")
        return await self.endpoint(address)


class LateSession(Session):
    def connector_for(self, connection: Connection) -> Guarded:
        return Guarded(LateConnector(connection), connection)


async def test_a_queue_that_is_listed_as_empty_counts_as_empty_only_where_the_broker_says_so_again(shop: Shop) -> None:
    for name in ("empty", "full", "gone", "silent"):
        shop.rabbit.declare_queue(name)
    shop.rabbit.send("full", event("message-1"))
    async with LateSession([Connection.parse(f"rabbit=memory://{shop.rabbit.name}")]) as session:
        plan = await survey(session, Scope(look=True))
    assert [each.address.name for each in plan.queues] == ["full"]
    assert [str(address) for address, _ in plan.empty] == ["rabbit/empty"]
    [(silent, reason)] = plan.unseen
    assert str(silent) == "rabbit/silent" and "The broker does not answer." in reason


async def test_what_arrives_later_goes_on_with_the_story(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    shop.rabbit.declare_queue("stock")
    shop.kafka.append("orders", event("message-1"))
    async with shop.tracing(FLOW) as (gathering, session, _), arrivals(session, gathering.plan, True) as arriving:
        await gathering.run()
        shop.kafka.append("orders", event("other-0001", flow="another-0001"))
        shop.kafka.append("orders", event("message-2", "message-1", flow=None, at=5))
        async with asyncio.timeout(30):
            async for batch in arriving:
                if gathering.take(batch):
                    break
        await gathering.catch_up()
        assert places(gathering) == ["kafka/orders", "kafka/orders"]
        assert gathering.trace.steps[1].link is not None and gathering.trace.steps[1].link.known


async def test_what_was_stored_more_often_than_a_trace_has_events_hides_nothing_behind_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.operations.trace.gathering.MOST", 3)
    address = Address("kafka", "orders")
    async with shop.tracing(FLOW) as (gathering, _, store):
        look = store.look(Look(address, "browse", NOON))
        again = [Delivery(event("message-1"), address, NOON, Position("0", "0"))] * 5
        await store.append(look, [*again, Delivery(event("message-2"), address, NOON, Position("0", "1"))])
        await gathering.run()
        assert len(gathering.trace.steps) == 2 and not gathering.overflown


async def test_dead_letters_that_could_not_be_searched_for_are_a_hole(shop: Shop) -> None:
    shop.kafka.declare_topic("payments")
    shop.kafka.declare_topic("payments-dlt").dead_letters_of = ("payments",)
    shop.kafka.append("payments", event("message-1"))

    def stop_after_search() -> None:
        if gathering.trace.steps and gathering.progress is None:
            shop.kafka.stop()

    async with shop.tracing(FLOW, Scope(depth=0)) as (begun, session, store):
        gathering = Gathering(session, store, Seed.parse(FLOW), begun.plan, begun.scope, changed=stop_after_search)
        await gathering.run()
    assert [str(address) for address, covered in gathering.coverage.items() if covered.gaps] == ["kafka/payments-dlt"]
    assert not gathering.complete


async def test_dead_letters_that_are_too_many_are_a_hole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.kafka.declare_topic("payments")
    shop.kafka.declare_topic("payments-dlt").dead_letters_of = ("payments",)
    shop.kafka.append("payments", event("message-1"))
    for _ in range(3):
        shop.kafka.append("payments-dlt", Event(b"k", b"payments 0, and something else"))
    monkeypatch.setattr("workbench.operations.trace.gathering.MOST", 3)
    found = await shop.traced(FLOW)
    assert "no more than 3" in str(found.coverage[Address("kafka", "payments-dlt")])
    assert not found.complete and not found.overflown


async def test_originals_that_are_not_fetched_because_there_are_too_many_are_a_hole(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.operations.trace.gathering._FETCHED", 1)
    shop.kafka.declare_topic("payments")
    shop.kafka.declare_topic("payments-dlt")
    for offset in range(2):
        shop.kafka.append("payments", event(f"message-{offset}", flow=None))
        shop.kafka.append("payments-dlt", dead_letter("payments", 0, offset, ticket="ticket-00001"))
    found = await shop.traced("ticket-00001")
    assert len(found.trace.steps) == 3
    [gap] = found.coverage[Address("kafka", "payments")].gaps
    assert gap.what == "further originals"
    assert not found.complete


async def test_the_event_loop_goes_on_while_events_are_added(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.operations.trace.gathering._LONGEST", -1.0)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    shop.kafka.declare_topic("orders")
    for number in range(300):
        shop.kafka.append("orders", event(f"message-{number}"))
    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count_turns())
        found = await shop.traced(FLOW)
        counting.cancel()
    assert len(found.trace.steps) == 300
    assert turns >= 300


async def test_the_event_loop_goes_on_while_a_long_story_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = threading.Event()

    async def turn() -> None:
        while True:
            await asyncio.sleep(0)
            turned.set()

    def tell_after_a_turn(sightings: Sequence[Sighting]) -> Trace:
        if len(sightings) == 300:
            turned.clear()
            assert turned.wait(30)
        return trace(sightings)

    monkeypatch.setattr("workbench.operations.trace.gathering.trace", tell_after_a_turn)
    shop.kafka.declare_topic("orders")
    for number in range(300):
        shop.kafka.append("orders", event(f"message-{number}"))
    async with asyncio.TaskGroup() as group:
        turning = group.create_task(turn())
        found = await shop.traced(FLOW)
        turning.cancel()
    assert len(found.trace.steps) == 300


async def test_a_queue_whose_messages_are_all_held_is_looked_into_for_they_may_be_back(shop: Shop) -> None:
    shop.rabbit.declare_queue("stock")
    shop.rabbit.send("stock", event("message-1"))
    held = shop.rabbit.consume("stock")
    held.take(1, None)
    async with shop.tracing(FLOW) as (gathering, _, _):
        assert [each.address.name for each in gathering.plan.queues] == ["stock"]
        held.close()
        await gathering.run()
        assert len(gathering.trace.steps) == 1


async def test_of_batches_that_arrive_at_once_the_story_is_told_once(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    async with shop.tracing(FLOW) as (gathering, _, _):
        await gathering.run()
        before = gathering.trace
        for number in range(50):
            position = Position("0", str(number))
            assert gathering.take([Delivery(event(f"message-{number}"), Address("kafka", "orders"), NOON, position)])
            assert gathering.trace is before
        await gathering.catch_up()
        told = gathering.trace
        assert len(told.steps) == 50
        await gathering.catch_up()
        assert gathering.trace is told


async def test_a_dead_letter_whose_groups_cannot_be_asked_is_only_seen_last_there(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(self: MemoryConnector) -> list[Group]:
        raise AccessRefused("This user may not list the groups.")

    shop.kafka.declare_topic("payments-dlt")
    shop.kafka.append("payments-dlt", dead_letter("payments", 1, 7, ticket="ticket-00001"))
    monkeypatch.setattr(MemoryConnector, "groups", refused)
    found = (await shop.traced("ticket-00001")).trace
    assert found.stuck is None
    assert words.verdict(found, found.steps[0].time) == (
        "last seen in kafka/payments-dlt 0 ms ago; its consumer groups are not known"
    )
    assert "consumer groups not known" in words.notes_of(found, 0)


async def test_what_cannot_be_followed_is_told_and_counts_and_following_ends_with_it(shop: Shop) -> None:
    shop.kafka.declare_topic("orders")
    async with shop.tracing(FLOW) as (gathering, session, _):
        del shop.kafka.topics["orders"]
        async with arrivals(session, gathering.plan, True) as arriving, asyncio.timeout(30):
            told = [sentence async for _ in arriving for sentence in arriving.news()]
        assert [sentence.split(":")[0] for sentence in told] == ["kafka/orders is not followed"]
        assert not arriving.complete


async def test_events_that_were_deleted_before_they_arrived_are_told_while_a_trace_is_followed(shop: Shop) -> None:
    shop.kafka.declare_topic("orders", retention=1)
    async with shop.tracing(FLOW) as (gathering, session, _), arrivals(session, gathering.plan, True) as arriving:
        for number in range(3):
            shop.kafka.append("orders", event(f"message-{number}"))
        async with asyncio.timeout(30):
            async for batch in arriving:
                if batch:
                    break
        assert any("not seen" in sentence for sentence in arriving.news())
        assert not arriving.news()
        assert not arriving.complete


async def test_what_consumers_hold_is_a_gap_in_what_sagas_read(shop: Shop) -> None:
    shop.rabbit.declare_queue("stock")
    for number in range(2):
        shop.rabbit.send("stock", event(f"message-{number}"))
    shop.rabbit.consume("stock").take(1, None)
    async with shop.tracing(FLOW) as (gathering, session, _):
        reading = Reading(session, Window(), lambda *_: None)
        await reading.read(list(gathering.plan.queues))
    [gap] = reading.coverage[Address("rabbit", "stock")].gaps
    assert (gap.what, gap.reason) == ("1 message", "held by consumers")
