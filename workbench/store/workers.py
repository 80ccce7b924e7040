"""Processes that search, and are replaced when they die: the kernel may kill one that took too much memory."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from workbench.model.errors import StoreError

P = ParamSpec("P")
Result = TypeVar("Result")

ATTEMPTS: Final = 3
"""How often something is begun whose process dies; it may be the cause."""


class Workers(Executor):
    """Processes to search in, started when first needed. They end with this process, even when it is killed.

    What a process was doing when it died is done again in another one: only what changes nothing may be done here.
    """

    def __init__(self, count: int | None = None) -> None:
        """Start nothing yet.

        Args:
            count: How many; None: as many as there are processors, at most four.
        """
        self._count = count or min(os.cpu_count() or 1, 4)
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self._closed = False

    def submit(self, fn: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> "Future[Result]":
        """Do something; its future raises `StoreError` where the processes that do it die again and again."""
        promised = Future[Result]()
        self._begin(promised, partial(fn, *args, **kwargs), ATTEMPTS)
        return promised

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _begin(self, promised: "Future[Result]", work: Callable[[], Result], attempts: int) -> None:
        pool = self._pool
        try:
            doing = pool.submit(work)
        except BrokenExecutor as error:
            self._again(pool, promised, work, attempts, error)
            return
        promised.add_done_callback(lambda promised: doing.cancel() if promised.cancelled() else None)
        doing.add_done_callback(lambda done: self._on_done(pool, promised, work, attempts, done))

    def _on_done(
        self,
        pool: ProcessPoolExecutor,
        promised: "Future[Result]",
        work: Callable[[], Result],
        attempts: int,
        done: "Future[Result]",
    ) -> None:
        if done.cancelled():
            promised.cancel()
            promised.set_running_or_notify_cancel()
        elif isinstance(error := done.exception(), BrokenExecutor):
            self._again(pool, promised, work, attempts, error)
        elif promised.set_running_or_notify_cancel():
            if error is not None:
                promised.set_exception(error)
            else:
                promised.set_result(done.result())

    def _again(
        self,
        pool: ProcessPoolExecutor,
        promised: "Future[Result]",
        work: Callable[[], Result],
        attempts: int,
        error: BaseException,
    ) -> None:
        with self._lock:
            # Whatever else was in the same pool has noticed, too.
            if self._pool is pool and not self._closed:
                self._pool = self._new_pool()
            closed = self._closed
        if attempts > 1 and not closed:
            self._begin(promised, work, attempts - 1)
        elif promised.set_running_or_notify_cancel():
            failure = StoreError("The processes that search keep ending: is there too little memory?")
            failure.__cause__ = error
            promised.set_exception(failure)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Forking a program with threads can deadlock the child, and would share the session's lock with it.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._count, context, initializer=_begin_worker)


def _begin_worker() -> None:
    # Ctrl+C reaches every process of the terminal; this program alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
