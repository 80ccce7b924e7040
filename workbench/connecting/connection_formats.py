"""Connections as others write them: a URL, a broker's own connection string, a client's configuration file.

Which connection strings and files there are is for the connectors to say: each is read, to a URL, by the package that
knows where such a text comes from. None is imported before a text of its kind is given.
"""

import re
from pathlib import Path
from typing import Final

import msgspec

from workbench.connecting.config import Connection, Secret
from workbench.connecting.entry_points import EntryPoint, entry_points
from workbench.connecting.plugins import load
from workbench.connecting.url import VARIABLE

FORMATS: Final = "event_workbench.connection_formats"
"""The entry-point group. The name is a key that every such connection string has, `Endpoint` for `Endpoint=…;…`, or the
end of a file's name, `.properties`. The object makes of the string, or of the file's path, a URL without its
password, and the password, None where there is none; it raises `ConfigError` with a sentence that holds no secret."""


def connection_of(text: str, files: bool = True) -> Connection:
    """Read a URL, a connection string or the path of a client's configuration file, perhaps with `NAME=` before it.

    Args:
        text: What a user wrote or pasted.
        files: Whether it may be a path: not where a stranger may have written it, for the file holds a password.

    Raises:
        ConfigError: It is none; the sentence holds no password.
    """
    if (found := _foreign(text, files)) is None:
        return Connection.parse(text)
    name, url, password = found
    connection = Connection.parse(f"{name}={url}" if name else url)
    return connection if password is None else msgspec.structs.replace(connection, password=Secret(password))


def is_connection(text: str) -> bool:
    """Whether a text is meant as a connection, and not as the name of one that is configured."""
    return ":" in text or _entry(text, files=True) is not None


def url_of(text: str, files: bool = True) -> tuple[str, bool]:
    """The URL of a connection as it may stand in a file, and whether a password was left out of it.

    Args:
        text: As `connection_of` takes it. A URL is returned as it is, password and all.
        files: As `connection_of` takes it.

    Raises:
        ConfigError: It cannot be read.
    """
    if (found := _foreign(text, files)) is None:
        return text, False
    _, url, password = found
    if password and VARIABLE.fullmatch(password):
        return url.replace("@", f":{password}@", 1), False
    return url, password is not None


def _foreign(text: str, files: bool) -> tuple[str, str, str | None] | None:
    """A name, a URL and a password for a text that is not a URL; None for one that is."""
    if (entry := _entry(text, files)) is None:
        return None
    reader, name, rest = entry
    url, password = load(reader.name, FORMATS)(rest)
    return name, url, password


def _entry(text: str, files: bool) -> tuple[EntryPoint, str, str] | None:
    """What reads a text, the connection's name, which may be empty, and the rest of the text."""
    # Looking for entry points takes a while, and nearly every text is a URL.
    if ";" in text:
        keys = {entry.name.lower(): entry for entry in entry_points(FORMATS)}
        named = re.match(r"([^/:=?@;]+)=\s*(?=(\w+)\s*=)", text)
        name = named[1] if named and named[2].lower() in keys else ""
        if name and named:
            text = text[named.end() :]
        url = re.match(r"(?:([^/:=?@]+)=)?[a-z][a-z0-9+.-]*://", text)
        if url is None or (url[1] or "").strip().lower() in keys:
            for pair in text.split(";"):
                if entry := keys.get(pair.partition("=")[0].strip().lower()):
                    return entry, name, text
    if files and "://" not in text and (suffix := Path(text).suffix):
        for entry in entry_points(FORMATS):
            if entry.name != suffix:
                continue
            match = re.fullmatch(r"(?:([^/:=?@;]+)=)?(.*)", text, re.DOTALL)
            assert match
            return entry, match[1] or "", match[2]
    return None
