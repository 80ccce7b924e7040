"""What stands in the columns of the event table: a delivery's cells, which are made once, and how they fit a width."""

import time
import zlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final, Literal

import msgspec

from views.widgets.group_table import ago
from workbench.decode.display import cells, visible, visible_bytes
from workbench.decode.preview import LOOKED_AT, preview
from workbench.facts.facts import Facts
from workbench.model.event import Delivery

COLOURS: Final = 12
"""How many colours tell correlations apart."""
_WHOLE_TIME: Final = 23


class Column(msgspec.Struct, frozen=True):
    """A column of the event table.

    Attributes:
        id: Its name, for users too.
        title: What stands above it.
        width: In terminal cells; 0: whatever the others leave.
        side: Where its texts stand.
        cut: Which part of a text gives way when it is too long: ids differ at both ends.
    """

    id: str
    title: str
    width: int
    side: Literal["left", "right"] = "left"
    cut: Literal["end", "middle"] = "end"


COLUMNS: Final = (
    Column("time", "time", 12),
    Column("from", "from", 16),
    Column("type", "type", 16),
    Column("correlation", "correlation", 12, cut="middle"),
    Column("key", "key", 8),
    Column("position", "position", 12),
    Column("message", "message id", 12, cut="middle"),
    Column("causation", "caused by", 12, cut="middle"),
    Column("size", "size", 10, "right"),
    Column("attempts", "attempts", 8, "right"),
    Column("failure", "failure", 24),
    Column("seen", "seen", 12),
    Column("body", "body", 0),
)
"""All there are."""
USUAL: Final = ("time", "from", "type", "correlation", "key", "body")
NARROW: Final = ("time", "type", "correlation", "body")
"""Those that fit a narrow screen."""


class Cells(msgspec.Struct, frozen=True):
    """What is drawn of one delivery.

    Attributes:
        time: The event's, in milliseconds since 1970 UTC.
        seen: When it was seen, likewise.
        endpoint: Where, without the connection.
        address: Where, with it.
        colour: A number below `COLOURS`, the same for all of a correlation; None where there is none.
        texts: By column; as strangers wrote them, for `fit`.
    """

    time: int
    seen: int
    endpoint: str
    address: str
    colour: int | None
    texts: Mapping[str, str]


def cells_of(delivery: Delivery, facts: Facts) -> Cells:
    """The cells of a delivery as it may be seen."""
    event, position = delivery.event, delivery.position
    address = str(delivery.address)
    attempts = facts.attempts if facts.attempts is not None else delivery.attempt
    correlation = facts.correlation
    texts = {
        "type": facts.type,
        "correlation": correlation,
        "key": None if event.key is None else visible_bytes(event.key, LOOKED_AT),
        "position": f"{position.partition}:{position.offset}".lstrip(":") if position else None,
        "message": facts.message,
        "causation": facts.causation,
        "size": None if event.body is None else f"{len(event.body):,}",
        "attempts": None if attempts is None else str(attempts),
        "failure": facts.reason,
        "body": preview(event),
    }
    return Cells(
        delivery.time[0],
        delivery.seen_at,
        address.partition("/")[2],
        address,
        None if correlation is None else zlib.crc32(correlation.encode("utf-8", "surrogatepass")) % COLOURS,
        {column: _shorten(text) for column, text in texts.items() if text},
    )


def fit(text: str, width: int, column: Column) -> str:
    """A text in exactly so many terminal cells, fit to be drawn."""
    line = visible(text, width) if column.cut == "end" else shorten_middle(text, width)
    # Most lines hold nothing unusual but the sign that they were cut, and `cells` would ask for every character.
    space = " " * (width - (len(line) if line.replace("…", "").isascii() else cells(line)))
    return space + line if column.side == "right" else line + space


def shorten_middle(text: str, width: int) -> str:
    """At most so many terminal cells of a text's beginning and end, with `…` for what is between."""
    line = visible(text, width)
    if width < 5 or line == visible(text, 2 * width):
        return line
    behind = (width - 1) // 2
    for count in range(behind, 0, -1):
        end = visible(text[-count:])
        if cells(end) <= behind:
            return visible(text, width - cells(end)) + end
    return line


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
    return local.strftime("%m-%d %H:%M" if local.year == today.year else "%Y-%m-%d")


def time_ago(milliseconds: int) -> str:
    """How long ago a time was, or how far ahead it is."""
    seconds = time.time() - milliseconds / 1000
    return ago(seconds) if seconds > -1 else f"in {ago(-seconds)}"


def _shorten(text: str) -> str:
    """Not more of a text than is looked at, from both its ends."""
    return text if len(text) <= 2 * LOOKED_AT else f"{text[:LOOKED_AT]}…{text[-LOOKED_AT:]}"
