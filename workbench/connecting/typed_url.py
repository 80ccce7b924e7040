"""A URL while it is being typed, without what may become a password.

Nobody knows yet what a text becomes: what is behind a colon may be a password or a port, and an @ that would tell comes
last. So all that may be a password is hidden from its first character on, rather too much than too little, and what
turns out to be something else is shown then.
"""

import re
from collections.abc import Iterator
from typing import Final

DOT: Final = "•"
"""What stands on the screen for each character that is hidden."""

_BEGIN: Final = re.compile(r"(?a)\s*(?:[^/:?=@;]+=)*(?:[A-Za-z][\w+.-]*(?P<slashes>:?/{1,2}))?")
"""What is before a login: `NAME=`, and a scheme with as many of its characters as were typed."""
_OPTION: Final = re.compile(r"(?ai)[?&;][^=&?]*=\s*[\w+.-]+(?::|%3a)(?:/|%2f){0,2}")
"""What is before a login in an option."""
_USER: Final = re.compile(r"\[[0-9A-Fa-f:.%]*\]?|[^:?@]*")
_USER_IN_OPTION: Final = re.compile(r"(?i)\[[0-9a-f:.]*\]?|(?:(?!%3a|%40)[^:@&?])*")
_COLON: Final = re.compile(r"(?i):|%3a")
_AT: Final = re.compile(r"@|%40")
_PORT: Final = re.compile(r"(?i)([0-9]{1,5})(?=[/?,&]|%2[cf]|$)")
_VARIABLE: Final = re.compile(r"\$(?:\{\w*\}?)?")
_SECRET: Final = re.compile(
    r"(?i)(?:(?:password|passwd|pwd|passphrase|secret|token|credential|signature)\w*|accesskey)\s*=\s*"
    r"(?!\$\{\w*\}?(?:[;&]|$))([^;&]*)"
)
_HOST: Final = re.compile(r"(?i)(?:.*\.)?localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[.*")
"""What is called so is no user."""
_PORTS: Final = frozenset({"80", "443", "5671", "5672", "9092", "9093", "9094", "15671", "15672", "19092", "29092"})
"""Where brokers usually are: numbers that few choose as a password."""


def while_typed(url: str) -> str:
    """The URL as it is shown while it is being written, as long as before: what may become a password is dots from its
    first character on."""
    shown = list(url)
    for begin, end in _secrets(url):
        shown[begin:end] = DOT * (end - begin)
    return "".join(shown)


def _secrets(url: str) -> Iterator[tuple[int, int]]:
    begin = _BEGIN.match(url)
    assert begin
    yield from _password(url, begin.end(), begin["slashes"] == ":/")
    for option in _OPTION.finditer(url):
        yield from _password_in_option(url, option.end())
    for secret in _SECRET.finditer(url):
        yield secret.span(1)


def _password(url: str, begin: int, misspelled: bool) -> Iterator[tuple[int, int]]:
    """Where the password is of a login that begins there."""
    user = _USER.match(url, begin)
    assert user
    place = user.end() + 1
    if url[user.end() : place] != ":":
        # Behind one slash nothing is a host: what seems to be a scheme may be the user.
        if misspelled and "@" not in url:
            yield begin, len(url)
        return
    at = url.rfind("@", place, front if (front := url.find("?", place)) >= 0 else len(url))
    port = _port(url, place, user[0])
    if at < 0 and port is None:
        at = url.rfind("@", place)
    if at >= 0:
        yield from _unless_variable(url, place, at)
    elif port is None:
        yield from _unless_variable(url, place, len(url))
    elif url[port : port + 1] == ",":
        yield from _password(url, port + 1, misspelled)


def _password_in_option(url: str, begin: int) -> Iterator[tuple[int, int]]:
    user = _USER_IN_OPTION.match(url, begin)
    assert user
    if (colon := _COLON.match(url, user.end())) is None or _port(url, colon.end(), user[0]) is not None:
        return
    place = colon.end()
    other = re.compile(r"&\w+=").search(url, place)
    within = [at.start() for at in _AT.finditer(url, place, other.start() if other else len(url))]
    beyond = _AT.search(url, place)
    yield from _unless_variable(url, place, within[-1] if within else beyond.start() if beyond else len(url))


def _port(url: str, place: int, host: str) -> int | None:
    """Where the number ends that begins there, if it is a port; None: it may be a password."""
    if (port := _PORT.match(url, place)) is None:
        return None
    ended = port.end() < len(url) and len(port[1]) > 3
    return port.end() if ended or port[1] in _PORTS or _HOST.fullmatch(host) else None


def _unless_variable(url: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    if not _VARIABLE.fullmatch(url, begin, end):
        yield begin, end
