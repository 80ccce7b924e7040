"""A test that hangs fails by its name, with a traceback of all threads, and the run goes on."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Generator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

_ERRORS = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the stream for errors, which pytest catches while a test runs; let none of pytest's own work be endless.

    Where one of these variables is set, it compares lists that differ item by item, which takes difflib hours for the
    thousands of events of a contract's test that is meant to fail.
    """
    for variable in ("CI", "BUILD_NUMBER"):
        os.environ.pop(variable, None)
    assert sys.__stderr__ is not None
    config.stash[_ERRORS] = os.dup(sys.__stderr__.fileno())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let go of it."""
    os.close(config.stash[_ERRORS])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Watch over the end of a test that failed, too: pytest's own watch ends with the failure."""
    seconds = float(item.config.getini("faulthandler_timeout"))
    exits = bool(item.config.getini("faulthandler_exit_on_timeout"))
    faulthandler.dump_traceback_later(seconds, exit=exits, file=item.config.stash[_ERRORS])
    return (yield)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Hand out files, as `--dist loadfile` does."""
    return _FilesOnce(config, log) if config.getoption("dist") == "loadfile" else None


class _FilesOnce(LoadFileScheduling):  # type: ignore[misc]
    """Goes on where a test ended its worker: xdist would give that test to the next, without end."""

    def remove_node(self, node: WorkerController) -> object:
        for tests in self.assigned_work[node].values():
            for name, done in tests.items():
                if not done:
                    tests[name] = True
                    super().remove_node(node)
                    return name
        super().remove_node(node)
        return None

    def _reschedule(self, node: WorkerController) -> None:
        # A worker begins a test when it knows of the next one, or that there is none.
        while node in self.registered_collections and not node.shutting_down:
            super()._reschedule(node)
            if self._pending_of(self.assigned_work[node]) > 1:
                return
