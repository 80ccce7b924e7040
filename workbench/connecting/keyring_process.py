"""Asking the system's keyring, in a process of its own that prints the password.

A backend may be anything: one asks on the terminal, which a screen needs for itself, and one waits for good.
"""

import sys
from enum import IntEnum


class Answer(IntEnum):
    """How the process ends."""

    FOUND = 0
    """It has printed the password."""
    FAILED = 3
    """It has printed the kind of the exception, whose text may quote the keyring's file."""
    NONE = 4
    """There is no such entry."""


def serve() -> None:
    """Ask for the service and the entry that the command line names."""
    _, service, entry = sys.argv
    try:
        import keyring

        found = keyring.get_password(service, entry)
    except Exception as error:
        # Of its bus, its library, its system.
        sys.stdout.write(type(error).__name__)
        sys.exit(Answer.FAILED)
    if found is None:
        sys.exit(Answer.NONE)
    sys.stdout.buffer.write(found.encode())
