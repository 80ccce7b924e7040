"""A draft: an event that a user is writing, as a form holds it."""

import uuid
from typing import Any, Final, Literal

import msgspec

from workbench.decode import ndjson
from workbench.decode.codec import decode
from workbench.decode.ndjson_values import value_from
from workbench.model.address import Address
from workbench.model.content import Value
from workbench.model.event import Event
from workbench.operations.template import Template

EDITED: Final = 64 * 1024
"""The largest body that is edited as text here, in bytes."""


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
        return self.value if self.kind == "text" else value_from(self.value)


class Target(msgspec.Struct, frozen=True):
    """A place where the clone of a dead letter may go.

    Attributes:
        address: Where.
        what: What it is to the event, for people: `the queue it died in`.
        key: The key to publish with, empty where none is kept; None: the clone's own.
        partition: Which partition; None: the broker's choice.
    """

    address: Address
    what: str
    key: bytes | None = None
    partition: int | None = None


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
        came_from: Where a dead letter came from, for people; empty: it is none, or does not say.
        targets: Where a dead letter may go: its origin first, and last where it was read.
        connections: Which connections it was written with, by what `Connection.identity` says of them; empty: an
            earlier version kept it, and nobody knows.
        original: That event without key and body, as an NDJSON line; empty: there is none.
        original_key: Its key; None where it had none, or is masked.
        original_body: Its body, where it is edited as text; None where it had none, is masked, or is no text.
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
    came_from: str = ""
    targets: tuple[Target, ...] = ()
    connections: tuple[str, ...] = ()
    original: str = ""
    original_key: bytes | None = None
    original_body: bytes | None = None
    hidden: bool = False
    hidden_key: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def locked(self) -> str | None:
        """Why the body is not edited as text, as the end of a sentence that begins with "it"; None: it is."""
        if self.hidden:
            return "holds what is masked"
        return locked_because(self.as_it_came)

    @property
    def as_it_came(self) -> Event:
        """The body, with all that the original says of it."""
        original = original_of(self)
        return Event(body=self.body, wire=original.wire, written=original.written)


def aim_at(draft: Draft, target: Target) -> Draft:
    """The draft with another target, and the key that it had there; elsewhere it has its own."""
    key = draft.original_key if target.key is None else target.key
    changes: dict[str, Any] = {"target": str(target.address), "partition": target.partition}
    return msgspec.structs.replace(draft, **changes, **({} if draft.hidden_key else {"key": key or None}))


def next_target(draft: Draft) -> Target | None:
    """The target after the one that a draft is aimed at, of those where a dead letter may go; None: there is none."""
    here = [number for number, each in enumerate(draft.targets) if str(each.address) == draft.target]
    number = (here[0] + 1) % len(draft.targets) if here else 0
    target = draft.targets[number] if draft.targets else None
    return target if target is not None and str(target.address) != draft.target else None


def is_text(draft: Draft) -> bool:
    """Whether a body may be edited as text elsewhere, however large it is."""
    return not draft.hidden and not layers_of(draft.as_it_came) and text_of(draft.body or b"") is not None


def locked_because(event: Event) -> str | None:
    if not event.body:
        return None
    if layers := layers_of(event):
        return f"{'carries' if layers[-1].startswith('schema') else 'is'} {', '.join(layers)}"
    if text_of(event.body) is None:
        return "is not UTF-8"
    return f"has {len(event.body):,} bytes" if len(event.body) > EDITED else None


def layers_of(event: Event) -> tuple[str, ...]:
    """What is around the text of a body, or what it was written in: all but plain UTF-8 and unknown bytes."""
    return decode(event, EDITED).layers


def original_of(draft: Draft) -> Event:
    return ndjson.decode(draft.original.encode()).event if draft.original else Event()


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


def text_of(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None
