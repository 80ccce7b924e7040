from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.errors import FormatError
from workbench.model.event import Position
from workbench.model.start import At, Beginning, FromEnd, Latest, OfGroup, Since, Start, parse_start

NOW = 1_795_428_202_123


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", Beginning()),
        ("latest", Latest()),
        ("3:1200", At(Position("3", "1200"))),
        ("0:0", At(Position("0", "0"))),
        ("end-500", FromEnd(500)),
        ("end-0", FromEnd(0)),
        ("group:billing", OfGroup("billing")),
        ("group:a:b", OfGroup("a:b")),
        ("2026-11-23T10:03:22.123Z", Since(NOW)),
        ("2026-11-23T12:03:22.123+02:00", Since(NOW)),
        ("2026-11-23T10:03:22Z", Since(NOW - 123)),
    ],
)
def test_a_start_is_read_as_the_documentation_writes_it(text: str, start: Start) -> None:
    assert parse_start(text, NOW) == start


@pytest.mark.parametrize(
    ("age", "milliseconds"),
    [("-250ms", 250), ("-1s", 1_000), ("-10m", 600_000), ("-1.5h", 5_400_000), ("-2d", 172_800_000)],
)
def test_an_age_counts_back_from_now(age: str, milliseconds: int) -> None:
    assert parse_start(age, NOW) == Since(NOW - milliseconds)


@pytest.mark.parametrize("text", ["2026-11-23T10:00", "2026-11-23 10:00", "2026-11-23"])
def test_a_time_without_a_zone_is_local(text: str) -> None:
    local = datetime.fromisoformat(text).astimezone()
    assert parse_start(text, NOW) == Since(int(local.timestamp()) * 1000)


@pytest.mark.parametrize(
    "text", ["", "now", "10m", "-10", "-10w", "3", "3:", ":3", "a:3", "٣:٤", "end-", "end-x", "group:", "2026-13-01"]
)
def test_any_other_text_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(FormatError, match="is not a place to start: write beginning, latest, -10m"):
        parse_start(text, NOW)


@given(
    st.text()
    | st.from_regex(r"-[0-9.]{1,30}(ms|s|m|h|d)", fullmatch=True)
    | st.from_regex(r"(end-)?[0-9:]{1,30}", fullmatch=True)
    | st.datetimes().map(str)
)
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    try:
        parse_start(text, NOW)
    except FormatError as error:
        assert str(error).startswith(repr(text))
