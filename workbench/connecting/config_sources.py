"""Where the configuration comes from, and how it is put together.

    --config FILE                    counts alone: its user has named it
    ./workbench.toml, trusted        counts alone; what leads to a broker of the next one's is guarded as strictly
    ./workbench.toml, not trusted    may come from a stranger's repository: it can only restrict what the next one says
    the user's own workbench.toml    counts

Connections that a command is given by URL are no part of it: see `workbench.session`.

**A file that is not trusted** is merged field by field, as the tables below say. Its own connections are listed: they
run no command, read no variable, no keyring and no file, and are opened only when their user says so.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.config import Connection
from workbench.connecting.config_file import ConfigFile, Configured, expand
from workbench.connecting.connection_formats import connection_of
from workbench.connecting.folders import config_path, state_path
from workbench.connecting.level import Level
from workbench.connecting.plain_files import content_of
from workbench.connecting.plugins import is_same_broker
from workbench.connecting.state_files import locked, write_private
from workbench.model.errors import ConfigError

NAME: Final = "workbench.toml"

RESTRICTING: Final = frozenset({"masks", "guard", "production"})
"""What is taken over from a file that is not trusted: masks are united, the stricter guard counts, and production where
either file says so. A test sees to it that every field stands in one of these tables."""
LISTED: Final = frozenset({"connections", "url", "watch", "scope"})
"""What such a file says of connections that it alone has."""
NEEDING: Final = frozenset({"password_command", "keyring", "url"})
"""What may need something of the user's: see `Configured.needs`. It is refused."""
IGNORED: Final = frozenset({"default", "conventions", "schemas", "cluster", "dead_letters", "theme", "keys"})
"""What such a file says in vain."""


def find_config(named: Path | None = None) -> ConfigFile:
    """The configuration: see this module.

    Args:
        named: The file that `--config` names.

    Raises:
        ConfigError: A file cannot be read, or says something that is not known here.
    """
    if named is not None:
        return msgspec.structs.replace(ConfigFile.read(named, read_content(named, pipe=True)), named=True)
    here, own = here_path(), own_path()
    config = ConfigFile.read(own) if _is_there(own) else ConfigFile()
    if not _is_there(here) or (config.path and here.samefile(own)):
        return config
    content = read_content(here)
    found = ConfigFile.read(here, content)
    return _as_strict(config, found) if _is_trusted(here, content) else _restrict(config, found)


def find_again(config: ConfigFile) -> ConfigFile:
    """The configuration as its files are now: what has changed in the working directory is not trusted any more.

    Raises:
        ConfigError: See `find_config`.
    """
    if config.named and config.path is not None and config.path.is_fifo():
        # A pipe says it once.
        return config
    return find_config(config.path if config.named else None)


def target_of(config: ConfigFile) -> Path:
    """The file that takes a new connection: the one that was read, or the user's own, which may not be there."""
    return config.path or own_path()


def own_path() -> Path:
    """The user's own file, which may not be there."""
    return config_path(NAME)


def here_path() -> Path:
    """The file in the working directory, which may not be there."""
    return Path(NAME).absolute()


def is_trusted(path: Path) -> bool:
    """Whether the user has trusted this file with just this content."""
    try:
        return _is_trusted(path, content_of(path))
    except OSError:
        return False


def as_trusted(path: Path, content: bytes) -> ConfigFile:
    """What a file says as it would count in its folder, once it is trusted.

    Raises:
        ConfigError: It says something that is not known here, or the user's own file cannot be read.
    """
    own, found = own_path(), ConfigFile.read(path, content)
    if not _is_there(own) or (_is_there(path) and path.samefile(own)):
        return found
    return _as_strict(ConfigFile.read(own), found)


def trust(path: Path, content: bytes | None = None) -> None:
    """Let a file, for as long as its content stays, do what it asks for.

    Args:
        path: Which.
        content: What was in it when its user saw it; None: what is in it now.

    Raises:
        ConfigError: It cannot be read, or says something that is not known here; or the list of trusted files cannot
            be written.
    """
    content = read_content(path) if content is None else content
    ConfigFile.read(path, content)
    kept = _trusted_path()
    try:
        with locked(kept):
            known = content_of(kept)
            write_private(kept, known + _fingerprint(path, content).encode() + b"\n", mode=0o600)
    except OSError as error:
        raise ConfigError(f"{kept}, which lists what is trusted, cannot be written: {error.strerror}.") from None


def _restrict(own: ConfigFile, stranger: ConfigFile) -> ConfigFile:
    """The user's own file with that of a stranger beside it: of what both say the stricter counts."""
    theirs = [name for name in stranger.connections if name not in own.connections]
    connections = {name: _stricter(said, stranger.connections.get(name)) for name, said in own.connections.items()}
    for name in theirs:
        said = _classified(stranger.connections[name])
        said = _stricter(said, Configured(said.url, guard=_level_in_url(said.url).name.lower()))
        connections[name] = _as_own(own, said, written_place(said.url))
    return msgspec.structs.replace(
        own,
        connections=connections,
        masks=tuple(dict.fromkeys((*own.masks, *stranger.masks))),
        stranger=stranger.path,
        strangers=frozenset(theirs),
    )


def _as_strict(own: ConfigFile, project: ConfigFile) -> ConfigFile:
    """A trusted file: what leads to a broker of the user's own is guarded as strictly, whatever it is called."""
    connections = {name: _as_own(own, said, leads_to(said)) for name, said in project.connections.items()}
    return msgspec.structs.replace(project, connections=connections)


def _as_own(own: ConfigFile, said: Configured, leads: Connection | None) -> Configured:
    """A connection of another file, as strict as those of the user's own that lead to its broker."""
    if leads is None:
        return said
    for other in own.connections.values():
        if (known := leads_to(other)) is not None and is_same_broker(leads, known):
            said = _stricter(said, other)
    return said


def leads_to(said: Configured) -> Connection | None:
    """Where a connection leads whose file may read variables; None: that is not known."""
    try:
        return written_place(expand(said.url, "it"))
    except ConfigError:
        return written_place(said.url)


def written_place(url: str) -> Connection | None:
    """Where a URL leads, as it is written; None: that is not known."""
    try:
        return connection_of(url, files=False)
    except ConfigError:
        return None


def _classified(said: Configured) -> Configured:
    """What of a stranger's connection is known to be harmless, or is refused."""
    fields = (RESTRICTING | LISTED | NEEDING) & set(Configured.__struct_fields__)
    return Configured(**{name: getattr(said, name) for name in fields})


def _stricter(said: Configured, other: Configured | None) -> Configured:
    if other is None:
        return said
    return msgspec.structs.replace(
        said,
        guard=min(said.guard, other.guard, key=lambda guard: Level[guard.upper()]),
        production=said.production or other.production,
    )


def _level_in_url(url: str) -> Level:
    """What may be done through a connection that nobody has vouched for."""
    leads = written_place(url)
    return Level.PUBLISH if leads is not None and leads.loopback else Level.OBSERVE


def read_content(path: Path, pipe: bool = False) -> bytes:
    """What is in a configuration file.

    Args:
        path: Which.
        pipe: Whether it may be a pipe.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return content_of(path, pipe)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _trusted_path() -> Path:
    return state_path("trusted")


def _is_trusted(path: Path, content: bytes) -> bool:
    try:
        return _fingerprint(path, content).encode() in content_of(_trusted_path()).splitlines()
    except OSError:
        return False


def _fingerprint(path: Path, content: bytes) -> str:
    # Only files in working directories have to be known again.
    import hashlib

    return hashlib.sha256(os.fsencode(path.absolute()) + b"\0" + content).hexdigest()
