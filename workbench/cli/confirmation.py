"""Asking whether to go on, before anything is changed on a broker."""

import sys

import click

from workbench.cli.exit_codes import Exit
from workbench.cli.stdio import drain_all, say


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
    if click.confirm(question, err=True):
        return None
    say("Nothing was changed.")
    return Exit.DONE
