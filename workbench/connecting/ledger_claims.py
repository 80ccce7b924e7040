"""Claiming from a log: a pass over what a ledger has not dealt with yet, for every broker of logs."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from typing import Protocol, Self, TypeAlias

from workbench.model.errors import ConnectorError
from workbench.model.event import Delivery
from workbench.model.look import Coverage
from workbench.model.receipt import Outcome

Advance: TypeAlias = Callable[[Mapping[str, int]], Awaitable[None]]
"""Lets a ledger stand at these offsets, by partition."""


class Log(Protocol):
    """Deliveries of one log, in the order of each partition."""

    @property
    def coverage(self) -> Coverage:
        """What was read so far and what could not be."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Delivery]]: ...

    def reached(self, partition: str) -> int:
        """The offset behind all of a partition that was handed over, with what is never shown behind it."""
        ...


class LedgerClaims:
    """Events in the order of each partition, from where the ledger stands. Settling advances it.

    A ledger is one offset a partition: it stands before the first event that is not settled, and nothing behind that
    one counts as dealt with. Who passes events over settles them, too.

    Attributes:
        lapsed: Nothing: a log does not give its events to one reader alone.
    """

    def __init__(self, log: Log, advance: Advance) -> None:
        """
        Args:
            log: What the ledger has not dealt with yet.
            advance: Advances the ledger, or raises a `ConnectorError`.
        """
        self.lapsed: Set[int] = frozenset()
        self._log = log
        self._batches = aiter(log)
        self._advance = advance
        self._claimed = 0
        self._partition_of: dict[int, str] = {}
        self._held: dict[str, OrderedDict[int, int]] = {}
        """By partition the offset of each sequence that is not settled, in their order."""
        self._stands: dict[str, int] = {}
        self._broken: ConnectorError | None = None

    @property
    def coverage(self) -> Coverage:
        """What was claimed, and what could not be."""
        return self._log.coverage

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Delivery]:
        batch = await anext(self._batches)
        for sequence, delivery in enumerate(batch, self._claimed):
            assert delivery.position is not None
            partition, offset = delivery.position.partition, int(delivery.position.offset)
            self._stands.setdefault(partition, offset)
            self._held.setdefault(partition, OrderedDict())[sequence] = offset
            self._partition_of[sequence] = partition
        self._claimed += len(batch)
        return batch

    async def settle(self, sequences: Sequence[int]) -> Sequence[Outcome]:
        """Advance the ledger as far as nothing is left out.

        An event behind one that is not settled is not dealt with yet: its outcome is pending, and it will be when that
        one is settled. Once the ledger could not be advanced, it stays where it is: it must not pass over what was not
        dealt with.
        """
        if len({*sequences}) < len(sequences) or not all(at in self._partition_of for at in sequences):
            raise ValueError("a sequence was settled before, or never claimed")
        places: list[tuple[str, int]] = []
        for sequence in sequences:
            partition = self._partition_of.pop(sequence)
            places.append((partition, self._held[partition].pop(sequence)))
        places_left = {partition: self._first_left(partition) for partition in {partition for partition, _ in places}}
        advanced = {partition: at for partition, at in places_left.items() if at > self._stands[partition]}
        if advanced and self._broken is None:
            try:
                await self._advance(advanced)
                self._stands.update(advanced)
            except ConnectorError as error:
                self._broken = error
        if (broken := self._broken) is not None:
            return [Outcome.failed(sequence, broken) for sequence in sequences]
        return [
            Outcome(sequence) if offset < places_left[partition] else _not_settled(sequence, partition, places_left)
            for sequence, (partition, offset) in zip(sequences, places, strict=True)
        ]

    def _first_left(self, partition: str) -> int:
        """The offset of the first that is not settled; behind the last there may be marks of transactions, which are no
        work that remains."""
        held = self._held[partition]
        return next(iter(held.values())) if held else self._log.reached(partition)


def _not_settled(sequence: int, partition: str, first: Mapping[str, int]) -> Outcome:
    where = f" of partition {partition}" if partition else ""
    error = ConnectorError(f"Offset {first[partition]}{where} comes first, and is not settled.")
    return Outcome(sequence, error, "pending")
