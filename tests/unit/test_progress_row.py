"""How far a long piece of work is, as a line says it."""

import pytest

from views.widgets.progress_row import Progress, progress_line


def line(progress: Progress, width: int = 100) -> str:
    return progress_line(progress, width).plain


def test_bar_count_time_left_rate_failures_and_how_to_stop() -> None:
    shown = line(Progress(412, 1_000, 4.2, failed=3, failure="refused", stop="ctrl+x stops"))
    assert shown.startswith("████████░░░░░░░░░░░░  412 of 1,000  ✖ 3 refused  5 s left  98/s  ")
    assert shown.endswith(" ctrl+x stops") and len(shown) == 100


def test_what_is_not_known_is_not_called_refused() -> None:
    shown = line(Progress(412, 1_000, 4.2, failed=3, failure="refused", unknown=2))
    assert "✖ 3 refused  ? 2 unknown  5 s left" in shown
    assert "✖" not in line(Progress(412, 1_000, 4.2, failure="refused", unknown=2))


def test_without_a_total_there_is_no_bar_and_no_time_left() -> None:
    assert line(Progress(1_234, None, 10, what="events")).rstrip() == "1,234 events  123/s"


def test_what_is_done_has_no_time_left() -> None:
    assert line(Progress(10, 10, 2.0)).rstrip() == "████████████████████  10 of 10  5.0/s"


def test_the_first_moment_says_no_rate() -> None:
    assert line(Progress(5, 10, 0.1)).rstrip() == "██████████░░░░░░░░░░  5 of 10"


def test_nothing_to_do_is_no_division() -> None:
    assert line(Progress(0, 0, 5)).rstrip() == "0 of 0"


def test_slow_work_leaves_hours() -> None:
    assert "1 h 39 m left" in line(Progress(6, 600, 60.6))


@pytest.mark.parametrize("width", range(0, 120, 7))
def test_it_fits_any_width_and_keeps_the_count_longest(width: int) -> None:
    shown = progress_line(Progress(412, 1_000, 4.2, failed=3, stop="ctrl+x stops"), width)
    assert shown.cell_length <= width
    if width >= 28:
        assert "412 of 1,000" in shown.plain and "ctrl+x stops" in shown.plain
