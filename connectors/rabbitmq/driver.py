"""All that is used of pika beyond its public interface, and nowhere else: the way of bytes in and out, and its errors.

pika connects, authenticates, keeps the heartbeat and speaks the control methods. It does not see messages: its decoder
changes floats and integer widths, and costs half the time. They are cut out of the received bytes by `frames.Slicer`
and written by `frames.content`. Names that begin with `_` are pika's own here. docs/architecture.md lists them, and a
test of each says when it moves.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from pika import ConnectionParameters, PlainCredentials
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorException,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import AuthenticationError
from pika.frame import Method, decode_frame

from connectors.rabbitmq import frames
from workbench.connecting.last_heard import LastHeard

__all__ = [
    "AMQPConnectionWorkflowFailed",
    "AMQPConnectorException",
    "AMQPConnectorPhaseErrorBase",
    "AMQPConnectorStackTimeout",
    "DriverConnection",
    "Method",
    "NamedCredentials",
]

# pika logs tracebacks of what it also raises: without a handler, Python would print them on the terminal.
logging.getLogger("pika").addHandler(logging.NullHandler())

_PIECE: Final = 262_144
"""Bytes taken from or given to the socket at once; pika's own 4,096 cost a call per ten messages."""


class NamedCredentials(PlainCredentials):  # type: ignore[misc]
    """A user name and a password, which name what a broker offers that takes none."""

    def response_for(self, start: Any) -> tuple[str | None, bytes | None]:
        """The answer to a broker's Connection.Start.

        Raises:
            AuthenticationError: It does not offer this way to log in; the argument says which it does.
        """
        kind, response = super().response_for(start)
        if kind is None:
            offered = start.mechanisms
            offered = offered.decode("utf-8", "replace") if isinstance(offered, bytes) else str(offered)
            raise AuthenticationError(", ".join(offered.split()))
        return kind, response


class DriverConnection(AsyncioConnection):  # type: ignore[misc]
    """pika's connection, with messages taken out of what it receives.

    Attributes:
        slicer: Takes them out, into a mailbox for each channel.
        wake: What to call when something came into a channel's mailbox, by its number.
        heard: When the broker was last heard.
    """

    def __init__(self, parameters: ConnectionParameters, **callbacks: Any) -> None:
        self.slicer = frames.Slicer(self.control)
        self.wake: Final[dict[int, Callable[[], None]]] = {}
        self.heard: Final = LastHeard()
        super().__init__(parameters, **callbacks)

    def _proto_connection_made(self, transport: Any) -> None:
        transport._MAX_RECV_BYTES = transport._MAX_CONSUME_BYTES = _PIECE
        super()._proto_connection_made(transport)

    def _on_data_available(self, data_in: bytes) -> None:
        self.bytes_received += len(data_in)
        self.heard.note()
        if self.frames_received == 0 and data_in.startswith(b"AMQP"):
            # The answer of a broker that speaks another version of the protocol.
            super()._on_data_available(data_in)
            return
        try:
            grown = self.slicer.feed(data_in)
        except Exception as error:
            # pika raises whatever its decoder meets in a stranger's bytes, and would keep no more than its text.
            self._terminate_stream(error)
            return
        for number in grown:
            if wake := self.wake.get(number):
                wake()

    def control(self, data: bytes) -> None:
        """Let pika see a frame that is no message's."""
        self._process_frame(decode_frame(data)[1])

    def write(self, data: bytes) -> None:
        """Send frames that are ready to go."""
        self.bytes_sent += len(data)
        # pika copies what the network did not take of a piece, so pieces are small.
        for at in range(0, len(data), _PIECE):
            self._adapter_emit_data(data[at : at + _PIECE])

    def abort(self) -> None:
        """Close the socket at once, where there is one."""
        if self._transport is not None:
            self._transport.abort()
