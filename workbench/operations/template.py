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

A template may lie in a stranger's repository: of the environment it gets what its user names (`--env NAME`), or, in the
user's own templates folder, what it asks for by name. None gets all of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from workbench.connecting.environment import Variables
from workbench.connecting.folders import config_path
from workbench.connecting.plain_files import content_of
from workbench.model.errors import ConfigError


class Given(msgspec.Struct, frozen=True, array_like=True):
    """What a template may use of the event that is edited with it.

    Attributes:
        sequence: `seq`.
        key: Its key.
        body: Its body's text in UTF-8; None: it has no body.
        unread: Why the body cannot be used, for it is no text; empty: it can.
        headers: Names and values.
        properties: Names and values.
    """

    sequence: int
    key: bytes | None
    body: bytes | None
    unread: str
    headers: tuple[tuple[str, Any], ...]
    properties: Mapping[str, Any]


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
        import tomli

        try:
            return msgspec.convert(tomli.loads(content_of(path, pipe=True).decode()), cls)
        except OSError as error:
            raise ConfigError(f"The template {path} cannot be read: {error.strerror}.") from None
        except RecursionError:
            raise ConfigError(f"{path} is not a template: it nests too deeply.") from None
        except (UnicodeDecodeError, tomli.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path} is not a template: {error}.") from None


def templates_folder() -> Path:
    """Where a user's own templates are, each a file NAME.toml."""
    return config_path("templates")


def template_file(name: str) -> Path:
    """A template's file: the one named, else the one of this name in the user's templates folder."""
    path = Path(name).expanduser()
    own = templates_folder() / f"{name}.toml"
    return own if not path.exists() and own.exists() else path


def variables_of(name: str) -> Variables:
    """What a template of this name may read of the environment: nothing, or, where it is its user's own, anything."""
    return Variables(any=templates_folder().resolve() in template_file(name).resolve().parents)
