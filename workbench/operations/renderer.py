"""Rendering: events made of a template by Jinja2, in its sandbox.

The sandbox keeps a template from what is not its own, and not from running for ever or from taking all memory: it is
rendered in a process of its own, `template_process.py`, and nowhere else.
"""

import json
import random
import string
import time
import traceback
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workbench.model.content import Content, Value
from workbench.model.errors import FormatError
from workbench.model.event import Event
from workbench.model.values import bytes_text, value_text
from workbench.operations.template import Given, Template

_LARGEST = 64 << 20
"""Characters that one rendered text may have."""


class Environment:
    """`env` of a template: variables by name, and no list of them.

    Args:
        values: Those that it may read.
        any: Whether all others are not set, rather than forbidden.
    """

    __slots__ = ("_any", "_values")

    def __init__(self, values: Mapping[str, str], any: bool = False) -> None:
        self._values, self._any = values, any

    def __getitem__(self, name: str) -> str:
        """The value of a variable.

        Raises:
            KeyError: It is not set.
            FormatError: The template may not read it.
        """
        if name not in self._values and not self._any:
            raise FormatError(f"The template may not read the environment variable {name!r}: --env NAME allows one.")
        return self._values[name]


_NOTHING = Environment({})


class Renderer:
    """Makes events of a template, a different one each time.

    Args:
        template: What to fill in.
        values: Take the place of those in the template's `set`.
        seed: Makes the random pickers repeat themselves; None: they do not.
        variables: What it may read of the environment.

    Raises:
        FormatError: A text in the template is not one that Jinja2 can read.
    """

    def __init__(
        self,
        template: Template,
        values: Mapping[str, str],
        seed: int | None = None,
        variables: Environment = _NOTHING,
    ) -> None:
        self._seed = seed
        self._chance = chance = random.Random(seed)
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
            "env": variables,
        }
        # Jinja's own is for HTML, and writes numbers anew.
        environment.filters["tojson"] = _json_text
        self._environment = environment
        self._template = template
        given: dict[str, str] = {name: str(value) for name, value in template.set.items()} | dict(values)
        self._values = {name: self._compile(f"set.{name}", text) for name, text in given.items()}
        self._key = self._compile("key", template.key)
        self._body = self._compile("body", template.body)
        headers = template.headers.items() if isinstance(template.headers, Mapping) else template.headers
        self._headers = [(name, self._compile(f"header {name}", text)) for name, text in headers]
        self._properties = {
            name: self._compile(f"property {name}", value) if isinstance(value, str) else value
            for name, value in template.properties.items()
        }

    def event(self, sequence: int) -> Event:
        """The event number `sequence`.

        Raises:
            FormatError: A text cannot be filled in: it names what is not set, or does what the sandbox forbids.
        """
        return self._event(sequence, {})

    def event_of(self, given: Given) -> Event:
        """What is made of an event that is edited; equal seeds pick the same for one number, whatever came before.

        Raises:
            FormatError: As `event` does.
        """
        if self._seed is not None:
            self._chance.seed(f"{self._seed}/{given.sequence}")
        return self._event(
            given.sequence,
            {
                "key": None if given.key is None else bytes_text(given.key),
                "body": self._body_of(given),
                "header": dict(given.headers),
                "property": dict(given.properties),
            },
        )

    def _body_of(self, given: Given) -> Any:
        if given.unread:
            return StrictUndefined(f"the event's body cannot be used: {given.unread}")
        text = None if given.body is None else given.body.decode()
        if text is None or not text.lstrip().startswith(("{", "[")):
            return text
        try:
            return json.loads(text, parse_float=_Written)
        except (ValueError, RecursionError):
            return text

    def _event(self, sequence: int, given: Mapping[str, Any]) -> Event:
        values: dict[str, Any] = {"seq": sequence, **given}
        for name, template in self._values.items():
            values[name] = self._fill(f"set.{name}", template, values)
        properties: dict[str, Value] = {
            name: value if isinstance(value, int) else self._fill(f"property {name}", value, values)
            for name, value in self._properties.items()
        }
        key = self._fill("key", self._key, values)
        body = self._fill("body", self._body, values)
        headers = tuple((name, self._fill(f"header {name}", text, values)) for name, text in self._headers)
        return Event(
            key=None if key is None else key.encode(),
            body=None if body is None else body.encode(),
            written=Content(headers, properties),
            timestamp=self._template.timestamp,
        )

    def _compile(self, what: str, text: str | None) -> Any:
        try:
            return None if text is None else self._environment.from_string(text)
        except TemplateSyntaxError as error:
            raise FormatError(
                f"The template's {what} cannot be read at line {error.lineno}: {error.message}."
            ) from None
        except TemplateError as error:
            raise FormatError(f"The template's {what} cannot be read: {error}.") from None
        except (MemoryError, RecursionError) as error:
            # Jinja2 does at once what holds for every event, such as 'x' * 1000000000.
            raise FormatError(f"The template's {what} {_too_much(error)}.") from None

    def _fill(self, what: str, template: Any, values: Mapping[str, Any]) -> str | None:
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
        except (MemoryError, RecursionError) as error:
            raise FormatError(f"The template's {what}{_place(error)} {_too_much(error)}.") from None
        except Exception as error:  # a template may call anything it is given with anything
            reason = str(error).rstrip(".")
            raise FormatError(f"The template's {what} cannot be filled in{_place(error)}: {reason}.") from None
        return "".join(pieces)


class _Written(float):
    """A number of a body, which is written as it was there."""

    _text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        return self._text


def _json_text(value: Any) -> str:
    """A value in JSON, numbers of a body as they were written there."""
    if isinstance(value, Mapping):
        members = [f"{json.dumps(str(name), ensure_ascii=False)}: {_json_text(item)}" for name, item in value.items()]
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_json_text, value))}]"
    return str(value) if isinstance(value, _Written) else json.dumps(value, ensure_ascii=False, default=value_text)


def _too_much(error: MemoryError | RecursionError) -> str:
    return "takes too much memory" if isinstance(error, MemoryError) else "calls itself without end"


def _place(error: BaseException) -> str:
    """The line of the template that was being filled in; Jinja2 has put the template's own lines into the traceback."""
    lines = [
        number for frame, number in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == "<template>"
    ]
    return f" at line {lines[-1]}" if lines else ""
