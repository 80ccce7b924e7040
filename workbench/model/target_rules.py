"""Rules: what an endpoint can hold of an event, stated by its connector before anything is sent.

An event that cannot be held is refused with the rule that it breaks; what an endpoint changes about an event it takes
is said. Publishing asks them, and so does whatever else sends an event to where it has not been.
"""

import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec

from workbench.model.address import Address
from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.wire import ENCODINGS, encode, manifest, sent_as_is
from workbench.model.wording import time_span

HeaderType = Literal["decimal", "array", "table"]


class Change(NamedTuple):
    """What an endpoint changes about an event.

    Attributes:
        before: What it does, up to the names of those to which it does it.
        after: The rest of the sentence.
        name: Which header or property; empty where it is the event as a whole.
    """

    before: str
    after: str = ""
    name: str = ""


class Burden(NamedTuple):
    """What an event that comes from elsewhere must not bring along.

    Attributes:
        part: Of what it is one.
        name: Its name.
        why: What it would do, as the end of a sentence without a full stop.
        unless: The value that does no harm; None: each does.
    """

    part: Literal["header", "property"]
    name: str
    why: str
    unless: str | None = None


class Finding(NamedTuple):
    """What rules say of one event.

    Attributes:
        refusal: Why it cannot be held, as the end of a sentence without its full stop; empty: it can.
        changes: What becomes of it otherwise.
    """

    refusal: str = ""
    changes: tuple[Change, ...] = ()


class Rules(msgspec.Struct, frozen=True):
    """What one endpoint can hold.

    Attributes:
        address: Which.
        broker: Its broker in words: `RabbitMQ`, `Kafka`.
        encoding: How properties and headers travel to it; None: as they are.
        null_bodies: Whether it keeps a null body apart from an empty one.
        properties: Whether it keeps properties.
        lost_properties: The names of those that it loses all the same.
        keys: Whether it keeps an event's key.
        name_as_key: Whether the endpoint's name takes the place of a key that is not kept; else there is none.
        key_size: Bytes of a key at most.
        repeated_headers: Whether it keeps several headers of one name; else only the first.
        refused_headers: Types of headers that it cannot take.
        lost_headers: Types of headers that it loses.
        headers: Whether it keeps headers.
        headers_size: Bytes of properties and headers at most, as they travel.
        times: Whether it keeps an event's own time; else that of its arrival takes its place.
        time_step: Milliseconds to which it keeps an event's time.
        size: Bytes of an event at most, as the broker is set; None: not known.
        size_setting: What that setting is called.
        burdens: What a copy of an event that was sent before must not bring along.
        keeps: Milliseconds for which it keeps an event, counted from the event's own time; None: from its arrival, for
            ever, or not known.
        forgets: What it does with its oldest events when it is full, though it confirms the new ones; the end of a
            sentence without a full stop. Empty: nothing.
        forgets_beyond: Events that it holds before it does; None: not known in events.
    """

    address: Address
    broker: str
    encoding: str | None = None
    null_bodies: bool = True
    properties: bool = True
    lost_properties: frozenset[str] = frozenset()
    keys: bool = True
    name_as_key: bool = True
    key_size: int | None = None
    repeated_headers: bool = True
    refused_headers: frozenset[HeaderType] = frozenset()
    lost_headers: frozenset[HeaderType] = frozenset()
    headers: bool = True
    headers_size: int | None = None
    times: bool = True
    time_step: int = 1
    size: int | None = None
    size_setting: str = ""
    burdens: tuple[Burden, ...] = ()
    keeps: int | None = None
    forgets: str = ""
    forgets_beyond: int | None = None

    def examine(self, event: Event) -> Finding:
        """What these rules say of an event."""
        if refusal := self._why_too_large(event):
            return Finding(refusal)
        changes = [*self._changes_of_key_and_time(event)]
        try:
            if not self._is_simple(event):
                if refusal := self._why_refused(event):
                    return Finding(refusal)
                changes += self._changes(event, event.content)
        except FormatError as error:
            return Finding(str(error).rstrip("."))
        return Finding(changes=tuple(changes)) if changes else _NOTHING

    def refusal(self, event: Event) -> str:
        """Why an event cannot be held, as the end of a sentence without its full stop; empty: it can."""
        if refusal := self._why_too_large(event):
            return refusal
        try:
            return "" if self._is_simple(event) else self._why_refused(event)
        except FormatError as error:
            return str(error).rstrip(".")

    def _why_too_large(self, event: Event) -> str:
        """Why an event cannot be held, whatever its properties and headers are."""
        if event.body is None and not self.null_bodies:
            return f"its body is null, which {self.broker} does not have: it would become an empty body"
        size = len(event.key or b"")
        if self.keys and self.key_size is not None and size > self.key_size:
            return f"its key has {size:,} bytes, and {self.broker} allows {self.key_size:,}"
        if self.size is not None and (least := len(event.body or b"") + size) > self.size:
            return f"it takes more than {least:,} bytes, and {self.size:,} are allowed ({self.size_setting})"
        return ""

    def _changes_of_key_and_time(self, event: Event) -> Iterable[Change]:
        key = event.key or b""
        if key and not self.keys and not self.name_as_key:
            yield Change(f"{self.address} keeps no keys: they are left out.")
        elif key and not self.keys and key != self.address.name.encode():
            yield Change(f"{self.address} keeps no keys: its own name takes their place.")
        if not self.times and event.timestamp is not None:
            yield Change(f"{self.address} keeps no times: that of an event's arrival takes their place.")
        elif self._coarse(event):
            yield Change(f"{self.broker} keeps times in seconds: their milliseconds are left out.")
        if self.keeps is not None and self.is_outlived_by(event):
            kept = time_span(self.keeps / 1000)
            yield Change(f"{self.address} keeps events for {kept} by their own times: older ones may soon be deleted.")

    def is_outlived_by(self, event: Event) -> bool:
        """Whether an event is older than it would be kept, by a time that travels with it."""
        if self.keeps is None or event.timestamp is None or event.timestamp_type != "create":
            return False
        return event.timestamp < time.time() * 1000 - self.keeps

    def _is_simple(self, event: Event) -> bool:
        """Whether it is seen at once, as of most events, that properties and headers can be held as they are.

        Raises:
            FormatError: They cannot be read.
        """
        if event.wire is not None and self._as_it_came(event):
            found = manifest(event.wire)
            return (
                (self.headers_size is None or len(event.wire.data) <= self.headers_size)
                and (self.properties or not found.properties)
                and (self.headers or not found.headers)
                and self.lost_properties.isdisjoint(found.properties)
                and self.refused_headers.isdisjoint(found.types)
                and self.lost_headers.isdisjoint(found.types)
                and (self.repeated_headers or len({*found.headers}) == len(found.headers))
            )
        content = event.content
        size = 0
        for name, value in content.headers:
            if type(value) is not str and type(value) is not bytes:
                return False
            if len(name) > _SHORT:
                return False
            size += len(name) + len(value)
        for name, value in content.properties.items():
            if name not in _TEXTS or type(value) is not str or len(value) > _SHORT:
                return False
        if (content.properties and not self.properties) or (content.headers and not self.headers):
            return False
        # A character takes four bytes at most.
        if self.headers_size is not None and 4 * size + 300 * len(_TEXTS) > self.headers_size:
            return False
        return self.repeated_headers or len(content.headers) < 2 or len(dict(content.headers)) == len(content.headers)

    def _coarse(self, event: Event) -> bool:
        if event.timestamp is None or event.timestamp % self.time_step == 0:
            return False
        return not self._as_it_came(event) and "timestamp" not in event.written.properties

    def _as_it_came(self, event: Event) -> bool:
        return event.wire is not None and self.encoding is not None and sent_as_is(event.wire, self.encoding)

    def _why_refused(self, event: Event) -> str:
        content = event.content
        for name, value in content.headers:
            if (kind := _type(value)) in self.refused_headers:
                return f"its header {name!r} is a {kind}, which {self.address} cannot take"
        as_it_came = self._as_it_came(event)
        if self.encoding is not None and ENCODINGS[self.encoding].typed and not as_it_came:
            # Whatever has no form there is an error here.
            encode(content, self.encoding)
        if self.headers_size is not None:
            size = len(event.wire.data) if event.wire is not None and as_it_came else _least(content)
            if size > self.headers_size:
                return f"its properties and headers take {size:,} bytes, and this broker takes {self.headers_size:,}"
        return ""

    def _changes(self, event: Event, content: Content) -> Iterable[Change]:
        lost = [name for name in content.properties if not self.properties or name in self.lost_properties]
        for name in lost:
            if self.properties:
                yield Change(f"{self.address} does not keep the property ", ".", name)
            else:
                yield Change(f"{self.address} has no properties, and leaves out ", ".", name)
        if not self.headers:
            for name, _ in content.headers:
                yield Change(f"{self.address} has no headers, and leaves out ", ".", name)
            return
        seen = set()
        untyped = self.encoding is not None and not ENCODINGS[self.encoding].typed and not self._as_it_came(event)
        for name, value in content.headers:
            kind = _type(value)
            if kind in self.lost_headers:
                yield Change(f"{self.address} keeps no headers that are arrays or tables: ", " get lost.", name)
            if untyped and not (value is None or isinstance(value, str | bytes)):
                yield Change(f"{self.broker}'s headers have no types: ", " become text.", name)
            if name in seen and not self.repeated_headers:
                yield Change(f"{self.address} keeps one header of a name: of ", " only the first stays.", name)
            seen.add(name)


class Changes:
    """What changes about many events, each kind in one sentence."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, changes: Iterable[Change]) -> None:
        """Take in the changes of one event."""
        for before, after, name in changes:
            names = self._names.setdefault((before, after), {})
            # A stranger's events may have any number of names.
            if len(names) <= _NAMED:
                names[name] = None

    def sentences(self) -> tuple[str, ...]:
        """What to tell the user."""
        return tuple(f"{before}{_name_list(names)}{after}" for (before, after), names in self._names.items())


_NOTHING: Final = Finding()
_NAMED: Final = 20
_SHORT: Final = 63
"""Characters that in UTF-8 take less than the 255 bytes of a name or short text of AMQP."""
_TEXTS: Final = frozenset(
    ("content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "type", "app_id")
)
"""Properties that are short texts, and that every endpoint keeps which keeps properties."""


def _name_list(names: Mapping[str, None]) -> str:
    some = sorted(names)[:_NAMED]
    return ", ".join(some) + (" and others" if len(names) > _NAMED else "")


def _type(value: Value) -> HeaderType | None:
    if isinstance(value, Decimal):
        return "decimal"
    if isinstance(value, Mapping):
        return "table"
    return "array" if isinstance(value, list | tuple) else None


def _least(content: Content) -> int:
    """Bytes that headers and properties take at least."""
    values = (*content.headers, *content.properties.items())
    return sum(len(name) + (len(value) if isinstance(value, str | bytes) else 0) for name, value in values)
