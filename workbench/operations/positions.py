"""Events of a log at given positions: those that lie near one another are read at once."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from workbench.model.address import Address
from workbench.model.event import Delivery, Position
from workbench.model.start import At
from workbench.session import Session

_APART: Final = 500
"""Offsets between two positions of a partition that are read over rather than read apart."""


class Stretch(NamedTuple):
    """Positions of one partition that are read at once.

    Attributes:
        partition: Which.
        offsets: The offsets, each once, in order.
    """

    partition: str
    offsets: Sequence[int]


def stretches(positions: Iterable[Position]) -> Iterator[Stretch]:
    """Positions in any order, as they are read: a partition after the other, each in the order of its offsets."""
    offsets: dict[str, set[int]] = {}
    for position in positions:
        offsets.setdefault(position.partition, set()).add(int(position.offset))
    for partition, some in offsets.items():
        together: list[int] = []
        for offset in sorted(some):
            if together and offset - together[-1] > _APART:
                yield Stretch(partition, together)
                together = []
            together.append(offset)
        yield Stretch(partition, together)


async def read_stretch(
    session: Session, address: Address, stretch: Stretch
) -> AsyncGenerator[Sequence[Delivery], None]:
    """What is at the positions of a stretch, as far as it is there, in order.

    Raises:
        WorkbenchError: It cannot be read.
    """
    partition, offsets = stretch
    wanted = frozenset(offsets)
    start = At(Position(partition, str(offsets[0])))
    async with session.browse(address, start, offsets[-1] - offsets[0] + 1) as stream:
        async for batch in stream:
            of_partition = [
                (int(each.position.offset), each)
                for each in batch
                if each.position is not None and each.position.partition == partition
            ]
            if found := [each for offset, each in of_partition if offset in wanted]:
                yield found
            if any(offset >= offsets[-1] for offset, _ in of_partition):
                return
