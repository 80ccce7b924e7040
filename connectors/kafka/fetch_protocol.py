"""Requests and answers of Fetch, versions 4 to 10 (https://kafka.apache.org/protocol#The_Messages_Fetch).

Version 4 is the first that tells of transactions, 10 the first that brokers trust to understand all compressions
(KIP-110). Record batches stay where they came in.
"""

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from connectors.kafka.channel import Answer, Bytes, Channel, Sifted
from connectors.kafka.cluster import Partition, group_by_topic
from connectors.kafka.errors import Code, check
from connectors.kafka.fetch_session import NO_SESSION, FetchSession

_SIZE = struct.Struct(">i")
_NAME = struct.Struct(">h")
_REQUEST = struct.Struct(">iiiib")
_SESSION = struct.Struct(">ii")
_ABORTED = struct.Struct(">qq")
_FETCH = 1
_VERSIONS = range(4, 11)
_READ_COMMITTED = 1


class Form(NamedTuple):
    """What differs between versions.

    Attributes:
        sessions: Whether the request names a session, and topics to forget in it.
        epoch: Whether a partition in it holds the epoch of the leader that is thought to lead.
        beginning: Whether it holds a first offset, which only replicas say, and its answer one for all.
        wanted: A partition in the request.
        head: What is in front of the answer: the correlation id, time to wait, perhaps an error and a session.
        found: A partition in the answer.
    """

    sessions: bool
    epoch: bool
    beginning: bool
    wanted: struct.Struct
    head: struct.Struct
    found: struct.Struct


def _form(version: int) -> Form:
    sessions, epoch, beginning = version >= 7, version >= 9, version >= 5
    return Form(
        sessions,
        epoch,
        beginning,
        struct.Struct(">i" + "i" * epoch + "q" + "q" * beginning + "i"),
        struct.Struct(">iihii" if sessions else ">iii"),
        struct.Struct(">ihqq" + "q" * beginning + "i"),
    )


FORMS = {version: _form(version) for version in _VERSIONS}
"""That of each version that is known here."""


def form_of(channel: Channel) -> Form:
    """That of the requests over a channel, and of their answers.

    Raises:
        Unsupported: The broker offers none that is known here.
    """
    return FORMS[channel.version(_FETCH, "Fetch", _VERSIONS)]


class Fetched(NamedTuple):
    """What one fetch brought of one partition.

    Attributes:
        partition: Which.
        code: 0, or why there is nothing.
        stable: The offset behind the last event whose transaction is decided.
        beginning: The first offset there is; -1 where the broker does not say.
        aborted: Aborted transactions that reach in here: the producer's id and the first offset of each.
        records: Record batches, the last of them perhaps cut off.
        sifted: What is known of record batches that were not kept; None: those that came were.
    """

    partition: Partition
    code: int
    stable: int
    beginning: int
    aborted: list[tuple[int, int]]
    records: Bytes
    sifted: Sifted | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no records came."""
        return self.records.begin == self.records.end and self.sifted is None


def fetch(
    channel: Channel,
    offsets: Mapping[Partition, int],
    size: int,
    each: Mapping[str, int],
    wait: int,
    session: FetchSession | None = None,
) -> asyncio.Future[Answer]:
    """Ask for record batches of events whose transactions are committed.

    Args:
        channel: To the broker that leads all these partitions.
        offsets: The partitions, and the first offset wanted of each. Those in front are served first.
        size: Bytes at most, of all together, unless the first batch alone is larger.
        each: Bytes at most, of each partition, by topic.
        wait: Milliseconds that the broker may wait for the first event.
        session: What the broker remembers of earlier requests over this channel, where it can; `each` is what it was
            then for partitions whose offset did not change. None: nothing.

    Returns:
        The answer, for `parse`; it fails with ConnectionLost.
    """
    version = channel.version(_FETCH, "Fetch", _VERSIONS)
    form = FORMS[version]
    parts = [_REQUEST.pack(-1, wait, 1, size, _READ_COMMITTED)]
    wanted = offsets
    forgotten: Sequence[Partition] = ()
    if form.sessions:
        id, epoch, wanted, forgotten = session.request(offsets) if session else (*NO_SESSION, offsets, ())
        parts.append(_SESSION.pack(id, epoch))
    before, behind = (-1,) * form.epoch, (-1,) * form.beginning
    topics = group_by_topic(
        wanted,
        lambda number, topic: form.wanted.pack(number, *before, offsets[topic, number], *behind, each[topic]),
    )
    parts += _topic_list(topics)
    if form.sessions:
        parts += _topic_list(group_by_topic(forgotten, lambda number, _: _SIZE.pack(number)))
    return channel.ask(_FETCH, version, *parts)


def _topic_list(topics: Sequence[tuple[str, list[bytes]]]) -> list[bytes]:
    """Topics with rows of partitions."""
    parts = [_SIZE.pack(len(topics))]
    for topic, rows in topics:
        name = topic.encode()
        parts += [_NAME.pack(len(name)), name, _SIZE.pack(len(rows)), *rows]
    return parts


def parse(channel: Channel, answer: Answer, session: FetchSession | None = None) -> list[Fetched]:
    """Take an answer apart, without copying the records. Within a session it has only partitions with something new.

    Args:
        channel: That gave it.
        answer: All of it.
        session: That the request was of. Where the broker does not know it any more, the answer is empty.

    Raises:
        ConnectorError: The broker refuses the fetch as a whole.
    """
    form = form_of(channel)
    buffer = answer.buffer
    head = form.head.unpack_from(buffer)
    if form.sessions:
        if session and head[2] in (Code.FETCH_SESSION_ID_NOT_FOUND, Code.INVALID_FETCH_SESSION_EPOCH):
            session.forget()
            return []
        check(head[2], "fetch")
        if session:
            session.remember(head[3])
    topics = head[-1]
    position, found = form.head.size, []
    for _ in range(topics):
        (length,) = _NAME.unpack_from(buffer, position)
        position += _NAME.size
        topic = buffer[position : position + length].decode()
        position += length
        (partitions,) = _SIZE.unpack_from(buffer, position)
        position += _SIZE.size
        for _ in range(partitions):
            number, code, _, stable, *first, count = form.found.unpack_from(buffer, position)
            position += form.found.size
            aborted = [_ABORTED.unpack_from(buffer, position + _ABORTED.size * each) for each in range(max(count, 0))]
            position += _ABORTED.size * len(aborted)
            (size,) = _SIZE.unpack_from(buffer, position)
            position += _SIZE.size
            records = Bytes(buffer, position, position + max(size, 0))
            position = records.end
            beginning = first[0] if first else -1
            partition = topic, number
            sifted = answer.sifted.get(partition)
            found.append(Fetched(partition, code, stable, beginning, aborted, records, sifted))
    return found
