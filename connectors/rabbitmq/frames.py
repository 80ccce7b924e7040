"""AMQP 0-9-1 frames as bytes: messages are cut out of what arrives, and written as they are to be sent, undecoded.

Property lists are never decoded here. Frame layouts: AMQP 0-9-1 specification, 2.3.5 and 4.2; the methods that carry
messages and their confirmations: 1.8 and https://www.rabbitmq.com/docs/confirms.
"""

import sys
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from workbench.model.errors import FormatError

GREETING: Final = 131_072
"""Bytes of the largest frame before a broker is known to be one."""

LARGEST: Final = 134_217_728
"""Bytes of the largest frame afterwards. It bounds the memory that a broker can take: the headers of one message come
in one frame, and RabbitMQ holds messages of up to 128 MB, in releases before 4.0 by default."""


class FrameTooLarge(Exception):
    """A frame that is larger than may be kept in memory."""

    def __init__(self, size: int, largest: int) -> None:
        super().__init__(
            f"sent {size:,} bytes of headers or properties for one message, and no more than {largest:,} are read"
        )


Arrival: TypeAlias = tuple[int, bool, bytes, bytes, bytes, bytes]
"""One delivered message: delivery tag, redelivered, exchange, routing key, properties as they came, body."""


class Answer(NamedTuple):
    """The broker's word on published messages: `basic.ack` or `basic.nack`.

    Attributes:
        tag: The delivery tag answered for.
        multiple: Whether all earlier unanswered ones are meant, too.
        taken: Whether the broker takes responsibility for them.
    """

    tag: int
    multiple: bool
    taken: bool


class Returned(NamedTuple):
    """A mandatory message that no queue took. RabbitMQ sends its ack behind the return.

    Attributes:
        code: The AMQP reply code; 312 is NO_ROUTE.
        text: The broker's reason.
        exchange: Where it was published to.
        key: The routing key.
        properties: Its properties; RabbitMQ 4 may write them differently from how they were sent.
        body: Its body.
    """

    code: int
    text: str
    exchange: bytes
    key: bytes
    properties: bytes = b""
    body: bytes = b""


class Mailbox:
    """What has arrived on one channel and was not yet fetched.

    Attributes:
        arrivals: Delivered messages.
        answers: Confirmations and returned messages.
        size: Bytes of the messages, bodies and properties.
        room: Bytes beyond which no further message is kept, until `size` and `unkept` are set to 0.
        unkept: The delivery tag of the last message that was not kept; 0 where all were.
    """

    __slots__ = ("_fragments", "_header", "_missing", "_properties", "answers", "arrivals", "room", "size", "unkept")

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.size = self.unkept = 0
        self.room = sys.maxsize
        self.answers: list[Answer | Returned] = []
        self._header: tuple[int, bool, bytes, bytes] | Returned | None = None
        self._properties = b""
        self._fragments: list[bytes] = []
        self._missing = 0

    def begin(self, header: tuple[int, bool, bytes, bytes] | Returned) -> None:
        """A message was announced."""
        self._header = header

    def describe(self, properties: bytes, size: int) -> None:
        """Its properties and size came."""
        self._properties = properties
        self._missing = size
        if not size:
            self._end(b"")

    def complete(self, properties: bytes, body: bytes) -> None:
        """All of its content came."""
        self._properties = properties
        self._end(body)

    def fill(self, fragment: bytes) -> None:
        """A piece of its body came."""
        self._missing -= len(fragment)
        if self._missing > 0:
            self._fragments.append(fragment)
        elif self._fragments:
            self._fragments.append(fragment)
            body = b"".join(self._fragments)
            self._fragments = []
            self._end(body)
        else:
            self._end(fragment)

    def _end(self, body: bytes) -> None:
        header = self._header
        if header is None:
            raise FormatError("The broker sent content that belongs to no message.")
        self._header = None
        if isinstance(header, Returned):
            self.answers.append(header._replace(properties=self._properties, body=body))
        elif self.unkept or self.size > self.room:
            self.unkept = header[0]
        else:
            self.size += len(body) + len(self._properties)
            self.arrivals.append((*header, self._properties, body))


_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_END = 0xCE
_SMALLEST: Final = 31
"""Bytes of the frames of the smallest content that is not empty."""
_DELIVER = 60 << 16 | 60
_RETURN = 60 << 16 | 50
_ACK = 60 << 16 | 80
_NACK = 60 << 16 | 120

_frame = Struct(">BHI").unpack_from
_method = Struct(">BHII").unpack_from
_delivery = Struct(">QBB").unpack_from
_answer = Struct(">QB").unpack_from
_size = Struct(">Q").unpack_from


class Slicer:
    """Cuts frames out of received bytes: messages and confirmations go to their channel's mailbox, the rest to `other`.

    A frame may be larger than what was negotiated: RabbitMQ sends a content header whole, also where dead-lettering has
    made a message's headers grow beyond that, or where another protocol let a producer write more.

    Attributes:
        mailboxes: The open channels by number; content for others is dropped, for a channel that is being closed
            may still receive some.
        largest: The size of a frame, in bytes, above which reading ends.
    """

    def __init__(self, other: Callable[[bytes], None]) -> None:
        self.mailboxes: Final[dict[int, Mailbox]] = {}
        self.largest = GREETING
        self._other = other
        self._begun: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> set[int]:
        """Take bytes as they came; returns the channels whose mailboxes grew.

        Raises:
            FormatError: These are no AMQP frames.
            FrameTooLarge: A frame is larger than may be kept in memory.
        """
        if self._begun:
            # A large frame comes in many pieces, which are put together once.
            self._begun.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return set()
            data = b"".join(self._begun)
            self._begun = []
        at, end, touched = 0, len(data), set()
        mailboxes = self.mailboxes
        while end - at >= 8:
            kind, number, size = _frame(data, at)
            stop = at + 8 + size
            if stop > end:
                if kind not in (_METHOD, _HEADER, _BODY, _HEARTBEAT) or size > self.largest == GREETING:
                    raise FormatError("What answers there does not speak AMQP 0-9-1.")
                if size > self.largest:
                    raise FrameTooLarge(size, self.largest)
                break
            if data[stop - 1] != _END:
                raise FormatError("What answers there does not speak AMQP 0-9-1: a frame has no end.")
            if kind == _BODY:
                if number in mailboxes:
                    mailboxes[number].fill(data[at + 7 : stop - 1])
                    touched.add(number)
            elif kind == _HEADER:
                if number in mailboxes:
                    mailboxes[number].describe(data[at + 19 : stop - 1], _size(data, at + 11)[0])
                    touched.add(number)
            elif kind == _METHOD:
                method = _method(data, at)[3]
                if method == _DELIVER:
                    if number in mailboxes:
                        place = at + 12 + data[at + 11]
                        tag, redelivered, length = _delivery(data, place)
                        place += 10 + length
                        mailboxes[number].begin(
                            (
                                tag,
                                bool(redelivered),
                                data[place - length : place],
                                data[place + 1 : place + 1 + data[place]],
                            )
                        )
                        if end - stop >= _SMALLEST and (content := _content_at(data, stop, end, number)) is not None:
                            properties, body, stop = content
                            mailboxes[number].complete(properties, body)
                            touched.add(number)
                elif method in (_ACK, _NACK):
                    if number in mailboxes:
                        tag, bits = _answer(data, at + 11)
                        mailboxes[number].answers.append(Answer(tag, bool(bits & 1), method == _ACK))
                        touched.add(number)
                elif method == _RETURN:
                    if number in mailboxes:
                        mailboxes[number].begin(_read_return(data, at + 11))
                else:
                    self._other(data[at:stop])
            else:
                self._other(data[at:stop])
            at = stop
        if at < end:
            self._begun = [data[at:]]
            self._missing = (stop if end - at >= 8 else at + 8) - end
        return touched


def _content_at(data: bytes, at: int, end: int, number: int) -> tuple[bytes, bytes, int] | None:
    """The properties and the body of a message of a channel, and where they end, if they are here as a whole: as those
    of most are, in two frames. None: each frame is looked at by itself."""
    kind, channel, size = _frame(data, at)
    middle = at + 8 + size
    if kind != _HEADER or channel != number or end - middle < 8 or data[middle - 1] != _END:
        return None
    kind, channel, size = _frame(data, middle)
    last = middle + 8 + size
    if kind != _BODY or channel != number or last > end or data[last - 1] != _END or size != _size(data, at + 11)[0]:
        return None
    return data[at + 19 : middle - 1], data[middle + 7 : last - 1], last


def _read_return(data: bytes, at: int) -> Returned:
    code = int.from_bytes(data[at : at + 2])
    texts = []
    at += 2
    for _ in range(3):
        texts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return Returned(code, texts[0].decode("utf-8", "replace"), texts[1], texts[2])


_head = Struct(">BHI").pack
_content = Struct(">BHIHHQ").pack


def publish_method(channel: int, exchange: bytes, key: bytes) -> bytes:
    """The frame that announces a mandatory message. Exchange and key are at most 255 bytes long."""
    return b"".join(
        (
            _head(_METHOD, channel, 9 + len(exchange) + len(key)),
            b"\x00\x3c\x00\x28\x00\x00",
            bytes((len(exchange),)),
            exchange,
            bytes((len(key),)),
            key,
            b"\x01\xce",
        )
    )


_rejection = Struct(">BHIIQBB").pack


def requeue_until(channel: int, tag: int) -> bytes:
    """A frame that gives all messages back up to this one, as far as they are not acknowledged: `basic.nack`."""
    return _rejection(_METHOD, channel, 13, _NACK, tag, 0b11, _END)


_acknowledgement = Struct(">BHIIQBB").pack


def acknowledgements(channel: int, tags: Iterable[int]) -> bytes:
    """A frame for each delivery tag."""
    return b"".join([_acknowledgement(_METHOD, channel, 13, _ACK, tag, 0, _END) for tag in tags])


def content(channel: int, properties: bytes, body: bytes, frame_max: int) -> list[bytes]:
    """The frames behind the announcement: properties, then the body in pieces of at most `frame_max`."""
    pieces = [_content(_HEADER, channel, 12 + len(properties), 60, 0, len(body)), properties, b"\xce"]
    room = frame_max - 8
    for at in range(0, len(body), room):
        piece = body if len(body) <= room else body[at : at + room]
        pieces += (_head(_BODY, channel, len(piece)), piece, b"\xce")
    return pieces
