import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import MemoryConnector, embedded_broker
from connectors.rabbitmq import endpoints
from connectors.rabbitmq.outgoing_message import properties_of
from workbench.connecting.config import Connection
from workbench.model import record_headers
from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.endpoint import Ability, Endpoint, Family
from workbench.model.errors import FormatError
from workbench.model.event import Event, TimestampType
from workbench.model.receipt import Receipt
from workbench.model.target_rules import Change, Changes, Rules
from workbench.model.wire import Wire, encode
from workbench.operations.publish import Published, publish


def _endpoint(address: Address, kind: str, family: Family) -> Endpoint:
    return Endpoint(address, kind, family, Ability.PUBLISH)


STREAM = endpoints.rules(_endpoint(Address("r", "s"), "stream", "log"), (4, 0), 1000, "guest")
QUEUE = endpoints.rules(_endpoint(Address("r", "q"), "quorum queue", "queue"), (3, 10), 1000, "guest")
EXCHANGE = endpoints.rules(_endpoint(Address("r", "x", "exchange"), "exchange", "routes"), (4, 0), 1000, "guest")
TOPIC = Rules(Address("k", "t"), "Kafka", encoding="kafka-2", properties=False, size=100, size_setting="max")
KEYLESS = Rules(Address("b", "log"), "Bare", keys=False, name_as_key=False)
BARE = Rules(Address("b", "log"), "Bare", properties=False, headers=False, times=False)
SECONDS = "RabbitMQ keeps times in seconds: their milliseconds are left out."
ONE_OF_A_NAME = "r/exchange:x keeps one header of a name: of a only the first stays."
TYPED = Content((("price", Decimal("1.5")), ("x-death", [{"count": 1}]), ("n", 5), ("a", "1"), ("a", "2")))


def changes(rules: Rules, event: Event) -> tuple[str, ...]:
    finding = rules.examine(event)
    assert not finding.refusal
    found = Changes()
    found.add(finding.changes)
    return found.sentences()


@pytest.mark.parametrize(
    ("age", "type", "told"), [(3_700, "create", True), (3_500, "create", False), (3_700, "append", False)]
)
def test_what_is_older_than_it_would_be_kept_is_told(age: int, type: TimestampType, told: bool) -> None:
    topic = msgspec.structs.replace(TOPIC, keeps=3_600_000)
    event = Event(None, b"", timestamp=int(time.time() - age) * 1000, timestamp_type=type)
    sentence = "k/t keeps events for 1 h 0 m by their own times: older ones may soon be deleted."
    assert changes(topic, event) == ((sentence,) if told else ())


@pytest.mark.parametrize(
    ("rules", "event", "refusal"),
    [
        (QUEUE, Event(b"q"), "its body is null, which RabbitMQ does not have: it would become an empty body"),
        (EXCHANGE, Event(b"k" * 256, b""), "its key has 256 bytes, and RabbitMQ allows 255"),
        (STREAM, Event(None, b"", written=TYPED), "its header 'price' is a decimal, which r/s cannot take"),
        (STREAM, Event(None, b"", encode(TYPED)), "its header 'price' is a decimal, which r/s cannot take"),
        (
            QUEUE,
            Event(None, b"", written=Content((("n", "x" * 1001),))),
            "its properties and headers take 1,002 bytes, and this broker takes 1,000",
        ),
        (TOPIC, Event(b"k", b"x" * 100), "it takes more than 101 bytes, and 100 are allowed (max)"),
    ],
)
def test_what_cannot_be_held_is_refused_with_the_rule(rules: Rules, event: Event, refusal: str) -> None:
    assert rules.examine(event).refusal == refusal


@pytest.mark.parametrize("header", [("x" * 256, "v"), ("é" * 128, "v"), ("n", 2**70), ("n", Decimal(10**30))])
def test_what_amqp_has_no_form_for_is_refused(header: tuple[str, int | str | Decimal]) -> None:
    assert QUEUE.examine(Event(None, b"", written=Content((header,)))).refusal


@pytest.mark.parametrize(
    ("rules", "event", "sentences"),
    [
        (QUEUE, Event(b"k", b""), ["r/q keeps no keys: its own name takes their place."]),
        (KEYLESS, Event(b"log", b""), ["b/log keeps no keys: they are left out."]),
        (KEYLESS, Event(None, b""), []),
        (QUEUE, Event(b"q", b"", written=TYPED), []),
        (QUEUE, Event(b"q", b"", timestamp=1500), [SECONDS]),
        (QUEUE, Event(b"q", b"", timestamp=2000), []),
        (QUEUE, Event(b"q", b"", Wire("kafka-2", record_headers.write([])), timestamp=1), [
            SECONDS
        ]),
        (EXCHANGE, Event(b"k", b"", written=TYPED), [ONE_OF_A_NAME]),
        (
            STREAM,
            Event(None, b"", written=Content((("t", {"a": 1}), ("l", [1])), {"cluster_id": "c", "app_id": "a"})),
            [
                "r/s does not keep the property cluster_id.",
                "r/s keeps no headers that are arrays or tables: l, t get lost.",
            ],
        ),
        (
            TOPIC,
            Event(b"k", b"", written=Content((("n", 5), ("s", "x")), {"app_id": "a", "type": "T"})),
            ["k/t has no properties, and leaves out app_id, type.", "Kafka's headers have no types: n become text."],
        ),
        (TOPIC, Event(b"k", None, Wire("kafka-2", record_headers.write([(b"n", b"\xff")])), timestamp=1), []),
        (
            BARE,
            Event(b"k", b"", written=Content((("n", 5), ("s", "x")), {"app_id": "a"}), timestamp=1),
            [
                "b/log keeps no times: that of an event's arrival takes their place.",
                "b/log has no properties, and leaves out app_id.",
                "b/log has no headers, and leaves out n, s.",
            ],
        ),
        (BARE, Event(b"k", b""), []),
    ],
)  # fmt: skip
def test_what_changes_is_said(rules: Rules, event: Event, sentences: list[str]) -> None:
    assert list(changes(rules, event)) == sentences


values = st.one_of(
    st.text(max_size=300), st.binary(max_size=20), st.integers(), st.floats(), st.booleans(), st.none(),
    st.decimals(allow_nan=False, allow_infinity=False), st.datetimes(timezones=st.just(UTC)),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
)  # fmt: skip


@given(st.lists(st.tuples(st.text(max_size=300), values), max_size=4), st.dictionaries(
    st.sampled_from(["content_type", "priority", "timestamp", "app_id", "unknown"]), values, max_size=3
))  # fmt: skip
def test_rules_refuse_just_what_the_publisher_could_not_write(
    headers: list[tuple[str, Value]], properties: dict[str, Value]
) -> None:
    event = Event(None, b"", written=Content(tuple(headers), properties))
    try:
        written = len(properties_of(event)) <= 1000
    except FormatError:
        written = False
    # How large headers become is known exactly only when they are written.
    if written or not headers or sum(len(name) for name, _ in headers) < 200:
        assert bool(QUEUE.examine(event).refusal) == (not written)


def test_names_in_a_sentence_have_an_end() -> None:
    found = Changes()
    found.add(Change("Lost: ", ".", f"h{number:03}") for number in range(1000))
    [sentence] = found.sentences()
    assert sentence.startswith("Lost: h000, h001") and sentence.endswith("h019 and others.")


async def test_what_is_refused_was_never_sent_and_receipts_keep_their_numbers() -> None:
    embedded_broker("rules").declare_queue("q")
    events = [Event(b"q", None if number in (0, 3, 4, 9) else b"%d" % number) for number in range(10)]

    async def batches() -> AsyncIterator[Sequence[Event]]:
        yield events[:5]
        yield events[5:9]
        yield events[9:]

    receipts: list[Receipt] = []
    async with MemoryConnector(Connection.parse("m=memory://rules")) as connector:
        done = await publish(connector, Address("m", "q"), batches(), receipts.extend)
        assert (await connector.endpoint(Address("m", "q"))).depth == 6
    assert done == Published(6, 4)
    refused = sorted(receipt.sequence for receipt in receipts if receipt.error)
    assert refused == [0, 3, 4, 9]
    assert sorted(receipt.sequence for receipt in receipts) == list(range(10))
    assert "null" in str(next(receipt.error for receipt in receipts if receipt.error))


def test_a_time_of_amqp_is_no_loss() -> None:
    event = Event(None, b"", encode(Content((), {"timestamp": datetime(2026, 1, 1, tzinfo=UTC)})), timestamp=1)
    assert changes(QUEUE, event) == ()
