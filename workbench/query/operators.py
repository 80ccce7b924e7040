"""How a value compares with what a user wrote: exactly, and never by way of a rounded number.

What stands in quotes is a text and equals only that very text. Without quotes it may mean more: `150` is the number,
however it is spelled (`150`, `150.0`, `1.5e2`, and a text that spells it), `true`, `false` and `null` are also what
JSON calls so, `0xff00` is also those bytes, and `2026-11-23T10:00` is also that time. Ids are texts throughout: there
`150` is not `150.0`.

A text that has no order of numbers is ordered by its characters, a number is never compared with a text that is none,
and what is neither a text nor a number (an object, an array, null) has no order. A float is the decimal that it is
shown as; not-a-number equals nothing.
"""

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import msgspec

from workbench.facts.pattern import Pattern
from workbench.model.errors import FormatError, QueryError
from workbench.model.start import Since, parse_start
from workbench.query.grammar import Operator, Written

Number: TypeAlias = int | Decimal
Test: TypeAlias = Callable[[object], bool]


class Meaning(msgspec.Struct, frozen=True):
    """What a user may have meant by a value.

    Attributes:
        text: The characters.
        number: The number they spell, unless quoted.
        truth: Whether they say true or false, unless quoted.
        null: Whether they say null, unless quoted.
        data: The bytes they spell in hex digits behind `0x`, unless quoted.
        time: The moment they name, in milliseconds since 1970 UTC, unless quoted.
    """

    text: str
    number: Number | None = None
    truth: bool | None = None
    null: bool = False
    data: bytes | None = None
    time: int | None = None


def meaning(written: Written, now: int) -> Meaning:
    """What a written value may mean; `now` is what ages such as -10m count back from, as in `parse_start`."""
    text = written.text
    if written.quoted:
        return Meaning(text)
    return Meaning(
        text,
        number=number_in(text),
        truth={"true": True, "false": False}.get(text),
        null=text == "null",
        data=bytes.fromhex(text[2:]) if _HEX.fullmatch(text) else None,
        time=_moment(text, now),
    )


def number_in(text: str) -> Number | None:
    """The number that a text spells as JSON does, exactly; None if it spells none, or one that no decimal can hold."""
    if not _NUMBER.fullmatch(text):
        return None
    if len(text) < 18 and text.lstrip("-").isdigit():
        return int(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def text_of(value: object) -> str | None:
    """The text that a value is; None for what is none."""
    if type(value) is str:
        return value
    if type(value) is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None


def test_of(op: Operator, literals: Sequence[Written], now: int, *, ids: bool = False) -> Test:
    """Whether a value of any type compares so with what was written.

    Args:
        op: The operator.
        literals: One value, two for `between`, any number for `in`.
        now: What ages count back from.
        ids: The values are ids: a number is equal only as it is spelled.

    Raises:
        QueryError: The value after `~` is no regular expression.
    """
    meanings = [meaning(literal, now) for literal in literals]
    first = meanings[0]
    match op:
        case "=":
            return _equals(first, ids)
        case "in":
            tests = [_equals(each, ids) for each in meanings]
            return lambda value: any(test(value) for test in tests)
        case "between":
            low, high = _order_test(operator.ge, first), _order_test(operator.le, meanings[1])
            return lambda value: low(value) and high(value)
        case "contains":
            return lambda value: (text := text_of(value)) is not None and first.text in text
        case "starts":
            return lambda value: (text := text_of(value)) is not None and text.startswith(first.text)
        case "~":
            return _search_test(literals[0])
        case _:
            return _order_test(_ORDERS[op], first)


def number_test(op: Operator, numbers: Sequence[Number]) -> Callable[[Number], bool]:
    """Whether a number compares so with others; `op` is one of `= > >= < <= in between`."""
    first = numbers[0]
    match op:
        case "=":
            return lambda value: value == first
        case "in":
            return lambda value: value in numbers
        case "between":
            last = numbers[1]
            return lambda value: first <= value <= last
        case _:
            compare = _ORDERS[op]
            return lambda value: bool(compare(value, first))


_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def _moment(text: str, now: int) -> int | None:
    try:
        start = parse_start(text, now)
    except FormatError:
        return None
    return start.time if isinstance(start, Since) else None


def _number(value: object) -> Number | None:
    """The number that a value is or spells; None for what is none, such as true or not-a-number."""
    if type(value) is int:
        return value
    if type(value) is Decimal:
        return None if value.is_nan() else value
    if type(value) is float:
        return None if value != value else Decimal(repr(value))
    text = text_of(value)
    return None if text is None else number_in(text)


def milliseconds(value: datetime) -> int:
    """A time in milliseconds since 1970 UTC."""
    # As `parse_start` does, a time that names no zone is local.
    aware = value if value.tzinfo is not None else value.astimezone()
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _equals(wanted: Meaning, ids: bool) -> Test:
    text, number, data = wanted.text, None if ids else wanted.number, wanted.data

    def test(value: object) -> bool:
        kind = type(value)
        if kind is str:
            return value == text or (number is not None and number_in(value) == number)  # type: ignore[arg-type]
        if kind is int:
            return number is not None and value == number
        if kind is bool:
            return value is wanted.truth
        if value is None:
            return wanted.null
        if kind is bytes:
            if value == data:
                return True
            decoded = text_of(value)
            return decoded is not None and test(decoded)
        if kind is float or kind is Decimal:
            return number is not None and _number(value) == number
        return isinstance(value, datetime) and wanted.time is not None and milliseconds(value) == wanted.time

    return test


def _order_test(compare: Callable[[Any, Any], bool], wanted: Meaning) -> Test:
    number, text, time = wanted.number, wanted.text, wanted.time

    def test(value: object) -> bool:
        if isinstance(value, datetime):
            return time is not None and bool(compare(milliseconds(value), time))
        if number is not None:
            own = _number(value)
            return own is not None and bool(compare(own, number))
        own_text = text_of(value)
        return own_text is not None and bool(compare(own_text, text))

    return test


def _search_test(literal: Written) -> Test:
    try:
        pattern = Pattern(literal.text)
    except FormatError as error:
        raise QueryError(f"This {error}.", literal.column) from None

    def test(value: object) -> bool:
        if type(value) is str:
            return pattern.in_text(value)
        # What is not UTF-8 is no text.
        return type(value) is bytes and text_of(value) is not None and pattern.in_bytes(value)

    return test
