"""Drafts: events that a user is writing, cloned from others or new, rendered for sending, and kept over a restart.

A clone is sent byte for byte where it was not changed: its properties and headers are spliced, not written anew. It
gets an identity of its own and loses what made it a dead letter; the conventions say which headers these are
(`Facts`), and each such change is a field's, to be turned off one by one.
"""

import random
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import msgspec
import platformdirs

from workbench.connecting.state_files import write_private
from workbench.decode import ndjson
from workbench.decode.codec import claims, decode
from workbench.decode.json_text import lay_out
from workbench.facts.facts import Facts
from workbench.model import wire
from workbench.model.address import Address
from workbench.model.endpoint import Ability, Endpoint
from workbench.model.errors import FormatError, StoreError
from workbench.model.event import Delivery, Event
from workbench.model.rules import Changes, Rules
from workbench.model.wire import Content, Value
from workbench.operations.template import Renderer, Template
from workbench.query.query import Reading

EDITED: Final = 64 * 1024
"""The largest body that is edited as text here, in bytes."""
KEPT: Final = 4 * 1024 * 1024
"""The largest draft that is kept, in bytes."""
DRAFTS: Final = 20
"""How many drafts are kept."""

_OF_THE_SENDER: Final = frozenset({"property user_id", "header CC"})
"""RabbitMQ closes the channel of whoever sends another's user id, and sends a copy to each queue that CC names."""
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-[0-9a-f]{32}-[0-9a-f]{16}(-[0-9a-f]{2}.*)", re.DOTALL)
"""W3C Trace Context, 3.2."""


class Field(msgspec.Struct, frozen=True):
    """A header or a property of a draft.

    Attributes:
        name: Its name.
        value: Its text; of any kind but `text`, the value as an NDJSON line has it: `5`, `true`, `{"base64":"AAE="}`.
        kind: `text`, or in a word what else it is: `int32`, `table`, `bytes`.
        of: Which of the original's headers it is, counted from 0, or 0 for the original's property of this name: then
            it is sent as it came. None for one that a user wrote.
        change: What a clone does to it: it gets a fresh value of the same shape, or it is dropped.
        changed: Whether it does so.
        reason: Why: the convention that says what it is.
    """

    name: str
    value: str
    kind: str = "text"
    of: int | None = None
    change: Literal["", "fresh", "dropped"] = ""
    changed: bool = True
    reason: str = ""

    @property
    def dropped(self) -> bool:
        """Whether it is not sent."""
        return self.change == "dropped" and self.changed

    @property
    def fresh(self) -> bool:
        """Whether its value is made anew for each event."""
        return self.change == "fresh" and self.changed

    def written(self) -> Value:
        """What the user wrote.

        Raises:
            FormatError: It is not of its kind.
        """
        return self.value if self.kind == "text" else ndjson.value_from(self.value)


class Draft(msgspec.Struct, frozen=True):
    """An event that is being written.

    Attributes:
        id: Names it among the drafts that are kept.
        target: Where to, as the user has written it so far.
        key: The key; None for none.
        body: The body; None for a tombstone.
        headers: In their order.
        properties: In their order.
        partition: Where in a topic; None leaves it to the broker.
        count: How many to send.
        rate: How many a second at most; None: as fast as they are confirmed.
        template: Whether key, body and what the user wrote in headers and properties are templates.
        values: What templates may name besides.
        made_from: Where the event was seen that this is a clone of, for people; empty: nowhere.
        connection: The connection of that place.
        original: That event without key and body, as an NDJSON line; empty: there is none.
        hidden: Whether the body holds what is masked: it is sent as it came, and not shown.
        hidden_key: Whether the key is masked: likewise.
        remarks: What to know about the clone, a sentence each.
    """

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    target: str = ""
    key: bytes | None = None
    body: bytes | None = b""
    headers: tuple[Field, ...] = ()
    properties: tuple[Field, ...] = ()
    partition: int | None = None
    count: int = 1
    rate: float | None = None
    template: bool = False
    values: dict[str, str] = {}
    made_from: str = ""
    connection: str = ""
    original: str = ""
    hidden: bool = False
    hidden_key: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def locked(self) -> str | None:
        """Why the body is not edited as text, as the end of a sentence that begins with "it"; None: it is."""
        if self.hidden:
            return "holds what is masked"
        return _locked(self.as_it_came)

    @property
    def as_it_came(self) -> Event:
        """The body, with all that the original says of it."""
        original = _original(self)
        return Event(body=self.body, wire=original.wire, written=original.written)


def is_text(draft: Draft) -> bool:
    """Whether a body may be edited as text elsewhere, however large it is."""
    return not draft.hidden and not _layers(draft.as_it_came) and _text(draft.body or b"") is not None


def _locked(event: Event) -> str | None:
    if not event.body:
        return None
    if layers := _layers(event):
        return f"{'carries' if layers[-1].startswith('schema') else 'is'} {', '.join(layers)}"
    if _text(event.body) is None:
        return "is not UTF-8"
    return f"has {len(event.body):,} bytes" if len(event.body) > EDITED else None


def _layers(event: Event) -> tuple[str, ...]:
    """What is around the text of a body, or what it was written in: all but plain UTF-8 and unknown bytes."""
    return decode(event, EDITED).layers


def _original(draft: Draft) -> Event:
    return ndjson.decode(draft.original.encode()).event if draft.original else Event()


def clone(delivery: Delivery, reading: Reading, target: str = "") -> Draft:
    """A draft of an event like this one, with an identity of its own.

    Args:
        delivery: The event as it came, not masked; what the rules mask is sent and not shown.
        reading: How the session understands events.
        target: Where to; empty where the user has to choose.

    Raises:
        FormatError: Its headers hold what no draft can: half a character, or tables too deep.
    """
    event = delivery.event
    facts = reading.facts(delivery)
    remarks = [
        f"Its body has an id of its own in {fact.source}, which stays as it is."
        for fact in facts.found
        if fact.kind == "message" and fact.source.startswith("body.")
    ][:1]
    try:
        content = event.content
        kinds = [kind for _, kind in wire.field_types(event.wire)] if event.wire is not None else []
    except FormatError:
        content, kinds = Content(), []
        remarks.append("Its headers and properties cannot be read, and are sent as they came.")
    changes = _changes(facts, event.wire is not None)
    hidden = _hider(delivery, reading)
    headers = []
    for number, (name, value) in enumerate(content.headers):
        change, reason = changes("header", name, value)
        name, value = hidden(name, value)
        kind = kinds[number] if kinds and kinds[number] != "string" else ""
        headers.append(_field(name, value, kind, number, change, reason))
    properties = []
    for name, value in content.properties.items():
        change, reason = changes("property", name, value)
        _, value = hidden(name, value, property=True)
        properties.append(_field(name, value, "", 0, change, reason))
    place = delivery.position
    seen = reading.mask(delivery).event
    return Draft(
        target=target,
        key=event.key,
        body=event.body,
        headers=tuple(headers),
        properties=tuple(properties),
        made_from=f"{delivery.address} {place.partition}:{place.offset}" if place else str(delivery.address),
        connection=delivery.address.connection,
        original=ndjson.encode(Event(wire=event.wire, written=event.written)).decode(),
        hidden=seen.body != event.body,
        hidden_key=seen.key != event.key,
        remarks=tuple(remarks),
    )


class Rendering:
    """Makes a draft's events, a different one for each number.

    Args:
        draft: What to make.
        seed: Chooses the fresh ids and what templates pick: equal seeds give equal events, but for the time.

    Raises:
        FormatError: A text in it is no template; the sentence says which and where.
    """

    def __init__(self, draft: Draft, seed: int) -> None:
        self._draft = draft
        self._seed = seed
        self._original = _original(draft)
        self._renderer = Renderer(self._template, {}, seed) if draft.template else None

    def event(self, sequence: int) -> Event:
        """The event number `sequence`.

        Raises:
            FormatError: A text cannot be filled in, a value is not of its kind, or AMQP cannot hold it.
        """
        draft = self._draft
        key, body = draft.key, draft.body
        texts: Iterator[Value] = iter(())
        filled = Event()
        if self._renderer is not None:
            filled = self._renderer.event(sequence)
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
                value = filled.properties[field.name] if self._fills_in(field) else field.written()
                properties[field.name] = _number(field.name, value)
            elif field.name not in own.properties:
                raise FormatError("This draft names a property that its original has not.")
            else:
                value = own.properties[field.name]
                properties[field.name] = self._fresh(value, sequence) if field.fresh else value
        came = self._original.wire
        if came is not None and (came.encoding == "amqp-0-9-1" or not properties):
            return Event(key, body, self._spliced(came, headers, properties))
        written = tuple(own.headers[each] if isinstance(each, int) else each for each in headers)
        return Event(key, body, written=Content(written, properties))

    def _fills_in(self, field: Field) -> bool:
        """Whether a field is a template: what came from a stranger is none."""
        return self._draft.template and field.of is None and field.kind == "text"

    @cached_property
    def _template(self) -> Template:
        draft = self._draft
        return Template(
            key=None if draft.hidden_key else _text(draft.key),
            body=None if draft.locked else _text(draft.body),
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

    def _spliced(
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
        if traceparent := _TRACEPARENT.fullmatch(str(value)):
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
    layers = _layers(draft.as_it_came)
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
        sentence: For people.
        wrong: Whether it is not what it claims or seems to be.
    """

    sentence: str
    wrong: bool = False


def verdict(event: Event) -> Verdict:
    """Whether a body is valid, where it is or claims to be JSON, and how large it is."""
    if event.body is None:
        return Verdict("no body: a tombstone")
    size = "1 byte" if len(event.body) == 1 else f"{len(event.body):,} bytes"
    if reason := _locked(event):
        return Verdict(f"sent byte for byte, for it {reason}, {size}")
    text = event.body.decode()
    if not (claims(event).format == "JSON" or text.lstrip()[:1] in ("{", "[")):
        return Verdict(f"text, {size}" if text else "empty")
    try:
        layout = lay_out(text, len(text) * 100 + 100)
    except FormatError as error:
        return Verdict(f"{str(error).removeprefix('not JSON at ')}: this is not JSON, {size}", wrong=True)
    if layout.repeated:
        return Verdict(f"JSON is valid but has {layout.repeated[0]!r} more than once, {size}", wrong=True)
    if layout.not_numbers:
        return Verdict(f"NaN and Infinity are not JSON, {size}", wrong=True)
    return Verdict(f"JSON is valid, {size}")


def from_template(template: Template, draft: Draft) -> Draft:
    """A draft for the same target with all that a template says."""
    headers = template.headers.items() if not isinstance(template.headers, tuple) else template.headers
    return Draft(
        target=draft.target,
        partition=draft.partition,
        count=draft.count,
        rate=draft.rate,
        key=None if template.key is None else template.key.encode(),
        body=None if template.body is None else template.body.encode(),
        headers=tuple(Field(name, text) for name, text in headers),
        properties=tuple(
            Field(name, str(value), "text" if isinstance(value, str) else "number")
            for name, value in template.properties.items()
        ),
        template=True,
        values={name: str(value) for name, value in template.set.items()},
    )


# Keeping.


def drafts_folder() -> Path:
    """Where drafts are kept: the platform's state folder, never one that others share."""
    return platformdirs.user_state_path("event-workbench") / "drafts"


def keep(draft: Draft, folder: Path | None = None) -> None:
    """Keep a draft as the one left last, in a file that only this user may read; the oldest go.

    Raises:
        StoreError: It cannot be written, or is larger than `KEPT`; what was kept before is untouched.
    """
    folder = folder or drafts_folder()
    written = msgspec.json.encode(draft)
    if len(written) > KEPT:
        raise StoreError(f"This draft has {len(written):,} bytes: it is not kept when the program ends.")
    try:
        write_private(folder / f"{draft.id}.json", written)
        for path in _newest_first(folder)[DRAFTS:]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"No draft can be kept in {folder}: {error.strerror}.") from error


def kept(folder: Path | None = None) -> tuple[list[Draft], list[str]]:
    """The drafts that are kept, the one left last first; and a sentence for each file that had to be set aside."""
    folder = folder or drafts_folder()
    drafts, sentences = [], []
    for path in _newest_first(folder):
        try:
            drafts.append(_read(path.read_bytes(), path.stem))
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError, ValueError, FormatError) as error:
            aside = path.with_suffix(".damaged")
            with suppress(OSError):
                path.replace(aside)
            reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
            sentences.append(f"A draft could not be read and lies in {aside} now: {reason}.")
    return drafts, sentences


def _read(written: bytes, id: str) -> Draft:
    draft = msgspec.json.decode(written, type=Draft)
    if draft.original:
        ndjson.decode(draft.original.encode())
    # The file's name counts: whatever it says inside must not lead to another file.
    return msgspec.structs.replace(draft, id=id)


def _newest_first(folder: Path) -> list[Path]:
    times = {}
    for path in folder.glob("*.json"):
        with suppress(OSError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=lambda path: times[path], reverse=True)


# Cloning.


_Change = tuple[Literal["", "fresh", "dropped"], str]


def _changes(facts: Facts, amqp: bool) -> Callable[[Literal["header", "property"], str, Value], _Change]:
    """What a clone does to a header or a property, and why."""
    dead = {fact.convention for fact in facts.found if fact.kind.startswith(("origin.", "failure."))}
    dropped: dict[str, str] = {}
    own: dict[str, str] = {}
    flow: dict[str, str] = {}
    for fact in facts.found:
        place = fact.source.lower()
        if fact.kind.startswith(("origin.", "failure.")) or (fact.kind == "attempts" and fact.convention in dead):
            dropped.setdefault(place, fact.convention)
        elif fact.kind == "message":
            own.setdefault(place, fact.convention)
        else:
            flow.setdefault(place, fact.convention)

    def change(where: Literal["header", "property"], name: str, value: Value) -> _Change:
        place = f"{where}.{name.lower()}"
        if where == "header" and place in dropped:
            return "dropped", dropped[place]
        if amqp and f"{where} {name}" in _OF_THE_SENDER:
            return "dropped", "its sender's"
        # A number or a table is no id that one could make up.
        if place in own and isinstance(value, str | bytes):
            return "fresh", own[place]
        if place in flow and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            return "fresh", flow[place]
        return "", ""

    return change


def _hider(delivery: Delivery, reading: Reading) -> Callable[..., tuple[str, Value]]:
    """Gives the name and the value of a field as they may be seen."""

    def hidden(name: str, value: Value, property: bool = False) -> tuple[str, Value]:
        if reading.masked is None:
            return name, value
        alone = Content((), {name: value}) if property else Content(((name, value),))
        seen = reading.mask(msgspec.structs.replace(delivery, event=Event(written=alone))).event.written
        if property:
            return name, seen.properties.get(name, "***")
        return seen.headers[0] if seen.headers else ("***", "***")

    return hidden


def _field(name: str, value: Value, kind: str, of: int, change: Literal["", "fresh", "dropped"], reason: str) -> Field:
    if isinstance(value, str):
        return Field(name, value, "text", of, change, True, reason)
    return Field(name, ndjson.value_text(value), kind or _kind(value), of, change, True, reason)


def _kind(value: Value) -> str:
    match value:
        case None:
            return "null"
        case str():
            return "text"
        case bool():
            return "bool"
        case int() | float() | Decimal():
            return "number"
        case bytes():
            return "bytes"
        case datetime():
            return "time"
        case _:
            return "table" if hasattr(value, "keys") else "array"


# Rendering.


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _number(name: str, value: Value) -> Value:
    if name in wire.NUMBERS and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value
