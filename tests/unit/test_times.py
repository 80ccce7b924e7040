"""Times as frameworks write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from workbench.facts.times import time_in, time_text

MOMENT = datetime(2026, 11, 25, 10, 3, 22, 123000, tzinfo=UTC)
MILLISECONDS = 1_795_601_002_123


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.astimezone(timezone(timedelta(hours=5))),
        MILLISECONDS,
        str(MILLISECONDS),
        str(MILLISECONDS).encode(),
        MILLISECONDS.to_bytes(8, "big"),
        "2026-11-25T10:03:22.123Z",
        "2026-11-25T11:03:22.123+01:00",
        "2026-11-25 10:03:22:123000 Z",
        "2026-11-25T10:03:22.123",
    ],
)
def test_a_time_is_known_however_it_is_written(value: Any) -> None:
    assert time_in(value) == MILLISECONDS


def test_seconds_are_told_from_milliseconds() -> None:
    assert time_in(1_795_601_002) == 1_795_601_002_000


@pytest.mark.parametrize("value", [None, True, -1, 0, 7, "soon", "", b"\xff", 1.5, "0001-01-01T00:00:00+14:00", 10**20])
def test_what_is_no_time_is_none(value: Any) -> None:
    assert time_in(value) is None


def test_a_time_is_read_as_the_users_clock_shows_it() -> None:
    assert time_text(MILLISECONDS) == MOMENT.astimezone().isoformat(" ", "milliseconds")
    assert time_text(10**18) == "1,000,000,000,000,000,000 ms after 1970"
