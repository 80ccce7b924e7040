"""What stands in the columns of a table of events: a delivery's cells."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec

from workbench.decode.display import visible_bytes
from workbench.decode.preview import LOOKED_AT, preview
from workbench.facts.facts import Facts
from workbench.facts.times import time_in
from workbench.model.event import Delivery
from workbench.model.values import value_to_copy
from workbench.query.field import Field

_FAILED: Final = re.compile(r"^\w{1,20} failed; (?=\S)")
_TIME: Final = 12
_DAY_AND_TIME: Final = 18
_WHOLE_TIME: Final = 23


class Cells(msgspec.Struct, frozen=True):
    """What is drawn of one delivery.

    Attributes:
        time: The event's, in milliseconds since 1970 UTC; if it carries none and is a dead letter, of its death.
        seen: When it was seen, likewise.
        endpoint: Where, without the connection.
        address: Where, with it.
        texts: By column; as strangers wrote them, for `fit`.
        fields: The fields of which there are texts beside those that every event has.
    """

    time: int
    seen: int
    endpoint: str
    address: str
    texts: Mapping[str, str]
    fields: Sequence[Field] = ()


def cells_of(delivery: Delivery, facts: Facts, fields: Sequence[Field] = (), limit: int = LOOKED_AT) -> Cells:
    """The cells of a delivery.

    Args:
        delivery: As it may be seen.
        facts: What is known of it.
        fields: What else is to be seen of it.
        limit: Characters of a text that are seen at most, about; twice as many of an id, from both its ends.
    """
    event, position = delivery.event, delivery.position
    address = str(delivery.address)
    attempts = facts.attempts if facts.attempts is not None else delivery.attempt
    texts = {
        "type": facts.type,
        "correlation": facts.correlation,
        "key": None if event.key is None else visible_bytes(event.key, limit),
        "position": f"{position.partition}:{position.offset}".lstrip(":") if position else None,
        "message": facts.message,
        "causation": facts.causation,
        "size": None if event.body is None else f"{len(event.body):,}",
        "attempts": None if attempts is None else str(attempts),
        "reason": short_reason(facts.reason or ""),
        "body": preview(event, limit),
        **{field.text: values_text(field.values(delivery)) for field in fields},
    }
    return Cells(
        time_of(delivery, facts),
        delivery.seen_at,
        address.partition("/")[2],
        address,
        {column: _shorten(text, limit) for column, text in texts.items() if text},
        fields,
    )


def short_reason(reason: str) -> str:
    """A reason without what a framework puts before all of them: `Listener failed; account is null`."""
    return _FAILED.sub("", reason)


def values_text(values: Sequence[Any]) -> str:
    """The values of a field in one line, with commas between them."""
    try:
        return ", ".join(map(value_to_copy, values))
    except (RecursionError, ValueError):
        # It nests too deep, or holds an integer of thousands of digits.
        return "…"


def time_of_day(milliseconds: int, width: int) -> str:
    """A time as it is here: of another day its date too, as far as the width goes."""
    try:
        local = datetime.fromtimestamp(milliseconds / 1000)
    except (ValueError, OverflowError, OSError):
        # A producer may claim any time at all.
        return "?"
    if width >= _WHOLE_TIME:
        return local.strftime("%Y-%m-%d %H:%M:%S.%f")[:_WHOLE_TIME]
    today = date.today()
    if local.date() == today:
        return local.strftime("%H:%M:%S.%f")[:12]
    if local.year != today.year:
        return local.strftime("%Y-%m-%d")
    return local.strftime("%m-%d %H:%M:%S.%f")[:_DAY_AND_TIME] if width >= _DAY_AND_TIME else f"{local:%m-%d %H:%M}"


def longest_time(milliseconds: int) -> str:
    """A time as it is shown where there is room, but without what it has in common with now."""
    text = time_of_day(milliseconds, _DAY_AND_TIME)
    return text if len(text) >= _TIME else time_of_day(milliseconds, _WHOLE_TIME)


def time_of(delivery: Delivery, facts: Facts) -> int:
    """When an event happened, in milliseconds since 1970 UTC: of one that carries no time and died, when it did."""
    time, source = delivery.time
    if source == "received" and (failure := facts.failure) is not None and failure.time:
        died = time_in(failure.time)
        return time if died is None else died
    return time


def _shorten(text: str, limit: int) -> str:
    """Not more of a text than is looked at, from both its ends."""
    return text if len(text) <= 2 * limit else f"{text[:limit]}…{text[-limit:]}"
