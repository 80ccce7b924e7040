"""Names of endpoints in less room than they take: what many of them begin with alike tells none from another."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from workbench.decode.display import cells, shorten_middle, visible

_SEPARATORS: Final = "./:-_"
"""What parts of names are joined by; in a name, the first of these that is in it."""
_MANY: Final = 3
"""Names that begin alike, at least, and the part of all long ones that they are."""


def shared_beginnings(names: Iterable[str], room: int) -> Sequence[str]:
    """What can be left out of names, the longest first.

    Args:
        names: Those of a connection.
        room: Cells that there are; names that have room in them are left whole.
    """
    counts: Counter[str] = Counter()
    long = [name for name in names if cells(name) > room]
    for name in long:
        separator = next((each for each in _SEPARATORS if each in name), "")
        end = name.find(separator) if separator else -1
        while end >= 0:
            counts[name[: end + 1]] += 1
            end = name.find(separator, end + 1)
    least = max(_MANY, len(long) // _MANY)
    return sorted((each for each, count in counts.items() if count >= least), key=len, reverse=True)


def shorten_name(name: str, room: int, beginnings: Sequence[str]) -> str:
    """A name in so many cells, with `…` for what it begins with as many others do, and for a part of its middle.

    Args:
        name: It.
        room: Cells that there are.
        beginnings: What `shared_beginnings` says.
    """
    if cells(visible(name, room + 1)) <= room:
        return visible(name, room)
    rest = next((name[len(each) :] for each in beginnings if name.startswith(each) and name != each), "")
    # What tells it from others stands rather at the beginning of the rest.
    return shorten_middle(f"…{rest}", room, room // 3) if rest else shorten_middle(name, room)
