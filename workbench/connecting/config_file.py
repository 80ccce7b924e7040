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

A file that lies in the working directory may come from a stranger's repository. Until its user trusts it, it can only
restrict: it runs no command, is given no environment variable and no password of the keyring, and what the user's own
file says stays in force beside it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from workbench.connecting.config import Connection, check_name, seconds_of
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.folders import config_path, state_path
from workbench.connecting.level import Level
from workbench.connecting.state_files import locked, write_private
from workbench.connecting.toml_lines import line_of
from workbench.model.errors import ConfigError

NAME: Final = "workbench.toml"
_KEYS: Final = ("default", "connections", "masks", "conventions", "schemas", "dead_letters", "cluster", "theme", "keys")

T = TypeVar("T")


class Configured(msgspec.Struct, frozen=True):
    """What a file says of one connection, secrets not yet looked up.

    Attributes:
        url: The URL as written.
        guard: The level.
        production: Whether more than observing asks for the name to be typed.
        password_command: Prints the password; run by the shell.
        keyring: Whether the password is in the system's keyring, under `event-workbench` and the connection's name.
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
    stranger: Path | None = None
    strangers: frozenset[str] = frozenset()

    @classmethod
    def find(cls, named: Path | None = None) -> "ConfigFile":
        """Read the file that `--config` names, else `./workbench.toml`, else the one in the user's config folder.

        Where `./workbench.toml` is not trusted, it and the user's own are read, and the stricter of the two counts.

        Raises:
            ConfigError: It cannot be read, or says something that is not known here.
        """
        if named is not None:
            return cls.read(named)
        here, own = here_path(), own_path()
        config = cls.read(own) if _is_there(own) else cls()
        if not _is_there(here) or (config.path and here.samefile(own)):
            return config
        return cls.read(here) if is_trusted(here) else _restrict(config, cls.read(here))

    @classmethod
    def read(cls, path: Path) -> "ConfigFile":
        """Read one file.

        Raises:
            ConfigError: It cannot be read, is not TOML, or has a key or a value that is not known here; the sentence
                names the file, the line and the key.
        """
        # Most commands are given their connections and find no file: they need not wait for what reads one.
        import tomli

        try:
            text = path.read_text(encoding="utf-8")
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
                raise ConfigError(f"{path}, line {line_of(text, place)}: {name!r} is no name. {error}") from None
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
        return (
            f"{self.stranger} is in use but not trusted: it can only restrict, and gets no secrets. Read it, then"
            f" run `workbench connections trust {self.stranger}`."
        )

    @property
    def target(self) -> Path:
        """The file that takes a new connection: the one that was read, or the user's own, which may not be there."""
        return self.path or own_path()

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

    def read_again(self) -> "ConfigFile":
        """The same configuration as its files are now.

        Raises:
            ConfigError: See `find`.
        """
        if self.stranger is not None:
            return self.find()
        path = self.target
        return self.read(path) if _is_there(path) else ConfigFile()

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
        if name in self.strangers and (said.has_source or "${" in said.url):
            raise ConfigError(
                f"{self.stranger} may come from someone else, and connection {name!r} needs a command to run, a"
                " keyring password or an environment variable: read the file, then run"
                f" `workbench connections trust {self.stranger}`."
            )
        connection = connection_of(f"{name}={expand(said.url, name)}", files=False)
        level = Level[said.guard.upper()]
        try:
            beat = connection.beat if said.watch is None else seconds_of(said.watch)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        return msgspec.structs.replace(
            connection, level=level, production=said.production, beat=beat, scope=said.scope or connection.scope
        )


def own_path() -> Path:
    """The user's own file, which may not be there."""
    return config_path(NAME)


def here_path() -> Path:
    """The file in the working directory, which may not be there."""
    return Path(NAME).absolute()


def is_trusted(path: Path) -> bool:
    """Whether the user has trusted this file with just this content."""
    try:
        return _fingerprint(path) in _trusted_path().read_text().splitlines()
    except OSError:
        return False


def trust(path: Path) -> None:
    """Let this file, for as long as its content stays, run its commands and have environment variables.

    Raises:
        ConfigError: It cannot be read, or says something that is not known here; or the list of trusted files cannot
            be written.
    """
    ConfigFile.read(path)
    kept = _trusted_path()
    try:
        with locked(kept):
            write_private(kept, kept.read_bytes() + _fingerprint(path).encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"{kept}, which lists what is trusted, cannot be written: {error.strerror}.") from None


def _restrict(own: ConfigFile, stranger: ConfigFile) -> ConfigFile:
    """The user's own file with that of a stranger beside it: of what both say the stricter counts."""
    names = own.connections.keys() | stranger.connections.keys()
    connections: dict[str, Configured] = {}
    for name in sorted(names, key=[*own.connections, *stranger.connections].index):
        sayings = [file.connections[name] for file in (own, stranger) if name in file.connections]
        guards = [said.guard for said in sayings]
        if name not in own.connections:
            guards.append(_level_in_url(sayings[0].url).name.lower())
        connections[name] = msgspec.structs.replace(
            sayings[0],
            guard=min(guards, key=lambda guard: Level[guard.upper()]),
            production=any(said.production for said in sayings),
        )
    default = dict.fromkeys(
        name
        for file in (own, stranger)
        for name in file.default or tuple(file.connections)
        if own.default or stranger.default
    )
    return msgspec.structs.replace(
        own,
        default=tuple(default),
        connections=connections,
        masks=tuple(dict.fromkeys((*own.masks, *stranger.masks))),
        stranger=stranger.path,
        strangers=frozenset(stranger.connections.keys() - own.connections.keys()),
    )


def _level_in_url(url: str) -> Level:
    """What may be done through a connection that nobody has vouched for."""
    try:
        return Level.MOVE if connection_of(url, files=False).loopback else Level.OBSERVE
    except ConfigError:
        return Level.OBSERVE


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _trusted_path() -> Path:
    return state_path("trusted")


def _fingerprint(path: Path) -> str:
    # Only files in working directories have to be known again.
    import hashlib

    path = path.absolute()
    return hashlib.sha256(os.fsencode(path) + b"\0" + path.read_bytes()).hexdigest()


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
    """A URL with the environment variables that it names.

    Raises:
        ConfigError: One is not set.
    """
    login = re.match(r"[^/?]*//[^/?]*@", url)

    def value(match: re.Match[str]) -> str:
        if (found := os.environ.get(match[1])) is None:
            raise ConfigError(f"{name}: the environment variable {match[1]!r}, which its URL names, is not set.")
        # A password is any text; a host, or a whole URL, is meant as it is.
        return quote(found, safe="") if login and match.start() < login.end() else found

    return re.sub(r"\$\{(\w+)\}", value, url)
