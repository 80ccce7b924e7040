"""Searching several logs of several connections at once."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from connectors.memory import Broker, embedded_broker
from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import ConnectionLost
from workbench.model.event import Delivery, Event
from workbench.model.start import Window
from workbench.operations.search import Search, estimate, search, search_bytes
from workbench.session import Session
from workbench.store.workers import Workers

MASKED = ConfigFile(masks=("body.card",))


@pytest.fixture
def brokers() -> tuple[Broker, Broker]:
    """Two with a log that can be searched by bytes, the first with another that is read."""
    one, other = embedded_broker(f"search-{uuid4().hex}"), embedded_broker(f"search-{uuid4().hex}")
    one.declare_topic("orders", 3)
    one.declare_topic("audit", 1, kind="stream")
    other.declare_topic("payments", 2)
    return one, other


@asynccontextmanager
async def opened(
    brokers: Sequence[Broker], config: ConfigFile | None = None
) -> AsyncIterator[tuple[Session, Sequence[Endpoint]]]:
    """A session with all of them, and what they have."""
    given = [Connection.parse(f"{name}=memory://{broker.name}") for name, broker in zip("ab", brokers, strict=False)]
    async with Session(given, config) as session:
        endpoints = [each for name in session.names for each in await (await session.connector(name)).endpoints()]
        yield session, endpoints


async def everything(found: Search) -> list[Delivery]:
    return [delivery async for batch in found for delivery in batch]


def bodies(found: Sequence[Delivery]) -> list[tuple[str, bytes | None]]:
    return sorted((str(each.address), each.event.body) for each in found)


async def test_all_logs_of_all_connections_are_searched(brokers: tuple[Broker, Broker]) -> None:
    for broker, topic in ((brokers[0], "orders"), (brokers[0], "audit"), (brokers[1], "payments")):
        for number in range(600):
            broker.append(topic, Event(b"%d" % number, b'{"orderId": "o-%d"}' % number))
    async with opened(brokers) as (session, endpoints):
        async with search(session, endpoints, session.query("body.orderId = o-17 or body.orderId = o-512")) as found:
            assert (found.progress.done, found.progress.total) == (0, 1800)
            seen = await everything(found)
        names = ("a/audit", "a/orders", "b/payments")
        assert bodies(seen) == [(name, b'{"orderId": "o-%d"}' % number) for name in names for number in (17, 512)]
        assert (found.progress.done, found.progress.total) == (1800, 1800)
        assert {str(address): covered.read for address, covered in found.coverage.items()} == dict.fromkeys(names, 600)
        assert {str(address): count for address, count in found.found.items()} == dict.fromkeys(names, 2)
        assert {str(address) for address in found.scanned} == {"a/orders", "b/payments"}
        assert found.complete and not found.errors


async def test_the_exact_query_has_the_last_word(brokers: tuple[Broker, Broker]) -> None:
    near = [b'{"orderId": "o-17x"}', b'{"other": "o-17"}', b'{"note": "orderId o-17"}', b"o-17"]
    for body in (*near, rb'{"orderId": "\u006f-17"}'):
        brokers[0].append("orders", Event(body=body))
    async with opened(brokers) as (session, endpoints):
        async with search(session, endpoints, session.query("body.orderId = o-17")) as found:
            assert bodies(await everything(found)) == [("a/orders", rb'{"orderId": "\u006f-17"}')]
        async with search_bytes(session, endpoints, ((b"o-17",),)) as raw:
            assert len(await everything(raw)) == 5


async def test_what_bytes_cannot_tell_is_decoded(brokers: tuple[Broker, Broker]) -> None:
    for total in range(1000):
        brokers[0].append("orders", Event(body=b'{"total": %d}' % total))
    brokers[0].append("orders", Event(body=gzip.compress(b'{"total": 2000, "id": "o-17"}')))
    async with opened(brokers) as (session, endpoints):
        async with search(session, endpoints, session.query("body.total > 990")) as found:
            assert len(await everything(found)) == 10
        async with search(session, endpoints, session.query("body.id = o-17")) as found:
            assert len(await everything(found)) == 1


async def test_only_events_of_the_window_are_found(brokers: tuple[Broker, Broker]) -> None:
    for topic in ("orders", "audit"):
        for time in range(1000, 1100):
            brokers[0].append(topic, Event(b"k", b"word", timestamp=time))
    for text in ("word", "body exists"):
        async with opened(brokers) as (session, endpoints):
            async with search(session, endpoints, session.query(text), Window(1010, 1019)) as found:
                times = [delivery.event.timestamp for delivery in await everything(found)]
            assert times.count(1010) == times.count(1019) == 2 and len(times) == 20


async def test_a_search_ends_with_as_many_as_are_wanted_and_says_that_it_was_stopped(
    brokers: tuple[Broker, Broker],
) -> None:
    for number in range(5000):
        brokers[0].append("orders", Event(b"%d" % number, b"word"))
    async with opened(brokers) as (session, endpoints):
        async with search(session, endpoints, session.query("word"), limit=7) as found:
            assert len(await everything(found)) == 7
        assert not found.complete
        assert "the search was stopped" in " ".join(map(str, found.coverage.values()))


async def test_a_search_that_is_stopped_ends(brokers: tuple[Broker, Broker]) -> None:
    for number in range(5000):
        brokers[0].append("orders", Event(b"%d" % number, b"word"))
    async with opened(brokers) as (session, endpoints):
        async with search(session, endpoints, session.query("word")) as found, asyncio.timeout(10):
            seen = 0
            async for batch in found:
                seen += len(batch)
                found.stop()
        assert 0 < seen < 5000 and not found.complete


async def test_what_is_wrong_with_one_connection_keeps_no_other_from_going_on(brokers: tuple[Broker, Broker]) -> None:
    for broker, topic in ((brokers[0], "orders"), (brokers[1], "payments")):
        broker.append(topic, Event(b"k", b"word"))
    async with opened(brokers) as (session, endpoints):
        brokers[0].stop()
        async with search(session, endpoints, session.query("word")) as found:
            assert bodies(await everything(found)) == [("b/payments", b"word")]
        assert not found.complete
        assert {str(address): type(error) for address, error in found.errors.items()} == {
            "a/orders": ConnectionLost,
            "a/audit": ConnectionLost,
        }
        [covered] = [covered for address, covered in found.coverage.items() if address.name == "orders"]
        assert "was stopped" in str(covered)


async def test_what_a_mask_hides_is_not_found(brokers: tuple[Broker, Broker]) -> None:
    brokers[0].append("orders", Event(body=b'{"card": "4111", "id": "o-17"}'))
    async with opened(brokers, MASKED) as (session, endpoints):
        for text, count in (("4111", 0), ("body.card = 4111", 0), ("body.id = o-17", 1), ("'body.card' or o-17", 1)):
            async with search(session, endpoints, session.query(text)) as found:
                assert len(await everything(found)) == count, text


async def test_an_id_is_found_in_the_header_that_a_convention_names(brokers: tuple[Broker, Broker]) -> None:
    event = Event(b"k", b"", None, Content((("correlationId", "7f3a-c2"),)))
    brokers[1].append("payments", event)
    brokers[1].append("payments", Event(b"7f3a-c2", b""))
    async with opened(brokers) as (session, endpoints):
        searched = [each for each in endpoints if Ability.SCAN in each.abilities]
        async with search(session, searched, session.query("correlation = 7f3a-c2")) as found:
            assert [delivery.event.headers for delivery in await everything(found)] == [event.headers]


async def test_a_backslash_that_is_meant_is_found(brokers: tuple[Broker, Broker]) -> None:
    brokers[0].append("orders", Event(body=rb'{"path": "C:\\shop"}'))
    async with opened(brokers) as (session, endpoints):
        for text in (r"body.path = 'C:\shop'", r"body.path contains '\'", r"'/' or '\'"):
            async with search(session, endpoints, session.query(text)) as found:
                assert len(await everything(found)) == 1, text


async def test_what_is_decoded_is_asked_the_query_in_worker_processes(brokers: tuple[Broker, Broker]) -> None:
    for total in range(5000):
        brokers[0].append("orders", Event(body=b'{"total": %d}' % total, timestamp=total))
    with Workers(2) as workers:
        async with opened(brokers) as (session, endpoints):
            query = session.query("size > 0 and not body.total < 4990")
            async with search(session, endpoints, query, Window(since=4000), executor=workers) as found:
                assert bodies(await everything(found)) == [
                    ("a/orders", b'{"total": %d}' % n) for n in range(4990, 5000)
                ]
            assert found.complete and not found.errors


async def test_what_a_source_gave_before_it_broke_is_handed_over(brokers: tuple[Broker, Broker]) -> None:
    class StopsTheBroker(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            brokers[0].stop()
            return super().submit(*args, **kwargs)

    for _ in range(5000):
        brokers[0].append("audit", Event(b"k", b"word"))
    with StopsTheBroker(1) as stopping:
        async with opened(brokers[:1]) as (session, endpoints):
            [audit] = [each for each in endpoints if each.address.name == "audit"]
            async with search(session, [audit], session.query("word"), executor=stopping) as found:
                seen = await everything(found)
    assert 0 < len(seen) == found.coverage[audit.address].read < 5000
    assert type(found.errors[audit.address]) is ConnectionLost


async def test_what_a_search_will_take_is_told_by_the_last_one_of_the_connection(
    brokers: tuple[Broker, Broker],
) -> None:
    for number in range(12_000):
        brokers[0].append("orders", Event(b"", b"%d" % number))
    async with opened(brokers) as (session, endpoints):
        query = session.query("needle")
        [orders] = [each for each in endpoints if each.address.name == "orders"]
        [payments] = [each for each in endpoints if each.address.name == "payments"]
        assert estimate([orders], query, 1 << 20, rates=session.search_rates).seconds == 12_000 / 200
        async with search(session, [orders], query) as found:
            assert await everything(found) == []
        rate = session.search_rates["a"]
        assert estimate([orders], query, 1 << 20, rates=session.search_rates).seconds == 12_000 / rate
        assert session.search_rates.keys() == {"a"}
        assert estimate([orders, payments], query, 1 << 20, rates=session.search_rates).rate is None


async def test_a_search_by_bytes_goes_on_behind_half_a_character() -> None:
    broker = embedded_broker("half")
    broker.declare_topic("t", 1)
    for headers in ((("a", "\ud800"),), ()):
        broker.append("t", Event(b"k", b"needle", None, Content(headers)))
    async with Session([Connection.parse("m=memory://half")]) as session:
        endpoint = await (await session.connector("m")).endpoint(Address("m", "t"))
        async with search(session, [endpoint], session.query("needle")) as found:
            assert sum([len(batch) async for batch in found]) == 2
            assert found.complete
