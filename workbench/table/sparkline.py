"""A row of bars, one character each, for rates."""

from collections.abc import Sequence
from typing import Final

_BARS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars against the largest of them, as many characters; blank where nothing happens."""
    shown = list(values)[-width:]
    most = max(shown, default=0.0)
    if not most:
        return " " * width
    return "".join(_BARS[min(int(value / most * len(_BARS)), len(_BARS) - 1)] for value in shown).rjust(width)


def short(number: float) -> str:
    """A count or a rate in at most five characters: 999, 1.2k, 48k, 3.1M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
