"""JSON as lines that can be folded: nothing lost, nothing written anew, however it is read and folded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import hostile
from workbench.decode.json_text import lay_out_json
from workbench.decode.outline import Outline
from workbench.model.errors import FormatError

ORDER = """{"id" : 1001, "total":1.10,
 "items": [{"sku":"a\\u00e9"}, 2e5 , []], "id": null, "note": {} }"""


def read(text: str, steps: int = 7, cut: bool = False) -> Outline:
    outline = Outline.of_json(text, cut)
    while not outline.complete:
        outline.read_on(steps)
    return outline


def written(outline: Outline, line: int) -> str:
    """A line as it is drawn: its key, its value or mark, and the comma behind it."""
    pieces = [outline.text[start:end] + (": " if look == "key" else "") for look, start, end in outline.parts(line)]
    return "".join(pieces) + ("," if outline.has_comma(line) else "")


def lines(outline: Outline) -> list[str]:
    return [written(outline, outline.line(row)) for row in range(outline.rows)]


def at(outline: Outline, begin: str) -> int:
    return next(line for line in range(len(outline)) if written(outline, line).startswith(begin))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


def test_each_member_has_a_line_in_which_it_is_written_as_it_was() -> None:
    assert lines(read(ORDER)) == [
        "{",
        '"id": 1001,',
        '"total": 1.10,',
        '"items": [',
        "{",
        '"sku": "a\\u00e9"',
        "},",
        "2e5,",
        "[]",
        "],",
        '"id": null,',
        '"note": {}',
        "}",
    ]


@given(JSON, st.integers(1, 50), st.sampled_from([None, 1, "\t"]))
def test_lines_are_those_of_the_text_laid_out(value: Any, steps: int, indent: Any) -> None:
    text = json.dumps(value, indent=indent)
    outline = read(text, steps)
    drawn = [("  " * outline.depth(line) + written(outline, line)) for line in range(len(outline))]
    assert "\n".join(drawn) == lay_out_json(text, 1_000_000).text


def test_looks_tell_tokens_apart() -> None:
    outline = read('{"a": "x", "b": -1.5, "c": true, "d": -Infinity, "e": []}')
    looks = [[part.look for part in outline.parts(line)] for line in range(len(outline))]
    assert looks == [
        ["mark"],
        ["key", "string"],
        ["key", "number"],
        ["key", "word"],
        ["key", "word"],
        ["key", "mark"],
        ["mark"],
    ]


def test_a_folded_line_hides_all_that_is_in_it() -> None:
    outline = read(ORDER)
    items = at(outline, '"items"')
    outline.toggle(items)
    assert outline.is_folded(items)
    assert lines(outline)[3:5] == ['"items": [', '"id": null,']
    assert (outline.members(items), outline.closing(items), outline.has_comma(items, folded=True)) == (3, "]", True)
    outline.toggle(items)
    assert outline.rows == len(outline) == 13


@given(JSON, st.data())
def test_rows_and_lines_lead_to_each_other(value: Any, data: st.DataObject) -> None:
    outline = read(json.dumps(value))
    for line in data.draw(st.lists(st.integers(0, len(outline) - 1), max_size=5)):
        outline.toggle(line)
    shown = [outline.line(row) for row in range(outline.rows)]
    assert shown == sorted(set(shown)) and shown[0] == 0
    assert [outline.row(line) for line in shown] == list(range(outline.rows))
    for hidden in set(range(len(outline))) - set(shown):
        folder = outline.line(outline.row(hidden))
        assert outline.is_folded(folder) and folder < hidden
        outline.reveal(hidden)
        assert outline.line(outline.row(hidden)) == hidden
        break


def test_what_cannot_be_folded_stays() -> None:
    outline = read(ORDER)
    for begin in ('"id"', '"note"', "[]"):
        outline.toggle(at(outline, begin))
    assert outline.rows == len(outline)


def test_the_value_of_a_line_is_copied_as_it_was_written() -> None:
    outline = read(ORDER)
    assert outline.text_to_copy(at(outline, '"total"')) == "1.10"
    assert outline.text_to_copy(at(outline, '"sku"')) == "aé"
    assert outline.text_to_copy(at(outline, '"items"')) == '[{"sku":"a\\u00e9"}, 2e5 , []]'
    assert outline.text_to_copy(0) == ORDER


def test_a_lone_surrogate_is_copied_as_it_was_written() -> None:
    outline = read('["\\ud800"]')
    assert outline.text_to_copy(1) == "\\ud800"


def test_a_text_is_read_bit_by_bit() -> None:
    outline = Outline.of_json(json.dumps(list(range(1000))))
    outline.read_on(10)
    assert (outline.complete, len(outline)) == (False, 10)
    assert outline.text[: outline.read_to] == "[0, 1, 2, 3, 4, 5, 6, 7, "
    outline.toggle(0)
    assert outline.rows == 1
    outline.read_on(10)
    assert (outline.rows, outline.members(0), outline.closing(0)) == (1, 19, "")
    outline.read_on(10_000)
    assert (outline.complete, outline.rows, outline.members(0), outline.closing(0)) == (True, 1, 1000, "]")


def test_a_cut_text_is_shown_as_far_as_it_is_there() -> None:
    assert lines(read('{"a": [1, 22, {"na', cut=True)) == ["{", '"a": [', "1,", "22,", "{", '"na']
    assert lines(read('{"a": "some te', cut=True)) == ["{", '"a": "some te']
    assert lines(read('{"a": 1, "b"', cut=True)) == ["{", '"a": 1,', '"b"']
    assert read('{"a": "some te', cut=True).text_to_copy(1) == "some te"


def test_what_is_no_json_is_said_when_it_is_reached() -> None:
    outline = Outline.of_json('{"a": 1, "b": 2, "c": nonsense}')
    outline.read_on(2)
    with pytest.raises(FormatError, match="column 22"):
        outline.read_on(10)


def test_a_string_is_shown_as_what_it_says_and_found_where_it_is() -> None:
    text = '{"a\\u0062": "Zo\\u00eb", "c": "x"}'
    outline = read(text)
    assert [outline.shown_text(part) for part in outline.parts(1)] == ['"ab"', '"Zoë"']
    assert outline.search_text.index("Zoë") == text.index("Zo") and len(outline.search_text) == len(text)
    assert outline.search_text.index('"c"') == text.index('"c"')


def test_a_line_has_a_path_and_a_value() -> None:
    outline = read('{"a": {"b c": [1, {"d": "e\\n"}, null]}, "big": 18446744073709551617, "t": true}')
    found = {}
    for line in range(len(outline)):
        try:
            found[outline.path(line)] = outline.value(line)
        except FormatError:
            continue
    assert found[("a", "b c", None, "d")] == "e\n"
    assert found[("a", "b c", None)] is None
    assert found[("big",)] == 18446744073709551617 and found[("t",)] is True
    assert outline.path(0) == ()


def test_a_name_that_is_no_text_has_no_path() -> None:
    outline = Outline.of_lines('{\n  1: "x"\n}')
    outline.read_on(10)
    assert outline.value(1) == "x"
    with pytest.raises(FormatError, match="is not text"):
        outline.path(1)


def test_a_place_in_the_text_is_in_a_line() -> None:
    outline = read(ORDER)
    assert outline.line_at(ORDER.index("sku")) == at(outline, '"sku"')
    assert outline.line_at(ORDER.index("null")) == at(outline, '"id": null')


def test_laid_out_values_are_lines_too() -> None:
    outline = Outline.of_lines('{\n  1: 0xff,\n  "a: b": [\n    tag 5 {\n      "x": 2024-01-01\n    }\n  ]\n}')
    outline.read_on(100)
    assert outline.complete
    assert [outline.depth(line) for line in range(len(outline))] == [0, 1, 1, 2, 3, 2, 1, 0]
    assert lines(outline)[1:3] == ["1: 0xff,", '"a: b": [']
    assert [part.look for part in outline.parts(1)] == ["key", "number"]
    outline.toggle(2)
    assert lines(outline) == ["{", "1: 0xff,", '"a: b": [', "}"]


def test_hostile_texts_are_read_or_refused() -> None:
    read_texts = 0
    for _, delivery in hostile.deliveries(huge=False):
        text = (delivery.event.body or b"").decode("utf-8", "replace")
        for outline in (Outline.of_json(text), Outline.of_json(text, cut=True), Outline.of_lines(text)):
            try:
                while not outline.complete:
                    outline.read_on(10_000)
            except FormatError:
                continue
            read_texts += 1
            for line in {0, len(outline) // 2, len(outline) - 1} & set(range(len(outline))):
                written(outline, line)
                outline.text_to_copy(line)
                outline.toggle(line)
    assert read_texts > 200
