"""The originals of dead letters that lack something of them: where each is, and what is there.

A broker may put into its dead letters no more than where their originals are. Such a one is never sent anywhere in
place of its original: it would be a tombstone.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final, Literal

import msgspec

from workbench.facts.conventions import Conventions
from workbench.facts.facts import Facts
from workbench.facts.tiers import OWN_PREFIX
from workbench.model.address import Address
from workbench.model.errors import FormatError, WorkbenchError
from workbench.model.event import Delivery, Event, Position
from workbench.operations.positions import Stretch, read_stretch, stretches
from workbench.session import Session

_DIGITS: Final = 19
"""Digits of an offset at most: a stranger's may have any number."""


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


class Pointing:
    """Which events can be dead letters that lack something, as is seen at once of the many that are none.

    Args:
        conventions: What says where originals are.
    """

    def __init__(self, conventions: Conventions) -> None:
        self._names = frozenset(
            spot.split()[1]
            for each in conventions.tables
            if each.lacks
            for spot in each.places.get("origin.topic", ())
            if spot.split()[0] == "header"
        )
        self._bytes = tuple(name.encode() for name in self._names)

    def may_lack(self, event: Event) -> bool:
        """Whether it has to be asked where the original of an event is: it is empty, or has the header that says so in
        those that lack others."""
        if event.key is None and event.body is None:
            return True
        if event.wire is None:
            return any(name.lower() in self._names for name, _ in event.written.headers)
        data = event.wire.data.lower()
        return any(name in data for name in self._bytes)


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
    of_topic: dict[Address, list[Original]] = {}
    for each in dict.fromkeys(wanted):
        of_topic.setdefault(each.address, []).append(each)
    found: dict[Original, Delivery | str] = {}
    for address, originals in of_topic.items():
        at: dict[tuple[str, int], Delivery | str] = {}
        for stretch in stretches(each.position for each in originals):
            at.update(await _read(session, address, stretch))
        for each in originals:
            found[each] = at.get((each.position.partition, int(each.position.offset)), _gone(each))
    return found


def _gone(original: Original) -> str:
    place = f"{original.position.partition}:{original.position.offset}"
    return f"its original is no longer at {place} of {original.address}"


async def _read(session: Session, address: Address, stretch: Stretch) -> dict[tuple[str, int], Delivery | str]:
    """The deliveries at the positions of a stretch, as far as they are there; or for each why it cannot be read."""
    partition, offsets = stretch
    found: dict[tuple[str, int], Delivery | str] = {}
    try:
        async with aclosing(read_stretch(session, address, stretch)) as reading:
            async for batch in reading:
                for delivery in batch:
                    assert delivery.position is not None
                    found[partition, int(delivery.position.offset)] = delivery
    except WorkbenchError as error:
        return dict.fromkeys(
            ((partition, offset) for offset in offsets),
            f"its original cannot be read: {str(error).removesuffix('.')}",
        )
    return found


def _is_number(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdecimal() and len(text) <= _DIGITS
