"""The values of headers and properties as JSON: what JSON can say is written plainly, the rest as `ndjson` tells.

Everything becomes what JSON can say before msgspec sees it, which would write NaN as null and Decimal as text.
"""

import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from workbench.model.content import DEPTH, Value
from workbench.model.errors import FormatError


def value_text(value: Value) -> str:
    """The value of a header or a property as a line has it: JSON.

    Raises:
        FormatError: As `form_of` does; or a text in it holds half a character.
    """
    try:
        return _to_json(form_of(value)).decode()
    except UnicodeEncodeError:
        raise FormatError("This value cannot be written: a text in it holds half a character.") from None


def value_from(text: str) -> Value:
    """The value of a header or a property from JSON as a line has it.

    Raises:
        FormatError: It is not JSON, or a form that is not known here, or a number that would have to be rounded.
    """
    try:
        return value_of(_any(text))  # type: ignore[no-any-return]
    except RecursionError:
        raise FormatError(f"{text[:20]!r} nests too deep.") from None
    except (msgspec.DecodeError, UnicodeError, FormatError) as error:
        raise FormatError(f"{text[:20]!r} is no value: {str(error).removesuffix('.')}.") from None


def form_of(value: Value, depth: int = 1) -> object:
    """What stands in JSON for the value of a header or a property.

    Raises:
        FormatError: It nests deeper than `DEPTH`, or is of a type that is no `Value`.
    """
    if isinstance(value, str) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": _FLOATS[str(value)]}
    if isinstance(value, bytes):
        return {"base64": base64_text(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"time": value.isoformat().replace("+00:00", "Z")}
    if depth == DEPTH:
        raise FormatError(f"This event cannot be written as a line: a header nests deeper than {DEPTH}.")
    if isinstance(value, Mapping):
        table = {name: form_of(item, depth + 1) for name, item in value.items()}
        return {"table": table} if len(table) == 1 and next(iter(table)) in _TAGS else table
    if isinstance(value, Sequence):
        return [form_of(item, depth + 1) for item in value]
    raise FormatError(f"This event cannot be written as a line: a header is a {type(value).__name__}.")


def value_of(form: Any, depth: int = 1) -> Any:
    """The value of a header or a property, from what stands for it.

    Raises:
        FormatError: It is a form that is not known here, or nests deeper than `DEPTH`.
    """
    if not isinstance(form, dict | list):
        return form
    if depth == DEPTH:
        raise FormatError(f"a header nests deeper than {DEPTH}")
    if isinstance(form, list):
        return [value_of(item, depth + 1) for item in form]
    if len(form) == 1:
        [(tag, held)] = form.items()
        if tag == "table" and isinstance(held, dict):
            form = held
        elif tag in _TAGS:
            return _untag(tag, held)
    return {name: value_of(item, depth + 1) for name, item in form.items()}


def exact_float(text: str) -> float:
    """A number as it is written.

    Raises:
        ValueError: No double is just this number.
    """
    number = float(text)
    digits = text.lower().partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
    # 17 digits name every double: more promise what none holds, as do numbers that overflow or vanish.
    if math.isinf(number) or len(digits) > 17 or (digits and not number):
        raise ValueError(f"the number {text} would be rounded, write it as text")
    return number


def base64_text(data: bytes) -> str:
    """Bytes in base64."""
    return binascii.b2a_base64(data, newline=False).decode()


def base64_bytes(text: str) -> bytes:
    """The bytes that are written in base64.

    Raises:
        FormatError: It is not that.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise FormatError(f"{text[:20]!r} is not base64") from None


def read_time(text: str) -> datetime:
    """A time in ISO 8601.

    Raises:
        FormatError: It is not that.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise FormatError(f"{text!r} is not a time, such as 2026-11-23T10:03:22.123Z") from None


def _untag(tag: str, held: object) -> Value:
    if tag == "json":
        return _to_json(held).decode()
    if not isinstance(held, str) or tag == "table":
        raise FormatError(f'{{"{tag}":…}} does not hold a text; a table like it is written {{"table":{{"{tag}":…}}}}')
    return _TAGS[tag](held)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise FormatError(f"{text!r} is not a decimal number") from None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"{text!r} is not a floating-point number") from None


_FLOATS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_TAGS: Final[Mapping[str, Callable[[str], Value]]] = {
    "base64": base64_bytes,
    "decimal": _decimal,
    "time": read_time,
    "float": _float,
    "text": str,
    "json": str,
    "table": str,
}
"""The names that make an object with one member something else than a table, and the readers of the texts in them."""
_to_json: Final = msgspec.json.Encoder().encode
_any: Final = msgspec.json.Decoder(float_hook=exact_float).decode
