"""Processes that search, and are replaced when they die: the kernel may kill one that took too much memory.

Each is a Python of its own that imports nothing from the current folder, which may be a stranger's, and inherits no
password: `multiprocessing` would do neither. Requests and answers are pickled, each behind its length in eight bytes.
"""

import os
import pickle
import queue
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, Any, Final, ParamSpec, TypeVar

from workbench.connecting.environment import child_environment, child_python
from workbench.model.errors import StoreError

P = ParamSpec("P")
Result = TypeVar("Result")

ATTEMPTS: Final = 3
"""How often something is begun whose process dies; it may be the cause."""
_LENGTH: Final = 8


class Workers(Executor):
    """Processes to search in, started when first needed. They end with this process, even when it is killed.

    What a process was doing when it died is done again in another one: only what changes nothing may be done here.
    """

    def __init__(self, count: int | None = None) -> None:
        """Start nothing yet.

        Args:
            count: How many; None: as many as there are processors, at most four.
        """
        self._threads = ThreadPoolExecutor(count or min(os.cpu_count() or 1, 4), "searching")
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._closed = False

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Result]":
        """Do something; its future raises `StoreError` where the processes that do it die again and again."""
        return self._threads.submit(self._do, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; where nobody waits for what they do, at once."""
        if wait:
            self._threads.shutdown(wait, cancel_futures=cancel_futures)
        with self._lock:
            self._closed = True
            left, self._children, self._idle = self._children, set(), []
        for child in left:
            child.kill()
        self._threads.shutdown(wait, cancel_futures=cancel_futures)

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        with self._lock:
            return [child.pid for child in self._children]

    def _do(self, work: Callable[[], Result]) -> Result:
        request = pickle.dumps(work)
        for attempt in range(ATTEMPTS):
            # Those that were idle may have died with the first.
            child = self._take(fresh=attempt > 0)
            try:
                answer = child.ask(request)
            except (EOFError, OSError):
                self._let_go(child)
                continue
            except BaseException:
                self._let_go(child)
                raise
            with self._lock:
                self._idle.append(child)
            done: bool
            found: Any
            done, found = pickle.loads(answer)
            if not done:
                raise found
            result: Result = found
            return result
        raise StoreError("The processes that search keep ending: is there too little memory?")

    def _take(self, fresh: bool) -> "_Child":
        with self._lock:
            if self._closed:
                raise StoreError("The search was ended.")
            if self._idle and not fresh:
                return self._idle.pop()
            child = _Child()
            self._children.add(child)
            return child

    def _let_go(self, child: "_Child") -> None:
        with self._lock:
            self._children.discard(child)
        child.kill()


class _Child:
    """A process, as the one that waits for it knows it.

    Raises `OSError` where it cannot be started.
    """

    def __init__(self) -> None:
        # Its own session: the terminal sends Ctrl+C to all that share one.
        self._process = Popen(
            child_python(__name__),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
            env=child_environment(),
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, request: bytes) -> bytes:
        """Have something done.

        Raises:
            OSError: It has died.
            EOFError: It has died.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        _write(self._process.stdin, request)
        if (answer := _read(self._process.stdout)) is None:
            raise EOFError
        return answer

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in filter(None, (self._process.stdin, self._process.stdout)):
            # What was not written yet is of no use.
            with suppress(OSError):
                pipe.close()


def _write(file: IO[bytes], data: bytes) -> None:
    file.write(len(data).to_bytes(_LENGTH, "big"))
    file.write(data)
    file.flush()


def _read(file: IO[bytes]) -> bytes | None:
    """What comes next; None: there is no more."""
    if len(head := file.read(_LENGTH)) < _LENGTH:
        return None
    size = int.from_bytes(head, "big")
    return data if len(data := file.read(size)) == size else None


# In the process that searches.


def serve() -> None:
    """Do what standard input asks for until it ends, which also ends what is being done then."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def receive() -> None:
        while (request := _read(requests)) is not None:
            waiting.put(request)
        os._exit(1)

    threading.Thread(target=receive, daemon=True).start()
    with suppress(BrokenPipeError):
        while True:
            _write(answers, _answer(waiting.get()))


def _answer(request: bytes) -> bytes:
    try:
        return pickle.dumps((True, pickle.loads(request)()))
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        try:
            return pickle.dumps((False, error))
        except Exception:
            return pickle.dumps((False, StoreError(f"Searching failed with {type(error).__name__}: {error}")))
