"""Groups of dead letters as they are drawn, a line each, and a line for each endpoint that was not read."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from rich.text import Text

from views.widgets.endpoint_names import shared_beginnings, shorten_name
from workbench.decode.display import cells, visible
from workbench.model.endpoint import Endpoint
from workbench.model.wording import time_span
from workbench.operations.dead.groups import Group
from workbench.table.cells import short_reason
from workbench.table.sparkline import sparkline

_PARTS: Final = 12
"""Parts of the time in which dead letters came that are told apart."""
_GAP: Final = 2
_SIGN: Final = "✖ "
_REASON: Final = 48
"""Cells that a reason has, if it takes them, before anything else has any: it is what one came for."""
_LONGEST: Final = 400
"""Cells of a line's reason."""


class _Column(msgspec.Struct, frozen=True):
    """A column before the reason.

    Attributes:
        head: What stands above it.
        most: Its cells at most.
        right: Whether its texts end where it ends.
        style: Of its texts.
    """

    head: str
    most: int
    right: bool = False
    style: str = "muted"


_COLUMNS: Final[Mapping[str, _Column]] = {
    "count": _Column("count", 9, right=True, style=""),
    "oldest": _Column("oldest", 8, right=True),
    "newest": _Column("newest", 8, right=True),
    "arrivals": _Column("arrivals", _PARTS),
    "tries": _Column("tries", 5, right=True),
    "from": _Column("from", 60, style=""),
    "type": _Column("type", 28),
}
_FIRST_TO_GO: Final = ("arrivals", "tries", "oldest", "type", "newest")
"""What gives way where the reason has no room, in this order."""
_LEAST: Final = {"type": 17, "from": 12}
"""Cells to which these are narrowed first."""


def group_lines(
    groups: Sequence[Group], unread: Sequence[tuple[Endpoint, str]], width: int, by: str, now: int
) -> tuple[Text, list[Text]]:
    """The line above the list, and the list.

    Args:
        groups: In order.
        unread: Endpoints that no group knows anything of, and how they stand: `not read`.
        width: Cells of a line.
        by: What tells groups apart, the head of the last column.
        now: The present, in milliseconds since 1970 UTC.
    """
    since = min((group.oldest for group in groups), default=0)
    until = max((group.newest for group in groups), default=0)
    rows = [_group_cells(group, since, until, now) for group in groups]
    reasons = [visible(short_reason(group.reason) or f"no {by}", _LONGEST) for group in groups]
    rows += [{"count": f"{each.depth or 0:,}", "from": _origins(each)} for each, _ in unread]
    places = [f"{visible(str(each.address))}, {state}" for each, state in unread]
    widths = _widths(rows, max((cells(text) for text in (by, *reasons, *places)), default=0), width)
    room = width - len(_SIGN) - sum(widths.values()) - _GAP * len(widths)
    alike = shared_beginnings([str(each.address) for each, _ in unread], room)
    reasons += [
        f"{shorten_name(str(each.address), max(room - len(state) - 2, 1), alike)}, {state}" for each, state in unread
    ]
    origins = shared_beginnings([row["from"] for row in rows], widths.get("from", 0))
    lines = [
        _line(row, widths, origins).append(reason, "" if number < len(groups) else "muted")
        for number, (row, reason) in enumerate(zip(rows, reasons, strict=True))
    ]
    head = _line({id: _COLUMNS[id].head for id in widths}, widths, sign=" " * len(_SIGN)).append(by)
    head.stylize("muted")
    return head, lines


def _group_cells(group: Group, since: int, until: int, now: int) -> dict[str, str]:
    return {
        "count": f"{group.count:,}",
        "oldest": _age(now - group.oldest),
        "newest": _age(now - group.newest),
        "arrivals": sparkline(group.arrivals.between(since, until, _PARTS), _PARTS).rstrip(),
        "tries": "" if group.attempts is None else str(group.attempts),
        "from": group.origin or "?",
        "type": group.type or "?",
    }


def _age(milliseconds: int) -> str:
    """How long ago, in its largest unit."""
    return " ".join(time_span(milliseconds / 1000).split()[:2])


def _origins(endpoint: Endpoint) -> str:
    """Whose dead letters an endpoint holds."""
    return ", ".join(address.name for address in endpoint.dead_letters_of) or "?"


def _widths(rows: Sequence[Mapping[str, str]], reason: int, width: int) -> dict[str, int]:
    """The cells of each column that there is room for: as many as what is longest in it takes."""
    widths = {}
    for id, column in _COLUMNS.items():
        if longest := max((cells(visible(row.get(id, ""))) for row in rows), default=0):
            widths[id] = min(max(longest, len(column.head)), column.most)

    def over() -> int:
        """How many cells the reason lacks."""
        return len(_SIGN) + sum(widths.values()) + _GAP * len(widths) + min(reason, _REASON) - width

    for id, least in _LEAST.items():
        widths[id] = max(widths.get(id, 0) - max(over(), 0), min(least, widths.get(id, 0)))
        if not widths[id]:
            del widths[id]
    for id in _FIRST_TO_GO:
        if over() > 0:
            widths.pop(id, None)
    # What went leaves room for what was narrowed.
    for id in reversed(_LEAST):
        if id in widths and over() < 0:
            longest = max(cells(visible(row.get(id, ""))) for row in rows)
            widths[id] = min(widths[id] - over(), max(longest, widths[id]), _COLUMNS[id].most)
    return widths


def _line(row: Mapping[str, str], widths: Mapping[str, int], origins: Sequence[str] = (), sign: str = _SIGN) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis").append(sign, "dead")
    for id, room in widths.items():
        text = shorten_name(row.get(id, ""), room, origins if id == "from" else ())
        filling = " " * (room - cells(text))
        before, behind = (filling, "") if _COLUMNS[id].right else ("", filling)
        line.append(before).append(text, _COLUMNS[id].style).append(behind + " " * _GAP)
    return line
