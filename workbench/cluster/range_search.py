"""Searching one range of a log by itself: what a worker of a cluster does.

A worker opens the connection, finds what the query means, and gives it back with how far it came. It stops early where
it takes long or finds much, so that a search moves on, little is lost with a worker, and nothing grows without bounds;
whoever asked then asks for the rest.
"""

import asyncio
import pickle
from typing import Any, Final

import msgspec

from workbench import __version__
from workbench.connecting.config import Connection
from workbench.connecting.connector import Scan
from workbench.connecting.error_log import log_unexpected
from workbench.connecting.guard import Guarded
from workbench.connecting.plugins import connect
from workbench.model.errors import ConfigError, ConnectionLost, ConnectorError, WorkbenchError
from workbench.model.event import Delivery
from workbench.model.look import Gap
from workbench.model.ranges import Range
from workbench.model.start import Window
from workbench.query.prefilter import Needles
from workbench.query.query import Query

SECONDS: Final = 3.0
"""How long a range is searched before the worker says how far it came."""
_MOST: Final = 4 << 20
"""Bytes of events that a worker gives back at once, before the batch that goes beyond."""


class Job(msgspec.Struct, frozen=True):
    """What all ranges of a search are searched for.

    Attributes:
        connection: The broker, with its password.
        query: What must match; None: whatever holds the needles is found.
        needles: Groups of byte strings, of each of which one member must occur; none: everything is asked the query.
        window: The time to search.
        version: Of the program that asks.
    """

    connection: Connection
    query: Query | None
    needles: Needles
    window: Window
    version: str = __version__


class Piece(msgspec.Struct, frozen=True):
    """What a worker found.

    Attributes:
        found: In the order of the range.
        reached: The offset behind what was searched; before the range's end where there was much, or an error.
        gaps: What of that was not seen.
        notes: What to know about what was seen.
        error: Why no more was searched; None: it was time to say how far it is.
    """

    found: tuple[Delivery, ...]
    reached: int
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    error: WorkbenchError | None = None


class Sealed:
    """Something on its way to a worker, which a log, a dashboard or a traceback of the cluster shows nothing of."""

    def __init__(self, content: bytes) -> None:
        self._content: Final = content

    @classmethod
    def of(cls, content: Any) -> "Sealed":
        """Seal what pickles."""
        return cls(pickle.dumps(content))

    def open(self) -> Any:
        """What is in it."""
        return pickle.loads(self._content)

    def __repr__(self) -> str:
        return "Sealed(…)"


def search_range(job: Sealed, part: Sealed) -> bytes:
    """Search a `Range` for a `Job`, in this process; returns a pickled `Piece`, and raises nothing."""
    asked: Job = job.open()
    searched: Range = part.open()
    try:
        if asked.version != __version__:
            raise ConfigError(f"it has Event Workbench {__version__}, and this is {asked.version}")
        piece = asyncio.run(_search(asked, searched))
    except WorkbenchError as error:
        piece = Piece((), searched.start, error=error)
    except Exception as error:
        failed = ConnectorError(log_unexpected(error, f"Searching {searched.address}"))
        piece = Piece((), searched.start, error=failed)
    return pickle.dumps(piece)


async def _search(job: Job, part: Range) -> Piece:
    async with (
        Guarded(connect(job.connection), job.connection) as connector,
        connector.scan_range(part, job.needles, job.window) as scan,
    ):
        found: list[Delivery] = []
        error: WorkbenchError | None = None
        size, reached = 0, part.end
        try:
            async with asyncio.timeout(SECONDS):
                async for batch in scan:
                    some = [each for each in batch if _is_meant(job, each)]
                    found += some
                    size += sum(each.memory for each in some)
                    if size > _MOST and (last := batch[-1].position) is not None:
                        reached = int(last.offset) + 1
                        break
        except TimeoutError:
            reached = _reached(scan, part)
        except WorkbenchError as failed:
            reached, error = _reached(scan, part), failed
        if (lost := scan.interruption) is not None:
            # Its coverage tells of a gap that another worker may not have.
            return Piece((), part.start, error=ConnectionLost(lost.reason))
        return Piece(tuple(found), reached, scan.coverage.gaps, scan.coverage.notes, error)


def _is_meant(job: Job, delivery: Delivery) -> bool:
    return job.window.holds(delivery.event.timestamp) and (job.query is None or job.query.matches(delivery))


def _reached(scan: Scan, part: Range) -> int:
    spans = scan.coverage.spans
    return int(spans[0].end) if spans else part.start
