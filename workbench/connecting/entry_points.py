"""What installed packages have registered under a name, read from their metadata.

`importlib.metadata` answers the same, and costs every command as much as a start of Python: it imports the parsers of
mail and archives, and makes an object of each package and each entry point there is. The format is the one of
https://packaging.python.org/en/latest/specifications/entry-points/.
"""

import os
import re
import sys
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple


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
    packages: dict[str, Path] = {}
    for folder in sys.path:
        try:
            # Of a thousand names that are not looked at further, no `Path` is made.
            with os.scandir(folder or ".") as names:
                metadata = [Path(each) for each in names if each.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        for each in metadata:
            packages.setdefault(re.sub(r"[-_.]+", "-", each.name.partition("-")[0]).lower(), each)
    return [entry for package, metadata in packages.items() for entry in _read_entry_points(package, metadata, group)]


def _read_entry_points(package: str, metadata: Path, group: str) -> Iterator[EntryPoint]:
    try:
        text = (metadata / "entry_points.txt").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    if group not in text:
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), package)
