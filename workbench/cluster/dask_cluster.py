"""A Dask cluster that searches: each range of a log is a task, which Dask does again where a worker is lost.

The scheduler and its workers are somebody else's processes with this program installed. A task brings the connection
with its password, sealed: no key, log or dashboard of the cluster shows what is in it. Whoever controls the cluster can
read it all the same, and so can the network where the scheduler is not spoken to over TLS.

Dask is imported when a cluster is opened.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

from workbench import __version__
from workbench.cluster.dask_client import DEADLINE, connect
from workbench.cluster.range_scan import RangeScan
from workbench.cluster.range_search import Job, Piece, Sealed, search_range
from workbench.connecting.config import Connection, without_secrets
from workbench.connecting.connector import Scan
from workbench.connecting.error_log import log_error
from workbench.connecting.guard import Guarded
from workbench.model.address import Address
from workbench.model.errors import (
    ConfigError,
    ConnectionLost,
    ConnectorError,
    WorkbenchError,
    unwrap_exception_group,
)
from workbench.model.ranges import Range
from workbench.model.start import Window
from workbench.model.wording import quantity
from workbench.query.prefilter import Needles
from workbench.query.query import Query

PATIENCE: Final = 10.0
"""Seconds in which a cluster that has lost all its workers may get new ones."""
_DISTRIBUTION: Final = "event-workbench"
_AWAY: Final = 30.0
"""Seconds in which a broker that is away may come back."""
_PAUSE: Final = 1.0
"""Seconds before a worker is asked again to reach a broker that is away."""
_WATCH: Final = 1.0
"""Seconds after which it is asked again which workers there are."""


class Cluster:
    """A cluster that is connected."""

    def __init__(self, client: Any, address: str, patience: float) -> None:
        self._client = client
        self._patience = patience
        self._threads: Mapping[str, int] = {}
        self.address: Final = address
        """The scheduler's."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, patience: float = PATIENCE) -> AsyncIterator["Cluster"]:
        """Connect to the scheduler, and see that all its workers can do what is asked of them.

        Args:
            address: The scheduler's: `tcp://HOST:8786`, or `tls://` where it is spoken to over TLS.
            patience: Seconds in which workers may come back when all are lost.

        Raises:
            ConfigError: Dask is not installed here, or this program is not there in the same version.
            ConnectorError: The scheduler cannot be reached, or has no workers.
        """
        client = await connect(address)
        try:
            cluster = cls(client, address, patience)
            await cluster._check()
            yield cluster
        finally:
            with suppress(Exception):
                async with asyncio.timeout(DEADLINE):
                    await client.close(timeout=DEADLINE)

    @property
    def closed(self) -> bool:
        """Whether the scheduler was lost for good."""
        return bool(self._client.status in ("closed", "closing"))

    @property
    def threads(self) -> int:
        """How many ranges the workers search at one time, as they were when they were asked last."""
        return sum(self._threads.values()) or 1

    def __str__(self) -> str:
        """`4 workers (8 threads) of tcp://scheduler:8786`."""
        return f"{quantity(len(self._threads), 'worker')} ({quantity(self.threads, 'thread')}) of {self.address}"

    @asynccontextmanager
    async def scan(
        self,
        connector: Guarded,
        connection: Connection,
        addresses: Sequence[Address],
        query: Query | None,
        needles: Needles | None,
        window: Window,
    ) -> AsyncIterator[Scan]:
        """Search logs of one connection; what is found matches.

        Args:
            connector: Tells what there is to search.
            connection: The same, for the workers, with its password.
            addresses: Endpoints with `Ability.RANGES`.
            query: What must match; None: whatever holds the needles is found.
            needles: Groups of bytes, of each of which one member must occur; None: bytes cannot tell.
            window: The time to search.

        Raises:
            WorkbenchError: As `open`. From the scan: the scheduler is lost, or all workers are.
        """
        await self._check()
        extents = await connector.extents(addresses, window)
        job, reach = Sealed.of(Job(connection, query, needles or (), window)), _Reach()

        async def carry(part: Range) -> Piece:
            return await self._carry(job, part, reach)

        scan = RangeScan(extents, carry, self.threads)
        with unwrap_exception_group():
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(scan.run()), group.create_task(self._watch())]
                try:
                    yield scan
                finally:
                    for task in tasks:
                        task.cancel()

    async def _carry(self, job: Sealed, part: Range, reach: "_Reach") -> Piece:
        """Have a range searched by one of the workers that reach the broker, or were not yet asked to.

        Args:
            job: What for.
            part: The range.
            reach: Which workers those are; this adds to it.
        """
        sealed = Sealed.of(part)
        while able := self._threads.keys() - reach.unable.keys():
            future = self._client.submit(
                _search_on_worker,
                job,
                sealed,
                key=f"{_DISTRIBUTION}-{uuid4().hex}",
                pure=False,
                workers=sorted(able) if reach.unable else None,
                # Should all of these be lost before it is their turn.
                allow_other_workers=bool(reach.unable),
            )
            try:
                worker, piece = await future
            except Exception as error:
                return Piece((), part.start, error=self._reason(error))
            finally:
                # Where nobody waits any more, the scheduler forgets it.
                future.release()
            found: Piece = Sealed(piece).open()
            if isinstance(found.error, ConfigError):
                raise ConfigError(f"Worker {worker}: {found.error}")
            if not isinstance(found.error, ConnectionLost):
                reach.note(worker)
                return found
            if reach.may_return(worker, found.error):
                await asyncio.sleep(_PAUSE)
        return Piece((), part.start, error=ConnectorError(reach.sentence))

    async def _check(self) -> None:
        """See who the workers are, and that each has this program.

        Raises:
            WorkbenchError: One has not, or there is none.
        """
        try:
            async with asyncio.timeout(DEADLINE):
                self._threads = await self._client.nthreads()
                if not self._threads:
                    raise ConnectorError(
                        f"The cluster {self.address} has no workers: start some, `dask worker {self.address}`."
                    )
                there = {f"worker {name}": said for name, said in (await self._of_workers()).items()}
                there["scheduler"] = await self._of_scheduler()
        except TimeoutError:
            raise ConnectionLost(f"The cluster {self.address} does not answer within {DEADLINE:g} s.") from None
        except (OSError, RuntimeError) as error:
            raise self._lost(error) from error
        for place, said in there.items():
            # A worker that was lost meanwhile says nothing of what it has.
            if said != __version__ and isinstance(said, str | ModuleNotFoundError):
                has = f"has Event Workbench {said}" if isinstance(said, str) else "has no Event Workbench"
                raise ConfigError(f"The {place} of {self.address} {has}: install {__version__}, as it is here.")

    async def _of_workers(self) -> Mapping[str, object]:
        # A function of Python's own, for it must be found where this program is not.
        found: Mapping[str, object] = await self._client.run(version, _DISTRIBUTION, on_error="return")
        return found

    async def _of_scheduler(self) -> object:
        try:
            return await self._client.run_on_scheduler(version, _DISTRIBUTION)
        except ModuleNotFoundError as error:
            return error

    async def _watch(self) -> None:
        """Keep knowing which workers there are.

        Raises:
            ConnectionLost: The scheduler is lost, or has had no workers for too long.
        """
        clock = asyncio.get_running_loop().time
        seen = clock()
        while True:
            await asyncio.sleep(_WATCH)
            try:
                async with asyncio.timeout(DEADLINE):
                    threads = await self._client.nthreads()
            except (OSError, RuntimeError) as error:
                raise self._lost(error) from error
            if threads:
                self._threads, seen = threads, clock()
            elif clock() - seen > self._patience:
                raise ConnectionLost(f"The cluster {self.address} has lost all its workers.")

    def _lost(self, error: BaseException) -> ConnectionLost:
        log_error(error, f"Searching on {self.address}")
        return ConnectionLost(f"The Dask scheduler {self.address} was lost.")

    def _reason(self, error: Exception) -> WorkbenchError:
        """Why Dask could not have a range searched.

        Raises:
            ConnectionLost: The scheduler is lost.
        """
        from distributed import KilledWorker

        if isinstance(error, CancelledError | OSError):
            raise self._lost(error) from error
        if isinstance(error, KilledWorker):
            return ConnectorError(f"Searched {error.allowed_failures + 1} times, and each time the worker was lost")
        log_error(error, f"Searching on {self.address}")
        text = without_secrets(" ".join(str(error).split()))
        return ConnectorError(f"The cluster failed with {type(error).__name__}: {text[:200]}")


class _Reach:
    """Which workers reach a broker.

    Attributes:
        unable: Those that do not, and why.
    """

    def __init__(self) -> None:
        self.unable: dict[str, ConnectionLost] = {}
        self._reached: set[str] = set()
        self._heard = 0.0

    def note(self, worker: str) -> None:
        """A worker has reached it."""
        self._reached.add(worker)
        self._heard = time.monotonic()

    def may_return(self, worker: str, error: ConnectionLost) -> bool:
        """Whether a worker that has not reached it may do so a little later: it has before, and not long ago somebody
        has. Else that worker is not asked again."""
        if worker in self._reached and time.monotonic() - self._heard < _AWAY:
            return True
        self.unable[worker] = error
        return False

    @property
    def sentence(self) -> str:
        """What is to be said where nobody reaches it."""
        worker, reason = next(iter(self.unable.items()))
        some = f"worker {worker}" if len(self.unable) == 1 else f"{len(self.unable):,} workers, of them {worker}"
        return f"The broker cannot be reached from {some}: {reason}"


def _search_on_worker(job: Sealed, part: Sealed) -> tuple[str, bytes]:
    """The worker's address, and the pickled piece that it found."""
    from distributed import get_worker

    return get_worker().address, search_range(job, part)
