"""What keeps a private broker apart from everything else: ports, a folder and processes of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.brokers.install import DIES_WITH_US, BrokerUnavailable, locked

_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
"""Starts every process that dies with us: that means with the *thread* that forked, so one that lasts."""


class Startable(ABC):
    """What one owner starts; as a context it is started, and removed at the end."""

    @abstractmethod
    def start(self) -> None:
        """Start what does not run, and return when it is ready.

        Raises:
            BrokerUnavailable: it ended, or was not ready in time.
        """

    @abstractmethod
    def remove(self) -> None:
        """End it and leave no process, port or file of it."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class PrivateBroker(Startable):
    """A broker that one owner starts, stops and kills as it likes. Its data and ports stay its own until `remove`."""

    _process: Daemon
    _state: StateFolder
    _ports: Sequence[Port]

    @property
    def pid(self) -> int:
        """The process id of the broker; of its last process when none runs."""
        return self._process.pid

    def stop(self) -> None:
        """End the broker in good order."""
        self._process.end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        self._process.end(signal.SIGKILL)

    def remove(self) -> None:
        """End the broker and leave no process, port or file of it."""
        self.kill()  # its data go too, so good order would only take time
        self._state.remove()
        for port in self._ports:
            port.release()


class Port:
    """A free loopback port, kept for us until `release`, also while the broker that listens on it is down.

    The bound socket never listens, so a connection is refused unless the broker is up. Linux lets a second
    socket bind and listen there when both have SO_REUSEADDR (socket(7)), which every broker sets, and hands
    the port to nobody who asks for any free port.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        self._held.bind(("127.0.0.1", 0))
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number: int = self._held.getsockname()[1]

    def __str__(self) -> str:
        return str(self.number)

    @property
    def listening(self) -> bool:
        """Whether something accepts connections there."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.number)) == 0

    def release(self) -> None:
        """Let go of the port."""
        self._held.close()


class StateFolder:
    """A folder for the data of one broker. Folders of processes that died without tidying are removed first."""

    def __init__(self, parent: Path, name: str) -> None:
        with locked(parent / ".lock"):
            for folder in parent.glob("*/"):
                _remove_if_left(folder)
            self.path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


class Daemon:
    """A process that runs until it is ended by its pid, or dies with us."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = [*DIES_WITH_US, *command]
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; of the last process when none runs."""
        if self._process is None:
            raise RuntimeError("never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, unless it runs."""
        if not self.running:
            self._process = _SPAWNER.submit(self._spawn).result()

    def end(self, how: signal.Signals, within: float = 30.0) -> None:
        """Send the signal, unless it has ended, and wait; kill it when it takes longer than `within` seconds."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait_until(self, condition: Callable[[], bool], what: str, within: float = 90.0) -> None:
        """Wait for a condition that this process is to bring about.

        Raises:
            BrokerUnavailable: the process ended, or `within` seconds have passed.
        """
        deadline = time.monotonic() + within
        while not condition():
            if not self.running:
                raise BrokerUnavailable(f"{what} ended while starting: {self._last_words()}")
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"{what} was not ready within {within:g} s: {self._last_words()}")
            time.sleep(0.05)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            # A session of its own keeps a Ctrl+C at the terminal from ending it before we do.
            return subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-40:]) or "it said nothing"


def _remove_if_left(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # Its process lives.
    finally:
        os.close(lock)
