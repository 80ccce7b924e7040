"""What a consumer that goes on for ever is sent: no more than its reader takes in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.rabbitmq.client import Channel
from connectors.rabbitmq.frames import Arrival

PREFETCH: Final = 1_000
"""Messages that may be sent before any is acknowledged, where they are small."""


class BackPressure:
    """Acknowledges what was taken in, so that more comes; where more came than there was room for, it consumes anew.

    Args:
        channel: Has no other consumer.
        queue: What is consumed.
        tag: By which consumer.
        by_offset: Whether it is a stream, in which nothing goes back.
    """

    def __init__(self, channel: Channel, queue: str, tag: str, by_offset: bool = False) -> None:
        self._channel = channel
        self._queue = queue
        self._tag = tag
        self._by_offset = by_offset
        self._prefetch = PREFETCH
        self._unacknowledged = self._last = 0

    async def begin(self) -> None:
        """Consume."""
        await self._channel.qos(PREFETCH)
        await self._channel.consume(self._queue, self._tag, {})

    def note(self, arrivals: Sequence[Arrival]) -> None:
        """These were taken in."""
        self._unacknowledged += len(arrivals)
        self._last = arrivals[-1][0]

    async def let_more_come(self, arguments: Mapping[str, Any]) -> None:
        """Acknowledge, when enough was taken in; or consume with these arguments from the first that was not kept."""
        if not self._channel.complete:
            held = None if self._by_offset else self._last if self._unacknowledged else 0
            self._prefetch = await self._channel.begin_again(self._queue, self._tag, arguments, PREFETCH, held)
        elif self._unacknowledged > self._prefetch // 4:
            self._channel.acknowledge_until(self._last)
        else:
            return
        self._unacknowledged = 0
