"""Asking whether to go on, before anything is changed on a broker."""

import sys

import click

from workbench.cli.ending import ending_by_itself
from workbench.cli.exit_codes import Exit
from workbench.cli.stdio import drain_all, say
from workbench.decode.display import visible


def confirm(question: str) -> bool:
    """Ask on the terminal, where a question is sent as visible characters."""
    with ending_by_itself():
        return click.confirm(visible(question), err=True)


async def declined(question: str, yes: bool) -> Exit | None:
    """Ask on the terminal; None: go on. Else the exit code, and it is said that nothing was changed.

    Args:
        question: What is asked, with its question mark.
        yes: The answer, where it was given before.
    """
    if yes:
        return None
    if not sys.stdin.isatty():
        say("Nothing was changed: add --yes to go on.")
        return Exit.USAGE
    await drain_all()
    if confirm(question):
        return None
    say("Nothing was changed.")
    return Exit.DONE
