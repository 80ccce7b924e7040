"""A batch of deliveries as one row: its columns, and what can be read from them without decoding all of it.

A delivery is stored as MessagePack, one behind the other, with the place where each ends, so that one of them can be
cut out; beside it stand each one's look and time. What MessagePack cannot say of a header's value (a decimal, an
integer beyond 64 bits, a time without a zone) is an extension type of ours.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

import msgspec

from workbench.decode.content_type import find_opaque
from workbench.model.content import Content
from workbench.model.errors import StoreError
from workbench.model.event import Delivery
from workbench.query.number_search import NumberSearch
from workbench.query.prefilter import Needles, may_match

COUNT: Final = 2_000
"""Deliveries in a full row: fewer make the table slow, more make single look-ups slow."""
SIZE: Final = 4 * 1024 * 1024
"""Bytes that make a row full before."""


class Chunk(msgspec.Struct):
    """Deliveries in memory.

    Attributes:
        first: The sequence number of the first; the others follow without a gap.
        looks: Each one's look.
        deliveries: The deliveries.
        encoded: Each one as it is stored.
    """

    first: int
    looks: "array[int]"
    deliveries: list[Delivery]
    encoded: list[bytes]


class Row(msgspec.Struct):
    """What is known of a stored row without reading it.

    Attributes:
        first: The sequence number of its first delivery.
        count: How many deliveries it holds.
        size: Their bytes.
        looks: Whose deliveries are in it.
    """

    first: int
    count: int
    size: int
    looks: frozenset[int]


class Columns(msgspec.Struct, frozen=True):
    """One row as it is stored.

    Attributes:
        first: The sequence number of its first delivery; the others follow without a gap.
        count: How many there are.
        earliest: The smallest time among them, in milliseconds since 1970 UTC.
        latest: The largest.
        looks: Each one's look, 4 bytes each.
        times: Each one's time, 8 bytes each.
        opaque: Which of them needles must not be asked about, counted from 0, 4 bytes each.
        ends: Where each ends in `deliveries`, 4 bytes each.
        deliveries: MessagePack, one behind the other.
    """

    first: int
    count: int
    earliest: int
    latest: int
    looks: bytes
    times: bytes
    opaque: bytes
    ends: bytes
    deliveries: bytes


def pack(chunk: Chunk) -> Columns:
    """A row of some deliveries, at least one."""
    deliveries = chunk.deliveries
    joined = b"".join(chunk.encoded)
    try:
        # The time is what `stored_time` says, without a call for each.
        times = array(
            "q",
            [delivery.seen_at if (time := delivery.event.timestamp) is None else time for delivery in deliveries],
        )
    except OverflowError:
        times = array("q", map(stored_time, deliveries))
    hidden = array("I", find_opaque([delivery.event for delivery in deliveries]))
    return Columns(
        chunk.first,
        len(deliveries),
        min(times),
        max(times),
        chunk.looks.tobytes(),
        times.tobytes(),
        hidden.tobytes(),
        array("I", accumulate(map(len, chunk.encoded))).tobytes(),
        joined,
    )


def encode(delivery: Delivery) -> bytes:
    """One delivery as it is stored; half of a surrogate pair (of a name that is not UTF-8) is kept as it is spelled."""
    written = delivery.event.written
    if (written.headers or written.properties) and not is_plain(written):
        headers = tuple((name, to_storable(value)) for name, value in written.headers)
        properties = {name: to_storable(value) for name, value in written.properties.items()}
        event = msgspec.structs.replace(delivery.event, written=Content(headers, properties))
        delivery = msgspec.structs.replace(delivery, event=event)
    try:
        return _to_bytes(delivery)
    except UnicodeEncodeError:
        return _to_bytes(_to_plain(delivery))


def decode(data: bytes) -> Delivery:
    """One delivery as it was before; sequences in headers are lists, times are in UTC.

    Raises:
        StoreError: These bytes are not what `encode` wrote.
    """
    try:
        return _from_bytes(data)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise StoreError(f"A stored event is damaged: {error}.") from error


def stored_time(delivery: Delivery) -> int:
    """The delivery's time within 64 bits; a producer may claim any."""
    return max(-(2**63), min(delivery.time[0], 2**63 - 1))


def slice_delivery(deliveries: bytes, ends: Sequence[int], index: int) -> bytes:
    """The bytes of one delivery, counted from 0."""
    return deliveries[ends[index - 1] if index else 0 : ends[index]]


def candidates(
    deliveries: bytes,
    ends: Sequence[int],
    hidden: Sequence[int],
    needles: Needles | None,
    numbers: Sequence[NumberSearch] = (),
) -> Sequence[int]:
    """Which deliveries may match, in order, counted from 0.

    Args:
        deliveries: The row's column.
        ends: The row's column.
        hidden: The row's column `opaque`.
        needles: What a match holds; None: anything may match.
        numbers: What numbers a match holds.
    """
    if not may_match(needles, deliveries):
        return hidden
    if numbers:
        first_numbers, *other_numbers = numbers
        among = first_numbers.candidates(deliveries, ends)
        for each in other_numbers:
            among &= each.candidates(deliveries, ends)
        return sorted(
            {index for index in among if may_match(needles, slice_delivery(deliveries, ends, index))}.union(hidden)
        )
    if needles is None:
        return range(len(ends))
    # Of two conditions the second is mostly the value and the first its name, which nearly every delivery has.
    first, *others = sorted(reversed(needles), key=lambda group: -len(group[0]))
    hits: set[int] = set()
    for member in first:
        at = deliveries.find(member)
        while at >= 0:
            index = bisect_right(ends, at)
            if index == len(ends):
                break
            hits.add(index)
            # Places that are damaged may lead back.
            at = deliveries.find(member, max(ends[index], at + 1))
    found = (
        {index for index in hits if may_match(tuple(others), slice_delivery(deliveries, ends, index))}
        if others
        else hits
    )
    return sorted(found.union(hidden))


_PLAIN: Final = frozenset((str, bytes, bool, float, type(None)))
_DECIMAL, _INTEGER, _LOCAL_TIME = 1, 2, 3


def is_plain(content: Content) -> bool:
    """Whether msgpack alone has a form for all values."""
    # This runs for every event that is stored: `type` and a loop take half the time of `isinstance` and `all`.
    for _, value in content.headers:
        if type(value) not in _PLAIN:
            return False
    return not content.properties or _PLAIN.issuperset(map(type, content.properties.values()))


def to_storable(value: Any) -> Any:
    """A value with extension types of ours for what msgpack has no form for."""
    match value:
        case Decimal():
            return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
        case int() if not -(2**63) <= value < 2**64:
            return msgspec.msgpack.Ext(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
        case datetime() if value.tzinfo is None:
            return msgspec.msgpack.Ext(_LOCAL_TIME, value.isoformat().encode())
        case Mapping():
            return {name: to_storable(item) for name, item in value.items()}
        case list() | tuple():
            return [to_storable(item) for item in value]
    return value


def _to_plain(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case msgspec.Struct():
            return msgspec.structs.replace(
                value, **{name: _to_plain(getattr(value, name)) for name in value.__struct_fields__}
            )
        case Mapping():
            return {_to_plain(name): _to_plain(item) for name, item in value.items()}
        case list() | tuple():
            return tuple(map(_to_plain, value))
    return value


def restore(code: int, data: memoryview) -> Any:
    """What `to_storable` made an extension type of.

    Raises:
        ValueError: The type is not ours, or these are not its bytes.
        ArithmeticError: They are no number.
    """
    made: Callable[[bytes], Any] | None = {
        _DECIMAL: lambda data: Decimal(data.decode()),
        _INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
        _LOCAL_TIME: lambda data: datetime.fromisoformat(data.decode()),
    }.get(code)
    if made is None:
        raise ValueError(f"extension type {code} is not known")
    return made(bytes(data))


_to_bytes: Final = msgspec.msgpack.Encoder().encode
_from_bytes: Final = msgspec.msgpack.Decoder(Delivery, ext_hook=restore).decode
