"""Options that are given as NAME=VALUE."""

from collections.abc import Iterable

import click


def pair(text: str, option: str) -> tuple[str, str]:
    """The name and the value that a user wrote for an option.

    Raises:
        click.UsageError: It is not NAME=VALUE.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"{option} {text!r} is not NAME=VALUE.")
    return name, value


def pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """All of an option that may be repeated; the last of a name counts.

    Raises:
        click.UsageError: One is not NAME=VALUE.
    """
    return dict(pair(text, option) for text in texts)
