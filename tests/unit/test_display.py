import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.hostile import deliveries
from workbench.decode.display import cells, count_fitting, visible, visible_bytes, visible_json, visible_lines
from workbench.decode.layout import lay_out

ANY = st.text(st.characters(exclude_categories=()))
ODD = st.text(
    st.sampled_from(
        "ab é日\u0301\u0302\u0903\u093f\u1100\u1161\u11a8\u200d\ufe0f\U0001f44d\U0001f3fd\U0001f1e9\x1b\n\u202e"
    )
)
OBEYED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me")


def obeyed(line: str) -> list[str]:
    return [character for character in line if unicodedata.category(character) in OBEYED]


@given(ANY | ODD, st.none() | st.integers(0, 40))
def test_nothing_that_a_terminal_obeys_is_ever_shown(text: str, width: int | None) -> None:
    assert not obeyed(visible(text, width))


@given(ANY | ODD)
def test_json_for_a_terminal_is_the_same_json_and_shown_as_it_is(text: str) -> None:
    line = visible_json(json.dumps({text: text}, ensure_ascii=False).encode(errors="surrogatepass")).decode()
    assert visible(line) == line
    if text.encode(errors="ignore") == text.encode(errors="surrogatepass"):
        assert json.loads(line) == {text: text}


@given(ANY | ODD)
def test_lines_stay_lines(text: str) -> None:
    lines = visible_lines(text.encode(errors="surrogatepass")).decode().split("\n")
    assert len(lines) == text.count("\n") + 1
    assert [visible(line) for line in lines] == lines


@given(ANY | ODD, st.integers(0, 40))
def test_a_line_never_takes_more_cells_than_it_may(text: str, width: int) -> None:
    assert cells(visible(text, width)) <= width


@given(ANY | ODD, st.none() | st.integers(0, 40))
def test_a_line_takes_the_cells_that_the_screen_counts(text: str, width: int | None) -> None:
    line = visible(text, width)
    assert cells(line) == cell_len(line)


def test_every_character_that_is_shown_takes_the_cells_that_the_screen_counts() -> None:
    for code in range(0x110000):
        line = visible("a" + chr(code))
        assert cells(line) == cell_len(line), hex(code)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(ANY, st.integers(1, 40))
def test_a_line_that_fits_is_shown_whole(text: str, width: int) -> None:
    whole = visible(text)
    assert visible(text, max(width, cells(whole))) == whole


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("two\nlines", "two⏎lines"),
        ("abc\u202edcba", "abc\\u{202e}dcba"),
        ("zero\u200bwidth", "zero\\u{200b}width"),
        ("\x9b31m", "\\u{9b}31m"),
        ("a\u2028b", "a\\u{2028}b"),
        ("ok\U000e0069", "ok\\u{e0069}"),
        ("half \ud83d", "half \\u{d83d}"),
        ("❤\ufe0f", "❤\\u{fe0f}"),
        ("\u3164", "\\u{3164}"),
        ("👨\u200d👩", "👨\\u{200d}👩"),
        ("👍\U0001f3fd", "👍\\u{1f3fd}"),
        ("\U0001f1e9\U0001f1ea", "\\u{1f1e9}\\u{1f1ea}"),
        ("\u0301a", "\\u{301}a"),
        ("1\u20e3", "1\\u{20e3}"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, line: str) -> None:
    assert visible(text) == line


@pytest.mark.parametrize(
    "text", ["tiê\u0301ng Viê\u0323t", "สวัสดีชาวโลก", "नमस्ते", "한국어", "ひらがな", "Ünïcödé", "שלום"]
)
def test_what_people_write_is_shown_as_they_write_it(text: str) -> None:
    assert visible(text) == text


def test_a_letter_keeps_two_marks_of_a_tower() -> None:
    assert visible("a" + "\u0301" * 4) == "a\u0301\u0301\\u{301}\\u{301}"


def test_a_decomposed_syllable_stays_one() -> None:
    assert cells(visible("\u1112\u1161\u11ab")) == 2


def test_a_cut_line_says_so() -> None:
    assert visible("abcdef", 4) == "abc…"
    assert visible("日本語", 4) == "日…"
    assert visible("a\x1b[31m", 4) == "a␛[…"


@given(ANY | ODD, st.integers(1, 40))
def test_as_many_characters_are_said_to_fit_as_do(text: str, width: int) -> None:
    count = count_fitting(text, width)
    assert count == min(1, len(text)) or cells(visible(text[:count])) <= width
    assert count == len(text) or cells(visible(text[: count + 1])) > width


def test_nothing_fits_into_no_cells() -> None:
    assert visible("abc", 0) == ""
    assert visible_bytes(b"abc", 0) == ""


def test_a_long_body_is_cut_in_bounded_time() -> None:
    assert visible_bytes(b"x" * 100_000_000, 10) == "xxxxxxxxx…"


def test_bytes_that_are_no_text_are_shown_in_hex() -> None:
    assert visible_bytes(b"\xff\x00") == "0xff00"


def test_a_character_cut_in_half_is_not_taken_for_binary() -> None:
    assert visible_bytes("é".encode() * 100, 9) == "é" * 8 + "…"
    assert visible_bytes("👍".encode() * 100, 8) == "👍" * 3 + "…"


def test_null_is_shown_apart_from_empty() -> None:
    assert (visible_bytes(None), visible_bytes(b"")) == ("∅", "")


def test_no_hostile_event_reaches_a_terminal() -> None:
    for name, delivery in deliveries():
        event = delivery.event
        body = lay_out(event, 2000).text.split("\n")
        for line in (*body, str(delivery.address), delivery.exchange or ""):
            for width in (7, 80):
                drawn = visible(line, width)
                assert not obeyed(drawn) and cells(drawn) <= width, name
        for data in (event.body, event.key):
            drawn = visible_bytes(data, 30)
            assert not obeyed(drawn) and cells(drawn) <= 30, name
