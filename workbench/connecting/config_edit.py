"""Changing the configuration file: one connection added, edited or removed, and all else as its user wrote it.

Comments, order, line ends, mode and symbolic links stay. A file in the working directory that was trusted, or is new,
is trusted as it is then. What is written is read again first: a file that cannot be changed without another change in
it is left alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tomli

from workbench.connecting.config import check_name
from workbench.connecting.config_file import ConfigFile
from workbench.connecting.config_sources import here_path, is_trusted, trust
from workbench.connecting.connection_formats import connection_of, url_of
from workbench.connecting.plain_files import content_of
from workbench.connecting.plugins import check_options
from workbench.connecting.state_files import locked, write_private
from workbench.connecting.toml_lines import Place, places
from workbench.connecting.url import HIDDEN, VARIABLE, with_secrets_of
from workbench.model.errors import ConfigError


class ReadableSecretError(ConfigError):
    """A URL would bring a secret into the file, where everybody can read it who can read the file."""


def add(path: Path, name: str, url: str, guard: str, production: bool) -> None:
    """Write a connection into a file. A password is kept out of it.

    Raises:
        ConfigError: The file has a connection of this name, or cannot be written; or the URL is none, or holds a
            password that is no `${VARIABLE}`, or an option with a login.
    """
    check_name(name)
    _check_url(name, url)
    said = {"url": url, "guard": guard} | ({"production": True} if production else {})

    def added(text: str, tree: dict[str, Any]) -> str:
        import tomlkit

        connections = tree.setdefault("connections", {})
        if name in connections:
            raise ConfigError(f"{path} has a connection {name!r} already: choose another name, or edit it.")
        connections[name] = said
        header = f"[{tomlkit.key(['connections', name]).as_string()}]"
        lines = [header, *(f"{key} = {_written(value)}" for key, value in said.items()), ""]
        before = text.rstrip("\r\n")
        end = _line_end(text)
        return (f"{before}{end}{end}" if before else text) + end.join(lines)

    with _changing(path):
        _change(path, added)


def edit(
    path: Path,
    name: str,
    *,
    new_name: str | None = None,
    url: str | None = None,
    guard: str | None = None,
    production: bool | None = None,
) -> None:
    """Change a connection in a file: what is None stays as it is.

    Args:
        path: The file.
        name: The connection's name in it.
        new_name: Its name from now on, also among the default connections.
        url: Where `…` stands for a secret, the one that the file has there is kept.
        guard: The level's name.
        production: Whether it is production.

    Raises:
        ConfigError: The file has no connection of this name, or has one of the new name, or cannot be changed; or the
            URL is none, or brings a password into the file.
    """
    # A file that is not there is not made.
    _found(path, name)
    with _changing(path):
        _edit(path, name, new_name, url, guard, production)


def _edit(
    path: Path, name: str, new_name: str | None, url: str | None, guard: str | None, production: bool | None
) -> None:
    found = _found(path, name).connections
    said = found[name]
    renamed = name if new_name is None else new_name
    if renamed != name:
        check_name(renamed)
        if renamed in found:
            raise ConfigError(f"{path} has a connection {renamed!r} already: choose another name.")
    changes: dict[str, Any] = {}
    if url is not None and url != said.url:
        _check_url(name, url)
        changes["url"] = with_secrets(url, said.url)
        connection_of(f"{name}={changes['url']}", files=False)
    if guard is not None and guard != said.guard:
        changes["guard"] = guard
    if production is not None and production != said.production:
        changes["production"] = production

    def edited(text: str, tree: dict[str, Any]) -> str:
        connections = tree["connections"]
        tree["connections"] = {renamed if key == name else key: value for key, value in connections.items()}
        tree["connections"][renamed] = {**connections[name], **changes}
        if "default" in tree:
            tree["default"] = [renamed if each == name else each for each in tree["default"]]
        return _with_name(_with_values(text, name, changes), name, renamed)

    _change(path, edited)


def remove(path: Path, name: str) -> None:
    """Take a connection out of a file, and the comment that stands right above it.

    Raises:
        ConfigError: The file has no connection of this name, or cannot be changed.
    """

    def without(text: str, tree: dict[str, Any]) -> str:
        import tomlkit

        del tree["connections"][name]
        document = tomlkit.parse(text)
        if name in tree.get("default", ()):
            tree["default"] = [each for each in tree["default"] if each != name]
            for place in reversed([number for number, each in enumerate(document["default"]) if each == name]):
                del document["default"][place]
            text = tomlkit.dumps(document)
        lines = text.split("\n")
        if (entry := _Entry.find(lines, name)) is not None:
            return "\n".join(entry.cut_from(lines))
        cut = "\n".join(_without_keys(lines, name))
        if _says(cut, tree):
            return cut
        del document["connections"][name]
        return tomlkit.dumps(document)

    _found(path, name)
    with _changing(path):
        _found(path, name)
        _change(path, without)


def _check_url(name: str, url: str) -> None:
    """Whether a URL may stand in a file."""
    connection = connection_of(f"{name}={url}", files=False)
    password = connection.password.reveal() if connection.password else ""
    if password and password != HIDDEN and not VARIABLE.fullmatch(password):
        raise ReadableSecretError("The password would be readable in the file: write ${VARIABLE} in its place.")
    if any("@" in value for value in connection.options.values()):
        raise ReadableSecretError("A login in an option would be readable in the file: leave it out.")
    check_options(connection)


def with_secrets(url: str, before: str) -> str:
    """A URL that was edited, each `…` in it what it stood for before.

    Raises:
        ConfigError: There is nothing that one stands for.
    """
    if HIDDEN not in url:
        return url
    plain, left_out = url_of(before, files=False)
    if left_out and (connection := connection_of(before, files=False)).password is not None:
        # A broker's own connection string becomes the URL that it means.
        plain = plain.replace("@", f":{quote(connection.password.reveal(), safe='')}@", 1)
    try:
        return with_secrets_of(url, plain)
    except ValueError as error:
        raise ConfigError(f"'{HIDDEN}' stands for {error} that the file has, and it has none.") from None


def _found(path: Path, name: str) -> ConfigFile:
    found = ConfigFile.read(path)
    if name not in found.connections:
        raise ConfigError(f"{path} has no connection {name!r}; it has {', '.join(found.connections) or 'none'}.")
    return found


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Keep other programs from changing a file between its being read and written: their changes would be lost."""
    try:
        with locked(path):
            yield
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None


def _change(path: Path, change: Callable[[str, dict[str, Any]], str]) -> None:
    """Write what `change` makes of a file's text; it brings the tree to what the new text must say."""
    from tomlkit.exceptions import TOMLKitError

    ConfigFile.read(path)
    odd = f"{path} is laid out in a way that cannot be changed here: edit it in your editor."
    try:
        text = content_of(path).decode()
        ours = path.absolute() == here_path() and (not text or is_trusted(path))
        tree = tomli.loads(text)
        changed = change(text, tree)
        if not _says(changed, tree):
            raise ConfigError(odd)
        write_private(path, changed.encode())
    except (TOMLKitError, RecursionError):
        raise ConfigError(odd) from None
    if ours:
        trust(path, changed.encode())


def _says(text: str, tree: dict[str, Any]) -> bool:
    try:
        found = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return False
    for each in (found, tree):
        if not each.get("connections", True):
            del each["connections"]
    return found == tree


class _Entry:
    """Where a connection stands in a file that gives it a table of its own, `[connections.NAME]`.

    Attributes:
        header: The line of its header, from 0.
        last: The line of its last key.
    """

    def __init__(self, header: int, last: int) -> None:
        self.header, self.last = header, last

    @classmethod
    def find(cls, lines: Sequence[str], name: str) -> "_Entry | None":
        """The entry of this name; None: it is written in another way."""
        tables = [place for place in places(lines) if place.kind != "key"]
        for place, following in zip(tables, [*(each.line for each in tables), len(lines)][1:], strict=True):
            if place.path == ("connections", name):
                return cls(place.line, max(each for each in range(place.line, following) if not _is_blank(lines[each])))
        return None

    def cut_from(self, lines: Sequence[str]) -> list[str]:
        """The lines without this entry. A comment right above it goes with it, unless it opens the file; one above the
        next stays."""
        first = _with_comment(lines, self.header)
        rest = list(lines[self.last + 1 :])
        before = list(lines[:first])
        if not before or not before[-1].strip():
            while rest[1:] and not rest[0].strip():
                del rest[0]
        if not any(line.strip() for line in rest):
            while before and not before[-1].strip():
                before.pop()
            rest = [""] if before else []
        return before + rest


def _with_values(text: str, name: str, changes: Mapping[str, Any]) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    table: Any = document["connections"][name]
    entry = _Entry.find(text.split("\n"), name)
    # A new key would be put behind the comment of the next table.
    later = {key: value for key, value in changes.items() if key not in table} if entry is not None else {}
    for key, value in changes.items():
        if key not in later:
            table[key] = value
    lines = tomlkit.dumps(document).split("\n")
    if later and (entry := _Entry.find(lines, name)) is not None:
        carriage = "\r" if lines[entry.last].endswith("\r") else ""
        lines[entry.last + 1 : entry.last + 1] = [
            f"{key} = {_written(value)}{carriage}" for key, value in later.items()
        ]
        if entry.last + 1 + len(later) == len(lines):
            lines.append("")
    return "\n".join(lines)


def _with_name(text: str, name: str, renamed: str) -> str:
    import tomlkit

    if renamed == name:
        return text
    document: Any = tomlkit.parse(text)
    for number, each in enumerate(document.get("default", ())):
        if each == name:
            document["default"][number] = renamed
    lines = tomlkit.dumps(document).split("\n")
    key = tomlkit.key(renamed).as_string()
    for place in _places_of(lines, name):
        begin, end = place.columns[1 - len(place.path)]
        lines[place.line] = lines[place.line][:begin] + key + lines[place.line][end:]
    text = "\n".join(lines)
    document = tomlkit.parse(text)
    if name not in document["connections"]:
        return text
    # They stand in one line, in braces.
    table = tomlkit.inline_table()
    table.update({renamed if each == name else each: value for each, value in document["connections"].items()})
    document["connections"] = table
    return tomlkit.dumps(document)


def _places_of(lines: Sequence[str], name: str) -> list[Place]:
    """The lines in which a connection's name stands."""
    return [
        place
        for place in places(lines)
        if place.path[:2] == ("connections", name) and len(place.path) - len(place.columns) < 2
    ]


def _without_keys(lines: Sequence[str], name: str) -> list[str]:
    """The lines without those of a connection that has no table of its own, and without the comment right above."""
    cut = {place.line for place in _places_of(lines, name)}
    first = min(cut, default=0)
    cut.update(range(_with_comment(lines, first), first))
    return [line for number, line in enumerate(lines) if number not in cut]


def _with_comment(lines: Sequence[str], line: int) -> int:
    """The first line of the comment right above a line, or the line itself: a comment that opens the file is of all."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return first or line


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _written(value: str | bool) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
