"""Events one by one, where aiokafka gives up on their batch: it takes the names of headers for UTF-8.

Brokers do not look into names, unless they compress a batch anew, and clients of librdkafka may send any bytes. Such an
event keeps its headers in the bytes in which they came.
"""

import struct
from collections.abc import Iterator

from workbench.model.content import Content, text
from workbench.model.errors import FormatError
from workbench.model.event import Event, TimestampType
from workbench.model.record_headers import Header, field, read_from, varint, write
from workbench.model.wire import Wire

_TIMES = struct.Struct(">qq")
_TIMES_AT = 27
_COUNT = struct.Struct(">i")
_COUNT_AT = 57
_RECORDS_AT = 61


def events(batch: bytes, base: int, kind: TimestampType) -> Iterator[tuple[int, Event]]:
    """The offsets and the events of a batch of magic 2 (https://kafka.apache.org/documentation/#recordbatch).

    Args:
        batch: All of it, not compressed.
        base: Its first offset.
        kind: Who set the times: the broker that appended it sets one for all.

    Raises:
        FormatError: It is damaged.
    """
    try:
        first, newest = _TIMES.unpack_from(batch, _TIMES_AT)
        (count,) = _COUNT.unpack_from(batch, _COUNT_AT)
        position = _RECORDS_AT
        for _ in range(count):
            size, begin = varint(batch, position)
            passed, position = varint(batch, begin + 1)  # behind a byte of flags, which mean nothing
            delta, position = varint(batch, position)
            key, position = field(batch, position)
            body, position = field(batch, position)
            headers, position = read_from(batch, position)
            if position != begin + size:
                raise FormatError("the lengths in it do not add up")
            time = newest if kind == "append" else first + passed
            yield base + delta, Event(key, body, *_content_of(headers), None if time == -1 else time, kind)
    except (IndexError, struct.error):
        raise FormatError("it is cut short") from None


def _content_of(headers: list[Header]) -> tuple[Wire | None, Content]:
    """Headers as an event has them: decoded, or in their bytes where a name is no text."""
    try:
        decoded = [(str(name, "utf-8"), None if value is None else text(value)) for name, value in headers]
    except UnicodeDecodeError:
        return Wire("kafka-2", write(headers)), Content()
    return None, Content(tuple(decoded))
