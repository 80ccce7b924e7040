"""Recordings on the command line: `--record` writes one, and a command that reads takes one in an address's place."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from workbench.connecting.connector import Stream
from workbench.model.address import Address
from workbench.model.errors import AddressError, ConfigError
from workbench.model.event import Damaged, Delivery
from workbench.model.look import Coverage, Gap, Look
from workbench.model.start import Beginning, FromEnd, Since, Start
from workbench.model.wording import quantity
from workbench.query.query import Query
from workbench.session import Session

# Most commands open no recording, and none waits for SQLite that does not.
if TYPE_CHECKING:
    from workbench.store.archive import Archive
    from workbench.store.store import Store

SUFFIX: Final = ".db"
"""How the names of recordings end; another name is recognised by what is in the file."""

Covered: TypeAlias = Mapping[Address, Coverage] | Mapping[Address | Path, Coverage]
"""What was covered of each endpoint or recording."""

_MAGIC: Final = b"SQLite format 3\0"


def has_failed(coverage: Covered) -> bool:
    """Whether a part could not be read that should be there."""
    return any(gap.failed for each in coverage.values() for gap in each.gaps)


def is_recording(text: str) -> bool:
    """Whether an argument means a recording rather than another file or an address."""
    path = Path(text)
    try:
        if not path.is_file():
            return False
        if path.suffix == SUFFIX:
            return True
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


def address_or_recording(session: Session, text: str) -> Address | Path:
    """What an argument means. A file that is not there is taken for a recording if nothing else fits its name.

    Raises:
        AddressError: It is neither.
    """
    if is_recording(text):
        return Path(text)
    try:
        return session.address(text)
    except AddressError:
        if text.endswith(SUFFIX):
            return Path(text)
        raise


class _Recorded:
    """A recording as a stream."""

    def __init__(self, archive: "Archive", query: Query | None, start: Beginning | Since | FromEnd | None) -> None:
        self._archive = archive
        self._query = query
        self._start = start
        self._read = self._damaged = 0
        self._total: int | None = None

    @property
    def coverage(self) -> Coverage:
        """What was read of it, and what those who recorded it could not see."""
        gaps = [
            Gap(f"{look.address}: {gap.what}", gap.reason)
            for look in self._archive.looks.values()
            for gap in look.coverage.gaps
        ]
        if self._archive.first:
            gaps.append(Gap(f"the oldest {self._archive.first:,}", "dropped while it was recorded"))
        if self._damaged:
            gaps.append(Gap(quantity(self._damaged, "event"), "damaged in the recording"))
        return Coverage(self._read, gaps=tuple(gaps), total=self._total)

    @property
    def interruption(self) -> None:
        """A file is never away."""

    async def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]:
        from workbench.store.view import View

        start = self._start
        # What counts from the end counts what does not match, too.
        view = View(self._archive, None if isinstance(start, FromEnd) else self._query)
        await view.catch_up()
        sequences, self._read = view.sequences, view.examined
        if isinstance(start, FromEnd):
            self._total = len(sequences)
            sequences = sequences[max(len(sequences) - start.count, 0) :]
            self._read = len(sequences)
        since = start.time if isinstance(start, Since) else None
        async for found in self._archive.read(sequences):
            self._damaged += sum(isinstance(each, Damaged) for each in found)
            batch = [each for each in found if since is None or each.time[0] >= since]
            if batch:
                yield batch


@asynccontextmanager
async def play(
    session: Session, path: Path, query: Query | None = None, start: Start | None = None
) -> AsyncIterator[Stream]:
    """What is in a recording, in the order of the events' times.

    Args:
        session: How events are understood.
        path: The recording.
        query: What is looked for: what does not match is left out where that is quicker.
        start: Where to begin; None: with the oldest.

    Raises:
        ConfigError: A recording cannot be read from there.
        StoreError: It is not there, no recording, of a newer version, or, also from the stream, damaged.
    """
    if start is not None and not isinstance(start, Beginning | Since | FromEnd):
        raise ConfigError(f"{path} is a recording: it is read from its beginning, from a time or from end-500.")
    from workbench.store.archive import open_recording

    async with open_recording(path, session.reading) as archive:
        yield _Recorded(archive, query, start)


class Recorder:
    """Keeps what a command shows, if that was asked for. Made by `recorder`."""

    def __init__(self, store: "Store | None", kind: Literal["browse", "tail"]) -> None:
        self._store = store
        self._kind: Literal["browse", "tail"] = kind
        self._looks: dict[Address, int] = {}

    async def keep(self, batch: Sequence[Delivery]) -> None:
        """Record what is shown.

        Raises:
            StoreError: There is no space.
        """
        if self._store is not None:
            for address, some in groupby(batch, attrgetter("address")):
                await self._store.append(self._look(self._store, address), list(some))

    def cover(self, coverage: Covered) -> None:
        """Record what was covered."""
        if self._store is not None:
            for place, covered in coverage.items():
                if isinstance(place, Address):
                    self._store.cover(self._look(self._store, place), covered)

    def _look(self, store: "Store", address: Address) -> int:
        if address not in self._looks:
            self._looks[address] = store.look(Look(address, self._kind, round(time.time() * 1000)))
        return self._looks[address]


@asynccontextmanager
async def recorder(session: Session, kind: Literal["browse", "tail"], path: Path | None) -> AsyncIterator[Recorder]:
    """Record into a new file, all of it, however much it is; None: nowhere.

    Raises:
        StoreError: There is such a file, or it cannot be made, or, also on leaving, there is no space.
    """
    if path is None:
        yield Recorder(None, kind)
        return
    from workbench.store.store import UNLIMITED, open_store

    async with open_store(None, UNLIMITED, session.reading) as store:
        await store.record(path)
        yield Recorder(store, kind)
