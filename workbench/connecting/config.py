"""Connections: where a broker is and how to get in, from what a user wrote."""

import json
import re
from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

import msgspec

from workbench.connecting.hosts import is_loopback
from workbench.connecting.level import Level
from workbench.connecting.url import for_error, without_credentials
from workbench.model.address import is_text
from workbench.model.errors import ConfigError, ConnectorError, WorkbenchError

BEAT: Final = 2.0
"""Seconds from one listing of a connection to the next where nobody has said."""
_BEAT: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(s|m|h)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME: Final = re.compile(r"[^/:=?@\x00-\x1f\x7f]+")
_SHORT: Final = 4
"""Characters below which a password is looked for as a word alone."""
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Secret:
    """A password: shown nowhere, compared by nobody, handed to the driver by `reveal`."""

    _texts: ClassVar[set[str]] = set()
    """All that there were in this process, for `without_secrets`."""

    def __init__(self, text: str, hidden: bool = True) -> None:
        """Keep a password.

        Args:
            text: The password.
            hidden: Whether foreign texts are told without it; not where it is its user's name, which is shown.
        """
        self._text: Final = text
        if hidden:
            self._texts.add(text)

    def reveal(self) -> str:
        """The password itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        # The process that it is brought to must know what to hide.
        return Secret, (self._text,)

    @classmethod
    def spellings(cls) -> list[str]:
        """All passwords of this process, also as they are written in URLs, JSON and Python; the longest first."""
        spellings = {
            spelling
            for text in cls._texts
            for spelling in (
                text,
                quote(text, errors="surrogatepass"),
                quote(text, safe="", errors="surrogatepass"),
                quote_plus(text, errors="surrogatepass"),
                json.dumps(text)[1:-1],
                repr(text)[1:-1],
                repr(text.encode(errors="surrogatepass"))[2:-1],
            )
        }
        return sorted(spellings - {""}, key=len, reverse=True)


def without_secrets(text: str) -> str:
    """A foreign text, such as a driver's, without this process's passwords and whatever looks like a credential."""
    return without_credentials(without_passwords(text))


def without_passwords(text: str) -> str:
    """A foreign text without this process's passwords."""
    for secret in Secret.spellings():
        if len(secret) < _SHORT:
            # It stands in any word: hiding it there would leave nothing to read, and tell what it is.
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
        else:
            text = text.replace(secret, "…")
    return text


def without_secrets_in(error: WorkbenchError) -> WorkbenchError:
    """A foreign error, of its kind where that can be made of a sentence, without what `without_secrets` takes away."""
    said = str(error)
    if (clean := without_secrets(said)) == said:
        return error
    kind = type(error) if type(error).__str__ is BaseException.__str__ else ConnectorError
    # Without `__init__`, which may take something else.
    return kind.__new__(kind, clean)


class Options(dict[str, str]):
    """What stands behind the `?` of a URL; whoever prints it sees the names alone."""

    def __repr__(self) -> str:
        return f"Options({', '.join(self)})"


class Connection(msgspec.Struct, frozen=True):
    """One broker, under the name that addresses use.

    Attributes:
        name: Names it in addresses; holds no `/`.
        scheme: Chooses the connector.
        hosts: Host and port each, the port None where the URL has none: the connector knows its broker's default.
        user: None where the URL has none.
        password: None where the URL has none.
        path: Behind the hosts, decoded, without the leading `/`: RabbitMQ's virtual host. None where the URL has none.
        options: Behind the `?`. A connector refuses those it does not know. They may hold logins.
        level: What may be done through it; None where nobody has said.
        limit: What may be done at most, whatever is said: another file or connection says so of the same broker.
        production: Whether more than observing is asked for again, by the connection's name.
        beat: Seconds from one listing to the next while it is watched; None: it is listed only when asked.
        scope: Which endpoints the screen lists and searches, by their names: `shop-*`, as a shell has patterns.
    """

    name: str
    scheme: str
    hosts: tuple[tuple[str, int | None], ...]
    user: str | None = None
    password: Secret | None = None
    path: str | None = None
    options: Mapping[str, str] = {}
    level: Level | None = None
    limit: Level = Level.DESTROY
    production: bool = False
    beat: float | None = BEAT
    scope: str = "*"

    @property
    def loopback(self) -> bool:
        """Whether all hosts are this machine, by name or address."""
        return all(is_loopback(host) for host, _ in self.hosts)

    def reveal_url(self) -> str:
        """Its URL, with all that is secret in it; for no screen and no file, see `workbench.connecting.url`."""
        login = "" if self.user is None else quote(self.user, safe="")
        if self.password is not None:
            login += f":{quote(self.password.reveal(), safe='', errors='surrogatepass')}"
        hosts = ",".join(_host_text(host, port) for host, port in self.hosts)
        path = "" if self.path is None else f"/{quote(self.path, safe='')}"
        beat = {} if self.beat == BEAT else {"watch": "off" if self.beat is None else f"{self.beat:g}s"}
        scope = {} if self.scope == "*" else {"scope": self.scope}
        options = "&".join(
            f"{name}={quote(value, safe=':/*')}" if value else name
            for name, value in {**self.options, **beat, **scope}.items()
        )
        return f"{self.scheme}://{login}{'@' if login else ''}{hosts}{path}{'?' if options else ''}{options}"

    @property
    def places(self) -> tuple[str, ...]:
        """Its hosts, with their ports where it has them."""
        return tuple(_host_text(host, port) for host, port in self.hosts)

    @property
    def identity(self) -> str:
        """Its name and where it leads, without user and password: equal ones are the same connection."""
        hosts = ",".join(host if port is None else f"{host}:{port}" for host, port in self.hosts)
        return f"{self.name}={self.scheme}://{hosts}/{self.path or ''}"

    @classmethod
    def parse(cls, text: str) -> "Connection":
        """Read `NAME=URL`, or a URL, which is then named by its first host.

        Several hosts are separated by commas: `kafka://user@h1:9093,h2:9093?tls&ca=FILE`. User, password, path and
        options are percent-encoded (RFC 3986).

        Raises:
            ConfigError: The text is neither; the sentence holds no password.
        """
        named = re.match(r"([^/:=?@]+)=(?=[a-z][a-z0-9+.-]*:)", text)
        name, url = (named[1], text[named.end() :]) if named else ("", text)
        quoted = for_error(url)
        if not is_text(text):
            raise ConfigError(f"{quoted!r} is not UTF-8: write other bytes of a user, a password or a path as %E9.")
        if _CONTROL.search(url):
            # Python's reading of a URL drops some of them: an option would be another than the one that was looked at.
            raise ConfigError(f"{quoted!r} is not a URL: write a control character as %09.")
        if not (scheme := re.match(r"([a-z][a-z0-9+.-]*)://", url)):
            raise ConfigError(f"{quoted!r} is not a connection: write NAME=URL or a URL, such as amqp://localhost.")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigError(f"{quoted!r} is not a URL.") from None
        if "#" in url or "@" in parts.path + parts.query:
            raise ConfigError(
                f"{quoted!r} is not a URL: write / ? # and @ in a user, a password, a path or an option"
                " as %2F %3F %23 and %40."
            )
        login, at, places = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        hosts = tuple(_host(place, quoted) for place in places.split(",")) if places else (("localhost", None),)
        options = Options(parse_qsl(parts.query, keep_blank_values=True))
        for value in options.values():
            _remember_login(value)
        if any(_CONTROL.search(unquote(text)) for pair in options.items() for text in pair):
            # Whoever reads a URL in an option may drop some of them, and get to another host than was told.
            raise ConfigError(f"{quoted!r} is not a URL: an option has no control characters.")
        beat = options.pop("watch", None)
        return cls(
            name=name or hosts[0][0].replace("/", "-"),
            scheme=scheme[1],
            hosts=hosts,
            user=unquote(user) if at else None,
            password=password_in_url(password, user) if colon else None,
            path=unquote(parts.path[1:]) if parts.path else None,
            scope=options.pop("scope", "") or "*",
            beat=BEAT if beat is None else seconds_of(beat),
            options=options,
        )

    def known_options(self, *known: str) -> Mapping[str, str]:
        """The options, if all of them are `known`.

        Raises:
            ConfigError: One is not.
        """
        for given in self.options:
            if given not in known:
                said = "…" if self._is_cut else repr(given)
                raise ConfigError(
                    f"{self.name}: {said} is no option of {self.scheme}:// connections;"
                    f" they have {', '.join((*known, 'watch', 'scope'))}."
                )
        return self.options

    @property
    def _is_cut(self) -> bool:
        """Whether a password with an & in it may stand among the names of options: it has to be written as %26."""
        return any("@" in name for name in self.options) or any(
            re.search(r"//[^@]*:(?![0-9]*(?:/|$))[^@]*$", value) for value in self.options.values()
        )


def check_name(name: str) -> None:
    """Whether a connection may be called so, in a file and in addresses.

    Raises:
        ConfigError: It may not.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("A connection's name is one word or more, without / : = ? @.")


def seconds_of(beat: str) -> float | None:
    """The seconds of a beat as a user writes it; None for `off` and `0`.

    Raises:
        ConfigError: It is none, or shorter than a second.
    """
    if beat in ("off", "0", "0s"):
        return None
    if not (match := _BEAT.fullmatch(beat)) or (seconds := float(match[1]) * _UNITS[match[2]]) < 1:
        raise ConfigError(f"watch={beat} is not an interval: write 1s or more, such as 10s or 2m, or off.")
    return seconds


def is_on_this_machine(url: str) -> bool:
    """Whether all hosts of a URL are this machine, as far as it is written: no password of it is remembered."""
    match = re.match(r"[a-z][a-z0-9+.-]*://(?:[^/?]*@)?([^/?]+)", url)
    return match is not None and all(
        is_loopback(re.sub(r":[0-9]*$", "", place).strip("[]")) for place in match[1].split(",")
    )


def password_in_url(password: str, user: str | None) -> Secret:
    """The password of a URL, both as they are written there."""
    return Secret(unquote(password), hidden=password != user)


def _remember_login(option: str) -> None:
    """Keep the password of a login in an option out of all that is said."""
    _, slashes, rest = option.partition("://")
    login, at, _ = rest.rpartition("@")
    user, _, password = login.partition(":")
    if slashes and at and password:
        password_in_url(password, user)


def _host_text(host: str, port: int | None) -> str:
    literal = f"[{host}]" if ":" in host else host
    return literal if port is None else f"{literal}:{port}"


def _host(place: str, shown: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?", place)
    if not match or int(match[2] or 1) not in range(1, 65536):
        # Where the host was forgotten, a password stands in the port's place.
        raise ConfigError(f"'{shown.partition('://')[0]}://{place.partition(':')[0]}:…' is not host:port.")
    return match[1].strip("[]"), int(match[2]) if match[2] else None
