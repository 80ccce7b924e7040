"""Record batches (magic 2, https://kafka.apache.org/documentation/#recordbatch; older ones too): headers, and events.

A batch's header says what it holds without its records being touched; only what is shown is decoded, by aiokafka's
compiled decoder.
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.default_records import _DefaultRecordBatchPy as DefaultRecordBatchPython
from aiokafka.record.memory_records import MemoryRecords

from connectors.kafka import odd_records
from connectors.kafka.channel import Bytes
from connectors.kafka.fetch import Fetched
from workbench.model.address import Address
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, Position, TimestampType
from workbench.model.wire import Content

_HEADER = struct.Struct(">qi4xb4xhiqqqhii")
_START = struct.Struct(">qi4xb4xh")
_BEFORE_LENGTH = 12
COMPRESSED = 0x07
"""The part of a batch's flags that names its compression; 0 is none."""
_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x08, 0x10, 0x20
_ABORT = b"\x00\x00"
_NOTHING = Content()


class Batch(NamedTuple):
    """One record batch.

    Attributes:
        base: The offset that its first event had when it was written.
        next: The offset behind it.
        magic: The version of its format.
        attributes: Its flags.
        newest: The newest of its events' times, in milliseconds.
        producer: The id of the producer that wrote it; -1 where it had none.
        events: How many events it holds, marks of transactions included.
        bytes: All of it.
    """

    base: int
    next: int
    magic: int
    attributes: int
    newest: int
    producer: int
    events: int
    bytes: Bytes

    @property
    def view(self) -> memoryview:
        """Its bytes, not copied."""
        return memoryview(self.bytes.buffer)[self.bytes.begin : self.bytes.end]

    @property
    def records(self) -> Bytes:
        """What is behind the header, compressed as it may be."""
        return self.bytes._replace(begin=self.bytes.begin + _HEADER.size)


def batches(records: Bytes) -> Iterator[Batch]:
    """The batches that arrived whole, in order."""
    buffer, position, end = records
    while position + _START.size <= end:
        base, length, magic, _ = _START.unpack_from(buffer, position)
        whole = Bytes(buffer, position, position + _BEFORE_LENGTH + length)
        if whole.end > end:
            return
        if magic >= 2:
            _, _, _, attributes, last, _, newest, producer, _, _, count = _HEADER.unpack_from(buffer, position)
            yield Batch(base, base + last + 1, magic, attributes, newest, producer, count, whole)
        else:
            # Before magic 2 a compressed batch carries the offset of its last event, a plain one is one event.
            yield Batch(base, base + 1, magic, 0, -1, -1, 1, whole)
        position = whole.end


def survey(records: Bytes) -> tuple[int, int] | None:
    """The offset behind the last batch that arrived whole, and the flags of all of them together; None without any."""
    buffer, position, end = records
    unpack, least, flags, last = _START.unpack_from, _START.size, 0, -1
    while position + least <= end:
        _, length, magic, attributes = unpack(buffer, position)
        behind = position + _BEFORE_LENGTH + length
        if behind > end:
            break
        flags |= attributes if magic >= 2 else COMPRESSED
        last, position = position, behind
    if last < 0:
        return None
    [batch] = batches(Bytes(buffer, last, position))
    return batch.next, flags


def committed(fetched: Fetched) -> list[Batch]:
    """The batches, without the marks of transactions and without what belongs to aborted ones."""
    waiting = sorted(fetched.aborted, key=lambda each: each[1], reverse=True)
    aborted: set[int] = set()
    kept = []
    for batch in batches(fetched.records):
        while waiting and waiting[-1][1] < batch.next:
            aborted.add(waiting.pop()[0])
        if batch.attributes & _CONTROL:
            if batch.producer in aborted and _is_abort(batch):
                aborted.discard(batch.producer)
        elif not (batch.attributes & _TRANSACTIONAL and batch.producer in aborted):
            kept.append(batch)
    return kept


def _is_abort(batch: Batch) -> bool:
    # A mark's key is two 16-bit numbers, a version and a type: 0 aborts, 1 commits.
    return any((mark.key or b"")[2:4] == _ABORT for mark in DefaultRecordBatch(batch.view))


def deliveries(
    batch: Batch, address: Address, partition: str, start: int, end: int | None, seen: int
) -> list[Delivery]:
    """The events of a batch from `start` to before `end`.

    Raises:
        FormatError: The batch is damaged, or is compressed in a way that is not known.
    """
    kind: TimestampType = "append" if batch.attributes & _APPEND_TIME else "create"
    found = []
    try:
        with _readable():
            for record in _records(batch):
                offset = record.offset
                if offset < start:
                    continue
                if end is not None and offset >= end:
                    break
                headers, time = record.headers, record.timestamp
                event = Event(
                    record.key,
                    record.value,
                    None,
                    Content(tuple([(name, _text(value)) for name, value in headers])) if headers else _NOTHING,
                    None if time == -1 else time,
                    kind,
                )
                found.append(Delivery(event, address, seen, Position(partition, str(offset))))
    except _OddName:
        return [
            Delivery(event, address, seen, Position(partition, str(offset)))
            for offset, event in odd_records.events(_plain(batch), batch.base, kind)
            if start <= offset and (end is None or offset < end)
        ]
    return found


def offsets_in(batch: Batch) -> list[int]:
    """The offsets of a batch's events, of which compaction leaves gaps.

    Raises:
        FormatError: The batch is damaged, or is compressed in a way that is not known.
    """
    try:
        with _readable():
            return [record.offset for record in _records(batch)]
    except _OddName:
        return [offset for offset, _ in odd_records.events(_plain(batch), batch.base, "create")]


def _records(batch: Batch) -> Iterable[Any]:
    new = batch.magic >= 2
    records = DefaultRecordBatch(batch.view) if new else MemoryRecords(bytes(batch.view)).next_batch()
    if not records.validate_crc():
        raise FormatError("its checksum does not match")
    return records  # type: ignore[no-any-return]


class _OddName(Exception):
    """The name of a header is not UTF-8: aiokafka reads no further."""


def _plain(batch: Batch) -> bytes:
    whole = DefaultRecordBatchPython(bytearray(batch.view))
    with _readable():
        whole._maybe_uncompress()
    return bytes(batch.view[: _HEADER.size]) + bytes(whole._buffer[whole._pos :])


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise _OddName from None
    except (KafkaError, ValueError, RuntimeError, EOFError, OSError) as error:
        # The codecs and the decoder have no error of their own: any of these is a batch that cannot be read.
        raise FormatError(str(error)) from error


def _text(value: bytes | None) -> str | bytes | None:
    """A header's value as text where it is text, which gives the same bytes back when it is published."""
    if value is None:
        return None
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return value
