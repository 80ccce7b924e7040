"""What a broker remembers between the fetches of one connection (KIP-227): which partitions, and from which offsets.

A request then names those that changed, and an answer those that have something new. Without it, each request names all
partitions of a topic, and each answer has a row for each, be it for one event.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from connectors.kafka.cluster import Partition

NO_SESSION: Final = (0, -1)
"""The id and the epoch of a request that stands alone."""

_LAST = 2**31 - 1


class Request(NamedTuple):
    """What a request says of a session.

    Attributes:
        id: Which session; 0 for a new one.
        epoch: Which of its requests this is, counted from 0.
        wanted: The partitions that the broker does not know of, or not with these offsets.
        forgotten: Those that it shall ask for no longer.
    """

    id: int
    epoch: int
    wanted: Mapping[Partition, int]
    forgotten: Sequence[Partition]


class FetchSession:
    """One of a connection, of which one request is on its way at a time.

    Where the broker has no room for it, every request names all, and asks for one again. The room of one that nobody
    has used for two minutes goes to others.
    """

    def __init__(self) -> None:
        self.id = self.epoch = 0
        self._remembered: Mapping[Partition, int] = {}

    def request(self, offsets: Mapping[Partition, int]) -> Request:
        """What to send, for these offsets to be fetched from."""
        before, self._remembered = self._remembered, offsets
        if not self.epoch:
            return Request(0, 0, offsets, ())
        wanted = {each: offset for each, offset in offsets.items() if before.get(each) != offset}
        return Request(self.id, self.epoch, wanted, [each for each in before if each not in offsets])

    def remember(self, id: int) -> None:
        """The broker has answered, and remembers what was sent under this id; 0: it does not."""
        self.id = id
        self.epoch = 0 if not id else 1 if self.epoch == _LAST else self.epoch + 1

    def forget(self) -> None:
        """The broker knows nothing of it any more, or does not agree: begin another."""
        self.remember(0)
