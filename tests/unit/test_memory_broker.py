"""The embedded broker by itself: routing, dead-lettering, time, claims and logs, with a clock that the test turns."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import Broker, QueueSettings, embedded_broker
from connectors.memory.queues import Message
from workbench.model.content import Content, Value
from workbench.model.errors import EndpointNotFound, PublishRejected
from workbench.model.event import Event, Position
from workbench.model.wire import Wire, encode, field_types

NOW = 1_790_000_000_000


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker(clock: Clock) -> Broker:
    return Broker("test", clock)


def publish(broker: Broker, queue: str, *texts: str, expiration: str | None = None) -> None:
    """Publish straight to a queue."""
    properties: dict[str, Value] = {} if expiration is None else {"expiration": expiration}
    for text in texts:
        broker.publish("", Event(queue.encode(), text.encode(), written=Content(properties=properties)))


def look(broker: Broker, queue: str) -> list[str]:
    """What waits in a queue, in order; nothing is taken."""
    broker.observe()
    return [(message.event.body or b"").decode() for message in broker.queues[queue].waiting()]


def texts(messages: Sequence[Message]) -> list[str]:
    """The bodies of messages."""
    return [(message.event.body or b"").decode() for message in messages]


def headers(broker: Broker, queue: str) -> dict[str, Any]:
    """The headers of the message at the head of a queue."""
    broker.observe()
    return dict(broker.queues[queue].waiting()[0].event.headers)


# Routing


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("#", "", True),
        ("#", "a.b.c", True),
        ("*", "", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "ab", False),
        ("#.c", "a.b.c", True),
        ("#.b.#", "a.b.c", True),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.c", False),
        ("a.#.#.c", "a.c", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_topic_pattern_fits_a_key_by_words(broker: Broker, pattern: str, key: str, fits: bool) -> None:
    broker.declare_exchange("x", "topic")
    broker.declare_queue("q")
    broker.bind("x", "q", pattern)
    assert broker.exchanges["x"].route(key.encode(), ()) == (["q"] if fits else [])


def test_many_hashes_do_not_take_for_ever(broker: Broker) -> None:
    broker.declare_exchange("x", "topic")
    broker.declare_queue("q")
    broker.bind("x", "q", "#." * 60 + "no")
    assert broker.exchanges["x"].route(b"a." * 120 + b"a", ()) == []


def test_direct_exchange_takes_the_key_as_it_is(broker: Broker) -> None:
    broker.declare_exchange("x", "direct")
    for name in ("one", "other"):
        broker.declare_queue(name)
        broker.bind("x", name, name)
    assert broker.exchanges["x"].route(b"one", ()) == ["one"]


def test_fanout_exchange_reaches_each_queue_once(broker: Broker) -> None:
    broker.declare_exchange("x", "fanout")
    broker.declare_queue("q")
    broker.bind("x", "q", "a")
    broker.bind("x", "q", "b")
    assert broker.exchanges["x"].route(b"anything", ()) == ["q"]


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({}, True),
        ({"shop": "eu", "size": 3}, True),
        ({"shop": "eu", "size": 4}, False),
        ({"x-match": "any", "shop": "eu", "size": 4}, True),
        ({"x-match": "any", "shop": "us"}, False),
        ({"size": None}, True),
        ({"absent": None}, False),
    ],
)
def test_headers_exchange_matches_headers(broker: Broker, arguments: dict[str, Value], fits: bool) -> None:
    broker.declare_exchange("x", "headers")
    broker.declare_queue("q")
    broker.bind("x", "q", arguments=arguments)
    found = broker.exchanges["x"].route(b"", (("shop", "eu"), ("size", 3)))
    assert found == (["q"] if fits else [])


def test_unroutable_event_is_rejected_by_exchange_and_key(broker: Broker) -> None:
    broker.declare_exchange("orders")
    with pytest.raises(PublishRejected, match=r"exchange 'orders' for the routing key 'placed\\\\xff'"):
        broker.publish("orders", Event(b"placed\xff", b""))


def test_missing_exchange_is_not_found(broker: Broker) -> None:
    with pytest.raises(EndpointNotFound, match="no exchange 'orders'"):
        broker.publish("orders", Event(b"placed", b""))


def test_full_queue_that_refuses_is_named_and_the_others_have_the_event(broker: Broker) -> None:
    broker.declare_exchange("x", "fanout")
    broker.declare_queue("roomy")
    broker.declare_queue("small", QueueSettings(max_length=0, overflow="reject-publish"))
    broker.bind("x", "roomy")
    broker.bind("x", "small")
    with pytest.raises(PublishRejected, match="'small' is full"):
        broker.publish("x", Event(b"k", b"body"))
    assert look(broker, "roomy") == ["body"]


def test_queue_knows_neither_null_bodies_nor_null_keys(broker: Broker) -> None:
    broker.declare_exchange("x", "fanout")
    broker.declare_queue("q")
    broker.bind("x", "q")
    broker.publish("x", Event(None, None))
    (message,) = broker.queues["q"].waiting()
    assert (message.event.key, message.event.body) == (b"", b"")


def test_properties_that_cannot_be_read_are_rejected(broker: Broker) -> None:
    broker.declare_queue("q")
    with pytest.raises(PublishRejected, match="cannot be read"):
        broker.publish("", Event(b"q", b"", Wire("amqp-0-9-1", b"\xff")))


def test_expiration_that_is_no_number_is_rejected(broker: Broker) -> None:
    broker.declare_queue("q")
    with pytest.raises(PublishRejected, match="'soon' is no expiration"):
        publish(broker, "q", "a", expiration="soon")


# Dead letters


def test_rejected_message_carries_how_it_died(broker: Broker) -> None:
    broker.declare_exchange("orders", "fanout")
    broker.declare_exchange("dlx", "fanout")
    broker.declare_queue("work", QueueSettings(dead_letter_exchange="dlx"))
    broker.declare_queue("dead")
    broker.bind("orders", "work")
    broker.bind("dlx", "dead")
    broker.publish("orders", Event(b"orders.placed", b"body", written=Content((("mine", 1),))))
    consumer = broker.consume("work")
    consumer.reject(consumer.take())
    written = headers(broker, "dead")
    (death,) = written.pop("x-death")
    assert death.pop("time").timestamp() == NOW / 1000
    assert death == {
        "count": 1,
        "reason": "rejected",
        "queue": "work",
        "exchange": "orders",
        "routing-keys": ["orders.placed"],
    }
    assert written == {
        "mine": 1,
        "x-first-death-exchange": "orders",
        "x-first-death-queue": "work",
        "x-first-death-reason": "rejected",
        "x-last-death-exchange": "orders",
        "x-last-death-queue": "work",
        "x-last-death-reason": "rejected",
    }
    (message,) = broker.queues["dead"].waiting()
    assert (message.exchange, message.event.key) == ("dlx", b"orders.placed")


def test_dead_letter_of_wire_bytes_keeps_the_types_of_its_headers(broker: Broker) -> None:
    broker.declare_queue("work", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="dead"))
    broker.declare_queue("dead")
    int8 = Wire("amqp-0-9-1", b"\x20\x00\x00\x00\x00\x07\x04tinyb\x05")
    broker.publish("", Event(b"work", b"body", int8))
    consumer = broker.consume("work")
    consumer.reject(consumer.take())
    (message,) = broker.queues["dead"].waiting()
    assert message.event.wire is not None
    assert ("tiny", "int8") in field_types(message.event.wire)
    assert headers(broker, "dead")["x-first-death-queue"] == "work"


def test_second_death_in_the_same_queue_is_counted_and_comes_first(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("work", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="wait"))
    broker.declare_queue(
        "wait", QueueSettings(message_ttl=1000, dead_letter_exchange="", dead_letter_routing_key="work")
    )
    publish(broker, "work", "a")
    consumer = broker.consume("work")
    for _ in range(2):
        consumer.reject(consumer.take())
        clock.now += 1000
        broker.observe()
    written = headers(broker, "work")
    assert [(death["queue"], death["reason"], death["count"]) for death in written["x-death"]] == [
        ("wait", "expired", 2),
        ("work", "rejected", 2),
    ]
    assert (written["x-first-death-queue"], written["x-last-death-queue"]) == ("work", "wait")


def test_deaths_that_a_client_claims_are_not_believed(broker: Broker) -> None:
    broker.declare_queue("work", QueueSettings(dead_letter_exchange="", dead_letter_routing_key="dead"))
    broker.declare_queue("dead")
    claimed = Content((("x-death", [{"queue": "work", "reason": "rejected", "count": 9}]),))
    broker.publish("", Event(b"work", b"a", written=claimed))
    consumer = broker.consume("work")
    consumer.reject(consumer.take())
    assert [death["count"] for death in headers(broker, "dead")["x-death"]] == [1]


def test_circle_without_a_rejection_ends(broker: Broker, clock: Clock) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        settings = QueueSettings(message_ttl=10, dead_letter_exchange="", dead_letter_routing_key=other)
        broker.declare_queue(name, settings)
    publish(broker, "a", "round and round")
    clock.now += 10
    assert (look(broker, "a"), look(broker, "b")) == ([], ["round and round"])
    clock.now += 10
    assert (look(broker, "a"), look(broker, "b")) == ([], [])


def test_dead_letters_without_an_exchange_are_deleted(broker: Broker) -> None:
    broker.declare_queue("work", QueueSettings(dead_letter_exchange="gone"))
    publish(broker, "work", "a")
    consumer = broker.consume("work")
    consumer.reject(consumer.take())
    assert look(broker, "work") == []


def test_oldest_message_leaves_a_queue_that_is_too_long(broker: Broker) -> None:
    broker.declare_queue("work", QueueSettings(max_length=2, dead_letter_exchange="", dead_letter_routing_key="dead"))
    broker.declare_queue("dead")
    publish(broker, "work", "a", "b", "c")
    assert (look(broker, "work"), look(broker, "dead")) == (["b", "c"], ["a"])
    assert headers(broker, "dead")["x-first-death-reason"] == "maxlen"


# Time


def test_message_expires_after_the_shorter_of_its_own_and_its_queue_s_time(broker: Broker, clock: Clock) -> None:
    broker.declare_queue(
        "work", QueueSettings(message_ttl=100, dead_letter_exchange="", dead_letter_routing_key="dead")
    )
    broker.declare_queue("dead")
    publish(broker, "work", "a", expiration="50")
    publish(broker, "work", "b", expiration="500")
    clock.now += 49
    assert look(broker, "dead") == []
    clock.now += 1
    assert look(broker, "dead") == ["a"]
    (death,) = headers(broker, "dead")["x-death"]
    assert (death["reason"], death["original-expiration"]) == ("expired", "50")
    assert "expiration" not in broker.queues["dead"].waiting()[0].event.properties
    clock.now += 50
    assert look(broker, "dead") == ["a", "b"]


def test_message_expires_only_at_the_head(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("work")
    publish(broker, "work", "lasting")
    publish(broker, "work", "short", expiration="10")
    clock.now += 10
    assert look(broker, "work") == ["lasting", "short"]
    consumer = broker.consume("work")
    consumer.acknowledge(consumer.take(limit=1))
    assert look(broker, "work") == []


def test_what_fell_due_happens_in_its_order(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("done")
    for name, ttl, behind in (("slow", 30, "done"), ("fast", 10, "next"), ("next", 10, "done")):
        settings = QueueSettings(message_ttl=ttl, dead_letter_exchange="", dead_letter_routing_key=behind)
        broker.declare_queue(name, settings)
    publish(broker, "slow", "from slow")
    publish(broker, "fast", "from fast, through next")
    clock.now += 1000
    assert look(broker, "done") == ["from fast, through next", "from slow"]


def test_message_that_came_back_expires_when_it_would_have(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("work", QueueSettings(message_ttl=100))
    publish(broker, "work", "a")
    consumer = broker.consume("work")
    taken = consumer.take()
    clock.now += 100
    consumer.give_back(taken)
    assert look(broker, "work") == []


# Claims


def test_what_is_given_back_comes_to_its_place(broker: Broker) -> None:
    broker.declare_queue("q")
    publish(broker, "q", "a", "b", "c", "d")
    consumer = broker.consume("q")
    a, b, c = consumer.take(limit=3)
    consumer.acknowledge([b])
    consumer.give_back([c])
    consumer.give_back([a])
    assert look(broker, "q") == ["a", "c", "d"]


def test_closed_consumer_gives_back_what_it_holds(broker: Broker) -> None:
    broker.declare_queue("q")
    publish(broker, "q", "a", "b")
    consumer = broker.consume("q")
    consumer.take()
    assert look(broker, "q") == []
    consumer.close()
    consumer.close()
    assert look(broker, "q") == ["a", "b"]
    assert all(message.redelivered for message in broker.queues["q"].waiting())


def test_message_is_settled_once(broker: Broker) -> None:
    broker.declare_queue("q")
    publish(broker, "q", "a")
    consumer = broker.consume("q")
    taken = consumer.take()
    consumer.acknowledge(taken)
    with pytest.raises(ValueError, match="not held"):
        consumer.give_back(taken)


def test_quorum_queue_gives_a_message_up_beyond_its_delivery_limit(broker: Broker) -> None:
    broker.declare_queue(
        "q", QueueSettings("quorum queue", dead_letter_exchange="", dead_letter_routing_key="dead", delivery_limit=2)
    )
    broker.declare_queue("dead")
    publish(broker, "q", "a")
    consumer = broker.consume("q")
    seen = []
    for _ in range(3):
        taken = consumer.take()
        seen.append(dict(broker.queues["q"].event_for_consumer(taken[0]).headers).get("x-delivery-count"))
        consumer.give_back(taken)
    assert seen == [None, 1, 2]
    assert (look(broker, "q"), look(broker, "dead")) == ([], ["a"])
    written = headers(broker, "dead")
    assert written["x-first-death-reason"] == "delivery_limit"
    assert "x-delivery-count" not in written


@pytest.mark.parametrize("settings", [QueueSettings("classic queue"), QueueSettings("quorum queue", delivery_limit=-1)])
def test_queue_without_a_limit_takes_a_message_back_for_ever(broker: Broker, settings: QueueSettings) -> None:
    broker.declare_queue("q", settings)
    publish(broker, "q", "a")
    consumer = broker.consume("q")
    for _ in range(50):
        consumer.give_back(consumer.take())
    assert look(broker, "q") == ["a"]


def test_unordered_queue_hands_out_each_message_once_in_another_order_each_time(broker: Broker) -> None:
    broker.declare_queue("q", QueueSettings("unordered queue", order="none"))
    publish(broker, "q", *map(str, range(20)))
    consumer = broker.consume("q")
    orders = []
    for _ in range(2):
        taken = [*consumer.take(limit=5), *consumer.take()]
        orders.append([message.place for message in taken])
        consumer.give_back(taken)
    first, second = orders
    assert sorted(first) == sorted(second) == list(range(1, 21))
    assert first != sorted(first) and second != sorted(second) and first != second


def test_queue_that_is_ordered_by_key_hands_out_ten_of_a_key_and_then_none_while_they_are_held(broker: Broker) -> None:
    broker.declare_queue("q", QueueSettings("grouped queue", order="by key"))
    for number in range(24):
        broker.send("q", Event(b"ab"[number % 2 : number % 2 + 1], str(number).encode()))
    one, other = broker.consume("q"), broker.consume("q")
    taken = one.take(limit=12)
    assert [message.place for message in taken] == list(range(1, 13))
    assert other.take() == []
    one.acknowledge([message for message in taken if message.event.key == b"a"])
    assert [message.event.body for message in other.take()] == [b"12", b"14", b"16", b"18", b"20", b"22"]


def test_message_that_came_back_rests_before_it_can_be_taken_again(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("q", QueueSettings(rest=100))
    publish(broker, "q", "a")
    consumer = broker.consume("q")
    consumer.give_back(consumer.take())
    assert (consumer.take(), broker.queues["q"].depth, look(broker, "q")) == ([], 0, ["a"])
    clock.now += 100
    assert [message.returns for message in consumer.take()] == [1]


def test_exclusive_queue_goes_with_its_consumer(broker: Broker) -> None:
    broker.declare_exchange("x", "fanout")
    broker.declare_queue("q", QueueSettings(exclusive=True))
    broker.bind("x", "q")
    broker.consume("q").close()
    assert (broker.queues, broker.exchanges["x"].bindings) == ({}, [])


def test_stop_breaks_connections_and_keeps_messages(broker: Broker) -> None:
    broker.declare_queue("q")
    publish(broker, "q", "a")
    broker.consume("q").take()
    broker.stop()
    assert not broker.running
    broker.start()
    assert look(broker, "q") == ["a"]


STEPS = st.sampled_from(["take", "acknowledge", "give back", "publish", "close"])


@given(st.lists(st.tuples(STEPS, st.integers(0, 1), st.integers(1, 3)), max_size=60))
def test_whatever_consumers_do_nothing_is_lost_doubled_or_out_of_order(steps: list[tuple[str, int, int]]) -> None:
    broker = Broker("test", Clock())
    broker.declare_queue("q")
    consumers = [broker.consume("q"), broker.consume("q")]
    published, acknowledged = 0, list[str]()
    for step, which, count in steps:
        consumer = consumers[which]
        held = list(consumer.held.values())[:count]
        match step:
            case "take":
                consumer.take(count)
            case "acknowledge":
                consumer.acknowledge(held)
                acknowledged += texts(held)
            case "give back":
                consumer.give_back(held[::-1])
            case "publish":
                publish(broker, "q", *(f"{number:03}" for number in range(published, published + count)))
                published += count
            case "close":
                consumer.close()
                consumers[which] = broker.consume("q")
        assert look(broker, "q") == sorted(look(broker, "q"))
    for consumer in consumers:
        consumer.close()
    assert sorted(look(broker, "q") + acknowledged) == [f"{number:03}" for number in range(published)]


@given(st.binary(max_size=50), st.dictionaries(st.text(min_size=1, max_size=20), st.integers(-(2**63), 2**63 - 1)))
def test_wire_bytes_come_out_as_they_were_published(body: bytes, values: dict[str, Value]) -> None:
    broker = Broker("test", Clock())
    broker.declare_queue("q")
    event = Event(b"q", body, encode(Content(tuple(values.items()))))
    broker.publish("", event)
    (message,) = broker.consume("q").take()
    assert broker.queues["q"].event_for_consumer(message) == event


# Logs


def test_equal_keys_share_a_partition_and_null_keys_take_turns(broker: Broker) -> None:
    broker.declare_topic("t", 3)
    assert len({broker.append("t", Event(b"1001", b"x"))[0] for _ in range(9)}) == 1
    assert {broker.append("t", Event(None, b"x"))[0] for _ in range(3)} == {0, 1, 2}


def test_null_and_empty_stay_apart_in_a_log(broker: Broker) -> None:
    broker.declare_topic("t")
    for key, body in ((None, None), (b"", b"")):
        broker.append("t", Event(key, body, timestamp=1))
    assert list(broker.topics["t"].partitions[0].read(0, 2)) == [
        Event(None, None, timestamp=1),
        Event(b"", b"", timestamp=1),
    ]


def test_event_without_a_time_gets_that_of_its_appending(broker: Broker) -> None:
    broker.declare_topic("t")
    broker.append("t", Event(b"k", b"x"))
    (event,) = broker.topics["t"].partitions[0].read(0, 1)
    assert (event.timestamp, event.timestamp_type) == (NOW, "append")


def test_retention_keeps_the_newest_events_and_their_offsets(broker: Broker) -> None:
    broker.declare_topic("t", retention=3)
    offsets = [broker.append("t", Event(b"k", str(number).encode()))[1] for number in range(5)]
    partition = broker.topics["t"].partitions[0]
    assert offsets == [0, 1, 2, 3, 4]
    assert (partition.start, partition.end) == (2, 5)
    assert [event.body for event in partition.read(3, 5)] == [b"3", b"4"]


def test_offset_at_a_time_is_that_of_the_first_event_not_before_it(broker: Broker) -> None:
    broker.declare_topic("t")
    for time in (10, 30, 20, 40):
        broker.append("t", Event(b"k", b"x", timestamp=time))
    partition = broker.topics["t"].partitions[0]
    assert [partition.offset_at(time) for time in (0, 20, 31, 41)] == [0, 1, 3, 4]


def test_bare_log_keeps_a_key_a_body_and_the_time_of_arrival(broker: Broker) -> None:
    topic = broker.declare_topic("t", 2, kind="bare log")
    broker.append("t", Event(None, b"x", None, Content((("h", "v"),)), 5), partition=1)
    assert topic.partitions[1].read(0, 1) == [Event(b"", b"x", timestamp=NOW, timestamp_type="append")]
    with pytest.raises(PublishRejected, match="'t' takes no event without a body"):
        broker.append("t", Event(b"k"))


def test_offsets_of_a_bare_log_ascend_and_lead_back_to_their_place(broker: Broker) -> None:
    topic = broker.declare_topic("t", 2, kind="bare log")
    for _ in range(3):
        broker.append("t", Event(b"k", b"x"), partition=1)
    offsets = [int(topic.position(1, offset).offset) for offset in range(4)]
    assert offsets == sorted({*offsets}) and offsets[0] > 2**64 and offsets[1] - offsets[0] > 1
    assert [topic.place(topic.position(1, offset)) for offset in range(4)] == [(1, offset) for offset in range(4)]
    assert topic.place(Position("1", str(offsets[1] + 1))) == (1, 2)
    assert topic.place(Position("1", "0")) == (1, 0)
    assert topic.place(Position("2", str(offsets[0]))) is None


def test_partition_that_does_not_exist_is_rejected(broker: Broker) -> None:
    broker.declare_topic("t", 2)
    with pytest.raises(PublishRejected, match="'t' has no partition 2"):
        broker.append("t", Event(b"k", b"x"), partition=2)


def test_group_s_offsets_are_kept_by_topic_and_go_with_it(broker: Broker) -> None:
    broker.declare_topic("t", 2)
    broker.declare_topic("other")
    broker.commit("ledger", "t", 1, 7)
    broker.commit("ledger", "other", 0, 3)
    assert broker.committed_offsets("ledger", "t") == {1: 7}
    broker.delete("t")
    assert broker.committed_offsets("ledger", "t") == {}
    assert broker.committed_offsets("ledger", "other") == {0: 3}


# The process


def test_broker_of_a_name_is_one_for_the_whole_process() -> None:
    assert embedded_broker("test-one") is embedded_broker("test-one")
    assert embedded_broker("test-one") is not embedded_broker("test-other")


def test_name_is_taken_once(broker: Broker) -> None:
    broker.declare_queue("orders")
    with pytest.raises(ValueError, match="'orders' already"):
        broker.declare_topic("orders")


def test_watchers_hear_of_an_expiry(broker: Broker, clock: Clock) -> None:
    broker.declare_queue("q", QueueSettings(message_ttl=10))
    publish(broker, "q", "a")
    heard = []
    broker.watchers.add(lambda: heard.append(clock.now))
    clock.now += 10
    broker.observe()
    assert heard == [clock.now]
