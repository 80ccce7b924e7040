"""The originals of dead letters that lack something of them: where each is, and what is there.

A broker may put into its dead letters no more than where their originals are. Such a one is never sent anywhere in
place of its original: it would be a tombstone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.facts.tiers import OWN_PREFIX
from workbench.model.address import Address
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Delivery, Event, Position
from workbench.model.start import At
from workbench.session import Session

_DIGITS: Final = 19
"""Digits of an offset at most: a stranger's may have any number."""
_APART: Final = 500
"""Offsets between two originals of a partition that are read over rather than read apart."""


class Original(msgspec.Struct, frozen=True):
    """Where the original of a dead letter is.

    Attributes:
        address: The topic it died in.
        position: Its place there.
        lacks: What the dead letter does not have of it: `everything`, for it only says where its original is; or the
            `headers`.
    """

    address: Address
    position: Position
    lacks: Literal["everything", "headers"]


def original_of(delivery: Delivery, facts: Facts, conventions: Conventions) -> Original | None:
    """Where the original of a dead letter is that lacks something of it; None: it has all that its original had, as far
    as can be seen, or does not say where that was.

    Args:
        delivery: The dead letter.
        facts: What the conventions say of it.
        conventions: The conventions that say it.
    """
    origin = facts.origin
    if origin is None or not (origin.topic and _is_number(origin.partition) and _is_number(origin.offset)):
        return None
    convention = next((each for each in conventions.tables if each.name == origin.convention), None)
    event = delivery.event
    try:
        # What a move has stamped on it was not its original's.
        names = {name.lower() for name, _ in event.headers if not name.lower().startswith(OWN_PREFIX)}
    except FormatError:
        return None
    if convention is None or not names <= convention.headers:
        return None
    position = Position(str(origin.partition), str(origin.offset))
    address = Address(delivery.address.connection, origin.topic)
    if event.key is None and event.body is None:
        return Original(address, position, "everything")
    return Original(address, position, "headers") if convention.lacks else None


async def whole_events(session: Session, batch: Sequence[Delivery]) -> list[Event | None]:
    """The events of deliveries; of dead letters that lack something of their originals, these; None where such a one
    cannot be read: it is gone, or was written in a transaction that is still open.

    Raises:
        ConfigError: A convention cannot be used.
    """
    wanted = [original_of(each, session.reading.facts(each), session.conventions) for each in batch]
    found = await read_originals(session, [each for each in wanted if each is not None]) if any(wanted) else {}
    whole = [delivery if each is None else found[each] for delivery, each in zip(batch, wanted, strict=True)]
    return [each.event if isinstance(each, Delivery) else None for each in whole]


async def read_originals(session: Session, wanted: Iterable[Original]) -> Mapping[Original, Delivery | str]:
    """What is where originals were.

    Args:
        session: Whose connections.
        wanted: Which are read; in any order, and each once however often it is named.

    Returns:
        Each as it is there now, or why it cannot be read, the end of a sentence.
    """
    places: dict[tuple[Address, str], dict[int, list[Original]]] = {}
    for each in dict.fromkeys(wanted):
        offsets = places.setdefault((each.address, each.position.partition), {})
        offsets.setdefault(int(each.position.offset), []).append(each)
    found: dict[Original, Delivery | str] = {}
    for (address, partition), offsets in places.items():
        for stretch in _stretches(sorted(offsets)):
            read = await _read(session, address, partition, stretch)
            for offset in stretch:
                for original in offsets[offset]:
                    found[original] = read if isinstance(read, str) else read.get(offset, _gone(original))
    return found


def _gone(original: Original) -> str:
    place = f"{original.position.partition}:{original.position.offset}"
    return f"its original is no longer at {place} of {original.address}"


def _stretches(offsets: Sequence[int]) -> Iterator[list[int]]:
    """Offsets in their order, those together that are read at once."""
    stretch = [offsets[0]]
    for offset in offsets[1:]:
        if offset - stretch[-1] > _APART:
            yield stretch
            stretch = []
        stretch.append(offset)
    yield stretch


async def _read(
    session: Session, address: Address, partition: str, offsets: Sequence[int]
) -> dict[int, Delivery] | str:
    """The deliveries at these offsets, as far as they are there; else why they cannot be read."""
    found: dict[int, Delivery] = {}
    wanted = frozenset(offsets)
    try:
        connector = await session.connector(address.connection)
        start = At(Position(partition, str(offsets[0])))
        async with connector.browse(address, start, offsets[-1] - offsets[0] + 1) as stream:
            async for batch in stream:
                for delivery in batch:
                    place = delivery.position
                    offset = int(place.offset) if place is not None and place.partition == partition else -1
                    if offset in wanted:
                        found[offset] = delivery
                    if offset >= offsets[-1]:
                        return found
    except WorkbenchError as error:
        return f"its original cannot be read: {str(error).removesuffix('.')}"
    return found


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdecimal() and len(text) <= _DIGITS
