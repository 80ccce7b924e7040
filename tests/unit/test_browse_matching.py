"""A browse that shows what a search by bytes finds: the same as one that asks the query of every event."""

import random
from collections.abc import Sequence
from uuid import uuid4

import pytest

from connectors.memory import embedded_broker
from workbench.connecting.config import Connection
from workbench.model.address import Address
from workbench.model.errors import ConnectionLost
from workbench.model.event import Delivery, Event, Position
from workbench.model.look import Coverage
from workbench.model.start import At, Beginning, Latest, Since, Start
from workbench.operations.browse_matching import browse_matching, searchable
from workbench.session import Session

TOPIC = Address("m", "orders")


def session_of_new_broker() -> Session:
    name = f"browse-{uuid4().hex}"
    embedded_broker(name).declare_topic("orders", 3)
    return Session([Connection.parse(f"m=memory://{name}")])


def publish(session: Session, events: Sequence[Event]) -> None:
    broker = embedded_broker(session.describe("m").hosts[0][0])
    for event in events:
        broker.append("orders", event)


async def shown(
    session: Session, query: str, start: Start, until: int | None = None, limit: int | None = None
) -> tuple[list[Delivery], Coverage]:
    endpoint = await (await session.connector("m")).endpoint(TOPIC)
    asked = session.query(query)
    assert searchable(session, endpoint, asked, start)
    async with browse_matching(session, [endpoint], asked, start, until, limit) as streams:
        stream = streams[TOPIC]
        seen = [delivery async for batch in stream for delivery in batch]
        return [each for each in seen if asked.matches(each)][:limit], stream.coverage


async def browsed(session: Session, query: str, start: Start) -> list[Delivery]:
    asked = session.query(query)
    async with session.browse(TOPIC, start) as stream:
        return [delivery async for batch in stream for delivery in batch if asked.matches(delivery)]


def places(deliveries: Sequence[Delivery]) -> list[Position | None]:
    return [delivery.position for delivery in deliveries]


@pytest.mark.parametrize("start", [Beginning(), Since(1_000_300)])
async def test_the_same_is_shown_in_the_same_order(start: Start) -> None:
    chance = random.Random(5)
    events = [
        Event(b"%d" % number, b'{"word": "%s"}' % chance.choice([b"needle", b"hay"]), timestamp=1_000_000 + number)
        for number in range(2_000)
    ]
    async with session_of_new_broker() as session:
        publish(session, events)
        wanted = await browsed(session, "needle", start)
        assert len(wanted) > 500
        seen, coverage = await shown(session, "needle", start)
        assert places(seen) == places(wanted)
        assert coverage.complete and coverage.read == 2_000
        seen, _ = await shown(session, "needle", start, limit=7)
        assert places(seen) == places(wanted[:7])
        seen, _ = await shown(session, "needle", start, until=1_000_700)
        assert places(seen) == places([each for each in wanted if each.time[0] < 1_000_700])


async def test_where_much_matches_it_is_read_one_after_the_other() -> None:
    async with session_of_new_broker() as session:
        publish(session, [Event(b"%d" % number, b"needle", timestamp=number) for number in range(30_000)])
        seen, coverage = await shown(session, "needle", Beginning(), limit=5)
        assert [delivery.event.timestamp for delivery in seen] == [0, 1, 2, 3, 4]
        assert len(coverage.spans) == 3
    async with session_of_new_broker() as session:
        publish(session, [Event(b"%d" % number, b"needle" * 200_000, timestamp=number) for number in range(40)])
        seen, coverage = await shown(session, "needle", Beginning())
        assert [delivery.event.timestamp for delivery in seen] == list(range(40))
        assert coverage.read == 40


async def test_what_was_found_is_shown_before_the_error_that_ends_the_search() -> None:
    async with session_of_new_broker() as session:
        publish(session, [Event(b"1", b"needle", timestamp=1)])
        endpoint = await (await session.connector("m")).endpoint(TOPIC)
        embedded_broker(session.describe("m").hosts[0][0]).stop()
        with pytest.raises(ConnectionLost):
            async with browse_matching(session, [endpoint], session.query("needle"), Beginning(), None, None) as found:
                stream = found[TOPIC]
                async for _ in stream:
                    pass
        assert not stream.coverage.complete


async def test_only_a_search_from_the_beginning_or_a_time_for_what_bytes_tell_is_one_by_bytes() -> None:
    async with session_of_new_broker() as session:
        endpoint = await (await session.connector("m")).endpoint(TOPIC)
        for start in (None, Latest(), At(Position("0", "0"))):
            assert not searchable(session, endpoint, session.query("needle"), start)
        assert not searchable(session, endpoint, session.query("time exists"), Beginning())
        assert searchable(session, endpoint, session.query("needle"), Beginning())


async def test_many_small_matches_are_no_more_held_than_few_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.operations.browse_matching._MOST", 100_000)
    async with session_of_new_broker() as session:
        publish(session, [Event(b"", b"needle", timestamp=number) for number in range(1_000)])
        publish(session, [Event(b"", b"hay", timestamp=2_000)])
        endpoint = await (await session.connector("m")).endpoint(TOPIC)
        async with browse_matching(session, [endpoint], session.query("needle"), Beginning(), None, None) as found:
            bodies = [delivery.event.body async for batch in found[TOPIC] for delivery in batch]
        assert b"hay" in bodies


async def test_several_topics_are_searched_at_once_whatever_the_number_of_matches_in_one_of_them() -> None:
    other = Address("m", "payments")
    async with session_of_new_broker() as session:
        embedded_broker(session.describe("m").hosts[0][0]).declare_topic("payments", 2)
        publish(session, [Event(b"%d" % number, b"needle", timestamp=number) for number in range(30_000)])
        for number in range(1_000):
            body = b"a needle" if number % 100 == 7 else b"hay"
            event = Event(b"%d" % number, body, timestamp=number)
            embedded_broker(session.describe("m").hosts[0][0]).append("payments", event)
        connector = await session.connector("m")
        endpoints = [await connector.endpoint(address) for address in (other, TOPIC)]
        async with browse_matching(session, endpoints, session.query("needle"), Beginning(), None, 5) as streams:
            found = [delivery async for batch in streams[other] for delivery in batch]
            assert [int(each.event.key or b"") for each in found] == [7, 107, 207, 307, 407]
            assert streams[other].coverage.read == 1_000
            assert streams[TOPIC].coverage.read > 0
            async for batch in streams[TOPIC]:
                assert [each.event.timestamp for each in batch][:5] == [0, 1, 2, 3, 4]
                break
