"""The configuration file: connections by name, and what else a user has settled.

    default = ["shop"]                        # opened where a command names no connection
    cluster = "tcp://scheduler:8786"          # a Dask cluster that searches

    [connections.shop]
    url = "amqps://ops:${SHOP_PASSWORD}@rabbit.example/shop"
    guard = "publish"                         # observe, look, publish, move or destroy; default: observe
    production = true                         # more than observing asks for the name to be typed

    [connections.log]
    url = "kafka://ops@kafka.example:9093?tls&sasl=scram-sha-512"
    password_command = "pass show kafka/ops"  # or: keyring = true
    watch = "30s"                             # how often its endpoints are listed; 2s where it is left out, or "off"
    scope = "shop-*"                          # of which of them, by name; all where it is left out

    [schemas]
    OrderPlaced = "schemas/order-placed.json" # the JSON Schema of a type, in a file beside this one

Which file counts, and what a file may say that its user does not trust, is for `config_sources.py`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

import msgspec

from workbench.connecting.config import Connection, check_name, seconds_of
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.environment import VARIABLE, keep_from_children
from workbench.connecting.level import Level
from workbench.connecting.plain_files import content_of
from workbench.connecting.tls import OPTIONS
from workbench.connecting.toml_lines import line_of
from workbench.connecting.url import for_listing, option_values, without_typed_passwords
from workbench.model.errors import ConfigError, NotTrusted

_KEYS: Final = ("default", "connections", "masks", "conventions", "schemas", "dead_letters", "cluster", "theme", "keys")

T = TypeVar("T")


class Configured(msgspec.Struct, frozen=True):
    """What a file says of one connection, secrets not yet looked up.

    Attributes:
        url: The URL as written.
        guard: The level.
        production: Whether more than observing asks for the name to be typed.
        password_command: Prints the password; run by the shell.
        keyring: Whether the password is in the system's keyring, see `workbench.connecting.passwords.keyring_entry`.
        watch: How often its endpoints are listed while it is watched: `10s`, `off`; None: as its URL says.
        scope: Which of them, by name; None: as its URL says.
    """

    url: str
    guard: str = "observe"
    production: bool = False
    password_command: str | None = None
    keyring: bool = False
    watch: str | None = None
    scope: str | None = None

    @property
    def has_source(self) -> bool:
        """Whether it says where its password is to be had."""
        return bool(self.password_command or self.keyring)

    @property
    def needs(self) -> tuple["Need", ...]:
        """What of its user's it needs: commands, variables, the keyring, files. An untrusted one gets none of it."""
        return (
            *([Need("run", self.password_command)] if self.password_command else []),
            *(Need("read the variable", name) for name in dict.fromkeys(VARIABLE.findall(self.url))),
            *([Need("take from the keyring", "its password")] if self.keyring else []),
            *(Need("read the file", f"{name}={value}") for name, value in option_values(self.url, OPTIONS)),
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # A URL may hold a password, and so may a command.
        return [("url", for_listing(self.url)), ("guard", self.guard), ("production", self.production)]

    def __repr__(self) -> str:
        return f"Configured({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class Need(msgspec.Struct, frozen=True):
    """Something of its user's that a configured connection cannot do without.

    Attributes:
        verb: What it does with it.
        what: With what: a command, a variable's name, a file.
    """

    verb: str
    what: str


class ConfigFile(msgspec.Struct, frozen=True):
    """What is configured.

    Attributes:
        path: The file that says so; None where there is none.
        default: The connections to open where none is named.
        connections: By name.
        masks: Rules for what is masked, as `workbench.facts.masking` takes them.
        conventions: The user's own conventions, as `workbench.facts.conventions` takes them.
        schemas: The files of JSON Schemas, by the types that they are of, as `workbench.operations.edit.schemas` takes
            them.
        cluster: The address of a Dask scheduler whose workers search; None: this machine does.
        dead_letters: The user's own names of endpoints that hold dead letters, as
            `workbench.model.dead_letter_names` takes them.
        theme: The screen's theme; None: its own dark one.
        keys: The user's own keys on the screen: an action's name, and keys with commas between them.
        named: Whether its user has named it, by `--config`.
        stranger: A file in the working directory that is not trusted, and restricts what `path` says.
        strangers: The connections that only that file has.
    """

    path: Path | None = None
    default: tuple[str, ...] = ()
    connections: Mapping[str, Configured] = {}
    masks: tuple[str, ...] = ()
    conventions: tuple[Mapping[str, Any], ...] = ()
    schemas: Mapping[str, str] = {}
    cluster: str | None = None
    dead_letters: tuple[str, ...] = ()
    theme: str | None = None
    keys: Mapping[str, str] = {}
    named: bool = False
    stranger: Path | None = None
    strangers: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path, content: bytes | None = None) -> "ConfigFile":
        """Read one file.

        Args:
            path: Which.
            content: What is in it, where that was read before.

        Raises:
            ConfigError: It cannot be read, is not TOML, or has a key or a value that is not known here; the sentence
                names the file, the line and the key.
        """
        try:
            return cls._read(path, content)
        except RecursionError:
            raise ConfigError(f"{path} nests too deeply.") from None

    @classmethod
    def _read(cls, path: Path, content: bytes | None) -> "ConfigFile":
        # Most commands are given their connections and find no file: they need not wait for what reads one.
        import tomli

        try:
            written = content_of(path) if content is None else content
            text = "\n".join(re.split("\r\n?|\n", written.decode()))
            tree = tomli.loads(text)
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
        except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}.") from None
        _only(path, text, (), tree, _KEYS)
        connections = {}
        for name, said in _table(path, text, ("connections",), tree.pop("connections", {})).items():
            place = ("connections", name)
            _only(path, text, place, _table(path, text, place, said), Configured.__struct_fields__)
            connections[name] = configured = _convert(path, text, place, said, Configured)
            try:
                check_name(name)
            except ConfigError as error:
                refused = f"{path}, line {line_of(text, place)}: {name!r} is no name. {error}"
                raise ConfigError(without_typed_passwords(refused, [name])) from None
            if configured.guard not in (known := [level.name.lower() for level in Level]):
                line = line_of(text, (*place, "guard"))
                raise ConfigError(
                    f"{path}, line {line}: 'guard' is one of {', '.join(known)}, not {configured.guard!r}."
                )
        found = _convert(path, text, (), tree, cls)
        return msgspec.structs.replace(found, path=path, connections=connections)

    @property
    def warning(self) -> str | None:
        """What a user must know of the file in the working directory; None: nothing."""
        if self.stranger is None:
            return None
        opened = f", and connects ({', '.join(sorted(self.strangers))}) only when you say so" if self.strangers else ""
        return (
            f"{self.stranger} is in use but not trusted: it can only restrict{opened}."
            " `workbench connections trust` shows what it asks for."
        )

    def file_of(self, name: str) -> Path:
        """The file in which a connection can be edited.

        Raises:
            ConfigError: No file has it, or only one that its user does not trust.
        """
        if name in self.strangers:
            raise ConfigError(
                f"{name!r} is in {self.stranger}, which is not trusted: edit that file in your editor, or run"
                f" `workbench connections trust {self.stranger}` first."
            )
        if self.path is None or name not in self.connections:
            raise ConfigError(self._unknown(name))
        return self.path

    def _unknown(self, name: str) -> str:
        known = ", ".join(self.connections) or "none"
        return f"There is no connection {name!r}; {self.path or 'the configuration'} has {known}."

    def connection(self, name: str) -> Connection:
        """A connection as it is configured; its password only where that stands in the URL.

        Raises:
            ConfigError: There is none of this name, or its URL cannot be used; or it is a stranger's, and wants a
                secret.
        """
        if name not in self.connections:
            raise ConfigError(self._unknown(name))
        said = self.connections[name]
        if name in self.strangers and said.needs:
            needs = " and ".join(f"{need.verb} {need.what}" for need in said.needs)
            raise NotTrusted(
                f"{self.stranger} is not trusted, and connection {name!r} would {needs}: read the file, then run"
                f" `workbench connections trust {self.stranger}`."
            )
        connection = connection_of(f"{name}={expand(said.url, name)}", files=False)
        guard = Level[said.guard.upper()]
        # A stranger's file may say less than what is allowed anyway, and never more.
        level, limit = (None, guard) if name in self.strangers else (guard, Level.DESTROY)
        try:
            beat = connection.beat if said.watch is None else seconds_of(said.watch)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        return msgspec.structs.replace(
            connection,
            level=level,
            limit=limit,
            production=said.production,
            beat=beat,
            scope=said.scope or connection.scope,
        )


def _convert(path: Path, text: str, place: tuple[str, ...], found: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        sentence, _, at = str(error).partition(" - at ")
        key = re.search(r"\$\.(\w+)", at)
        line = line_of(text, (*place, key[1]) if key else place)
        what = f"{key[1]!r}: " if key else ""
        raise ConfigError(f"{path}, line {line}: {what}{sentence[:1].lower()}{sentence[1:]}.") from None


def _table(path: Path, text: str, place: tuple[str, ...], found: Any) -> Mapping[str, Any]:
    if isinstance(found, dict):
        return found
    raise ConfigError(f"{path}, line {line_of(text, place)}: {'.'.join(place)!r} is a table, [{'.'.join(place)}].")


def _only(path: Path, text: str, place: tuple[str, ...], found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            where = f" in [{'.'.join(place)}]" if place else ""
            line = line_of(text, (*place, key))
            raise ConfigError(
                f"{path}, line {line}: {key!r}{where} is not a known key; known keys are {', '.join(known)}."
            )


def expand(url: str, name: str) -> str:
    """A URL with the environment variables that it names, which no program that is started later inherits.

    Raises:
        ConfigError: One is not set.
    """
    keep_from_children([url])

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise ConfigError(f"{name}: the environment variable {match[1]!r}, which its URL names, is not set.")
        if url[: match.start()].endswith("=") and "//" in found and "%40" in found and "@" not in found:
            # A URL as it stands in an option: its @ is encoded already.
            return quote(found, safe="%")
        for _ in range(_readings(url, match)):
            found = quote(found, safe="", errors="surrogatepass")
        return found

    return VARIABLE.sub(value, url)


def _readings(url: str, variable: re.Match[str]) -> int:
    """How often what stands in a variable's place is percent-decoded before it is used: a password is any text; a host,
    some options or a whole URL are meant as they are."""
    login = re.match(r"[^/?]*//[^/?]*@", url)
    if login and variable.start() < login.end():
        return 1
    _, equals, before = url[: variable.start()].partition("?")[2].rpartition("&")[2].partition("=")
    if not equals:
        return 0
    after = url[variable.end() :].partition("&")[0]
    # Of a URL in an option, the login is decoded once more.
    return 2 if "//" in unquote(before) and "@" not in unquote(before) and "@" in unquote(after) else 1
