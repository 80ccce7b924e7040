"""Times as frameworks put them into headers, and as people read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from workbench.model.content import Value


def time_in(value: Value) -> int | None:
    """The moment that a value is said to be, in milliseconds since 1970 UTC; None: it is not written as one.

    Numbers are seconds or milliseconds since 1970, by their size, in digits or in eight big-endian bytes; texts are ISO
    8601, in UTC where they name no zone, or NServiceBus's form of it (DateTimeOffsetHelper.cs: `2026-11-25
    10:03:22:123456 Z`).
    """
    if isinstance(value, bytes):
        if len(value) == 8 and not value.isdigit():
            value = int.from_bytes(value, signed=True)
        else:
            value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _DIGITS.fullmatch(text) else _read_date(text)
    if isinstance(value, datetime):
        try:
            return (value.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        except OverflowError:
            return None
    if isinstance(value, int) and not isinstance(value, bool) and _FIRST <= value <= _LAST:
        return value if value >= _MILLISECONDS else value * 1000
    return None


def time_text(milliseconds: int) -> str:
    """A time as the user's clock shows it, with its zone."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().isoformat(" ", "milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds:,} ms after 1970"


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS: Final = re.compile(r"[0-9]{9,14}")
_FIRST: Final = 100_000_000
_MILLISECONDS: Final = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds they would be after the year 5000."""
_LAST: Final = 99_999_999_999_999
_NSERVICEBUS: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d):(\d{1,6}) Z")


def _read_date(text: str) -> datetime | None:
    if found := _NSERVICEBUS.fullmatch(text):
        text = f"{found[1]}T{found[2]}.{found[3].ljust(6, '0')}+00:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
