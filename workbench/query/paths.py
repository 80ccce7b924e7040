"""A body or header as a tree of values, and what stands at a path in it.

What JSON is, is said by the standard library's reader: RFC 8259 in UTF-8, and `NaN` and `Infinity`. msgspec is
four times as fast and reads what both take, but keeps only the last of repeated keys. Numbers are exact.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from workbench.query.grammar import Step

NO_JSON: Final[object] = object()
"""Stands for a body that is no JSON; not even null."""


class Repeating:
    """A JSON object of which keys may repeat."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, object]]) -> None:
        self.items = items


def json_tree(body: bytes) -> object:
    """The JSON in a body, of repeated keys the last; `NO_JSON` where it is none."""
    try:
        return _fast(body)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation, RecursionError):
        return repeating_json_tree(body)


def repeating_json_tree(body: bytes) -> object:
    """The JSON in a body, objects as `Repeating`; `NO_JSON` where it is none."""
    try:
        return _exact(body.decode())
    except (ValueError, RecursionError):
        return NO_JSON


def follow(value: object, path: tuple[Step, ...]) -> list[object]:
    """All values at a path; none if it does not exist. Of an object that repeats a key, each value counts."""
    found = [value]
    for step in path:
        below: list[object] = []
        for each in found:
            if isinstance(step, str):
                if isinstance(each, Repeating):
                    below += [item for name, item in each.items if name == step]
                elif isinstance(each, Mapping) and step in each:
                    below.append(each[step])
            elif isinstance(each, list | tuple):
                below += each if step is None else each[step : step + 1]
        if not below:
            return below
        found = below
    return found


def texts_in(value: object) -> Iterator[str | bytes]:
    """All texts and bytes in a value, names included. Not by recursion: a stranger's JSON may nest deep."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str | bytes):
            yield each
        elif isinstance(each, Repeating):
            for name, item in each.items:
                stack += (name, item)
        elif isinstance(each, Mapping):
            for name, item in each.items():
                stack += (name, item)
        elif isinstance(each, list | tuple):
            stack += each


def _decimal(text: str) -> object:
    try:
        return Decimal(text)
    except InvalidOperation:
        # A number that no decimal can hold equals none.
        return float("nan")


def _integer(text: str) -> object:
    return int(text) if len(text) < 4000 else Decimal(text)


_fast: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_exact: Final = json.JSONDecoder(object_pairs_hook=Repeating, parse_float=_decimal, parse_int=_integer).decode
