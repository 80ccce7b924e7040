"""Record batches (magic 2, https://kafka.apache.org/documentation/#recordbatch; older ones too): headers, and events.

A batch's header says what it holds without its records being touched; only what is shown is decoded, by aiokafka's
compiled decoder.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import KafkaError

from connectors.kafka import odd_records
from connectors.kafka.channel import Bytes
from connectors.kafka.compression import decompress
from connectors.kafka.driver import DefaultRecordBatch, MemoryRecords
from connectors.kafka.fetch_protocol import Fetched
from workbench.model.address import Address
from workbench.model.amqp10 import are_values
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Delivery, Event, Position, TimestampType
from workbench.model.record_headers import write
from workbench.model.wire import Wire

_HEADER = struct.Struct(">qi4xb4xhiqqqhii")
_START = struct.Struct(">qi4xb4xh")
_BEFORE_LENGTH = 12
_LEAST, _LEAST_OLD = 49, 14
"""Bytes of the shortest batch behind its length: the rest of its header, or an event before magic 2."""
_ATTRIBUTES = struct.Struct(">h")
_ATTRIBUTES_AT = 21
_LENGTH = struct.Struct(">i")
_OLD_ATTRIBUTES_AT, _OLDEST_KEY, _OLD_KEY = 17, 18, 26
"""Where an event before magic 2 has its flags, and its key: in magic 1 there is a time in front of it."""
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
        checked: Whether its checksum was found to match.
    """

    base: int
    next: int
    magic: int
    attributes: int
    newest: int
    producer: int
    events: int
    bytes: Bytes
    checked: bool = False

    @property
    def view(self) -> memoryview:
        """Its bytes, not copied."""
        return memoryview(self.bytes.buffer)[self.bytes.begin : self.bytes.end]

    @property
    def records(self) -> Bytes:
        """What is behind the header, compressed as it may be."""
        return self.bytes._replace(begin=self.bytes.begin + _HEADER.size)


def batches(records: Bytes) -> Iterator[Batch]:
    """The batches that arrived whole, in order; `survey` has found that they are such."""
    buffer, position, end = records
    while position + _START.size <= end:
        _, length, *_ = _START.unpack_from(buffer, position)
        if position + _BEFORE_LENGTH + length > end:
            return
        batch = batch_at(buffer, position)
        yield batch
        position = batch.bytes.end


def batch_at(buffer: bytearray, position: int) -> Batch:
    """The batch that begins at a position; its header is there."""
    base, length, magic, _ = _START.unpack_from(buffer, position)
    whole = Bytes(buffer, position, position + _BEFORE_LENGTH + length)
    if magic < 2:
        # Before magic 2 a compressed batch carries the offset of its last event, a plain one is one event.
        return Batch(base, base + 1, magic, 0, -1, -1, 1, whole)
    _, _, _, attributes, last, _, newest, producer, _, _, count = _HEADER.unpack_from(buffer, position)
    return Batch(base, base + last + 1, magic, attributes, newest, producer, count, whole)


def is_batch(length: int) -> bool:
    """Whether a batch of magic 2 may be of this length, counted from behind it."""
    return length >= _LEAST


def survey(records: Bytes) -> tuple[int, int] | None:
    """The offset behind the last batch that arrived whole, and the flags of all of them together; None without any.

    Raises:
        FormatError: There is something that is no batch.
    """
    buffer, position, end = records
    unpack, least, flags, last = _START.unpack_from, _START.size, 0, -1
    while position + least <= end:
        _, length, magic, attributes = unpack(buffer, position)
        if length < _LEAST and (magic >= 2 or length < _LEAST_OLD):
            raise FormatError(f"a record batch of {length} bytes is none")
        behind = position + _BEFORE_LENGTH + length
        if behind > end:
            break
        flags |= attributes if magic >= 2 else COMPRESSED
        last, position = position, behind
    if last < 0:
        return None
    [batch] = batches(Bytes(buffer, last, position))
    return batch.next, flags


def committed_batches(fetched: Fetched) -> list[Batch]:
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
    try:
        with _reading_errors():
            return any((mark.key or b"")[2:4] == _ABORT for mark in _records(batch))
    except FormatError:
        return True  # as the broker says that this producer's transaction was


def plain(batch: Batch, room: bytearray, checked: bool = False) -> Batch:
    """The batch without its compression. Its checksum is then that of the batch as it was.

    Args:
        batch: Which.
        room: Where to decompress it to, if there is enough; what is in it is lost. It is `plain(...).bytes.buffer`
            afterwards.
        checked: Whether its checksum was found to match.

    Raises:
        FormatError: It cannot be decompressed, or comes to too much.
    """
    attributes = batch.attributes & ~COMPRESSED
    if attributes == batch.attributes:
        return batch
    view, front = batch.view, _HEADER.size
    whole, end = decompress(batch.attributes & COMPRESSED, view[front:], room, front)
    whole[:front] = view[:front]
    _ATTRIBUTES.pack_into(whole, _ATTRIBUTES_AT, attributes)
    return batch._replace(attributes=attributes, bytes=Bytes(whole, 0, end), checked=checked)


def deliveries(
    batch: Batch, address: Address, partition: str, start: int, end: int | None, seen: int, amqp: bool = False
) -> list[Delivery]:
    """The events of a batch from `start` to before `end`.

    Args:
        batch: Which.
        address: Where it was read.
        partition: Of this partition.
        start: The first offset wanted.
        end: The offset behind the last one wanted; None: all.
        seen: The time, in milliseconds.
        amqp: Whether the values of headers may be values of AMQP 1.0.

    Raises:
        FormatError: The batch is damaged, or is compressed in a way that is not known.
    """
    found, kind = [], _kind(batch)
    try:
        with _reading_errors():
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
                if amqp and headers:
                    event = _of_amqp(event, headers)
                found.append(Delivery(event, address, seen, Position(partition, str(offset))))
    except _OddName:
        return [
            Delivery(event, address, seen, Position(partition, str(offset)))
            for offset, event in _odd(batch)
            if start <= offset and (end is None or offset < end)
        ]
    return found


def times_in(batch: Batch) -> list[tuple[int | None, int]]:
    """Time and offset of each of a batch's events; the time is -1 or None where it has none.

    Raises:
        FormatError: The batch is damaged, or is compressed in a way that is not known.
    """
    try:
        with _reading_errors():
            return [(record.timestamp, record.offset) for record in _records(batch)]
    except _OddName:
        return [(event.timestamp, offset) for offset, event in _odd(batch)]


def decompress_batch(batch: Batch, room: bytearray) -> Batch:
    """The batch with its checksum checked, and without its compression.

    Args:
        batch: Which.
        room: As `plain` uses it.

    Raises:
        FormatError: It is damaged, comes to too much, or is compressed in a way that is not known.
    """
    with _reading_errors():
        _records_of(batch)
        return plain(batch, room, checked=True)


def _records(batch: Batch) -> Iterable[Any]:
    if batch.attributes & COMPRESSED:
        batch = decompress_batch(batch, bytearray())
    return _records_of(batch)


def _records_of(batch: Batch) -> Iterable[Any]:
    if batch.magic < 2:
        _must_be_bounded(batch)
    records = DefaultRecordBatch(batch.view) if batch.magic >= 2 else MemoryRecords(bytes(batch.view)).next_batch()
    if not batch.checked and not records.validate_crc():
        raise FormatError("its checksum does not match")
    return records  # type: ignore[no-any-return]


def _must_be_bounded(batch: Batch) -> None:
    """Raises:
    FormatError: A batch from before magic 2, which aiokafka decompresses, comes to too much.
    """
    view = batch.view
    position = _OLD_KEY if batch.magic else _OLDEST_KEY
    if codec := view[_OLD_ATTRIBUTES_AT] & COMPRESSED:
        for _ in ("key", "value"):
            (size,) = _LENGTH.unpack_from(view, position)
            begin = position + _LENGTH.size
            position = begin + max(size, 0)
        decompress(codec, view[begin:position], bytearray(), 0)


class _OddName(Exception):
    """The name of a header is not UTF-8: aiokafka reads no further."""


def _odd(batch: Batch) -> Iterator[tuple[int, Event]]:
    return odd_records.events(bytes(decompress_batch(batch, bytearray()).view), batch.base, _kind(batch))


def _kind(batch: Batch) -> TimestampType:
    return "append" if batch.attributes & _APPEND_TIME else "create"


@contextmanager
def _reading_errors() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise _OddName from None
    except (KafkaError, ValueError, RuntimeError, EOFError, OSError, struct.error) as error:
        # The codecs and the decoder have no error of their own: any of these is a batch that cannot be read.
        raise FormatError(str(error)) from error


def _of_amqp(event: Event, headers: Sequence[tuple[str, bytes | None]]) -> Event:
    """The event with its headers as AMQP has them, if that is how their values are written."""
    if not are_values(value for _, value in headers):
        return event
    data = write([(name.encode(), value) for name, value in headers])
    return msgspec.structs.replace(event, wire=Wire("kafka-2-amqp-1-0", data), written=_NOTHING)


def _text(value: bytes | None) -> str | bytes | None:
    """A header's value as text where it is text, which gives the same bytes back when it is published."""
    if value is None:
        return None
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return value
