"""Rendering: the events that a draft makes, and what to know of them before they are sent.

A clone is sent byte for byte where it was not changed: its properties and headers are spliced, not written anew.
"""

import random
import re
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from functools import cached_property

import msgspec

from workbench.decode.content_type import content_type
from workbench.decode.json_text import lay_out_json
from workbench.model import wire
from workbench.model.address import Address
from workbench.model.amqp091 import NUMBERS
from workbench.model.content import Content, Value
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.target_rules import Changes, Rules
from workbench.operations.drafts.clone import TRACEPARENT
from workbench.operations.drafts.model import Draft, Field, layers_of, locked_because, original_of, text_of
from workbench.operations.publish import number_events
from workbench.operations.template import Template
from workbench.operations.template_process import TemplateProcess


class Rendering:
    """Makes a draft's events, a different one for each number.

    Args:
        draft: What to make.
        seed: Chooses the fresh ids and what templates pick: equal seeds give equal events, but for the time.
    """

    def __init__(self, draft: Draft, seed: int) -> None:
        self._draft = draft
        self._seed = seed
        self._original = original_of(draft)

    async def events(self, count: int, templates: TemplateProcess) -> AsyncGenerator[Sequence[Event], None]:
        """The events number 0 to `count` - 1.

        Args:
            count: How many.
            templates: Fills in the draft, if it is a template.

        Raises:
            FormatError: A text is no template or cannot be filled in, a value is not of its kind, or AMQP cannot hold
                it.
        """
        if not self._draft.template:
            async with aclosing(number_events(self._event, count)) as batches:
                async for batch in batches:
                    yield batch
            return
        number = 0
        async with aclosing(templates.fill(self._template, {}, count, self._seed)) as filling:
            async for filled in filling:
                yield [self._event(number + place, event) for place, event in enumerate(filled)]
                number += len(filled)

    def _event(self, sequence: int, filled: Event | None = None) -> Event:
        draft = self._draft
        key, body = draft.key, draft.body
        texts: Iterator[Value] = iter(())
        if filled is not None:
            key = key if self._template.key is None else filled.key
            body = body if self._template.body is None else filled.body
            texts = iter([text for _, text in filled.headers])
        own = self._own
        headers: list[int | tuple[str, Value]] = []
        for field in draft.headers:
            if field.dropped:
                continue
            if field.of is None:
                headers.append((field.name, next(texts) if self._fills_in(field) else field.written()))
            elif field.of not in range(len(own.headers)):
                raise FormatError("This draft names a header that its original has not.")
            elif field.fresh:
                headers.append((own.headers[field.of][0], self._fresh(own.headers[field.of][1], sequence)))
            else:
                headers.append(field.of)
        properties: dict[str, Value] = {}
        for field in draft.properties:
            if field.dropped:
                continue
            if field.of is None:
                fills_in = filled is not None and self._fills_in(field)
                value = filled.properties[field.name] if filled is not None and fills_in else field.written()
                properties[field.name] = _number(field.name, value)
            elif field.name not in own.properties:
                raise FormatError("This draft names a property that its original has not.")
            else:
                value = own.properties[field.name]
                properties[field.name] = self._fresh(value, sequence) if field.fresh else value
        came = self._original.wire
        if came is not None and (wire.has_properties(came) or not properties):
            return Event(key, body, self._splice(came, headers, properties))
        written = tuple(own.headers[each] if isinstance(each, int) else each for each in headers)
        return Event(key, body, written=Content(written, properties))

    def _fills_in(self, field: Field) -> bool:
        """Whether a field is a template: what came from a stranger is none."""
        return self._draft.template and field.of is None and field.kind == "text"

    @cached_property
    def _template(self) -> Template:
        draft = self._draft
        return Template(
            key=None if draft.hidden_key else text_of(draft.key),
            body=None if draft.locked else text_of(draft.body),
            headers=tuple((field.name, field.value) for field in draft.headers if self._fills_in(field)),
            properties={field.name: field.value for field in draft.properties if self._fills_in(field)},
            set=draft.values,
        )

    @cached_property
    def _own(self) -> Content:
        try:
            return self._original.content
        except FormatError:
            return Content()

    def _splice(
        self, original: wire.Wire, headers: Sequence[int | tuple[str, Value]], properties: dict[str, Value]
    ) -> wire.Wire:
        own = self._own
        if not (own.headers or own.properties or headers or properties):
            # Nothing was to be seen, perhaps because it cannot be read: it goes as it came.
            return original
        spliced = wire.with_headers(original, headers)
        for name in own.properties:
            if name not in properties:
                spliced = wire.without_property(spliced, name)
        for name, value in properties.items():
            if name not in own.properties or own.properties[name] is not value:
                spliced = wire.with_property(spliced, name, value)
        return spliced

    def _fresh(self, value: Value, sequence: int) -> Value:
        """An id of the same shape; one value has one successor, wherever it stands in the event."""
        chance = random.Random(f"{self._seed}/{sequence}/{value!r}")
        if isinstance(value, bytes):
            return chance.randbytes(len(value))
        if traceparent := TRACEPARENT.fullmatch(str(value)):
            return f"{traceparent[1]}-{chance.randbytes(16).hex()}-{chance.randbytes(8).hex()}{traceparent[2]}"
        if re.fullmatch(r"[0-9a-f]{32}", str(value)):
            return chance.randbytes(16).hex()
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def remarks(
    draft: Draft, event: Event | None, target: Address | None, endpoint: Endpoint | None, rules: Rules | None
) -> Iterator[str]:
    """What the user should know before sending, a sentence each.

    Args:
        draft: What is to be sent.
        event: The first event that it makes; None: it makes none.
        target: Where to; None: it is not known yet.
        endpoint: The target as it was listed; None: it is not known.
        rules: What the target can hold; None: it is not known yet.
    """
    yield from draft.remarks
    layers = layers_of(draft.as_it_came)
    crossing = target is not None and draft.connection and target.connection != draft.connection
    if target is not None and crossing and layers and layers[-1].startswith("schema"):
        yield (
            f"{layers[-1].capitalize()} is a number of {draft.connection}'s registry: {target.connection} may know"
            " another schema by it."
        )
    if rules is not None and event is not None:
        finding = rules.examine(event)
        if finding.refusal:
            yield f"{rules.address} cannot be sent this: {finding.refusal}."
        changes = Changes()
        changes.add(finding.changes)
        yield from changes.sentences()
    if endpoint is None:
        return
    can = endpoint.abilities
    if Ability.PUBLISH not in can:
        yield f"{endpoint.address} takes no events."
    if draft.partition is not None and Ability.PARTITIONS not in can:
        yield f"{endpoint.address} has no partitions: leave that empty."


class Verdict(msgspec.Struct, frozen=True):
    """What a body is found to be.

    Attributes:
        sentence: For people, in a few words: `JSON ✔ 301 B`.
        wrong: Whether it is not what it claims or seems to be.
    """

    sentence: str
    wrong: bool = False


def verdict(event: Event) -> Verdict:
    """Whether a body is valid, where it is or claims to be JSON, and how large it is."""
    if event.body is None:
        return Verdict("no body: a tombstone")
    size = f"{len(event.body):,} B"
    if locked_because(event):
        return Verdict(f"as it came, {size}")
    text = event.body.decode()
    if not (content_type(event).format == "JSON" or text.lstrip()[:1] in ("{", "[")):
        return Verdict(f"text {size}" if text else "empty")
    try:
        layout = lay_out_json(text, len(text) * 100 + 100)
    except FormatError as error:
        return Verdict(f"{str(error).removeprefix('not JSON at ')}: not JSON ✖ {size}", wrong=True)
    if layout.repeated:
        return Verdict(f"{layout.repeated[0]!r} more than once ✖ {size}", wrong=True)
    if layout.not_numbers:
        return Verdict(f"NaN and Infinity are not JSON ✖ {size}", wrong=True)
    return Verdict(f"JSON ✔ {size}")


def _number(name: str, value: Value) -> Value:
    if name in NUMBERS and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value
