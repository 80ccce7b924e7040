"""URLs of connections, without what is secret in them."""

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

VARIABLE: Final = re.compile(r"\$\{\w+\}")
"""What stands in a configuration for an environment variable's value."""


HIDDEN: Final = "…"
"""What stands on the screen for a secret."""


def without_password(url: str) -> str:
    """The URL as it may be saved: all of it but its password, unless that is a `${VARIABLE}`."""
    parts = _split(url)
    login = f"{parts.user}:{parts.password}" if VARIABLE.fullmatch(parts.password) else parts.user
    return f"{parts.scheme}{login}{parts.at}{parts.place}{parts.question}{parts.options}"


def for_listing(url: str) -> str:
    """The URL as it may be shown in a listing: options may hold secrets too, so only their names are there."""
    parts = _split(url)
    password = parts.password if VARIABLE.fullmatch(parts.password) else "…"
    login = f"{parts.user}:{password}" if parts.has_password else parts.user
    names = "&".join(option.partition("=")[0] for option in parts.options.split("&"))
    return f"{parts.scheme}{login}{parts.at}{without_credentials(parts.place)}{parts.question}{names}"


def for_editing(url: str) -> str:
    """The URL as a user may edit it on a screen: `…` stands for each secret, and `with_secrets_of` puts it back."""
    parts = _split(url)
    login = parts.user
    if parts.has_password:
        login += f":{parts.password if VARIABLE.fullmatch(parts.password) else HIDDEN}"
    options = "&".join(
        f"{name}={HIDDEN}" if _is_secret_option(name, value) else f"{name}{equals}{value}"
        for name, equals, value in _options(parts)
    )
    return f"{parts.scheme}{login}{parts.at}{parts.place}{parts.question}{options}"


def with_secrets_of(url: str, before: str) -> str:
    """A URL that was edited, each `…` in it what it stood for in the URL `before`.

    Raises:
        ValueError: There is nothing that one stands for; the argument names the place.
    """
    new, old = _split(url), _split(before)
    login = f"{new.user}:{new.password}" if new.has_password else new.user
    if new.password == HIDDEN:
        if not old.has_password:
            raise ValueError("the password")
        login = f"{new.user}:{old.password}"
    values = {name: value for name, _, value in _options(old)}
    options = []
    for name, equals, value in _options(new):
        if value == HIDDEN:
            if name not in values:
                raise ValueError(f"the option {name!r}")
            value = values[name]
        options.append(f"{name}{equals}{value}")
    return f"{new.scheme}{login}{new.at}{new.place}{new.question}{'&'.join(options)}"


def option_values(url: str, names: Collection[str]) -> list[tuple[str, str]]:
    """Those of the URL's options that are called so, each with its value as it is meant."""
    return [(name, value) for name, value in parse_qsl(_split(url).options, keep_blank_values=True) if name in names]


def without_typed_passwords(sentence: str, words: Iterable[str]) -> str:
    """A sentence that may quote words of a command line, without what may be a password in them: a URL that is
    misspelled, or stands where none is expected, is read as something else."""
    for word in (each[:_LONGEST] for each in words):
        spans = {match.span(1) for pattern in _IN_WORDS for match in pattern.finditer(word)}
        spans |= {(begin, place) for begin, end in spans for place in range(begin, end) if word[place] == "@"}
        for begin, end in sorted(spans, key=lambda span: span[0] - span[1]):
            # With the characters around it: a user may be called as the password is.
            before, password, after = word[begin - 1 : begin], word[begin:end], word[end : end + 1]
            for spelled in (password, repr(password)[1:-1]):
                sentence = sentence.replace(f"{before}{spelled}{after}", f"{before}…{after}")
    return sentence


_LONGEST: Final = 2_000
"""Characters of a word that may be a URL; others, such as a body, may be long."""
_IN_WORDS: Final = (
    # A login, with or without a scheme, and with as many slashes as were typed.
    re.compile(r"(?s)^(?:[^/:?@]*=)*(?:[A-Za-z][\w+.-]*(?::/{0,2}|//))?[\w.%+~-]*:(?!//)(.+)@"),
    # One whose host was left out: no port.
    re.compile(r"^[^?]*?://[^/:@\[?]*:(?![0-9]*(?:[/?,]|$))([^/?,@]+)"),
    re.compile(r"[?&][^=&]*=[a-z]+(?:://|%3[Aa]%2[Ff]%2[Ff])[^:&/%]*(?::|%3[Aa])([^@%&]+)(?=@|%40)"),
    re.compile(r"(?i)(?:(?:password|passwd|secret|token|credential)\w*|accesskey)=([^;&]+)"),
)


def for_error(url: str) -> str:
    """The URL as an error may quote it, however wrongly it was written: whatever is before an @ may be a password, and
    whatever is behind a colon that is no port."""
    plain = re.sub(r"(?s)^([a-z0-9+.-]*://)?.*@", r"\1…@", url).partition("?")[0]
    return without_credentials(re.sub(r"(?s)^([^/:]+:)(?![0-9]*$|//).+", r"\1…", plain))


def given_name(text: str) -> str:
    """The name in `NAME=URL`, as far as it could be one; empty: there is none."""
    return named[1] if (named := re.match(r"([^/:=?@]+)=", text)) else ""


def without_credentials(text: str) -> str:
    """A foreign text without whatever looks like a credential."""
    for credential in _CREDENTIALS:
        text = credential.sub(r"\1…", text)
    return text


_CREDENTIALS: Final = (
    re.compile(r"(://)\S{1,1000}(?=@)"),
    re.compile(r"(://[^\s?]{0,1000}\?)[^\s'\"]+"),
    re.compile(r"(?i)(\b(?:basic|bearer)\s{1,9})[\w+/=.~-]+"),
    re.compile(
        r"""(?i)((?:password|passwd|secret|token|access_?key)['"]?\s{0,9}[=:]\s{0,9}b?)(?:'[^']*'|"[^"]*"|[^\s,;)]+)"""
    ),
)
"""Userinfo and options of a URL, HTTP's Authorization, and what a driver writes of its settings. All of them bounded: a
foreign text may be long, and made to be slow."""


_SECRET_OPTION: Final = re.compile(r"(?i)password|passwd|secret|token|credential")


class _Parts(NamedTuple):
    scheme: str
    user: str
    has_password: bool
    password: str
    at: str
    place: str
    question: str
    options: str


def _split(url: str) -> _Parts:
    """The URL's parts as they are written, each with its punctuation."""
    front, question, options = url.partition("?")
    scheme, slashes, rest = front.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    return _Parts(scheme + slashes, user, bool(colon), password, at, place, question, options)


def _options(parts: _Parts) -> list[tuple[str, str, str]]:
    """The options, each as its name, `=` and its value."""
    return [option.partition("=") for option in parts.options.split("&")]


def _is_secret_option(name: str, value: str) -> bool:
    """Whether an option's value may hold a secret: it is called so, or has a login."""
    return not VARIABLE.fullmatch(value) and (_has_login(value) or bool(_SECRET_OPTION.search(name)))


def _has_login(value: str) -> bool:
    return "@" in value or "%40" in value
