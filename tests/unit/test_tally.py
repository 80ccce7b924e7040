"""Reasons of dead letters, counted as they are stored."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_store import LOOK, events
from workbench.decode.codec import query_value
from workbench.facts.conventions import Conventions
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.query.query import Reading, compile
from workbench.store.store import Budget, open_store
from workbench.store.tally import ReasonTally
from workbench.store.workers import Workers

READING = Reading(Conventions.load([]).facts, query_value)


def dead(reason: str | None, number: int = 0) -> Delivery:
    """A dead letter, as Spring Kafka writes it."""
    headers = () if reason is None else (("kafka_dlt-exception-message", reason),)
    return Delivery(Event(None, b"{}", None, Content(headers), number), LOOK.address, 0)


def counts(tally: ReasonTally) -> Sequence[tuple[str, int]]:
    return [(reason.text, reason.count) for reason in tally.reasons]


async def count_all(tally: ReasonTally, workers: Workers | None = None) -> None:
    while tally.is_behind:
        await tally.catch_up(workers)


async def test_reasons_are_counted_as_they_come_the_most_frequent_first(tmp_path: Path) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        look, other = store.look(LOOK), store.look(LOOK)
        tally = ReasonTally(store, [look])
        await store.append(other, [dead("other")])
        await store.append(look, [dead("timeout"), dead("declined"), dead("declined"), dead(None)])
        await count_all(tally)
        assert counts(tally) == [("declined", 2), ("", 1), ("timeout", 1)]
        await store.append(look, [dead("timeout"), dead("timeout")])
        assert tally.is_behind and tally.waiting == 2
        await count_all(tally)
        assert counts(tally) == [("timeout", 3), ("declined", 2), ("", 1)]
        assert (tally.counted, tally.waiting) == (6, 0)


async def test_reasons_that_differ_in_an_id_are_one(tmp_path: Path) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        look = store.look(LOOK)
        tally = ReasonTally(store, [look])
        await store.append(look, [dead(f"order {number} not found") for number in range(3)])
        await store.append(look, [dead("order 7 (of 9) is late")])
        await count_all(tally)
        assert counts(tally) == [("order … not found", 3), ("order 7 (of 9) is late", 1)]


TEXTS = st.text(max_size=30) | st.from_regex(
    re.compile(r"[a-z' .()*+\\]{1,9} [0-9]{1,3} [a-z…é\n]{1,5}"), fullmatch=True
)


@given(st.lists(TEXTS | st.none(), max_size=8))
async def test_the_query_of_a_reason_selects_all_that_have_it(
    tmp_path_factory: pytest.TempPathFactory, reasons: list[str | None]
) -> None:
    async with open_store(tmp_path_factory.mktemp("store"), reading=READING) as store:
        look = store.look(LOOK)
        tally = ReasonTally(store, [look])
        found = [dead(reason and reason.replace("\0", "")) for reason in reasons]
        await store.append(look, found)
        await count_all(tally)
        assert tally.counted == len(reasons)
        for reason in tally.reasons:
            query = compile(reason.query, 0, READING)
            assert reason.query.isprintable()
            assert sum(map(query.matches, found)) >= reason.count


async def test_stored_rows_are_counted_in_processes_and_dropped_ones_count_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.store.COUNT", 7)
    workers = Workers(1)
    try:
        async with open_store(tmp_path, Budget(events=20), READING) as store:
            look = store.look(LOOK)
            tally = ReasonTally(store, [look])
            await store.append(look, [dead("early")] * 7 + [dead("late")] * 7)
            await count_all(tally, workers)
            assert counts(tally) == [("early", 7), ("late", 7)]
            await store.append(look, [dead("late")] * 7)
            await store.flush()
            assert store.first == 7
            await count_all(tally, workers)
            assert counts(tally) == [("late", 14)]
            await store.append(store.look(LOOK), events(3))
            await count_all(tally)
            assert counts(tally) == [("late", 14)]
    finally:
        workers.shutdown()
