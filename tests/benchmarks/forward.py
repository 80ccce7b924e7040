"""The least that a move takes: a client that passes on the bytes of messages, and reads, notes and adds nothing.

What it takes is the broker's and the network's share of any move by AMQP, whoever the client is.
"""

import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from typing import Any, Final

import pika
from pika import spec
from pika.frame import Method

_FRAME: Final = Struct(">BHI").unpack_from
_TAG: Final = Struct(">Q").unpack_from
_DELIVER: Final = b"\x00\x3c\x00\x3c"
_ACK: Final = b"\x00\x3c\x00\x50"
_METHOD, _HEARTBEAT = 1, 8
_READING, _WRITING = 1, 2
_PREFETCH: Final = 2_000


def forward(parameters: pika.ConnectionParameters, source: str, target: str, count: int) -> None:
    """Take so many messages from one queue to another over two connections, each acknowledged when its copy is
    confirmed."""
    with _connect(parameters, _READING) as reading, _connect(parameters, _WRITING) as writing:
        _call(reading, _READING, spec.Basic.Qos(0, _PREFETCH, False))
        _call(writing, _WRITING, spec.Confirm.Select())
        _call(reading, _READING, spec.Basic.Consume(0, source, "forward"))
        publish = Method(_WRITING, spec.Basic.Publish(0, "", target, True)).marshal()
        out, confirmed, early = bytearray(), 0, set[int]()
        received, answered = _Frames(reading), _Frames(writing)
        for each in (reading, writing):
            each.setblocking(False)
        while confirmed < count:
            readable, _, _ = select.select([reading, writing], [writing] if out else [], [])
            if reading in readable:
                for kind, frame in received.take():
                    out += publish if kind == _METHOD else _on_channel(frame)
            if writing in readable:
                for _, frame in answered.take():
                    tag, multiple = _TAG(frame, 11)[0], frame[19]
                    confirmed = max(confirmed, tag) if multiple else confirmed
                    early.add(tag)
                while confirmed + 1 in early:
                    confirmed += 1
                if confirmed:
                    reading.setblocking(True)
                    reading.sendall(Method(_READING, spec.Basic.Ack(confirmed, True)).marshal())
                    reading.setblocking(False)
            if out:
                with suppress(BlockingIOError):
                    del out[: writing.send(out)]
        reading.setblocking(True)
        _call(reading, _READING, spec.Queue.Declare(queue=source, passive=True))


class _Frames:
    """Frames as they come: methods of messages and confirmations, and content."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._begun = b""

    def take(self) -> Iterator[tuple[int, bytes]]:
        """What has come, each with its kind."""
        data = self._begun + self._connection.recv(1_048_576)
        at = 0
        while len(data) - at >= 8:
            kind, _, size = _FRAME(data, at)
            end = at + 8 + size
            if end > len(data):
                break
            if (kind == _METHOD and data[at + 7 : at + 11] in (_DELIVER, _ACK)) or kind not in (_METHOD, _HEARTBEAT):
                yield kind, data[at:end]
            at = end
        self._begun = data[at:]


def _on_channel(frame: bytes) -> bytes:
    return frame[:1] + _WRITING.to_bytes(2, "big") + frame[3:]


def _connect(parameters: pika.ConnectionParameters, channel: int) -> socket.socket:
    connection = socket.create_connection((parameters.host, parameters.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = f"\0{parameters.credentials.username}\0{parameters.credentials.password}"
    connection.sendall(b"AMQP\0\0\x09\x01")
    _read(connection)
    _call(connection, 0, spec.Connection.StartOk({}, "PLAIN", login, "en_US"))
    connection.sendall(Method(0, spec.Connection.TuneOk(2_047, 131_072, 0)).marshal())
    _call(connection, 0, spec.Connection.Open(parameters.virtual_host))
    _call(connection, channel, spec.Channel.Open())
    return connection


def _call(connection: socket.socket, channel: int, method: Any) -> None:
    """Call a method, and wait for its answer, which is the next that comes."""
    connection.sendall(Method(channel, method).marshal())
    _read(connection)


def _read(connection: socket.socket) -> None:
    head = connection.recv(7, socket.MSG_WAITALL)
    if len(head) < 7:
        raise ConnectionError("the broker closed the connection")
    connection.recv(_FRAME(head)[2] + 1, socket.MSG_WAITALL)
