"""A flow out of events: what belongs to it, what caused what, and where it stands; nothing here reaches a broker."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.decode.codec import query_value
from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.errors import QueryError
from workbench.model.event import Delivery, Event, Position
from workbench.operations.trace.closure import FLOWS, Flow, close, listed, must_choose
from workbench.operations.trace.forest import Trace, trace
from workbench.operations.trace.seeds import Seed, is_id, places
from workbench.operations.trace.sightings import Sighting, merge
from workbench.query.query import Reading, compile

READING = Reading(facts=Conventions.load([]).facts, body=query_value)
NOON = 1_764_072_000_000
FLOW = "7f3a90c2-1d5e-4b7a-9c64-0e2f4a5b6c7d"
OTHER = "0c9d7a51-88aa-4c1e-b3a1-5f0e77d0aa10"


def sighted(
    address: str,
    time: int | None = 0,
    headers: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    body: bytes = b"{}",
    at: str | None = None,
    look: int = 0,
    held: bool = False,
    seen: int = 99_999,
) -> Sighting:
    """An event, so many milliseconds after noon; `at` is its partition and offset."""
    stamp = None if time is None else NOON + time
    event = Event(None, body, None, Content(tuple((headers or {}).items()), properties or {}), stamp)
    position = Position(*at.split(":")) if at else None
    delivery = Delivery(event, Address.parse(address), NOON + seen, position)
    return Sighting(delivery, READING.facts(delivery), look, held)


def named(id: str, cause: str | None = None, flow: str | None = FLOW) -> dict[str, str]:
    """The headers that say so."""
    said = {"message-id": id, "causation-id": cause, "correlation-id": flow}
    return {name: value for name, value in said.items() if value is not None}


def story(found: Trace) -> list[tuple[str, int | None, str | None]]:
    """Each step's address, its cause and why."""
    return [
        (str(step.address), step.link.cause if step.link else None, step.link.kind if step.link else None)
        for step in found.steps
    ]


def flow_of(sightings: Sequence[Sighting], seed: str, **how: Any) -> Flow:
    begun = Seed.parse(seed)
    return close(with_places(sightings, begun.value), begun, **how)


def with_places(sightings: Sequence[Sighting], value: str) -> list[Sighting]:
    """The same, with the places in which a value stands."""
    return [msgspec.structs.replace(each, places=places_in(each, value)) for each in sightings]


# Seeds.


def test_what_has_a_place_before_its_equals_sign_is_looked_for_there_alone() -> None:
    assert Seed.parse("body.orderId=4711") == Seed("4711", "body.orderId")
    assert Seed.parse("header.x-tenant = acme") == Seed("acme", "header.x-tenant")
    assert Seed.parse("correlation=a=b") == Seed("a=b", "correlation")


def test_an_id_may_have_an_equals_sign_in_it() -> None:
    assert Seed.parse("nQ3k9s0dQ2yX+w==") == Seed("nQ3k9s0dQ2yX+w==")
    assert Seed.parse("7f3a=") == Seed("7f3a=")


def test_nothing_is_no_seed() -> None:
    with pytest.raises(QueryError, match="nothing to trace"):
        Seed.parse("  ")


@pytest.mark.parametrize(
    "id",
    [
        FLOW,
        "7f3a90c2",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "order-1001",
        "1234567890123456789",
        "1-5759e988-bd862e3fe1be46a9",
    ],
)
def test_what_nobody_writes_by_chance_is_an_id(id: str) -> None:
    assert is_id(id)


@pytest.mark.parametrize(
    "text",
    [
        "4711",
        "",
        "0",
        "true",
        "false",
        "PaymentFailed",
        "customers",
        "00000000-0000-0000-0000-000000000000",
        "11111111",
        "1764072000000",
        "2026-11-25",
        "2026-11-25T10:00:00Z",
        "two words 12",
        "10.0.4.21",
        "a1\nb2c3d4",
    ],
)
def test_numbers_words_dates_and_repeated_digits_are_no_ids(text: str) -> None:
    assert not is_id(text)


def places_in(each: Sighting, value: str) -> tuple[str, ...]:
    return places(each.delivery, each.facts, value, READING)


def test_a_value_is_found_as_a_whole_value_alone() -> None:
    each = sighted("k/t", body=b'{"orderId": 4711, "qty": 47110, "note": "order 4711", "lines": [{"ref": "4711"}]}')
    assert set(places_in(each, "4711")) == {"body.orderId", "body.lines[].ref"}


def test_a_place_that_is_an_id_is_told_as_the_id_and_not_as_the_header_it_stands_in() -> None:
    each = sighted("k/t", headers={**named("m-0000001"), "copy": FLOW}, body=b'{"correlationId": "%s"}' % FLOW.encode())
    assert places_in(each, FLOW) == ("correlation", "header.copy")


def test_keys_properties_and_nested_headers_are_places() -> None:
    each = sighted("r/q", headers={"x": {"y": ["4711"]}}, properties={"app_id": "4711"})
    event = msgspec.structs.replace(each.delivery.event, key=b"4711")
    each = msgspec.structs.replace(each, delivery=msgspec.structs.replace(each.delivery, event=event))
    assert set(places_in(each, "4711")) == {"key", "header.x.y[]", "property.app_id"}


@given(st.dictionaries(st.sampled_from(["orderId", "qty", "ref"]), st.sampled_from([4711, "4711", 47, None, ["4711"]])))
def test_the_query_of_a_place_finds_every_event_that_has_the_value_there(body: dict[str, Any]) -> None:
    each = sighted("k/t", body=msgspec.json.encode(body))
    for place in places_in(each, "4711"):
        assert compile(Seed("4711", place).query, 0, READING).matches(each.delivery)
    if places_in(each, "4711"):
        assert compile(Seed("4711").query, 0, READING).matches(each.delivery)


# What belongs to a flow.


def test_a_reply_that_carries_only_its_requests_message_id_belongs_to_the_flow() -> None:
    request = sighted("r/rpc", 0, properties={"message_id": "request-0001", "correlation_id": FLOW})
    reply = sighted("r/replies", 5, properties={"correlation_id": "request-0001"})
    stranger = sighted("r/replies", 6, properties={"correlation_id": "request-0002"})
    assert flow_of([request, reply, stranger], FLOW).members == (0, 1)
    assert flow_of([request, reply, stranger], FLOW, depth=0).members == (0,)
    assert story(trace([request, reply]))[1] == ("r/replies", 0, "reply")


def test_ids_lead_on_as_often_as_was_said() -> None:
    chain = [
        sighted("k/t", number, headers=named(f"message-{number}", f"message-{number - 1}", None), at=f"0:{number}")
        for number in range(1, 6)
    ]
    assert flow_of(chain, "message-1", depth=1).members == (0, 1, 2)
    assert flow_of(chain, "message-1", depth=9).members == (0, 1, 2, 3, 4)
    assert flow_of(chain, "message-1", depth=1).ids["message-2"] == 1


def test_what_is_no_id_leads_nowhere_and_is_told() -> None:
    one = sighted("k/t", 0, headers={"correlation-id": FLOW, "message-id": "4711"})
    other = sighted("k/t", 1, headers={"correlation-id": OTHER, "message-id": "4711"}, at="0:1")
    found = flow_of([one, other], FLOW)
    assert found.members == (0,)
    assert [(each.id, each.reason) for each in found.refused] == [
        ("4711", "is no id that can stand for one thing only")
    ]


def test_an_id_that_many_flows_share_leads_nowhere_and_is_told() -> None:
    many = [
        sighted(
            "k/t",
            number,
            headers={"correlation-id": f"flow-00{number}", "traceId": "import-20261125-a"},
            at=f"0:{number}",
        )
        for number in range(FLOWS + 1)
    ]
    found = flow_of(many, "flow-003")
    assert found.members == (3,)
    assert [(each.id, each.reason) for each in found.refused] == [("import-20261125-a", f"is in {FLOWS + 1} flows")]
    assert len(flow_of(many, "import-20261125-a", depth=0).members) == FLOWS + 1


def test_a_business_key_leads_to_the_flows_that_have_it() -> None:
    placed = sighted("k/orders", 0, headers=named("message-1"), body=b'{"orderId": 4711}', at="0:1")
    paid = sighted("k/payments", 1, headers=named("message-2", "message-1"), body=b'{"amount": 12}', at="0:1")
    other = sighted("k/orders", 2, headers=named("message-3", flow=OTHER), body=b'{"qty": 4711}', at="0:2")
    assert flow_of([placed, paid, other], "body.orderId=4711", chosen={"body.orderId"}).members == (0, 1)
    assert flow_of([placed, paid, other], "4711", chosen={"body.qty"}).members == (2,)


def test_the_places_of_a_value_are_listed_with_their_events_and_flows() -> None:
    some = [
        sighted("k/t", 0, headers=named("message-1"), body=b'{"orderId": 4711}', at="0:1"),
        sighted("k/t", 1, headers=named("message-2", flow=OTHER), body=b'{"orderId": 4711, "qty": 4711}', at="0:2"),
    ]
    found = listed(with_places(some, "4711"))
    assert [(place.name, place.events, place.flows) for place in found] == [("body.orderId", 2, 2), ("body.qty", 1, 1)]
    assert must_choose(Seed("4711"), with_places(some, "4711"))
    assert not must_choose(Seed("4711"), with_places(some[:1], "4711"))
    assert not must_choose(Seed("4711", "body.orderId"), with_places(some, "4711"))


def test_an_id_is_followed_wherever_it_stands_unless_it_only_joins_different_flows() -> None:
    both = [sighted("k/t", 0, headers={**named("message-1"), "copy": FLOW}, at="0:1")]
    assert not must_choose(Seed(FLOW), with_places(both, FLOW))
    body = b'{"customer": "customer-0001", "payer": "customer-0001"}'
    shared = [
        sighted("k/t", 0, headers=named("message-1"), body=body, at="0:1"),
        sighted("k/t", 1, headers=named("message-2", flow=OTHER), body=body, at="0:2"),
    ]
    assert must_choose(Seed("customer-0001"), with_places(shared, "customer-0001"))


# Dead letters.

POINTERS: Mapping[str, Mapping[str, Any]] = {
    "Spring Kafka": {
        "kafka_dlt-original-topic": b"payments",
        "kafka_dlt-original-partition": (1).to_bytes(4),
        "kafka_dlt-original-offset": (25).to_bytes(8),
    },
    "Kafka Connect": {
        "__connect.errors.topic": "payments",
        "__connect.errors.partition": "1",
        "__connect.errors.offset": "25",
    },
    "Kafka Streams": {
        "__streams.errors.topic": "payments",
        "__streams.errors.partition": "1",
        "__streams.errors.offset": "25",
    },
    "Kafka share group": {
        "__dlq.errors.topic": "payments",
        "__dlq.errors.partition": "1",
        "__dlq.errors.offset": "25",
    },
    "SmallRye": {"dead-letter-topic": "payments", "dead-letter-partition": "1", "dead-letter-offset": "25"},
}


@pytest.mark.parametrize("convention", POINTERS)
def test_a_dead_letter_without_an_id_is_joined_to_its_original_by_its_pointer(convention: str) -> None:
    original = sighted("k/payments", 0, headers=named("message-1"), at="1:25")
    near = sighted("k/payments", 0, headers=named("message-2", flow=OTHER), at="0:25")
    dead = sighted("k/dead", 9, headers=POINTERS[convention], at="0:3", held=True)
    assert flow_of([near, dead, original], FLOW).members == (1, 2)
    found = trace([dead, original])
    assert story(found)[1] == ("k/dead", 0, "pointer")
    link = found.steps[1].link
    assert link is not None and link.known and link.said == f"{convention} pointer"
    assert found.steps[0].failed and not found.steps[1].failed
    assert found.stuck == 1


def test_an_original_is_found_from_its_dead_letter_as_well() -> None:
    original = sighted("k/payments", 0, headers=named("message-1"), at="1:25")
    dead = sighted("k/dead", 9, headers={**POINTERS["SmallRye"], "trouble": "ticket-000123"}, at="0:3")
    assert flow_of([original, dead], "ticket-000123", depth=0).members == (0, 1)


def test_a_letter_that_died_twice_comes_from_the_place_where_it_died_last() -> None:
    first = sighted("k/payments", 0, headers=named("message-1"), at="1:25")
    second = sighted("k/payments-dlt", 5, headers=POINTERS["Spring Kafka"], at="0:3")
    pointer = {
        "__connect.errors.topic": "payments-dlt",
        "__connect.errors.partition": "0",
        "__connect.errors.offset": "3",
    }
    third = sighted("k/dead", 9, headers={**POINTERS["Spring Kafka"], **pointer}, at="0:1")
    assert [step[1] for step in story(trace([third, second, first]))] == [None, 0, 1]


def death(queue: str, reason: str = "rejected", count: int = 1) -> dict[str, Any]:
    return {"x-death": [{"queue": queue, "reason": reason, "count": count, "exchange": ""}]}


def test_a_dead_message_of_rabbitmq_is_joined_to_itself_in_its_queue() -> None:
    properties = {"message_id": "message-1", "correlation_id": FLOW}
    alive = sighted("r/orders", 0, properties=properties)
    copied = sighted("r/audit", 0, properties=properties)
    dead = sighted("r/orders.dead", 0, headers=death("orders"), properties=properties, held=True)
    found = trace([dead, copied, alive])
    dead_at = [str(step.address) for step in found.steps].index("r/orders.dead")
    link = found.steps[dead_at].link
    assert link is not None and link.kind == "death" and str(found.steps[link.cause].address) == "r/orders"
    assert all(step.duplicate_of is None for step in found.steps)
    assert found.stuck == dead_at


def test_a_message_that_comes_back_after_its_delay_is_no_duplicate_and_nothing_failed() -> None:
    properties = {"message_id": "message-1", "correlation_id": FLOW}
    first = sighted("r/email", 0, properties=properties)
    again = sighted("r/email", 0, headers=death("email.retry", "expired"), properties=properties, look=1)
    found = trace([again, first])
    assert [step.duplicate_of for step in found.steps] == [None, None]
    assert story(found)[1] == ("r/email", 0, "death")
    assert not found.steps[0].failed


# The same message more than once.


def test_an_event_that_was_looked_at_twice_stands_once() -> None:
    event = sighted("k/orders", 0, headers=named("message-1"), at="0:7")
    assert len(trace([event, msgspec.structs.replace(event, look=3)]).steps) == 1


def test_a_tap_and_a_browse_of_one_delivery_are_one() -> None:
    properties = {"message_id": "message-1", "correlation_id": FLOW}
    tapped = sighted("r/orders", 0, properties=properties, look=0, seen=10)
    browsed = sighted("r/orders", 0, headers={"x-delivery-count": 2}, properties=properties, look=1, held=True)
    found = trace([browsed, tapped])
    assert len(found.steps) == 1
    assert found.steps[0].held


def test_equal_messages_that_one_look_found_are_two_and_the_second_is_a_duplicate() -> None:
    properties = {"message_id": "message-1", "correlation_id": FLOW}
    twice = [sighted("r/orders", 0, properties=properties, look=1) for _ in range(2)]
    tapped = sighted("r/orders", 0, properties=properties, look=0)
    found = trace([*twice, tapped])
    assert [step.duplicate_of for step in found.steps] == [None, 0]


def test_the_same_message_id_at_two_positions_of_a_topic_is_a_duplicate() -> None:
    some = [sighted("k/orders", number, headers=named("message-1"), at=f"{number}:1") for number in range(2)]
    assert [step.duplicate_of for step in trace(some).steps] == [None, 0]


def test_a_message_that_was_routed_to_two_queues_is_a_copy_and_no_duplicate() -> None:
    some = [sighted(address, 0, headers=named("message-1")) for address in ("r/audit", "r/orders")]
    found = trace(some)
    assert [step.duplicate_of for step in found.steps] == [None, None]
    assert [step.copy_of for step in found.steps] == [None, 0]


# Order, gaps, clocks.


def test_a_cause_that_an_event_names_is_known_and_the_one_before_in_its_flow_is_inferred() -> None:
    placed = sighted("k/orders", 0, headers=named("message-1"), at="0:1")
    reserved = sighted("k/stock", 5, headers=named("message-2", "message-1"), at="0:1")
    mailed = sighted("k/mail", 9, headers=named("message-3"), at="0:1")
    found = trace([mailed, reserved, placed])
    assert story(found) == [("k/orders", None, None), ("k/stock", 0, "causation"), ("k/mail", 1, "inferred")]
    assert [step.link is None or step.link.known for step in found.steps] == [True, True, False]


def in_span(span: str, parent: str = "", **more: str) -> dict[str, str]:
    """The headers of what was sent in a span of one trace."""
    ids = {"X-B3-TraceId": "463ac35c9f6413ad48485a3953bb6124", "X-B3-SpanId": span, "X-B3-ParentSpanId": parent}
    return {name: value for name, value in (ids | more).items() if value}


ONE, TWO, THREE = "a2fb4a1d1a96d312", "b3fc5b2e2ba7e423", "c4fd6c3f3cb8f534"


def test_what_was_sent_in_the_parent_of_its_span_is_its_known_cause() -> None:
    placed = sighted("k/orders", 0, in_span(ONE), at="0:1")
    logged = sighted("k/log", 1, in_span(THREE), at="0:1")
    reserved = sighted("k/stock", 5, in_span(TWO, ONE), at="0:1")
    found = trace([reserved, logged, placed])
    assert story(found) == [("k/orders", None, None), ("k/log", 0, "inferred"), ("k/stock", 0, "span")]
    assert not found.absent


def test_a_traceparent_that_names_another_events_span_leads_to_it() -> None:
    placed = sighted("k/orders", 0, {"traceId": "463ac35c9f6413ad48485a3953bb6124", "spanId": ONE}, at="0:1")
    logged = sighted("k/log", 1, in_span(THREE), at="0:1")
    paid = sighted("k/paid", 5, {"traceparent": f"00-463ac35c9f6413ad48485a3953bb6124-{ONE}-01"}, at="0:1")
    assert story(trace([paid, logged, placed]))[2] == ("k/paid", 0, "span")


def test_what_was_sent_in_one_span_has_not_caused_one_another() -> None:
    both = {"traceparent": f"00-463ac35c9f6413ad48485a3953bb6124-{ONE}-01"}
    orders = [sighted("k/orders", time, in_span(ONE, **both, id=f"{time}"), at=f"0:{time}") for time in (0, 1)]
    found = trace(orders)
    assert [each.link is None or each.link.known for each in found.steps] == [True, False]
    named_alike = sighted("k/stock", 5, in_span(TWO, ONE), at="0:1")
    assert story(trace([*orders, named_alike]))[2] == ("k/stock", 1, "inferred")


def test_what_still_waits_in_a_queue_has_caused_nothing() -> None:
    placed = sighted("k/orders", 0, headers=named("message-1"), at="0:1")
    waiting = sighted("r/stock", 5, headers=named("message-2", "message-1"), held=True)
    later = sighted("k/mail", 9, headers=named("message-3"), at="0:1")
    assert story(trace([placed, waiting, later]))[2] == ("k/mail", 0, "inferred")


def test_nothing_is_inferred_for_a_message_that_says_no_time() -> None:
    placed = sighted("k/orders", 0, headers=named("message-1"), at="0:1")
    timeless = sighted("r/mail", None, headers=named("message-2"))
    found = trace([timeless, placed])
    assert story(found)[1] == ("r/mail", None, None)
    assert not found.steps[1].timed


def test_causes_come_first_and_clocks_that_disagree_are_told() -> None:
    cause = sighted("kafka/orders", 400, headers=named("message-1"), at="0:1")
    caused = sighted("rabbit/stock", 137, headers=named("message-2", "message-1"))
    found = trace([caused, cause])
    assert story(found) == [("kafka/orders", None, None), ("rabbit/stock", 0, "causation")]
    assert found.steps[1].late
    assert [(each.behind, each.ahead, each.by) for each in found.clocks] == [("rabbit", "kafka", 263)]


def test_a_clock_of_whole_seconds_disagrees_with_none_within_its_second() -> None:
    cause = sighted("kafka/orders", 400, headers=named("message-1"), at="0:1")
    caused = sighted("rabbit/stock", 0, headers=named("message-2", "message-1"))
    found = trace([caused, cause])
    assert found.clocks == ()
    assert [step.late for step in found.steps] == [False, False]
    assert found.steps[1].time == NOON + 400


def test_an_event_that_is_older_than_one_in_front_of_it_in_its_partition_is_out_of_order() -> None:
    some = [sighted("k/t", time, headers=named(f"message-{at}"), at=at) for time, at in ((501, "0:1"), (103, "0:2"))]
    found = trace(some)
    assert [(step.delivery.position, step.late) for step in found.steps] == [
        (Position("0", "2"), True),
        (Position("0", "1"), False),
    ]


def test_more_than_a_second_without_an_event_is_a_gap() -> None:
    some = [sighted("k/t", time, headers=named(f"message-{time}"), at=f"0:{time}") for time in (1, 1001, 3501)]
    assert [step.gap for step in trace(some).steps] == [None, None, 2500]


def test_a_tree_has_each_event_followed_by_all_that_came_of_it() -> None:
    some = [
        sighted("k/t", time, headers=named(f"message-{time}", f"message-{cause}" if cause else None), at=f"0:{time}")
        for time, cause in ((1, None), (2, 1), (3, 1), (4, 2))
    ]
    assert trace(some).branches == (0, 1, 3, 2)


def test_a_cause_that_is_not_here_is_told() -> None:
    assert trace([sighted("k/t", 0, headers=named("message-2", "message-1"), at="0:1")]).absent == ("message-1",)


def test_a_flow_stands_where_its_last_event_was_seen_and_is_stuck_where_nothing_came_of_what_waits() -> None:
    placed = sighted("k/orders", 0, headers=named("message-1"), at="0:1")
    copied = sighted("r/analytics", 0, headers=named("message-1"), held=True)
    paid = sighted("k/payments", 7, headers=named("message-2", "message-1"), at="0:1")
    found = trace([paid, copied, placed])
    assert found.last is not None and str(found.steps[found.last].address) == "k/payments"
    assert found.stuck is None
    waiting = sighted("r/shipping", 9, headers=named("message-3", "message-2"), held=True)
    found = trace([paid, copied, placed, waiting])
    assert found.stuck is not None and str(found.steps[found.stuck].address) == "r/shipping"


def test_a_copy_that_waits_where_nobody_may_read_it_does_not_mean_that_the_flow_is_stuck() -> None:
    shipped = sighted("k/orders", 0, headers=named("message-1"), at="0:1")
    copied = sighted("r/analytics", 0, headers=named("message-1"), held=True)
    found = trace([copied, shipped])
    assert found.stuck is None
    assert [str(found.steps[number].address) for number in found.waiting] == ["r/analytics"]


# Whatever strangers write.

_ids = st.sampled_from(["message-1", "message-2", "message-3", "message-4", FLOW, "4711", ""])
_headers = st.fixed_dictionaries(
    {},
    optional={
        "message-id": _ids,
        "causation-id": _ids,
        "correlation-id": _ids,
        "spanId": _ids,
        "parentSpanId": _ids,
        "x-death": st.sampled_from(["a", "b", "c"]).map(lambda queue: death(queue)["x-death"]),
        "dead-letter-topic": st.sampled_from(["a", "b", "c"]),
        "dead-letter-partition": st.just("0"),
        "dead-letter-offset": st.sampled_from(["0", "1", "2"]),
    },
)
_sightings = st.lists(
    st.builds(
        sighted,
        st.sampled_from(["k/a", "k/b", "k/c", "r/a", "r/b"]),
        st.none() | st.integers(0, 5000),
        _headers,
        at=st.none() | st.sampled_from(["0:0", "0:1", "0:2", "1:0"]),
        look=st.integers(0, 2),
        held=st.booleans(),
    ),
    max_size=12,
)


@given(_sightings, st.randoms(use_true_random=False))
def test_the_order_in_which_events_were_found_changes_nothing(some: list[Sighting], random: random.Random) -> None:
    found = trace(some)
    random.shuffle(some)
    assert trace(some) == found


@given(_sightings)
def test_every_event_stands_once_and_behind_its_cause(some: list[Sighting]) -> None:
    found = trace(some)
    identities = [step.delivery.identity for step in found.steps if step.delivery.identity is not None]
    assert len(identities) == len(set(identities)) == len({each.delivery.identity for each in some} - {None})
    assert sorted(map(repr, merge(some))) == sorted(repr(step.sighting) for step in found.steps)
    for number, step in enumerate(found.steps):
        assert step.link is None or step.link.cause < number
        assert step.level == (0 if step.link is None else found.steps[step.link.cause].level + 1)
        assert step.duplicate_of is None or step.duplicate_of < number


@given(_sightings, st.randoms(use_true_random=False), st.integers(0, 3))
def test_what_belongs_to_a_flow_is_the_same_in_whatever_order_it_was_found(
    some: list[Sighting], random: random.Random, depth: int
) -> None:
    def belonging() -> list[Sighting]:
        return [some[number] for number in flow_of(some, "message-1", depth=depth).members]

    found = trace(belonging())
    random.shuffle(some)
    assert trace(belonging()) == found


def test_ten_thousand_events_in_one_chain_are_told_in_time() -> None:
    chain = [
        sighted("k/t", number, headers=named(f"message-{number}", f"message-{number - 1}"), at=f"0:{number}")
        for number in range(10_000)
    ]
    assert trace(chain[::-1]).steps[-1].level == 9_999


def test_a_thousand_dead_letters_of_one_id_came_from_the_message_and_each_trail_is_told_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Sighting] = []
    trail = Sighting.trail.func  # type: ignore[attr-defined]

    def counted(self: Sighting) -> tuple[str, ...]:
        told.append(self)
        return trail(self)  # type: ignore[no-any-return]

    monkeypatch.setattr(Sighting, "trail", property(counted))
    death = {"count": 1, "reason": "rejected", "queue": "stock", "exchange": "", "routing-keys": ["stock"]}
    events = [sighted("r/stock", 0, properties={"message_id": "message-1"})]
    for number in range(1_000):
        headers = {"x-death": [{**death, "count": number + 1}]}
        events.append(sighted("r/stock.dead", number + 1, headers, {"message_id": "message-1"}))
    assert [each[1:] for each in story(trace(events))] == [(None, None), *[(0, "death")] * 1_000]
    assert len(told) < 5 * len(events)
