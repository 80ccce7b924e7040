"""Byte needles and the disguises that JSON has for them."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.decode.byte_search import Needles, occurs, unescape
from workbench.model.event import Event

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


def escaped(text: str, draw: st.DrawFn) -> str:
    """The text inside a JSON string, each character in a spelling of its own."""
    out = []
    for character in text:
        utf16 = character.encode("utf-16-be")
        units = [utf16[index : index + 2].hex() for index in range(0, len(utf16), 2)]
        spellings = ["".join(rf"\u{unit}" for unit in units), "".join(rf"\u{unit.upper()}" for unit in units)]
        if short := {"/": r"\/", '"': r"\"", "\\": r"\\", "\n": r"\n", "\t": r"\t"}.get(character):
            spellings.append(short)
        if character not in '"\\' and ord(character) >= 0x20:
            spellings.append(character)
        out.append(draw(st.sampled_from(spellings)))
    return "".join(out)


@st.composite
def disguised(draw: st.DrawFn) -> tuple[str, bytes]:
    """A text, and a JSON document that holds it in some spelling."""
    needle = draw(TEXTS.filter(bool))
    return needle, f'{{"a":"{escaped(draw(TEXTS), draw)}{escaped(needle, draw)}{escaped(draw(TEXTS), draw)}"}}'.encode()


@given(disguised())
@example(("/", rb'"\/"'))
@example(("a/b", rb'"a\u002Fb"'))
@example(("\U0001f600", rb'"\ud83d\ude00"'))
def test_no_spelling_hides_a_needle(case: tuple[str, bytes]) -> None:
    needle, document = case
    assert needle in json.loads(document)["a" if document.startswith(b"{") else slice(None)]
    needles = Needles([[needle.encode()]])
    assert needles.in_event(Event(None, document))
    framed = b"\\\xff before " + document + b" after \\"
    assert needles.in_bytes(bytearray(framed), 3, len(framed) - 1)


@given(st.binary(max_size=60), st.binary(min_size=1, max_size=4))
def test_what_bytes_exclude_no_event_holds(body: bytes, needle: bytes) -> None:
    needles = Needles([[needle]])
    if needles.in_event(Event(None, body)):
        assert needles.in_bytes(bytearray(body), 0, len(body))
    if needle in body:
        assert needles.in_event(Event(None, body))


@given(st.binary(min_size=1, max_size=3), st.integers(0, 200), st.binary(max_size=5), st.binary(max_size=5))
def test_a_needle_is_found_among_many_of_its_bytes(needle: bytes, count: int, before: bytes, behind: bytes) -> None:
    data = bytearray(needle[:1] * count + before + needle + behind + needle[-1:] * count)
    needles = Needles([[needle]])
    assert needles.in_bytes(data, 0, len(data))
    begin, end = count + len(before), count + len(before) + len(needle)
    assert needles.in_bytes(data, begin, end)
    if needle not in data[begin + 1 : end + len(behind)] and b"\\" not in data:
        assert not needles.in_bytes(data, begin + 1, end + len(behind))


def sift(needles: Needles, *pieces: bytes) -> bool:
    """Whether bytes that come in such pieces are ruled out, when no more of a piece is kept than is looked at again."""
    sieve = needles.sieve()
    sieve.begin()
    before, seen = b"", False
    for piece in pieces:
        seen = sieve.look(bytearray(before + piece), len(before), len(before + piece), 0)
        before = (before + piece)[-sieve.reach :]
    return not seen


@given(disguised(), st.data())
@settings(deadline=None)
def test_no_piece_that_comes_in_cuts_a_needle_in_two(case: tuple[str, bytes], data: st.DataObject) -> None:
    needle, document = case
    cut = data.draw(st.integers(0, len(document)))
    needles = Needles([[needle.encode()]])
    assert not sift(needles, b"before " + document[:cut], document[cut:] + b" behind", b"more")
    assert not sift(needles, b"before", document[:cut], document[cut:])
    assert not sift(needles, *(document[at : at + 1] for at in range(len(document))))


def test_what_comes_in_pieces_without_a_needle_of_each_group_is_ruled_out() -> None:
    needles = Needles([[b"one", b"uno"], [b"two"]])
    assert sift(needles, b"one", b" ", b"uno")
    assert not sift(needles, b"one", b" ", b"two")
    assert sift(needles, b"short")


def test_what_was_found_is_forgotten_where_one_begins_anew() -> None:
    sieve, data = Needles([[b"needle"]]).sieve(), bytearray(b"a needle")
    assert sieve.look(data, 0, len(data), 0) and not sieve.missing
    sieve.begin()
    assert not sieve.look(bytearray(b"nothing."), 0, 8, 0)


@given(TEXTS)
def test_escapes_are_resolved_as_json_does(text: str) -> None:
    assert unescape(json.dumps(text).encode()) == f'"{text}"'.encode()


def test_half_of_a_surrogate_pair_does_no_harm() -> None:
    assert unescape(rb"\ud83d!") == b"\xed\xa0\xbd!"


def test_of_each_group_one_member_is_enough_and_needed() -> None:
    needles = Needles([[b"one", b"uno"], [b"two"]])
    assert needles.in_event(Event(b"uno", b"two"))
    assert not needles.in_event(Event(b"one", b"uno"))
    assert needles.in_bytes(bytearray(b"two one"), 0, 7)
    assert not needles.in_bytes(bytearray(b"two one"), 0, 6)


_PIECES = st.sampled_from([b"a", b"b", b"\n", b"\0", b".", b"(", b"\\x", b"\xff", b"\xc3\xa9", b"|"])
_NEEDLE = st.lists(_PIECES, min_size=1, max_size=3).map(b"".join)


@given(st.lists(_NEEDLE, min_size=1, max_size=30), st.lists(_PIECES, max_size=20).map(b"".join), st.integers(0, 5))
def test_of_many_needles_as_of_few_each_is_found_and_nothing_else(
    members: list[bytes], body: bytes, begin: int
) -> None:
    many = Needles([[*members, *(b"never%d" % number for number in range(20))]])
    few = [Needles([[each]]) for each in members]
    begin = min(begin, len(body))
    data = bytearray(body)
    assert many.in_bytes(data, begin, len(body)) == any(each.in_bytes(data, begin, len(body)) for each in few)
    assert many.in_event(Event(None, body)) == any(each.in_event(Event(None, body)) for each in few)


@pytest.mark.parametrize("needles", [[[]], [[b""]], [[b"a"], [b""]]])
def test_a_search_for_nothing_is_refused(needles: list[list[bytes]]) -> None:
    with pytest.raises(ValueError, match="needles"):
        Needles(needles)


def test_an_escape_that_stands_for_nothing_in_a_needle_costs_no_decoding() -> None:
    body = rb'{"html":"\u003cb\u003e", "path":"\\", "line":"\n"}'
    assert not Needles([[b"c0ffee"]]).in_bytes(bytearray(body), 0, len(body))


@given(st.binary(max_size=50), st.binary(min_size=1, max_size=8), st.integers(0, 40_000), st.booleans())
@example(b"\\u", b"\\u", 20_000, True)
def test_a_needle_is_found_in_few_bytes_and_in_many(around: bytes, needle: bytes, many: int, there: bool) -> None:
    data = b"\0" * many + around + (needle if there else b"") + around + b"." * many
    assert occurs(needle, data) == (needle in data)
