"""A process that dies while it searches is replaced, and what it did is done again."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.connecting.environment import keep_from_children
from workbench.model.address import Address
from workbench.model.errors import StoreError
from workbench.model.event import Delivery, Event
from workbench.model.look import Look
from workbench.query.query import compile
from workbench.store.store import open_store
from workbench.store.view import View
from workbench.store.workers import ATTEMPTS, Workers

SOON = 60.0


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(2) as pool:
        yield pool


def kill_all(workers: Workers) -> list[int]:
    """Kill every process of the pool, by its id."""
    killed = workers.pids
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return killed


def dies_once(marker: Path) -> str:
    """What kills its process the first time it is done."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def dies_always(counted: Path) -> None:
    with counted.open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def slow(begun: Path) -> str:
    """Busy until it is done a second time."""
    if begun.exists():
        return "done"
    begun.touch()
    time.sleep(SOON)
    return "never"


def test_what_a_process_did_when_it_died_is_done_again(workers: Workers, tmp_path: Path) -> None:
    others = [workers.submit(os.getpid) for _ in range(5)]
    assert workers.submit(dies_once, tmp_path / "marker").result(SOON) == "done"
    assert all(other.result(SOON) for other in others)


def test_a_process_killed_from_outside_is_replaced(workers: Workers, tmp_path: Path) -> None:
    doing = workers.submit(slow, tmp_path / "begun")
    deadline = time.monotonic() + SOON
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        pass
    assert kill_all(workers)
    assert doing.result(SOON) == "done"


def test_processes_killed_while_they_have_nothing_to_do_are_replaced(workers: Workers) -> None:
    first = workers.submit(os.getpid).result(SOON)
    assert first in kill_all(workers)
    assert workers.submit(os.getpid).result(SOON) != first


def test_what_always_kills_its_process_is_an_error_and_the_next_is_done(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="keep ending"):
        workers.submit(dies_always, tmp_path / "counted").result(SOON)
    assert len((tmp_path / "counted").read_text()) == ATTEMPTS
    assert workers.submit(os.getpid).result(SOON)


def test_errors_and_cancellations_pass(workers: Workers) -> None:
    with pytest.raises(ZeroDivisionError):
        workers.submit(divmod, 1, 0).result(SOON)
    many = [workers.submit(time.sleep, 0.2) for _ in range(20)]
    assert many[-1].cancel() and many[-1].cancelled()
    for each in many[:-1]:
        each.result(SOON)


async def test_a_search_whose_processes_are_killed_finds_everything(workers: Workers, tmp_path: Path) -> None:
    place = Address("m", "place")
    async with open_store(tmp_path) as store:
        look = store.look(Look(place, "browse", 0))
        for first in range(0, 60_000, 2_000):
            await store.append(
                look, [Delivery(Event(body=b"%d" % each), place, each) for each in range(first, first + 2_000)]
            )
        await store.flush()
        view = View(store, compile("body ~ '7'"))
        killed: list[int] = []

        def kill() -> None:
            if not killed:
                killed.extend(kill_all(workers))

        async with asyncio.timeout(SOON):
            await view.catch_up(workers, kill)
        assert killed
        assert view.examined == 60_000
        assert len(view) == sum("7" in str(each) for each in range(60_000))


def environment() -> dict[str, str]:
    return dict(os.environ)


@pytest.mark.parametrize("name", ["multiprocessing", "pickle", "queue", "workbench", "encodings", "sitecustomize"])
def test_nothing_in_the_current_folder_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    with Workers(1) as workers:
        assert workers.submit(os.getpid).result(SOON)
    assert not (tmp_path / "imported").exists()


def test_no_process_inherits_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_PASSWORD_SHOP", "hunter2")
    monkeypatch.setenv("SHOP_LOGIN", "ops:hunter2")
    monkeypatch.setenv("OTHER", "other")
    keep_from_children(["amqp://${SHOP_LOGIN}@localhost"])
    with Workers(1) as workers:
        inherited = workers.submit(environment).result(SOON)
    assert inherited["OTHER"] == "other"
    assert "hunter2" not in str(inherited)


def test_what_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    workers = Workers(1)
    doing = workers.submit(slow, tmp_path / "begun")
    deadline = time.monotonic() + SOON
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    workers.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(StoreError, match="ended"):
        doing.result(SOON)
    assert workers.pids == []
