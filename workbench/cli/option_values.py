"""What a command was given by the options that many commands share, kept in its context."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from workbench.connecting.environment import Variables

_OPTIONS: Final = "workbench.options"
_RECORD: Final = "workbench.record"


class OptionValues:
    """What the connection options have collected so far, before and behind the command's name."""

    def __init__(self) -> None:
        self.connection: list[str] = []
        self.config: Path | None = None
        self.guard: str | None = None
        self.confirm: list[str] = []
        self.cluster: str | None = None
        self.env: list[str] = []
        self.variables: Variables | None = None


def option_values(context: click.Context) -> OptionValues:
    """What the connection options have collected, kept until a session is made of it."""
    values: OptionValues = context.meta.setdefault(_OPTIONS, OptionValues())
    return values


def record_path(context: click.Context) -> Path | None:
    """The file that `--record` of the screen names."""
    return context.meta.get(_RECORD)


def collect(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Add to what the connection options have collected."""
    values = option_values(context)
    if isinstance(value, tuple):
        getattr(values, str(parameter.name)).extend(value)
    elif value is not None:
        setattr(values, str(parameter.name), value)


def collect_record(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep what `--record` names."""
    if value is not None:
        context.meta[_RECORD] = value
