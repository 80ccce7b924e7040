"""Record batches that fill while the ones before them are on their way."""

import json
import struct
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from time import time_ns
from typing import Any, Protocol

from connectors.kafka.driver import DefaultRecordBatchBuilder, calc_crc32c
from workbench.model import record_headers
from workbench.model.content import Value, text
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.receipt import Receipt
from workbench.model.values import value_text
from workbench.model.wire import sent_as_is

_CHECKSUM = struct.Struct(">I")
_CHECKSUM_AT = 17
"""Where a batch has the checksum of all that is behind it."""
_NO_HEADERS: list[tuple[str, bytes | None]] = []


class Owner(Protocol):
    """Who has events published, and is told what became of them."""

    def take_receipts(self, receipts: list[Receipt]) -> None:
        """Some are answered for."""
        ...

    def end(self) -> None:
        """No more are answered for."""
        ...


class Producer:
    """A producer's identity, and the number of its next event in one partition."""

    __slots__ = ("epoch", "id", "sequence")

    def __init__(self, identity: tuple[int, int]) -> None:
        self.id, self.epoch = identity
        self.sequence = 0


class Unwritable(Exception):
    """An event that has no bytes as a record.

    Attributes:
        index: Which of those that were handed over.
    """

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


class Pack:
    """Events of one partition that fill, travel and are answered for as one record batch.

    Attributes:
        owner: Whose events they are.
        events: What is in it.
        numbers: Which of the publisher's events they are.
        sent: How often it was sent.
    """

    __slots__ = ("_append", "_builder", "_data", "_exact", "events", "numbers", "owner", "sent")

    def __init__(self, limit: int, transactional: bool, owner: Owner) -> None:
        self._builder = DefaultRecordBatchBuilder(2, 0, int(transactional), -1, -1, -1, limit)
        self._append = self._builder.append
        self._data: bytearray | None = None
        self._exact: list[tuple[int, bytes]] = []
        self.owner = owner
        self.events: list[Event] = []
        self.numbers: list[int] = []
        self.sent = 0

    def fill(self, numbers: Sequence[int], events: Sequence[Event], begin: int = 0) -> int:
        """Take events in, from the one at `begin`, until there is no room. The first of all always fits.

        Returns:
            Where the next batch begins.

        Raises:
            Unwritable: The event at its `index` cannot be written; those before it are taken in.
        """
        if self._data is not None:
            return begin
        append, position, index = self._append, len(self.events), begin
        now = time_ns() // 1_000_000
        try:
            for index in range(begin, len(events)):  # where it stopped counts
                event = events[index]
                content = event.written if event.wire is None else event.content
                headers = [_header(*header) for header in content.headers] if content.headers else _NO_HEADERS
                exact = None
                if event.wire is not None and sent_as_is(event.wire, "kafka-2"):
                    headers, exact = _stand_ins(event.wire.data)
                time = event.timestamp
                if time is None or event.timestamp_type != "create":
                    time = now
                if append(position, time, event.key, event.body, headers) is None:
                    break
                position += 1
                if exact is not None:
                    self._exact.append((int(self._builder.size()), exact))
            else:
                index = len(events)
        except (FormatError, ValueError, TypeError) as error:
            self._take(numbers, events, begin, index)
            raise Unwritable(index, str(error)) from error
        self._take(numbers, events, begin, index)
        return index

    def _take(self, numbers: Sequence[int], events: Sequence[Event], begin: int, end: int) -> None:
        self.events += events[begin:end]
        self.numbers += numbers[begin:end]

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self._data) if self._data is not None else int(self._builder.size())

    def seal(self, producer: Producer) -> bytearray:
        """The bytes to send, the same each time; nothing is added any more."""
        if self._data is None:
            self._builder.set_producer_state(producer.id, producer.epoch, producer.sequence)
            self._data = _with_exact(self._builder.build(), self._exact)
        return self._data


def _stand_ins(data: bytes) -> tuple[list[tuple[str, bytes | None]], bytes]:
    """Headers for aiokafka, which takes names for text where some are none; and the bytes to put in their place.

    Raises:
        FormatError: The bytes are no headers.
    """
    headers = record_headers.read(data)
    return [("?" * len(name), value) for name, value in headers], record_headers.write(headers)


def _with_exact(batch: bytearray, exact: Sequence[tuple[int, bytes]]) -> bytearray:
    """A finished batch with the bytes that stand-ins stand for, each given with the place where it ends."""
    for end, headers in exact:
        batch[end - len(headers) : end] = headers
    if exact:
        _CHECKSUM.pack_into(batch, _CHECKSUM_AT, calc_crc32c(memoryview(batch)[_CHECKSUM_AT + _CHECKSUM.size :]))
    return batch


def _header(name: str, value: Value) -> tuple[str, bytes | None]:
    """A header as Kafka's are: a name and bytes. What another kind of broker gave a type becomes its text.

    Raises:
        ValueError: The name or the value has no bytes.
    """
    name.encode()  # the builder writes half a record before it finds out
    if value is None or isinstance(value, bytes):
        return name, value
    if isinstance(value, str):
        return name, value.encode()
    if isinstance(value, datetime | Decimal):
        return name, value_text(value).encode()
    return name, json.dumps(value, default=_text, ensure_ascii=False).encode()


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return value_text(value)
    held = text(value)
    return held if isinstance(held, str) else b64encode(held).decode()
