"""Where a view's deliveries are while others come before them and the oldest are dropped."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_store import LOOK, event, events
from workbench.query.query import compile
from workbench.store.store import Budget, open_store
from workbench.store.view import View


@given(st.lists(st.lists(st.integers(0, 9), max_size=9), max_size=5))
async def test_a_row_is_found_again_after_others_came_before_it(
    tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]
) -> None:
    async with open_store(tmp_path_factory.mktemp("store")) as store:
        look = store.look(LOOK)
        by_time, as_stored, some = View(store), View(store, order="stored"), View(store, compile("body.parity = odd"))
        number = 0
        for batch in times:
            places = {view: [view.place(row) for row in range(len(view))] for view in (by_time, as_stored, some)}
            await store.append(look, [event(number + index, time) for index, time in enumerate(batch)])
            number += len(batch)
            for view, before in places.items():
                await view.catch_up()
                for place in before:
                    assert view.sequences[view.row_of(place)] == place.sequence
                assert [view.row_of(view.place(row)) for row in range(len(view))] == list(range(len(view)))


async def test_where_a_delivery_was_dropped_its_row_is_the_one_that_took_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.store.COUNT", 7)
    async with open_store(tmp_path, Budget(events=20)) as store:
        look = store.look(LOOK)
        view = View(store)
        await store.append(look, events(14))
        await view.catch_up()
        first, last = view.place(0), view.place(13)
        await store.append(look, events(7, 14))
        await store.flush()
        await view.catch_up()
        assert store.first == 7
        assert view.row_of(first) == 0
        assert view.sequences[view.row_of(last)] == 13
