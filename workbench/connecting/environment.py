"""The environment of this process: who may read what of it.

A password may come from a variable: `${NAME}` in a URL, or `WORKBENCH_PASSWORD_<NAME>` for the connection of that name.
Programs that are started from here inherit none of these, wherever in the URL they stand: one may be more than the
password, such as a login with its host.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

PASSWORD: Final = "WORKBENCH_PASSWORD_"
"""Begins the name of the variable that has a connection's password."""
VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
"""A variable's name, as it stands in a URL."""

_EVERYBODYS: Final = frozenset(
    {"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER"}
)
"""What programs need to work at all, and what holds no password."""

_secret: Final[set[str]] = set()
"""The variables that URLs of this process name."""


class Variables(msgspec.Struct, frozen=True):
    """What templates may read of the environment.

    Attributes:
        names: These.
        any: Whether they may read whichever they name.
    """

    names: tuple[str, ...] = ()
    any: bool = False

    def __or__(self, names: Sequence[str]) -> "Variables":
        return Variables((*self.names, *names), self.any)

    @property
    def values(self) -> dict[str, str]:
        """Those that there are, by name."""
        return {name: value for name, value in os.environ.items() if self.any or name in self.names}


def password_variable(name: str) -> str:
    """The variable that may have a connection's password: `WORKBENCH_PASSWORD_MY_SHOP` of `my-shop`."""
    return PASSWORD + re.sub(r"[^A-Z0-9]", "_", name.upper())


def keep_from_children(urls: Iterable[str]) -> None:
    """Let no program that is started from now on inherit the variables that these URLs name."""
    for url in urls:
        _secret.update({*VARIABLE.findall(url)} - _EVERYBODYS)


def child_environment() -> dict[str, str]:
    """What a program that is started from here inherits: all but what has passwords."""
    return {name: value for name, value in os.environ.items() if name not in _secret and not name.startswith(PASSWORD)}


def child_python(module: str) -> list[str]:
    """The command of a Python process that runs `serve` of a module: isolated, with the paths of this process, so that
    nothing that lies in the current folder is imported."""
    return [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {sys.path!r}; from {module} import serve; serve()"]
