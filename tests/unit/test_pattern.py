import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.facts.conventions import Conventions
from workbench.facts.masking import Masking
from workbench.facts.pattern import Pattern, literally
from workbench.model.address import Address
from workbench.model.errors import ConfigError, FormatError, QueryError
from workbench.model.event import Delivery, Event
from workbench.query.query import compile

ENDLESS = ["(a|a)*b", "(a+)+$", r"(\w+\s?)*$!", "(.*)*x", "a(.*b)?", "((a?){30}){30}a{30}b"]
"""Patterns that Python's `re` would not be done with in years, and one that looks far for each match."""
REFUSED = [r"(a)\1", "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(?P<a>x)(?P=a)"]


def masked(pattern: str, body: str) -> str:
    delivery = Delivery(Event(None, body.encode()), Address("kafka", "t"), 0)
    return (Masking([f"~ {pattern}"]).apply(delivery).event.body or b"").decode()


@pytest.mark.parametrize("pattern", [each for each in ENDLESS if not Pattern(each).in_text("")])
@pytest.mark.parametrize("size", [30, 1_000_000])
def test_no_pattern_holds_the_program(pattern: str, size: int) -> None:
    masked(pattern, "a" * size)
    masked(pattern, '{"a": "' + "a" * size + '"}')
    assert compile(f"body ~ '{pattern}'", 0).matches(Delivery(Event(None, b"a" * size), Address("k", "t"), 0)) in (
        True,
        False,
    )


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_re2_does_not_know_is_one_sentence_wherever_it_is_written(pattern: str) -> None:
    why = "is no regular expression in RE2's syntax: .*; it has neither look-around nor backreferences"
    with pytest.raises(ConfigError, match=why):
        Masking([f"~ {pattern}"])
    with pytest.raises(QueryError, match=why):
        compile(f"body ~ '{pattern}'", 0)
    with pytest.raises(ConfigError, match=why):
        Conventions.load([{"name": "own", "type": {"at": "header.type", "match": f"({pattern})"}}])


@pytest.mark.parametrize(
    ("pattern", "text", "after"),
    [
        (r"\w+@\w+", "an jürgen.müller@größe heute", "an jürgen.************ heute"),
        (r"[\w.]+@[\w.]+", "an jürgen.müller@größe heute", "an ******************* heute"),
        (r"(?i)STRASSE \d+", "strasse ١٢٣", "***********"),
        (r"\S+\s\S", "ä\u00a0ö", "***"),
        (r"[^\W]x", "éx !x", "** !x"),
        (r"[]x]y", "]y xy", "** **"),
        (r"[[:digit:]\d]z", "1z ٢z", "** **"),
        (r"\Q\d\E", r"\d 1", "** 1"),
        (r"\\d", r"\d 1", "** 1"),
        ("😀+", "a😀😀b", "a**b"),
    ],
)
def test_letters_are_unicodes_and_masks_count_characters(pattern: str, text: str, after: str) -> None:
    assert masked(pattern, text) == after


@given(st.text(st.sampled_from("ab1é٣_ \t-"), max_size=12), st.sampled_from([r"\w", r"\W", r"\d", r"\D", r"\s", r"\S"]))
def test_classes_mean_what_they_mean_in_python(text: str, name: str) -> None:
    for pattern in (name, f"[{name}-]", f"[^{name}]", f"[^{name}1_]"):
        assert Pattern(pattern).mask(text) == re.sub(pattern, "*", text)


@given(st.text())
def test_a_literal_matches_itself(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    assert Pattern(literally(text)).begins(text) == text


def test_half_a_surrogate_pair_is_a_character_that_can_be_masked() -> None:
    assert Pattern("a.b").mask("xa\ud800b\udfff") == "x***\udfff"


def test_what_would_take_too_long_is_masked_to_the_end() -> None:
    text = "ab" * 4_000_000
    found = Pattern("a").mask(text)
    assert found.startswith("*b*b") and found.endswith("****") and len(found) == len(text)


@given(st.from_regex("[0-9a-fg]{2}-[0-9a-f]{31,33}-?[0-9a-fA-F]{0,16}-?", fullmatch=True))
def test_a_trace_context_is_read_as_re2_reads_it(text: str) -> None:
    for pattern in ("[0-9a-f]{2}-([0-9a-f]{32})-", "[0-9a-f]{2}-[0-9a-f]{32}-([0-9a-f]{16})-"):
        # What may be there or not is left to RE2.
        assert Pattern(pattern).begins(text) == Pattern(f"{pattern}x?").begins(text)


def test_a_pattern_too_large_is_a_sentence() -> None:
    with pytest.raises(FormatError, match="RE2's syntax"):
        Pattern("((a{1000}){1000}){1000}")


def test_a_pattern_goes_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Pattern(r"\d+"))).mask("a12") == "a**"
