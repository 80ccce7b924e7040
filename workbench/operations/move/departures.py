"""Which events that were seen before have been moved, copied or deleted since by operations of this program."""

from array import array
from bisect import bisect_left
from pathlib import Path
from typing import Final

import msgspec

from workbench.model.address import Address
from workbench.model.event import Delivery
from workbench.operations.journal.records import read_record, settled_keys
from workbench.operations.move.copies import key_of
from workbench.operations.move.plan import Plan

MOST: Final = 4_000_000
"""Events that are known; beyond it the oldest operations are forgotten. Each takes eight bytes."""
_PARTICIPLES: Final = {"move": "moved", "copy": "copied", "delete": "deleted"}


class _Departed(msgspec.Struct, frozen=True):
    """The events of one operation.

    Attributes:
        id: The operation's.
        source: Where they were.
        verb: What became of them.
        upto: The sequence number in the archive behind the last event that was seen before it ended.
        keys: Hashes of what they are found by in their source, sorted.
    """

    id: str
    source: Address
    verb: str
    upto: int
    keys: "array[int]"


class Departures:
    """What became of events. Of messages of a queue that are alike in every byte, all count as gone when one is: nobody
    can tell which it was until the queue is browsed again."""

    def __init__(self) -> None:
        """Nothing has become of any."""
        self._known: list[_Departed] = []

    def add(self, path: Path, upto: int) -> None:
        """Take an operation in that has ended, read from its journal: not for the event loop.

        Args:
            path: The journal.
            upto: The sequence number in the archive behind the last event that was seen before it ended.

        Raises:
            StoreError: The journal cannot be read.
        """
        operation = read_record(path).operation
        plan = msgspec.msgpack.decode(operation.plan, type=Plan)
        if plan.undoes:
            # They are there again, as they were.
            self._known = [each for each in self._known if each.id != plan.undoes]
        verb = "taken back" if plan.undoes else _PARTICIPLES[plan.verb]
        if plan.purpose != "restore":
            keys = array("q", sorted(map(hash, settled_keys(path))))
            self._known.append(_Departed(operation.id, plan.source, verb, upto, keys))
        while sum(len(each.keys) for each in self._known) > MOST:
            self._known.pop(0)

    def verb_of(self, sequence: int, delivery: Delivery) -> str:
        """What became of an event: "moved", "copied", "deleted" or "taken back"; empty: nothing, as far as is known.

        Args:
            sequence: Its number in the archive.
            delivery: The event, as it came.
        """
        for each in reversed(self._known):
            if each.source == delivery.address and sequence < each.upto:
                key = hash(key_of(delivery))
                at = bisect_left(each.keys, key)
                if at < len(each.keys) and each.keys[at] == key:
                    return each.verb
        return ""
