"""Dead letters in groups."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.facts.conventions import Conventions
from workbench.model.address import Address
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.operations.dead import groups as module
from workbench.operations.dead.groups import Arrivals, Groups
from workbench.query.field import Field
from workbench.query.query import Reading, compile

NOON = 1_795_600_800_000
READING = Reading(facts=Conventions.load([]).facts)


def letter(
    reason: str | None, topic: str = "orders", type: str | None = "Placed", at: int = NOON, body: object = None
) -> Delivery:
    headers = [("kafka_dlt-original-topic", topic.encode())] if topic else []
    if reason is not None:
        headers.append(("kafka_dlt-exception-message", reason.encode()))
    if type is not None:
        headers += [("ce_specversion", b"1.0"), ("ce_type", type.encode())]
    event = Event(None, json.dumps(body).encode(), None, Content(tuple(headers)), timestamp=at)
    return Delivery(event, Address("kafka", f"{topic}-dlt"), at)


def gathered(*letters: Delivery, by: str | None = None) -> Groups:
    groups = Groups(Field(by, READING) if by else None)
    for each in letters:
        groups.add(each, READING.facts(each))
    return groups


def test_a_group_has_the_same_reason_origin_and_type() -> None:
    groups = gathered(
        letter("order 1 is unknown", at=NOON),
        letter("order 2 is unknown", at=NOON + 5_000),
        letter("order 3 is unknown", topic="payments"),
        letter("order 4 is unknown", type="Paid"),
        letter(None, topic="", type=None),
    )
    assert [(group.reason, group.origin, group.type, group.count) for group in groups] == [
        ("order … is unknown", "orders", "Placed", 2),
        ("", "", "", 1),
        ("order … is unknown", "orders", "Paid", 1),
        ("order … is unknown", "payments", "Placed", 1),
    ]
    first = next(iter(groups))
    assert (first.oldest, first.newest, first.places) == (NOON, NOON + 5_000, {Address("kafka", "orders-dlt"): 2})


@given(
    st.lists(
        st.builds(
            letter,
            st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
            st.sampled_from(["orders", "it's 1", ""]),
            st.none() | st.sampled_from(["Placed", "a\nb", "5"]),
        ),
        max_size=12,
    )
)
def test_the_query_of_a_group_selects_its_dead_letters(letters: list[Delivery]) -> None:
    groups = gathered(*letters)
    assert sum(group.count for group in groups) == len(letters)
    for group in groups:
        query = groups.query_of(group)
        assert query is not None and query.isprintable()
        assert sum(map(compile(query, 0, READING).matches, letters)) >= group.count


def test_groups_by_a_field_are_selected_by_its_value() -> None:
    bodies = [{"code": "42"}, {"code": 42}, {"code": 42}, {"code": [1, 2]}, {}, {"code": "true"}, {"code": True}]
    letters = [letter("no", body=body) for body in bodies]
    groups = gathered(*letters, by="body.code")
    counts = {}
    for group in groups:
        query = groups.query_of(group)
        selected = None if query is None else sum(map(compile(query, 0, READING).matches, letters))
        counts[group.reason] = (group.count, selected)
    # A number and a text that spells it are the same, for queries too.
    assert counts == {"42": (3, 3), "[1, 2]": (1, None), "": (1, 1), "true": (2, 2)}


def test_the_query_of_a_group_selects_no_longer_reasons_that_begin_alike() -> None:
    letters = [letter(f"order {number} failed") for number in range(3)]
    letters += [letter(f"order {number} failed: no stock") for number in range(2)]
    letters += [letter(f"{number}") for number in range(2)] + [letter("a\nb 1"), letter("a\nb 2 c")]
    letters += [letter(f"order 7 failed\n{'x y ' * 1_000}{number}") for number in range(2)]
    groups = gathered(*letters)
    assert len(groups) == 6
    for group in groups:
        query = groups.query_of(group)
        assert query is not None
        assert sum(map(compile(query, 0, READING).matches, letters)) == group.count, query


def test_dead_letters_beyond_the_most_groups_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    groups = gathered(*(letter(reason) for reason in ("a", "b", "c", "d", "a")))
    assert [(group.reason, group.count) for group in groups] == [("a", 2), ("b", 1)]
    assert groups.others is not None and groups.others.count == 2
    assert groups.counted == 5


@given(st.lists(st.integers(0, 10_000_000_000), min_size=1, max_size=400), st.integers(1, 40))
def test_every_arrival_is_in_one_part_of_the_time(times: list[int], parts: int) -> None:
    arrivals = Arrivals()
    for time in times:
        arrivals.add(time)
    assert len(arrivals.counts) <= 128
    counted = arrivals.between(min(times), max(times), parts)
    assert len(counted) == parts
    assert sum(counted) == len(times)
