"""What is asked of stored rows: plain functions of a file's path, so that a worker process can do them.

They hold no connection between calls and change nothing. `Workers` are the processes; any `concurrent.futures` executor
will do.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from sys import maxsize
from typing import NamedTuple

from workbench.decode.content_type import opaque
from workbench.model.errors import StoreError
from workbench.query.field import Field, Rank
from workbench.query.prefilter import may_match
from workbench.query.query import Query
from workbench.store.batch import Chunk, candidates, decode, slice_delivery, stored_time
from workbench.store.database import failures, read
from workbench.store.stored_row import StoredRow, stored_row


class Found(NamedTuple):
    """Deliveries that match, in the order of their times, and of their sequence numbers where times are equal.

    Attributes:
        examined: How many deliveries of the looks were asked.
        times: Each one's time in milliseconds since 1970 UTC, 8 bytes each.
        sequences: Each one's sequence number, 8 bytes each.
    """

    examined: int
    times: bytes
    sequences: bytes


def search(path: Path, firsts: Sequence[int], looks: frozenset[int] | None, query: Query | None, start: int) -> Found:
    """Search stored rows; rows that are gone by now are passed over.

    Args:
        path: The store's file.
        firsts: Which rows, in order, by the sequence numbers with which they begin.
        looks: Whose deliveries; None: everybody's.
        query: What must match; None: nothing.
        start: The first sequence number to ask about.

    Raises:
        StoreError: The file is gone, damaged or no store.
    """
    examined = 0
    times, sequences = array("q"), array("q")
    with closing(read(path)) as database, failures(path):
        for first in firsts:
            row = stored_row(database, first, deliveries=query is not None)
            if row is None:
                continue
            of, at = row.looks, row.times
            mine = {index for index, look in enumerate(of) if look in looks} if looks is not None else range(len(of))
            begin = max(0, start - first)
            examined += sum(index >= begin for index in mine) if looks is not None else len(of) - begin
            if query is None:
                hits = [index for index in range(begin, len(of)) if index in mine]
            else:
                among = candidates(row.deliveries, row.ends, row.opaque, query.needles, query.numbers)
                hits = list(_matching(row, (index for index in among if index >= begin and index in mine), query))
            times.extend(at[index] for index in hits)
            sequences.extend(first + index for index in hits)
    return _found_of(examined, times, sequences)


def _matching(row: StoredRow, among: Iterable[int], query: Query) -> Iterator[int]:
    ends, deliveries, matches = row.ends, row.deliveries, query.matches
    for index in among:
        try:
            if matches(decode(slice_delivery(deliveries, ends, index))):
                yield index
        except StoreError:
            # What can no longer be read cannot be ruled out.
            yield index


def matching_stored(deliveries: Sequence[bytes], query: Query) -> list[int]:
    """Which deliveries match, counted from 0, that are not in a store: each as `batch.encode` has it."""
    return [index for index, data in enumerate(deliveries) if query.matches(decode(data))]


def select(chunk: Chunk, looks: frozenset[int] | None, query: Query | None, start: int) -> Found:
    """The same for deliveries in memory."""
    examined = 0
    times, sequences = array("q"), array("q")
    for index in range(max(0, start - chunk.first), len(chunk.deliveries)):
        if looks is None or chunk.looks[index] in looks:
            examined += 1
            delivery = chunk.deliveries[index]
            if query is None or (
                (opaque(delivery.event) or _may_match(query, chunk.encoded[index])) and query.matches(delivery)
            ):
                times.append(stored_time(delivery))
                sequences.append(chunk.first + index)
    return _found_of(examined, times, sequences)


def _may_match(query: Query, data: bytes) -> bool:
    return may_match(query.needles, data) and all(each.may_match(data) for each in query.numbers)


def ranked(path: Path, firsts: Sequence[int], sequences: Sequence[int], field: Field) -> list[Rank]:
    """The ranks of deliveries by a field.

    Args:
        path: The store's file.
        firsts: The rows that they are in, in order.
        sequences: Which.
        field: What is ranked.

    Raises:
        StoreError: The file is gone, damaged or no store.
    """
    found: dict[int, Rank] = {}
    wanted = sorted(sequences)
    with closing(read(path)) as database, failures(path):
        for first, following in zip(firsts, [*firsts[1:], maxsize], strict=True):
            mine = wanted[bisect_left(wanted, first) : bisect_left(wanted, following)]
            row = stored_row(database, first) if mine else None
            if row is not None:
                found |= {each: field.rank(row.delivery(each - first, {})) for each in mine if each - first < row.count}
    return [found.get(each) for each in sequences]


def by_time(times: bytes, sequences: bytes) -> tuple[bytes, bytes]:
    """The same in the order of the times; equal times keep their order."""
    unordered, numbers = array("q", times), array("q", sequences)
    order = sorted(range(len(unordered)), key=unordered.__getitem__)
    ordered = array("q", [unordered[index] for index in order])
    return ordered.tobytes(), array("q", [numbers[index] for index in order]).tobytes()


def drop_below(times: bytes, sequences: bytes, first: int) -> tuple[bytes, bytes]:
    """The same without the sequence numbers below `first`."""
    pairs = [pair for pair in zip(array("q", times), array("q", sequences), strict=True) if pair[1] >= first]
    return array("q", [time for time, _ in pairs]).tobytes(), array("q", [number for _, number in pairs]).tobytes()


def _found_of(examined: int, times: "array[int]", sequences: "array[int]") -> Found:
    ascending = all(time <= following for time, following in pairwise(times))
    if ascending:
        return Found(examined, times.tobytes(), sequences.tobytes())
    return Found(examined, *by_time(times.tobytes(), sequences.tobytes()))
