"""Facts: what conventions say of an event, each with the convention that said it."""

import re
from typing import Final, Literal

import msgspec

Kind = Literal[
    "correlation",
    "causation",
    "message",
    "span",
    "type",
    "attempts",
    "origin.queue",
    "origin.topic",
    "origin.exchange",
    "origin.key",
    "origin.partition",
    "origin.offset",
    "origin.group",
    "origin.time",
    "failure.reason",
    "failure.type",
    "failure.stack",
    "failure.time",
    "failure.detail",
]
"""What a fact is about. `message` is the event's own id, `span` that of the span in which it was sent, and `causation`
that of the event that caused it or of its span's parent; `origin` is where it was before it became a dead letter,
`failure` why it did, and `failure.detail` whatever else a convention adds to a dead letter. Times are as their writers
put them."""


class Fact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One thing that one convention says of an event.

    Attributes:
        kind: What it is about.
        value: As text.
        convention: The name of the convention that says so.
        source: The place it was read from, such as `header.x-death`.
    """

    kind: Kind
    value: str
    convention: str
    source: str


class Origin(msgspec.Struct, frozen=True):
    """Where an event was before it became a dead letter, as one convention says; what it does not say is None."""

    convention: str
    queue: str | None = None
    topic: str | None = None
    exchange: str | None = None
    key: str | None = None
    partition: str | None = None
    offset: str | None = None
    group: str | None = None
    time: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why an event became a dead letter, as one convention says; what it does not say is None."""

    convention: str
    reason: str | None = None
    type: str | None = None
    stack: str | None = None
    time: str | None = None


class Facts(msgspec.Struct, frozen=True, gc=False):
    """All that the conventions say of an event.

    Attributes:
        found: In order of precedence.
    """

    found: tuple[Fact, ...] = ()

    def all(self, kind: Kind) -> tuple[str, ...]:
        """Every value of this kind once, the one with precedence first."""
        return tuple(dict.fromkeys(fact.value for fact in self.found if fact.kind == kind))

    def first(self, kind: Kind) -> str | None:
        """The value with precedence, None where no convention says any."""
        return next((fact.value for fact in self.found if fact.kind == kind), None)

    @property
    def correlation(self) -> str | None:
        """What an event shares with all others of its flow."""
        return self.first("correlation")

    @property
    def causation(self) -> str | None:
        """The id of the event that caused this one."""
        return self.first("causation")

    @property
    def message(self) -> str | None:
        """The event's own id."""
        return self.first("message")

    @property
    def type(self) -> str | None:
        """What happened, such as `OrderPlaced`."""
        return self.first("type")

    @property
    def attempts(self) -> int | None:
        """How often it was tried, where a convention counts."""
        value = self.first("attempts")
        # int() takes no more than 4,300 digits and other scripts' digits too.
        return int(value) if value and len(value) < 20 and value.isascii() and value.isdigit() else None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id by which the event can be found, once each: correlations, its own, and that of its cause."""
        return tuple(
            dict.fromkeys(fact.value for fact in self.found if fact.kind in ("correlation", "message", "causation"))
        )

    @property
    def origin(self) -> Origin | None:
        """Where it was before; all from the convention that has precedence, for a topic of one and a partition of
        another would be a place that never was."""
        said = self._texts_about("origin.")
        return msgspec.convert(said, Origin) if said else None

    @property
    def failure(self) -> Failure | None:
        """Why it is a dead letter; all from the convention that has precedence."""
        said = self._texts_about("failure.")
        return msgspec.convert(said, Failure) if said else None

    @property
    def reason(self) -> str | None:
        """Why it is a dead letter, in a word or a sentence: the failure's first reason that says something, else its
        type."""
        failure = self.failure
        if failure is None:
            return None
        if failure.reason is not None and _SAYS_NOTHING.fullmatch(failure.reason):
            mine = [each for each in self.found if each.convention == failure.convention]
            said = [each.value for each in mine if each.kind == "failure.reason"]
            return next((each for each in said if not _SAYS_NOTHING.fullmatch(each)), failure.reason)
        return failure.reason or failure.type

    def _texts_about(self, about: str) -> dict[str, str]:
        said: dict[str, str] = {}
        for fact in self.found:
            if fact.kind.startswith(about) and said.setdefault("convention", fact.convention) == fact.convention:
                said.setdefault(fact.kind.removeprefix(about), fact.value)
        return said


_SAYS_NOTHING: Final = re.compile(
    r"(?is)"
    r"(?:(?:an? )?(?:unexpected |unhandled |unknown |internal |server )*(?:error|exception|failure)(?: occurred)?"
    r"|\w{1,20} failed|retr(?:y|ies) (?:policy )?exhausted.*"
    r"|listener method .* threw exception|.{0,60}\bthrew an? (?:exception|error)"
    r"|(?:error|exception|failure|exception thrown) (?:while|when|during) [\w ]{1,80}"
    r"|(?:failed|unable|could not|cannot)(?: to)? (?:process|handle|consume|deliver|invoke)[\w ]{0,60}"
    r"|null|none|unknown)[\s.:;!]*"
)
"""Sentences that frameworks put around any failure: why it failed, its cause says."""
NOTHING: Final = Facts()
