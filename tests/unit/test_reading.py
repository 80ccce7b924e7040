"""Which events a browse of several logs shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.address import Address
from workbench.model.event import Delivery, Event
from workbench.operations import reading
from workbench.operations.reading import Few


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
    monkeypatch.setattr(reading, "_MOST", 25)
    few = Few(5, newest=True)
    few.add(0, [delivery(b"%d" % time * 10, time) for time in range(5)])
    assert [each.event.timestamp for each in few] == [3, 4]
    assert [gap.what for gap in few.gaps] == ["3 of the events"]
