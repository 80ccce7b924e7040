"""How the command `workbench` ends."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, as the README lists them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTLY = 3
    NOT_FOUND = 4
    STOPPED = 130
