"""Which copies of an operation are taken back, and what is published in their place."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from workbench.model.event import Delivery, Event
from workbench.model.target_rules import Rules
from workbench.operations.journal.journal_file import Entry
from workbench.operations.journal.operation import EntryState
from workbench.operations.journal.records import find_entries, read_entries, settled_keys, undos_of
from workbench.operations.move.choice import NOT_MEANT, Removal, Stay, Way
from workbench.operations.move.copies import stamp_of, unburdened
from workbench.operations.move.plan import Plan
from workbench.session import Session

_BATCH: Final = 500


class TakenBack:
    """Takes copies back, and publishes the originals in their place, byte for byte but for what their source must not
    get. Of a message that its target has twice, the original is published once, and both copies go.

    Args:
        session: Whose connections.
        plan: The plan of the undo.
        original: The journal of what is undone.
    """

    def __init__(self, session: Session, plan: Plan, original: Path) -> None:
        self._session = session
        self._plan = plan
        self._original = original
        self._entries: Mapping[int, Entry] = {}
        self._done: bytearray | None = None
        """By number, whether its original is published again or about to be; None: the journals have to be asked."""
        self._rules: Rules

    async def prepare(self) -> None:
        """Ask what the source can hold."""
        if self._plan.target is not None:
            connector = await self._session.connector(self._plan.target.connection)
            self._rules = await connector.rules(self._plan.target)

    async def foresee(self, batch: Sequence[Delivery]) -> None:
        """Read the originals of these from the journal, and first which have been taken back before.

        Raises:
            StoreError: It cannot be read.
        """
        if self._plan.purpose != "restore":
            if self._done is None:
                self._done = await asyncio.to_thread(_taken_back, self._plan.undoes)
            numbers = [number for each in batch if (number := self._number_of(each)) is not None]
            self._entries = await asyncio.to_thread(find_entries, self._original, numbers)

    async def decide(self, delivery: Delivery) -> Way | Stay | Removal:
        """Whether it is a copy of the operation, and where its original goes."""
        if self._plan.purpose != "restore":
            if (entry := self._entry(delivery)) is None:
                return NOT_MEANT
            assert self._done is not None
            if not _note(self._done, entry.sequence):
                return Removal(extra=True)
            if self._plan.purpose == "withdraw":
                return Removal()
        assert self._plan.target is not None
        return Way(self._plan.target, None, self._rules)

    def outgoing(self, delivery: Delivery, way: Way, sequence: int) -> Event:
        """The original."""
        entry = None if self._plan.purpose == "restore" else self._entry(delivery)
        event = delivery.event if entry is None else entry.message.event
        return unburdened(event, way.rules).event

    def begin_pass(self, done: Mapping[bytes, int]) -> None:
        """The copies are told by their stamps: which of them were taken back is in the journals."""
        self._done = None

    @property
    def missing(self) -> int | None:
        """Not counted: consumers may have taken some."""
        return None

    def _entry(self, delivery: Delivery) -> Entry | None:
        number = self._number_of(delivery)
        return None if number is None else self._entries.get(number)

    def _number_of(self, delivery: Delivery) -> int | None:
        stamp = stamp_of(delivery.event)
        return None if stamp is None or stamp[0] != self._plan.undoes else stamp[1]


def _note(numbers: bytearray, number: int) -> bool:
    """Note a number among others, a byte each; whether it was not among them."""
    numbers.extend(bytes(max(number + 1 - len(numbers), 0)))
    is_new = not numbers[number]
    numbers[number] = True
    return is_new


def _taken_back(id: str) -> bytearray:
    """Which messages of an operation its undos have taken back, by their numbers."""
    done = bytearray()
    for undo in undos_of(id):
        for entry in read_entries(undo.path):
            stamp = stamp_of(entry.message.event)
            if entry.key and entry.state in (EntryState.CONFIRMED, EntryState.SETTLED) and stamp is not None:
                _note(done, stamp[1])
    return done


def deleted_messages(path: Path, undo: str) -> Callable[[], AsyncIterator[Sequence[Delivery]]]:
    """What a deletion has deleted, and no undo of it before this one has published again.

    Args:
        path: The journal of the deletion.
        undo: The id of this undo.
    """

    async def messages() -> AsyncIterator[Sequence[Delivery]]:
        restored = await asyncio.to_thread(_restored_by_others, path.stem, undo)
        after = -1
        while entries := await asyncio.to_thread(_read_some, path, after):
            after = entries[-1].sequence
            batch = []
            for entry in entries:
                if restored[entry.key] > 0:
                    restored[entry.key] -= 1
                else:
                    batch.append(entry.message)
            yield batch

    return messages


def _restored_by_others(id: str, undo: str) -> Counter[bytes]:
    """The keys of what other undos of a deletion have published again, with how many there are of each."""
    others = (each.path for each in undos_of(id) if each.operation.id != undo)
    return Counter(key for path in others for key in settled_keys(path))


def _read_some(path: Path, after: int) -> list[Entry]:
    return list(read_entries(path, EntryState.SETTLED, after, _BATCH))
