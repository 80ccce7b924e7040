"""The flows of what is held, read as it is stored and judged off the event loop."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.unit.test_store import LOOK
from tests.unit.test_tally import READING
from workbench.model.content import Content
from workbench.model.event import Delivery, Event
from workbench.operations.saga import held as saga_held
from workbench.operations.saga.held import LISTED, HeldFlows, read_until
from workbench.store.batch import COUNT
from workbench.store.store import Budget, Store, open_store
from workbench.store.workers import Workers

NOW = 10**12
ORDER = ("Placed", "Paid", "Shipped")


def event(flow: str, type: str, time: int, reason: str | None = None) -> Delivery:
    headers: tuple[tuple[str, str], ...] = (("correlation-id", flow), ("event-type", type))
    headers += (("kafka_dlt-exception-message", reason),) if reason else ()
    return Delivery(Event(None, b"{}", None, Content(headers), time), LOOK.address, 0)


def flow(name: str, *types: str, start: int = 0) -> list[Delivery]:
    return [event(name, type, start + 100 * number) for number, type in enumerate(types)]


def whole(count: int) -> list[Delivery]:
    return [each for number in range(count) for each in flow(f"f{number}", *ORDER, start=number)]


async def caught_up(store: Store, workers: Workers | None = None, running: Sequence[int] = ()) -> HeldFlows:
    held = HeldFlows(store)
    await catch_up(held, workers, running)
    return held


async def catch_up(held: HeldFlows, workers: Workers | None = None, running: Sequence[int] = ()) -> None:
    while held.is_behind:
        await held.catch_up(workers)
    await held.judge(NOW, running, workers)


async def test_flows_are_judged_as_they_grow(tmp_path: Path) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        look = store.look(msgspec.structs.replace(LOOK, kind="tail"))
        await store.append(look, [*whole(9), *flow("slow", "Placed", "Paid", start=5_000)])
        held = await caught_up(store, running=[look])
        assert held.judgement.counts == {"stuck": 1, "complete": 9}
        assert (held.judgement.sagas[0].flow.correlation, held.judgement.sagas[0].missing) == ("slow", "Shipped")
        await store.append(look, [event("slow", "Shipped", 9_000), event("f3", "Placed", 9_001, "declined")])
        assert held.is_behind and held.waiting == 2
        await catch_up(held, running=[look])
        assert held.judgement.counts == {"dead letter": 1, "complete": 9}
        assert (held.events, held.occurrences, held.judgement.latest) == (31, 31, 9_001)


async def test_what_a_search_found_is_no_flow(tmp_path: Path) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        look = store.look(LOOK)
        await store.append(look, whole(9))
        await store.append(store.look(msgspec.structs.replace(LOOK, kind="scan")), flow("found", "Placed"))
        assert (await caught_up(store)).judgement.flows == 9


async def test_many_flows_are_read_and_judged_by_other_processes_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_held, "FEW", 100)
    workers = Workers(1)
    try:
        async with open_store(tmp_path, reading=READING) as store:
            look = store.look(msgspec.structs.replace(LOOK, kind="browse", at=NOW))
            for number in range(0, 2 * COUNT, 300):
                flows = [each for one in range(number, number + 100) for each in flow(f"f{one}", *ORDER, start=one)]
                await store.append(look, [*flows, event(f"stuck-{number}", "Placed", number)])
            alone = await caught_up(store)
            shared = await caught_up(store, workers)
            assert shared.judgement == alone.judgement
            assert shared.judgement.counts == {"stuck": 14, "complete": 1_400}
            assert len(shared.judgement.sagas) == LISTED
            await store.append(look, flow("more", *ORDER))
            # A process that the kernel ended costs nothing but its time.
            for pid in workers.pids:
                os.kill(pid, signal.SIGKILL)
            await catch_up(shared, workers)
            assert shared.judgement.flows == 1_415
    finally:
        await asyncio.to_thread(workers.shutdown, True)


async def test_what_the_store_drops_and_what_is_too_much_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(tmp_path, Budget(events=2 * COUNT), READING) as store:
        look = store.look(LOOK)
        held = HeldFlows(store)
        for number in range(5):
            await store.append(look, [event(f"f{number}-{one}", "Placed", one) for one in range(COUNT)])
            await catch_up(held)
        await store.flush()
        await catch_up(held)
        assert held.events == store.upto - store.first
        assert held.let_go == 0
        monkeypatch.setattr(saga_held, "MOST_BYTES", 1)
        held = await caught_up(store)
        assert (held.events, held.let_go) == (0, store.upto - store.first)


async def test_the_event_loop_goes_on_while_flows_are_judged(tmp_path: Path) -> None:
    async with open_store(tmp_path, reading=READING) as store:
        look = store.look(LOOK)
        held = HeldFlows(store)
        await store.append(look, whole(600))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            counting = group.create_task(count())
            await catch_up(held)
            counting.cancel()
        assert turns > 5


def test_a_place_is_known_up_to_its_last_look_or_to_now_while_one_waits_for_more() -> None:
    now, place = round(time.time() * 1000), str(LOOK.address)
    browse, later = (msgspec.structs.replace(LOOK, kind="browse", at=at) for at in (10, 20))
    tail, scan = (msgspec.structs.replace(LOOK, kind=kind, at=30) for kind in ("tail", "scan"))
    assert read_until({0: later, 1: browse, 2: scan}, now) == {place: 20}
    assert read_until({0: browse, 1: tail}, now, [1]) == {place: now}
    assert read_until({1: tail}, now) == {place: None}
