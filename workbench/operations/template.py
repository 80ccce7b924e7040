"""Templates: events that are rendered anew for each sending, with Jinja2 in its sandbox.

A template file is TOML:

    key = "{{ id }}"
    body = '{"id": {{ id }}, "at": "{{ now() }}", "trace": "{{ uuid() }}"}'
    [headers]
    tenant = "{{ choice('north', 'south') }}"
    [properties]
    content_type = "application/json"
    [set]                              # what `--set` may replace
    id = "{{ seq }}"

Every text in it may use `seq` (0, 1, 2… within one sending), `uuid()`, `now()` (ISO 8601, UTC), `timestamp()`
(milliseconds since 1970), `integer(low, high)`, `number(low, high)`, `choice(a, b, …)`, `text(length)`, `env.NAME`, and
what `set` names.
"""

import os
import random
import string
import time
import traceback
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
import tomli

from workbench.model.content import Content, Value
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Event

_LARGEST = 64 << 20
"""Bytes that one rendered text may have: a loop in a template ends here, not when the memory does."""


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event with places to fill in.

    Attributes:
        key: The key; None for none.
        body: The body; None for a tombstone.
        headers: Names and values, in order.
        properties: Names and values; those that AMQP has as numbers are written as numbers.
        set: Values that the other texts may name, each a text to fill in itself.
        timestamp: The event's own time, in milliseconds since 1970 UTC; None for none.
    """

    key: str | None = None
    body: str | None = None
    headers: tuple[tuple[str, str], ...] | Mapping[str, str] = ()
    properties: Mapping[str, str | int] = {}
    set: Mapping[str, str | int | float | bool] = {}
    timestamp: int | None = None

    @classmethod
    def read(cls, path: Path) -> "Template":
        """Read a template file.

        Raises:
            ConfigError: It cannot be read, or is no template; the sentence says where.
        """
        try:
            return msgspec.convert(tomli.loads(path.read_text(encoding="utf-8")), cls)
        except OSError as error:
            raise ConfigError(f"The template {path} cannot be read: {error.strerror}.") from None
        except (UnicodeDecodeError, tomli.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path} is not a template: {error}.") from None


def templates_folder() -> Path:
    """Where a user's own templates are, each a file NAME.toml."""
    return platformdirs.user_config_path("event-workbench") / "templates"


def template_file(name: str) -> Path:
    """A template's file: the one named, else the one of this name in the user's templates folder."""
    path = Path(name).expanduser()
    own = templates_folder() / f"{name}.toml"
    return own if not path.exists() and own.exists() else path


class Renderer:
    """Makes events of a template, a different one each time.

    Args:
        template: What to fill in.
        values: Take the place of those in the template's `set`.
        seed: Makes the random pickers repeat themselves; None: they do not.

    Raises:
        FormatError: A text in the template is not one that Jinja2 can read.
    """

    def __init__(self, template: Template, values: Mapping[str, str], seed: int | None = None) -> None:
        # Most events are published without a template.
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        chance = random.Random(seed)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        environment.globals = {
            "uuid": lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "now": lambda: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "timestamp": lambda: time.time_ns() // 1_000_000,
            "integer": chance.randint,
            "number": lambda low, high: round(chance.uniform(low, high), 2),
            "choice": lambda *among: chance.choice(among),
            "text": lambda length: "".join(chance.choices(string.ascii_letters, k=length)),
            # The sandbox's own, which refuses to count to a billion.
            "range": environment.globals["range"],
            "env": dict(os.environ),
        }
        self._environment = environment
        self._template = template
        given: dict[str, str] = {name: str(value) for name, value in template.set.items()} | dict(values)
        self._values = {name: self._compiled(f"set.{name}", text) for name, text in given.items()}
        self._key = self._compiled("key", template.key)
        self._body = self._compiled("body", template.body)
        headers = template.headers.items() if isinstance(template.headers, Mapping) else template.headers
        self._headers = [(name, self._compiled(f"header {name}", text)) for name, text in headers]
        self._properties = {
            name: self._compiled(f"property {name}", value) if isinstance(value, str) else value
            for name, value in template.properties.items()
        }

    def event(self, sequence: int) -> Event:
        """The event number `sequence`.

        Raises:
            FormatError: A text cannot be filled in: it names what is not set, or does what the sandbox forbids.
        """
        values: dict[str, Any] = {"seq": sequence}
        for name, template in self._values.items():
            values[name] = self._filled(f"set.{name}", template, values)
        properties: dict[str, Value] = {
            name: value if isinstance(value, int) else self._filled(f"property {name}", value, values)
            for name, value in self._properties.items()
        }
        key = self._filled("key", self._key, values)
        body = self._filled("body", self._body, values)
        headers = tuple((name, self._filled(f"header {name}", text, values)) for name, text in self._headers)
        return Event(
            key=None if key is None else key.encode(),
            body=None if body is None else body.encode(),
            written=Content(headers, properties),
            timestamp=self._template.timestamp,
        )

    def _compiled(self, what: str, text: str | None) -> Any:
        from jinja2 import TemplateError, TemplateSyntaxError

        try:
            return None if text is None else self._environment.from_string(text)
        except TemplateSyntaxError as error:
            raise FormatError(
                f"The template's {what} cannot be read at line {error.lineno}: {error.message}."
            ) from None
        except TemplateError as error:
            raise FormatError(f"The template's {what} cannot be read: {error}.") from None

    def _filled(self, what: str, template: Any, values: Mapping[str, Any]) -> str | None:
        if template is None:
            return None
        pieces, size = [], 0
        try:
            for piece in template.generate(values):
                pieces.append(piece)
                if (size := size + len(piece)) > _LARGEST:
                    raise FormatError(f"The template's {what} grows beyond {_LARGEST:,} characters.")
        except FormatError:
            raise
        except Exception as error:  # a template may call anything it is given with anything
            line = _line(error)
            where = f" at line {line}" if line else ""
            raise FormatError(f"The template's {what} cannot be filled in{where}: {error}.") from None
        return "".join(pieces)


def _line(error: Exception) -> int | None:
    """The line of the template that was being filled in; Jinja2 has put the template's own lines into the traceback."""
    lines = [
        number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"
    ]
    return lines[-1] if lines else None
