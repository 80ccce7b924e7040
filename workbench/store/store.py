"""The store: every delivery that anyone looked at, in a private SQLite file, a row for some 2,000 of them.

Deliveries get a sequence number when they are appended and can be read at once; they are gathered in memory until they
fill a row, and one thread writes the rows. When it falls behind, `append` waits. What is computed is computed on the
event loop, a batch at a time: a thread that computes would make the loop wait for it at every turn; SQLite does not.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from sys import maxsize
from typing import Final, TypeVar, TypeVarTuple

import msgspec

from workbench.model.errors import StoreError
from workbench.model.event import Delivery
from workbench.model.look import Coverage, Look
from workbench.query.query import PLAIN, Reading
from workbench.store.archive import Archive
from workbench.store.batch import COUNT, SIZE, Chunk, Row, encode, pack
from workbench.store.session_file import delete_stored, new_file, private_file
from workbench.store.writer import Writer

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

AHEAD: Final = 4
"""Full rows that may wait to be written."""
SAVED: Final = 1.0
"""Seconds after which a recording holds what was appended, though it fills no row yet."""
ENCODED: Final = 500
"""Deliveries that are encoded before others get the event loop, some 2 ms: a key waits no longer for it."""
KEPT: Final = 0.9
"""The part of the budget that is left when it was exceeded: dropping is rare, and then thorough."""


class Budget(msgspec.Struct, frozen=True):
    """How much is kept. Beyond it the oldest rows are dropped, a tenth of it at a time.

    Attributes:
        events: At most so many deliveries.
        size: At most so many bytes of them.
    """

    events: int = 10_000_000
    size: int = 8 * 1024**3


DEFAULT: Final = Budget()
"""What is kept unless the user says otherwise."""
UNLIMITED: Final = Budget(maxsize, maxsize)
"""All that the disk has space for."""


@asynccontextmanager
async def open_store(
    folder: Path | None = None, budget: Budget = DEFAULT, reading: Reading = PLAIN
) -> AsyncIterator["Store"]:
    """A store that lives as long as this context, and whose file is deleted then unless it was recorded.

    Args:
        folder: Where; None: the platform's state folder. What killed sessions left there is swept.
        budget: How much is kept.
        reading: How deliveries are understood.

    Raises:
        StoreError: The folder cannot be written, or has no space.
    """
    with private_file(folder) as path:
        store = await Store.create(path, budget, reading)
        try:
            yield store
        finally:
            await store.close()


class Store(Archive):
    """An archive that grows. Made by `open_store`."""

    def __init__(
        self, path: Path, budget: Budget, reading: Reading, writer: Writer, thread: ThreadPoolExecutor
    ) -> None:
        super().__init__(path, reading)
        self.listeners: Final[set[Callable[[], object]]] = set()
        """Called when something was stored, on the event loop: at every batch, so each only takes note."""
        self._budget: Final = budget
        self._writer: Final = writer
        self._thread: Final = thread
        self._unsaved_looks: set[int] = set()
        self._pending = Chunk(0, array("I"), [], [])
        self._pending_size = 0
        self._waiting: list[Chunk] = []
        self._writing: asyncio.Future[None] | None = None
        self._failure: StoreError | None = None
        self._moving = asyncio.Lock()
        self._recording: asyncio.TimerHandle | None = None
        self._saved = 0  # `upto` of what was handed to the writer
        self._events = self._size = 0

    @classmethod
    async def create(cls, path: Path, budget: Budget, reading: Reading) -> "Store":
        """A store in an empty file.

        Raises:
            StoreError: There is no space, or no right to write.
        """
        thread = ThreadPoolExecutor(1, "store-writer")
        try:
            writer = await asyncio.get_running_loop().run_in_executor(thread, Writer, path)
        except StoreError:
            thread.shutdown()
            raise
        return cls(path, budget, reading, writer, thread)

    @property
    def upto(self) -> int:
        return self._pending.first + len(self._pending.deliveries)

    @property
    def first(self) -> int:
        return self._rows[0].first if self._rows else [*self._waiting, self._pending][0].first

    @property
    def recorded(self) -> bool:
        """Whether the file stays."""
        return self._recording is not None

    def chunks_from(self, start: int) -> Sequence[Chunk]:
        # What still grows is copied: others read it in their own time, and on other threads.
        pending = Chunk(
            self._pending.first, self._pending.looks[:], self._pending.deliveries[:], self._pending.encoded[:]
        )
        return [chunk for chunk in (*self._waiting, pending) if start < chunk.first + len(chunk.deliveries)]

    def look(self, look: Look) -> int:
        """Register a look; its number is for `append`."""
        id = len(self._looks)
        self._looks[id] = look
        self._unsaved_looks.add(id)
        return id

    def cover(self, id: int, coverage: Coverage) -> None:
        """Tell what a look has covered by now."""
        self._looks[id] = msgspec.structs.replace(self._looks[id], coverage=coverage)
        self._unsaved_looks.add(id)

    async def append(self, look: int, batch: Sequence[Delivery]) -> int:
        """Store a batch of a look. It can be read when this returns, which is as soon as the writer keeps up.

        Returns:
            `upto` behind it.

        Raises:
            StoreError: What was appended before found no space; nothing of this batch is kept, all from before can
                still be read. To append again is to try again.
        """
        await self._wait_until_written(AHEAD if self._failure is None else len(self._waiting) - 1)
        encoded = await _encode(batch)
        pending, at = self._pending, 0
        while at < len(batch):
            end = min(at + COUNT - len(pending.deliveries), len(batch))
            size = sum(map(len, encoded[at:end]))
            if self._pending_size + size > SIZE:
                # One at a time, so that a row exceeds its size by one delivery at most.
                end, size = at + 1, len(encoded[at])
            pending.deliveries += batch[at:end]
            pending.encoded += encoded[at:end]
            pending.looks.extend([look] * (end - at))
            self._pending_size += size
            at = end
            if len(pending.deliveries) >= COUNT or self._pending_size >= SIZE:
                pending = self._fill()
        for listener in tuple(self.listeners):
            listener()
        return self.upto

    async def flush(self) -> None:
        """Write what is in memory.

        Raises:
            StoreError: There is no space.
        """
        if self._pending.deliveries:
            self._fill()
        await self._wait_until_written(0)
        try:
            await self._on_thread(self._writer.save, self._looks_to_save())
        except StoreError:
            self._unsaved_looks.update(self._looks)
            raise

    async def record(self, path: Path) -> None:
        """Keep what is stored, and all that will be, in a file that stays. A crash costs its last second at most.

        Raises:
            StoreError: There is such a file, or it cannot be made, or there is no space; or this is recorded already.
        """
        async with self._moving:
            if self.recorded:
                raise StoreError(f"This session is already being recorded, to {self.path}.")
            await self.flush()
            new_file(path)
            await self._on_thread(self._writer.move_to, path)
            private, self.path = self.path, path
            self._save_pending()
            await self.on_reader(self._forget_database)
            # Whoever began to search the private file has to find it until the end.
            if self._work:
                await asyncio.wait(self._work)
            await self._on_thread(delete_stored, private)

    async def close(self) -> None:
        """Close the file; what is in memory is written first if it is a recording.

        Raises:
            StoreError: There is no space for the end of the recording.
        """
        recorded = self._recording is not None
        try:
            if self._recording is not None:
                self._recording.cancel()
                await self.flush()
        finally:
            # What is being written ends; what waits behind it need not begin.
            del self._waiting[1:]
            await super().close()
            await self._on_thread(lambda: self._writer.close(finished=recorded))
            self._thread.shutdown()

    def _fill(self) -> Chunk:
        """Take what is pending for a full row.

        Returns:
            What is pending now: nothing.
        """
        full = self._pending
        self._waiting.append(full)
        self._pending = Chunk(full.first + len(full.deliveries), array("I"), [], [])
        self._pending_size = 0
        if self._writing is None and self._failure is None:
            self._write()
        return self._pending

    def _write(self) -> "asyncio.Future[None]":
        chunk = self._waiting[0]
        columns = pack(chunk)
        row = Row(chunk.first, columns.count, len(columns.deliveries), frozenset(chunk.looks))
        self._writing = self._on_thread(self._writer.save, self._looks_to_save(), columns)
        self._writing.add_done_callback(lambda writing: self._write_one(writing, row))
        return self._writing

    def _write_one(self, writing: "asyncio.Future[None]", row: Row) -> None:
        self._writing = None
        if not self._has_succeeded(writing):
            return
        del self._waiting[0]
        self._rows.append(row)
        self._events += row.count
        self._size += row.size
        self._keep_to_budget()
        if self._waiting:
            self._write()

    def _has_succeeded(self, writing: "asyncio.Future[None]") -> bool:
        try:
            writing.result()
        except StoreError as error:
            self._failure = error
            self._unsaved_looks.update(self._looks)
            self._saved = 0
            return False
        return True

    async def _wait_until_written(self, most: int) -> None:
        """Returns when at most so many full rows wait to be written."""
        self._failure = None
        while self._waiting and len(self._waiting) > most:
            await asyncio.wait([self._writing or self._write()])
            if self._failure is not None:
                raise self._failure

    def _keep_to_budget(self) -> None:
        if self._events <= self._budget.events and self._size <= self._budget.size:
            return
        dropped = 0
        while dropped < len(self._rows) - 1 and (
            self._events > self._budget.events * KEPT or self._size > self._budget.size * KEPT
        ):
            self._events -= self._rows[dropped].count
            self._size -= self._rows[dropped].size
            dropped += 1
        del self._rows[:dropped]
        # Should there be no space even for that, the next time drops these too.
        self._thread.submit(self._writer.drop, self._rows[0].first)

    def _save_pending(self) -> None:
        """Save what is new and fills no row yet, and again in a while; the full row will take its place."""
        self._recording = asyncio.get_running_loop().call_later(SAVED, self._save_pending)
        grown = self.upto > max(self._saved, self._pending.first)
        if self._failure is None and (grown or self._unsaved_looks):
            self._saved = self.upto
            saving = self._on_thread(self._writer.save, self._looks_to_save(), pack(self._pending) if grown else None)
            saving.add_done_callback(self._has_succeeded)

    def _looks_to_save(self) -> list[tuple[int, str]]:
        looks = [(id, msgspec.json.encode(self._looks[id]).decode()) for id in sorted(self._unsaved_looks)]
        self._unsaved_looks.clear()
        return looks

    def _on_thread(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> "asyncio.Future[Result]":
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


async def _encode(batch: Sequence[Delivery]) -> list[bytes]:
    """Deliveries as they are stored."""
    encoded = [encode(delivery) for delivery in batch[:ENCODED]]
    for at in range(ENCODED, len(batch), ENCODED):
        await asyncio.sleep(0)
        encoded += [encode(delivery) for delivery in batch[at : at + ENCODED]]
    return encoded
