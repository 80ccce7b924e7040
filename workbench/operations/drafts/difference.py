"""What an event that is to be sent differs in from the one that it was made of."""

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.decode.json_text import tokens
from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.operations.drafts.model import Draft, original_of, text_of

_DEEP: Final = 20
"""Levels of a body that are compared member by member; deeper ones as a whole."""
_LINE_END: Final = re.compile(r"\r\n?|\n")


def differences(draft: Draft, event: Event) -> Iterator[str]:
    """The names of what differs: `key`, properties and headers, `-NAME` for those that are not sent, paths in the body.

    Args:
        draft: The clone.
        event: The first event that it makes.
    """
    if not draft.hidden_key and (draft.original_key or b"") != (event.key or b""):
        yield "key"
    yield from _of_content(_content(original_of(draft)), _content(event))
    before, after = draft.original_body, event.body
    if draft.hidden or draft.locked or before == after:
        return
    try:
        yield from _of_json("", json.loads(text_of(before) or ""), json.loads(text_of(after) or ""), _DEEP)
    except (ValueError, RecursionError):
        yield "body"


def changed_lines(draft: Draft) -> Mapping[int, str]:
    """What stood in the original's JSON in the place of what is in a line of the draft's: `was 476.4`, or `new`.

    Args:
        draft: The clone; one of no other event, or whose body is no JSON, has no such lines.

    Returns:
        By line, counted from 0. Where a line holds several values, each is told by its name.
    """
    if draft.original_body is None or draft.hidden or draft.locked or draft.original_body == draft.body:
        return {}
    try:
        before = {path: written for path, written, _ in _values(text_of(draft.original_body) or "")}
        after = list(_values(text := text_of(draft.body) or ""))
    except FormatError:
        return {}
    starts = [0, *(found.end() for found in _LINE_END.finditer(text))]
    lines = [bisect_right(starts, place) - 1 for _, _, place in after]
    many = Counter(lines)
    told: dict[int, list[str]] = {}
    for (path, written, _), line in zip(after, lines, strict=True):
        was = before.get(path)
        if was is None or not _is_same(was, written):
            said = "new" if was is None else f"was {was}"
            told.setdefault(line, []).append(said if many[line] == 1 or not path else f"{path[-1]} {said}")
    return {line: ", ".join(said) for line, said in told.items()}


def _values(text: str) -> Iterator[tuple[tuple[str | int, ...], str, int]]:
    """The values of a JSON text that hold no others: the steps that lead there, what is written, and where.

    Raises:
        FormatError: It is no JSON.
    """
    steps: list[str | int] = []
    for kind, start, end in tokens(text):
        if kind == "key":
            steps[-1] = str(json.loads(text[start:end], strict=False))
        elif kind in ("}", "]"):
            steps.pop()
        else:
            if steps and isinstance(steps[-1], int):
                steps[-1] += 1
            if kind in ("{", "["):
                steps.append("" if kind == "{" else -1)
            elif len(steps) <= _DEEP:
                yield tuple(steps), text[start:end], start


def _is_same(one: str, other: str) -> bool:
    """Whether two values say the same: a number as it is written, a string however it is escaped."""
    if one == other or not (one.startswith('"') and other.startswith('"')):
        return one == other
    return bool(json.loads(one, strict=False) == json.loads(other, strict=False))


def _content(event: Event) -> Content:
    try:
        return event.content
    except FormatError:
        return Content()


def _of_content(before: Content, after: Content) -> Iterator[str]:
    yield from _of_mapping("", before.properties, after.properties)
    old: dict[str, list[object]] = {}
    new: dict[str, list[object]] = {}
    for headers, said in ((before.headers, old), (after.headers, new)):
        for name, value in headers:
            said.setdefault(name, []).append(value)
    yield from _of_mapping("", old, new)


def _of_mapping(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in (*before, *(name for name in after if name not in before)):
        if name not in after:
            yield f"-{path}{name}"
        elif name not in before or before[name] != after[name]:
            yield f"{path}{name}"


def _of_json(path: str, before: Any, after: Any, deep: int) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict) and deep:
        for name in (*before, *(name for name in after if name not in before)):
            here = f"{path}{name}"
            if name not in after:
                yield f"-{here}"
            elif name not in before:
                yield here
            else:
                yield from _of_json(f"{here}.", before[name], after[name], deep - 1)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and deep:
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _of_json(f"{path}{number}.", old, new, deep - 1)
    elif json.dumps(before) != json.dumps(after):
        yield path.rstrip(".") or "body"
