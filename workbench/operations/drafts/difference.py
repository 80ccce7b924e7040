"""What an event that is to be sent differs in from the one that it was made of."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from workbench.model.content import Content
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.operations.drafts.model import Draft, original_of, text_of

_DEEP: Final = 20
"""Levels of a body that are compared member by member; deeper ones as a whole."""


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
