"""Views in the order of a field, held against Python's own sorting."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_store import LOOK, event, events
from workbench.model.event import Delivery, Event
from workbench.query.field import Field
from workbench.query.query import compile
from workbench.store.sorting import sort
from workbench.store.store import Budget, Store, open_store
from workbench.store.view import View
from workbench.store.workers import Workers

VALUES = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)


def holding(value: Any, time: int) -> Delivery:
    """An event whose body holds a value at `v`."""
    return Delivery(Event(None, json.dumps({"v": value}).encode(), None, timestamp=time), LOOK.address, 0)


def order(value: Any, descending: bool) -> Any:
    """Numbers by size and then texts, or the other way round; what has no value last."""
    if isinstance(value, str):
        try:
            number = json.loads(value) if value.strip() == value else None
            value = number if type(number) in (int, float) and value[0] in "-0123456789" else value
        except ValueError:
            pass
    rank = 2 if value is None else isinstance(value, str)
    return rank if not descending or rank == 2 else 1 - rank, value


def plainly(values: list[Any], descending: bool) -> list[int]:
    """The indices of values in order, equal ones as they come."""
    found: list[int] = []
    for rank in (0, 1, 2):
        mine = [index for index, value in enumerate(values) if order(value, descending)[0] == rank]
        if rank != 2:
            mine.sort(key=lambda index: order(values[index], descending)[1], reverse=descending)
        found += mine
    return found


@given(st.lists(VALUES, max_size=20), st.booleans())
async def test_a_view_is_sorted_as_python_sorts(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], descending: bool
) -> None:
    async with open_store(tmp_path_factory.mktemp("store")) as store:
        view = View(store)
        await store.append(store.look(LOOK), [holding(value, time) for time, value in enumerate(values)])
        await view.catch_up()
        found = await sort(store, view, Field("body.v"), descending)
        assert list(found.sequences) == plainly(values, descending)
        assert [found.row_of(found.place(row)) for row in range(len(found))] == list(range(len(values)))


async def test_stored_rows_are_sorted_in_processes_with_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.store.COUNT", 7)
    workers = Workers(2)
    try:
        async with open_store(tmp_path) as store:
            look, other = store.look(LOOK), store.look(LOOK)
            numbers = [number * 37 % 100 for number in range(100)]
            await store.append(other, events(5))
            await store.append(look, [holding(number, time) for time, number in enumerate(numbers)])
            view = View(store, compile("body.v >= 10"), [look])
            await view.catch_up()
            shares: list[float] = []
            found = await sort(store, view, Field("body.v"), True, workers, shares.append)
            assert [numbers[sequence - 5] for sequence in found.sequences] == list(range(99, 9, -1))
            assert shares == sorted(shares) and shares[-1] <= 1
    finally:
        workers.shutdown()


async def test_what_comes_in_stands_behind_what_was_sorted(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        look, view = store.look(LOOK), View(store)
        await store.append(look, [holding(value, 10 + value) for value in (2, 1, 3)])
        await view.catch_up()
        found = await sort(store, view, Field("body.v"), False)
        place = found.place(2)
        await store.append(look, [holding(0, 5), holding(9, 1)])
        assert list(found.sequences) == [1, 0, 2]
        await found.catch_up()
        assert list(found.sequences) == [1, 0, 2, 4, 3] and found.sorted_count == 3 and len(found) == 5
        assert found.row_of(place) == 2 and found.row_of(found.place(4)) == 4
        assert found.examined == 5


async def test_what_was_dropped_leaves_what_was_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.store.store.COUNT", 7)
    async with open_store(tmp_path, Budget(events=20)) as store:
        look, view = store.look(LOOK), View(store)
        await store.append(look, [event(number, -number) for number in range(14)])
        await view.catch_up()
        found = await sort(store, view, Field("time"), True)
        kept = found.place(found.row_of(found.place(13)))
        await store.append(look, [event(number, number) for number in range(14, 21)])
        await store.flush()
        await found.catch_up()
        assert store.first == 7
        assert list(found.sequences) == [*range(7, 14), *range(14, 21)]
        assert found.sequences[found.row_of(kept)] == kept.sequence


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=1, max_size=5), st.integers(0, 4), st.booleans())
async def test_what_is_dropped_while_it_is_sorted_is_not_there_afterwards(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], before: int, descending: bool
) -> None:
    values: list[int] = []

    async def store_one(store: Store, look: int, batch: list[int]) -> None:
        await store.append(look, [holding(value, len(values) + place) for place, value in enumerate(batch)])
        values.extend(batch)
        await store.flush()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("workbench.store.store.COUNT", 3)
        async with open_store(tmp_path_factory.mktemp("store"), Budget(events=9)) as store:
            look, view = store.look(LOOK), View(store)
            for batch in batches[:before]:
                await store_one(store, look, batch)
            await view.catch_up()
            sorted_upto = view.upto
            async with asyncio.TaskGroup() as group:
                sorting = group.create_task(sort(store, view, Field("body.v"), descending))
                for batch in batches[before:]:
                    await store_one(store, look, batch)
            found = sorting.result()
            await found.catch_up()
            held = [number for number in range(store.first, sorted_upto)]
            ordered = sorted(held, key=values.__getitem__, reverse=descending)
            assert list(found.sequences) == [*ordered, *range(max(store.first, sorted_upto), store.upto)]
            assert len(found) == len(found.sequences) and found.sorted_count == len(held)
            assert [found.row_of(found.place(row)) for row in range(len(found))] == list(range(len(found)))
