"""What a plugin says, in whatever it hands over, without a password: it knows one, and may repeat it anywhere."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, TypeVar, cast, get_origin

import msgspec

from workbench.connecting.config import without_secrets, without_secrets_in
from workbench.model.address import Address
from workbench.model.errors import WorkbenchError
from workbench.model.event import Delivery, Event, Position
from workbench.model.groups import Group, GroupPartition
from workbench.model.look import Span
from workbench.model.ranges import Range

T = TypeVar("T")

_NAMES: Final = (Address, Position, Span, Range, GroupPartition)
"""By these things are asked for again."""
_DATA: Final = (Event, Delivery)
"""What a stranger wrote, and not the plugin."""


def clean(value: T) -> T:
    """A value of the protocol, with all its texts and errors without secrets; names and events are as they were."""
    return cast(T, _clean(value))


def _clean(value: Any) -> Any:
    match value:
        case str() if type(value) is str:
            return without_secrets(value)
        case WorkbenchError():
            return without_secrets_in(value)
        case _ if isinstance(value, (*_NAMES, *_DATA)):
            return value
        case msgspec.Struct():
            said = {name: getattr(value, name) for name in _said_by(type(value))}
            changed = {name: new for name, old in said.items() if (new := _clean(old)) is not old and new != old}
            return msgspec.structs.replace(value, **changed) if changed else value
        case tuple() if hasattr(value, "_fields"):
            return type(value)(*map(_clean, value))
        case tuple():
            return tuple(map(_clean, value))
        case list() if type(value) is list:
            return [*map(_clean, value)]
        case Mapping():
            return {key: _clean(each) for key, each in value.items()}
    return value


@cache
def _said_by(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of a struct that are its connector's own words."""
    fields = msgspec.structs.fields(kind)
    names = {"name"} if issubclass(kind, Group) else set[str]()
    return tuple(each.name for each in fields if get_origin(each.type) is not Literal and each.name not in names)
