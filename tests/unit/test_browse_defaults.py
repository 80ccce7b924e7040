"""Which events a browse of several logs shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint, Family, LookCost
from workbench.model.event import Delivery, Event
from workbench.model.start import Beginning, FromEnd
from workbench.model.wire import Wire
from workbench.operations import browse_defaults
from workbench.operations.browse_defaults import LAST, Few, opening_of, place_of, price_of, price_sentence

FREE, COSTLY = LookCost(), LookCost("Each message counts as delivered once more.")


def endpoint(family: Family, abilities: Ability, cost: LookCost = FREE) -> Endpoint:
    return Endpoint(Address("c", "t"), family, family, abilities, cost=cost)


LOG = endpoint("log", Ability.BROWSE | Ability.TAIL | Ability.FROM_END)


def test_a_log_opens_with_its_newest_events_and_is_followed() -> None:
    assert opening_of(LOG) == "tail"
    assert place_of(LOG, None, LAST) == (FromEnd(LAST), None)


def test_a_log_from_a_given_place_is_read_as_far_as_was_asked() -> None:
    assert place_of(LOG, Beginning(), LAST) == (Beginning(), LAST)
    assert place_of(LOG, Beginning()) == (Beginning(), None)


def test_a_queue_shows_its_oldest_messages_at_once_only_where_that_is_free() -> None:
    free = endpoint("queue", Ability.BROWSE | Ability.TAIL)
    assert opening_of(free) == "browse" and price_of(free) == ""
    assert place_of(free, None) == (None, LAST)
    # What matches may be anywhere in it, and more is held than unasked only for who wants more.
    assert place_of(free, None, 7, chosen=True) == (None, None)
    assert place_of(free, None, 70_000, chosen=True) == (None, 70_000)
    costly = endpoint("queue", Ability.BROWSE, COSTLY)
    assert opening_of(costly) is None and price_of(costly) == COSTLY.sentence


def test_what_holds_nothing_is_not_read_by_itself_and_has_no_price() -> None:
    routes = endpoint("routes", Ability.TAIL, COSTLY)
    assert price_of(routes) == ""
    assert opening_of(routes) is None


def delivery(body: bytes, time: int) -> Delivery:
    return Delivery(Event(body=body, timestamp=time), Address("c", "t"), 0)


@given(st.lists(st.lists(st.integers(0, 20), max_size=12).map(sorted), max_size=4), st.integers(1, 15), st.booleans())
def test_the_newest_or_the_first_of_several_logs(logs: list[list[int]], count: int, newest: bool) -> None:
    few = Few(count, newest)
    everything = []
    for log, times in enumerate(logs):
        events = [delivery(b"%d/%d" % (log, at), time) for at, time in enumerate(times)]
        few.add(log, events)
        everything += [(time, log, at, each) for at, (time, each) in enumerate(zip(times, events, strict=True))]
    everything.sort(key=lambda each: each[:3])
    expected = everything[-count:] if newest else everything[:count]
    assert list(few) == [each for *_, each in expected]
    assert few.gaps == ()


def test_what_is_too_large_to_be_held_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse_defaults, "_MOST", 2 * delivery(b"0" * 10, 0).memory + 5)
    few = Few(5, newest=True)
    few.add(0, [delivery(b"%d" % time * 10, time) for time in range(5)])
    assert [each.event.timestamp for each in few] == [3, 4]
    assert [gap.what for gap in few.gaps] == ["3 of the events"]


def test_small_events_and_large_headers_are_no_more_held_than_large_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browse_defaults, "_MOST", 100_000)
    few = Few(1_000, newest=True)
    few.add(0, [delivery(b"", time) for time in range(1_000)])
    assert 0 < len(list(few)) < 200
    few = Few(1_000, newest=True)
    wire = Wire("kafka-2-amqp-1-0", b"x" * 30_000)
    few.add(0, [Delivery(Event(wire=wire, timestamp=time), Address("c", "t"), 0) for time in range(5)])
    assert [each.event.timestamp for each in few] == [2, 3, 4]


def test_what_several_queues_cost_is_said_once() -> None:
    prices = ["Sets a sign.", "Sets a sign. Counts: 8 of 20 are used.", "Sets a sign. Counts: 0 of 20 are used."]
    assert price_sentence(3, 40, prices) == (
        "3 queues with 40 messages will be browsed once."
        " Sets a sign. Counts: 8 of 20 are used. Counts: 0 of 20 are used."
    )
