"""Which headers and properties may be edited: those that brokers and this program write are locked, those by which an
event is found, followed and read are sensitive, all others are free.

The conventions know which is which: what they read an origin, a failure or a count of attempts from was written when
the event became a dead letter, what they read an id or a type from is the event's identity. Only what no convention
reads stands here.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal

from workbench.decode.content_type import CLAIMING
from workbench.facts.convention_tables import Convention, builtin_tables

Tier = Literal["locked", "sensitive", "free"]
Where = Literal["header", "property", "body"]

OWN_PREFIX: Final = "workbench-"
"""How the names of the headers begin that this program writes."""
_LOCKED: Final = frozenset(("cc", "bcc", "x-stream-offset", "x-received-from", "x-shovelled"))
"""Where copies went, and what brokers write on the way."""
_SENSITIVE: Final = frozenset(("__value_schema_id", "__key_schema_id", "tracestate", "baggage", "reply-to"))
_SENSITIVE_PREFIXES: Final = ("apicurio.", "ce_", "cloudevents:", "cloudevents_")
_SENSITIVE_PROPERTIES: Final = frozenset(("reply_to", "user_id", "expiration"))
"""Those by which an event goes astray, is refused or vanishes."""


class Tiers:
    """Says how carefully a header or a property has to be edited.

    Args:
        tables: The conventions, those that ship and a user's own.
    """

    def __init__(self, tables: Sequence[Convention]) -> None:
        self._tiers: dict[tuple[str, str], Tier] = {}
        self._prefixes: list[str] = []
        for convention in tables:
            for kind, spots in convention.places.items():
                dead = kind.startswith(("origin.", "failure."))
                # An application counts under names of its own, unless they are one convention's alone.
                locked = dead or (kind == "attempts" and not convention.when)
                for spot in spots:
                    where, name, _ = spot.split()
                    # Bodies are the application's: a dead letter's own fields may be what is to be mended.
                    self._note(where, spot.at if where == "body" else name, locked and where != "body")
            for spot in convention.when:
                where, name, _ = spot.split()
                if name.endswith("*"):
                    self._prefixes.append(name[:-1])
                elif where != "body":
                    self._note(where, name, False)

    def tier_of(self, name: str, where: Where = "header") -> Tier:
        """The tier of a header or property, or of a path in a body.

        Args:
            name: Its name, in upper or lower case; a path with dots between its steps.
            where: What it is a name of.
        """
        if where == "body":
            return self._tiers.get((where, f"body.{name}"), "free")
        name = name.lower()
        if where == "header" and (name.startswith(OWN_PREFIX) or name in _LOCKED):
            return "locked"
        if found := self._tiers.get((where, name)):
            return found
        if name in CLAIMING or (where == "property" and name in _SENSITIVE_PROPERTIES):
            return "sensitive"
        sensitive = name in _SENSITIVE or name.startswith((*_SENSITIVE_PREFIXES, *self._prefixes))
        return "sensitive" if where == "header" and sensitive else "free"

    def _note(self, where: str, name: str, locked: bool) -> None:
        tier: Tier = "locked" if locked else "sensitive"
        if self._tiers.get((where, name)) != "locked":
            self._tiers[where, name] = tier


def tier_of(name: str, where: Where = "header") -> Tier:
    """The tier of a header or property, or of a path in a body, by the conventions that ship; see `Tiers`."""
    return _builtin().tier_of(name, where)


@cache
def _builtin() -> Tiers:
    return Tiers(builtin_tables())
