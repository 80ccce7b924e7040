"""The options of the commands that search or read all connections at once, and what they come to."""

import re
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from workbench.model.errors import FormatError
from workbench.model.start import Since, Start, Window, parse_start

Command = TypeVar("Command", bound=Callable[..., object])
_NAMED = 3


STARTS = ("beginning", "latest", "end-500", "-10m", "-1h")
"""Places to start that a shell offers."""


class StartType(click.ParamType[Start]):
    """Where a reading of a log begins."""

    name = "START"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        try:
            return parse_start(str(value), round(time.time() * 1000))
        except FormatError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [CompletionItem(start) for start in STARTS if start.startswith(incomplete)]


class TimeType(StartType):
    """A time."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        start = super().convert(value, param, ctx)
        if not isinstance(start, Since):
            self.fail(f"{value!r} is not a time: write 2026-11-23T10:00, or -10m.", param, ctx)
        return start


class SinceType(TimeType):
    """A time, or how long ago it was."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        text = str(value)
        return super().convert(f"-{text}" if re.fullmatch(r"\d.*(ms|s|m|h|d)", text) else text, param, ctx)


class BeginningOrSince(SinceType):
    """The same, or `beginning`, which is the time 0."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Start:
        return Since(0) if value == "beginning" else super().convert(value, param, ctx)


def window_options(since: str, until: str, default: str = "1h") -> Callable[[Command], Command]:
    """Add `--since` and `--until`; `window_of` makes a window of them.

    Args:
        since: What the first does, up to "from this time on".
        until: What the second does, in a sentence.
        default: Where the first is left out.
    """

    def decorate(command: Command) -> Command:
        begin = click.option(
            "--since",
            type=BeginningOrSince(),
            default=default,
            show_default=True,
            help=f"{since} from this time on: 1h, 2d, 2026-11-23T10:00 or beginning.",
        )
        return begin(click.option("--until", type=SinceType(), help=until)(command))

    return decorate


def look_option(command: Command) -> Command:
    """Add `--look`, which agrees to the price of browsing queues."""
    return click.option(
        "--look",
        is_flag=True,
        help="Also browse queues, which is not free: messages are marked as redelivered, and hidden meanwhile.",
    )(command)


def window_of(since: Since, until: Since | None) -> Window:
    """The stretch of time from one option to just before the other."""
    return Window(since.time or None, until.time - 1 if until else None)


def first_names(names: Sequence[str]) -> str:
    """Some of the names, and how many more there are."""
    few = ", ".join(names[:_NAMED])
    return few if len(names) <= _NAMED else f"{few} and {len(names) - _NAMED:,} more"
