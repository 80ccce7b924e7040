"""A Dask scheduler and its workers, as their users start them, on private ports of this machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.e2e.command import DEADLINE

DASK = Path(sys.executable).parent / "dask"
# Also what serves a dashboard, and without one a health check, listens on this machine alone.
_PRIVATE = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard")


def wait_until(holds: Callable[[], Any], what: str) -> Any:
    """Wait until something is so; returns what `holds` does."""
    end = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < end, f"{what}: not so for {DEADLINE:g} s"
        time.sleep(0.02)
    return found


class DaskProcess:
    """A scheduler or a worker."""

    def __init__(
        self, name: str, folder: Path, program: Sequence[str | Path], environment: Mapping[str, str] = {}
    ) -> None:
        self.log = folder / f"{name}.log"
        """All that it has said."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*program, *_PRIVATE],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder / "scratch"), **environment},
            )

    @property
    def said(self) -> str:
        """All that it has said."""
        return self.log.read_text()

    @property
    def is_connected(self) -> bool:
        """Whether it is a worker that its scheduler knows."""
        return "Starting established connection" in self.said

    @property
    def seconds(self) -> float:
        """The processor time that it has taken."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Kill it: nothing of it is of use to anybody."""
        self._process.kill()
        self._process.wait()


class DaskCluster:
    """A scheduler, and as many workers as were added."""

    def __init__(self, folder: Path, protocol: str = "tcp://", environment: Mapping[str, str] = {}) -> None:
        """Start a scheduler; its files are in `folder`."""
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._workers: list[DaskProcess] = []
        program = (DASK, "scheduler", "--port", "0", "--protocol", protocol, "--scheduler-file", self._file.name)
        self.scheduler = DaskProcess("scheduler", folder, program, environment)
        """The scheduler."""
        wait_until(self._file.exists, "there is a scheduler")
        self.address: str = wait_until(self._address, "the scheduler says where it is")
        """Where it listens."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in (*self._workers, self.scheduler):
            process.end()

    def add_workers(
        self,
        count: int = 1,
        program: Sequence[str | Path] = (DASK, "worker"),
        environment: Mapping[str, str] = {},
    ) -> list[DaskProcess]:
        """Start workers, with variables of their own, and wait until they are there."""
        workers: list[DaskProcess] = []
        for _ in range(count):
            name = f"worker-{len(self._workers)}"
            alone = (self.address, "--nthreads", "1", "--no-nanny", "--name", name)
            worker = DaskProcess(name, self._folder, (*program, *alone), environment)
            self._workers.append(worker)
            workers.append(worker)
        wait_until(lambda: all(each.is_connected for each in workers), "there are workers")
        return workers

    @property
    def seconds(self) -> float:
        """The processor time that the scheduler and the workers have taken."""
        return sum(each.seconds for each in (self.scheduler, *self._workers))

    def _address(self) -> str | None:
        try:
            found: str = json.loads(self._file.read_text())["address"]
        except ValueError:
            return None
        return found
