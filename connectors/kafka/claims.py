"""Claiming from a topic: a pass over what a ledger has not dealt with yet."""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Self, TypeAlias

from connectors.kafka.cluster import Partition
from connectors.kafka.reader import TopicStream
from workbench.model.errors import ConnectorError
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.model.receipt import Outcome

Advance: TypeAlias = Callable[[Mapping[Partition, int]], Awaitable[None]]


class LedgerClaims:
    """Events in the order of each partition, from where the ledger stands. Settling advances it.

    A ledger is one offset a partition: it stands before the first event that is not settled, and nothing behind that
    one counts as dealt with. Who passes events over settles them, too.
    """

    def __init__(self, stream: TopicStream, advance: Advance) -> None:
        """
        Args:
            stream: What the ledger has not dealt with yet.
            advance: Commits offsets to the ledger.
        """
        self._stream = stream
        self._advance = advance
        self._places: list[tuple[Partition, int]] = []
        self._unsettled: dict[Partition, deque[int]] = {}
        self._settled: set[int] = set()

    @property
    def coverage(self) -> Coverage:
        """What was claimed, and what could not be."""
        return self._stream.coverage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        batch = await anext(self._stream)
        for delivery in batch:
            assert delivery.position is not None
            partition = (delivery.address.name, int(delivery.position.partition))
            self._unsettled.setdefault(partition, deque()).append(len(self._places))
            self._places.append((partition, int(delivery.position.offset)))
        return batch

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Advance the ledger as far as nothing is left out.

        An event behind one that is not settled is not dealt with yet: its outcome says so, and it will be when that
        one is settled.
        """
        if len({*sequences} - self._settled) < len(sequences) or not all(
            0 <= at < len(self._places) for at in sequences
        ):
            raise ValueError("a sequence was settled before, or never claimed")
        self._settled.update(sequences)
        offsets: dict[Partition, int] = {}
        for partition in {self._places[sequence][0] for sequence in sequences}:
            unsettled = self._unsettled[partition]
            while unsettled and unsettled[0] in self._settled:
                offsets[partition] = self._places[unsettled.popleft()][1] + 1
            if partition in offsets and not unsettled:
                # Behind the last event there may be marks of transactions: no work that remains.
                offsets[partition] = max(offsets[partition], self._stream.reached(partition))
        error: ConnectorError | None = None
        if offsets:
            try:
                await self._advance(offsets)
            except ConnectorError as failure:
                error = failure
        return [Outcome(sequence, error or self._held_back(sequence)) for sequence in sequences]

    def _held_back(self, sequence: int) -> ConnectorError | None:
        partition, offset = self._places[sequence]
        unsettled = self._unsettled[partition]
        if not unsettled or self._places[unsettled[0]][1] > offset:
            return None
        first = self._places[unsettled[0]][1]
        return ConnectorError(f"Offset {first} of partition {partition[1]} comes first, and is not settled.")
