"""What installed packages have registered under a name, read from their metadata.

`importlib.metadata` answers the same, and costs every command as much as a start of Python: it imports the parsers of
mail and archives, and makes an object of each package and each entry point there is. The format is the one of
https://packaging.python.org/en/latest/specifications/entry-points/.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, reduce
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

OWN: Final = "event-workbench"
"""The package that this program comes in."""


class EntryPoint(NamedTuple):
    """One that a package has registered.

    Attributes:
        name: The name.
        value: What it stands for, as `module:object`.
        package: The package, by the name under which it is installed.
    """

    name: str
    value: str
    package: str

    def load(self) -> Any:
        """Import what it stands for; raises whatever the import raises."""
        module, _, path = self.value.partition("[")[0].strip().partition(":")
        return reduce(getattr, filter(None, path.split(".")), import_module(module))


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group; where a package is installed twice, those of the one that is imported."""
    registered = _registered(tuple(sys.path))
    return [entry for package, text in registered for entry in _of_group(package, text, group)]


@cache
def _registered(path: Sequence[str]) -> Sequence[tuple[str, str]]:
    """What packages have registered, by their names; asked for several groups, while the first picture waits for it.

    Args:
        path: Where packages are looked for, in this order.
    """
    packages: dict[str, Path] = {}
    for folder in path:
        try:
            # Of a thousand names that are not looked at further, no `Path` is made.
            with os.scandir(folder or ".") as names:
                metadata = [Path(each) for each in names if each.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for each in metadata:
            packages.setdefault(re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower(), each)
    found: list[tuple[str, str]] = []
    for package, described in packages.items():
        with suppress(OSError, ValueError):
            found.append((package, (described / "entry_points.txt").read_text(encoding="utf-8")))
    return found


def _of_group(package: str, text: str, group: str) -> Iterator[EntryPoint]:
    if group not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), package)
