"""URLs of connections, without what is secret in them."""

import re
from typing import Final, NamedTuple

VARIABLE: Final = re.compile(r"\$\{\w+\}")
"""What stands in a configuration for an environment variable's value."""


def without_password(url: str) -> str:
    """The URL as it may be saved: all of it but its password."""
    parts = _split(url)
    return f"{parts.scheme}{parts.user}{parts.at}{parts.place}{parts.question}{parts.options}"


def for_listing(url: str) -> str:
    """The URL as it may be shown in a listing: options may hold secrets too, so only their names are there."""
    parts = _split(url)
    password = parts.password if VARIABLE.fullmatch(parts.password) else "…"
    login = f"{parts.user}:{password}" if parts.has_password else parts.user
    names = "&".join(option.partition("=")[0] for option in parts.options.split("&"))
    return f"{parts.scheme}{login}{parts.at}{without_credentials(parts.place)}{parts.question}{names}"


def for_error(url: str) -> str:
    """The URL as an error may quote it, however wrongly it was written: whatever is before an @ may be a password."""
    return without_credentials(re.sub(r"(?s)^([a-z0-9+.-]*://)?.*@", r"\1…@", url).partition("?")[0])


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
