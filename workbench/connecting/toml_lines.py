"""Where tables and keys stand in a TOML text, line by line: its parsers do not tell.

A line within a text of several lines may look like either.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

_SEGMENT: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_PATH: Final = rf"{_SEGMENT}(?:[ \t]*\.[ \t]*{_SEGMENT})*"
_TABLE: Final = re.compile(rf"\s*\[{{1,2}}[ \t]*({_PATH})[ \t]*\]{{1,2}}\s*(?:#.*)?")
_KEY: Final = re.compile(rf"\s*({_PATH})[ \t]*=")


class Place(NamedTuple):
    """A line that names a table or a key.

    Attributes:
        line: Its number, from 0.
        path: What it names, from the document's root.
        columns: Where in the line the last so many steps of the path begin and end, quotes included: all of a table's.
        kind: Whether it opens a table, or one of an array of tables, or is a key in what was opened last.
    """

    line: int
    path: tuple[str, ...]
    columns: tuple[tuple[int, int], ...]
    kind: Literal["table", "elements", "key"]


def places(lines: Sequence[str]) -> Iterator[Place]:
    """The lines that name something, from the first."""
    # Most commands find no file that is wrong, and need not wait for what reads one.
    import tomli

    table: tuple[str, ...] = ()
    for number, line in enumerate(lines):
        header = _TABLE.fullmatch(line)
        if (named := header or _KEY.match(line)) is None:
            continue
        try:
            path, columns = _steps(named)
        except tomli.TOMLDecodeError:
            # It is no TOML.
            continue
        if header is not None:
            table = path
        elements = header is not None and line.lstrip().startswith("[[")
        yield Place(
            number,
            path if header else (*table, *path),
            columns,
            "elements" if elements else "table" if header else "key",
        )


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The number of the line, from 1, in which something first stands, or else the table that it would be in."""
    best, line = 0, 1
    for place in places(text.splitlines()):
        if place.path[: len(path)] == path:
            return place.line + 1
        if len(place.path) > best and path[: len(place.path)] == place.path:
            best, line = len(place.path), place.line + 1
    return line


def _steps(found: re.Match[str]) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    import tomli

    path: list[str] = []
    columns: list[tuple[int, int]] = []
    for step in re.finditer(_SEGMENT, found[1]):
        tree: dict[str, Any] = tomli.loads(f"{step[0]} = 0")
        path.extend(tree)
        columns.append((found.start(1) + step.start(), found.start(1) + step.end()))
    return tuple(path), tuple(columns)
