"""Whether an event is what the schema of its type says: JSON Schemas, by the types that the configuration names.

    [schemas]
    OrderPlaced = "schemas/order-placed.json"     # from where the configuration lies

A schema reads no other file and fetches nothing: a `$ref` stays within it.
"""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from workbench.connecting.config_file import ConfigFile
from workbench.connecting.plain_files import content_of
from workbench.decode.body_text import editable_text
from workbench.decode.json_text import tokens
from workbench.model.content import DEPTH
from workbench.model.errors import ConfigError, FormatError
from workbench.model.event import Event
from workbench.model.wording import quantity
from workbench.query.condition import path_text

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_LARGEST: Final = 4 << 20
"""Bytes of the largest schema."""
_TOLD: Final = 1_000
"""Things that break a schema, which are counted at most."""
_VALUE: Final = "its value"
"""Stands for a value in what is said of it: what is masked is nobody's to read."""


class Schemas:
    """The schemas of a configuration, each read when the first event of its type is checked.

    Args:
        files: The file of each type.
        folder: Where files are whose names do not begin at the root.
    """

    def __init__(self, files: Mapping[str, str], folder: Path) -> None:
        self._files: Final = dict(files)
        self._folder: Final = folder
        self._validators: dict[str, Validator] = {}

    @classmethod
    def of(cls, config: ConfigFile) -> "Schemas":
        """Those of a configuration; a file in the working directory that is not trusted adds none."""
        return cls(config.schemas, config.path.parent if config.path is not None else Path())

    def __bool__(self) -> bool:
        return bool(self._files)

    def fault(self, event: Event, type: str | None) -> str | None:
        """What breaks the schema of an event's type, a sentence; None: nothing does, or there is none to break.

        A body that is no text, such as one in a schema registry's frame, is not checked.

        Args:
            event: The event.
            type: Its type, as its facts say; None: it has none.

        Raises:
            ConfigError: The schema cannot be read, or is none.
        """
        if type is None or type not in self._files:
            return None
        validator = self._validator(type)
        try:
            text = editable_text(event)
        except FormatError:
            return None
        if event.body is None:
            return None
        begin = f"It breaks the schema of {type}"
        try:
            value = _value(text)
        except FormatError as error:
            return f"{begin}: {str(error).removesuffix('.')}."
        faults = [(error.message, error.instance_path) for error in islice(validator.iter_errors(value), _TOLD)]
        if not faults:
            return None
        message, path = faults[0]
        more = f", and {quantity(len(faults) - 1, 'more fault')}" if len(faults) > 1 else ""
        return f"{begin} at {_place(path)}: {message}{more}."

    def _validator(self, type: str) -> "Validator":
        if type not in self._validators:
            self._validators[type] = _read(self._folder / Path(self._files[type]).expanduser(), type)
        return self._validators[type]


def _read(path: Path, type: str) -> "Validator":
    # Few configurations have schemas, and it takes a while to load.
    from jsonschema_rs import validator_for

    said = f"{path}, the schema of {type},"
    try:
        text = content_of(path)
    except OSError as error:
        raise ConfigError(f"{said} cannot be read: {error.strerror}.") from None
    if len(text) > _LARGEST:
        raise ConfigError(f"{said} is larger than {_LARGEST:,} bytes.")
    try:
        schema = _value(text.decode())
        return validator_for(schema, mask=_VALUE, retriever=_refuse)
    except (UnicodeDecodeError, FormatError) as error:
        raise ConfigError(f"{said} is no JSON: {error}.") from None
    except ValueError as error:
        raise ConfigError(f"{said} cannot be used: {str(error).splitlines()[0].removesuffix('.')}.") from None


def _refuse(uri: str) -> NoReturn:
    raise ValueError("a schema may only refer to what is in it")


def _value(text: str) -> Any:
    """What a JSON text says.

    Raises:
        FormatError: It is none, nests deeper than `DEPTH`, or has numbers that JSON does not have.
    """
    depth = 0
    for token in tokens(text):
        if token.kind in ("{", "["):
            depth += 1
            if depth > DEPTH:
                raise FormatError(f"it nests deeper than {DEPTH}")
        elif token.kind in ("}", "]"):
            depth -= 1
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise FormatError(str(error)) from None


def _no_number(name: str) -> NoReturn:
    raise FormatError(f"{name} is no number of JSON")


def _place(path: list[str | int]) -> str:
    try:
        return path_text("body", path)
    except FormatError:
        return ".".join(("body", *map(str, path)))
