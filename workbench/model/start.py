"""Where a reading of a log begins."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, Unsupported
from workbench.model.event import Position
from workbench.model.wording import with_article


class Beginning(msgspec.Struct, frozen=True):
    """The oldest event still there."""


class Latest(msgspec.Struct, frozen=True):
    """Only what arrives from now on."""


class Since(msgspec.Struct, frozen=True):
    """The first event at or after a time, in milliseconds since 1970 UTC."""

    time: int


class At(msgspec.Struct, frozen=True):
    """A position; the other partitions are not read."""

    position: Position


class FromEnd(msgspec.Struct, frozen=True):
    """The newest events, counted over all partitions together: by their times, then by partition and offset.

    Attributes:
        count: How many.
        before: Only events of an earlier time than this count, in milliseconds since 1970 UTC; None: all do.
    """

    count: int
    before: int | None = None


class OfGroup(msgspec.Struct, frozen=True):
    """Where a consumer group has got to: its committed offset in each partition."""

    group: str


class Window(msgspec.Struct, frozen=True):
    """A stretch of time, both ends included, in milliseconds since 1970 UTC; None: open on that side."""

    since: int | None = None
    until: int | None = None

    def holds(self, time: int | None) -> bool:
        """Whether a time is within. One that is not known may be."""
        return time is None or (self.since or time) <= time <= (time if self.until is None else self.until)


Start: TypeAlias = Beginning | Latest | Since | At | FromEnd | OfGroup

_NEEDS: Final[Mapping[type[Start], tuple[Ability, str]]] = {
    Since: (Ability.BY_TIME, "a time (-10m, 2026-11-23T10:00)"),
    At: (Ability.BY_POSITION, "a position (3:1200)"),
    FromEnd: (Ability.FROM_END, "its newest events (end-500)"),
    OfGroup: (Ability.GROUPS, "a consumer group's position (group:NAME)"),
}
"""What a start asks of a log, and what it is in words. Every log has its beginning and its end."""


def check_start(endpoint: Endpoint, start: Start | None) -> None:
    """Refuse a start that an endpoint does not have; None is where it is read from anyway.

    Raises:
        Unsupported: It does not have it; the sentence says which it has.
    """
    if start is None:
        return
    if endpoint.family != "log" and Ability.BY_POSITION not in endpoint.abilities:
        raise Unsupported(
            f"{endpoint.address} is {with_article(endpoint.kind)}: you cannot choose where reading begins."
        )
    ability, wanted = _NEEDS.get(type(start), (Ability(0), ""))
    if ability not in endpoint.abilities:
        has = [words for each, words in _NEEDS.values() if each in endpoint.abilities]
        places = ", ".join(["its beginning", *has]) + (" or " if not has else ", or ") + "where it ends now (latest)"
        raise Unsupported(f"{endpoint.address} cannot be read from {wanted}, only from {places}.")


_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_start(text: str, now: int) -> Start:
    """Read a start as a user writes it.

    Args:
        text: `beginning`, `latest`, `-10m`, `2026-11-23T10:00` (local time unless it names a zone), `3:1200`
            (partition and offset), `end-500` or `group:NAME`.
        now: The present, in milliseconds since 1970 UTC; ages count back from it.

    Raises:
        FormatError: The text is none of these.
    """
    if text == "beginning":
        return Beginning()
    if text == "latest":
        return Latest()
    if match := re.fullmatch(r"-(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)", text):
        return Since(now - int(float(match[1]) * _UNITS[match[2]]))
    if match := re.fullmatch(r"([0-9]+):([0-9]+)", text):
        return At(Position(match[1], match[2]))
    if match := re.fullmatch(r"end-(\d{1,15})", text):
        return FromEnd(int(match[1]))
    if text.startswith("group:") and text != "group:":
        return OfGroup(text.removeprefix("group:"))
    try:
        return Since(round(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError):
        raise FormatError(
            f"{text!r} is not a place to start: write beginning, latest, -10m, 2026-11-23T10:00, 3:1200"
            " (partition:offset), end-500 or group:NAME."
        ) from None
