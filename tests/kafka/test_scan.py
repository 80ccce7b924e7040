"""Scan finds what decoding everything finds, whatever the batches are made of."""

import asyncio
import gzip
import json
import random
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kafka import KafkaConnector
from tests.brokers.kafka import KafkaAddress
from tests.kafka.conftest import MakeTopic, connect, make_topic
from tests.kafka.reading import BASE, browse, numbered, publish, wait_until_decided
from workbench.decode.byte_search import unescape
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import EndpointNotFound, Unsupported
from workbench.model.event import Delivery, Event
from workbench.model.look import Coverage
from workbench.model.start import Window

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


async def scan(
    connector: KafkaConnector, addresses: Sequence[Address], *needles: bytes, window: Window | None = None
) -> tuple[list[Delivery], Coverage]:
    async with connector.scan(addresses, [needles], window or Window()) as stream:
        found = [delivery async for batch in stream for delivery in batch]
        return found, stream.coverage


def holds(event: Event, needles: Sequence[bytes]) -> bool:
    """The plain path: look at everything, escapes resolved."""
    texts = [event.key or b"", event.body or b""]
    for name, value in event.headers:
        texts += [name.encode(), value if isinstance(value, bytes) else str(value or "").encode()]
    return any(needle in spelling for text in texts for spelling in (text, unescape(text)) for needle in needles)


async def fill(bootstrap: str, address: Address, codec: str | None, events: Sequence[Event], **options: object) -> None:
    """Write with aiokafka's own producer, which compresses."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, **options)
    await producer.start()
    try:
        for event in events:
            headers = [(name, str(value).encode()) for name, value in event.headers]
            await producer.send(address.name, event.body, event.key, timestamp_ms=event.timestamp, headers=headers)
    finally:
        await producer.stop()


@pytest.mark.parametrize("codec", CODECS)
async def test_a_needle_is_found_in_key_body_and_headers_under_every_compression(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, codec: str | None
) -> None:
    address = await topic(3)
    events = [
        *numbered(500, size=50),
        Event(b"the needle 1", b"", timestamp=BASE),
        Event(b"k", b"the needle 2", timestamp=BASE),
        Event(b"k", b"", None, Content((("h", "the needle 3"),)), BASE),
        Event(b"k", b"", None, Content((("the needle 4", ""),)), BASE),
        Event(b"k", rb'{"x":"the\u0020needl\u0065 5"}', timestamp=BASE),
        *numbered(500, first=500, size=50),
    ]
    await fill(kafka.bootstrap, address, codec, events)
    found, coverage = await scan(connector, [address], b"the needle")
    assert sorted(str(delivery.event) for delivery in found) == sorted(str(event) for event in events[500:505])
    assert coverage.complete
    assert sum(int(span.end) - int(span.start) for span in coverage.spans) == 1005


async def test_several_topics_are_searched_for_several_needles(connector: KafkaConnector, topic: MakeTopic) -> None:
    addresses = [await topic(2), await topic(1)]
    for address in addresses:
        await publish(connector, address, numbered(200))
    found, coverage = await scan(connector, addresses, b"event-17.", b"key-42")
    assert {(delivery.address, delivery.event.key) for delivery in found} == {
        (address, b"key-42") for address in addresses
    }
    assert [span.partition for span in coverage.spans] == sorted(
        [f"{addresses[0].name}/0", f"{addresses[0].name}/1", f"{addresses[1].name}/0"]
    )


async def test_only_events_of_the_window_are_found(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(1000))
    found, coverage = await scan(connector, [address], b"event-", window=Window(BASE + 100, BASE + 199))
    assert sorted(delivery.event.timestamp or 0 for delivery in found) == list(range(BASE + 100, BASE + 200))
    assert coverage.notes == ()
    found, _ = await scan(connector, [address], b"event-", window=Window(until=BASE + 9))
    assert len(found) == 10
    found, _ = await scan(connector, [address], b"event-", window=Window(since=BASE + 5000))
    assert found == []


async def test_a_search_says_how_far_it_is(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(2)
    await publish(connector, address, numbered(100))
    async with connector.scan([address], [[b"event-"]]) as stream:
        assert stream.progress.share == 0
        async for _ in stream:
            pass
        assert (stream.progress.done, stream.progress.total, stream.progress.share) == (100, 100, 1)
        assert stream.progress.rate > 0
        assert stream.progress.left == 0


async def test_a_search_can_be_stopped_and_gone_on_with(connector: KafkaConnector, topic: MakeTopic) -> None:
    address = await topic(4)
    await publish(connector, address, numbered(20_000, size=500))
    found: list[Delivery] = []
    async with connector.scan([address], [[b"event-"]]) as stream:
        for _ in range(300):
            try:
                async with asyncio.timeout(0.0005):
                    found += await anext(stream)
            except TimeoutError:
                pass
            except StopAsyncIteration:
                break
        async for batch in stream:
            found += batch
    assert sorted(delivery.event.timestamp or 0 for delivery in found) == list(range(BASE, BASE + 20_000))


async def test_a_search_for_nothing_or_nowhere_is_refused(connector: KafkaConnector, topic: MakeTopic) -> None:
    with pytest.raises(Unsupported, match="something to look for"):
        await scan(connector, [await topic()], b"")
    with pytest.raises(EndpointNotFound):
        await scan(connector, [Address("kafka", "kafka-tests-nowhere")], b"x")


async def test_aborted_transactions_are_neither_browsed_nor_found(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(1)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=address.name)
    await producer.start()
    try:
        for number in range(6):
            await producer.begin_transaction()
            for each in range(5):
                await (await producer.send(address.name, b"needle %d.%d" % (number, each), b"k"))
            await (producer.abort_transaction() if number % 2 else producer.commit_transaction())
    finally:
        await producer.stop()
    await wait_until_decided(connector, address)
    kept = [b"needle %d.%d" % (number, each) for number in (0, 2, 4) for each in range(5)]
    assert [delivery.event.body for delivery in await browse(connector, address)] == kept
    found, coverage = await scan(connector, [address], b"needle")
    assert [delivery.event.body for delivery in found] == kept
    assert coverage.complete
    assert [(span.start, span.end) for span in coverage.spans] == [("0", "36")]


async def test_an_open_transaction_is_named_and_not_shown(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic
) -> None:
    address = await topic(1)
    await publish(connector, address, numbered(3))
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=address.name)
    await producer.start()
    try:
        await producer.begin_transaction()
        await (await producer.send(address.name, b"undecided", b"k"))
        async with connector.browse(address) as stream:
            assert len([delivery async for batch in stream for delivery in batch]) == 3
            assert [gap.what for gap in stream.coverage.gaps] == ["partition 0, offsets 3 to 3"]
            assert "still open" in stream.coverage.gaps[0].reason
        await producer.commit_transaction()
    finally:
        await producer.stop()
    await wait_until_decided(connector, address)
    assert len(await browse(connector, address)) == 4


WORDS = ["needle", "need", "le", "/", "ü", "\U0001f600", '"', "x", " ", "\\"]


@st.composite
def mixed(draw: st.DrawFn) -> list[tuple[str | None, list[Event]]]:
    """Rounds of events, each under a compression, most of them near misses."""
    text = st.lists(st.sampled_from(WORDS), max_size=6).map("".join)
    spelling = st.sampled_from(
        [str.encode, lambda each: json.dumps(each).encode(), lambda each: json.dumps(each).replace("/", r"\/").encode()]
    )
    chance = random.Random(draw(st.integers()))
    event = st.builds(
        lambda key, body, how, header, pad: Event(
            key.encode() or None,
            how(body) + chance.randbytes(pad),
            None,
            Content((("h", header),)) if header else Content(),
            BASE,
        ),
        text,
        text,
        spelling,
        text,
        st.integers(0, 200),
    )
    return draw(st.lists(st.tuples(st.sampled_from(CODECS), st.lists(event, min_size=1, max_size=30)), max_size=6))


@given(
    mixed(), st.lists(st.sampled_from(["needle", "/", "ü", "\U0001f600", "le/x", '"', "\\"]), min_size=1, max_size=2)
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_scan_finds_what_decoding_everything_finds(
    kafka: KafkaAddress, rounds: list[tuple[str | None, list[Event]]], words: list[str]
) -> None:
    needles = [word.encode() for word in words]

    async def compare() -> None:
        address = await make_topic(kafka.bootstrap, 2)
        for codec, events in rounds:
            await fill(kafka.bootstrap, address, codec, events)
        async with connect(kafka.url) as connector:
            everything = await browse(connector, address)
            found, coverage = await scan(connector, [address], *needles)
        assert len(everything) == sum(len(events) for _, events in rounds)
        wanted = {delivery.position: delivery.event for delivery in everything if holds(delivery.event, needles)}
        assert {delivery.position: delivery.event for delivery in found} == wanted
        assert len(found) == len(wanted)
        assert coverage.complete

    asyncio.run(compare())


@pytest.mark.parametrize("encrypted", [False, True])
async def test_an_event_is_found_wherever_it_is_in_megabytes(
    kafka: KafkaAddress, topic: MakeTopic, encrypted: bool
) -> None:
    address = await topic(2)
    chance = random.Random(7)
    bodies = [b"%s<id-%04d>%s" % (b"-" * chance.randrange(1000), number, b"-" * 1000) for number in range(8_000)]
    bodies += [b'{"id": "\\u0068idden-%02d"}%s' % (number, b" " * 200_000) for number in range(20)]
    await fill(kafka.bootstrap, address, None, [Event(None, body, timestamp=BASE) for body in bodies])
    way = connect(kafka.tls_url, tls="", ca=kafka.ca_file) if encrypted else connect(kafka.url)
    async with way as connector:
        for number in chance.sample(range(8_000), 2 if encrypted else 12):
            [found], coverage = await scan(connector, [address], b"<id-%04d>" % number)
            assert found.event.body == bodies[number]
            assert coverage.complete and coverage.read == len(bodies)
        [found], _ = await scan(connector, [address], b'"hidden-13"')
        assert found.event.body == bodies[8_013]
        assert len((await scan(connector, [address], b"<id-1"))[0]) == 1000
        assert (await scan(connector, [address], b"<id-8000>"))[0] == []


@pytest.mark.parametrize("codec", CODECS)
async def test_bodies_that_their_application_compressed_are_found_for_the_query_to_decide(
    connector: KafkaConnector, kafka: KafkaAddress, topic: MakeTopic, codec: str | None
) -> None:
    address = await topic(1)
    hidden = [Event(b"k%d" % number, gzip.compress(b'{"id": "o-%d"}' % number), timestamp=BASE) for number in range(50)]
    plain = [Event(b"p%d" % number, b'{"id": "p-%d"}' % number, timestamp=BASE) for number in range(50)]
    await fill(kafka.bootstrap, address, codec, [*hidden, *plain])
    found, _ = await scan(connector, [address], b"o-17")
    assert sorted(delivery.event.key or b"" for delivery in found) == sorted(event.key or b"" for event in hidden)
