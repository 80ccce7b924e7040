"""Applying an edit to events: each is edited, or it is said why not."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from workbench.decode.body_text import editable_text, with_text
from workbench.decode.json_patch import apply_merge_patch, apply_patch, read_merge_patch, read_patch
from workbench.decode.json_text import tokens
from workbench.decode.ndjson_values import exact_float
from workbench.facts.tiers import Tiers
from workbench.model import wire
from workbench.model.amqp091 import NUMBERS
from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.operations.edit.edit import Edit, check
from workbench.operations.template import Given
from workbench.operations.template_process import TemplateProcess


class Edited(msgspec.Struct, frozen=True):
    """What became of one event.

    Attributes:
        event: The edited event; the very same object where the edit changes nothing about it. None: it was not edited.
        reason: Why not, a sentence.
    """

    event: Event | None
    reason: str = ""


class Editor:
    """Applies one edit to any number of events.

    Args:
        edit: What is to be changed.
        tiers: Says what is locked.
        templates: Fills in the edit's template.

    Raises:
        FormatError: The edit names what is locked, or its patch is none.
    """

    def __init__(self, edit: Edit, tiers: Tiers, templates: TemplateProcess) -> None:
        check(edit, tiers)
        self._edit: Final = edit
        self._templates: Final = templates
        self._operations: Final = read_patch(edit.patch) if edit.patch else ()
        self._merge: Final = read_merge_patch(edit.merge) if edit.merge else ""

    async def apply(self, events: Sequence[Event], first: int = 0) -> list[Edited]:
        """What becomes of each event, in their order.

        Args:
            events: As they came.
            first: The number of the first of them, which is `seq` in a template.
        """
        return [await self._edited(event, number) for number, event in enumerate(events, first)]

    async def _edited(self, event: Event, sequence: int) -> Edited:
        try:
            filled = Event() if self._edit.template is None else await self._fill_in(event, sequence)
            edited = self._with_body(event, filled)
            edited = self._with_key(edited, filled)
            return Edited(self._with_properties(self._with_headers(edited, filled), filled))
        except FormatError as error:
            return Edited(None, str(error))

    async def _fill_in(self, event: Event, sequence: int) -> Event:
        template = self._edit.template
        assert template is not None
        body, unread = None, ""
        if event.body is not None:
            try:
                body = editable_text(event).encode()
            except FormatError as error:
                unread = str(error)
        content = event.content
        given = Given(sequence, event.key, body, unread, content.headers, content.properties)
        return await self._templates.fill_in_for(template, self._edit.values, given, self._edit.seed)

    def _with_body(self, event: Event, filled: Event) -> Event:
        edit = self._edit
        if edit.text is None and filled.body is None and not self._operations and not self._merge:
            return event
        with _telling("Its body was not edited"):
            text = own = editable_text(event)
            if edit.text is not None:
                text = edit.text
            if filled.body is not None:
                text = filled.body.decode()
            if not text and (self._operations or self._merge):
                raise FormatError("there is none, and a patch needs JSON")
            _keep_json(own, text)
            # Of JSON a patch makes JSON.
            text = apply_patch(text, self._operations) if self._operations else text
            text = apply_merge_patch(text, self._merge) if self._merge else text
            return with_text(event, text)

    def _with_key(self, event: Event, filled: Event) -> Event:
        key = self._edit.key if self._edit.key is not None else filled.key
        return event if key is None or key == event.key else msgspec.structs.replace(event, key=key)

    def _with_headers(self, event: Event, filled: Event) -> Event:
        edited = event
        for name in self._edit.without_headers:
            edited = _without_header(edited, name)
        for name, value in (*filled.written.headers, *self._edit.headers):
            edited = _with_header(edited, name, str(value))
        return edited

    def _with_properties(self, event: Event, filled: Event) -> Event:
        edited = event
        for name in self._edit.without_properties:
            edited = _without_property(edited, name)
        for name, value in (*filled.written.properties.items(), *self._edit.properties):
            edited = _with_property(edited, name, str(value))
        return edited


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Makes a sentence of a reason."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{what}: {str(error).removesuffix('.')}.") from None


def _keep_json(own: str, text: str) -> None:
    """Refuse what makes something else of JSON: one of ten thousand names that are filled in has a quotation mark."""
    if text == own or _not_json(own) is not None:
        return
    if (reason := _not_json(text)) is not None:
        raise FormatError(f"it is JSON, and would be none: {reason.removeprefix('not JSON ')}")


def _not_json(text: str) -> str | None:
    """Why a text is no JSON object or array; None: it is one."""
    if text.lstrip()[:1] not in ("{", "["):
        return "it is neither an object nor an array"
    try:
        for _ in tokens(text):
            pass
    except FormatError as error:
        return str(error)
    return None


def _with_header(event: Event, name: str, text: str) -> Event:
    own = next((value for each, value in event.headers if each == name), "")
    value = _as_before(text, own)
    # A signalling NaN refuses to be compared.
    with suppress(InvalidOperation):
        if [each for each in event.headers if each[0] == name] == [(name, value)] and type(own) is type(value):
            return event
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.with_header(event.wire, name, value))
    headers: list[tuple[str, Value]] = []
    put = False
    for each in event.headers:
        if each[0] != name:
            headers.append(each)
        elif not put:
            headers.append((name, value))
            put = True
    return _written(event, tuple(headers if put else [*headers, (name, value)]), event.properties)


def _without_header(event: Event, name: str) -> Event:
    if event.wire is not None:
        without = wire.without_header(event.wire, name)
        return event if without is event.wire else msgspec.structs.replace(event, wire=without)
    headers = tuple(each for each in event.headers if each[0] != name)
    return event if len(headers) == len(event.headers) else _written(event, headers, event.properties)


def _with_property(event: Event, name: str, text: str) -> Event:
    value: Value = int(text) if name in NUMBERS and re.fullmatch(r"[0-9]{1,18}", text) else text
    if name in event.properties and _spelled(event.properties[name]) == _spelled(value):
        return event
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.with_property(event.wire, name, value))
    return _written(event, event.headers, {**event.properties, name: value})


def _without_property(event: Event, name: str) -> Event:
    if name not in event.properties:
        return event
    if event.wire is not None:
        return msgspec.structs.replace(event, wire=wire.without_property(event.wire, name))
    return _written(event, event.headers, {each: value for each, value in event.properties.items() if each != name})


def _written(event: Event, headers: tuple[tuple[str, Value], ...], properties: Mapping[str, Value]) -> Event:
    return msgspec.structs.replace(event, written=Content(headers, properties))


def _spelled(value: Value) -> tuple[type, Value]:
    return type(value), value


def _as_before(text: str, before: Value) -> Value:
    """A value of the type that one before it had, where this text is one; else the text."""
    try:
        match before:
            case bool():
                return {"true": True, "false": False}.get(text, text)
            case int() if re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", text):
                return int(text)
            case float() if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
                return exact_float(text)
            case Decimal():
                return Decimal(text)
            case datetime():
                return datetime.fromisoformat(text)
    except (ValueError, InvalidOperation):
        pass
    return text
