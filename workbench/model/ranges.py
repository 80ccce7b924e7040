"""Ranges: what there is to search of logs, in pieces that can be searched apart from one another."""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest

import msgspec

from workbench.model.address import Address
from workbench.model.look import Gap


class Range(msgspec.Struct, frozen=True):
    """A stretch of one partition.

    Attributes:
        address: The log.
        partition: Which.
        start: Its first offset.
        end: The offset behind its last one.
    """

    address: Address
    partition: str
    start: int
    end: int

    @property
    def size(self) -> int:
        """How many offsets it has."""
        return self.end - self.start

    def starting_at(self, offset: int) -> "Range":
        """The rest of it."""
        return msgspec.structs.replace(self, start=offset)

    def gap(self, reason: str) -> Gap:
        """The gap where it was not searched; a full stop behind the reason is left out."""
        return Gap(f"partition {self.partition}, offsets {self.start} to {self.end - 1}", reason.rstrip("."))


class Extent(msgspec.Struct, frozen=True):
    """What there is to search of one log.

    Attributes:
        address: The log.
        ranges: One of each partition; some may be empty.
        gaps: What of it is known not to be seen.
        notes: What to know about what is seen.
    """

    address: Address
    ranges: tuple[Range, ...]
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()


def divide(ranges: Iterable[Range], size: int) -> Iterator[Range]:
    """Ranges of at most `size` offsets: of each partition in its order, of several by turns; empty ones left out."""

    def parts(whole: Range) -> Iterator[Range]:
        for start in range(whole.start, whole.end, size):
            yield Range(whole.address, whole.partition, start, min(start + size, whole.end))

    return (each for each in chain.from_iterable(zip_longest(*map(parts, ranges))) if each is not None)
