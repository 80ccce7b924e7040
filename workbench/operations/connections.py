"""Connections as their user adds and edits them: what is wrong with an entry, what it comes to, and keeping it."""

import re
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from workbench.connecting import config_edit
from workbench.connecting.config import Connection, Secret, check_name
from workbench.connecting.config_file import Configured, expand
from workbench.connecting.config_sources import find_again, target_of
from workbench.connecting.connection_formats import connection_of, url_of
from workbench.connecting.level import Level
from workbench.connecting.passwords import keyring_command, keyring_entry
from workbench.connecting.plugins import check_options
from workbench.connecting.url import HIDDEN, for_editing, without_password, without_typed_passwords
from workbench.model.errors import ConfigError
from workbench.session import Session

Place = Literal["name", "url", "password", "guard"]
_NAMED: Final = re.compile(r"([^/:=?@;]+)=(?=[a-z][a-z0-9+.-]*://)")


class Entry(msgspec.Struct, frozen=True):
    """What a user writes of a connection.

    Attributes:
        name: Empty: as its first host.
        url: A URL, a broker's own connection string, or the path of a client's configuration file.
        password: Where the URL has none; it goes into no file.
        guard: The level's name; empty: `publish` on this machine, `observe` elsewhere.
        production: Whether it is production.
        saved: Whether it goes into the configuration, and not for this session only.
    """

    name: str = ""
    url: str = ""
    password: str = msgspec.field(default="")
    guard: str = ""
    production: bool = False
    saved: bool = True

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # A password may stand in the URL, too.
        return [("name", self.name), ("guard", self.guard), ("production", self.production), ("saved", self.saved)]

    def __repr__(self) -> str:
        return f"Entry({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class EntryError(ConfigError):
    """An entry that cannot be used.

    Attributes:
        place: Which part of it is wrong.
    """

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(sentence)
        self.place = place


class ConnectionForm:
    """A connection that is being added to a session, or edited."""

    def __init__(self, session: Session, name: str | None = None) -> None:
        """Begin.

        Args:
            session: Whose.
            name: The connection that is edited; None: one is added.

        Raises:
            ConfigError: It cannot be edited; the sentence says where it comes from.
        """
        self._session: Final = session
        self.before: Final = name
        """The connection's name so far; None: there is none yet."""
        self._file: Final = None if name is None else _file_of(session, name)
        self._said: Final = None if name is None or self._file is None else session.config.connections[name]
        self._known: Final = None if name is None else _described(session, name)
        self.entry: Final = self._entry()
        """What it is now, without its secrets."""

    @property
    def target(self) -> Path:
        """The file that it is saved in."""
        return self._file or target_of(self._session.config)

    @property
    def can_be_unsaved(self) -> bool:
        """Whether it may be kept for this session only: not where a file has it."""
        return self._file is None

    @property
    def password_source(self) -> str:
        """Where its password comes from if none is written, for the empty field; empty: from nowhere."""
        if f":{HIDDEN}@" in self.entry.url:
            return "kept as it is"
        if self._said is not None and self._said.has_source:
            return "from its password_command" if self._said.password_command else "from the keyring"
        if self.before is None:
            return ""
        known = self._session.known_connection(self.before)
        return "kept as it is" if known is not None and known.password is not None else ""

    def read(self, entry: Entry) -> Connection:
        """What an entry comes to, its password only where that is written or known.

        Raises:
            EntryError: It cannot be used.
        """
        name, text = _name_and_url(entry)
        if not text:
            raise EntryError("url", "It needs a URL, such as amqp://user@host/vhost or kafka://host:9092.")
        try:
            if name:
                check_name(name)
        except ConfigError as error:
            raise EntryError("name", str(error)) from None
        try:
            connection = connection_of(expand(self._with_secrets(text), name or "the URL"))
            check_options(connection)
        except ConfigError as error:
            raise EntryError("url", without_typed_passwords(str(error), [text])) from None
        if name:
            connection = msgspec.structs.replace(connection, name=name)
        taken = {*self._session.names, *self._session.config.connections} - {self.before}
        if connection.name in taken:
            raise EntryError("name", f"There is a connection {connection.name!r} already: choose another name.")
        if entry.password:
            if connection.user is None:
                raise EntryError("password", "The URL names no user for this password: write USER@ before its host.")
            connection = msgspec.structs.replace(connection, password=Secret(entry.password))
        local = Level.PUBLISH if connection.loopback else Level.OBSERVE
        level = Level[entry.guard.upper()] if entry.guard else local
        said = self._said
        beat = connection.beat if said is None or said.watch is None else self._saved_connection.beat
        scope = connection.scope if said is None or said.scope is None else said.scope
        return self._with_known_password(
            msgspec.structs.replace(connection, level=level, production=entry.production, beat=beat, scope=scope)
        )

    async def complete(self, entry: Entry) -> Connection:
        """The same with its password, which is looked up where the configuration says.

        Raises:
            EntryError: It cannot be used, or lacks its password.
        """
        connection = self.read(entry)
        if connection.password is not None or connection.user is None:
            return connection
        if self.before is not None and self._said is not None and self._said.has_source:
            asked = msgspec.structs.replace(connection, name=self.before)
            try:
                found = await self._session.with_password(asked, self._said)
            except ConfigError as error:
                raise EntryError("password", str(error)) from None
            return msgspec.structs.replace(connection, password=found.password)
        raise EntryError("password", f"The URL has no password for its user {connection.user!r}: write it here.")

    def keep(self, entry: Entry, connection: Connection) -> str:
        """Write it into the configuration, if it is to be saved, and let the session know of the file; returns a
        sentence for the user. The session's connections stay as they are.

        Raises:
            EntryError: It cannot be written.
        """
        if not entry.saved and self.can_be_unsaved:
            return f"{connection.name} is kept for this session only."
        session, path = self._session, self.target
        _, text = _name_and_url(entry)
        guard = (connection.level or Level.OBSERVE).name.lower()
        try:
            if self.before is None or self._said is None:
                url, _ = url_of(text)
                config_edit.add(path, connection.name, without_password(url), guard, connection.production)
            else:
                # What was not changed here may have been changed elsewhere meanwhile.
                config_edit.edit(
                    path,
                    self.before,
                    new_name=connection.name,
                    url=self._url_for_file(text, entry),
                    guard=guard if guard != self._said.guard else None,
                    production=connection.production if connection.production != self._said.production else None,
                )
            _read_again(session)
        except config_edit.ReadableSecretError as error:
            raise EntryError("url", str(error)) from None
        except ConfigError as error:
            raise EntryError("name", str(error)) from None
        return f"{connection.name} is saved in {path}.{self._of_keyring(connection.name)}"

    @property
    def _saved_connection(self) -> Connection:
        assert self.before is not None
        return self._session.describe(self.before)

    def _entry(self) -> Entry:
        if self.before is None:
            return Entry()
        if self._said is not None:
            url = _shown(self._said)
            return Entry(self.before, url, guard=self._said.guard, production=self._said.production)
        connection = self._saved_connection
        level = (connection.level or Level.OBSERVE).name.lower()
        return Entry(
            self.before,
            for_editing(connection.reveal_url()),
            guard=level,
            production=connection.production,
            saved=False,
        )

    def _with_known_password(self, connection: Connection) -> Connection:
        if connection.password is None and connection.user is not None and self.before is not None:
            known = self._session.known_connection(self.before)
            if known is not None and _reaches_the_same(known, connection):
                return msgspec.structs.replace(connection, password=known.password)
        return connection

    def _with_secrets(self, url: str) -> str:
        """A URL with the secrets that stand as `…` in it."""
        if self._said is not None:
            return self._said.url if url == self.entry.url else config_edit.with_secrets(url, self._said.url)
        return url if self.before is None else config_edit.with_secrets(url, self._saved_connection.reveal_url())

    def _url_for_file(self, text: str, entry: Entry) -> str | None:
        """The URL to be written; None: the one in the file stays, however that is written."""
        url, _ = url_of(text)
        if entry.password:
            # What the file has is not the password any more.
            url = url.replace(f":{HIDDEN}@", "@", 1)
        if url == self.entry.url:
            return None
        return url if f":{HIDDEN}@" in url else without_password(url)

    def _of_keyring(self, name: str) -> str:
        if self._said is None or not self._said.keyring or self._known is None:
            return ""
        now = self._session.config.connection(name)
        if keyring_entry(now) == keyring_entry(self._known):
            return ""
        before = keyring_entry(self._known)
        return f" The keyring has its password for {before!r}: `{keyring_command('set', now)}` stores it anew."


def check_editable(session: Session, name: str) -> None:
    """Whether a connection can be edited and removed.

    Raises:
        ConfigError: It cannot; the sentence says where it comes from.
    """
    _file_of(session, name)


def forget(session: Session, name: str) -> str:
    """Take a connection out of the configuration, if that has it; returns a sentence for the user. The session keeps
    it until `Session.remove`.

    Raises:
        ConfigError: It cannot be removed.
    """
    path = _file_of(session, name)
    if path is None:
        return f"{name} is forgotten."
    config_edit.remove(path, name)
    _read_again(session)
    return f"{name} is removed from {path}."


def what_is_forgotten(session: Session, name: str) -> str:
    """What removing a connection means, in a sentence or two.

    Raises:
        ConfigError: It cannot be removed.
    """
    path = _file_of(session, name)
    if path is None:
        return f"{name} is in no file: it was added for this session only."
    keyring = ""
    if session.config.connections[name].keyring and (known := _described(session, name)) is not None:
        keyring = f" Its password stays in the keyring; `{keyring_command('del', known)}` deletes it."
    return f"{name} and its settings are deleted from {path}.{keyring}"


def _read_again(session: Session) -> None:
    """Have a session know what its files say now."""
    before = session.config.warning
    session.config = find_again(session.config)
    if session.config.warning and session.config.warning != before:
        session.tell(session.config.warning)


def _described(session: Session, name: str) -> Connection | None:
    """A connection as it is configured; None: it cannot be used."""
    try:
        return session.describe(name)
    except ConfigError:
        return None


def _file_of(session: Session, name: str) -> Path | None:
    """The file that a connection can be edited in; None: it is kept for this session only."""
    match session.origin(name):
        case "session":
            return None
        case "start":
            raise ConfigError(
                f"{name} is in no file: it was given when the workbench was started, by -c or as the demo."
            )
        case _:
            return session.config.file_of(name)


def _name_and_url(entry: Entry) -> tuple[str, str]:
    """Name and URL, also where `NAME=URL` was pasted as the URL."""
    name, text = entry.name.strip(), entry.url.strip()
    if not name and (named := _NAMED.match(text)):
        return named[1].strip(), text[named.end() :]
    return name, text


def _shown(said: Configured) -> str:
    try:
        url, left_out = url_of(said.url, files=False)
    except ConfigError:
        return for_editing(said.url)
    return url.replace("@", f":{HIDDEN}@", 1) if left_out else for_editing(url)


def _reaches_the_same(one: Connection, other: Connection) -> bool:
    """Whether a password for the one is a password for the other."""
    return (one.scheme, one.hosts, one.user) == (other.scheme, other.hosts, other.user)
